"""Files and folders that are written whole or not at all, and their checksums."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def write_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends, delete it when the block fails.

    A reader therefore sees the old file or the whole new one, also after a crash or on a full disk.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; `path` is then as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def write_whole_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder beside `path`; move it there when the block ends, delete it when the block fails.

    A folder that stands at `path` already is put aside until the new one is in its place.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; `path` is then as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=".partial-"))
    try:
        yield partial
        partial.chmod(0o755)
        aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".partial-"))
        try:
            if path.exists():
                path.replace(aside / "old")
            partial.replace(path)
        except OSError:
            if (aside / "old").exists():
                (aside / "old").replace(path)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sha256_of_file(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
