"""Pooling by windows of twice the size at each step: for large windows."""

from __future__ import annotations

import halide as hl
from cells import INT
from levels import Level, Pipeline
from pooling import Pooling, Tail, Types, c, f, n, x, y


def doubling(level: Level, types: Types, mode: str, *, volume: bool = False) -> Pipeline:
    """Merge by doubling: each window is merged from two windows of about half its size.

    Along an axis, ``double[i]`` is at first the number at i, a window of 1. Each step merges two
    windows of size w into a larger one. This can be done in place, because it only reads ahead:

        double[i] = merge(double[i + half], double[i])

    The steps down come first, in columns a few vectors wide, for all rows of a strip at once; the
    steps across follow, row by row. For the larger and the smaller number the two windows may
    overlap, so the last step reaches any size with a distance `half` below w. A sum must not count
    a number twice: there the two windows lie side by side, and a window of 2 w + 1 adds the number
    behind them.
    """
    pool = Pooling(level, types, mode, volume=volume)
    lanes, cells, merge, out = level.lanes(pool.numbers), pool.cells, pool.merge, pool.out
    i, s = hl.Var("i"), hl.Var("s")  # row i of the cells in strip s

    def steps(name: str) -> hl.ImageParam:
        """For each step: where the other half begins, and the number behind it, or -1."""
        made = hl.ImageParam(INT, 2, name)
        made.dim(0).set_min(0)
        made.dim(1).set_min(0)
        pool.arguments.append(made)
        return made

    def doubled(halves: tuple[hl.FuncRef, hl.FuncRef], behind: hl.Expr, last: hl.Expr) -> hl.Expr:
        double = merge(*map(hl.Expr, halves))
        if mode in ("max", "min"):
            return double
        return hl.select(behind < 0, double, merge(last, double))

    down_steps, across_steps = steps("down_steps"), steps("across_steps")
    height = (pool.strip - 1) * pool.sy + (pool.kh - 1) * pool.dy + 1  # rows of cells of a strip
    width = cells.right + cells.after.dim(0).extent()
    reach = pool.kw * pool.dx * pool.channels

    def number(f: hl.Expr, i: hl.Expr) -> hl.Expr:
        row = s * pool.strip * pool.sy + i
        return cells.at(f, row, n) if volume else cells.number(f, row, n)

    tall = hl.Func("tall")
    rows = hl.RDom([(0, height), (0, down_steps.dim(1).extent())], "rows")
    half, behind = down_steps[0, rows.y], down_steps[1, rows.y]
    rows.where(rows.x + half < height)
    half, last = (hl.clamp(rows.x + step, 0, height - 1) for step in (half, behind))
    tall[f, i, s, n] = number(f, i)
    halves = tall[f, half, s, n], tall[f, rows.x, s, n]
    tall[f, rows.x, s, n] = doubled(halves, behind, number(f, last))

    down = hl.Func("down")
    down[f, i, s, n] = pool.nothing
    if volume:  # Its cells have been filled, those of the borders too.
        inner = hl.RDom([(0, width)], "inner")
        down[inner.x, i, s, n] = hl.Expr(tall[inner.x, i * pool.sy, s, n])
    else:
        inner = hl.RDom([(cells.left, cells.right - cells.left)], "inner")
        place = inner.x - cells.left + cells.first
        down[inner.x, i, s, n] = hl.Expr(tall[place, i * pool.sy, s, n])

    def below(f: hl.Expr) -> hl.Expr:
        return hl.Expr(down[f, y % pool.strip, y / pool.strip, n])

    wide = hl.Func("wide")
    columns = hl.RDom([(0, width), (0, across_steps.dim(1).extent())], "columns")
    half, behind = across_steps[0, columns.y], across_steps[1, columns.y]
    half, last = (columns.x + hl.clamp(step, 0, reach) for step in (half, behind))
    wide[f, y, n] = below(f)
    halves = wide[half, y, n], wide[columns.x, y, n]
    wide[columns.x, y, n] = doubled(halves, behind, below(last))
    pool.give(hl.Expr(wide[x * pool.sx * pool.channels + c, y, n]))

    out.output_buffer().dim(0).set_stride(hl.Expr())
    out.output_buffer().dim(1).set_stride(hl.Expr())
    out.split(y, hl.Var("strips"), y, pool.strip, Tail.GuardWithIf)
    task = pool.by_strips([x, c, y])
    whole_rows = (pool.sx == 1) & (pool.channels == 1) & (out.output_buffer().dim(1).stride() == 1)
    out.specialize(whole_rows).vectorize(x, lanes, Tail.GuardWithIf)
    wide.compute_at(out, y).vectorize(f, lanes)
    wide.update().allow_race_conditions().vectorize(columns.x, lanes)

    fo, fi, v = hl.RVar("fo"), hl.RVar("fi"), hl.RVar("v")
    down.compute_at(out, n).hoist_storage(out, task).vectorize(f, lanes)
    down.update().split(inner.x, fo, fi, 8 * lanes).split(fi, fi, v, lanes, Tail.Predicate)
    down.update().vectorize(v).reorder(v, fi, i, s, fo)
    tall.compute_at(down, fo).vectorize(f, lanes, Tail.Predicate)
    tall.update().reorder(f, rows.x, rows.y).vectorize(f, lanes, Tail.Predicate)
    if volume:
        cells.fill_at(out, n, task, lanes)
    return Pipeline(out, pool.arguments, strict=True)
