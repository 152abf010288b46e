"""The right answers, computed in float64 from the definition, and how far others may be off."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import NamedTuple

import numpy as np
from contenders import Task

BLOCK = 2**17  # numbers in a block: a megabyte of float64, which fits in the cache


class Answer(NamedTuple):
    """A task's right answer.

    Attributes
    ----------
    values : numpy.ndarray
        (m, *outputs, nc), float64.
    sizes : numpy.ndarray
        The sums of the absolute values of what is summed up to `values`.
    additions : int
        How many numbers are summed; 0 where answers must be exact.
    """

    values: np.ndarray
    sizes: np.ndarray
    additions: int


def reference(task: Task) -> Answer:
    """The answer, computed tap by tap; poolings and gaussians along one axis after the other."""
    empty = -np.inf if task.mode == "max" else 0.0
    pads = ((0, 0), *task.plan.padding, (0, 0))
    border = (
        {"mode": "constant", "constant_values": empty} if task.pads_zeros else {"mode": task.border}
    )
    values = np.empty(task.output_shape)
    sizes = np.empty(task.output_shape)
    images = max(1, BLOCK // (values.size // len(values)))
    for n in range(0, len(values), images):
        part = np.s_[n : n + images]
        padded = np.pad(task.pixels[part].astype(float), pads, **border)
        if task.holed:  # weights are not negative, and padding takes part
            there = np.isfinite(padded)
            weights = _slid(task, there.astype(float), empty)
            values[part] = _slid(task, np.where(there, padded, 0), empty) / weights
            sizes[part] = 2 * np.abs(values[part])  # of two sums, of pixels that are positive here
            continue
        values[part] = _slid(task, padded, empty)
        if task.mode == "sum" and not task.exact:
            sizes[part] = _slid(task, np.abs(padded), empty, sizes=True)
    if task.clipped:
        limits = np.iinfo(task.plan.output_dtype)
        np.clip(values, limits.min, limits.max, out=values)
    additions = 0
    if not task.exact:
        additions = prod(task.plan.window) * (task.taps.shape[-2] if task.mode == "sum" else 1)
    if task.mode == "avg":  # of pixels that are not negative here: these are the sizes too
        values /= _counts(task)
        sizes = values
    return Answer(values, sizes, additions)


def _slid(task: Task, padded: np.ndarray, empty: float, *, sizes: bool = False) -> np.ndarray:
    """Slide the window over padded images (m, *space, c): (m, *outputs, nc).

    With `sizes`, the kernels' absolute values are taken.
    """
    space, window = task.space, task.plan.window
    if task.mode == "sum" and not task.case.sigma:
        taps = task.taps.astype(float)
        return _pass(task, padded, empty, range(space), np.abs(taps) if sizes else taps)
    for axis in range(space):
        line = None
        if task.mode == "sum":  # a gaussian, whose taps are not negative
            shape = [window[axis] if other == axis else 1 for other in range(space)]
            line = task.lines[axis].reshape(*shape, 1, 1)
            line = np.broadcast_to(line, (*shape, 1, task.channels))
        padded = _pass(task, padded, empty, [axis], line)
    return padded


def _pass(
    task: Task, padded: np.ndarray, empty: float, axes: Sequence[int], taps: np.ndarray | None
) -> np.ndarray:
    """Slide the window along some axes, block by block."""
    plan, space = task.plan, range(task.space)
    window = [plan.window[axis] if axis in axes else 1 for axis in space]
    stride = [plan.stride[axis] if axis in axes else 1 for axis in space]
    m, *outputs, _ = padded.shape
    for axis in axes:
        outputs[axis] = task.output_shape[1 + axis]
    results = np.full((m, *outputs, task.channels if taps is None else taps.shape[-1]), empty)
    rows = max(1, BLOCK * outputs[0] // results[:1].size)
    for y in range(0, outputs[0], rows):
        block, lines = results[:, y : y + rows], padded[:, y * stride[0] :]  # views
        for tap in np.ndindex(*window):
            numbers = zip(tap, plan.dilation, block.shape[1:-1], stride, strict=True)
            places = [slice(i * d, i * d + n * step, step) for i, d, n, step in numbers]
            under_tap = lines[:, *places]  # (m, *outputs, c)
            if taps is not None:
                block += _products(under_tap, taps[tap], plan.groups)
            elif task.mode == "max":
                np.maximum(block, under_tap, out=block)
            else:
                block += under_tap
    return results


def _products(pixels: np.ndarray, tap: np.ndarray, groups: int) -> np.ndarray:
    """Pixels (…, c) times numbers (c // groups, nc), summed over the channels of each group."""
    if groups == pixels.shape[-1] and groups in (1, tap.shape[1]):  # a channel for each kernel
        products: np.ndarray = pixels * tap[0]
        return products
    parts = np.split(pixels, groups, axis=-1), np.split(tap, groups, axis=-1)
    return np.concatenate([one @ other for one, other in zip(*parts, strict=True)], axis=-1)


def _counts(task: Task) -> np.ndarray:
    """How many pixels each average is taken over: (*outputs, 1)."""
    every = task.count_padding or task.border != "nothing"
    counts = []
    for axis in task.plan.problem.spatial:
        starts = np.arange(axis.outputs) * axis.stride - axis.before
        cells = starts[:, np.newaxis] + np.arange(axis.window) * axis.dilation  # (outputs, taps)
        inside = (cells >= 0) & (cells < axis.size)
        counts.append((inside | every).sum(1))
    return np.asarray(reduce(np.multiply.outer, counts))[..., np.newaxis]


def fault(given: np.ndarray, right: Answer) -> str:
    """What is wrong with a contender's answer, or "".

    Whatever the order of additions, the error of a sum of n rounded products is at most about
    n * eps / 2 times the sum of their absolute values; eps is twice what one rounding can do.
    """
    if given.shape != right.values.shape:
        return f"has shape {given.shape}, not {right.values.shape}"
    errors = np.abs(given - right.values)
    if not right.additions:
        off = ~(errors == 0)
        return f"{off.sum():,} of {off.size:,} numbers are wrong" if off.any() else ""
    if given.dtype.kind != "f":
        return f"is of {given.dtype}, which cannot hold it"
    allowed = (right.additions + 4) * np.finfo(given.dtype).eps * right.sizes
    off = ~(errors <= allowed)  # also NaN
    if not off.any():
        return ""
    worst = errors[off].max()
    return f"{off.sum():,} of {off.size:,} numbers are wrong, by up to {worst:.2g}"
