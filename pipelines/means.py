"""Means of bytes along columns and rows, cut off to bytes each time, as SciPy's filters do it."""

from __future__ import annotations

import halide as hl
from convolution import Convolution, Tail, Types, g, n, o, x, y
from levels import Level, Pipeline


def means(level: Level, types: Types, *, high: bool, wide: bool) -> Pipeline:
    """Take means down and then across, each time into the type of the pixels.

    Every channel has means of its own, so an image of C channels is treated as an image of one
    channel that is C times as wide, whose taps lie C numbers apart. Windows are one row apart.

        below[x, y, n] = mean(Σ over ky of  cells[x, y + ky, n])
        out[0, 0, x, y, n] = mean(Σ over kx of  below[x + kx * dx, y, n])

    Sums are of 16 bits, of which vectors have twice as many as of floats. They are of integers, and
    the same in any order. If windows are `high`, only the first row of a tile adds up all taps
    down, and each of the others takes the sum above it, with one row of cells more and one less. If
    they are `wide`, taps across are added up by fours.

    A sum is divided by a multiplication, as far as its quotient is a whole number: `factors` has a
    number and a shift for each pass, such that (sum * number >> 16) >> shift is what the caller
    wants. Of `down` and `across` it only matters how long they are: as long as the window.
    """
    numbers, double = types[1], hl.UInt(32)
    conv = Convolution(types, channels=1, stride=1)
    lines = [hl.ImageParam(types[0], 1, name) for name in ("down", "across")]
    factors = hl.ImageParam(numbers, 2, "factors")  # axes: the number and the shift, passes
    for buffer in (*lines, factors):
        for axis in range(buffer.dimensions()):
            buffer.dim(axis).set_min(0)
    conv.arguments += [*lines, factors]
    kh, kw = (line.dim(0).extent() for line in lines)
    lanes, zero = level.lanes(numbers), hl.cast(numbers, 0)
    width, rows = 2 * lanes, 4

    def mean(total: hl.Expr, taps: hl.Expr, axis: int) -> hl.Expr:
        product = hl.cast(double, total) * hl.cast(double, factors[0, axis])
        quotient = hl.cast(numbers, product >> 16) >> factors[1, axis]
        return hl.select(taps == 1, total, quotient)

    row, tile = hl.Var("row"), hl.Var("tile")  # row `row` of a tile
    below, all_down, fours, sums = (hl.Func(f) for f in ("below", "all_down", "fours", "sums"))
    i, more = hl.RDom([(0, kh)], "i"), hl.RDom([(1, rows - 1)], "more")
    below[x, row, tile, n] = zero
    if high:
        below[x, 0, tile, n] += conv.cells.at(x, tile * rows + i.x, n)
    else:
        below[x, row, tile, n] += conv.cells.at(x, tile * rows + row + i.x, n)
    above = hl.Expr(below[x, more.x - 1, tile, n])
    cells = [conv.cells.at(x, tile * rows + more.x - 1 + tap, n) for tap in (kh, 0)]
    if high:
        below[x, more.x, tile, n] = above + (cells[0] - cells[1])
    all_down[x, y, n] = mean(hl.Expr(below[x, y % rows, y // rows, n]), kh, 0)

    f, count = hl.RDom([(0, 4)], "f"), kw // 4 if wide else 0
    fours[x, y, n] = zero
    fours[x, y, n] += all_down[x + f.x * conv.dx, y, n]
    j, rest = hl.RDom([(0, count)], "j"), hl.RDom([(0, kw - 4 * count)], "rest")
    sums[x, y, n] = zero
    sums[x, y, n] += all_down[x + (4 * count + rest.x) * conv.dx, y, n]
    if wide:
        sums[x, y, n] += fours[x + 4 * j.x * conv.dx, y, n]
    conv.give(mean(hl.Expr(sums[x, y, n]), kw, 1))

    xo, xi, yo, yi = (hl.Var(name) for name in ("xo", "xi", "yo", "yi"))
    out = conv.out
    out.bound(o, 0, 1).bound(g, 0, 1).output_buffer().dim(2).set_stride(1)
    conv.split_rows(yo, yi, rows)
    out.split(x, xo, xi, width, Tail.PredicateStores).vectorize(xi)
    conv.by_strips([o, g, xi, yi, xo, yo], lanes)
    all_down.compute_at(out, yo).bound_extent(y, rows).align_bounds(y, rows).split(x, xo, xi, width)
    all_down.reorder(xi, y, xo).vectorize(xi).unroll(y)
    below.compute_at(all_down, xo).bound_extent(x, width).bound_extent(row, rows)
    below.bound_extent(tile, 1).vectorize(x, lanes).unroll(x).unroll(row)
    if high:
        below.update(0).reorder(x, i.x).vectorize(x, lanes).unroll(x)
        below.update(1).reorder(x, more.x).vectorize(x, lanes).unroll(x).unroll(more.x)
    else:
        below.update().reorder(x, row, i.x).vectorize(x, lanes).unroll(x).unroll(row)
    sums.compute_at(out, xo).bound_extent(x, width).bound_extent(y, rows)
    sums.vectorize(x, lanes).unroll(x).unroll(y)
    for stage, r in enumerate((rest, j) if wide else (rest,)):
        sums.update(stage).reorder(x, y, r.x).vectorize(x, lanes).unroll(x).unroll(y)
    if wide:
        fours.compute_at(out, yo).bound_extent(y, rows).vectorize(x, width)
        fours.update().reorder(f.x, x, y).unroll(f.x).vectorize(x, width)
    return Pipeline(out, conv.arguments)
