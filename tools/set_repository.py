"""Set the repository that Colab links point to: in _config.yml, and in the first cell of every notebook."""

import re
import sys
from pathlib import Path

import nbformat
from notebooks import COLAB_TAG, ROOT, chapters, colab_cell

from retrieval_lib.files import write_whole

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]+")
BEGIN, END = "# repository: begin", "# repository: end"


def block(name: str) -> str:
    """The lines of _config.yml that switch the Colab and repository buttons on."""
    return f"""repository:
  url: https://github.com/{name}
  branch: main
launch_buttons:
  colab_url: https://colab.research.google.com
html:
  use_repository_button: true
"""


def set_repository(name: str, root: Path = ROOT) -> None:
    """Write owner/name where it is needed. Outputs and stamps of the notebooks stay as they are.

    Raises:
        ValueError: `name` is not of the form owner/name, or _config.yml has lost its marked place.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not of the form owner/name, for example octocat/deep-image-retrieval.")
    path = root / "_config.yml"
    before, marker, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not marker or not end:
        raise ValueError(f"{path.name} has no lines {BEGIN!r} and {END!r}; put them back.")
    with write_whole(path) as partial:
        partial.write_text(f"{before}{BEGIN}\n{block(name)}{END}{after}")
    for chapter in chapters(root):
        notebook_path = root / "book" / f"{chapter}.ipynb"
        if not notebook_path.is_file():
            continue
        notebook = nbformat.read(notebook_path, as_version=4)
        for cell in notebook.cells:
            if COLAB_TAG in cell.metadata.get("tags", []):
                cell.source = colab_cell(name).source
        with write_whole(notebook_path) as partial:
            partial.write_text(nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    try:
        set_repository(sys.argv[1] if len(sys.argv) > 1 else "")
    except ValueError as error:
        sys.exit(str(error))
    print("Colab links are on. Build the pages anew with `make html`.")
