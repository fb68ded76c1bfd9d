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


WATCH_FOCUS = """() => {
  const selector = 'a[href], button, input, select, textarea, summary, [tabindex]';
  window.reachable = [...document.querySelectorAll(selector)].filter(
      e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({visibilityProperty: true}));
  window.reached = [];
  document.addEventListener('focusin', event => {
    const e = event.target, style = getComputedStyle(e);
    window.reached.push({
      place: window.reachable.indexOf(e),
      where: e.closest('.bd-sidebar-primary') ? 'navigation' : e.closest('article') ? 'content'
             : e.closest('.bd-header-article') ? 'header' : 'other',
      seen: style.outlineStyle !== 'none' || style.boxShadow !== 'none',
      what: e.outerHTML.slice(0, 90)});
  });
  return window.reachable.length;
}"""


def tab_through(page: Page) -> tuple[int, list[dict]]:
    """How many elements a keyboard should reach, and those that the Tab key does, in its order."""
    count = page.evaluate(WATCH_FOCUS)
    for _ in range(count):
        page.keyboard.press("Tab")
    return count, page.evaluate("window.reached")


def out_of_order(count: int, reached: list[dict]) -> list[str]:
    """Elements that the Tab key skips, or reaches in another order than they are read in, or shows no focus on."""
    places = [element["place"] for element in reached]
    wrong = [e["what"] for e, place in zip(reached, range(count), strict=False) if e["place"] != place]
    if wrong or len(places) < count:
        return [f"{len(set(range(count)) - set(places))} of {count} elements are not reached", *wrong[:3]]
    return [f"no focus is seen on {e['what']}" for e in reached if not e["seen"]]
