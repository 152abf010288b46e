"""Sums of products under a window, in the compiled pipelines or block by block in NumPy.

Outputs of floats are within rounding of the exact sums. Outputs of integers have SciPy's bits: a
sum that is cut off to an integer shows in which order it was rounded, so these are added up in
float64 in SciPy's order. Where input and weights are integers the sums are exact in any order; then
they are taken in the output's own type, in which all wraps around as it would in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from convlens.core.problem import Array
from convlens.ndimage import engine
from convlens.ndimage.arguments import Step
from convlens.ndimage.blocks import apart, converted, fill, filter_blocks, outputs, shifted, windows

EPSILON = np.finfo(np.float64).eps  # SciPy leaves out taps of a smaller weight than this
CLOSE_TO_ONE = 1e-12

OfLine = Callable[[Array, Array, int, int], Array]  # cells, weights, axis, outputs


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
    if output.dtype.kind == "f" and _is_one_filter(steps, lines):
        if len(steps) == 1:
            line = engine.rounded(lines[0], engine.sums(input_, output))
            done = engine.kernel(input_, output, steps, line)
        else:
            done = engine.product(input_, output, steps, lines)
        if done:
            return
    whole = all(_whole(line) for line in lines)
    if whole and _wraps(input_, output, steps):
        dtype, of_line = output.dtype.newbyteorder("="), _wrapping_line
        weights = [_wrapped(line, dtype) for line in lines]
    else:
        dtype, of_line, weights = np.dtype(np.float64), _line_in_order, list(lines)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        places_left = list(places)
        for number, (step, line) in enumerate(zip(steps, weights, strict=True)):
            if number:  # What was computed beyond the edges is no part of the array in between.
                cells = converted(cells, output.dtype).astype(dtype, copy=False)
                fill(cells, places_left, step, input_.shape[step.axis])
            at = places_left[step.axis]
            count = len(at) - step.size + 1
            cells = of_line(cells, line, step.axis, count)
            places_left[step.axis] = range(at.start + step.before, at.start + step.before + count)
        return cells

    filter_blocks(input_, output, steps, dtype, compute)


def under_window(input_: Array, output: Array, steps: Sequence[Step], weights: Array) -> None:
    """Correlate with weights (*window) that have as many axes as the input."""
    input_ = apart(input_, output)
    weights = np.where(np.abs(weights) > EPSILON, weights, 0)
    if output.dtype.kind == "f" and engine.kernel(input_, output, steps, weights):
        if (weights == 0).any():
            _without_empty_taps(input_, output, steps, weights)
        return
    taps = [(at, weights[at]) for at in np.ndindex(weights.shape) if weights[at] != 0]
    if _whole(weights) and _wraps(input_, output, steps):
        dtype = output.dtype.newbyteorder("=")
        numbers = _wrapped(weights, dtype)
        taps = [(at, numbers[at]) for at, _ in taps]
    else:
        dtype = np.dtype(np.float64)

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        shape = outputs(places, weights.shape)
        total, term = np.zeros(shape, dtype), np.empty(shape, dtype)
        for at, weight in taps:
            total += np.multiply(shifted(cells, at, shape), weight, out=term)
        return total

    filter_blocks(input_, output, steps, dtype, compute)


def _without_empty_taps(
    input_: Array, output: Array, steps: Sequence[Step], weights: Array
) -> None:
    """Compute again what NaN and inf under taps of no weight have made of outputs."""
    if np.isfinite(_spread(output)):
        return
    # A sum of finite numbers that overflows gives the same again.
    again = np.empty_like(output)
    taps = [(at, weights[at]) for at in np.ndindex(weights.shape) if weights[at] != 0]

    def compute(cells: Array, places: tuple[range, ...]) -> Array:
        shape = outputs(places, weights.shape)
        total = np.zeros(shape)
        for at, weight in taps:
            total += shifted(cells, at, shape) * weight
        return total

    filter_blocks(input_, again, steps, np.float64, compute)
    np.copyto(output, again, where=~np.isfinite(output))


def _spread(output: Array) -> Any:
    """A number that is not finite if one of the output's is not."""
    with np.errstate(all="ignore"):
        return output.max() - output.min()


def _is_one_filter(steps: Sequence[Step], lines: Sequence[Array]) -> bool:
    """Whether filtering along one axis after the other is one filter with the product of the lines.

    A border's number lies around the array in between, too, where the filter of it may differ.
    """
    if len(steps) == 1:
        return True
    same = all(
        step.border.mode != "constant"
        or step.border.value == 0
        or abs(line.sum() - 1) < CLOSE_TO_ONE
        for step, line in zip(steps, lines, strict=True)
    )
    # The number of a border is the same along all axes that have one.
    constant = any(step.border.mode == "constant" and step.border.value != 0 for step in steps)
    return same and (not constant or all(abs(line.sum() - 1) < CLOSE_TO_ONE for line in lines))


def _whole(weights: Array) -> bool:
    """Whether all weights are integers that float64 holds exactly."""
    return bool((np.abs(weights) < 2.0**53).all() and (weights == np.trunc(weights)).all())


def _wraps(input_: Array, output: Array, steps: Sequence[Step]) -> bool:
    """Whether sums may be taken in the output's type, in which they wrap around."""
    whole = all(
        step.border.mode != "constant" or float(step.border.value).is_integer() for step in steps
    )
    return whole and input_.dtype.kind in "biu" and output.dtype.kind in "iu"


def _wrapped(weights: Array, dtype: np.dtype[Any]) -> Array:
    """Whole weights in a type of integers, in which they wrap around."""
    return weights.astype(np.int64).astype(dtype.newbyteorder("="))


def _line_in_order(cells: Array, weights: Array, axis: int, count: int) -> Array:
    """Correlate along an axis in float64, with SciPy's roundings.

    SciPy adds up pairs of taps with equal or opposite weights, from the outermost to the innermost,
    to that in the middle; other taps one after another, to the last.
    """
    tap, last = windows(cells, axis, count), len(weights) - 1
    sign, half = _symmetry(weights), len(weights) // 2
    if sign == 0:
        total: Array = np.multiply(tap(last), weights[last])
        term = np.empty_like(total)
        for number in range(last):
            total += np.multiply(tap(number), weights[number], out=term)
        return total
    merge = np.add if sign > 0 else np.subtract
    total = np.multiply(tap(half), weights[half])
    term = np.empty_like(total)
    for number in range(half):
        merge(tap(number), tap(last - number), out=term)
        term *= weights[number]
        total += term
    return total


def _symmetry(weights: Array) -> int:
    """1 if an odd number of weights are symmetric, -1 if they are antisymmetric, or else 0."""
    if len(weights) % 2 == 0:
        return 0
    half = len(weights) // 2
    left, right = weights[:half], weights[: -half - 1 : -1]
    if not (np.abs(right - left) > EPSILON).any():
        return 1
    return 0 if (np.abs(right + left) > EPSILON).any() else -1


def _wrapping_line(cells: Array, weights: Array, axis: int, count: int) -> Array:
    """Correlate along an axis with integers, in their own type."""
    tap = windows(cells, axis, count)
    total = np.zeros_like(tap(0), order="C")
    for number, weight in enumerate(weights.tolist()):
        if weight == 1:
            total += tap(number)
        elif weight == 2:
            total += tap(number)
            total += tap(number)
        elif weight and weight == (weights.dtype.type(0) - weights.dtype.type(1)).item():
            total -= tap(number)
        elif weight:
            total += tap(number) * weights[number]
    return total
