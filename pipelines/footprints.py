"""Extremes and sums under a footprint, tap by tap: for few taps, in any places of a window."""

from __future__ import annotations

import halide as hl
from cells import INT
from levels import Level, Pipeline
from pooling import Pooling, Tail, Types, c, n, x, y

ROWS = 4  # of a tile


def footprints(
    level: Level, types: Types, mode: str, *, volume: bool = False, raised: bool = False
) -> Pipeline:
    """Merge the numbers under the taps of a footprint, in registers.

        out[0, x, y, n] = merge over t of  heights[t] + cells[x + kx[t] * dx, y + ky[t] * dy, n]

    `taps` has a row for each axis, from the innermost: kx, ky, and in volumes kz. There are heights
    if the footprint is `raised`. Floats of 32 bits without them are merged as integers in the same
    order. Sums are of products with the heights, in the order of the taps.
    """
    floats = types[1].is_float()
    ordered = floats and types[1].bits() == 32 and not raised
    pool = Pooling(level, types, mode, 1, volume=volume, held=True, ordered=ordered)
    taps, heights = hl.ImageParam(INT, 2, "taps"), hl.ImageParam(types[1], 1, "heights")
    for given in (taps, heights):
        for axis in range(given.dimensions()):
            given.dim(axis).set_min(0)
    t = hl.RDom([(0, taps.dim(0).extent())], "t")
    sizes = [pool.kw, pool.kh, *([pool.cells.slabs.dim(0).extent()] if volume else [])]
    kx, ky, *kz = (
        hl.unsafe_promise_clamped(taps[t.x, axis], 0, size - 1) for axis, size in enumerate(sizes)
    )
    number = pool.cells.at(x + kx * pool.dx, y * pool.sy + ky * pool.dy, n, *kz)
    if raised:
        number = number * heights[t.x] if mode == "sum" else number + heights[t.x]
    merged = hl.Func("merged")
    merged[x, y, n] = pool.nothing
    merged[x, y, n] = pool.merge(number, hl.Expr(merged[x, y, n]))
    pool.give(hl.Expr(merged[x, y, n]))

    out, lanes = pool.out, level.lanes(pool.numbers)
    # In a tile each tap is looked up once. Tiles of bytes are no wider than small images.
    vectors, rows = 4 if level.vector == 512 and types[1].bits() >= 32 else 2, ROWS
    strips, xo, xi, yo, yi = (hl.Var(name) for name in ("strips", "xo", "xi", "yo", "yi"))
    out.bound(c, 0, 1).output_buffer().dim(0).set_stride(hl.Expr())
    out.output_buffer().dim(1).set_stride(1)
    out.split(y, strips, y, pool.strip, Tail.ShiftInwards).split(y, yo, yi, rows, Tail.GuardWithIf)
    out.split(x, xo, xi, vectors * lanes, Tail.PredicateStores).vectorize(xi)
    task = pool.by_strips([xi, yi, xo, yo, c])
    merged.compute_at(out, xo).bound_extent(x, vectors * lanes).bound_extent(y, rows)
    merged.vectorize(x, lanes).unroll(x).unroll(y)
    merged.update().reorder(x, y, t.x).vectorize(x, lanes).unroll(x).unroll(y)
    pool.cells.fill_at(out, n, task, lanes)
    given = [taps, *([heights] if raised else [])]
    return Pipeline(out, [*pool.arguments, *given], strict=mode != "sum")
