"""Convolution with vectors along the channels: for groups of one channel and one kernel.

This is for small square windows, and for long sums; `runtime/channelwise.c` has all others.
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
    taps: int | None = None,
    stride: int | None = None,
    large: bool = False,
    blocks: bool = False,
    volume: bool = False,
) -> Pipeline:
    """Convolve with vectors along g, for many groups of one channel and one kernel each.

    If the numbers of taps and the stride are given, there must be at least a vector of groups, and
    dilations must be 1. Then neighbouring sums share what they load. With `large`, for windows of
    more taps, cells are filled for a few vectors of channels at a time, so that they stay in the
    first caches however many channels there are. Without it images are read in place, and the
    padding must hold a constant.
    """
    pixels, rows = 4, 2
    if large and level.name in MANY_REGISTERS:
        rows = 4
    conv = Convolution(types, None, stride, taps, rows if taps else 1, depth=1, volume=volume)
    if taps:
        conv.dx = 1
    lanes = level.lanes(conv.numbers)
    padded = conv.cells.by_channels(conv.channels) if large else None

    def product(_c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        column = (x if taps else conv.column) * conv.sx + tap.x * conv.dx
        if padded:
            pixel = hl.Expr(padded[g, column, row, n])
        elif taps:
            pixel = conv.cells.beneath(column, g, conv.channels, row, n)
        else:
            pixel = conv.cells.at(column * conv.channels + g, row, n, *tap.z)
        return conv.kernels[0, g, 0, tap.x, tap.y, *tap.z] * pixel

    # All taps of a small window are unrolled. The compiler would begin such a sum with any of its
    # products, if it knew that there is nothing before them; 1 is the number of kernels of a group.
    whole = taps and not large
    start = conv.kernels.dim(0).extent() - 1 if whole else 0
    conv.define(product, start=start, height=1 if taps else rows)

    # 4 x 2 or 4 x 4 pixels of one vector, whose sums share the kernel's numbers.
    yo, yi, xo, xi, go, gi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "go", "gi"))
    out, sums, chunk, task = conv.out, conv.sums, hl.Var("chunk"), hl.Var("task")
    out.bound(o, 0, 1).output_buffer().dim(1).set_stride(1)
    conv.kernels.dim(0).set_stride(hl.Expr())
    conv.kernels.dim(1).set_stride(1)
    conv.split_rows(yo, yi, rows)
    # Nothing beyond the images can be read there, so the last vector shifts inwards.
    out.split(g, go, gi, lanes, Tail.ShiftInwards if taps else Tail.PredicateStores)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi).vectorize(gi)
    order = [o, gi, xi, yi, go, xo, yo]
    if padded:
        out.split(go, chunk, go, CHUNK, Tail.GuardWithIf)
        padded.compute_at(out, chunk).hoist_storage(out, task)
        for each in range(3):
            padded.update(each).vectorize(padded.args()[0], lanes, Tail.Predicate)
        order.append(chunk)
    conv.by_strips(order, lanes, padded=not taps)
    sums.compute_at(out, go)
    for func, loops in conv.chains(blocks):
        func.bound_extent(x, pixels).bound_extent(y, rows).vectorize(g).unroll(x).unroll(y)
        update = func.update().reorder(o, g, x, y, *loops)
        update.vectorize(g).unroll(x).unroll(y)
    if taps:
        sums.update().unroll(conv.r.z)
    if whole:
        sums.update().unroll(conv.r.y)
        # It would also add sums that only some tiles need in an order of their own. A loop over the
        # rows of a tile takes them from memory, into which every tile has to put all of its sums.
        out.serial(yi)
    return Pipeline(conv.out, conv.arguments)
