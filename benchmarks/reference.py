"""The right answers, computed in float64 from the definition, and how far others may be off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from contenders import Task

BLOCK = 2**17  # numbers in a block: a megabyte of float64, which fits in the cache


class Answer(NamedTuple):
    """A task's right answer.

    Attributes
    ----------
    values : numpy.ndarray
        (m, oh, ow, nc), float64.
    sizes : numpy.ndarray
        The sums of the absolute values of what is summed up to `values`.
    additions : int
        How many numbers are summed; 0 where answers must be exact.
    """

    values: np.ndarray
    sizes: np.ndarray
    additions: int


def reference(task: Task) -> Answer:
    """The answer, computed tap by tap."""
    plan, (kh, kw) = task.plan, task.plan.window
    (sh, sw), (dh, dw) = plan.stride, plan.dilation
    m, oh, ow, nc = task.output_shape
    empty = -np.inf if task.mode == "max" else 0
    border = ((0, 0), *plan.padding, (0, 0))
    values = np.full(task.output_shape, float(empty))
    sizes = np.zeros(task.output_shape)
    rows = max(1, min(oh, BLOCK // (ow * max(nc, task.channels))))
    images = max(1, BLOCK // (oh * ow * max(nc, task.channels)))
    for n in range(0, m, images):
        padded = np.pad(task.pixels[n : n + images].astype(float), border, constant_values=empty)
        for y in range(0, oh, rows):
            block = np.s_[n : n + images, y : y + rows]
            part, size = values[block], sizes[block]  # (m, oh, ow, nc): views
            for i, j in np.ndindex(kh, kw):
                top, left = y * sh + i * dh, j * dw
                lines = padded[:, top : top + sh * part.shape[1] : sh]  # (m, oh, w, c)
                under_tap = lines[:, :, left : left + sw * ow : sw]  # (m, oh, ow, c)
                _merge(task, part, size, under_tap, (i, j))
    additions = 0 if task.exact else kh * kw * (1 if task.taps is None else task.taps.shape[2])
    if task.mode == "avg":
        counts = _counts(task)
        return Answer(values / counts, values / counts, additions)
    return Answer(values, sizes, additions)


def _merge(task: Task, part, size, under_tap, tap: tuple[int, int]) -> None:
    """Add the pixels under a tap (m, oh, ow, c) to the outputs, or merge them."""
    if task.mode == "max":
        np.maximum(part, under_tap, out=part)
    elif task.mode == "avg":  # the pixels are not negative here, so these are the sizes too
        part += under_tap
    else:
        tap = task.taps[tap].astype(float)  # (c // groups, nc)
        part += _products(under_tap, tap, task.plan.groups)
        if not task.exact:
            size += _products(np.abs(under_tap), np.abs(tap), task.plan.groups)


def _products(pixels: np.ndarray, tap: np.ndarray, groups: int) -> np.ndarray:
    """Pixels (…, c) times numbers (c // groups, nc), summed over the channels of each group."""
    if groups == pixels.shape[-1] == tap.shape[1]:
        return pixels * tap[0]
    parts = np.split(pixels, groups, axis=-1), np.split(tap, groups, axis=-1)
    return np.concatenate([one @ other for one, other in zip(*parts, strict=True)], axis=-1)


def _counts(task: Task) -> np.ndarray:
    """How many pixels each average is taken over: (oh, ow, 1)."""
    call, counts = task.plan.problem, []
    for axis, size in ((call.rows, task.pixels.shape[1]), (call.columns, task.pixels.shape[2])):
        starts = np.arange(axis.outputs) * axis.stride - axis.before
        cells = starts[:, np.newaxis] + np.arange(axis.window) * axis.dilation  # (outputs, taps)
        inside = (cells >= 0) & (cells < size)
        counts.append((inside | task.count_padding).sum(1))
    return np.multiply.outer(*counts)[..., np.newaxis]


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
