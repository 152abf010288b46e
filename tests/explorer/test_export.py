"""What is on the page can be saved and copied."""

import struct
import zlib

import numpy as np
from PIL import Image

from .screen import EDGE, output, until


def chunks(png):
    """The chunks of a PNG, as (name, data), each with a checksum that is right."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            name + data
        )
        yield name, data
        at += 12 + length


def test_saving_the_output(visit, tmp_path):
    """The output is saved as a PNG in the colours of the page."""
    page = visit(EDGE)
    with page.expect_download() as download:
        page.click("#save-output")
    download.value.save_as(tmp_path / "output.png")
    image = np.asarray(Image.open(tmp_path / "output.png").convert("RGB"))
    assert image.shape == (510, 510, 3)
    zero = image[40, 400]
    assert tuple(zero) == (243, 240, 233)


def test_saving_the_animation(visit, tmp_path):
    """The animated PNG has a frame for each place of the window, and all of them differ."""
    page = visit("#pic=count&k=1,1;1,1&p=valid")
    with page.expect_download() as download:
        page.click("#save-animation")
    download.value.save_as(tmp_path / "animation.png")
    names = [name for name, _ in chunks((tmp_path / "animation.png").read_bytes())]
    assert names.count(b"fcTL") == 25
    with Image.open(tmp_path / "animation.png") as image:
        assert image.n_frames == 25
        frames = []
        for n in range(25):
            image.seek(n)
            frames.append(np.asarray(image.convert("RGB")).tobytes())
    assert len(set(frames)) == 25
    assert "25 frames" in page.inner_text("#keep-note")


def test_copying(visit):
    """The program, the picture as NumPy code and the link can be copied, and the code runs."""
    page = visit(EDGE, permissions=["clipboard-read", "clipboard-write"])
    names = {}
    page.click("#image-copy")
    until(page, "document.getElementById('image-copy').textContent === 'Copied'")
    exec(page.evaluate("navigator.clipboard.readText()"), names)
    page.click("#code-copy")
    until(page, "document.getElementById('code-copy').textContent === 'Copied'")
    exec(page.evaluate("navigator.clipboard.readText()"), names)
    np.testing.assert_array_equal(names["output"], output(page)[..., 0])
    page.click("#link-copy")
    until(page, "document.getElementById('link-copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == page.evaluate("location.href")
    page.click("#libraries >> text=SciPy")
    assert "from scipy import signal" in page.inner_text("#code")
    page = visit("#op=avg&w=2,2&d=2,2&pic=count&p=valid")
    page.click("#libraries >> text=PyTorch")
    assert page.inner_text("#code") == "# PyTorch has no call for this."
    assert page.is_hidden("#code-copy")
