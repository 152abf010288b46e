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
        self.most, self.cells = 1, range(size)  # all cells that give to pixels
        if not axis.border.repeats or not (axis.before or axis.after):
            self.strips = [(range(size), False)]
            return
        before, after = range(-axis.before, 0), range(size, size + axis.after)
        self.cells = range(-axis.before, size + axis.after)
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

    def needed(self, pixels: range) -> list[range]:
        """The cells that give to these pixels: ranges, of which none touches the next."""
        cells: list[range] = []
        for strip, repeated in self.strips:
            if some := both(strip, pixels):
                cells += [run.cells for run in self.runs(some)] if repeated else [some]
        return joined(cells)

    def fold(self, values: Array, axis: int) -> Array:
        """Add up along an axis, whose numbers are those of all cells, what belongs to one pixel."""
        parts = []
        before: Any = (slice(None),) * axis
        for strip, repeated in self.strips:
            if not repeated:
                start = strip.start - self.cells.start
                parts.append(values[*before, start : start + len(strip)])
                continue
            runs = self.runs(strip)
            cells = np.concatenate([arange(run.cells) for run in runs]) - self.cells.start
            places = np.concatenate([run.places for run in runs if run.places is not None])
            parts.append(folded(values[*before, cells], axis, places, len(strip)))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def both(one: range, other: range) -> range:
    """The numbers that are in both ranges."""
    start = max(one.start, other.start)
    return range(start, max(start, min(one.stop, other.stop)))


def joined(ranges: list[range]) -> list[range]:
    """Ranges in order, of which those that touch or overlap are joined.

    Examples
    --------
    >>> joined([range(5, 9), range(0, 3), range(2, 5), range(11, 12)])
    [range(0, 9), range(11, 12)]
    """
    made: list[range] = []
    for each in sorted(ranges, key=lambda each: each.start):
        if made and each.start <= made[-1].stop:
            made[-1] = range(made[-1].start, max(made[-1].stop, each.stop))
        else:
            made.append(each)
    return made


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
