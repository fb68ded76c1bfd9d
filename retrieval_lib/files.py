"""Files and folders that are written whole or not at all, by one process at a time, and their checksums."""

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

    A folder that stands at `path` already is put aside until the new one is in its place, and put back where that fails.

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
        except BaseException:  # Ctrl-C, too: what is still aside is removed below
            if (aside / "old").exists() and not path.exists():
                (aside / "old").replace(path)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
    """Keep a file to this process while it is read and then replaced; others that ask for it wait.

    The lock is held on an empty hidden file beside it. That one stays: were it deleted, a process could hold the lock
    on the deleted file while another holds that on a new one.

    Raises:
        OSError: the folder cannot be written to.
    """
    import fcntl  # of Linux and macOS: what only reads results does without it

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed
        yield


def sha256_of_file(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
