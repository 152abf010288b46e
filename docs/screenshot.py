"""Draw the README's picture of the explorer, for ``make screenshot``; it needs chromium."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import convlens

VIEW = "#op=convolve&k=-1,0,1;-2,0,2;-1,0,1&p=same&pic=digit"


def main() -> None:
    """Save the first screen of the page to the named file, in 256 colours to keep it small."""
    chromium = shutil.which("chromium")
    if len(sys.argv) != 2 or chromium is None:
        sys.exit("usage: screenshot.py FILE, where chromium is installed")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        page_file = convlens.explore().save(Path(folder) / "explorer.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 940}, device_scale_factor=1.25)
        page.goto(page_file.as_uri() + VIEW)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    shot.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(sys.argv[1], optimize=True)
    print(f"{sys.argv[1]}: {Path(sys.argv[1]).stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
