"""Where the recorded results and the checkpoints of the book lie."""

import os
from pathlib import Path


def repository_root() -> Path:
    """The folder of the book's repository: `RETRIEVAL_ROOT`, or the one that this package lies in.

    Raises:
        FileNotFoundError: the package was installed without the repository around it.
    """
    root = Path(os.environ.get("RETRIEVAL_ROOT") or Path(__file__).resolve().parent.parent)
    if not (root / "_toc.yml").is_file():
        raise FileNotFoundError(
            f"{root} is not the book's repository (it has no _toc.yml). Recorded results and checkpoints lie there: "
            "clone it and install it with `pip install -e .`, or name its folder in RETRIEVAL_ROOT."
        )
    return root


def results_folder() -> Path:
    """Where `python -m retrieval_lib record` keeps its records."""
    return repository_root() / "results"


def checkpoints_folder() -> Path:
    """Where the weights of the long runs are kept."""
    return repository_root() / "checkpoints"
