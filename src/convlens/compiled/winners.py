"""Which cell is the largest under each window, and what pixels get of what comes back, in C.

Numbers are compared as floats or doubles, whichever hold all of the images' type.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import prod

import numpy as np
import numpy.typing as npt

from convlens.compiled.library import load, loaded
from convlens.core.axis import Axis
from convlens.core.problem import Array

Places = npt.NDArray[np.int64]
FLOATS, DOUBLES = "?bBhHef", "iId"  # NumPy's letters of the types that they hold all numbers of
MOST = 2**29  # taps of a window, which are numbered


def missing(dtype: np.dtype[np.generic]) -> str | None:
    """Why winners among numbers of this type are not found here; None if they are."""
    library = load()
    if isinstance(library, str):
        return library
    if dtype.char in FLOATS + DOUBLES:
        return None
    return f"its winners are of integers of up to 32 bits and floats of up to 64, not of {dtype}"


def compared_as(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The type that numbers are compared in."""
    return np.dtype(np.float32 if dtype.char in FLOATS else np.float64)


class Cells:
    """Cells, how windows slide over them, and their places.

    Parameters
    ----------
    numbers : (m, *sizes, c)
        As `compared_as` says. The numbers of a row of cells lie side by side.
    axes : sequence of Axis
        One to three. Cells before the first one and behind the last take no part.
    places : sequence of array
        For each axis, the places of its cells, below 0 if they have none.
    counts : sequence of int
        For each axis, how many places there are.

    Attributes
    ----------
    numbers
    sizes : array of int64
        Their sizes and those of the windows, as the library takes them.
    lines : list of array of int64
        The places along three axes.
    """

    def __init__(
        self,
        numbers: Array,
        axes: Sequence[Axis],
        places: Sequence[Places],
        counts: Sequence[int],
    ) -> None:
        self.numbers, single = numbers, 3 - len(axes)
        m, c = numbers.shape[0], numbers.shape[-1]
        apart = [stride // numbers.itemsize for stride in numbers.strides[:-2]]
        sizes = [m, c, apart[0], *[0] * single, *apart[1:], *[1, 1, 1, 1, 1, 0, 1] * single]
        for axis, count in zip(axes, counts, strict=True):
            sizes += [axis.size, axis.outputs, axis.window, axis.stride, axis.dilation]
            sizes += [axis.before, count]
        self.sizes = np.array(sizes, np.int64)
        lines = (np.ascontiguousarray(line, np.int64) for line in places)
        self.lines = [*[np.zeros(1, np.int64)] * single, *lines]

    def of(self, numbers: Array) -> Cells:
        """The same for other numbers that lie in memory as these do."""
        other = copy(self)
        other.numbers = numbers
        return other


def fits(axes: Sequence[Axis]) -> bool:
    """Whether all taps of a window can be numbered."""
    return prod(axis.window for axis in axes) <= MOST


def find(cells: Cells, found: Places) -> None:
    """Write the place of the largest cell under each window, counted in reading order.

    Parameters
    ----------
    cells : Cells
    found : (m, *outputs, c)
        Where they are written, without gaps: -1 where the largest cell has no place, or there is
        none.
    """
    loaded().find_winners(cells.numbers, cells.sizes, cells.lines, found)


def give(cells: Cells, numbers: Array, values: Array, *, exact: bool) -> None:
    """Write what each place gets of the numbers that come back to windows.

    Parameters
    ----------
    cells : Cells
    numbers : (m, *outputs, c) of float32 or float64
        What comes back.
    values : (m, *counts, c)
        What the places get, in the numbers' type, without gaps.
    exact : bool
        Whether sums are no worse than one rounding each, for places under many windows.
    """
    numbers = np.ascontiguousarray(numbers)
    loaded().give_to_winners(cells.numbers, cells.sizes, cells.lines, numbers, values, exact=exact)
