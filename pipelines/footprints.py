"""Extremes and sums under a footprint, tap by tap: for few taps, in any places of a window."""

from __future__ import annotations

import halide as hl
from cells import INT
from levels import Level, Pipeline
from pooling import Pooling, Tail, Types, c, n, x, y

ROWS = 4  # of a tile
EXACT = hl.Float(64)


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
    number = _below(pool, taps, t.x, x)
    if raised:
        number = number * heights[t.x] if mode == "sum" else number + heights[t.x]
    merged = hl.Func("merged")
    merged[x, y, n] = pool.nothing
    merged[x, y, n] = pool.merge(number, hl.Expr(merged[x, y, n]))
    pool.give(hl.Expr(merged[x, y, n]))

    lanes = level.lanes(pool.numbers)
    # In a tile each tap is looked up once. Tiles of bytes are no wider than small images.
    width = lanes * (4 if level.vector == 512 and types[1].bits() >= 32 else 2)
    xo, task = _in_tiles(pool, width)
    merged.compute_at(pool.out, xo).bound_extent(x, width).bound_extent(y, ROWS)
    merged.vectorize(x, lanes).unroll(x).unroll(y)
    merged.update().reorder(x, y, t.x).vectorize(x, lanes).unroll(x).unroll(y)
    pool.cells.fill_at(pool.out, n, task, lanes)
    given = [taps, *([heights] if raised else [])]
    return Pipeline(pool.out, [*pool.arguments, *given], strict=mode != "sum")


def cut_sums(level: Level, types: Types, *, volume: bool = False) -> Pipeline:
    """Add up products under a footprint, and cut the sums off to integers, as SciPy does it.

        out[0, x, y, n] = cut(Σ over t of  terms[t] * cells[x + kx[t] * dx, y + ky[t] * dy, n])

    As in `cut`, sums are first taken in float32, with `heights` for the terms, and again only where
    an `error` that the caller knows leaves an integer in doubt, in one of `width` sums side by
    side: then in float64, in the order of the terms.
    """
    pixels, numbers, _ = types
    pool = Pooling(level, types, "sum", 1, volume=volume, held=True)
    given = taps, heights, terms, error = (
        hl.ImageParam(INT, 2, "taps"),
        hl.ImageParam(numbers, 1, "heights"),
        hl.ImageParam(EXACT, 1, "terms"),
        hl.ImageParam(numbers, 1, "error"),
    )
    for each in given:
        for axis in range(each.dimensions()):
            each.dim(axis).set_min(0)
    lanes = level.lanes(numbers)
    width = 2 * lanes
    lane, block = hl.Var("lane"), hl.Var("block")
    at = lane, block, y, n
    t, once, term, some = (
        hl.RDom([(0, size)], name)
        for size, name in (
            (taps.dim(0).extent(), "t"),
            (1, "once"),
            (taps.dim(0).extent(), "term"),
            (width, "some"),
        )
    )

    def number(tap: hl.Expr) -> hl.Expr:
        return _below(pool, taps, tap, block * width + lane)

    fast, doubt, exact, chosen = (hl.Func(name) for name in ("fast", "doubt", "exact", "chosen"))
    fast[at] = hl.cast(numbers, 0)
    fast[at] += heights[t.x] * number(t.x)
    least, most = (hl.cast(INT, fast[some.x, block, y, n] + off) for off in (-error[0], error[0]))
    doubt[block, y, n] = hl.cast(hl.UInt(8), 0)
    doubt[block, y, n] = hl.max(doubt[block, y, n], hl.cast(hl.UInt(8), least != most))
    for r in (once, term):
        r.where(doubt[block, y, n] != 0)
    exact[at] = hl.cast(EXACT, 0)
    exact[at] = hl.strict_float(exact[at] + terms[term.x] * hl.cast(EXACT, number(term.x)))
    chosen[at] = hl.cast(INT, fast[at])
    chosen[at] = hl.cast(INT, exact[at]) + once.x
    pool.give(hl.cast(pixels, hl.Expr(chosen[x % width, x / width, y, n])))

    xo, task = _in_tiles(pool, width)
    for func in (chosen, fast):
        func.compute_at(pool.out, xo).bound_extent(lane, width).bound_extent(block, 1)
        func.bound_extent(y, ROWS).vectorize(lane, lanes).unroll(lane).unroll(y)
    fast.update().reorder(lane, y, t.x).vectorize(lane, lanes).unroll(lane).unroll(y)
    chosen.update().reorder(lane, once.x, y).vectorize(lane)
    exact.compute_at(chosen, once.x).bound_extent(lane, width).vectorize(lane)
    exact.update().reorder(lane, term.x).vectorize(lane)
    doubt.compute_at(pool.out, xo).bound_extent(y, ROWS).bound_extent(block, 1).unroll(y)
    doubt.update().atomic().vectorize(some.x)
    pool.cells.fill_at(pool.out, n, task, lanes)
    return Pipeline(pool.out, [*pool.arguments, *given])


def _below(pool: Pooling, taps: hl.ImageParam, tap: hl.Expr, place: hl.Expr) -> hl.Expr:
    """The number under a tap of the footprint, for the output at a place of row y."""
    sizes = [pool.kw, pool.kh]
    if pool.volume:
        sizes.append(pool.cells.slabs.dim(0).extent())
    kx, ky, *kz = (
        hl.unsafe_promise_clamped(taps[tap, axis], 0, size - 1) for axis, size in enumerate(sizes)
    )
    return pool.cells.at(place + kx * pool.dx, y * pool.sy + ky * pool.dy, n, *kz)


def _in_tiles(pool: Pooling, width: int) -> tuple[hl.Var, hl.Var]:
    """Divide the output into tiles of ROWS rows; returns the loops along a row and over tasks."""
    out = pool.out
    strips, xo, xi, yo, yi = (hl.Var(name) for name in ("strips", "xo", "xi", "yo", "yi"))
    out.bound(c, 0, 1).output_buffer().dim(0).set_stride(hl.Expr())
    out.output_buffer().dim(1).set_stride(1)
    out.split(y, strips, y, pool.strip, Tail.ShiftInwards).split(y, yo, yi, ROWS, Tail.GuardWithIf)
    out.split(x, xo, xi, width, Tail.PredicateStores).vectorize(xi).unroll(yi)
    return xo, pool.by_strips([xi, yi, xo, yo, c])
