"""What must be true of an open page; each returns what is wrong, nothing where all is well."""

import re

from playwright.sync_api import Page

VISIBLE_TEXT = """() => {
  const clone = document.querySelector('article, main, body').cloneNode(true);
  clone.querySelectorAll('pre, code, script, style, mjx-container, .highlight').forEach(e => e.remove());
  return clone.textContent;
}"""


def raw_formulas(page: Page) -> list[str]:
    """Formula source that a reader would see as text."""
    text = page.evaluate(VISIBLE_TEXT)
    marks = ("\\(", "\\[", "$$", "\\frac", "\\sum", "\\mathrm", "\\lVert")
    marks += tuple(re.findall(r"\$[^$\s][^$\n]*\$", text)[:3])  # between single dollars
    found = [
        f"{mark} in …{text[max(0, text.index(mark) - 30) : text.index(mark) + 40]}…" for mark in marks if mark in text
    ]
    waiting = page.evaluate(
        "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container')).length"
    )
    if waiting:
        found.append(f"{waiting} formulas were not drawn")
    return found


def images_without_words(page: Page) -> list[str]:
    """Images whose alternative text is missing or says nothing."""
    return page.evaluate("""() => [...document.querySelectorAll('article img, main img')]
        .filter(i => (i.alt || '').trim().split(/\\s+/).length < 3 || i.naturalWidth === 0)
        .map(i => i.src + ' alt=' + i.alt)""")


def wider_than_screen(page: Page) -> int:
    """By how many pixels the page can be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def dead_links(page: Page) -> list[str]:
    """Links within this page to places that it does not have."""
    return page.evaluate("""() => [...document.querySelectorAll('a[href^="#"]')]
        .map(a => decodeURIComponent(a.getAttribute('href').slice(1)))
        .filter(id => id && !document.getElementById(id) && !document.getElementsByName(id).length)""")
