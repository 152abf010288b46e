"""Mark the cells in a picture that was taken through a microscope.

The light falls from one side, and the sensor adds noise and dead pixels. The program takes out the
noise, takes off the background, finds the cells and draws their outlines. It needs SciPy's filters;
convlens has the same ones, so that the import below may also be ``from convlens import ndimage``.
"""

import sys

import numpy as np
from scipy import ndimage


def taken(side: int = 400, cells: int = 40, seed: int = 0) -> np.ndarray:
    """A picture (side, side) of uint8, as the microscope gives it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    picture = 30 + 60 * x / side + 20 * y / side
    for row, column, radius in rng.uniform((0, 0, 6), (side, side, 13), (cells, 3)):
        distance = np.hypot(y - row, x - column)
        picture += 70 * (np.clip(radius - distance, -1, 1) + 1) / 2
    picture += rng.normal(0, 6, picture.shape)
    dead = rng.random(picture.shape) < 0.01
    picture[dead] = rng.choice([0, 255], dead.sum())
    return picture.clip(0, 255).astype(np.uint8)


def threshold(picture: np.ndarray) -> int:
    """The level that divides the pixels into two classes that vary least (Otsu 1979)."""
    counts = np.bincount(picture.ravel(), minlength=256)
    below, levels = np.cumsum(counts), np.arange(256)
    sums = np.cumsum(counts * levels)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = (sums[-1] * below / below[-1] - sums) ** 2 / (below * (below[-1] - below))
    return int(np.nanargmax(apart))


def marked(picture: np.ndarray) -> np.ndarray:
    """The picture (h, w, 3) with the outlines of the cells in yellow."""
    clean = ndimage.median_filter(picture, size=5)
    disk = np.hypot(*np.ogrid[-15:16, -15:16]) <= 15
    flat = ndimage.white_tophat(clean, footprint=disk, mode="nearest")
    smooth = ndimage.gaussian_filter(flat, sigma=1.5)
    cells = ndimage.binary_opening(smooth > threshold(smooth), iterations=3)
    inside = ndimage.binary_erosion(cells)
    steep = ndimage.gaussian_gradient_magnitude(flat.astype(np.float32), sigma=2) > 2
    colours = np.repeat(picture[..., np.newaxis], 3, axis=-1)
    colours[cells & ~inside & steep] = (255, 220, 0)
    return colours


if __name__ == "__main__":
    np.save(sys.argv[1], marked(taken()))
