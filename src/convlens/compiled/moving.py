"""Numbers of a rank under windows of any shape, by a histogram that moves along the last axis.

A step takes out the numbers that the window leaves, and puts those in that it enters, so that the
work grows with the number of the window's lines, not with that of its taps. Histograms count
numbers of 16 bits. For other types these are the places of the cells in their order, which is
sorted once for some tens of thousands of cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from convlens.compiled.library import loaded
from convlens.core.problem import Array

LEAST = 25  # taps of a window that is worth a histogram
MOST = 2**16 - 1  # taps that a histogram of 16 bits counts, and cells whose places it holds


def serves(window: Sequence[int]) -> bool:
    """Whether a window with so many taps along each axis is worth a histogram, and fits into it."""
    return LEAST <= prod(window) <= MOST


def select(
    cells: Array, footprint: Array, rank: int, strides: Sequence[int] | None = None
) -> Array:
    """The number of a rank under a footprint, wherever it lies on these cells.

    Parameters
    ----------
    cells : array
        Of real numbers; a NaN under the footprint gives NaN.
    footprint : array of bool
        With as many axes as the cells, and for which `serves` is true.
    rank : int
        0 for the smallest number.
    strides : sequence of int, optional
        How far apart along each axis the places are.

    Returns
    -------
    numpy.ndarray
        (*places), in the cells' type.
    """
    strides = [1] * cells.ndim if strides is None else strides
    sizes = zip(cells.shape, footprint.shape, strides, strict=True)
    shape = [max(0, -((window - 1 - size) // stride)) for size, window, stride in sizes]
    if 0 in shape:
        return np.empty(shape, cells.dtype)
    if cells.dtype.kind in "biu" and cells.dtype.itemsize <= 2:
        dtype, bits = cells.dtype.newbyteorder("="), np.dtype(f"u{cells.dtype.itemsize}")
        sign = 2 ** (8 * bits.itemsize - 1) if dtype.kind == "i" else 0
        numbers = cells.astype(dtype, copy=False).view(bits).astype(np.uint16, copy=False) ^ sign
        chosen = _moved(numbers, footprint, rank, strides, shape) ^ sign
        small: Array = chosen.astype(bits).view(dtype)
        return small
    if cells.size > MOST:
        return _halved(cells, footprint, rank, strides, shape)
    flat = cells.reshape(-1)
    order = np.argsort(flat)
    values: Array = flat[order]
    places: Array = np.empty(cells.size, np.uint16)
    places[order] = np.arange(cells.size, dtype=np.uint16)
    places = places.reshape(cells.shape)
    result: Array = values[_moved(places, footprint, rank, strides, shape)]
    if values[-1] != values[-1]:  # NaN comes last in the order.
        last = int(np.count_nonzero(footprint)) - 1
        largest = values[_moved(places, footprint, last, strides, shape)]
        result[np.isnan(largest)] = np.nan
    return result


def _halved(
    cells: Array, footprint: Array, rank: int, strides: Sequence[int], shape: Sequence[int]
) -> Array:
    """The same for two halves of the cells along the axis with the most places."""
    axis = int(np.argmax(shape))
    middle, stride, window = shape[axis] // 2, strides[axis], footprint.shape[axis]
    along = (slice(None),) * axis
    parts = (
        cells[(*along, slice(first * stride, (last - 1) * stride + window))]
        for first, last in ((0, middle), (middle, shape[axis]))
    )
    return np.concatenate([select(part, footprint, rank, strides) for part in parts], axis)


def _moved(
    numbers: Array, footprint: Array, rank: int, strides: Sequence[int], shape: Sequence[int]
) -> Array:
    """The same for numbers of 16 bits."""
    numbers = np.ascontiguousarray(numbers)
    apart = np.array(numbers.strides) // numbers.itemsize
    ends = np.diff(footprint.astype(np.int8), axis=-1, prepend=0, append=0)
    leaving = np.argwhere(ends == 1) @ apart  # the first tap of each line, and then the last one
    entering = np.argwhere(ends == -1) @ apart - 1
    taps = np.argwhere(footprint) @ apart
    steps = zip(shape[:-1], strides[:-1], apart[:-1], strict=True)
    rows = np.zeros(1, np.int64)
    for size, stride, distance in steps:
        rows = np.add.outer(rows, np.arange(size) * (stride * distance)).reshape(-1)
    columns = (shape[-1] - 1) * strides[-1] + 1
    out = np.empty((len(rows), columns), np.uint16)
    loaded().move(numbers, rows, taps, entering, leaving, out, rank)
    return out[:, :: strides[-1]].reshape(shape)
