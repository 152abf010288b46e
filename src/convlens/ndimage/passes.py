"""Filters of integers along one axis after the other, in the compiled pipelines.

Each pass cuts its sums off to the integers of the output, as SciPy does. The pipelines add up in
float32, and again in float64, in SciPy's order, where that leaves an integer in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from convlens.compiled.choice import Pass, largest
from convlens.core.problem import Array
from convlens.ndimage import engine, ordered
from convlens.ndimage.arguments import Step
from convlens.ndimage.engine import DType

TYPES = tuple(map(np.dtype, ("u1", "i2", "u2")))  # of the pixels that there are pipelines for
EXACT = 2**24  # float32 holds all integers below
BOUND = 2**31  # sums below it are cut off to integers alike everywhere


def along_axes(
    input_: Array, output: Array, steps: Sequence[Step], passes: Sequence[Pass | None]
) -> bool:
    """Filter along these axes, of which each has its pass; returns whether it was done."""
    dtype = input_.dtype.newbyteorder("=")
    if dtype not in TYPES or dtype != output.dtype.newbyteorder("=") or None in passes:
        return False
    return bool(steps) and _along(input_, output, list(steps), [each for each in passes if each])


def _along(input_: Array, output: Array, steps: list[Step], passes: list[Pass]) -> bool:
    """Two axes at once where that can be, and one after the other elsewhere."""
    if len(steps) == 1:
        images, results, step = engine.narrowed(input_, output, steps[0])
        return engine.in_passes(images, results, [step], passes)
    if len(steps) == 2:
        if steps[0].axis > steps[1].axis and _commute(steps, passes):
            steps, passes = steps[::-1], passes[::-1]
        (first, second), (one, _) = steps, passes
        # The cells beside the array in between hold the number of a border, and the pipeline takes
        # what the first pass makes of it.
        kept = second.border.mode != "constant" or _keeps(one, float(second.border.value))
        in_order = first.axis < second.axis
        if in_order and kept and engine.in_passes(input_, output, steps, passes):
            return True
    between = np.empty(output.shape, output.dtype)
    return _along(input_, between, steps[:1], passes[:1]) and _along(
        between, output, steps[1:], passes[1:]
    )


def _commute(steps: Sequence[Step], passes: Sequence[Pass]) -> bool:
    """Whether two passes give the same in any order, as sums of integers that wrap around do."""
    whole = all(one.ends[0] == one.ends[2] == 0 for one in passes)
    return whole and all(step.border.mode != "constant" or step.border.value == 0 for step in steps)


def of_line(line: Array, dtype: DType) -> Pass | None:
    """The pass of a line of weights over pixels of a type, if it can be computed so."""
    return _of_line(np.asarray(line, np.float64).tobytes(), dtype.newbyteorder("="))


@lru_cache(maxsize=256)
def _of_line(content: bytes, dtype: DType) -> Pass | None:
    line = np.frombuffer(content)
    if dtype not in TYPES:
        return None
    bound = float(np.abs(line).sum()) * largest(dtype)
    if not bound < BOUND:
        return None
    whole = bound < EXACT and bool((line == np.trunc(line)).all())
    # The products, the additions, and the comparison that the error is for.
    error = 0.0 if whole else (len(line) + 5) * engine.ROUNDING * bound + 1e-30
    weights, first, second, sign = ordered.of_line(line, 0, 1)
    added = [0] + [sign] * (len(weights) - 1)
    taps = np.array([[tap for (tap,) in first], [tap for (tap,) in second], added], np.int32)
    return Pass(line.astype(np.float32), weights.copy(), taps, np.array([error, 1, 0], np.float32))


@lru_cache(maxsize=256)
def of_mean(size: int, dtype: DType) -> Pass | None:
    """The pass of means over so many pixels of a type, if it can be computed so.

    A mean lies on an integer or at least 1 / size from it. So half of that is added, far more than
    the scale's rounding takes away.
    """
    dtype = dtype.newbyteorder("=")
    if dtype not in TYPES or size * largest(dtype) >= EXACT // 8:
        return None
    ones, taps = np.ones(size), np.arange(size, dtype=np.int32)
    ends = np.array([0, 1 / size, 0.5 / size], np.float32)
    mean = _division(size, size * largest(dtype))
    return Pass(ones.astype(np.float32), ones, np.stack([taps, taps, 0 * taps]), ends, mean)


def _division(size: int, most: int) -> tuple[int, int] | None:
    """A number and a shift such that (n * number >> 16) >> shift is n // size, for n up to `most`.

    The number is 2 ** (16 + shift) / size, rounded up to 16 bits. The quotient is right if what n
    times the rounding adds is less than from the largest remainder to the next whole number.

    References
    ----------
    Granlund and Montgomery, Division by Invariant Integers using Multiplication, 1994, theorem 4.2.
    """
    shift = max(0, (size - 1).bit_length() - 1)
    number = -(-(2 ** (16 + shift)) // size)
    added = most * (number * size - 2 ** (16 + shift))
    return (number, shift) if max(most, number) < 2**16 and added < 2 ** (16 + shift) else None


def _keeps(one: Pass, number: float) -> bool:
    """Whether a pass makes of equal numbers the same again."""
    if number == 0 or one.ends[2]:
        return True
    total = 0.0
    for weight, added in zip(one.weights.tolist(), one.taps[2].tolist(), strict=True):
        total += weight * (number + added * number)
    return int(total) == number
