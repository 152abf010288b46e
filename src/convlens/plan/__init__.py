"""Plans: what a call will compute, by which method and why, and at what cost; printed and drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from convlens import arguments, arguments_where, labels
from convlens.arguments_where import Where
from convlens.core.problem import Array, Problem, Spec
from convlens.methods import METHODS, Program, Weigher, masked
from convlens.plan import words
from convlens.plan.drawing import draw

if TYPE_CHECKING:
    from convlens.execute.files import ArrayFile
    from convlens.execute.stores import StoredArray


ALL = Where()  # every pixel takes part


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What a call will compute, and how.

    Made by `convlens.plan_convolve` and `convlens.plan_pool`. Printing a plan explains it; calling
    it runs it; a notebook draws it.

    Attributes
    ----------
    problem : Problem
        The arguments, normalised.
    method : str
        The engine that will carry the plan out.
    program : Program
        How the method computes the problem, for the arrays that the plan was made from. A plan of
        bare shapes leaves open what depends on the kernels' numbers, and says so; one that is
        called with other kernels looks at theirs.
    missing : str or None
        Why a faster method does not compute it, where none was asked for.
    reason : str
        Why this engine, and how it works.
    operation, output_shape, output_dtype, padding, stride, dilation, groups, window, windows
        What will be computed; see each.
    multiply_adds, bytes_moved : int
        The work, and the memory traffic at the least.
    note : str or None
        A warning if an array that looks like one image with channels, such as (h, w, 3), is taken
        for many images.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> images, kernel = np.ones((2, 5, 5)), np.ones((3, 3))
    >>> plan = convlens.plan_convolve(images, kernel, padding="valid")
    >>> plan.output_shape, plan.multiply_adds
    ((2, 3, 3), 162)
    >>> plan(images, kernel)[0, 0]
    array([9., 9., 9.])
    """

    problem: Problem
    method: str
    program: Program = field(compare=False)  # plans are of shapes and types
    missing: str | None = None

    @property
    def reason(self) -> str:
        """Why this engine, and how it works."""
        if self.method == "compiled":
            return self.program.describe()
        return self.missing or "as asked"

    @property
    def operation(self) -> str:
        """The name of the call: "convolve" or "pool"."""
        return self.problem.operation

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The result's shape."""
        return self.problem.output_shape

    @property
    def output_dtype(self) -> np.dtype[Any]:
        """The result's type."""
        return self.problem.output_dtype

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Cells before and after the pixels of each axis, as ((top, bottom), (left, right))."""
        return tuple((axis.before, axis.after) for axis in self.problem.spatial)

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels from one window to the next, for each axis."""
        return tuple(axis.stride for axis in self.problem.spatial)

    @property
    def dilation(self) -> tuple[int, ...]:
        """Pixels from one tap to the next, for each axis."""
        return tuple(axis.dilation for axis in self.problem.spatial)

    @property
    def groups(self) -> int:
        """Groups of channels that have kernels of their own."""
        return self.problem.groups

    @property
    def window(self) -> tuple[int, ...]:
        """Taps of the window along each axis."""
        return tuple(axis.window for axis in self.problem.spatial)

    @property
    def windows(self) -> int:
        """How many places the window takes, over all images."""
        return self.problem.batch * prod(axis.outputs for axis in self.problem.axes)

    @property
    def multiply_adds(self) -> int:
        """Multiplications, each with an addition; for pooling, comparisons or additions.

        Every tap of every window counts, those on padding too, as if each were visited by itself.
        """
        channels = self.problem.channels // max(1, self.problem.groups)
        return self.windows * prod(self.window) * channels * self.problem.output_channels

    @property
    def bytes_moved(self) -> int:
        """Bytes of memory traffic at the least: each input read once, the output written once."""
        problem = self.problem
        arrays = problem.images, problem.kernels, Spec(self.output_shape, self.output_dtype)
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def note(self) -> str | None:
        """The words of `convlens.ChannelsWarning`, if the call gives that warning."""
        return arguments.channels_note(self.problem)

    def __call__(
        self,
        images: npt.ArrayLike,
        kernels: npt.ArrayLike | None = None,
        *,
        out: Array | None = None,
        where: npt.ArrayLike | None = None,
    ) -> Array:
        """Carry the plan out.

        Parameters
        ----------
        images, kernels : array_like
            Of the shapes and types that were planned; a pooling takes no kernels. Images may be a
            Dask array.
        out : numpy.ndarray, optional
            Where to write the result.
        where : array_like of bool, optional
            Which pixels take part, if the plan was made for such an array.

        Returns
        -------
        numpy.ndarray or dask.array.Array
            `out`, or a new array of shape `output_shape`.

        Raises
        ------
        ValueError, TypeError
            If the arrays are not as planned.
        """
        planned, given = self.problem.where, images
        with arguments.refusing(self.operation):
            images, pixels = arguments_where.of_call(images, where)
            if (pixels.word == "given") != (planned == "given"):
                kind = "an array of where" if planned == "given" else f"{planned} pixels"
                raise TypeError(f"the plan was made for {kind}: make one for these arguments")
            images = arguments.planned("images", images, self.problem.images)
            if self.problem.kernels is not None:
                if kernels is None:
                    raise TypeError("the plan needs kernels too: plan(images, kernels)")
                kernels = arguments.kernels_for(self.problem.images.dtype, kernels)
                kernels = arguments.planned("kernels", kernels, self.problem.kernels)
                arguments.check_sums_fit(self.problem, kernels)
            elif kernels is not None:
                raise TypeError("a plan for pooling takes images alone; got kernels too")
        result = execute(settled(self, kernels), images, kernels, out, pixels)
        return labels.like(given, self.problem, result)

    def __repr__(self) -> str:
        """The same words at the prompt as in print."""
        return str(self)

    def __str__(self) -> str:
        return words.text(self)

    def _repr_svg_(self) -> str:
        """The drawing that notebooks show."""
        return draw(self.problem)


def choose(problem: Problem, method: str, kernels: Array | None = None) -> Plan:
    """Make the plan for a problem. "auto" takes the first method that can, and is not slow at it.

    `kernels` are None for pooling, and where only their shape is known.
    """
    missing, whole = None, problem
    for name, candidate in METHODS.items():
        if method not in ("auto", name):
            continue
        problem = _seen(whole, name)
        refusal = candidate.refuses(problem)
        if refusal is not None and method == name:
            raise ValueError(f"method={name!r} needs the compiled engine, but {refusal}")
        if refusal is not None:
            missing = f"which takes every type; the compiled engine would be faster, but {refusal}"
        elif method == "auto" and (slow := candidate.is_slow_at(problem)) is not None:
            missing = slow
        else:
            return Plan(whole, name, candidate.prepare(problem, kernels), missing)
    raise AssertionError("the last method takes every problem")


def _seen(problem: Problem, method: str) -> Problem:
    """The problem that a method is given, where some pixels may take no part.

    If it does not weigh, they are left out before: by `masked`.
    """
    if problem.where == "all" or METHODS[method].weighs(problem):
        return problem
    return masked.unmasked(problem)


def settled(plan: Plan, kernels: Array | None) -> Plan:
    """The plan with everything settled that depends on these kernels; they are None for pooling."""
    seen = _seen(plan.problem, plan.method)
    return replace(plan, program=METHODS[plan.method].prepare(seen, kernels))


def execute(
    plan: Plan, images: Array, kernels: Array | None, out: object, pixels: Where = ALL
) -> Array:
    """Carry a settled plan out on arrays that have been checked; only `out` has not.

    The shape of an array among `pixels` has not been checked either.
    """
    if arguments.is_dask(images):
        from convlens.execute import dask  # noqa: PLC0415  # seldom needed

        with arguments.refusing(plan.operation):
            arguments.no_output(out)
            run, grain = partial(_execute_part, plan), plan.program.grain(plan.problem)
            lazy: Array = dask.lazily(plan.problem, images, kernels, run, grain)
        return lazy
    problem = plan.problem
    with arguments.refusing(plan.operation):
        where, left = pixels.fitted(problem), None
        if where is not None and (pixels.own is not None or masked.needs_pixels(problem)):
            full = problem.full_images(where)
            left = masked.left(problem, METHODS[plan.method], full, kernels)
            if pixels.own is None and not left.all():
                raise ValueError(masked.refusal(problem, left))
        inputs = images, kernels, *(() if where is None else (where,))
        result = arguments.output(out, plan.output_shape, plan.output_dtype, *inputs)
    _compute(plan, images, where, kernels, result)
    if left is None or pixels.own is None:
        return result
    hidden = np.broadcast_to(~left, problem.full_output_shape)
    return np.ma.MaskedArray(result, hidden.reshape(plan.output_shape))


def _compute(
    plan: Plan, images: Array, where: Array | None, kernels: Array | None, result: Array
) -> None:
    """Compute the result; all arrays have been checked."""
    if result.size == 0:
        return
    problem, program = plan.problem, plan.program
    # NaN, inf and numbers that are too large or too small for a type are valid results, which must
    # not raise, whatever np.seterr says.
    with np.errstate(all="ignore"):
        if images.size == 0:
            result[...] = problem.of_zeros(kernels)
        elif problem.where != "all" and not METHODS[plan.method].weighs(problem):
            masked.compute(problem, METHODS[plan.method], program, images, where, kernels, result)
        elif where is not None:  # The method weighs, and so does its program.
            cast("Weigher", program).run(problem, images, kernels, result, where)
        else:
            program.run(problem, images, kernels, result)


def execute_file(
    plan: Plan,
    array: ArrayFile | StoredArray,
    kernels: Array | None,
    target: Path,
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Carry a plan out on a file or a store, as the `stream` of `convlens.execute`'s does."""
    from convlens.execute import files, stores  # noqa: PLC0415  # seldom needed

    run, grain = for_parts(plan, kernels)
    if isinstance(array, stores.StoredArray):
        stores.stream(plan.problem, array, kernels, run, target, grain, advance)
    else:
        files.stream(plan.problem, array, kernels, run, target, grain, advance)


def for_parts(plan: Plan, kernels: Array | None) -> tuple[Callable[..., Array], tuple[int, ...]]:
    """What computes the parts of a plan's problem, ``run(problem, images, kernels)``.

    With it comes the grain, the outputs that stay together along each axis. The plan is settled
    once, for all parts.
    """
    plan = settled(plan, kernels)
    return partial(_execute_part, plan), plan.program.grain(plan.problem)


def _execute_part(
    plan: Plan, problem: Problem, images: Array, kernels: Array | None, out: Array | None = None
) -> Array:
    """Carry out a call on a part of the images, with what was settled for the whole problem."""
    return execute(replace(plan, problem=problem), images, kernels, out)
