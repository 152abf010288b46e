"""Convolution with vectors along the channels: for groups of one channel and one kernel."""

from __future__ import annotations

import halide as hl
from convolution import Convolution, Number, Tail, Tap, Types, g, n, o, x, y
from levels import Level, Pipeline


def depthwise(
    level: Level,
    types: Types,
    *,
    taps: int | None = None,
    blocks: bool = False,
    volume: bool = False,
) -> Pipeline:
    """Convolve with vectors along g, for many groups of one channel and one kernel each.

    If the number of taps is given, strides and dilations must be 1, the padding must hold zeros,
    and there must be at least a vector of groups. Then neighbouring sums share what they load, and
    images are read in place, without cells.
    """
    pixels, rows = 2, 2
    conv = Convolution(
        types, None, 1 if taps else None, taps, rows if taps else 1, depth=1, volume=volume
    )
    if taps:
        conv.dx = 1
    lanes = level.lanes(conv.numbers)

    def product(_c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        column = x * conv.sx + tap.x * conv.dx
        if taps:
            pixel = conv.cells.beneath(column, g, conv.channels, row, n)
        else:
            pixel = conv.cells.at(column * conv.channels + g, row, n, *tap.z)
        return conv.kernels[0, g, 0, tap.x, tap.y, *tap.z] * pixel

    conv.define(product)

    # 2 x 2 pixels of one vector: four sums, which share the kernel's numbers.
    yo, yi, xo, xi, go, gi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "go", "gi"))
    out, sums = conv.out, conv.sums
    out.bound(o, 0, 1).output_buffer().dim(1).set_stride(1)
    conv.kernels.dim(0).set_stride(hl.Expr())
    conv.kernels.dim(1).set_stride(1)
    conv.split_rows(yo, yi, rows)
    # Without cells, nothing beyond the images can be read, so the last vector shifts inwards.
    out.split(g, go, gi, lanes, Tail.ShiftInwards if taps else Tail.PredicateStores).vectorize(gi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    conv.by_strips([o, gi, xi, yi, go, xo, yo], lanes, padded=not taps)
    sums.compute_at(out, go)
    for func, loops in conv.chains(blocks):
        func.bound_extent(x, pixels).bound_extent(y, rows).vectorize(g).unroll(x).unroll(y)
        update = func.update().reorder(o, g, x, y, *loops)
        update.vectorize(g).unroll(x).unroll(y)
    if taps:
        sums.update().unroll(conv.r.z)
    return Pipeline(conv.out, conv.arguments)
