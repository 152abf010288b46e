"""How a problem is divided into blocks for pipelines, and where a block finds its pixels.

A block is a region of the output that one call of a pipeline computes. Blocks are so small that
32-bit indices suffice, little memory is used, and Ctrl-C, which is noticed between blocks, does not
wait long. Where the cuts are cannot change a bit of any output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.core.axis import Axis, sparse
from convlens.core.cells import arange, sources
from convlens.core.problem import Problem, Region

Pixels = npt.NDArray[np.int64]

VECTORS = 64  # the most pixels that a pipeline computes together
STRIP = 2**17  # numbers in a strip of cells: as many as fit into a core's own cache
# Numbers that go through a copy at a time: usually, and for large windows, at most 12 MB.
COPIED, MOST_COPIED = 2**18, 3 * 2**19
DIRECT = 2**26  # the most numbers that a block may read or write in place
LEAST = 2**20  # the least multiply-adds of a task: they take some 25 microseconds
# The most bytes of arrays that a prepared call may keep for the next time. 256 calls are cached, so
# that at most 16 MB are kept in all.
KEPT = 2**16


class Blocks:
    """The blocks of a problem, in the order in which they are computed.

    Parameters
    ----------
    problem : Problem
    pixels, outputs : int
        The most numbers that a block should read and write. A block of a single output may exceed
        them, because a window is not divided here.
    together : bool
        Whether several images may be in one block.
    """

    def __init__(
        self, problem: Problem, *, pixels: int, outputs: int, together: bool = True
    ) -> None:
        m, *sizes, nc = problem.full_output_shape
        *outer, rows, columns = problem.axes
        deep = prod(axis.window for axis in outer)  # the slabs of cells for one output
        # The numbers under one window.
        window = deep * held(rows, 1) * _cells(columns, 1) * problem.channels

        def fits(images: int, *shape: int) -> bool:
            *depth, height, width = shape
            # Pipelines compute whole vectors of pixels, and fill the cells of all of them.
            vectors = -(-width // VECTORS) * VECTORS if width > 1 < columns.stride else width
            across, filled = (_cells(columns, n) * problem.channels for n in (width, vectors))
            row = min(across, columns.size * problem.channels)
            *slabs, lines = (
                min(_cells(axis, n), axis.size)
                for axis, n in zip((*outer, rows), (*depth, height), strict=True)
            )
            return (
                images * prod(shape) * nc <= outputs
                and images * prod(slabs) * lines * row <= pixels
                and deep * held(rows, height) * filled <= max(4 * STRIP, window * 5 // 4)
                and _cells(rows, height) <= max(STRIP, _cells(rows, 1))  # `rows` lists each of them
            )

        shape: tuple[int, ...] = ()  # of a block, from the last axis to the first
        for number, size in reversed(list(enumerate(sizes))):
            before, after = (1,) * number, shape
            shape = (most(size, lambda n, b=before, a=after: fits(1, *b, n, *a)), *shape)  # type: ignore[misc]
        whole = shape == tuple(sizes)
        count = most(m, lambda count: fits(count, *sizes)) if whole and together else 1
        self.only_one = whole and count == m
        self._cuts = [(m, count), *zip(sizes, shape, strict=True)]

    def __iter__(self) -> Iterator[Region]:
        for images, *places in product(*(cuts(size, step) for size, step in self._cuts)):
            yield Region(images, tuple(places))


def cuts(size: int, step: int) -> list[range]:
    """Divide a size into ranges of a step, of which the last may be shorter."""
    return [range(start, min(start + step, size)) for start in range(0, size, step)]


def most(upper: int, fits: Callable[[int], bool]) -> int:
    """A number from 1 to `upper` that fits, found by halving; 1 even if that does not fit."""
    while upper > 1 and not fits(upper):
        upper = (upper + 1) // 2
    return upper


def _cells(axis: Axis, outputs: int) -> int:
    """How many cells a block of so many outputs needs along this axis."""
    span = (outputs - 1) * axis.stride + axis.reach
    return min(span, axis.window * outputs) if sparse(axis, outputs) else span


def held(axis: Axis, outputs: int) -> int:
    """How many rows of cells are in memory at once, at the least, for so many rows of outputs."""
    return axis.window * outputs if sparse(axis, outputs) else axis.reach


def copied(problem: Problem) -> int:
    """How many numbers of the images to copy at a time, if they cannot be read in place.

    A copy should fit into a core's cache and leave room there. But neighbouring blocks both copy
    the pixels that their windows share, so a block is made several windows high, as far as the
    limit on memory allows.
    """
    *outer, columns = problem.axes
    window = prod(min(held(axis, 1), axis.size) for axis in outer)
    window *= min(_cells(columns, columns.outputs), columns.size)
    return max(COPIED, min(4 * window * problem.channels, MOST_COPIED))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The cells along one axis that a range of outputs needs, and the pixels behind them.

    Tap t of output o, counted within the range, lies on cell ``o * stride + t * dilation``. Usually
    these are the axis's own stride and dilation. Where most cells would lie under no tap, only
    those that do are kept, side by side, tap after tap. Each cell is given as the pixel that it
    takes its value from, or as -1 if it holds a zero.

    Attributes
    ----------
    before, inner, after : array, range, array
        The pixels of the cells, in three parts: `inner` are consecutive pixels of the image.
    stride, dilation : int
    used : range
        The pixels from the first to the last that any cell takes its value from.
    """

    before: Pixels
    inner: range
    after: Pixels
    stride: int
    dilation: int
    used: range

    def __len__(self) -> int:
        """The number of cells."""
        return len(self.before) + len(self.inner) + len(self.after)

    @property
    def pixels(self) -> Pixels:
        """The pixel behind every cell."""
        return np.concatenate([self.before, arange(self.inner), self.after])

    def among(self, pixels: Pixels) -> Grid:
        """The grid of the same cells on an image that has been reduced to these pixels."""
        before, after = (
            np.where(part < 0, -1, np.searchsorted(pixels, part))
            for part in (self.before, self.after)
        )
        start = int(np.searchsorted(pixels, self.inner.start))
        inner = range(start, start + len(self.inner))
        return Grid(before, inner, after, self.stride, self.dilation, range(len(pixels)))


def grid(axis: Axis, outputs: range) -> Grid:
    """The grid of the cells that these outputs need."""
    mode = axis.border.mode
    first, count = outputs.start * axis.stride - axis.before, len(outputs)
    if sparse(axis, count):
        taps = arange(range(0, axis.window * axis.dilation, axis.dilation))
        outputs_at = arange(range(first, first + count * axis.stride, axis.stride))
        cells = (taps[:, np.newaxis] + outputs_at).ravel()
        before, inner, after = np.empty(0, np.int64), range(0), sources(cells, axis.size, mode)
        stride, dilation = 1, count
    else:
        stop = first + (count - 1) * axis.stride + axis.reach
        start = min(max(first, 0), stop)
        inner = range(start, max(start, min(axis.size, stop)))
        before, after = (
            sources(arange(cells), axis.size, mode)
            for cells in (range(first, inner.start), range(inner.stop, stop))
        )
        stride = axis.stride if count > 1 else 1  # One output needs none, and it might be huge.
        dilation = axis.dilation if axis.window > 1 else 1
    borders = np.concatenate([before, after])
    seen = [*borders[borders >= 0].tolist(), *inner[:1], *inner[-1:]]
    used = range(min(seen, default=0), max(seen, default=0) + 1)
    return Grid(before, inner, after, stride, dilation, used)


def numbers_of(pixels: Pixels, channels: int) -> npt.NDArray[Any]:
    """The positions, in a row of an image, of all channels of these pixels; -1 stays."""
    places = pixels[:, np.newaxis] * channels + np.arange(channels)
    return np.where(pixels[:, np.newaxis] < 0, -1, places).ravel()
