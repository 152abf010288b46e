"""Convolution with vectors along the numbers under a window, for many of them and few kernels."""

from __future__ import annotations

import halide as hl
from convolution import Convolution, Tail, Types, g, n, o, x, y
from levels import Level, Pipeline

VECTOR = 512  # bits: the parts of a sum are as many on every level
# The sums of a tile, for so many kernels, as (kernels, pixels).
TILES = {
    "avx512": {1: (1, 8), 2: (2, 6), 3: (3, 5), 4: (4, 4)},
    "avx2": {1: (1, 4), 2: (2, 2), 3: (3, 1), 4: (2, 2)},
    "baseline": {1: (1, 2), 2: (2, 1), 3: (1, 2), 4: (2, 1)},
    "neon": {1: (1, 4), 2: (2, 2), 3: (3, 2), 4: (4, 1)},
}


def deep(
    level: Level,
    types: Types,
    *,
    kernels: int,
    whole: bool,
    blocks: bool = False,
    volume: bool = False,
    pointwise: bool = False,
) -> Pipeline:
    """Convolve with vectors along c: a sum has as many parts as a vector has lanes.

        parts[i, o, g, x, y, n] = Σ over ky, kx, v of  kernels[o, g, v * lanes + i, kx, ky]
            * cells[(x * sx + kx * dx) * C + g * cg + v * lanes + i, y * sy + ky * dy, n]

    The parts are added up in halves. With `blocks`, for long sums, those of each row of a window
    are added up by themselves. The kernels of a tile, four or as many as there are, share what is
    loaded of a pixel. If the channels do not fill `whole` vectors, the other lanes of the last one
    hold zeros.

    With `pointwise`, windows are single taps on pixels, which are read where they lie.
    """
    together, pixels = TILES[level.name][kernels]
    conv = Convolution(types, volume=volume)
    conv.arguments.append(conv.kernels)
    lanes, zero = VECTOR // conv.numbers.bits(), hl.cast(conv.numbers, 0)
    i, v, kx, ky, kz = (hl.Var(name) for name in ("i", "v", "kx", "ky", "kz"))
    rows = [ky, kz] if volume else [ky]
    extents = [(0, conv.kernels.dim(axis).extent()) for axis in range(3, 4 + len(rows))]

    packed, c = hl.Func("packed"), v * lanes + i
    weight = conv.kernels[o, g, hl.min(hl.likely(c), conv.depth - 1), kx, *rows]
    packed[i, v, kx, *rows, o, g] = hl.select(c < conv.depth, weight, zero)
    kernel = hl.min(o, conv.kernels.dim(0).extent() - 1)  # the last tile may be asked for more

    # A chain has the taps of a row, and those of all rows without `blocks`.
    r = hl.RDom([(0, (conv.depth + lanes - 1) // lanes), *extents[: 1 if blocks else None]], "r")
    over, block = [], []
    if blocks:
        each = hl.RDom(extents[1:], "each")
        over, block = [each[axis] for axis in range(len(rows))], rows
    ky, *slab = row = block or [r[2 + axis] for axis in range(len(rows))]
    c, line = r[0] * lanes + i, conv.line * conv.sy + ky * conv.dy
    place = (conv.column * conv.sx + r[1] * conv.dx) * conv.channels + conv.channel(c)
    if pointwise:
        inside = hl.clamp(conv.cells.rows[line], 0, conv.cells.last_row)
        number = conv.cells.pixel(place, inside, n)
    else:
        number = conv.cells.at(place, line, n, *slab)
    if not whole:
        number = hl.select(c < conv.depth, number, zero)
    parts = hl.Func("parts")
    parts[i, o, g, x, y, n, *block] = zero
    parts[i, o, g, x, y, n, *block] += packed[i, r[0], r[1], *row, kernel, g] * number

    folds, half = [parts], lanes // 2
    while half >= 4:
        fold = hl.Func(f"half_{half}")
        one, other = (hl.Expr(folds[-1][i + at, o, g, x, y, n, *block]) for at in (0, half))
        fold[i, o, g, x, y, n, *block] = hl.strict_float(one + other)
        folds.append(fold)
        half //= 2
    four = [hl.Expr(folds[-1][at, o, g, x, y, n, *over]) for at in range(4)]
    one, other = (hl.strict_float(four[at] + four[at + 2]) for at in (0, 1))
    total, sums = hl.strict_float(one + other), hl.Func("sums")
    if blocks:
        sums[o, g, x, y, n] = zero
        sums[o, g, x, y, n] += total
    else:
        sums[o, g, x, y, n] = total
    conv.give(hl.Expr(sums[o, g, x, y, n]))

    out = conv.out
    yo, yi, xo, xi, oo, oi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "oo", "oi"))
    conv.split_rows(yo, yi, 1)
    out.split(o, oo, oi, together, Tail.GuardWithIf).unroll(oi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    task = conv.by_strips([oi, xi, yi, oo, xo, yo, g], lanes, padded=not pointwise)
    packed.compute_at(out, task).vectorize(i, lanes)
    for func in (*folds, sums):
        func.bound_extent(o, together).bound_extent(x, pixels).bound_extent(y, 1)
        func.unroll(o).unroll(x)
    sums.compute_at(out, oo)
    for k, func in enumerate(folds):
        func.compute_at(sums, over[0]) if blocks else func.compute_at(out, oo)
        func.bound_extent(i, lanes >> k).vectorize(i)
    if blocks:
        sums.update().reorder(o, x, *over).unroll(o).unroll(x)
    taps = [r[axis] for axis in range(r.dimensions())]
    parts.update().reorder(i, o, x, *taps).vectorize(i).unroll(o).unroll(x)
    return Pipeline(out, conv.arguments)
