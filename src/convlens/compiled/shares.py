"""What pixels get of what comes back to windows that give all of theirs the same, in C."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from convlens.compiled.library import loaded
from convlens.core.axis import Axis
from convlens.core.cells import Integers, arange
from convlens.core.problem import Array

FEW = 1024  # cells along an axis: for so few, where their windows begin and end is kept


class Shares:
    """What gives cells what they get of the windows over them.

    Parameters
    ----------
    axes : sequence of Axis
        One to three, without dilation. 64 bits can hold all places.
    places : sequence of range
        For each axis, the windows that something comes back to.
    counts : sequence of array
        For each axis, into how many parts each of these windows is divided.
    cells : sequence of range
        For each axis, the cells that get something.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        places: Sequence[range],
        counts: Sequence[Integers],
        cells: Sequence[range],
    ) -> None:
        single = 3 - len(axes)
        self._sizes = [*[1, 1] * single]
        self._sizes += [len(each) for pair in zip(cells, places, strict=True) for each in pair]
        self._windows = [np.array([[0, 1]], np.int64)] * single
        for each in zip(axes, places, cells, strict=True):
            self._windows.append((_of_few_cells if len(each[-1]) <= FEW else _over)(*each))
        self._parts = [np.ones(1, np.int64)] * single
        self._parts += [np.ascontiguousarray(each, np.int64) for each in counts]

    def give(self, outputs: Array, values: Array) -> None:
        """Write what the cells get.

        Parameters
        ----------
        outputs : (m, *places, c) of float32 or float64
            What comes back to the windows at these places.
        values : (m, *cells, c)
            What these cells get, in the outputs' type, without gaps.
        """
        sizes = np.array([values.shape[0], values.shape[-1], *self._sizes], np.int64)
        outputs = np.ascontiguousarray(outputs)
        loaded().give_shares(outputs, sizes, self._windows, self._parts, values)


def _over(axis: Axis, places: range, cells: range) -> Integers:
    """The first of these windows over each cell, and the one after the last: (cells, 2)."""
    at = arange(cells) + axis.before
    ends = np.stack([-((axis.window - 1 - at) // axis.stride), at // axis.stride + 1], axis=-1)
    over: Integers = np.minimum(np.maximum(ends, places.start), places.stop) - places.start
    return over


_of_few_cells = lru_cache(maxsize=256)(_over)
