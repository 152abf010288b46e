"""Windows so large that they are computed in parts, and the parts' results merged.

The cells under a window are held in memory together, in every thread, and long sums of floats lose
precision. So a window of too many cells, or of too many floats to add up, is cut into parts: each a
call of its own on the same pixels. Which parts depends on the window alone, so that an image's
result is the same in every batch and however a call is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from convlens.call import Array, Call, Layout, Spec
from convlens.engines.blocks import held, most
from convlens.engines.methods import Method, choose
from convlens.engines.pairwise import Pairwise
from convlens.engines.ways import Way

# Bytes of the cells under a window. With those of its neighbours that it shares most of them with,
# and with copies of the pixels, a thread takes less than 32 MB.
CONVOLVED, POOLED = 2**23, 15 * 10**6
# Floats are added up in blocks of at least BLOCK taps, if a row has so many, and at most so many
# blocks in turn.
BLOCK, BLOCKS = 64, 256
RESULTS = 2**20  # numbers of parts' results that are there at a time

Compute = Callable[[Call, Way, Array, Array | None, Array], None]
MERGES = {"max": np.maximum, "min": np.minimum, "sum": np.add, "avg": np.add}


def is_large(call: Call, method: Method) -> bool:
    """Whether a call's window is to be cut, as far as there is anything to cut."""
    height, width = call.rows.window, call.columns.window
    can_be_cut = height * width > 1 or call.channels == call.groups > 1
    return can_be_cut and not _fits(call, method, height, width, call.channels)


def _fits(call: Call, method: Method, height: int, width: int, channels: int) -> bool:
    """Whether a part of so many taps down and across is small enough."""
    parts = replace(call.rows, window=height), replace(call.columns, window=width)
    cells = prod(held(axis, 1) for axis in parts) * channels
    if cells * method.numbers.itemsize > (POOLED if call.kernels is None else CONVOLVED):
        return False
    if call.sum_dtype.kind != "f" or call.mode in ("max", "min"):
        return True
    if call.kernels is None or method.pipeline.startswith("separable"):
        return max(height, width) <= BLOCK * BLOCKS  # along one axis, and then along the other
    depth = call.channels // max(1, call.groups)
    return height * -(-width * depth // BLOCK) <= BLOCKS


def compute(
    call: Call, way: Way, images: Array, kernels: Array | None, out: Array, window: Compute
) -> None:
    """Write the result into `out`; `window` computes a part. All arrays have their full form."""
    if call.channels != call.groups:
        _compute_whole_pixels(call, way, images, kernels, out, window)
        return
    # Channels that have nothing to do with each other need not be held together.
    height, width = call.rows.window, call.columns.window
    method = choose(call, way.numbers, way.factors is not None)
    together = most(call.channels, lambda count: _fits(call, method, height, width, count))
    each = call.output_channels // call.channels
    for c in _cuts(call.channels, together):
        n = slice(c.start * each, c.stop * each)
        count = len(c)
        some = replace(call, groups=count, channels=count, output_channels=count * each)
        of_some = None if kernels is None else kernels[..., n]
        _compute_whole_pixels(
            some, way, images[..., c.start : c.stop], of_some, out[..., n], window
        )


def _compute_whole_pixels(
    call: Call, way: Way, images: Array, kernels: Array | None, out: Array, window: Compute
) -> None:
    """The same, of all channels together."""
    taps = list(_taps(call, way))
    averages, results = call.mode == "avg", RESULTS // (len(taps).bit_length() + 2)
    m, oh, ow, nc = out.shape
    width = min(ow, max(1, results // nc))
    height = min(oh, max(1, results // (width * nc)))
    count = max(1, results // (height * width * nc))
    for n, y, x in product(_cuts(m, count), _cuts(oh, height), _cuts(ow, width)):
        some, merged = images[n.start : n.stop], Pairwise(MERGES[call.mode])
        for down, across in taps:
            part = replace(
                call,
                mode="sum" if averages else call.mode,
                images=Spec(some.shape, some.dtype),
                layout=Layout("mhwc", call.layout.kernels, "mhwn"),
                rows=call.rows.part(y, down),
                columns=call.columns.part(x, across),
                output_dtype=call.sum_dtype,
            )
            of_part = None if kernels is None else kernels[_slice(down), _slice(across)]
            result = np.empty((len(n), len(y), len(x), nc), call.sum_dtype)
            window(part, way.part(down, across), some, of_part, result)
            merged.add(result)
        total = merged.total()
        if averages:
            counts = (
                axis.counts(outputs, padding=call.count_padding)
                for axis, outputs in ((call.rows, y), (call.columns, x))
            )
            floats = np.result_type(call.output_dtype, call.sum_dtype)
            total = total / np.multiply.outer(*counts).astype(floats)[..., np.newaxis]
        # What does not fit into the output's type is an answer too, as inf.
        with np.errstate(invalid="ignore", over="ignore"):
            out[_slice(n), _slice(y), _slice(x)] = total


def _taps(call: Call, way: Way) -> Iterator[tuple[range, range]]:
    """The parts of a window: taps down and across. Rows stay whole as long as they can."""
    rows, columns = call.rows.window, call.columns.window
    method = choose(call, way.numbers, way.factors is not None)
    width = most(columns, lambda width: _fits(call, method, 1, width, call.channels))
    height = most(rows, lambda height: _fits(call, method, height, width, call.channels))
    yield from product(_cuts(rows, height), _cuts(columns, width))


def _cuts(size: int, step: int) -> list[range]:
    """0 … size - 1, in pieces."""
    return [range(start, min(start + step, size)) for start in range(0, size, step)]


def _slice(numbers: range) -> slice:
    return slice(numbers.start, numbers.stop)
