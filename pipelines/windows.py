"""Pooling tap by tap: for windows that are small, or whose taps lie far apart."""

from __future__ import annotations

import halide as hl
from levels import Level, Pipeline
from pooling import AXES, Pooling, Tail, Types, c, f, n, x, y

BLOCK = 64  # how many taps of an axis are merged into one number before those are merged


def windows(
    level: Level,
    types: Types,
    mode: str,
    *,
    channels: int | None = None,
    blocks: bool = False,
    volume: bool = False,
) -> Pipeline:
    """Merge tap by tap, with vectors along the row on the way down, and along the channels across.

    If the number of channels is given, it is too small for vectors. Then vectors lie along the row
    again: windows at all places of a row are merged across, and every sx-th of them is taken.

    With `blocks`, the taps of each axis are merged in blocks of BLOCK, and then the blocks with
    each other. This keeps the rounding errors of long sums small.
    """
    pool = Pooling(level, types, mode, channels, volume=volume)
    lanes, cells, merge, out = level.lanes(pool.numbers), pool.cells, pool.merge, pool.out
    b = hl.Var("b")

    # Merge down: the taps of a block, or all taps.
    block, taps = ((b,), BLOCK) if blocks else ((), pool.kh)
    first = b * BLOCK if blocks else 0
    down = hl.Func("down")
    down[f, y, n, *block] = pool.nothing

    def below(number: hl.Expr, place: hl.Expr, r: hl.RDom) -> None:
        """Merge the taps of one column into `down`."""
        if blocks:
            r.where(first + r.y < pool.kh)
        down[place, y, n, *block] = merge(number, hl.Expr(down[place, y, n, *block]))

    def row(r: hl.RDom) -> hl.Expr:
        return y * pool.sy + (first + r.y) * pool.dy

    after = cells.after.dim(0).extent()
    if volume:  # Its cells have been filled.
        r = hl.RDom([(0, cells.right + after), (0, taps)], "r")
        below(cells.at(r.x, row(r), n), r.x, r)
    else:
        r = hl.RDom([(cells.left, cells.right - cells.left), (0, taps)], "r")
        below(cells.number(r.x - cells.left + cells.first, row(r), n), r.x, r)
        apart = hl.RDom([(0, after), (0, taps)], "apart")
        number = cells.anywhere(cells.after[apart.x], row(apart), n)
        below(number, cells.right + apart.x, apart)
        down.update(1).unscheduled()
    down.vectorize(f, lanes)
    down.update().reorder(r.x, r.y).vectorize(r.x, lanes, Tail.Predicate)
    if blocks:
        each, down = down, hl.Func("all_down")
        r = hl.RDom([(0, (pool.kh + BLOCK - 1) // BLOCK)], "row_blocks")
        down[f, y, n] = pool.nothing
        down[f, y, n] = merge(hl.Expr(each[f, y, n, r.x]), hl.Expr(down[f, y, n]))
        down.vectorize(f, lanes).update().reorder(f, r.x, y).vectorize(f, lanes)
        each.compute_at(down, r.x)

    # Merge across in the same way.
    across = hl.Func("across")
    place = x * pool.sx * pool.channels + c
    at, start = ((f, y, n), f) if channels else (AXES, place)
    columns = hl.RDom([(0, BLOCK if blocks else pool.kw)], "columns")
    tap = first + columns.x
    if blocks:
        columns.where(tap < pool.kw)
    across[*at, *block] = pool.nothing
    merged = hl.Expr(across[*at, *block])
    across[*at, *block] = merge(hl.Expr(down[start + tap * pool.dx * pool.channels, y, n]), merged)
    acrosses = [(across, columns)]
    if blocks:
        each, across = across, hl.Func("all_across")
        r = hl.RDom([(0, (pool.kw + BLOCK - 1) // BLOCK)], "column_blocks")
        across[at] = pool.nothing
        across[at] = merge(hl.Expr(each[*at, r.x]), hl.Expr(across[at]))
        each.compute_at(across, r.x).bound_extent(b, 1)
        acrosses.append((across, r))
    pool.give(hl.Expr(across[place, y, n] if channels else across[AXES]))

    along, o, i = x if channels else c, hl.Var("o"), hl.Var("i")
    out.split(y, hl.Var("strips"), y, pool.strip, Tail.ShiftInwards)
    out.split(along, o, i, lanes, Tail.PredicateStores).vectorize(i)
    if channels:
        out.bound(c, 0, channels).output_buffer().dim(0).set_stride(hl.Expr())
        out.output_buffer().dim(1).set_stride(channels)
        task = pool.by_strips([i, o, c, y])
        out.specialize(pool.sx == 1)
    else:
        places, xo, xi = 4, hl.Var("xo"), hl.Var("xi")
        out.split(x, xo, xi, places, Tail.GuardWithIf).unroll(xi)
        for func, _ in acrosses:
            func.bound_extent(x, places).unroll(x).update().unroll(x)
        task = pool.by_strips([i, xi, o, xo, y])
    across.compute_at(out, y if channels else o)
    for func, r in acrosses:
        func.vectorize(at[0], lanes).update().reorder(*at[:-2], r.x).vectorize(at[0], lanes)
    down.compute_at(out, n).hoist_storage(out, task)
    if volume:
        cells.fill_at(out, n, task, lanes)
    return Pipeline(out, pool.arguments, strict=True)
