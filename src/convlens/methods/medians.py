"""Medians under windows, in NumPy: the numbers under each window are copied, and partly sorted."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from convlens.core.cells import arange, sources
from convlens.core.problem import Array, Problem


def medians(problem: Problem, images: Array, places: tuple[slice, ...]) -> Array:
    """The medians at these places of the output: (m, *outputs, c), in the images' type.

    Every window has an odd number of cells that count, so that one of them lies in the middle.
    """
    lines = [  # for each axis, the pixels under its windows, or -1: (outputs, taps)
        sources(
            np.add.outer(
                arange(range(at.start, at.stop)) * axis.stride - axis.before,
                arange(range(axis.window)) * axis.dilation,
            ),
            axis.size,
            axis.border.mode,
        )
        for axis, at in zip(problem.axes, places, strict=True)
    ]
    m, c = images.shape[0], images.shape[-1]
    each = [np.arange(m), *(line.reshape(-1) for line in lines), np.arange(c)]
    under = images[np.ix_(*each)].astype(problem.sum_dtype, copy=False)
    under = under.reshape(m, *(size for line in lines for size in line.shape), c)
    for number, line in enumerate(lines):
        if (line < 0).any():  # cells of padding that take no pixel
            padding: tuple[Any, ...] = (slice(None),) * (1 + 2 * number) + (line < 0,)
            under[padding] = problem.pad_number
    outputs, taps = range(1, under.ndim - 1, 2), range(2, under.ndim - 1, 2)
    under = under.transpose(0, *outputs, under.ndim - 1, *taps)
    under = under.reshape(*under.shape[: len(lines) + 2], prod(line.shape[1] for line in lines))
    middle = under.shape[-1] // 2
    result: Array = np.partition(under, middle, axis=-1)[..., middle]
    if under.dtype.kind == "f":
        result[np.isnan(under).any(axis=-1)] = np.nan
    return result
