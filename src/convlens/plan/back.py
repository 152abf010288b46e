"""Plans of the way back: of the transpose of a convolution, and of gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convlens import arguments, arguments_back
from convlens.core.problem import Array, Problem, Spec
from convlens.methods import METHODS, Program, winners
from convlens.methods.kernel_gradient import KernelGradient
from convlens.methods.pool_gradient import PoolGradient
from convlens.methods.transposed import Transposed
from convlens.plan import Plan, choose, words

_NOTHING = Spec((), np.dtype(np.float64))
Prepare = Callable[[Array, Array], Program]


@dataclass(frozen=True, slots=True, repr=False)
class BackPlan(Plan):
    """What a transposed convolution or a gradient will compute, and how.

    Made by `convlens.plan_convolve_transpose`, `convlens.plan_kernel_gradient` and
    `convlens.plan_pool_gradient`. It says of the convolution or pooling that it belongs to what a
    `Plan` says, and then how the way back is computed. Printing it explains it; calling it with the
    two arrays runs it; a notebook draws the call that it belongs to.

    Attributes
    ----------
    call : str
        The name of the call: "convolve_transpose", "kernel_gradient" or "pool_gradient".
    inputs : tuple of (str, Spec)
        The names of the two arrays that it takes, with their shapes and types.
    result : Spec
        The result's shape and type.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> outputs, kernel = np.ones((2, 5, 5)), np.ones((3, 3))
    >>> plan = convlens.plan_convolve_transpose(outputs, kernel, padding="valid")
    >>> plan.output_shape
    (2, 7, 7)
    >>> plan(outputs, kernel)[0, :3, 3]
    array([3., 6., 9.])
    """

    call: str = ""
    inputs: tuple[tuple[str, Spec], ...] = ()
    result: Spec = _NOTHING
    prepare: Prepare | None = field(default=None, compare=False)

    @property
    def reason(self) -> str:
        """Why this engine, and how it works."""
        how = self.program.describe()
        if self.method == "compiled":
            return how
        why = "as asked" if self.missing is None else self.missing
        return f"{why}, {how}" if why else how

    @property
    def operation(self) -> str:
        """The name of the call."""
        return self.call

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The result's shape."""
        return self.result.shape

    @property
    def output_dtype(self) -> np.dtype[Any]:
        """The result's type."""
        return self.result.dtype

    @property
    def bytes_moved(self) -> int:
        """Bytes of memory traffic at the least: each input read once, the output written once."""
        return self.result.nbytes + sum(each.nbytes for _, each in self.inputs)

    @property
    def note(self) -> str | None:
        """Nothing: what these calls take has been made by a call that gives the warning."""
        return None

    def __call__(  # type: ignore[override]  # its inputs are others
        self, first: npt.ArrayLike, second: npt.ArrayLike, *, out: Array | None = None
    ) -> Array:
        """Carry the plan out.

        Parameters
        ----------
        first, second : array_like
            The two inputs, of the shapes and types that were planned.
        out : numpy.ndarray, optional
            Where to write the result.

        Returns
        -------
        numpy.ndarray
            `out`, or a new array of shape `output_shape`.

        Raises
        ------
        ValueError, TypeError
            If the arrays are not as planned.
        """
        with arguments.refusing(self.operation):
            if self.call != "convolve_transpose":
                first = arguments_back.in_memory(self.inputs[0][0], first)
            arrays = [
                arguments.planned(name, value, planned)
                for value, (name, planned) in zip((first, second), self.inputs, strict=True)
            ]
            plan = self
            if self.prepare is not None:
                plan = replace(self, program=self.prepare(arrays[0], arrays[1]))
        return execute_back(plan, arrays[0], arrays[1], out)

    def __str__(self) -> str:
        return words.text_of_back(self)


def execute_back(plan: BackPlan, first: Array, second: Array, out: object) -> Array:
    """Carry a settled plan out on arrays that have been checked; only `out` has not."""
    if arguments.is_dask(first):
        from convlens.execute import dask_back  # noqa: PLC0415  # seldom needed

        with arguments.refusing(plan.operation):
            arguments.no_output(out, "outputs")
            assert isinstance(plan.program, Transposed)
            lazy: Array = dask_back.lazily(plan.problem, first, second, plan.program)
        return lazy
    with arguments.refusing(plan.operation):
        result = arguments.output(out, plan.output_shape, plan.output_dtype, first, second)
    if result.size:
        with np.errstate(all="ignore"):  # NaN, inf and overflows are results, as in `execute`
            plan.program.run(plan.problem, first, second, result)
    return result


def plan_transpose(problem: Problem, method: str, kernels: Array | None) -> BackPlan:
    """The plan for the transpose of a convolution, with these kernels or with any."""
    engine = choose(problem, method)

    def prepare(_: Array | None, kernels: Array | None) -> Transposed:
        transposed = Transposed(problem, kernels, METHODS[engine.method].prepare)
        if kernels is not None and problem.sum_dtype.kind in "iu":
            for part, turned in transposed.convolutions(problem.full_kernels(kernels)):
                arguments.check_sums_fit(part, turned, "outputs", transposed.repeats)
        return transposed

    assert problem.kernels is not None
    outputs = Spec(problem.output_shape, problem.images.dtype)
    return BackPlan(
        problem,
        engine.method,
        prepare(None, kernels),
        engine.missing,
        "convolve_transpose",
        (("outputs", outputs), ("kernels", problem.kernels)),
        Spec(problem.images.shape, problem.output_dtype),
        prepare,
    )


def plan_kernel_gradient(problem: Problem, method: str, outputs: Spec | Array) -> BackPlan:
    """The plan for the gradient of a convolution by its kernels, with these outputs or with any."""
    # NumPy is the faster one at convolutions of next to nothing, but not at their gradients.
    can = METHODS["compiled"].refuses(problem) is None
    engine = choose(problem, "compiled" if method == "auto" and can else method)
    method = engine.method
    program = KernelGradient(problem, METHODS[method].prepare, compiled=method == "compiled")

    def prepare(_: Array, outputs: Array) -> KernelGradient:
        arguments.check_gradient_fits(problem, outputs)
        return program

    if isinstance(outputs, np.ndarray):
        arguments.check_gradient_fits(problem, outputs)
    assert problem.kernels is not None
    return BackPlan(
        problem,
        engine.method,
        program,
        engine.missing,
        "kernel_gradient",
        (("images", problem.images), ("outputs", Spec(outputs.shape, outputs.dtype))),
        Spec(problem.kernels.shape, problem.output_dtype),
        prepare,
    )


class Engine(NamedTuple):
    """What computes a call, and why it is not the compiled engine, if it was not asked for."""

    method: str
    missing: str | None


def winners_engine(problem: Problem, method: str) -> Engine:
    """What finds the pixels that a pooling has chosen."""
    missing = winners.missing(problem.images.dtype)
    if method == "compiled" and missing is not None:
        raise ValueError(f"method='compiled' needs the compiled engine, but {missing}")
    if method == "numpy" or missing is None:
        return Engine("numpy" if method == "numpy" else "compiled", None)
    why = f"which takes every type; the compiled engine would be faster, but {missing}"
    return Engine("numpy", why)


def plan_pool_gradient(
    problem: Problem, of_outputs: Problem, method: str, outputs: Spec
) -> BackPlan:
    """The plan for the gradient of a pooling by its images."""
    choosing = problem.mode in ("max", "min")
    engine = winners_engine(problem, method) if choosing else choose(of_outputs, method)
    settle = METHODS[engine.method].prepare
    return BackPlan(
        replace(problem, sum_dtype=of_outputs.sum_dtype),
        engine.method,
        PoolGradient(problem, of_outputs, settle, in_numpy=engine.method == "numpy"),
        engine.missing,
        "pool_gradient",
        (("images", problem.images), ("outputs", outputs)),
        Spec(problem.images.shape, of_outputs.output_dtype),
    )
