"""How a call is cut into blocks for the compiled pipelines, and where a block finds its numbers.

A block is a range of images, of rows and of columns of the output, computed by one call of a
pipeline. Blocks are small enough for 32-bit indices, for little memory, and for Ctrl-C between
them; every output is computed alike, however its call is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens.call import Call
from convlens.cells import arange, sources
from convlens.geometry import Axis, sparse

Pixels = npt.NDArray[np.int64]

VECTORS = 64  # pixels that a pipeline may compute together
STRIP = 2**17  # numbers in a strip of cells: what fits into a core's own cache
COPIED, MOST_COPIED = 2**18, 3 * 2**19  # numbers that go through a copy at a time: to 12 MB


@dataclass(frozen=True, slots=True)
class Block:
    """Ranges of images, and of rows and columns of the output."""

    images: range
    rows: range
    columns: range

    def grids(self, call: Call) -> tuple[Grid, Grid]:
        """Its cells down and across."""
        return (
            grid(call.rows, self.rows, call.pad_mode),
            grid(call.columns, self.columns, call.pad_mode),
        )


class Blocks:
    """The blocks of a call, in order.

    Parameters
    ----------
    call : Call
    pixels, outputs : int
        The most numbers that a block should read, and that it should write.
    """

    def __init__(self, call: Call, *, pixels: int, outputs: int) -> None:
        m, oh, ow, nc = self._shape = call.full_output_shape
        rows, columns = call.rows, call.columns
        window = held(rows, 1) * _cells(columns, 1) * call.channels  # which is never cut

        def fits(images: int, height: int, width: int) -> bool:
            # Pipelines fill whole vectors of pixels, however far apart these are.
            vectors = -(-width // VECTORS) * VECTORS if width > 1 < columns.stride else width
            across, filled = (_cells(columns, n) * call.channels for n in (width, vectors))
            row = min(across, columns.size * call.channels)
            return (
                images * height * width * nc <= outputs
                and images * min(_cells(rows, height), rows.size) * row <= pixels
                and held(rows, height) * filled <= max(4 * STRIP, window * 5 // 4)
                and _cells(rows, height) <= max(STRIP, _cells(rows, 1))  # each has an entry
            )

        self._width = most(ow, lambda width: fits(1, 1, width))
        self._height = most(oh, lambda height: fits(1, height, self._width))
        whole = (self._height, self._width) == (oh, ow)
        self._count = most(m, lambda count: fits(count, oh, ow)) if whole else 1
        self.only_one = whole and self._count == m

    def __iter__(self) -> Iterator[Block]:
        m, oh, ow, _ = self._shape
        for n in range(0, m, self._count):
            for y in range(0, oh, self._height):
                for x in range(0, ow, self._width):
                    yield Block(
                        range(n, min(n + self._count, m)),
                        range(y, min(y + self._height, oh)),
                        range(x, min(x + self._width, ow)),
                    )


def most(upper: int, fits: Callable[[int], bool]) -> int:
    """The largest of 1 … upper that fits, or nearly; 1 where none does."""
    while upper > 1 and not fits(upper):
        upper = (upper + 1) // 2
    return upper


def _cells(axis: Axis, outputs: int) -> int:
    """How many cells so many outputs need."""
    span = (outputs - 1) * axis.stride + axis.reach
    return min(span, axis.window * outputs) if sparse(axis, outputs) else span


def held(axis: Axis, outputs: int) -> int:
    """How many rows of cells the smallest strip of so many rows of outputs needs."""
    return axis.window * outputs if sparse(axis, outputs) else axis.reach


def copied(call: Call) -> int:
    """How many numbers of the images to copy at a time, if they cannot be read where they are.

    They should fit into a core's cache, with room for other things. But neighbouring blocks both
    copy what lies under both, so that a block is several windows high, as far as memory allows.
    """
    rows, columns = call.rows, call.columns
    window = min(held(rows, 1), rows.size) * min(_cells(columns, columns.outputs), columns.size)
    return max(COPIED, min(4 * window * call.channels, MOST_COPIED))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The cells along one axis that a range of outputs needs, and the pixels behind them.

    Tap t of the o-th of these outputs lies on cell ``o * stride + t * dilation``. These are the
    axis's own stride and dilation; where most cells would be of no use, those in use are put side
    by side, tap after tap. For each cell there is the pixel it takes its value from, or -1 where
    it holds a zero.

    Attributes
    ----------
    before, inner, after : array, range, array
        The pixels of the first cells, of those on neighbouring pixels, and of the rest.
    stride, dilation : int
    used : range
        From the first of all these pixels to the last.
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
        return np.concatenate([self.before, np.asarray(self.inner, np.int64), self.after])

    def among(self, pixels: Pixels) -> Grid:
        """The same cells, where these pixels alone are there, side by side."""
        before, after = (
            np.where(part < 0, -1, np.searchsorted(pixels, part))
            for part in (self.before, self.after)
        )
        start = int(np.searchsorted(pixels, self.inner.start))
        inner = range(start, start + len(self.inner))
        return Grid(before, inner, after, self.stride, self.dilation, range(len(pixels)))


def grid(axis: Axis, outputs: range, pad_mode: str) -> Grid:
    """The grid of these outputs."""
    first, count = outputs.start * axis.stride - axis.before, len(outputs)
    if sparse(axis, count):
        taps = arange(range(0, axis.window * axis.dilation, axis.dilation))
        outputs_at = arange(range(first, first + count * axis.stride, axis.stride))
        cells = (taps[:, np.newaxis] + outputs_at).ravel()
        before, inner, after = np.empty(0, np.int64), range(0), sources(cells, axis.size, pad_mode)
        stride, dilation = 1, count
    else:
        stop = first + (count - 1) * axis.stride + axis.reach
        start = min(max(first, 0), stop)
        inner = range(start, max(start, min(axis.size, stop)))
        before, after = (
            sources(arange(cells), axis.size, pad_mode)
            for cells in (range(first, inner.start), range(inner.stop, stop))
        )
        stride = axis.stride if count > 1 else 1  # else of no use, and maybe huge
        dilation = axis.dilation if axis.window > 1 else 1
    borders = np.concatenate([before, after])
    seen = [*borders[borders >= 0].tolist(), *inner[:1], *inner[-1:]]
    used = range(min(seen, default=0), max(seen, default=0) + 1)
    return Grid(before, inner, after, stride, dilation, used)


def numbers_of(pixels: Pixels, channels: int) -> npt.NDArray[Any]:
    """The places in a row of an image of these pixels' numbers, all channels of each; -1 stays."""
    places = pixels[:, np.newaxis] * channels + np.arange(channels)
    return np.where(pixels[:, np.newaxis] < 0, -1, places).ravel()
