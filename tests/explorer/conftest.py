"""A browser for all tests, and pages in it that may not complain."""

import shutil

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


@pytest.fixture
def visit(browser, page_file):
    """Open the page, or another file, and fail if it ever complains or asks for the network."""
    opened, complaints = [], []

    def listen(page):
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: requests.append(r.url))

    requests = []

    def visit(fragment="", file=page_file, **options):
        options = {"viewport": {"width": 1280, "height": 900}} | options
        context = browser.new_context(**options)
        opened.append(context)
        page = context.new_page()
        listen(page)
        page.goto(file.as_uri() + fragment)
        return page

    visit.complaints = complaints
    yield visit
    for context in opened:
        context.close()
    assert complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests), requests
