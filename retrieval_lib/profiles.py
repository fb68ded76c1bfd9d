"""How much a run does: seconds for a test, minutes for a page, hours for a paper's setting."""

import os

PROFILES = ("quick", "book", "full")


def current_profile() -> str:
    """The profile that the environment variable `RETRIEVAL_PROFILE` names; `book` where it is unset.

    `quick` is for tests and always uses the embedded images, `book` is what the pages show, `full` is the
    papers' settings on a GPU. A profile changes sizes and steps, never code.

    Raises:
        ValueError: the variable holds another word.
    """
    name = os.environ.get("RETRIEVAL_PROFILE") or "book"
    if name not in PROFILES:
        raise ValueError(f"RETRIEVAL_PROFILE is {name!r}; it must be one of {', '.join(PROFILES)}.")
    return name
