"""The largest or smallest number under a window, tile by tile in registers: for common windows."""

from __future__ import annotations

import halide as hl
from levels import Level, Pipeline
from pooling import Pooling, Tail, Types, c, f, n, x, y

ROWS = 4  # of a tile


def tiles(level: Level, types: Types, mode: str, *, wide: bool, volume: bool = False) -> Pipeline:
    """Merge down and then across, for windows of three rows or more, one row and column apart.

    A tile has four rows. Their windows have all but three rows in common, at each end:

        rows of cells     0 1 2 | 3 … kh - 1 | kh kh + 1 kh + 2
        under output 0    · · ·   ·········
        under output 1      · ·   ·········    ·
        under output 2        ·   ·········    ·     ·
        under output 3            ·········    ·     ·      ·

    So these are merged once, and so are rows 1 and 2, and kh and kh + 1. If windows are `wide`,
    runs of four numbers are merged first, and the last of them may overlap. What comes later in a
    window is always merged into what comes before, as in other pipelines: this decides which of
    several NaN is kept, and which of 0 and -0. Only float32 has an order of its own, that of
    integers, in which 0 is larger than -0.
    """
    pool = Pooling(level, types, mode, 1, volume=volume, ordered=types[1] == hl.Float(32))
    cells, merge, out = pool.cells, pool.merge, pool.out
    lanes, kh, kw = level.lanes(pool.numbers), pool.kh, pool.kw
    width, row, tile = 2 * lanes, hl.Var("row"), hl.Var("tile")
    common, below, down, fours, across = (
        hl.Func(name) for name in ("common", "below", "down", "fours", "across")
    )

    def number(line: hl.Expr) -> hl.Expr:
        return cells.at(f, tile * ROWS + line, n)

    i = hl.RDom([(3, kh - 3)], "i")
    common[f, tile, n] = pool.nothing
    common[f, tile, n] = merge(number(i.x), hl.Expr(common[f, tile, n]))
    shared = hl.Expr(common[f, tile, n])
    above = [number(hl.Expr(2))]
    behind = [number(kh)]
    for line in (1, 0):
        above.append(merge(above[-1], number(hl.Expr(line))))
        behind.append(merge(number(kh + 2 - line), behind[-1]))
    below[f, row, tile, n] = hl.undef(pool.numbers)
    below[f, 0, tile, n] = merge(shared, above[2])
    below[f, 1, tile, n] = merge(behind[0], merge(shared, above[1]))
    below[f, 2, tile, n] = merge(behind[1], merge(shared, above[0]))
    below[f, 3, tile, n] = merge(behind[2], shared)
    down[f, y, n] = below[f, y % ROWS, y // ROWS, n]

    t = hl.RDom([(1, 3)], "t")
    fours[f, y, n] = down[f, y, n]
    fours[f, y, n] = merge(hl.Expr(down[f + t.x * pool.dx, y, n]), hl.Expr(fours[f, y, n]))
    j = hl.RDom([(0, (kw + 3) // 4 if wide else kw)], "j")
    tap = hl.min(4 * j.x, kw - 4) if wide else j.x
    across[f, y, n] = pool.nothing
    merged = (fours if wide else down)[f + tap * pool.dx, y, n]
    across[f, y, n] = merge(hl.Expr(merged), hl.Expr(across[f, y, n]))
    pool.give(hl.Expr(across[x, y, n]))

    xo, xi, yo, yi = (hl.Var(name) for name in ("xo", "xi", "yo", "yi"))
    whole_tiles = (pool.strip + ROWS - 1) // ROWS * ROWS
    out.bound(c, 0, 1).output_buffer().dim(0).set_stride(hl.Expr())
    out.output_buffer().dim(1).set_stride(1)
    out.split(y, hl.Var("strips"), y, whole_tiles, Tail.GuardWithIf)
    out.split(y, yo, yi, ROWS, Tail.GuardWithIf).unroll(yi)
    out.split(x, xo, xi, width, Tail.PredicateStores).vectorize(xi)
    task = pool.by_strips([c, xi, yi, xo, yo])
    cells.fill_at(out, n, task, lanes)
    down.compute_at(out, yo).bound_extent(y, ROWS).align_bounds(y, ROWS).split(f, xo, xi, width)
    down.reorder(xi, y, xo).vectorize(xi).unroll(y)
    below.compute_at(down, xo).bound_extent(f, width).bound_extent(row, ROWS)
    below.bound_extent(tile, 1)
    for line in range(ROWS):
        below.update(line).vectorize(f, lanes).unroll(f)
    common.compute_at(down, xo).bound_extent(f, width).bound_extent(tile, 1)
    common.vectorize(f, lanes).unroll(f)
    common.update().reorder(f, i.x).vectorize(f, lanes).unroll(f)
    across.compute_at(out, xo).bound_extent(f, width).bound_extent(y, ROWS)
    across.vectorize(f, lanes).unroll(f).unroll(y)
    across.update().reorder(f, y, j.x).vectorize(f, lanes).unroll(f).unroll(y)
    if wide:
        fours.compute_at(out, yo).bound_extent(y, ROWS).vectorize(f, width)
        fours.update().reorder(t.x, f, y).unroll(t.x).vectorize(f, width)
    return Pipeline(out, pool.arguments, strict=True)
