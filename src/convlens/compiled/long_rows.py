"""Cut a long row into shorter ones, which lie one above the other as the rows of an image.

A task of a thread is a strip of rows, and its cells should fit into the processor's cache. A signal
of millions of numbers is a single row. Its windows of the first thousands of outputs, of the next
ones and so on are the rows of an image, which share as many numbers as neighbouring windows do. No
number is copied for that: NumPy's strides describe such an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from numpy.lib.stride_tricks import as_strided

from convlens.core.axis import Axis, sparse
from convlens.core.problem import FULL, Array, Problem, Region, Spec

ROW = 2**13  # outputs of a short row, unless its windows are long


def is_long(problem: Problem) -> bool:
    """Whether images are a single row each, and long enough to be cut."""
    rows, columns = problem.axes[-2:]
    if rows.size != 1 or (rows.window, rows.outputs, rows.before) != (1, 1, 0):
        return False
    if len(problem.axes) > 2 or sparse(columns, columns.outputs):
        return False
    return len(columns.inside) >= 2 * _row(columns)


def _row(columns: Axis) -> int:
    """How many outputs a short row has: few of its cells are also those of its neighbours."""
    return max(ROW, 16 * -(-columns.reach // columns.stride))


def cut(problem: Problem, images: Array, out: Array) -> Iterator[tuple[Problem, Array, Array]]:
    """For each part of a row: its problem, the images (m, 1, w, c), and the output (m, 1, ow, nc).

    The windows of most outputs lie on pixels alone, and those are the parts' images of short rows.
    """
    layout = FULL[2]._replace(kernels=problem.layout.kernels)
    problem = replace(problem, layout=layout, images=Spec(images.shape, problem.images.dtype))
    rows, columns = problem.axes
    start, row = columns.inside.start, _row(columns)
    count = len(columns.inside) // row
    stop = start + count * row
    for places in (range(start), range(stop, columns.outputs)):
        if places:
            region = Region(range(problem.batch), (range(1), places))
            yield problem.part(region), images, out[region.slices]

    size = (row - 1) * columns.stride + columns.reach
    short = _rows(images, columns.pixels(start).start, count, row * columns.stride, size)
    axes = (
        Axis(count, 1, 1, 1, 0, 0, border=rows.border),
        replace(columns, size=size, before=0, after=0, partial=False),
    )
    spec = Spec(short.shape, problem.images.dtype)
    yield replace(problem, axes=axes, images=spec), short, _rows(out, start, count, row, row)


def _rows(array: Array, start: int, count: int, step: int, size: int) -> Array:
    """A view of a row, (m, 1, w, c), as so many rows of this size, each a step from the last."""
    m, _, _, c = array.shape
    image, _, number, channel = array.strides
    strides = (image, step * number, number, channel)
    return as_strided(array[:, :, start:], (m, count, size, c), strides)
