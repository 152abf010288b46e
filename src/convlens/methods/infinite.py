"""What taps that are not finite give back, in a transpose.

A transpose is computed by convolutions over outputs with zeros around them, where there are no
outputs. A tap that is NaN or inf gives nothing back there, but times zero it would be NaN. So such
taps are taken as zeros, and what they give back is added here, to the pixels that they lie on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlens.core.cells import Integers, sources
from convlens.core.problem import Array, Problem


def places(kernels: Array) -> Array | None:
    """Where kernels are not finite, as booleans; None if all of their numbers are finite."""
    if kernels.dtype.kind not in "fc":
        return None
    finite = np.isfinite(kernels)
    return None if finite.all() else ~finite


def give_back(
    problem: Problem,
    outputs: Array,
    kernels: Array,
    infinite: Array,
    out: Array,
    numbers: Sequence[Integers],
    pixels: tuple[range, ...],
) -> None:
    """Add what the infinite taps give back to these pixels to `out`, (m, *pixels, c).

    Parameters
    ----------
    problem : Problem
        The convolution.
    outputs : (m, *outputs, n)
    kernels, infinite : (*taps, c of a group, n)
        The kernels, and where they are not finite.
    out : (m, *pixels, c)
    numbers : sequence of (outputs,)
        For each axis, which of the convolution's outputs these are.
    pixels : tuple of range
    """
    depth, count = kernels.shape[-2:]
    each = count // max(1, problem.groups)
    for *tap, n in np.argwhere(infinite.any(axis=-2)).tolist():
        at: Any = (*tap, slice(None), n)
        c = np.flatnonzero(infinite[at])
        taken, given = [], []
        for axis, t, some, wanted in zip(problem.axes, tap, numbers, pixels, strict=True):
            cells = some * axis.stride + t * axis.dilation - axis.before
            under = sources(cells, axis.size, axis.border.mode)
            here = (under >= wanted.start) & (under < wanted.stop)
            taken.append(np.flatnonzero(here))
            given.append(under[here] - wanted.start)
        to = np.ix_(*given, n // each * depth + c)
        for image, target in zip(outputs[..., n], out, strict=True):
            values = image[np.ix_(*taken)][..., np.newaxis] * kernels[at][c]
            np.add.at(target, to, values)  # which adds all that cells of padding give to a pixel
