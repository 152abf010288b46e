"""Calls that repeat on arrays that lie in memory as those of an earlier call did.

For a small call it takes longer to find out how to compute it than to compute it. So the runs of a
call are kept, with where in its arrays each of them began.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from operator import add
from typing import NamedTuple, Protocol

import numpy as np

from convlens.compiled.blocks import KEPT
from convlens.compiled.library import Run, address
from convlens.core.problem import Array

MOST = 256  # calls whose runs are kept


class Runs(Protocol):
    """What can be run again, on arrays that begin at other addresses; a `Run`, for example."""

    @property
    def nbytes(self) -> int:
        """Bytes of what it keeps."""

    def start(self, addresses: list[int]) -> None:
        """Run it on arrays that begin at these addresses, and stay alive meanwhile."""


# A run, and for each array of the call how many bytes behind its first number the run begins.
Step = tuple[Runs, tuple[int, ...]]


def start(steps: list[Step], starts: list[int]) -> None:
    """Run these steps on arrays that begin at these addresses, and stay alive meanwhile."""
    for run, offsets in steps:
        run.start([*map(add, starts, offsets)])


class Ran(NamedTuple):
    """What a call ran that can be run again, and the arrays it was given: images, kernels, out."""

    steps: list[Step]
    given: Sequence[Array]


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
        self, key: Hashable, given: Sequence[Array], runs: Sequence[tuple[Runs, Sequence[Array]]]
    ) -> None:
        """Keep the runs of a call, if their arrays all lie in its own, and not in copies.

        Parameters
        ----------
        key : hashable
            All that the runs depend on but the arrays' addresses and numbers.
        given : list of array
            The arrays of the call.
        runs : list of (Runs, list of array)
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
        self._keep(key, steps)

    def keep_with_kernels(self, key: Hashable, given: Sequence[Array], ran: Ran) -> None:
        """Keep what a call ran with its kernels, for calls that give images and output alone.

        Parameters
        ----------
        key : hashable
            All that the runs depend on, the kernels' numbers too.
        given : list of array
            Those images and that output, of which the arrays of the call are views.
        ran : Ran
        """
        images, *kernels, out = ran.given
        if not all(map(np.may_share_memory, (images, out), given)):
            return
        first, last = (address(a) - address(b) for a, b in zip((images, out), given, strict=True))
        starts = [address(each) for each in kernels]
        steps: list[Step] = []
        for run, (of_images, *of_kernels, of_out) in ran.steps:
            assert isinstance(run, Run), "nothing else has kernels"
            run_alone = run.with_kernels(kernels, [*map(add, starts, of_kernels)])
            steps.append((run_alone, (first + of_images, last + of_out)))
        self._keep(key, steps)

    def _keep(self, key: Hashable, steps: list[Step]) -> None:
        """Keep these steps, unless they hold too much memory."""
        if sum(run.nbytes for run, _ in steps) > KEPT:
            return
        if len(self._steps) >= MOST:
            self._steps.clear()
        self._steps[key] = steps

    def cache_clear(self) -> None:
        """Forget every call; named as with `functools.lru_cache`."""
        self._steps.clear()
