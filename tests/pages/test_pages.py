"""Every page of the book in a real browser."""

from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.pages.conftest import built_pages
from tests.pages.page_checks import (
    dead_links,
    images_without_words,
    out_of_order,
    raw_formulas,
    tab_through,
    wider_than_screen,
)

pytestmark = pytest.mark.browser

BY_SPHINX = ["genindex.html", "search.html"]
PAGES = sorted(p.relative_to(built_pages()).as_posix() for p in built_pages().glob("book/*.html")) + BY_SPHINX


def test_there_are_pages():
    assert "book/index.html" in PAGES and "book/hashing_basics.html" in PAGES


@pytest.mark.parametrize("how", ["http", "file"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_without_a_network(visit, address_of, name, how):
    page, outside, errors = visit(address_of(name, how))
    assert outside == []
    assert errors == []
    assert raw_formulas(page) == []
    assert images_without_words(page) == []
    assert dead_links(page) == []


@pytest.mark.parametrize("how", ["http", "file"])
def test_search_finds_pages(visit, html, served, how):
    page, outside, errors = visit((served if how == "http" else html.as_uri()) + "/search.html?q=hashing")
    page.wait_for_function("document.querySelector('.search-summary, #search-results p')?.innerText.includes('found')")
    page.wait_for_load_state("networkidle")
    assert page.locator("#search-results a[href*='hashing_basics']").count() > 0
    assert outside == [] and errors == []


@pytest.mark.parametrize("how", ["http", "file"])
def test_the_address_of_the_book_leads_to_its_first_page(visit, address_of, how):
    page, outside, errors = visit(address_of("index.html", how))
    page.wait_for_url("**/book/index.html")
    page.wait_for_load_state("load")
    assert outside == [] and errors == []


@pytest.mark.parametrize("how", ["http", "file"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(visit, address_of, name, theme, how):
    page, _, _ = visit(address_of(name, how), theme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    violations = Axe().run(page).response["violations"]
    told = [f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:160]} … {len(v['nodes'])} places" for v in violations]
    assert told == []


@pytest.mark.parametrize("how", ["http", "file"])
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone(visit, address_of, name, how):
    page, _, _ = visit(address_of(name, how), width=390)
    assert wider_than_screen(page) <= 0


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_arrive(html, visit, address_of, name):
    page, _, _ = visit(address_of(name, "http"))
    base = address_of(name, "http")
    missing = []
    for href in page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))"):
        target, fragment = urldefrag(urljoin(base, href))
        if urlsplit(target).netloc != urlsplit(base).netloc:
            continue
        path = html / unquote(urlsplit(target).path).lstrip("/")
        if not path.exists() or (
            fragment and path.suffix == ".html" and f'id="{unquote(fragment)}"' not in path.read_text()
        ):
            missing.append(href)
    assert missing == []


@pytest.mark.parametrize("how", ["http", "file"])
@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_everything_in_reading_order_and_is_seen(visit, address_of, name, how):
    page, _, _ = visit(address_of(name, how))
    count, reached = tab_through(page)
    assert out_of_order(count, reached) == []
    assert {"navigation", "header"} <= {element["where"] for element in reached}


def test_figures_keep_their_light_ground_on_a_dark_page(visit, address_of):
    page, _, _ = visit(address_of("book/hashing_basics.html", "http"), theme="dark")
    filters = page.evaluate(
        "[...document.querySelectorAll('article .cell_output img')].map(i => getComputedStyle(i).filter)"
    )
    assert len(filters) >= 5 and set(filters) == {"none"}


def test_a_formula_left_raw_is_found(visit, tmp_path):
    (tmp_path / "raw.html").write_text(
        "<main><p>so \\(x^2\\) stays, and $\\tau = 1$; it costs 5 $</p><span class='math'>x</span></main>"
    )
    page, _, _ = visit((tmp_path / "raw.html").as_uri())
    found = raw_formulas(page)
    assert len(found) == 3 and "$\\tau = 1$ in" in found[1]


def test_a_request_to_outside_is_found(visit, tmp_path):
    (tmp_path / "out.html").write_text(
        "<main><img src='https://example.org/badge.png' alt='a badge from outside'></main>"
    )
    _, outside, _ = visit((tmp_path / "out.html").as_uri())
    assert outside == ["https://example.org/badge.png"]


def test_an_error_of_a_script_is_found(visit, tmp_path):
    (tmp_path / "bad.html").write_text("<main>x</main><script>console.error('said'); missing()</script>")
    _, _, errors = visit((tmp_path / "bad.html").as_uri())
    assert len(errors) == 2 and errors[0] == "said" and "missing" in errors[1]


def test_a_missing_alt_text_and_a_wide_page_are_found(visit, tmp_path):
    pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
    (tmp_path / "p.html").write_text(
        f"<main><img src='{pixel}'><div style='width:3000px'>x</div><a href='#no'>y</a></main>"
    )
    page, _, _ = visit((tmp_path / "p.html").as_uri(), width=390)
    assert len(images_without_words(page)) == 1 and wider_than_screen(page) > 2000 and dead_links(page) == ["no"]


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ("<a href='#a' tabindex='1'>b</a>", "0 of 3 elements are not reached"),
        ("<a href='#a' style='outline: none'>b</a>", "no focus is seen on"),
        ("<a href='#a' onfocus='this.nextElementSibling.remove()'>b</a>", "1 of 3 elements are not reached"),
    ],
)
def test_a_wrong_order_an_unseen_focus_and_a_skipped_element_are_found(visit, tmp_path, second, told):
    (tmp_path / "t.html").write_text(f"<main id='a'><a href='#a'>a</a> {second} <a href='#a'>c</a></main>")
    page, _, _ = visit((tmp_path / "t.html").as_uri())
    assert told in out_of_order(*tab_through(page))[0]
