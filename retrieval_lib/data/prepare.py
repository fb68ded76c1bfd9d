"""Get the book's images ready before its chapters run: sizes told first, everything fetched and decoded once."""

from retrieval_lib.data.catalogue import find_local
from retrieval_lib.data.choose import PREFERRED, TITLES, choose
from retrieval_lib.data.download import SIZES, downloads_allowed


def describe_downloads() -> list[str]:
    """A line for each data set that would be downloaded, with its size; empty where nothing would be."""
    if not downloads_allowed():
        return []
    wanted = [better for better, _ in PREFERRED.values()]
    return [f"{TITLES[name]}: about {SIZES[name]}" for name in wanted if find_local(name) is None]


def prepare() -> dict[str, dict]:
    """Fetch and decode what the book uses, and describe it.

    Returns:
        For each kind of images: name, source, content_hash, count and reason of the choice (all JSON-able).
    """
    prepared = {}
    for kind in PREFERRED:
        choice = choose(kind)
        images = choice.images
        prepared[kind] = {
            "name": images.name,
            "source": images.source,
            "content_hash": images.content_hash,
            "count": len(images),
            "reason": choice.reason,
        }
    return prepared
