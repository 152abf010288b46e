"""Compute large windows in parts, and merge the parts' results.

There are two reasons to divide a window. Every thread holds all cells under a window in memory, and
a pipeline adds up long sums of floats less exactly. Each part is a call of its own on the same
pixels. How a window is divided depends on the window, the channels and the types alone, so that an
image's result has the same bits in every batch and however the call is divided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convlens.call import Array, Call, Layout, Spec
from convlens.cells import counts
from convlens.engines.blocks import STRIP, most
from convlens.engines.methods import Method, choose, largest
from convlens.engines.pairwise import Pairwise

if TYPE_CHECKING:
    from convlens.engines.ways import Way  # at run time it is `ways` that imports this module

# The most bytes of cells under one window. Together with the other cells of its strip and with
# copies of the pixels, a thread then takes less than 32 MB.
CONVOLVED, POOLED = 2**23, 15 * 10**6
# Pipelines add up floats in blocks of at least BLOCK taps, if a row has that many, and then add up
# the blocks' sums one after another. A part has at most BLOCKS blocks, which bounds the error.
BLOCK, BLOCKS = 64, 256
RESULTS = 2**20  # the most numbers in all results of parts that are in memory at a time

Compute = Callable[[Call, "Way", Array, Array | None, Array], None]
MERGES = {"max": np.maximum, "min": np.minimum, "sum": np.add, "avg": np.add}


def is_large(call: Call, method: Method) -> bool:
    """Whether a call must be computed in parts, and can be: of the window, or of the channels."""
    height, width = call.rows.window, call.columns.window
    can_be_cut = height * width > 1 or call.channels == call.groups > 1
    return can_be_cut and not _fits(call, method, height, width, call.channels)


def _fits(call: Call, method: Method, height: int, width: int, channels: int) -> bool:
    """Whether a part with so many taps down and across, and so many channels, is small enough."""
    parts = replace(call.rows, window=height), replace(call.columns, window=width)
    cells = prod(axis.reach for axis in parts) * channels
    # Taps far apart are computed in parts too: to find the few cells of use among the many between
    # them would take longer.
    if cells > 2 * STRIP and any(axis.reach > axis.window for axis in parts):
        return False
    if cells * method.numbers.itemsize > (POOLED if call.kernels is None else CONVOLVED):
        return False
    if call.mode in ("max", "min"):
        return True
    if call.sum_dtype.kind != "f":
        # Means are computed in float64, which must hold the sum of a part exactly.
        exact = height * width * largest(call.images.dtype) < 2**52
        return exact or call.mode != "avg"
    if call.kernels is None or method.pipeline.startswith("separable"):
        return max(height, width) <= BLOCK * BLOCKS  # They add up one axis after the other.
    depth = call.channels // max(1, call.groups)
    return height * -(-width * depth // BLOCK) <= BLOCKS


class Part(NamedTuple):
    """A part of a window, as ranges of its taps."""

    down: range
    across: range


def taps_on_pixels(call: Call) -> Part | None:
    """The taps of a pooling's window that lie on a pixel for some output; None if all do.

    Padding takes no part in a pooling, so windows that are mostly padding need not be visited.
    """
    if call.pad_mode != "nothing":
        return None
    taps = Part(call.rows.taps_on_pixels, call.columns.taps_on_pixels)
    whole = (call.rows.window, call.columns.window)
    return None if tuple(map(len, taps)) == whole or 0 in map(len, taps) else taps


def parts(call: Call, method: Method, taps: Part | None = None) -> list[Part]:
    """Divide a window, or these taps of it, into parts that are small enough.

    Rows stay whole as long as they can.
    """
    down, across = taps or (range(call.rows.window), range(call.columns.window))
    kh, kw, channels = len(down), len(across), call.channels
    if channels == call.groups:  # Independent channels are computed apart if many do not fit.
        channels = most(channels, lambda count: _fits(call, method, kh, kw, count))
    width = most(kw, lambda width: _fits(call, method, 1, width, channels))
    height = most(kh, lambda height: _fits(call, method, height, width, channels))
    return [
        Part(down[y.start : y.stop], across[x.start : x.stop])
        for y, x in product(_cuts(kh, height), _cuts(kw, width))
    ]


def call_on(call: Call, part: Part, rows: range, columns: range) -> Call:
    """The call for this part of the window, for these rows and columns of the output."""
    return replace(
        call,
        mode="sum" if call.mode == "avg" else call.mode,
        axes=(call.rows.part(rows, part.down), call.columns.part(columns, part.across)),
        output_dtype=call.sum_dtype,
    )


def compute(
    call: Call, way: Way, images: Array, kernels: Array | None, out: Array, engine: Compute
) -> None:
    """Write the result into `out`, where `engine` computes the parts. All arrays are full forms."""
    call = replace(call, layout=Layout("mhwc", call.layout.kernels, "mhwn"))
    method = choose(call, way.numbers, way.factors is not None)
    if call.channels != call.groups:
        _compute(call, way, method, images, kernels, out, engine)
        return
    # The channels are independent of each other, so they need not be in memory together.
    kh, kw = map(len, way.taps) if way.taps else (call.rows.window, call.columns.window)
    each = call.output_channels // call.channels
    together = most(call.channels, lambda count: _fits(call, method, kh, kw, count))
    for c in _cuts(call.channels, together):
        some = replace(call, groups=len(c), channels=len(c), output_channels=len(c) * each)
        n = slice(c.start * each, c.stop * each)
        of_some = None if kernels is None else kernels[..., n]
        _compute(some, way, method, images[..., _slice(c)], of_some, out[..., n], engine)


def _compute(
    call: Call,
    way: Way,
    method: Method,
    images: Array,
    kernels: Array | None,
    out: Array,
    engine: Compute,
) -> None:
    """Write the result of a call whose channels are computed together."""
    window = parts(call, method, way.taps)
    way = way._replace(taps=None)
    most_results = RESULTS // (len(window).bit_length() + 2)
    m, oh, ow, nc = out.shape
    width = min(ow, max(1, most_results // nc))
    height = min(oh, max(1, most_results // (width * nc)))
    count = max(1, most_results // (height * width * nc))
    for n, y, x in product(_cuts(m, count), _cuts(oh, height), _cuts(ow, width)):
        some, merged = images[_slice(n)], Pairwise(MERGES[call.mode])
        for part in window:
            on_part = call_on(call, part, y, x)
            on_part = replace(on_part, images=Spec(some.shape, some.dtype))
            taps = None if kernels is None else kernels[_slice(part.down), _slice(part.across)]
            dtype = out.dtype if on_part.output_dtype.kind == "b" else on_part.output_dtype  # bytes
            result = np.empty((len(n), len(y), len(x), nc), dtype)
            engine(on_part, way.part(*part), some, taps, result)
            merged.add(result)
        total = merged.total()
        if call.mode == "avg":
            divisors = np.multiply.outer(
                counts(call.rows, y, padding=call.count_padding),
                counts(call.columns, x, padding=call.count_padding),
            )
            floats = np.result_type(call.output_dtype, call.sum_dtype)
            total = total / divisors.astype(floats)[..., np.newaxis]
        # A number that is too large for the output's type becomes inf, without a warning.
        with np.errstate(invalid="ignore", over="ignore"):
            out[_slice(n), _slice(y), _slice(x)] = total


def _cuts(size: int, step: int) -> list[range]:
    """Divide the numbers 0 … size - 1 into ranges of at most `step`."""
    return [range(start, min(start + step, size)) for start in range(0, size, step)]


def _slice(numbers: range) -> slice:
    return slice(numbers.start, numbers.stop)
