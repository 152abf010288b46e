"""What the tests of the page share: links, pictures, how to look, point, open, draw and check."""

import io
import time
from importlib import resources

import numpy as np
from PIL import Image

EDGE = "#pic=edge&k=1,0,-1;1,0,-1;1,0,-1&p=valid"  # 8 x 8 pixels, 6 x 6 outputs
SAME = EDGE.replace("valid", "same")
OTHER = "#op=max&w=3,3&pic=dot&p=valid"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
COLOURS = np.random.default_rng(3).integers(0, 256, (12, 10, 3), np.uint8)


def state(page):
    """The state of the page."""
    return page.evaluate("explorer.state")


def output(page):
    """The output on the page: (oh, ow, c)."""
    found = page.evaluate("(({h, w, c, data}) => [[h, w, c], [...data]])(explorer.output)")
    return np.array(found[1]).reshape(found[0])


def until(page, condition):
    """Wait until a condition holds, as the page's policy forbids Playwright's own way to."""
    end = time.monotonic() + 10
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def sentence(page):
    """What the page says about what is pointed at."""
    return page.inner_text("#worked-sentence")


def cell_of(page, panel, row, column):
    """The middle of a pixel, on the screen; the padding's rows and columns are below 0."""
    return page.evaluate(
        """([panel, row, column]) => {
          const [rows, columns] = explorer.axes;
          const out = panel === "output";
          const [before, cells] = out ? [[0, 0], [rows.outputs, columns.outputs]]
            : [[rows.before, columns.before], [rows.cells, columns.cells]];
          const box = document.querySelector(`#${panel}-canvas canvas`).getBoundingClientRect();
          const at = (start, length, n, all) => start + 2 + ((n + 0.5) * (length - 4)) / all;
          return [at(box.left, box.width, column + before[1], cells[1]),
            at(box.top, box.height, row + before[0], cells[0])];
        }""",
        [panel, row, column],
    )


def point(page, panel, row, column):
    """Move the mouse to a pixel."""
    page.mouse.move(*cell_of(page, panel, row, column))


def marked(page, panel):
    """The number of bytes of a panel's upper canvas that are covered by marks."""
    return page.evaluate(
        """(panel) => {
          const canvas = document.querySelectorAll(`#${panel}-canvas canvas`)[1];
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((_, n) => n % 4 === 3 && data[n] > 0).length;
        }""",
        panel,
    )


def file_of(image, kind="PNG", name=None):
    """A picture as a file to upload."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, kind)
    return {
        "name": name or f"picture.{kind.lower()}",
        "mimeType": f"image/{kind.lower()}",
        "buffer": data.getvalue(),
    }


def opened(page):
    """Wait until the page shows an opened picture."""
    until(page, "explorer.state.picture === 'own'")


def stroke(page, *points):
    """Open the canvas if need be, and draw a line through points, in its pixels."""
    if page.is_hidden("#drawing"):
        page.click("#draw-open")
    page.locator("#drawing-canvas").scroll_into_view_if_needed()
    box = page.locator("#drawing-canvas").bounding_box()
    for n, (x, y) in enumerate(points):
        page.mouse.move(
            box["x"] + box["width"] * x / 16, box["y"] + box["height"] * y / 16, steps=5
        )
        if n == 0:
            page.mouse.down()
    page.mouse.up()


def follow(page, fragment):
    """Follow another link on the same page; returns what the page says of it."""
    page.evaluate("(hash) => { location.hash = hash; }", fragment)
    page.evaluate("new Promise((done) => setTimeout(done, 30))")
    return page.inner_text("#notice")


def violations(page):
    """What axe-core finds wrong, as (rule, what is wrong, the first element).

    It checks what of WCAG and of good practice can be checked without a person.
    """
    if not page.evaluate("'axe' in globalThis"):
        axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
        page.evaluate(f"{axe};0")
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 20
    return [(each["id"], each["help"], each["nodes"][0]["html"]) for each in found["violations"]]
