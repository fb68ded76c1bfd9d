"""Downloads by well-kept loaders, which verify checksums; given up within seconds where there is no network."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from retrieval_lib.data.cache import cache_folder
from retrieval_lib.files import write_whole_folder

PROBE_SECONDS = 4.0
STALL_SECONDS = 30.0

SIZES = {"cifar10": "170 MB", "lfw": "233 MB"}  # of the archives, as their publishers give them


class DownloadFailed(OSError):
    """A data set could not be downloaded; the message says why and what to do."""


def downloads_allowed() -> bool:
    """Whether downloading may be tried: `RETRIEVAL_OFFLINE` is unset, and the profile is not `quick`."""
    return not os.environ.get("RETRIEVAL_OFFLINE") and os.environ.get("RETRIEVAL_PROFILE") != "quick"


def download_folder(name: str) -> Path:
    """Where the files of a data set are downloaded to."""
    return cache_folder() / "downloads" / name


def reachable(url: str) -> bool:
    """Whether the server of `url` accepts a connection within a few seconds."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return True
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def downloading(name: str, url: str) -> Iterator[Path]:
    """Give a folder to download into, say the size first, and turn every failure into one clear error.

    What was downloaded and unpacked stands in `download_folder(name)` once the block has ended. Of a download that
    failed nothing is left, so that a part can never pass for the whole.

    Raises:
        DownloadFailed: no network, a connection that was cut, a checksum that does not match, a full disk.
    """
    if not downloads_allowed():
        raise DownloadFailed("downloading is switched off (RETRIEVAL_OFFLINE, or the profile quick)")
    if not reachable(url):
        raise DownloadFailed(f"its server, {urlsplit(url).hostname}, cannot be reached from here")
    folder = download_folder(name)
    print(f"Downloading {name}, about {SIZES[name]}, to {folder}", flush=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        with write_whole_folder(folder) as partial:
            yield partial
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise DownloadFailed(f"the download did not succeed: {error}") from error
    finally:
        socket.setdefaulttimeout(before)
