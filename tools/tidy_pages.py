"""Take out of built pages what the theme puts in and this book does not use.

- Thebe (running cells from the page): off, but its scripts are added all the same, twice, which is an error in the
  browser's console.
- Preloading of icon fonts: refused on pages that are opened as files, which is another such error.
"""

import re
from pathlib import Path

UNWANTED = re.compile(
    r'<link rel="preload" as="font"[^>]*>\n?'
    r'|<link rel="stylesheet"[^>]*sphinx-thebe\.css[^>]*>\n?'
    r"|<script[^>]*sphinx-thebe\.js[^>]*></script>\n?"
    r"|<script>const THEBE_JS_URL.*?</script>\n?"
    r'|<script type="text/x-thebe-config">.*?</script>\n?'
    r"|<script>kernelName = .*?</script>\n?",
    re.DOTALL,
)


def tidy_pages(folder: Path) -> None:
    """Clean every page in a folder; a page that is clean already stays as it is."""
    for path in folder.rglob("*.html"):
        before = path.read_text(encoding="utf-8")
        after = UNWANTED.sub("", before)
        if after != before:
            path.write_text(after, encoding="utf-8")
