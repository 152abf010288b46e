"""Cut an image into strips of output rows, and read the rows of pixels that each strip needs.

Pictures are decoded from top to bottom, so rows are read once, in order, and kept only while a
later strip needs them. Where borders wrap, all are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convlens.core.axis import Axis
from convlens.core.problem import Array, Problem, Spec
from convlens.execute.files import LARGEST_TILE, TILE_BYTES, axis_part

Read = Callable[[int, int], Array]


class Strip(NamedTuple):
    """Some output rows of an image.

    Attributes
    ----------
    outputs : range
    axis : Axis
        The axis that has these outputs alone.
    rows : numpy.ndarray
        The rows of pixels that this axis consists of.
    """

    outputs: range
    axis: Axis
    rows: Array

    def of(self, problem: Problem) -> Problem:
        """The problem for this strip alone, over its rows."""
        shape = tuple(
            self.axis.size if axis == "h" else size
            for axis, size in zip(problem.layout.images, problem.images.shape, strict=True)
        )
        axes = (*problem.axes[:-2], self.axis, problem.columns)
        return replace(problem, images=Spec(shape, problem.images.dtype), axes=axes)


def strips(axis: Axis, row_bytes: int, grain: int) -> list[Strip]:
    """Cut the rows of an image into strips that fit the processor's caches, if they can.

    Parameters
    ----------
    axis : Axis
        How the window slides down.
    row_bytes : int
        The bytes of a row of pixels and a row of results together.
    grain : int
        The output rows that stay together.
    """
    # A strip of many rows shares more of its pixels with its neighbours, so large windows get more.
    rows = max(TILE_BYTES // row_bytes, min(axis.reach, LARGEST_TILE // row_bytes), 1)
    outputs = max(1, rows // axis.stride)
    outputs = -(-outputs // grain) * grain
    cuts = [
        range(first, min(first + outputs, axis.outputs))
        for first in range(0, axis.outputs, outputs)
    ]
    parts = [axis_part(axis, cut) for cut in cuts]
    return [
        Strip(cut, each, np.array([row for run in runs for row in run], np.intp))
        for cut, (each, runs) in zip(cuts, parts, strict=True)
    ]


def rolling(read: Read, size: int, needs: Sequence[Array]) -> Iterator[Callable[[Array], Array]]:
    """Read rows from top to bottom, and yield for each step a function that returns some of them.

    Parameters
    ----------
    read : callable
        Reads the rows between two numbers; called in order, for all rows from 0 to `size`.
    size : int
        The number of rows. All of them are read, so that a damaged end is noticed.
    needs : sequence of numpy.ndarray
        The rows that each step needs.
    """
    firsts = [size]  # the first row that is needed from each step on
    for rows in reversed(needs):
        firsts.append(min(firsts[-1], int(rows.min())))
    firsts.reverse()
    first = end = 0
    held: Array | None = None
    for number, (rows, keep) in enumerate(zip(needs, firsts, strict=False)):
        stop = size if number == len(needs) - 1 else int(rows.max()) + 1
        drop = min(max(keep - first, 0), end - first)
        if held is not None and drop:
            held, first = held[drop:], first + drop
        if stop > end:
            new = read(end, stop)
            held = new if held is None or first == end else np.concatenate([held, new])
            end = stop
        assert held is not None
        yield lambda some, held=held, first=first: _taken(held, some - first)  # type: ignore[misc]


def _taken(held: Array, rows: Array) -> Array:
    """These rows; a view where they follow one another."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return held[rows[0] : rows[-1] + 1]
    return held[rows]
