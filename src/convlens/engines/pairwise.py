"""Long sums of arrays, in which rounding errors grow with the logarithm of their length.

Adding up one array after another rounds the sum so far at every step, n steps in all. Adding the
sums of two halves rounds each number in it log2(n) times.
"""

from __future__ import annotations

from convlens.call import Array


class Pairwise:
    """The sum of arrays that come one by one: of two, then of two such sums, and so on.

    The order of additions depends on how many arrays there are, and on nothing else. Sums wait to
    be paired as the ones of a binary counter do: at most one for each power of two.

    Examples
    --------
    >>> import numpy as np
    >>> pairwise = Pairwise()
    >>> for number in range(5):
    ...     pairwise.add(np.array([number, 1.0]))
    >>> pairwise.total()
    array([10.,  5.])
    """

    def __init__(self) -> None:
        self._count = 0
        self._sums: list[Array] = []  # of 2**n arrays each, for the ones in the count's binary form

    def add(self, array: Array) -> None:
        """Add an array. It is ours from now on: it may be changed, and come back as the total."""
        self._sums.append(array)
        self._count += 1
        carried = self._count
        while carried % 2 == 0:
            self._merge()
            carried //= 2

    def total(self) -> Array:
        """The sum of all arrays, at least one, after which no more may be added."""
        while len(self._sums) > 1:
            self._merge()
        return self._sums[0]

    def _merge(self) -> None:
        last = self._sums.pop()
        self._sums[-1] += last
