"""The phases of a stride: of which taps and outputs the cells of an axis are made, on the way back.

`transposed` explains them.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

from convlens.core.axis import ZEROS, Axis


class Phase(NamedTuple):
    """The cells of an axis that are a whole number of strides from each other.

    Attributes
    ----------
    first : int
        The first of these cells, counted from the first cell of padding.
    taps : slice
        The taps of the kernel that lie on them.
    axis : Axis
        How these taps, flipped, slide over the outputs; each of its own outputs is one cell.
    """

    first: int
    taps: slice
    axis: Axis


def phases(axis: Axis) -> list[Phase]:
    """The phases of an axis that any tap lies on.

    Examples
    --------
    >>> axis = Axis(size=6, window=3, stride=2, dilation=1, before=0, after=1)
    >>> [(phase.first, phase.taps) for phase in phases(axis)]
    [(0, slice(0, None, 2)), (1, slice(1, None, 2))]
    """
    if axis.partial:  # A window that hangs over lies on padding instead, which takes nothing.
        axis = axis.part(range(axis.outputs), range(axis.window))
    common = gcd(axis.stride, axis.dilation)
    every, gap = axis.stride // common, axis.dilation // common
    found = []
    for tap in range(min(every, axis.window)):
        later, first = divmod(tap * axis.dilation, axis.stride)
        taps, cells = (
            len(range(tap, axis.window, every)),
            len(range(first, axis.padded, axis.stride)),
        )
        reach = (taps - 1) * gap + 1
        before = reach - 1 + later
        after = cells - 1 + reach - axis.outputs - before
        slides = Axis(axis.outputs, taps, 1, gap, before, after, border=ZEROS)
        found.append(Phase(first, slice(tap, None, every), slides))
    return found


def places_of(phase: Phase, axis: Axis, cells: range) -> range:
    """The outputs of a phase that are these cells, which are counted from the first pixel."""
    first = phase.first - axis.before
    start, stop = (max(0, -((first - cell) // axis.stride)) for cell in (cells.start, cells.stop))
    return range(start, max(start, min(stop, phase.axis.outputs)))
