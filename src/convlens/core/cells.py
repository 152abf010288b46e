"""Arrays of cells along one axis: which pixels the cells hold, and how many a window counts.

A cell is a place along the axis, on a pixel or in the padding. This is what `geometry` knows of one
window, for many windows at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convlens.core.axis import Axis

Cells = npt.NDArray[Any]  # of int64, or of Python's integers where 64 bits are too few
Integers = npt.NDArray[np.int64]


def arange(cells: range) -> Cells:
    """These cells as an array, whose type can also hold the sum of any two of them.

    Examples
    --------
    >>> arange(range(3, 9, 2)), arange(range(2**64, 2**64 + 1))
    (array([3, 5, 7]), array([18446744073709551616], dtype=object))
    """
    if cells and max(abs(cells[0]), abs(cells[-1])) >= 2**61:
        return np.array(cells, object)
    stop = cells.start + len(cells) * cells.step
    return np.arange(cells.start, stop, cells.step, dtype=np.int64)


def sources(cells: Integers, size: int, mode: str) -> npt.NDArray[np.int64]:
    """For each cell the pixel that it takes its value from, or -1 where it takes none.

    Parameters
    ----------
    cells : numpy.ndarray
        Positions along the axis, as `arange` makes them; below 0 or from `size` on they are
        padding.
    size : int
        The number of pixels. If it is 0 there is nothing to repeat, and no cell takes a pixel.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap", "nothing"}
        As in `Border`, for paddings of any length.

    Examples
    --------
    >>> sources(np.arange(-3, 7), 4, "reflect").tolist()
    [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]
    >>> sources(np.arange(-3, 7), 4, "constant").tolist()
    [-1, -1, -1, 0, 1, 2, 3, -1, -1, -1]
    """
    if mode in ("constant", "nothing") or size == 0:
        pixels = np.where((cells >= 0) & (cells < size), cells, -1)
    elif mode == "edge":
        pixels = np.clip(cells, 0, size - 1)
    elif mode == "wrap":
        pixels = cells % size
    else:
        # A mirrored image repeats after one way there and one way back. "reflect" turns around on
        # the last pixel, "symmetric" behind it, so that the last pixel comes twice.
        twice = mode == "symmetric"
        turn = max(1, size if twice else size - 1)
        pixels = cells % (2 * turn)
        pixels = np.where(pixels < size, pixels, 2 * turn - twice - pixels)
        pixels = np.minimum(pixels, size - 1)  # "reflect" of a single pixel repeats that pixel
    return pixels.astype(np.int64)


class Needed(NamedTuple):
    """What some outputs need along an axis.

    Attributes
    ----------
    axis : Axis
        How the window slides over these pixels alone. Its padding may be negative, which means that
        windows leave out so many pixels.
    before, inner, after : array, range, array
        The pixels, in their order: those that cells of padding repeat, and between them `inner`.
    """

    axis: Axis
    before: Integers
    inner: range
    after: Integers


def needed(axis: Axis, outputs: range) -> Needed:
    """The pixels that these outputs need along an axis; at least one, if the axis has any.

    Padding stays padding, which a pooling must be able to tell from pixels. But where it repeats
    pixels, which may lie at the other end of the axis, the cells that windows touch become pixels.
    If so many cells are touched, the outputs need the whole axis.

    Examples
    --------
    >>> from convlens.core.axis import Border
    >>> axis = Axis(size=9, window=3, stride=1, dilation=1, before=1, after=1)
    >>> part, _, inner, _ = needed(axis, range(3))
    >>> inner, (part.before, part.size, part.after)
    (range(0, 4), (1, 4, 0))
    >>> needed(replace(axis, border=Border("wrap")), range(3)).before.tolist()
    [8]
    """
    start = axis.pixels(outputs[0])[0]
    stop = min(axis.pixels(outputs[-1])[-1] + 1, axis.size + axis.after)  # a partial one hangs over
    pixels = range(min(max(start, 0), axis.size), min(max(stop, 0), axis.size))
    none = np.empty(0, np.int64)
    if axis.border.repeats and axis.size and len(pixels) < stop - start:
        if stop - start < axis.size:
            before, after = (
                sources(arange(cells), axis.size, axis.border.mode)
                for cells in (range(start, min(stop, 0)), range(max(start, axis.size), stop))
            )
            part = replace(axis, size=stop - start, before=0, after=0)
            return Needed(part, before, pixels, after)
        pixels = range(axis.size)
    if not pixels and axis.size:  # Engines take no images without pixels.
        nearest = 0 if stop <= 0 else axis.size - 1
        pixels = range(nearest, nearest + 1)
    before_pixels, after_pixels = pixels.start - start, stop - pixels.stop
    part = replace(axis, size=len(pixels), before=before_pixels, after=after_pixels)
    return Needed(part, none, pixels, none)


def counts(axis: Axis, outputs: range | None = None, *, padding: bool = False) -> Integers:
    """For each output, how many taps lie on pixels, or with `padding` on padding as well.

    A `partial` window may also hang over the far edge of the padding; taps beyond that edge are
    never counted. By default, all outputs of the axis are counted.

    Examples
    --------
    >>> axis = Axis(size=5, window=3, stride=2, dilation=1, before=1, after=1)
    >>> counts(axis).tolist(), counts(axis, padding=True).tolist()
    ([2, 3, 2], [3, 3, 3])
    """
    outputs = range(axis.outputs) if outputs is None else outputs
    low, high = (-axis.before, axis.size + axis.after) if padding else (0, axis.size)
    taps = np.full(len(outputs), axis.window)
    before = range(outputs.start, min(outputs.stop, axis.inside.start))
    after = range(max(outputs.start, axis.inside.stop), outputs.stop)
    for part in (before, after):
        if part:
            start, stop = (_first_taps(axis, part, place) for place in (low, high))
            taps[part.start - outputs.start : part.stop - outputs.start] = stop - start
    return taps


def _first_taps(axis: Axis, outputs: range, place: int) -> Cells:
    """For each output, the first tap of its window that lies on the cell `place` or behind it."""
    first = outputs.start * axis.stride - axis.before - place
    firsts = arange(range(first, first + len(outputs) * axis.stride, axis.stride))
    steps: Cells = -(firsts // axis.dilation)  # the negation makes the division round up
    return np.clip(steps, 0, axis.window)
