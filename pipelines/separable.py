"""Convolution with a kernel that is a product of a line along each axis."""

from __future__ import annotations

import halide as hl
from cells import Merging
from convolution import CHAIN, Convolution, Tail, Types, g, n, o, x, y
from levels import Level, Pipeline


def separable(level: Level, types: Types, *, volume: bool = False, weighed: str = "") -> Pipeline:
    """Convolve in a pass along each axis, with a kernel that is a product of one line along each.

    The kernel is applied to each channel by itself, so an image of C channels is treated as an
    image of one channel that is C times as wide, whose taps lie C numbers apart.

        below[x, y, n] = Σ over ky of  down[ky] * cells[x, y * sy + ky * dy, n]
        out[0, 0, x, y, n] = scale[0] * Σ over kx of  across[kx] * below[x + kx * dx, y, n]

    In volumes, the pass along the depth, with the line `along`, is made while cells are filled. The
    lines are made so small, and the scale so large, that no pass overflows unless the result does.
    """
    numbers = types[1]
    along, *others = lines = [
        hl.ImageParam(numbers, 1, name) for name in ("along", "down", "across", "scale")
    ]
    down, across, scale = others
    for line in lines:
        line.dim(0).set_min(0)
    zero = hl.cast(numbers, 0)
    merging = Merging(zero, lambda merged, number, tap: merged + along[tap] * number)
    lanes = level.lanes(numbers)
    width, rows = 2 * lanes, 4
    conv = Convolution(
        types,
        channels=1,
        stride=1,
        width=width,
        more=width,
        volume=volume,
        merging=merging if volume else None,
        weighed=weighed,
    )
    conv.arguments += lines if volume else others

    all_down, below, sums = hl.Func("all_down"), hl.Func("below"), hl.Func("sums")
    i = hl.RDom([(0, down.dim(0).extent())], "i")
    j = hl.RDom([(0, across.dim(0).extent())], "j")
    below[x, y, n] = zero
    below[x, y, n] += down[i.x] * conv.cells.at(x, conv.line * conv.sy + i.x * conv.dy, n)
    all_down[x, y, n] = below[x, y, n]
    sums[x, y, n] = zero
    # Written so, Halide finds that the last tile needs all of its columns, beyond the row too. They
    # are computed then, and none is what earlier calls have left in memory: see `Cells`.
    column = x // width * width + x % width
    sums[x, y, n] += across[j.x] * all_down[column + j.x * conv.dx, y, n]
    conv.give(*(scale[0] * sums[x, y, each] for each in conv.of_image))

    strips, xo, xi, yo, yi = (hl.Var(name) for name in ("strips", "xo", "xi", "yo", "yi"))
    out = conv.out
    out.bound(o, 0, 1).bound(g, 0, 1).output_buffer().dim(2).set_stride(1)
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards)
    out.split(y, yo, yi, rows, Tail.GuardWithIf).split(x, xo, xi, width, Tail.PredicateStores)
    out.vectorize(xi).unroll(yi)
    conv.by_strips([o, g, xi, yi, xo, yo], lanes)
    all_down.compute_at(out, yo).bound_extent(y, rows).split(x, xo, xi, width)
    all_down.reorder(xi, y, xo).vectorize(xi).unroll(y)
    # The passes down and across keep the sums of a tile in registers, and add up taps in blocks of
    # CHAIN.
    over, within, block = hl.RVar("over"), hl.RVar("within"), hl.Var("block")
    for func, r, at in ((below, i, all_down), (sums, j, out)):
        part = func.update().split(r.x, over, within, CHAIN).rfactor(over, block)
        func.compute_at(at, xo)
        part.compute_at(func, over).bound_extent(block, 1)
        for each, loop in ((func, over), (part, within)):
            each.bound_extent(x, width).bound_extent(y, rows)
            each.vectorize(x, lanes).unroll(x).unroll(y)
            each.update().reorder(x, y, loop).vectorize(x, lanes).unroll(x).unroll(y)
            if weighed:
                each.bound_extent(n, 2).unroll(n).update().unroll(n)
    return Pipeline(conv.out, conv.arguments)
