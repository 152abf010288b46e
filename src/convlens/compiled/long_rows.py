"""Cut a long row into shorter ones, which lie one above the other as the rows of an image.

A task of a thread is a strip of rows, and its cells should fit into the processor's cache. A signal
of millions of numbers is a single row. Its windows of the first thousands of outputs, of the next
ones and so on are the rows of an image, which share as many numbers as neighbouring windows do. No
number is copied for that: NumPy's strides describe such an image.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from numpy.lib.stride_tricks import as_strided

from convlens.core.axis import Axis, sparse
from convlens.core.problem import FULL, Array, Problem, Region, Spec

# Outputs of a short row; of a row of so many numbers only as many as have so many, or a few.
ROW, LARGE, NUMBERS, LEAST = 2**13, 3 * 2**17, 2**15, 2**7


class Rows(NamedTuple):
    """Where so many rows of a size begin on a long row, and how far apart."""

    start: int
    number: int
    step: int
    size: int

    def of(self, array: Array) -> Array:
        """A view of a long row, (m, 1, w, c), as these rows: (m, number, size, c)."""
        m, _, _, c = array.shape
        image, _, number, channel = array.strides
        strides = (image, self.step * number, number, channel)
        return as_strided(array[:, :, self.start :], (m, self.number, self.size, c), strides)


class Piece(NamedTuple):
    """A part of a long row's problem, with the rows of its images and of its output."""

    problem: Problem
    images: Rows
    out: Rows


def is_long(problem: Problem) -> bool:
    """Whether images are a single row each, and long enough to be cut."""
    rows, columns = problem.axes[-2:]
    if rows.size != 1 or (rows.window, rows.outputs, rows.before) != (1, 1, 0):
        return False
    if len(problem.axes) > 2 or sparse(columns, columns.outputs):
        return False
    return len(columns.inside) >= 2 * _row(problem)


def _row(problem: Problem) -> int:
    """How many outputs a short row has: few of its cells are also those of its neighbours."""
    columns, pixel = problem.columns, max(1, problem.channels, problem.output_channels)
    row = ROW if columns.size * pixel < LARGE else max(LEAST, min(ROW, NUMBERS // pixel))
    return max(row, 16 * -(-columns.reach // columns.stride))


@lru_cache(maxsize=256)
def cut(problem: Problem) -> tuple[Piece, ...]:
    """The pieces of a problem, or none if its rows are not long.

    The windows of most outputs lie on pixels alone, and those are the pieces' short rows. Cached,
    because calls often repeat with the same sizes.
    """
    if not is_long(problem):
        return ()
    rows, columns = problem.axes
    whole = (problem.batch, 1, columns.size, problem.channels)
    layout = FULL[2]._replace(kernels=problem.layout.kernels)
    problem = replace(problem, layout=layout, images=Spec(whole, problem.images.dtype))
    start, row = columns.inside.start, _row(problem)
    count = len(columns.inside) // row
    stop = start + count * row
    pieces = []
    for places in (range(start), range(stop, columns.outputs)):
        if places:
            part = problem.part(Region(range(problem.batch), (range(1), places)))
            pieces.append(
                Piece(
                    part,
                    Rows(0, 1, columns.size, columns.size),
                    Rows(places.start, 1, len(places), len(places)),
                )
            )
    size = (row - 1) * columns.stride + columns.reach
    axes = (
        Axis(count, 1, 1, 1, 0, 0, border=rows.border),
        replace(columns, size=size, before=0, after=0, partial=False),
    )
    spec = Spec((problem.batch, count, size, problem.channels), problem.images.dtype)
    short = Rows(columns.pixels(start).start, count, row * columns.stride, size)
    pieces.append(
        Piece(replace(problem, axes=axes, images=spec), short, Rows(start, count, row, row))
    )
    return tuple(pieces)
