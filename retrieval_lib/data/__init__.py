"""Images: where they come from, how they are read, and which of them are queries, database and training images."""

from retrieval_lib.data.cache import cache_folder
from retrieval_lib.data.catalogue import KNOWN, load
from retrieval_lib.data.choose import Choice, choose
from retrieval_lib.data.folder import load_folder
from retrieval_lib.data.images import ImageSet, image_set
from retrieval_lib.data.lists import load_lists
from retrieval_lib.data.prepare import describe_downloads, prepare
from retrieval_lib.data.protocols import PROTOCOLS, make_split, protocol_for
from retrieval_lib.data.splits import Search, Split

__all__ = [
    "KNOWN",
    "PROTOCOLS",
    "Choice",
    "ImageSet",
    "Search",
    "Split",
    "cache_folder",
    "choose",
    "describe_downloads",
    "image_set",
    "load",
    "load_folder",
    "load_lists",
    "make_split",
    "prepare",
    "protocol_for",
]
