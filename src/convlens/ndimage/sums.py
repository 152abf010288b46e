"""Sums of products under a window, in the compiled pipelines or block by block in NumPy.

Outputs of floats are within rounding of the exact sums. Outputs of integers have SciPy's bits: a
sum that is cut off to an integer shows in which order it was rounded, so these are added up in
float64 in SciPy's order. Where input and weights are integers the sums are exact in any order; then
they are taken in the output's own type, in which all wraps around as it would in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from convlens.core.problem import Array
from convlens.ndimage import engine, ordered, passes
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
        dtype = output.dtype.newbyteorder("=")
        sums: list[OfBlock] = [
            partial(_wrapping, _taps(ordered.of_line(line, step.axis, rank), dtype))
            for step, line in zip(steps, lines, strict=True)
        ]
    else:
        dtype = np.dtype(np.float64)
        sums = [
            ordered.Sums(ordered.of_line(line, step.axis, rank))
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
    weights = np.where(np.abs(weights) > ordered.EPSILON, weights, 0)
    if output.dtype.kind == "f" and engine.kernel(input_, output, steps, weights):
        if (weights == 0).any():
            _without_empty_taps(input_, output, steps, weights)
        return
    whole = _whole(weights) and wraps(input_, output, steps)
    if whole and _exactly(input_, output, steps, weights):
        return
    terms = ordered.of_window(weights)
    if whole:
        dtype = output.dtype.newbyteorder("=")
        add_up: OfBlock = partial(_wrapping, _taps(terms, dtype))
    else:
        dtype, add_up = np.dtype(np.float64), ordered.Sums(terms)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        return add_up(cells, outputs(places, weights.shape))

    filter_blocks(input_, output, steps, dtype, compute)


def _without_empty_taps(
    input_: Array, output: Array, steps: Sequence[Step], weights: Array
) -> None:
    """Compute again what NaN and inf under taps of no weight have made of outputs."""
    if np.isfinite(_spread(output)):
        return
    # A sum of finite numbers that overflows gives the same again.
    again = np.empty_like(output)
    add_up = ordered.Sums(ordered.of_window(weights))

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        return add_up(cells, outputs(places, weights.shape))

    filter_blocks(input_, again, steps, np.float64, compute)
    np.copyto(output, again, where=~np.isfinite(output))


def _spread(output: Array) -> Any:
    """A number that is not finite if one of the output's is not."""
    with np.errstate(all="ignore"):
        return output.max() - output.min()


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
