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


def give(
    axes: Sequence[Axis],
    outputs: Array,
    places: Sequence[range],
    counts: Sequence[Integers],
    cells: Sequence[range],
    values: Array,
) -> None:
    """Write what cells get of the windows over them.

    Parameters
    ----------
    axes : sequence of Axis
        One to three, without dilation. 64 bits can hold all places.
    outputs : (m, *places, c) of float32 or float64
        What comes back to the windows at these places.
    counts : sequence of array
        For each axis, into how many parts each window is divided.
    values : (m, *cells, c)
        What these cells get, in the outputs' type, without gaps.
    """
    single = 3 - len(axes)
    sizes = [values.shape[0], values.shape[-1], *[1, 1] * single]
    sizes += [len(each) for pair in zip(cells, places, strict=True) for each in pair]
    windows = [np.array([[0, 1]], np.int64)] * single
    for each in zip(axes, places, cells, strict=True):
        windows.append((_of_few_cells if len(each[-1]) <= FEW else _over)(*each))
    parts = [np.ones(1, np.int64)] * single
    parts += [np.ascontiguousarray(each, np.int64) for each in counts]
    outputs = np.ascontiguousarray(outputs)
    loaded().give_shares(outputs, np.array(sizes, np.int64), windows, parts, values)


def _over(axis: Axis, places: range, cells: range) -> Integers:
    """The first of these windows over each cell, and the one after the last: (cells, 2)."""
    at = arange(cells) + axis.before
    ends = np.stack([-((axis.window - 1 - at) // axis.stride), at // axis.stride + 1], axis=-1)
    over: Integers = np.minimum(np.maximum(ends, places.start), places.stop) - places.start
    return over


_of_few_cells = lru_cache(maxsize=256)(_over)
