"""Long sums of arrays, in which rounding errors grow with the logarithm of their length.

Adding up one array after another rounds the sum so far at every step, n steps in all. Adding the
sums of two halves rounds each number in it log2(n) times.
"""

from __future__ import annotations

import numpy as np

from convlens.call import Array


class Pairwise:
    """The sum of arrays that come one by one: of two, then of two such sums, and so on.

    The order of additions depends on how many arrays there are, and on nothing else. Sums wait to
    be paired as the ones of a binary counter do: at most one for each power of two.

    Parameters
    ----------
    merge : numpy.ufunc
        What makes one array of two, `numpy.add` unless something else is to be merged.

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
        # The sums of 2**n arrays each, for the ones in the count's binary form; None for zeros.
        self._sums: list[Array | None] = []

    def add(self, array: Array) -> None:
        """Add an array. It is ours from now on: it may be changed, and come back as the total."""
        self._add(array, 1)

    def skip(self, count: int) -> None:
        """Add so many arrays of zeros, none of which takes any time."""
        while count:
            most = 2 ** (count.bit_length() - 1)
            block = min(most, self._count & -self._count) if self._count else most
            self._add(None, block)
            count -= block

    def total(self) -> Array:
        """The sum of all arrays, at least one, after which no more may be added."""
        while len(self._sums) > 1:
            self._merge()
        (total,) = self._sums
        if total is None:
            raise ValueError("there is no array to sum up")
        return total

    def _add(self, array: Array | None, count: int) -> None:
        """Add what is the sum of a power of two of arrays, of which there are a multiple so far."""
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
