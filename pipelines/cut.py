"""Passes along columns and rows whose sums are cut off to integers, as SciPy's filters do it."""

from __future__ import annotations

from collections.abc import Callable

import halide as hl
from cells import INT
from convolution import Convolution, Tail, Types, g, n, o, x, y
from levels import Level, Pipeline

NUMBERS = hl.Float(32)  # which holds every pixel, and the sum of two of them
EXACT = hl.Float(64)
Number = Callable[[hl.Expr, hl.Expr], hl.Expr]


def cut(level: Level, types: Types) -> Pipeline:
    """Filter down and then across, each time into the type of the pixels.

    The kernel is applied to each channel by itself, so an image of C channels is treated as an
    image of one channel that is C times as wide, whose taps lie C numbers apart.

        below[x, y, n] = cut(Σ over ky of  down[ky] * cells[x, y + ky * dy, n])
        out[0, 0, x, y, n] = cut(Σ over kx of  across[kx] * below[x + kx * dx, y, n])

    Where a sum lies next to an integer, what is left of it shows how each addition was rounded. So
    sums must be those of SciPy, in float64 and in its order. Term t of a pass is a weight times the
    number under one tap, to which that under another may have been added or subtracted:

        terms[t] * (number(taps[t, 0]) + taps[t, 2] * number(taps[t, 1]))

    All other sums give the same integer in any order. So they are first taken in float32, which
    rounds them by less than an error that the caller knows, and again only where this leaves an
    integer in doubt, in one of `width` sums side by side. Sums of integers have no error. Means are
    sums that are multiplied by a scale, and moved by a shift away from zero, so that the rounding
    of the scale is not seen.
    """
    pixels = types[0]
    lanes = level.lanes(NUMBERS)
    width, rows = 2 * lanes, 4
    conv = Convolution(types, channels=1, stride=1, width=width, more=width)
    down, across = numbers = [hl.ImageParam(NUMBERS, 1, name) for name in ("down", "across")]
    ends = hl.ImageParam(NUMBERS, 2, "ends")  # of each pass: the error, the scale and the shift
    of_down, of_across = terms = [
        (hl.ImageParam(EXACT, 1, f"{name}_terms"), hl.ImageParam(INT, 2, f"{name}_taps"))
        for name in ("down", "across")
    ]
    lines = [*numbers, ends, *(line for each in terms for line in each)]
    for line in lines:
        for axis in range(line.dimensions()):
            line.dim(axis).set_min(0)
    conv.arguments += lines

    def passing(
        axis: int,
        line: hl.ImageParam,
        terms: tuple[hl.ImageParam, hl.ImageParam],
        number: Number,
        columns: hl.Expr,
        to: hl.Type,
    ) -> tuple[hl.Func, Callable[[hl.Func, hl.Var], None]]:
        """A pass for so many columns, and what schedules it for a tile of `rows` of another."""
        name, (weights, taps) = ("below", "sums")[axis], terms
        lane, block = hl.Var("lane"), hl.Var("block")
        place, at = block * width + lane, (lane, block, y, n)
        fast, moved, doubt, exact, chosen = (
            hl.Func(f"{name}_{step}") for step in ("fast", "moved", "doubt", "exact", "chosen")
        )
        once = hl.RDom([(0, 1)], f"{name}_once")
        term = hl.RDom([(0, weights.dim(0).extent())], f"{name}_term")
        tap = hl.RDom([(0, line.dim(0).extent())], f"{name}_tap")
        some = hl.RDom([(0, width)], f"{name}_some")
        error, scale, shift = (ends[axis, k] for k in range(3))
        fast[at] = hl.cast(NUMBERS, 0)
        fast[at] += line[tap.x] * number(place, tap.x)
        away = hl.select(fast[at] < 0, -shift, shift) if pixels.is_int() else shift
        moved[at] = fast[at] * scale + away
        least, most = (hl.cast(INT, moved[some.x, block, y, n] + each) for each in (-error, error))
        doubt[block, y, n] = hl.cast(hl.UInt(8), 0)
        doubt[block, y, n] = hl.max(doubt[block, y, n], hl.cast(hl.UInt(8), least != most))
        for r in (once, term):
            r.where(doubt[block, y, n] != 0)
        one, other = (
            number(place, hl.unsafe_promise_clamped(taps[term.x, k], 0, line.dim(0).extent() - 1))
            for k in (0, 1)
        )
        pair = hl.cast(EXACT, one + hl.cast(NUMBERS, taps[term.x, 2]) * other)
        exact[at] = hl.cast(EXACT, 0)
        exact[at] = hl.strict_float(exact[at] + weights[term.x] * pair)
        chosen[at] = hl.cast(INT, moved[at])
        chosen[at] = hl.cast(INT, exact[at]) + once.x

        tiles = hl.RDom([(0, width), (0, (columns + width - 1) / width)], f"{name}_tiles")
        made = hl.Func(name)
        value = hl.cast(pixels, hl.Expr(chosen[tiles.x, tiles.y, y, n]))
        made[x, y, n] = hl.undef(to)
        made[tiles.y * width + tiles.x, y, n] = hl.cast(to, value)

        def schedule(at: hl.Func, loop: hl.Var) -> None:
            made.compute_at(at, loop).bound_extent(y, rows)
            made.update().allow_race_conditions()  # of which there are none
            made.update().reorder(tiles.x, y, tiles.y).vectorize(tiles.x).unroll(y)
            chosen.compute_at(made, tiles.y).bound_extent(lane, width).bound_extent(y, rows)
            chosen.vectorize(lane).unroll(y)
            chosen.update().reorder(lane, once.x, y).vectorize(lane)
            exact.compute_at(chosen, once.x).bound_extent(lane, width).vectorize(lane)
            exact.update().reorder(lane, term.x).vectorize(lane)
            for func in (fast, moved):
                func.compute_at(made, tiles.y).bound_extent(lane, width).bound_extent(y, rows)
                func.vectorize(lane, lanes).unroll(lane).unroll(y)
            update = fast.update().reorder(lane, y, tap.x)
            update.vectorize(lane, lanes).unroll(lane).unroll(y)
            doubt.compute_at(made, tiles.y).bound_extent(y, rows).unroll(y)
            doubt.update().atomic().vectorize(some.x)

        return made, schedule

    def cell(place: hl.Expr, tap: hl.Expr) -> hl.Expr:
        return conv.cells.at(place, conv.line * conv.sy + tap * conv.dy, n)

    def beneath(place: hl.Expr, tap: hl.Expr) -> hl.Expr:
        return hl.Expr(below[place + tap * conv.dx, y, n])

    columns = conv.cells.right + conv.cells.after.dim(0).extent()
    reach = (across.dim(0).extent() - 1) * conv.dx
    below, below_at = passing(0, down, of_down, cell, columns, NUMBERS)
    sums, sums_at = passing(1, across, of_across, beneath, columns - reach, pixels)
    conv.give(hl.Expr(sums[x, y, n]))

    strips, xo, xi, yo, yi = (hl.Var(name) for name in ("strips", "xo", "xi", "yo", "yi"))
    out = conv.out
    out.bound(o, 0, 1).bound(g, 0, 1).output_buffer().dim(2).set_stride(1)
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards).split(y, yo, yi, rows, Tail.GuardWithIf)
    out.split(x, xo, xi, level.lanes(pixels), Tail.PredicateStores).vectorize(xi)
    conv.by_strips([o, g, xi, xo, yi, yo], lanes)
    below_at(out, yo)
    sums_at(out, yo)
    return Pipeline(out, conv.arguments)
