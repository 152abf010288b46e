"""Boxes of places that are computed on at a time, and indices of the pixels in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from convlens.core.problem import Array


def steps(sizes: Sequence[int], limit: int) -> tuple[int, ...]:
    """The sizes of a box of at most about so many places, as long as can be along the last axes.

    Examples
    --------
    >>> steps((10, 28, 28), 100)
    (1, 3, 28)
    """
    made, left = [], max(1, limit)
    for size in reversed(sizes):
        made.append(max(1, min(size, left)))
        left = max(1, left // made[-1])
    return tuple(reversed(made))


def boxes(sizes: Sequence[int | range], step: Sequence[int]) -> Iterator[tuple[range, ...]]:
    """Cut a box, of these sizes or ranges, into smaller ones, so long along each axis.

    Examples
    --------
    >>> list(boxes((3, range(5, 6)), (2, 1)))
    [(range(0, 2), range(5, 6)), (range(2, 3), range(5, 6))]
    """
    ranges = (each if isinstance(each, range) else range(each) for each in sizes)
    cuts = (
        [range(start, min(start + by, each.stop)) for start in range(each.start, each.stop, by)]
        for each, by in zip(ranges, step, strict=True)
    )
    return product(*cuts)


def index(places: Array) -> slice | Array:
    """An index of places along an axis: a slice, which copies nothing, if they are evenly spaced.

    Examples
    --------
    >>> index(np.array([3, 5, 7])), index(np.array([3, 2, 3]))
    (slice(3, 8, 2), array([3, 2, 3]))
    """
    if len(places) == 0:
        return slice(0, 0)
    if len(places) == 1:
        return slice(int(places[0]), int(places[0]) + 1, 1)
    by = int(places[1] - places[0])
    if by < 1 or (np.diff(places) != by).any():
        return places
    return slice(int(places[0]), int(places[-1]) + 1, by)


def together(places: Sequence[slice | Array]) -> tuple[Any, ...]:
    """An index of what lies at these places on each axis; arrays alone would be paired up."""
    if sum(isinstance(each, np.ndarray) for each in places) < 2:
        return tuple(places)
    of_arrays = (
        np.arange(each.start, each.stop, each.step) if isinstance(each, slice) else each
        for each in places
    )
    return np.ix_(*of_arrays)


def of(numbers: range) -> slice:
    """A range as a slice."""
    return slice(numbers.start, numbers.stop)
