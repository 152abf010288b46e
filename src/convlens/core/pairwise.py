"""Pairwise sums of many arrays, whose rounding error grows with the logarithm of their number.

Adding n arrays one after another rounds the running sum n times. If the sums of two halves are
added, and those are sums of halves in turn, each array takes part in only log2(n) roundings.
"""

from __future__ import annotations

import numpy as np

from convlens.core.problem import Array


class Pairwise:
    """The pairwise sum of arrays that are added one by one.

    The order of the additions depends on the number of arrays alone. Sums that wait for their
    partner are like the ones of a binary counter, so that at most one is kept for each power of
    two.

    Parameters
    ----------
    merge : numpy.ufunc
        Merges two arrays into one; `numpy.add` by default.

    Examples
    --------
    >>> import numpy as np
    >>> pairwise = Pairwise()
    >>> for number in range(5):
    ...     pairwise.add(np.array([number, 1.0]))
    >>> pairwise.total()
    array([10.,  5.])
    """

    def __init__(self, merge: np.ufunc = np.add) -> None:
        self._merging, self._count = merge, 0
        # For each 1 in the binary form of the count, the sum of so many arrays. None stands for a
        # sum of zeros, which were skipped.
        self._sums: list[Array | None] = []

    def add(self, array: Array) -> None:
        """Add an array. It must not be used afterwards, because it may be changed in place."""
        self._add(array, 1)

    def skip(self, count: int) -> None:
        """Count so many arrays of zeros, in a time that does not grow with their number."""
        while count:
            most = 2 ** (count.bit_length() - 1)
            block = min(most, self._count & -self._count) if self._count else most
            self._add(None, block)
            count -= block

    def total(self) -> Array:
        """The sum of all arrays, of which there must be one; no more may be added afterwards."""
        while len(self._sums) > 1:
            self._merge()
        (total,) = self._sums
        if total is None:
            raise ValueError("there is no array to sum up")
        return total

    def _add(self, array: Array | None, count: int) -> None:
        """Add the sum of `count` arrays: a power of two, which divides the count so far."""
        self._sums.append(array)
        self._count += count
        carried = self._count // count
        while carried % 2 == 0:
            self._merge()
            carried //= 2

    def _merge(self) -> None:
        last = self._sums.pop()
        if self._sums[-1] is None:
            self._sums[-1] = last
        elif last is not None:
            self._merging(self._sums[-1], last, out=self._sums[-1])
