"""Between a filter and a picture's pixels: weights by opacity, and pixels from results."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.core.axis import Axis
from convlens.core.problem import Array

MAPS = ("clip", "stretch", "absolute")

# Beside 1024 times the opacity, each pixel has a weight of 1. It cannot be seen where anything
# opaque is near, and where nothing is, invisible colours stay what they would be without weights.
_OPACITY, _LEAST = 1024, 1
# Types that hold colours times weights; float64 does for the others.
_WEIGHED: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.uint8): np.dtype(np.uint32),
    np.dtype(np.uint16): np.dtype(np.int64),
}


def weighed_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of weighed colours and weights."""
    return _WEIGHED.get(dtype, np.dtype(np.float64))


def weight(alpha: Any) -> Any:
    """The weight of pixels of this opacity, a number or an array."""
    if isinstance(alpha, np.ndarray):
        alpha = alpha.astype(weighed_dtype(alpha.dtype))
    return alpha * _OPACITY + _LEAST


def weigh(colours: Array, alpha: Array) -> tuple[Array, Array]:
    """Weigh colours (n, w, c) by opacity (n, w); returns products and weights."""
    weights = weight(alpha)
    return colours * weights[:, :, np.newaxis], weights


def unweigh(sums: Array, weights: Array, largest: float) -> tuple[Array, Array]:
    """Colours (n, w, c) and opacity (n, w) from filtered products and filtered weights.

    Opacity is a float, to be rounded.
    """
    alpha = (weights - _LEAST) / _OPACITY
    seen = weights > 0
    colours = sums / np.where(seen, weights, 1)[:, :, np.newaxis]
    return np.where(seen[:, :, np.newaxis], colours, 0), alpha.clip(0, largest)


def range_of(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Black and white, or the least and the largest number of signed integers."""
    if dtype.kind == "f":
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    return limits.min, limits.max


def to_pixels(
    values: Array,
    dtype: np.dtype[Any],
    how: str,
    extent: tuple[float, float] | None = None,
) -> Array:
    """Turn numbers into pixels of a type.

    Parameters
    ----------
    values : numpy.ndarray
        Real numbers.
    dtype : numpy.dtype
        Of integers: results are rounded, half to even, and cut off at the type's limits. Or of
        floats, which hold every result.
    how : {"clip", "stretch", "absolute"}
        "clip" replaces values beyond the limits by the nearest one. "stretch" maps the smallest
        value to black and the largest to white, and those between in proportion; if all are equal
        they become black. "absolute" takes absolute values and then clips them.
    extent : (float, float), optional
        The smallest and the largest value of the whole picture, of which `values` may be a part.

    Returns
    -------
    numpy.ndarray
        Of the same shape, and of `dtype`.

    Raises
    ------
    ValueError
        If the numbers are complex, or integers are to be made of NaN or inf.

    Examples
    --------
    >>> for how in MAPS:
    ...     print(to_pixels(np.array([-510, 0, 255, 510]), np.dtype(np.uint8), how))
    [  0   0 255 255]
    [  0 128 191 255]
    [255   0 255 255]
    """
    if values.dtype.kind == "c":
        raise ValueError("complex results make no picture: give kernels of real numbers")
    black, white = range_of(dtype)
    if how == "absolute":
        values = np.abs(values)
    elif how == "stretch":
        low, high = extent or extent_of(values)
        if not np.isfinite([low, high]).all():
            raise ValueError(
                "the results hold NaN or inf, which cannot be stretched: use --map clip"
            )
        values = (values - low) * ((white - black) / (high - low) if high > low else 0) + black
    if dtype.kind == "f":
        return values.astype(dtype)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(
            f"the results hold NaN or inf, which pixels of {dtype} cannot be: are they in the "
            "kernels?"
        )
    if values.dtype.kind == "f":
        values = np.rint(values)
    pixels: Array = np.clip(values, black, white).astype(dtype)
    return pixels


def extent_of(values: Array) -> tuple[float, float]:
    """The smallest and the largest of some numbers."""
    return float(values.min()), float(values.max())


def middles(axis: Axis) -> Array:
    """The pixel in the middle of each output's window, or the nearest pixel to it."""
    first = (axis.reach - 1) // 2 - axis.before
    step = min(axis.stride, axis.size + axis.before)  # one output has no other to step to
    pixels: Array = (first + step * np.arange(axis.outputs)).clip(0, axis.size - 1)
    return pixels
