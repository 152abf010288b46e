"""Convolution with vectors along the channels: for small windows on many groups of one channel.

`runtime/grouped.c` has all other groups. Here neighbouring sums share what they load.
"""

from __future__ import annotations

import halide as hl
from convolution import Convolution, Number, Tail, Tap, Types, g, n, o, x, y
from levels import Level, Pipeline

CHUNK = 4  # vectors of channels
MANY_REGISTERS = ("avx512", "neon")  # the levels with room for the sums of four rows


def depthwise(
    level: Level,
    types: Types,
    *,
    taps: int,
    stride: int,
    large: bool,
) -> Pipeline:
    """Convolve with vectors along g, for at least a vector of groups of one channel and one kernel.

    Dilations must be 1. With `large`, for windows of more taps, cells are filled for a few vectors
    of channels at a time, so that they stay in the first caches however many channels there are.
    Without it images are read in place, and the padding must hold a constant.
    """
    pixels, rows = 4, 4 if large and level.name in MANY_REGISTERS else 2
    conv = Convolution(types, None, stride, taps, rows, depth=1)
    conv.dx = 1
    lanes = level.lanes(conv.numbers)
    padded = conv.cells.by_channels(conv.channels) if large else None

    def product(_c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        column = x * conv.sx + tap.x
        if padded:
            pixel = hl.Expr(padded[g, column, row, n])
        else:
            pixel = conv.cells.beneath(column, g, conv.channels, row, n)
        return conv.kernels[0, g, 0, tap.x, tap.y] * pixel

    # All taps of a small window are unrolled. The compiler would begin such a sum with any of its
    # products, if it knew that there is nothing before them; 1 is the number of kernels of a group.
    conv.define(product, start=0 if large else conv.kernels.dim(0).extent() - 1)

    # 4 x 2 or 4 x 4 pixels of one vector, whose sums share the kernel's numbers.
    yo, yi, xo, xi, go, gi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "go", "gi"))
    out, sums, chunk, task = conv.out, conv.sums, hl.Var("chunk"), hl.Var("task")
    out.bound(o, 0, 1).output_buffer().dim(1).set_stride(1)
    conv.kernels.dim(0).set_stride(hl.Expr())
    conv.kernels.dim(1).set_stride(1)
    conv.split_rows(yo, yi, rows)
    # Nothing beyond the images can be read there, so the last vector shifts inwards.
    out.split(g, go, gi, lanes, Tail.ShiftInwards)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi).vectorize(gi)
    order = [o, gi, xi, yi, go, xo, yo]
    if padded:
        out.split(go, chunk, go, CHUNK, Tail.GuardWithIf)
        padded.compute_at(out, chunk).hoist_storage(out, task)
        for each in range(3):
            padded.update(each).vectorize(padded.args()[0], lanes, Tail.Predicate)
        order.append(chunk)
    conv.by_strips(order, lanes, padded=False)
    sums.compute_at(out, go).bound_extent(x, pixels).bound_extent(y, rows)
    sums.vectorize(g).unroll(x).unroll(y)
    update = sums.update().reorder(o, g, x, y, conv.r.x, conv.r.y, conv.r.z)
    update.vectorize(g).unroll(x).unroll(y).unroll(conv.r.z)
    if not large:
        update.unroll(conv.r.y)
        # It would also add sums that only some tiles need in an order of their own. A loop over the
        # rows of a tile takes them from memory, into which every tile has to put all of its sums.
        out.serial(yi)
    return Pipeline(conv.out, conv.arguments)
