"""Calls that repeat on arrays that lie in memory as those of an earlier call did.

For a small call it takes longer to find out how to compute it than to compute it. So the runs of a
call are kept, with where in its arrays each of them began.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from operator import add

import numpy as np

from convlens.compiled.blocks import KEPT
from convlens.compiled.library import Run, address
from convlens.core.problem import Array

MOST = 256  # calls whose runs are kept


# A run, and for each array of the call how many bytes behind its first number the run begins.
Step = tuple[Run, tuple[int, ...]]


def start(steps: list[Step], starts: list[int]) -> None:
    """Run these steps on arrays that begin at these addresses, and stay alive meanwhile."""
    for run, offsets in steps:
        run.start([*map(add, starts, offsets)])


class Repeats:
    """The runs of the latest calls, by all that they depend on."""

    def __init__(self) -> None:
        self._steps: dict[Hashable, list[Step]] = {}

    def run(self, key: Hashable, given: Sequence[Array]) -> bool:
        """Run what a call like this one ran, on the arrays given; False if none is known."""
        steps = self._steps.get(key)
        if steps is None:
            return False
        start(steps, [address(each) for each in given])
        return True

    def steps(self, key: Hashable) -> list[Step] | None:
        """The steps of a call that is kept, or None."""
        return self._steps.get(key)

    def keep(
        self, key: Hashable, given: Sequence[Array], runs: Sequence[tuple[Run, Sequence[Array]]]
    ) -> None:
        """Keep the runs of a call, if their arrays all lie in its own, and not in copies.

        Parameters
        ----------
        key : hashable
            All that the runs depend on but the arrays' addresses and numbers.
        given : list of array
            The arrays of the call.
        runs : list of (Run, list of array)
            In their order, with parts of the arrays given, one of each; there is nothing else to
            do.
        """
        steps = []
        for run, parts in runs:
            if not all(map(np.may_share_memory, parts, given)):
                return
            offsets = (
                address(part) - address(each) for part, each in zip(parts, given, strict=True)
            )
            steps.append((run, tuple(offsets)))
        if sum(run.nbytes for run, _ in steps) > KEPT:
            return
        if len(self._steps) >= MOST:
            self._steps.clear()
        self._steps[key] = steps

    def cache_clear(self) -> None:
        """Forget every call; named as with `functools.lru_cache`."""
        self._steps.clear()
