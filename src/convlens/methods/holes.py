"""Pixels that take no part, in NumPy: another number in their place, and means of the others.

The module `compiled.holes` has the same functions, by pipelines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.core.problem import Array


def fill(cells: Array, pixels: Array, where: Array | None, nothing: Any) -> None:
    """Copy the pixels that take part into cells, and put a number in place of the others.

    Parameters
    ----------
    cells, pixels : (m, *space, c)
    where : array of bool or None
        Which pixels take part, in the same shape; None for those that are finite.
    nothing : number
    """
    some, size = _there(pixels, where), cells.dtype.itemsize
    cells[...] = pixels
    if cells.dtype.kind == "c" or size > 8:
        np.copyto(cells, nothing, where=~some)
        return
    # NumPy's own ways to choose by booleans use no vectors, and take several times as long as these
    # steps on bits.
    integers = np.dtype(f"i{size}")
    bits, hidden = cells.view(integers), some.view(np.int8) - np.int8(1)
    np.bitwise_or(bits, hidden, out=bits)  # all bits of what takes no part
    inverse = ~np.asarray(nothing, cells.dtype).view(integers)
    np.bitwise_xor(bits, hidden & inverse, out=bits)


def weigh(cells: Array, pixels: Array, where: Array | None) -> None:
    """Write the weights of pixels into cells: 1 for those that take part, 0 for the others."""
    cells[...] = _there(pixels, where)


def divide(sums: Array, weights: Array, out: Array) -> None:
    """Write sums divided by weights into `out`: NaN where there is no weight. (m, *outputs, nc)."""
    np.true_divide(sums, weights, out=out)
    np.copyto(out, np.nan, where=weights == 0)


def _there(pixels: Array, where: Array | None) -> Array:
    """Booleans for each number of the pixels."""
    return np.isfinite(pixels) if where is None else where
