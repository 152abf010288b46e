"""Sums in a given order, for results whose last bit must be that of another program."""

from __future__ import annotations

import halide as hl
from cells import INT
from levels import Level, Pipeline

Tail = hl.TailStrategy


def ordered(level: Level) -> Pipeline:
    """Add up products in the order in which they are listed, each rounded as IEEE 754 has it.

    An array lies flat in memory, so that a tap of a window is a distance from an output's place. A
    term has a single tap, or two whose numbers are added (`sign` 1) or subtracted (-1) before they
    are multiplied. The first term always has one.

        out[x] = weights[0] * cells[x + first[0]]
                 + Σ over t > 0 of  weights[t] * (cells[x + first[t]] ± cells[x + second[t]])
    """
    numbers = hl.Float(64)
    cells, weights = (hl.ImageParam(numbers, 1, name) for name in ("cells", "weights"))
    first, second = (hl.ImageParam(INT, 1, name) for name in ("first", "second"))
    sign, strip = hl.Param(INT, "sign"), hl.Param(INT, "strip")
    for array in (cells, weights, first, second):
        array.dim(0).set_min(0)
    x, xo, xi, strips = (hl.Var(name) for name in ("x", "xo", "xi", "strips"))
    r = hl.RDom([(1, weights.dim(0).extent() - 1)], "r")

    def number(tap: hl.Expr) -> hl.Expr:
        return cells[hl.unsafe_promise_clamped(x + tap, 0, cells.dim(0).extent() - 1)]

    sums, out = hl.Func("sums"), hl.Func("out")
    one, other = number(first[r.x]), number(second[r.x])
    pair = hl.select(sign > 0, one + other, one - other)
    sums[x] = weights[0] * number(first[0])
    sums[x] += weights[r.x] * hl.select(sign == 0, one, pair)
    out[x] = hl.Expr(sums[x])

    lanes = level.lanes(numbers)
    tile = 4 * lanes
    out.output_buffer().dim(0).set_min(0)
    out.split(x, strips, x, strip, Tail.ShiftInwards).parallel(strips)
    out.split(x, xo, xi, tile, Tail.ShiftInwards).vectorize(xi, lanes)
    for how in (1, -1, 0):
        out.specialize(sign == how)
    sums.compute_at(out, xo).bound_extent(x, tile).vectorize(x, lanes).unroll(x)
    sums.update().reorder(x, r.x).vectorize(x, lanes).unroll(x)
    return Pipeline(out, [cells, weights, first, second, sign, strip], strict=True)
