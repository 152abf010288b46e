"""Plans: what a call will compute, by which method and why, and at what cost; printed and drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens import arguments
from convlens.core.axis import Axis
from convlens.core.problem import Array, Problem, Spec
from convlens.drawing import draw
from convlens.engines import compiled_engine, methods, numpy_engine, ways

ENGINES = {"compiled": compiled_engine, "numpy": numpy_engine}

SMALL = "which is the faster one where there is so little to do"


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
    missing : str or None
        Why the compiled engine will not, where NumPy's was not asked for.
    way : Way or None
        What the kernels' numbers decide of how the compiled engine works, for the arrays that the
        plan was made from. A plan of bare shapes leaves it open, and says what it depends on; one
        that is called with other kernels looks at theirs.
    reason : str
        Why this engine, and how it works.
    operation, output_shape, output_dtype, padding, stride, dilation, groups, window, windows
        What will be computed; see each.
    multiply_adds, bytes_moved : int
        The work, and the memory traffic at the least.
    note : str or None
        A warning if an array (h, w, 3), which looks like one picture, is taken for h images.

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
    missing: str | None = None
    way: ways.Way | None = field(default=None, compare=False)  # plans are of shapes and types

    @property
    def reason(self) -> str:
        """Why this engine, and how it works."""
        if self.method == "compiled":
            return ways.describe(self.problem, self.way)
        if self.missing in (None, SMALL):
            return self.missing or "as asked"
        return f"which takes every type; the compiled engine would be faster, but {self.missing}"

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
        return self._bytes_read + self._bytes_written

    @property
    def _bytes_read(self) -> int:
        kernels = self.problem.kernels
        return self.problem.images.nbytes + (0 if kernels is None else kernels.nbytes)

    @property
    def _bytes_written(self) -> int:
        return Spec(self.output_shape, self.output_dtype).nbytes

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
    ) -> Array:
        """Carry the plan out.

        Parameters
        ----------
        images, kernels : array_like
            Of the shapes and types that were planned; a pooling takes no kernels. Images may be a
            Dask array.
        out : numpy.ndarray, optional
            Where to write the result.

        Returns
        -------
        numpy.ndarray or dask.array.Array
            `out`, or a new array of shape `output_shape`.

        Raises
        ------
        ValueError, TypeError
            If the arrays are not as planned.
        """
        with arguments.refusing(self.operation):
            images = arguments.planned("images", images, self.problem.images)
            if self.problem.kernels is not None:
                if kernels is None:
                    raise TypeError("the plan needs kernels too: plan(images, kernels)")
                kernels = arguments.kernels_for(self.problem.images.dtype, kernels)
                kernels = arguments.planned("kernels", kernels, self.problem.kernels)
                arguments.check_sums_fit(self.problem, kernels)
            elif kernels is not None:
                raise TypeError("a plan for pooling takes images alone; got kernels too")
        return execute(settled(self, kernels), images, kernels, out)

    def __repr__(self) -> str:
        """The same words at the prompt as in print."""
        return str(self)

    def __str__(self) -> str:
        read, written = _quantity(self._bytes_read, "B"), _quantity(self._bytes_written, "B")
        work = "multiply-adds"
        if self.operation == "pool":
            work = "additions" if self.problem.mode in ("avg", "sum") else "comparisons"
        lines = {
            self.operation: _title(self.problem),
            "input": _inputs(self.problem),
            "output": _outputs(self.problem),
            "rows": _size_formula(self.problem.rows, "h + top + bottom", "h"),
            "columns": _size_formula(self.problem.columns, "w + left + right", "w"),
            "padding": _padding(self.problem),
            "windows": _windows(self),
            "work": f"{_quantity(self.multiply_adds, '')} {work}",
            "memory": f"reads {read}, writes {written}",
            "method": f"{self.method}, {self.reason}",
        }
        if self.note is not None:
            lines["note"] = self.note
        return "\n".join(f"{name:<10}{text}" for name, text in lines.items())

    def _repr_svg_(self) -> str:
        """The drawing that notebooks show."""
        return draw(self.problem)


def choose(problem: Problem, method: str, kernels: Array | None = None) -> Plan:
    """Make the plan for a problem. "auto" takes the compiled engine unless it is missing or slower.

    `kernels` are None for pooling, and where only their shape is known.
    """
    missing = None if method == "numpy" else methods.missing(problem)
    if method == "compiled" and missing is not None:
        raise ValueError(f"method='compiled' needs the compiled engine, but {missing}")
    if method == "auto" and missing is None and ways.suited(problem).tiny:
        missing = SMALL
    if method == "numpy" or missing is not None:
        return Plan(problem, "numpy", missing)
    bare = problem.kernels is not None and kernels is None
    return Plan(problem, "compiled", way=None if bare else ways.settle(problem, kernels))


def settled(plan: Plan, kernels: Array | None) -> Plan:
    """The plan with everything settled that depends on these kernels; they are None for pooling."""
    if plan.method == "numpy":
        return plan
    return replace(plan, way=ways.settle(plan.problem, kernels))


def execute(plan: Plan, images: Array, kernels: Array | None, out: object) -> Array:
    """Carry a settled plan out on arrays that have been checked; only `out` has not."""
    if arguments.is_dask(images):
        from convlens import chunked  # noqa: PLC0415  # seldom needed

        with arguments.refusing(plan.operation):
            arguments.no_output(out)
            run = partial(_execute_part, plan)
            lazy: Array = chunked.lazily(plan.problem, images, kernels, run)
        return lazy
    with arguments.refusing(plan.operation):
        result = arguments.output(out, plan.output_shape, plan.output_dtype, images, kernels)
    if result.size == 0:
        return result
    engine = ENGINES[plan.method]
    compute = engine.pool if kernels is None else engine.convolve
    settled = [] if plan.way is None else [plan.way]
    numbers = [images] if kernels is None else [images, kernels]
    # NaN, inf and numbers that are too large or too small for a type are valid results, which must
    # not raise, whatever np.seterr says.
    with np.errstate(all="ignore"):
        if images.size == 0:
            result[...] = plan.problem.of_zeros(kernels)
        else:
            compute(plan.problem, *settled, *numbers, result)
    return result


def _execute_part(plan: Plan, problem: Problem, images: Array, kernels: Array | None) -> Array:
    """Carry out a call on a part of the images, with what was settled for the whole problem."""
    return execute(replace(plan, problem=problem), images, kernels, None)


# ------------------------------------------------------------------ the plan in words


def _title(problem: Problem) -> str:
    h, w, c = problem.rows.size, problem.columns.size, problem.channels
    each = f"{h} x {w}" + (f" with {c} channels" if "c" in problem.layout.images else "")
    images = f"one image of {each}" if problem.batch == 1 else f"{problem.batch:,} images of {each}"
    kh, kw = problem.rows.window, problem.columns.window
    if problem.operation == "pool":
        what = {"max": "the largest", "min": "the smallest", "avg": "the mean", "sum": "the sum"}
        return f"{images}, {what[problem.mode]} of each {kh} x {kw} window"
    if "c" not in problem.layout.kernels:
        each_channel = " on each channel" if "c" in problem.layout.images else ""
        return f"{images}, one {kh} x {kw} kernel{each_channel}"
    size = f"{kh} x {kw} x {c // problem.groups}"
    if problem.output_channels == 1:
        return f"{images}, one {size} kernel"
    groups = f" in {problem.groups} groups of channels" if problem.groups > 1 else ""
    return f"{images}, {problem.output_channels} kernels of {size}{groups}"


def _inputs(problem: Problem) -> str:
    text = f"{problem.images.shape} {problem.images.dtype}"
    return (
        text
        if problem.kernels is None
        else f"{text}, kernels {problem.kernels.shape} {problem.kernels.dtype}"
    )


def _outputs(problem: Problem) -> str:
    text = f"{problem.output_shape} {problem.output_dtype}"
    if problem.mode in ("max", "min") or problem.sum_dtype == problem.output_dtype:
        return text
    return f"{text}, summed in {problem.sum_dtype}"


def _size_formula(axis: Axis, padded: str, letter: str) -> str:
    """The formula for the number of outputs, and the same formula with the numbers put in."""
    window, taps = f"k{letter}", f"{axis.window}"
    if axis.dilation > 1:
        window, taps = f"(({window} - 1) * d{letter} + 1)", f"(({taps} - 1) * {axis.dilation} + 1)"
    formula = f"({padded} - {window})", f"s{letter}"
    numbers = f"({axis.size} + {axis.before} + {axis.after} - {taps})", f"{axis.stride}"
    shape = "ceil({} / {}) + 1" if axis.hangs_over else "{} // {} + 1"
    return f"{shape.format(*formula)} = {shape.format(*numbers)} = {axis.outputs}"


def _padding(problem: Problem) -> str:
    rows, columns = problem.rows, problem.columns
    if not (rows.before or rows.after or columns.before or columns.after):
        return "none"
    rule = "" if problem.padding_word == "given" else f"{problem.padding_word}: "
    cells = f"{rows.before} above, {rows.after} below, {columns.before} left, {columns.after} right"
    if problem.operation == "pool":
        count = problem.count_padding and problem.mode == "avg"
        return f"{rule}{cells}, {'counted as zeros' if count else 'left out of every window'}"
    holds = {
        "constant": "zeros",
        "edge": "the nearest pixel",
        "reflect": "the image mirrored at its last pixel",
        "symmetric": "the image mirrored at its edge",
        "wrap": "the image over again",
    }
    return f"{rule}{cells}, holding {holds[problem.pad_mode]}"


def _windows(plan: Plan) -> str:
    problem = plan.problem
    oh, ow = problem.rows.outputs, problem.columns.outputs
    places = f"{oh:,} x {ow:,}" if problem.batch == 1 else f"{problem.batch:,} x {oh:,} x {ow:,}"
    kh, kw = plan.window
    depth = problem.channels // max(1, problem.groups)
    taps = f"{kh} x {kw} x {depth}" if depth > 1 else f"{kh} x {kw}"
    return f"{places} = {plan.windows:,}, each of {taps} = {kh * kw * depth:,} taps"


_UNITS = {
    "": ("", "", " million", " billion", " trillion"),
    "B": (" B", " kB", " MB", " GB", " TB"),
}


def _quantity(count: int, unit: str) -> str:
    """A count rounded to three digits, such as 88.2 million or 314 MB."""
    if not unit and count < 10**6:
        return f"{count:,}"
    units = iter(_UNITS[unit])
    size, name = float(count), next(units)
    # The size is rounded before it is compared, so that 999,999 thousand become a million.
    while float(f"{size:.3g}") >= 1000 and (larger := next(units, None)) is not None:
        size, name = size / 1000, larger
    return f"{size:.3g}{name}" if size < 999.5 else f"{size:,.0f}{name}"
