"""The page is drawn quickly, in colours that can be read, and in notebooks as well."""

import json
import re

import numpy as np
import pytest

import convlens

from .screen import EDGE, output


def test_redraws_within_a_frame(visit):
    """128 x 128 pixels under a 7 x 7 kernel are computed and drawn in 16 ms of processor time."""
    kernel = ";".join([",".join(["1"] * 7)] * 7)
    page = visit(f"#pic=cat&side=128&p=same&k={kernel}")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used():
        """Milliseconds of processor time that the page's thread has used for what tests run."""
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * {m["name"]: m["value"] for m in metrics}["DevToolsCommandDuration"]

    times = []
    for n in range(15):
        before = used()
        page.evaluate(
            """(n) => {
              const layers = explorer.state.layers;
              layers[0][3][3] = n;
              explorer.set({ layers });
              document.body.offsetHeight; // the layout, too
            }""",
            n,
        )
        times.append(used() - before)
    assert page.evaluate("explorer.axes.map((axis) => axis.outputs)") == [128, 128]
    assert 0 < min(times) < 16, times


def luminance(colour):
    """WCAG's relative luminance."""
    parts = np.array(colour) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


# All text that is to be seen: its colour, that behind it, and what it says.
SPOKEN = """() => {
  const rgb = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const backdrop = (element) => {
    while (element) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
      element = element.parentElement;
    }
  };
  const speaks = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && !e.disabled && speaks(e))
    .map((e) => [rgb(getComputedStyle(e).color), rgb(backdrop(e)), e.textContent]);
}"""


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_looks(visit, width):
    """Text has the contrast of WCAG AA, nothing overflows the screen, and both themes work."""
    page = visit(EDGE, reduced_motion="reduce", viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.fill("#window-0", "11")
    page.fill("#window-1", "11")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.set_viewport_size({"width": width, "height": 900})
    for scheme in ("dark", "light"):  # in the end it is light, as in the beginning
        page.emulate_media(color_scheme=scheme)
        pairs = page.evaluate(SPOKEN)
        assert len(pairs) > 60
        for ink, paper, *where in pairs:
            light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (where, ink, paper)
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance([int(n) for n in re.findall(r"\d+", body)][:3]) > 0.5) == (
            scheme == "light"
        )


def test_in_a_notebook(browser, tmp_path):
    """The page works in the sandboxed frame that notebooks show."""
    frame = convlens.explore()._repr_html_()
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><body>{frame}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "notebook.html").as_uri())
    inside = page.frame_locator("iframe")
    inside.locator("text=Max pool").click()
    assert inside.locator("#output-size").inner_text() == "8 × 8"
    page.close()


def test_the_data_are_data(page_file):
    """The page is under 300 kB without pictures, and no data can end their script element."""
    text = page_file.read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="data">(.*)</script>\n', text)[1]
    assert "<" not in data
    pictures = json.loads(data)["photographs"]
    assert len(text.encode()) - sum(len(picture["data"]) for picture in pictures) < 300_000


def test_colours_of_results(visit):
    """Results of three channels are a photograph if brightness is kept, else shown around gray."""
    page = visit("#pic=cat&side=16&c=each&p=valid&k=0,-1,0;-1,5,-1;0,-1,0")
    assert page.inner_text("#output-note") == (
        "Shown as a photograph: below 0 is black, above 255 white."
    )
    page.select_option("#preset", label="outline")
    assert page.inner_text("#output-note") == "Grey is zero in every channel."
    page.click("#layer-choice >> text=Blue")
    assert page.inner_text("#output-note") == "Orange is above zero, blue below."
    low, high = page.inner_text("#legend-low"), page.inner_text("#legend-high")
    assert low == f"−{high}"
    assert int(high) == abs(output(page)).max()
