"""Plans in words: a line for each thing that one would ask about a call."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convlens.arguments import SPACES
from convlens.core.axis import Axis
from convlens.core.problem import Problem, Spec

if TYPE_CHECKING:
    from convlens.plan import Plan
    from convlens.plan.back import BackPlan


class Words(NamedTuple):
    """How a plan speaks of one axis.

    Attributes
    ----------
    name, letter : str
        Of its line, and of its size in formulas.
    before, after : str
        The cells of padding on either side, in formulas.
    on_sides : tuple of str
        Where these cells are, as in "2 above, 1 below".
    """

    name: str
    letter: str
    before: str
    after: str
    on_sides: tuple[str, str]


_WIDTH = Words("width", "w", "before", "after", ("before", "after"))
_DEPTH = Words("depth", "d", "front", "back", ("in front", "behind"))
_ROWS = Words("rows", "h", "top", "bottom", ("above", "below"))
_COLUMNS = Words("columns", "w", "left", "right", ("left", "right"))
_AXES = {1: (_WIDTH,), 2: (_ROWS, _COLUMNS), 3: (_DEPTH, _ROWS, _COLUMNS)}


def text(plan: Plan) -> str:
    """The plan as it is printed."""
    problem = plan.problem
    axes = zip(_AXES[problem.space], problem.spatial, strict=True)
    lines = {
        plan.operation: _title(problem),
        "input": _inputs(problem),
        "output": _outputs(problem),
        **{words.name: _size_formula(words, axis) for words, axis in axes},
        "padding": _padding(problem),
        "where": _where(problem),
        "windows": _windows(plan),
        "work": _work(plan),
        "memory": _memory(plan),
        "method": f"{plan.method}, {plan.reason}",
    }
    if problem.where == "all":
        del lines["where"]
    if plan.note is not None:
        lines["note"] = plan.note
    return "\n".join(f"{name:<10}{line}" for name, line in lines.items())


_BACK = {
    "convolve_transpose": "",
    "kernel_gradient": "by the kernels: ",
    "pool_gradient": "by the images: ",
}


def text_of_back(plan: BackPlan) -> str:
    """The plan of a transpose or a gradient as it is printed."""
    problem = plan.problem
    axes = zip(_AXES[problem.space], problem.spatial, strict=True)
    inputs = [f"{name} {each.shape} {each.dtype}" for name, each in plan.inputs]
    sums = "" if problem.sum_dtype == plan.output_dtype else f", summed in {problem.sum_dtype}"
    lines = {
        "transpose" if plan.call == "convolve_transpose" else "gradient": _BACK[plan.call]
        + _title(problem),
        "input": ", ".join(inputs),
        "output": f"{plan.output_shape} {plan.output_dtype}{sums}",
        **{words.name: _size_formula(words, axis) for words, axis in axes},
        "padding": _padding(problem),
        "windows": _windows(plan),
        "work": _work(plan),
        "memory": _memory(plan),
        "method": f"{plan.method}, {plan.reason}",
    }
    return "\n".join(f"{name:<10}{line}" for name, line in lines.items())


def _title(problem: Problem) -> str:
    noun, c = SPACES[problem.space].noun, problem.channels
    each = _by(axis.size for axis in problem.spatial)
    each += f" with {c} channels" if "c" in problem.layout.images else ""
    images = (
        f"one {noun} of {each}" if problem.batch == 1 else f"{problem.batch:,} {noun}s of {each}"
    )
    window = tuple(axis.window for axis in problem.spatial)
    if problem.operation == "pool":
        what = {"max": "the largest", "min": "the smallest", "avg": "the mean", "sum": "the sum"}
        what["median"] = "the median"
        return f"{images}, {what[problem.mode]} of each {_sized(window, 'window')}"
    if "c" not in problem.layout.kernels:
        each_channel = " on each channel" if "c" in problem.layout.images else ""
        return f"{images}, one {_sized(window, 'kernel')}{each_channel}"
    size = (*window, c // problem.groups)
    if problem.output_channels == 1:
        return f"{images}, one {_sized(size, 'kernel')}"
    groups = f" in {problem.groups} groups of channels" if problem.groups > 1 else ""
    return f"{images}, {problem.output_channels} kernels of {_by(size)}{groups}"


def _by(sizes: Iterable[int]) -> str:
    """Sizes along axes, as in "3 x 3"; a single one is grouped in thousands."""
    first, *others = sizes
    return " x ".join(map(str, (first, *others))) if others else f"{first:,}"


def _sized(sizes: tuple[int, ...], thing: str) -> str:
    """A thing with its size, as in "3 x 3 kernel" or "kernel of 31 taps"."""
    if len(sizes) > 1:
        return f"{_by(sizes)} {thing}"
    return f"{thing} of {_taps(sizes)}"


def _inputs(problem: Problem) -> str:
    given = f"{problem.images.shape} {problem.images.dtype}"
    if problem.kernels is None:
        return given
    return f"{given}, kernels {problem.kernels.shape} {problem.kernels.dtype}"


def _outputs(problem: Problem) -> str:
    made = f"{problem.output_shape} {problem.output_dtype}"
    if problem.overflow == "saturate":
        return f"{made}, rounded and clipped from sums in {problem.sum_dtype}"
    if problem.mode in ("max", "min", "median") or problem.sum_dtype == problem.output_dtype:
        return made
    return f"{made}, summed in {problem.sum_dtype}"


def _size_formula(words: Words, axis: Axis) -> str:
    """The formula for the number of outputs, and the same formula with the numbers put in."""
    letter, window, taps = words.letter, f"k{words.letter}", f"{axis.window}"
    if axis.dilation > 1:
        window, taps = f"(({window} - 1) * d{letter} + 1)", f"(({taps} - 1) * {axis.dilation} + 1)"
    formula = f"({letter} + {words.before} + {words.after} - {window})", f"s{letter}"
    numbers = f"({axis.size} + {axis.before} + {axis.after} - {taps})", f"{axis.stride}"
    shape = "ceil({} / {}) + 1" if axis.hangs_over else "{} // {} + 1"
    return f"{shape.format(*formula)} = {shape.format(*numbers)} = {axis.outputs}"


def _padding(problem: Problem) -> str:
    axes = problem.spatial
    if not any(axis.before or axis.after for axis in axes):
        return "none"
    rule = "" if problem.padding_word == "given" else f"{problem.padding_word}: "
    sides = ", ".join(
        f"{cells} {where}"
        for words, axis in zip(_AXES[problem.space], axes, strict=True)
        for cells, where in zip((axis.before, axis.after), words.on_sides, strict=True)
    )
    return f"{rule}{sides}, {_border(problem)}"


def _border(problem: Problem) -> str:
    """What the padding holds, and how a pooling takes it."""
    noun = SPACES[problem.space].noun
    mode, value = problem.columns.border
    if mode == "nothing":
        counts = problem.count_padding and problem.mode == "avg"
        return "counted as zeros" if counts else "left out of every window"
    holds = {
        "constant": _number(value, problem.images.dtype),
        "edge": "the nearest pixel",
        "reflect": f"the {noun} mirrored at its last pixel",
        "symmetric": f"the {noun} mirrored at its edge",
        "wrap": f"the {noun} over again",
    }
    counted = ", counted like pixels" if problem.operation == "pool" else ""
    return f"holding {holds[mode]}{counted}"


def _where(problem: Problem) -> str:
    """Which pixels take part, and what becomes of the weight of the others."""
    pixels = "that are finite" if problem.where == "finite" else "that an array says"
    divided = ", sums divided by the weight that was there" if problem.renormalize else ""
    return f"pixels {pixels}{divided}"


def _number(value: Any, dtype: np.dtype[Any]) -> str:
    """A number as short as it can be written among pixels of this type."""
    if value == 0:
        return "zeros"
    return str(np.asarray(value, dtype)[()]).removesuffix(".0")


def _windows(plan: Plan) -> str:
    problem = plan.problem
    places = [axis.outputs for axis in problem.spatial]
    places = places if problem.batch == 1 else [problem.batch, *places]
    depth = problem.channels // max(1, problem.groups)
    taps = (*plan.window, depth) if depth > 1 else plan.window
    product = " x ".join(f"{each:,}" for each in places)
    total = f" = {plan.windows:,}" if len(places) > 1 else ""
    return f"{product}{total}, each of {_taps(taps)}"


def _taps(sizes: tuple[int, ...]) -> str:
    """The number of taps, as in "31 taps" or "3 x 3 = 9 taps"."""
    if len(sizes) > 1:
        return f"{_by(sizes)} = {prod(sizes):,} taps"
    return "1 tap" if sizes == (1,) else f"{sizes[0]:,} taps"


def _work(plan: Plan) -> str:
    sums, pools = plan.problem.mode in ("avg", "sum"), plan.problem.operation == "pool"
    what = "multiply-adds" if not pools else "additions" if sums else "comparisons"
    return f"{_quantity(plan.multiply_adds)} {what}"


def _memory(plan: Plan) -> str:
    written = Spec(plan.output_shape, plan.output_dtype).nbytes
    read = plan.bytes_moved - written
    return f"reads {_quantity(read, 'B')}, writes {_quantity(written, 'B')}"


_UNITS = {
    "": ("", "", " million", " billion", " trillion"),
    "B": (" B", " kB", " MB", " GB", " TB"),
}


def _quantity(count: int, unit: str = "") -> str:
    """A count rounded to three digits, such as 88.2 million or 314 MB."""
    if not unit and count < 10**6:
        return f"{count:,}"
    units = iter(_UNITS[unit])
    size, name = float(count), next(units)
    # The size is rounded before it is compared, so that 999,999 thousand become a million.
    while float(f"{size:.3g}") >= 1000 and (larger := next(units, None)) is not None:
        size, name = size / 1000, larger
    return f"{size:.3g}{name}" if size < 999.5 else f"{size:,.0f}{name}"
