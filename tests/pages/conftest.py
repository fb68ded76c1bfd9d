"""A real browser on the built pages, over http and as plain files."""

import functools
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def built_pages() -> Path:
    """The folder of the built HTML: `RETRIEVAL_HTML`, or that of the committed outputs."""
    named = os.environ.get("RETRIEVAL_HTML")
    default = Path(__file__).resolve().parents[2] / "_build" / "committed" / "_build" / "html"
    return Path(named) if named else default


@pytest.fixture(scope="session")
def html() -> Path:
    folder = built_pages()
    assert (folder / "index.html").is_file(), f"There are no pages in {folder}; run `make html` first."
    return folder


@pytest.fixture(scope="session")
def browser():
    path = os.environ.get("BROWSER_PATH") or next((shutil.which(b) for b in BROWSERS if shutil.which(b)), None)
    assert path, "There is no Chromium; on Debian: apt install chromium."
    flags = ["--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=flags, chromium_sandbox=False)
        yield started
        started.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing: the tests report what matters."""


@pytest.fixture(scope="session")
def served(html):
    """The pages' address over http."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def address_of(html, served):
    """The address of a page, over `http` or as `file`."""
    return lambda page, how: f"{served}/{page}" if how == "http" else (html / page).as_uri()


@pytest.fixture
def visit(browser):
    """Open an address and watch it: gives the page, its requests to other hosts, and its errors."""
    contexts = []

    def open_page(address: str, *, theme: str | None = None, width: int = 1280):
        """Without a theme this is a reader's first visit, who has chosen none."""
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme or "light")
        contexts.append(context)
        if theme:
            context.add_init_script(
                f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
            )
        page = context.new_page()
        outside, errors = [], []

        def route(request_route):
            url = request_route.request.url
            if url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")):
                request_route.continue_()
            else:
                outside.append(url)
                request_route.abort()

        page.route("**/*", route)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address, wait_until="load")
        page.wait_for_function("!window.MathJax || !MathJax.startup || !MathJax.startup.promise || "
                               "MathJax.startup.promise.then(() => true)")  # fmt: skip
        return page, outside, errors

    yield open_page
    for context in contexts:
        context.close()
