"""A browser for all tests, and pages in it that may not complain."""

import shutil
from collections import defaultdict

import pytest
from playwright.sync_api import sync_playwright

import convlens

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser():
    """A Chromium without a window, shared by all tests."""
    if CHROMIUM is None:
        pytest.skip("THE EXPLORER IS NOT TESTED: no chromium here; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """The page that `explore()` makes, saved to a file."""
    return convlens.explore().save(tmp_path_factory.mktemp("explorer") / "explorer.html")


@pytest.fixture(scope="module")
def pages(browser):
    """Pages for one test after another, by their options: a new one takes as long as a test."""
    idle = defaultdict(list)
    yield idle
    for context in browser.contexts:
        context.close()


@pytest.fixture
def visit(browser, page_file, pages):
    """Open the page, or another file, and fail if it ever complains or asks for the network."""
    opened, complaints, requests = [], [], []
    listeners = {
        "pageerror": lambda error: complaints.append(f"error: {error}"),
        "console": lambda m: complaints.append(m.text) if m.type == "error" else None,
        "request": lambda r: requests.append(r.url),
    }

    def visit(fragment="", file=page_file, **options):
        options = {"viewport": {"width": 1280, "height": 900}} | options
        idle = pages[repr(sorted(options.items()))]
        page = idle.pop() if idle else browser.new_context(**options).new_page()
        opened.append((page, options["viewport"], idle))
        for event, listener in listeners.items():
            page.on(event, listener)
        page.goto(file.as_uri() + fragment)
        return page

    visit.complaints = complaints
    yield visit
    for page, viewport, idle in opened:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
        page.goto("about:blank")  # what comes next begins anew, with nothing of this document
        page.mouse.up()
        page.mouse.move(0, 0)
        page.set_viewport_size(viewport)
        idle.append(page)
    assert complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests), requests
