"""Calls that repeat: with other numbers, in arrays that lie in memory as those of an earlier call.

To check the arguments of a small call and to plan it takes longer than to compute it. So the plans
of the latest calls are kept. Where a call was nothing but a few runs of pipelines on the caller's
own arrays, these runs are kept with it, and are all that is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from convlens import arguments
from convlens.compiled import work
from convlens.compiled.library import address, load
from convlens.compiled.repeats import Step, start
from convlens.core.problem import Array
from convlens.methods.compiled import CompiledProgram
from convlens.plan import execute

MOST = 256  # calls that are kept


class Known(NamedTuple):
    """A call that has been carried out before.

    Attributes
    ----------
    plan : Plan or BackPlan
    carry_out : callable
        Carries such a plan out.
    steps : list of Step, or None
        The runs of pipelines that are all there is to do, if no more is.
    taps : list of array, or None
        What pipelines take instead of the caller's kernels, if they do.
    """

    plan: Any
    carry_out: Callable[..., Array]
    steps: list[Step] | None = None
    taps: list[Array] | None = None

    def __call__(self, images: Array, kernels: Array | None, out: Array | None) -> Array:
        """Carry the call out on these arrays, which lie in memory as those of the earlier call."""
        plan = self.plan
        if self.steps is None:
            return self.carry_out(plan, images, kernels, out)
        with arguments.refusing(plan.operation):
            result = arguments.output(out, plan.output_shape, plan.output_dtype, images, kernels)
        taps = self.taps or ([] if kernels is None else [kernels])
        start(self.steps, [address(each) for each in (images, *taps, result)])
        return result


class Calls:
    """The latest calls.

    Parameters
    ----------
    carry_out : callable
        Carries a call's plan out on its two arrays, of which it may give None, and `out`.
    """

    def __init__(self, carry_out: Callable[..., Array] = execute) -> None:
        self._carry_out = carry_out
        self._known: dict[Hashable, Known] = {}
        self._by_numbers: set[Hashable] = set()  # the keys of calls on whose kernels more depends

    def find(self, key: Hashable, kernels: object = None) -> Known | None:
        """The call with this key, or None."""
        if key in self._by_numbers:
            key = key, _numbers(kernels)
        return self._known.get(key)

    def keep(
        self, key: Hashable, plan: Any, images: Array, kernels: Array | None, out: Array
    ) -> None:
        """Keep a call that has been carried out with these arrays.

        If its plan depends on numbers, or it checks them, these are the second array's.
        """
        if key is None or plan.note:  # which must be given at each call
            return
        if len(self._known) >= MOST:
            self.cache_clear()
        if not plan.program.for_any_numbers or (
            kernels is not None and arguments.is_checked(plan.problem)
        ):
            if kernels is None or kernels.nbytes > work.FEW:
                return
            self._by_numbers.add(key)
            key = key, _numbers(kernels)
        self._known[key] = Known(plan, self._carry_out, *_steps(plan, images, kernels, out))

    def cache_clear(self) -> None:
        """Forget every call; named as with `functools.lru_cache`."""
        self._known.clear()
        self._by_numbers.clear()


CALLS = Calls()


def key(
    options: arguments.ConvolveOptions | arguments.PoolOptions,
    method: object,
    images: object,
    kernels: object,
    out: object,
    *more: object,
) -> Hashable:
    """All that a call depends on but its arrays' numbers and addresses; None if it is not plain.

    `kernels` and `out` may be None; there may be more arguments.
    """
    forms: list[object] = []
    for each in (images, kernels, out):
        if type(each) is np.ndarray:
            forms += each.shape, each.strides, each.dtype, each.flags.num
        elif each is None and forms:
            forms.append(None)
        else:
            return None
    asked = arguments.key(*options, method, *more)
    # The names of a call's options tell one operation from another, too.
    return None if asked is None else (type(options), asked, *forms, _threads())


def _threads() -> int:
    """On how many threads pipelines would run."""
    library = load()
    return 0 if isinstance(library, str) else library.threads


def _numbers(kernels: object) -> bytes | None:
    """The numbers of kernels, if they are few."""
    if isinstance(kernels, np.ndarray) and kernels.nbytes <= work.FEW:
        return kernels.tobytes()
    return None


def _steps(
    plan: Any, images: Array, kernels: Array | None, out: Array
) -> tuple[list[Step] | None, list[Array] | None]:
    """The steps of a call that has just been carried out with these arrays, and its taps."""
    program, found = plan.program, None
    if isinstance(program, CompiledProgram) and program.way is not None and out.size:
        found = work.ran(plan.problem, program.way, images, kernels, out)
    if found is None:
        return None, None
    steps, (_, *taps, _) = found
    own = kernels is None or np.may_share_memory(taps[0], kernels)
    if program.for_any_numbers and not own:  # They were made from the numbers of this call.
        return None, None
    return steps, None if own else taps
