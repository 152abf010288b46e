"""Sums of products under a window, in the compiled pipelines or block by block in NumPy.

Outputs of floats are within rounding of the exact sums. Outputs of integers have SciPy's bits: a
sum that is cut off to an integer shows in which order it was rounded, so these are added up in
float64 in SciPy's order. Where input and weights are integers the sums are exact in any order; then
they are taken in the output's own type, in which all wraps around as it would in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from convlens.compiled import choice
from convlens.core.problem import Array
from convlens.ndimage import arguments, engine, ordered, passes
from convlens.ndimage.arguments import Step
from convlens.ndimage.blocks import (
    apart,
    converted,
    fill,
    filter_blocks,
    long_rows,
    outputs,
    shifted,
)

CLOSE_TO_ONE = 1e-12
# The most sums of bytes, and of other integers, that are kept whole; more are faster in blocks.
MOST_OF_BYTES, MOST = 2**20, 2**14
DOUBTFUL = 2.0**-7  # the largest error of sums of bytes in float32 that leaves few in doubt
MOST_TAPS = 256  # of bytes
PRODUCTS = 3  # by other numbers than 1, -1 and 2: from so many on, sums are faster in float64
EXACT = 2**53  # float64 holds all integers below
FEW_NUMBERS = 2**13  # the most whose product with themselves no library of NumPy's gives to threads

OfBlock = Callable[[Array, Sequence[int]], Array]  # cells, and the shape of the outputs


@long_rows
def along_axes(input_: Array, output: Array, steps: Sequence[Step], lines: Sequence[Array]) -> None:
    """Correlate along one axis after the other, each time into the output's type.

    Parameters
    ----------
    input_, output : array
    steps : sequence of Step
        The window along each axis, in the order in which SciPy filters along them.
    lines : sequence of array
        The weights of each, in float64.
    """
    input_ = apart(input_, output)
    if output.dtype.kind == "f" and compiled(input_, output, steps, lines):
        return
    if len(steps) == 1 and _bytes_along_axis(input_, output, steps, lines[0]):
        return
    if passes.along_axes(input_, output, steps, [passes.of_line(e, output.dtype) for e in lines]):
        return
    if len(steps) > 2:  # Most cells of a block would lie under the windows of others, too.
        for step, line in zip(steps, lines, strict=True):
            along_axes(input_, output, [step], [line])
            input_ = output
        return
    rank = input_.ndim
    if all(_whole(line) for line in lines) and wraps(input_, output, steps):
        if len(steps) == 1 and _exactly(input_, output, steps, lines[0]):
            return
        if len(steps) == 2 and _is_one_filter(steps, lines):
            window = _product(steps, lines, rank)
            if _exactly(input_, output, steps, window):
                return
        dtype = output.dtype.newbyteorder("=")
        sums: list[OfBlock] = [
            _of_integers(
                ordered.of_line(line, step.axis, rank),
                ordered.along_axis(line, step.axis, rank),
                dtype,
            )
            for step, line in zip(steps, lines, strict=True)
        ]
    else:
        dtype = np.dtype(np.float64)
        sums = [
            ordered.along_axis(line, step.axis, rank)
            for step, line in zip(steps, lines, strict=True)
        ]

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        left = list(places)
        for number, (step, add_up) in enumerate(zip(steps, sums, strict=True)):
            if number:  # What was computed beyond the edges is no part of the array in between.
                cells = converted(cells, output.dtype).astype(dtype, copy=False)
                fill(cells, left, step, input_.shape[step.axis])
            at = left[step.axis]
            start = at.start + step.before
            left[step.axis] = range(start, start + len(at) - step.size + 1)
            cells = add_up(cells, [len(each) for each in left])
        return cells

    filter_blocks(input_, output, steps, dtype, compute)


def compiled(input_: Array, output: Array, steps: Sequence[Step], lines: Sequence[Array]) -> bool:
    """The same into floats by pipelines, if there are some; returns whether it was done."""
    if len(steps) == 1:
        images, results, step = engine.narrowed(input_, output, steps[0])
        line = engine.rounded(lines[0], engine.sums(input_, output))
        return engine.kernel(images, results, [step], line)
    if not _is_one_filter(steps, lines):
        return False
    if len(steps) == 2 or steps[0].size <= engine.DEEP:
        return engine.product(input_, output, steps, lines)
    between = np.empty(output.shape, output.dtype)  # read again by the pass across the slabs
    return compiled(input_, between, steps[:1], lines[:1]) and compiled(
        between, output, steps[1:], lines[1:]
    )


@long_rows
def under_window(input_: Array, output: Array, steps: Sequence[Step], weights: Array) -> None:
    """Correlate with weights (*window) that have as many axes as the input."""
    input_ = apart(input_, output)
    weights, has_empty = _taps_that_count(weights)
    if _tap_by_tap(input_, output, steps, weights, has_empty=has_empty):
        return
    if output.dtype.kind == "f" and engine.kernel(input_, output, steps, weights):
        if has_empty:
            _without_empty_taps(input_, output, steps, weights)
        return
    whole = _whole(weights) and wraps(input_, output, steps)
    if whole and _exactly(input_, output, steps, weights):
        return
    if whole:
        dtype = output.dtype.newbyteorder("=")
        add_up: OfBlock = _of_integers(
            ordered.of_window(weights), ordered.under_window(weights), dtype
        )
    else:
        dtype, add_up = np.dtype(np.float64), ordered.under_window(weights)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        return add_up(cells, outputs(places, weights.shape))

    filter_blocks(input_, output, steps, dtype, compute)


def _bytes_along_axis(input_: Array, output: Array, steps: Sequence[Step], line: Array) -> bool:
    """Sums of bytes with a line that is not symmetric, tap by tap; whether it was done.

    SciPy adds up all taps after the last one, and pairs of taps of others.
    """
    if input_.dtype != choice.U8 or len(line) > MOST_TAPS:
        return False
    taps, weights = _in_order(line.tobytes())
    if taps is None:
        return False
    taps = arguments.expanded(taps, [steps[0].axis], input_.ndim, "weights")
    return _few_of_bytes(input_, output, steps, taps, weights)


@lru_cache(maxsize=256)
def _in_order(content: bytes) -> tuple[Array | None, Array]:
    """The order of a line's taps, from 1 on, or None for pairs of them; and its weights in it."""
    line = np.frombuffer(content)
    if ordered.symmetry(line):
        return None, line
    order = np.where(line != 0, np.arange(2, len(line) + 2), 0)
    order[-1] = min(order[-1], 1)
    weights = np.roll(line, 1)
    return order, weights[weights != 0]


def _few_of_bytes(
    input_: Array, output: Array, steps: Sequence[Step], taps: Array, weights: Array
) -> bool:
    """Sums of bytes under some taps, in their order; returns whether it was done."""
    if output.dtype != choice.U8 or not 0 < len(weights) <= MOST_TAPS:
        return False
    if _is_doubtful(weights.tobytes()):
        return False
    return engine.under_footprint(input_, output, steps, ("sum", taps, weights))


@lru_cache(maxsize=256)
def _is_doubtful(weights: bytes) -> bool:
    """Whether sums of bytes with these weights are so often in doubt that most are taken twice."""
    return engine.error_of_bytes(np.frombuffer(weights)) > DOUBTFUL


def _tap_by_tap(
    input_: Array, output: Array, steps: Sequence[Step], weights: Array, *, has_empty: bool
) -> bool:
    """The same by pipelines, for few taps of bytes, or of floats among others of no weight.

    Returns whether it was done.
    """
    dtype = input_.dtype
    bytes_, floats = dtype == choice.U8, has_empty and dtype in (choice.F32, choice.F64)
    if dtype != output.dtype or not (bytes_ or floats) or weights.size > engine.LARGEST // 8:
        return False
    taps = weights != 0
    some = weights[taps]
    if bytes_:
        return _few_of_bytes(input_, output, steps, taps, some)
    if not 0 < len(some) <= engine.FEW:
        return False
    return engine.under_footprint(input_, output, steps, ("sum", taps, some))


def _taps_that_count(weights: Array) -> tuple[Array, bool]:
    """Weights with 0 for those so small that their taps take no part, and whether there are any."""
    if weights.size > engine.FEW:
        return _without_small(weights)
    return _known_taps(weights.tobytes(), weights.shape)


@lru_cache(maxsize=256)
def _known_taps(content: bytes, shape: tuple[int, ...]) -> tuple[Array, bool]:
    """The same for few weights of float64, which are cached because calls often repeat."""
    return _without_small(np.frombuffer(content).reshape(shape))


def _without_small(weights: Array) -> tuple[Array, bool]:
    weights = np.where(np.abs(weights) > ordered.EPSILON, weights, 0)
    weights.flags.writeable = False
    return weights, bool((weights == 0).any())


def _without_empty_taps(
    input_: Array, output: Array, steps: Sequence[Step], weights: Array
) -> None:
    """Compute again what NaN and inf under taps of no weight have made of outputs."""
    if _is_finite(output):
        return
    # A sum of finite numbers that overflows gives the same again.
    again = np.empty_like(output)
    add_up = ordered.under_window(weights)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        return add_up(cells, outputs(places, weights.shape))

    filter_blocks(input_, again, steps, np.float64, compute)
    np.copyto(output, again, where=~np.isfinite(output))


def _is_finite(output: Array) -> bool:
    """Whether all numbers are finite; very large ones may count as others do."""
    if output.size <= FEW_NUMBERS and output.flags.c_contiguous:
        flat = output.reshape(-1)
        return isfinite(flat.dot(flat))
    with np.errstate(all="ignore"):
        return isfinite(output.max() - output.min())


def wraps(input_: Array, output: Array, steps: Sequence[Step]) -> bool:
    """Whether whole sums may be taken in the output's type, in which they wrap around."""
    whole = all(
        step.border.mode != "constant" or float(step.border.value).is_integer() for step in steps
    )
    return whole and input_.dtype.kind in "biu" and output.dtype.kind in "iu"


def _exactly(input_: Array, output: Array, steps: Sequence[Step], weights: Array) -> bool:
    """Few whole sums that wrap around, by pipelines; returns whether it was done."""
    of_bytes = input_.dtype == np.uint8
    if output.size > (MOST_OF_BYTES if of_bytes else MOST):
        return False
    cells = input_ if of_bytes else input_.astype(np.int64)
    sums = np.empty(output.shape, np.int64)
    if not engine.kernel(cells, sums, steps, weights):
        return False
    output[...] = sums
    return True


def _is_one_filter(steps: Sequence[Step], lines: Sequence[Array]) -> bool:
    """Whether filtering along one axis after the other is one filter with the product of the lines.

    A border's number lies around the array in between, too, where the filter of it may differ.
    """
    for step in steps:
        if step.border.mode == "constant" and step.border.value != 0:
            return all(abs(line.sum() - 1) < CLOSE_TO_ONE for line in lines)
    return True


def _whole(weights: Array) -> bool:
    """Whether all weights are integers that float64 holds exactly."""
    return bool((np.abs(weights) < 2.0**53).all() and (weights == np.trunc(weights)).all())


def _product(steps: Sequence[Step], lines: Sequence[Array], rank: int) -> Array:
    """The window that is the product of lines along these axes, with one tap along all others."""
    window = np.ones((1,) * rank)
    for step, line in zip(steps, lines, strict=True):
        window = window * arguments.expanded(line, [step.axis], rank, "weights")
    return window


def _of_integers(terms: ordered.Terms, of_floats: OfBlock, dtype: np.dtype[Any]) -> OfBlock:
    """Sums with whole weights of integers of this type, which wrap around.

    Where float64 holds them exactly, they are taken in it, unless there is little to multiply.
    """
    taps, most = _taps(terms, dtype), choice.largest(dtype)
    weights = [abs(int(weight)) for weight in terms.weights] * (2 if terms.sign else 1)
    total, products = sum(weights), sum(weight not in (0, 1, 2) for weight in weights)

    def add_up(cells: Array, shape: Sequence[int]) -> Array:
        if products >= PRODUCTS and total < EXACT:
            largest = most if total * most < EXACT else max(-int(cells.min()), int(cells.max()))
            if total * largest < EXACT:
                return of_floats(cells.astype(np.float64), shape).astype(np.int64)
        return _wrapping(taps, cells, shape)

    return add_up


def _taps(terms: ordered.Terms, dtype: np.dtype[Any]) -> list[tuple[ordered.Place, Any]]:
    """The taps of whole weights but 0, with these in a type of integers, which wrap around."""
    pairs = dict(zip(terms.first, terms.weights, strict=True))
    if terms.sign:
        others = zip(terms.second[1:], terms.sign * terms.weights[1:], strict=True)
        pairs |= dict(others)
    return [(at, np.int64(weight).astype(dtype)) for at, weight in sorted(pairs.items()) if weight]


def _wrapping(
    taps: Sequence[tuple[ordered.Place, Any]], cells: Array, shape: Sequence[int]
) -> Array:
    """Sums of integers in their own type."""
    total = np.zeros(shape, cells.dtype)
    for at, weight in taps:
        numbers = shifted(cells, at, shape)
        if weight in (1, 2):
            for _ in range(int(weight)):
                total += numbers
        elif weight + weight.dtype.type(1) == 0:
            total -= numbers
        else:
            total += numbers * weight
    return total
