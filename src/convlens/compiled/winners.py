"""Which cell is the largest under each window, and what pixels get of what comes back, in C.

Numbers are compared as floats or doubles, whichever hold all of the images' type.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from convlens.compiled.library import load, loaded
from convlens.core.axis import Axis
from convlens.core.problem import Array

Places = npt.NDArray[np.int64]
FLOATS, DOUBLES = "?bBhHef", "iId"  # NumPy's letters of the types that they hold all numbers of
INDEX = 2**31  # places from here on do not fit beside floats


def missing(dtype: np.dtype[np.generic]) -> str | None:
    """Why winners among numbers of this type are not found here; None if they are."""
    library = load()
    if isinstance(library, str):
        return library
    if dtype.char in FLOATS + DOUBLES:
        return None
    return f"its winners are of integers of up to 32 bits and floats of up to 64, not of {dtype}"


def compared_as(dtype: np.dtype[np.generic], places: int) -> np.dtype[np.generic]:
    """The type that numbers are compared in, where there are so many places."""
    return np.dtype(np.float32 if dtype.char in FLOATS and places < INDEX else np.float64)


def find(cells: Array, axes: Sequence[Axis], places: Sequence[Places], found: Places) -> None:
    """Write the place of the largest cell under each window, or -1 if it has none.

    Parameters
    ----------
    cells : (m, *sizes, c)
        As `compared_as` says. The numbers of a row of cells lie side by side.
    axes : sequence of Axis
        One to three: how the window slides over these cells. Cells before the first one and behind
        the last take no part.
    places : sequence of array
        For each axis, what the places of its cells add up from, below 0 if they have none.
    found : (m, *outputs, c)
        Where they are written, without gaps.
    """
    m, c = cells.shape[0], cells.shape[-1]
    single = 3 - len(axes)
    axes = [Axis(1, 1, 1, 1, 0, 0)] * single + list(axes)
    lines = [np.zeros(1, np.int64)] * single + [np.ascontiguousarray(line) for line in places]
    # A row's places lie beside its numbers, one for each channel: (size, c).
    index = np.int32 if cells.dtype == np.float32 else np.int64
    lines[-1] = np.repeat(np.maximum(lines[-1], -1).astype(index), c)
    apart = [stride // cells.itemsize for stride in cells.strides[:-2]]
    sizes = [m, c, apart[0], *[0] * single, *apart[1:]]
    for axis in axes:
        sizes += [axis.size, axis.outputs, axis.window, axis.stride, axis.dilation, axis.before]
    loaded().find_winners(cells, np.array(sizes, np.int64), lines, found)


def give(found: Places, numbers: Array, values: Array, start: int, *, exact: bool) -> None:
    """Write what each pixel gets of the numbers that come back to windows.

    Parameters
    ----------
    found : (m, *outputs, c)
        The places of the winners.
    numbers : (m, *outputs, c) of float32 or float64
        What comes back.
    values : (m, *sizes, c)
        What the pixels get that have the places from `start` on, in the numbers' type; each has no
        gaps.
    exact : bool
        Whether sums are no worse than one rounding each, for pixels under many windows.
    """
    m, *outputs, c = numbers.shape
    of_image = [int(np.prod(sizes)) for sizes in (outputs, values.shape[1:-1])]
    sizes = np.array([m, of_image[0], c, start, of_image[1]], np.int64)
    loaded().give_to_winners(found, np.ascontiguousarray(numbers), sizes, values, exact=exact)
