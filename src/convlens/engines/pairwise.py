"""Sums of many arrays with small rounding errors."""

from __future__ import annotations

import numpy as np

from convlens.call import Array


class Pairwise:
    """Adds arrays up two by two, these sums two by two, and so on, as `numpy.sum` adds numbers.

    The rounding error grows with the logarithm of how many there are, and so does the memory: of
    every two sums of equally many arrays one is made at once.

    Parameters
    ----------
    merge : numpy.ufunc
        What is done to two arrays: added, or the larger or the smaller numbers taken.
    """

    def __init__(self, merge: np.ufunc = np.add) -> None:
        self._merge = merge
        self._sums: list[tuple[int, Array]] = []  # how many arrays each sum has, largest first

    def add(self, array: Array) -> None:
        """Take one more array, which may be changed from now on."""
        count = 1
        while self._sums and self._sums[-1][0] == count:
            array = self._merge(self._sums.pop()[1], array, out=array)
            count *= 2
        self._sums.append((count, array))

    def total(self) -> Array:
        """The sum of all arrays, of which there is at least one."""
        total = self._sums.pop()[1]
        while self._sums:
            total = self._merge(self._sums.pop()[1], total, out=total)
        return total
