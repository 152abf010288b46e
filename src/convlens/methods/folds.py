"""Where padding repeats pixels, the way back: cells give what they get to the pixels they hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from convlens.core.axis import Axis
from convlens.core.cells import arange, sources
from convlens.core.pairwise import Pairwise
from convlens.core.problem import Array


class Run(NamedTuple):
    """Neighbouring cells of an axis that lie on some pixels, or repeat them.

    Attributes
    ----------
    cells : range
        Counted from the first pixel.
    places : array or None
        For each cell its pixel, counted from the first of those; None if they are the cells.
    """

    cells: range
    places: Array | None


class Fold:
    """Which cells of an axis give to which pixels, where padding repeats them."""

    def __init__(self, axis: Axis) -> None:
        size = axis.size
        self.most = 1
        if not axis.border.repeats or not (axis.before or axis.after):
            self.strips = [(range(size), False)]
            return
        before, after = range(-axis.before, 0), range(size, size + axis.after)
        self._around = np.concatenate([arange(before), arange(after)])
        self._pixels = sources(self._around, size, axis.border.mode)
        self.most += int(np.bincount(self._pixels[self._pixels >= 0], minlength=1).max())
        near = self._pixels[self._pixels < size // 2]
        far = self._pixels[self._pixels >= size // 2]
        head, tail = int(near.max(initial=-1)) + 1, int(far.min(initial=size))
        strips = (range(head), True), (range(head, tail), False), (range(tail, size), True)
        self.strips = [strip for strip in strips if strip[0]]  # and whether padding repeats it

    def runs(self, pixels: range) -> list[Run]:
        """All cells that lie on these pixels or repeat them, in runs of neighbours."""
        repeated = (self._pixels >= pixels.start) & (self._pixels < pixels.stop)
        around, of_around = self._around[repeated], self._pixels[repeated]
        behind = int(np.searchsorted(around, 0))
        inside = arange(pixels)
        cells = np.concatenate([around[:behind], inside, around[behind:]])
        places = np.concatenate([of_around[:behind], inside, of_around[behind:]]) - pixels.start
        cuts = [0, *(np.flatnonzero(np.diff(cells) != 1) + 1).tolist(), len(cells)]
        return [
            Run(range(int(cells[i]), int(cells[i]) + j - i), places[i:j]) for i, j in pairwise(cuts)
        ]


def folded(values: Array, axis: int, places: Array, count: int) -> Array:
    """Add up along an axis what belongs to the same one of so many places, in pairs."""
    if len(places) == count and (places == np.arange(count)).all():
        return values
    order = np.argsort(places, kind="stable")
    first = np.searchsorted(places[order], places[order])
    turn = np.empty(len(places), np.int64)  # how many cells of its place come before it
    turn[order] = np.arange(len(places)) - first
    shape = (*values.shape[:axis], count, *values.shape[axis + 1 :])
    before: Any = (slice(None),) * axis
    sums = Pairwise()
    for number in range(int(turn.max()) + 1):
        chosen = np.flatnonzero(turn == number)
        layer = np.zeros(shape, values.dtype)
        layer[*before, places[chosen]] = values[*before, chosen]
        sums.add(layer)
    return sums.total()
