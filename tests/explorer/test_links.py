"""A link holds the whole page, and a hostile one does no harm."""

import numpy as np

from .screen import COLOURS, HOSTILE, cell_of, file_of, follow, opened, output, state, until


def test_links_lead_back(visit):
    """A link restores every setting, and the picture that was opened."""
    page = visit("#pic=count&p=valid")
    page.set_input_files("#file", file_of(COLOURS))
    opened(page)
    page.click("#colour >> text=summed")
    page.fill("#kernel-grid input >> nth=0", "0.25")
    page.fill("#stride-1", "2")
    page.click("#padding >> text=Full")
    page.select_option("#border", "wrap")
    page.locator("#output-canvas").scroll_into_view_if_needed()
    page.mouse.click(*cell_of(page, "output", 2, 1))
    until(page, "location.hash.includes('pin=output,2,1')")
    fragment = page.evaluate("location.hash")
    again = visit(fragment)
    assert state(again) == state(page)
    np.testing.assert_array_equal(output(again), output(page))
    again.evaluate("location.hash = '#op=max&w=3,3&pic=dot&p=valid'")
    until(again, "explorer.state.operation === 'max'")
    assert output(again).shape == (5, 5, 1)


def test_hostile_links(visit):
    """Values in a link are validated, and never become elements of the page."""
    page = visit()
    for key in ("op", "k", "s", "p", "b", "c", "l", "pic", "own", "at", "pin", "side", "corner"):
        said = follow(page, f"#{key}={HOSTILE}")
        assert said == f"Part of the link makes no sense and was left out: {key}."
        assert page.locator("img, main script").count() == 0
        assert page.evaluate("explorer.output !== null")


def test_links_with_wrong_numbers(visit):
    """Parts of a link with wrong numbers are left out, and the page names them."""
    page = visit()
    for fragment in (
        *("k=1,2;3", "k=1e9", "k=1|2", "s=0,1", "s=1,17", "w=12,1", "p=1,2,3", "p=99,0,0,0"),
        *("d=0,0", "own=2,2,1,9,AAAA", "own=2,2,1,9,*", "own=2,2,2,9,AAAAAAAAAAA", "at=1"),
    ):
        assert follow(page, f"#{fragment}").endswith(f" {fragment.partition('=')[0]}."), fragment


def test_hostile_names(visit):
    """The name of a file, or in a link, is shown as text."""
    page = visit()
    page.set_input_files("#file", file_of(COLOURS, name=HOSTILE.replace("/", "") + ".png"))
    opened(page)
    until(page, "location.hash.includes('own=')")
    assert page.locator("img, main script").count() == 0
    again = visit(page.evaluate("location.hash"))
    assert again.locator("img, main script").count() == 0
    label = again.locator("#samples button").last.get_attribute("aria-label")
    assert label.startswith("<img src=x")


def test_the_policy_forbids_the_network_and_foreign_scripts(browser, page_file):
    """The browser blocks requests and scripts of anything that gets into the page."""
    page = browser.new_page()
    page.goto(page_file.as_uri())
    refused = page.evaluate(
        """async () => {
          const refused = [];
          addEventListener("securitypolicyviolation", (e) => refused.push(e.effectiveDirective));
          await fetch("https://example.org").catch(() => {});
          const script = document.createElement("script");
          script.textContent = "globalThis.foreign = 1";
          document.body.append(script);
          const image = new Image();
          image.src = "https://example.org/x.png";
          const bold = "<b onclick='foreign = 1' style='color: red'>x</b>";
          document.body.insertAdjacentHTML("beforeend", bold);
          document.body.lastElementChild.click();
          await new Promise((resolve) => setTimeout(resolve, 200));
          return [refused.sort(), globalThis.foreign];
        }"""
    )
    page.close()
    names, foreign = refused
    assert {"connect-src", "img-src", "script-src-elem", "style-src-attr"} <= set(names)
    assert {name for name in names if name.startswith("script-src")}
    assert foreign is None
