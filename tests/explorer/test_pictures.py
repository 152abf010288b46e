"""People open, paste, drop and draw pictures of their own."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from .screen import COLOURS, EDGE, file_of, opened, output, state, stroke, until


def test_opening_a_png(visit):
    """The pixels of an opened PNG arrive unchanged."""
    page = visit("#k=1&p=valid")
    page.set_input_files("#file", file_of(COLOURS))
    opened(page)
    page.click("#colour >> text=Each")
    np.testing.assert_array_equal(output(page), COLOURS)


def test_opening_a_jpeg_that_is_large(visit):
    """A large picture is scaled or shown in part, and the page says which."""
    photo = np.full((600, 900, 3), (200, 100, 50), np.uint8)
    page = visit("#k=1&p=valid")
    page.set_input_files("#file", file_of(photo, "JPEG"))
    opened(page)
    assert page.inner_text("#input-note") == "Scaled from 341 × 512 pixels."
    assert page.inner_text("#picture-note") == (
        "Opened at 341 × 512; the file has 600 × 900 pixels. "
        "It has colours; Channels says how they are used."
    )
    assert output(page).shape == (21, 32, 1)
    page.select_option("#fit", "region")
    page.select_option("#side", "16")
    page.fill("#corner-1", "100")
    assert page.inner_text("#fit-note").endswith("You see 16 × 16 of its 341 × 512 pixels.")
    assert abs(output(page) - 124).max() < 3  # the brightness of that orange


@pytest.mark.parametrize("name", ["notes.png", "<img src=x onerror=alert(1)>.png"])
def test_a_file_that_is_no_picture(visit, name):
    """The file is refused in a sentence that shows its name as text, whatever the name is."""
    page = visit(EDGE)
    file = {"name": name, "mimeType": "image/png", "buffer": b"no picture at all"}
    page.set_input_files("#file", file)
    until(page, "document.getElementById('notice').textContent !== ''")
    assert page.inner_text("#notice") == (
        f"“{name}” could not be read as a picture; PNG, JPEG, GIF, WebP and BMP work."
    )
    assert page.locator("#notice *").count() == 0
    assert state(page)["picture"] == "edge"


def test_a_huge_file(visit):
    """100 million pixels in 100 kilobytes are refused before they are unpacked."""
    side = 10_000

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    squeezed = zlib.compressobj(9)
    line = b"\0" * (1 + side // 8)
    pixels = b"".join(squeezed.compress(line) for _ in range(side)) + squeezed.flush()
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    png += chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    page = visit(EDGE)
    page.set_input_files("#file", {"name": "huge.png", "mimeType": "image/png", "buffer": png})
    until(page, "document.getElementById('notice').textContent !== ''")
    assert page.inner_text("#notice") == (
        "“huge.png” is 10000 × 10000 pixels; the page takes up to 64 million."
    )
    assert state(page)["picture"] == "edge"


TRANSFER = """([target, kind, text]) => {
  const data = new DataTransfer();
  if (text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], "brought.png", { type: "image/png" }));
  } else data.setData("text/plain", "words");
  const options = { bubbles: true, cancelable: true };
  document.querySelector(target).dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: data })
    : new DragEvent(kind, { ...options, dataTransfer: data }));
}"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_bringing_a_picture(visit, kind):
    """A picture can be pasted or dropped; pasted text is refused in a sentence."""
    page = visit("#k=1&p=valid")
    page.evaluate(TRANSFER, ["body", kind, None])
    assert page.inner_text("#notice").startswith(f"What was {kind}{'p' if kind == 'drop' else ''}")
    gray = COLOURS[..., 0]
    data = base64.b64encode(file_of(gray)["buffer"]).decode()
    page.evaluate(TRANSFER, ["body", kind, data])
    opened(page)
    np.testing.assert_array_equal(output(page)[..., 0], gray)
    assert page.inner_text("#notice") == ""


def test_what_a_browser_leaves_out_is_said(visit):
    """Bits, frames and transparency that are lost, and colours that are not used, are named."""
    page = visit("#k=1&p=valid")

    def note_of(file):
        page.set_input_files("#file", file)
        until(
            page, f"document.querySelector('#samples button:last-child').title === '{file['name']}'"
        )
        return page.inner_text("#picture-note")

    deep = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert note_of(file_of(deep, name="deep.png")) == (
        "The file has 16 bits for each number, 0 to 65535; browsers keep 8, so the page has 0 to "
        "255."
    )
    clear = np.full((4, 4, 4), (0, 0, 0, 128), np.uint8)
    assert note_of(file_of(clear, name="clear.png")) == "What is transparent in it is white here."
    assert output(page).max() == 127
    assert note_of(file_of(clear[..., 0], name="plain.png")) == ""
    frames = [Image.fromarray(np.full((5, 5), 90 * n, np.uint8)) for n in range(3)]
    for kind in ("GIF", "PNG", "WEBP"):
        for count in (1, 3):
            data = io.BytesIO()
            frames[0].save(data, kind, save_all=True, append_images=frames[1:count])
            name = f"{count}.{kind}"
            file = {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": data.getvalue()}
            expected = "The file is an animation; this is its first frame." if count > 1 else ""
            assert note_of(file) == expected, name


def test_drawing(visit):
    """Strokes of the mouse become ink, and the drawing is a picture like any other."""
    page = visit("#k=1&p=valid&pic=count")
    page.click("#draw-open")
    assert state(page)["picture"] == "count"  # until the first stroke
    stroke(page, (8, 3), (8, 13))
    drawn = output(page)[..., 0]
    assert drawn.shape == (16, 16)
    assert drawn.max() == 9
    assert (drawn[4:12, 7:9] == 9).all()
    assert drawn[:, :5].max() == 0
    page.click("#draw-clear")
    assert output(page).max() == 0
    page.click("#draw-close")
    assert page.evaluate("document.activeElement.id") == "draw-open"


def test_drawing_by_keys(visit):
    """Arrows move the pen, and Space puts it down and lifts it."""
    page = visit("#k=1&p=valid&pic=count")
    page.focus("#draw-open")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "drawing-canvas"
    page.keyboard.press("ArrowUp")
    assert state(page)["picture"] == "count"
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#drawing-note") == "The pen is up at row 8, column 11."
    drawn = output(page)[..., 0]
    assert (drawn[7, 8:12] == 9).all()
    assert drawn[10:].max() == 0
