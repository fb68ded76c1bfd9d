"""The folder that `RETRIEVAL_DATA` names, and the checksums beside its files."""

import os
from pathlib import Path

import numpy as np

from retrieval_lib.files import sha256_of_file


def data_folder() -> Path | None:
    """The folder that `RETRIEVAL_DATA` names, None where the variable is unset.

    Raises:
        NotADirectoryError: it names something that is no folder.
    """
    named = os.environ.get("RETRIEVAL_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(
            f"RETRIEVAL_DATA names {folder}, which is no folder; correct the variable or unset it."
        )
    return folder


def in_data_folder(name: str) -> Path | None:
    """The file or folder of this name in `RETRIEVAL_DATA`, None where there is none."""
    folder = data_folder()
    return folder / name if folder is not None and (folder / name).exists() else None


def verified_sha256(path: Path) -> str:
    """The file's SHA-256, compared with the `SHA256SUMS` beside it where that lists the file.

    Raises:
        ValueError: the file is not the one that `SHA256SUMS` describes.
    """
    found = sha256_of_file(path)
    listing = path.parent / "SHA256SUMS"
    if listing.is_file():
        for line in listing.read_text().splitlines():
            expected, _, name = line.partition(" ")
            if name.strip(" *") == path.name and expected.lower() != found:
                raise ValueError(
                    f"{path} has the wrong checksum: SHA-256 {found}, but {listing.name} says {expected}. "
                    "The file is damaged or incomplete; copy it again."
                )
    return found


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of a .npz file; reading them runs no code.

    Raises:
        ValueError: the file is damaged, or an array is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise ValueError(f"{path} has no array {', '.join(missing)}; it needs {', '.join(names)}.")
            return {name: file[name] for name in names}
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as .npz ({error}); copy it again.") from error
    except Exception as error:  # zipfile.BadZipFile and zlib.error have no common base
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is truncated or damaged ({error}); copy it again.") from error
