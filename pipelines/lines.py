"""The largest or smallest number under a window of any shape, which is taken as lines of taps."""

from __future__ import annotations

import halide as hl
from cells import INT
from levels import Level, Pipeline
from pooling import MERGES, Types


def lines(level: Level, types: Types, mode: str) -> Pipeline:
    """Merge runs of cells, and then those that lie under the lines of a window.

    Cells lie in one row, whatever axes they have: a place of the output is a place in it, and so is
    a line. Runs of each length are merged from two shorter ones, which may overlap:

        runs[i, k] = merge(runs[i, halves[0, k]], runs[i + halves[1, k], halves[0, k]])
        out[x, r] = merge over lines t of  runs[rows[r] + x + places[t], lengths[t]]

    where runs of the first length are the cells. A task takes a band of rows, whose runs begin at
    the cell of its first place. It makes `span` of each length; what lies up to `reach` behind them
    goes into runs that are under no line.
    """
    number = types[0]
    merge, nothing = MERGES[mode]
    x, r, f, k, b = (hl.Var(name) for name in ("x", "r", "f", "k", "b"))
    cells = hl.ImageParam(number, 1, "cells")
    rows, places, lengths = (hl.ImageParam(INT, 1, name) for name in ("rows", "places", "lengths"))
    halves = hl.ImageParam(INT, 2, "halves")
    band, span, reach = (hl.Param(INT, name) for name in ("band", "span", "reach"))
    for buffer in (cells, rows, places, lengths, halves):
        for axis in range(buffer.dimensions()):
            buffer.dim(axis).set_min(0)
    lanes = level.lanes(number)
    block = 4 * lanes

    def at(place: hl.Expr, count: hl.Expr) -> hl.Expr:
        return hl.unsafe_promise_clamped(place, 0, count - 1)

    last = rows.dim(0).extent() - 1
    runs = hl.Func("runs")
    runs[f, k, b] = hl.undef(number)
    begin = rows[hl.clamp(b * band, 0, last)]
    first = hl.RDom([(0, lanes), (0, span // lanes)], "first")
    i = first.y * lanes + first.x
    runs[i, 0, b] = cells[at(begin + i, cells.dim(0).extent())]
    step = hl.RDom([(0, lanes), (0, span // lanes), (1, halves.dim(1).extent() - 1)], "step")
    i, half = step.y * lanes + step.x, hl.clamp(halves[0, step.z], 0, step.z - 1)
    other = at(i + halves[1, step.z], span + reach)
    runs[i, step.z, b] = merge(hl.Expr(runs[i, half, b]), hl.Expr(runs[other, half, b]))

    merged, out = hl.Func("merged"), hl.Func("out")
    line = hl.RDom([(0, places.dim(0).extent())], "line")
    place = rows[r] - rows[hl.clamp(r / band * band, 0, last)] + x + places[line]
    run = runs[at(place, span), at(lengths[line], halves.dim(1).extent()), r / band]
    merged[x, r] = nothing(number)
    merged[x, r] = merge(hl.Expr(run), hl.Expr(merged[x, r]))
    out[x, r] = merged[x, r]

    xo, xi, task = hl.Var("xo"), hl.Var("xi"), hl.Var("task")
    width = out.output_buffer().dim(0)
    width.set_min(0).set_extent(width.extent() // block * block)
    out.output_buffer().dim(1).set_min(0)
    out.split(x, xo, xi, block, hl.TailStrategy.RoundUp).vectorize(xi, lanes)
    out.split(r, task, r, band, hl.TailStrategy.GuardWithIf).parallel(task)
    merged.compute_at(out, xo).vectorize(x, lanes).unroll(x)
    merged.update().reorder(x, line, r).vectorize(x, lanes).unroll(x)
    runs.compute_at(out, task)
    for stage, each in ((0, first), (1, step)):  # No number of a stage is read where it is written.
        runs.update(stage).allow_race_conditions().vectorize(each.x)
    arguments = [cells, rows, places, lengths, halves, band, span, reach]
    return Pipeline(out, arguments, strict=True)
