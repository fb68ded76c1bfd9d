"""The data sets by name, and the places where each is looked for."""

import difflib

from retrieval_lib.data import cifar10, embedded, lfw
from retrieval_lib.data.download import SIZES, DownloadFailed
from retrieval_lib.data.images import ImageSet
from retrieval_lib.data.places import data_folder

EMBEDDED = {"mnist": embedded.mnist, "orl": embedded.orl}
FETCHED = {"cifar10": cifar10, "lfw": lfw}
KNOWN = (*FETCHED, *EMBEDDED)

HOW_TO_GET = {
    "cifar10": "put torchvision's cifar-10-batches-py (or cifar10_jpegbytes.npz) into the folder RETRIEVAL_DATA",
    "lfw": "put scikit-learn's lfw_home (or faces_lfw.npz) into the folder RETRIEVAL_DATA",
}


def find_local(name: str) -> ImageSet | None:
    """The data set from the package that brings it, from `RETRIEVAL_DATA` or from the cache, else None.

    Raises:
        ValueError: there is no data set of this name, or its files are damaged.
    """
    if name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"There is no data set {name!r}; known are {', '.join(KNOWN)}.{hint}")
    if name in EMBEDDED:
        return EMBEDDED[name]()
    return FETCHED[name].in_folder() or FETCHED[name].in_cache()


def load(name: str) -> ImageSet:
    """A data set by its name: `cifar10`, `lfw`, `mnist` or `orl`.

    Looks into the folder that `RETRIEVAL_DATA` names, then into the cache of earlier downloads, then downloads, with
    the checksum verified. `mnist` and `orl` come with a package and need none of this.

    Raises:
        ValueError: there is no data set of this name, or its files are damaged.
        FileNotFoundError: it is in none of these places; the message names every way to get it.
    """
    found = find_local(name)
    if found is not None:
        return found
    try:
        return FETCHED[name].downloaded()
    except DownloadFailed as error:
        folder = data_folder()
        looked = f"not in {folder}" if folder else "RETRIEVAL_DATA is not set"
        raise FileNotFoundError(
            f"{name} was not found: {looked}, there is no earlier download, and {error}. To get it: "
            f"(1) {HOW_TO_GET[name]}; or (2) run `python -m retrieval_lib data` where there is a network "
            f"(about {SIZES[name]})."
        ) from error
