"""Pooling: the numbers under a window are merged down its rows, and then across its columns.

    down[f, y, n] = merge over ky of  cells[f, y * sy + ky * dy, n]
    out[c, x, y, n] = merge over kx of  down[(x * sx + kx * dx) * C + c, y, n]

Merging takes the larger number, the smaller number, or the sum. Halide counts axes from the
innermost: c is one of C channels, x and y a place, n an image, f a position in a row. sx and sy are
strides, dx and dy dilations. Cells of padding hold the number that changes nothing.

`windows` merges tap by tap. `squares` does so for small windows side by side, without padding.
`doubling` merges windows of 1 into windows of 2, 4, 8 and so on, so that the work grows with the
logarithm of the window's size.
"""

from __future__ import annotations

from collections.abc import Callable

import halide as hl
from cells import INT, Cells, Merging
from levels import Level, Pipeline

Types = tuple[hl.Type, hl.Type, hl.Type]  # the types of images, merged numbers and results
c, x, y, n, f = (hl.Var(name) for name in "cxynf")
AXES = (c, x, y, n)
Tail = hl.TailStrategy
BLOCK = 64  # how many taps of an axis are merged into one number before those are merged


def larger(a: hl.Expr, b: hl.Expr) -> hl.Expr:
    """The larger number, or NaN if one is NaN, which the processor's own maximum may drop."""
    return hl.select((a > b) | hl.is_nan(a), a, b) if a.type().is_float() else hl.max(a, b)


def smaller(a: hl.Expr, b: hl.Expr) -> hl.Expr:
    """The smaller number, or NaN if one is NaN."""
    return hl.select((a < b) | hl.is_nan(a), a, b) if a.type().is_float() else hl.min(a, b)


def add(a: hl.Expr, b: hl.Expr) -> hl.Expr:
    """The sum of two numbers."""
    return a + b


# For each mode, the function that merges two numbers, and the number that changes nothing.
MERGES: dict[str, tuple[Callable[[hl.Expr, hl.Expr], hl.Expr], Callable[[hl.Type], hl.Expr]]] = {
    "max": (larger, hl.Type.min),
    "min": (smaller, hl.Type.max),
    "sum": (add, lambda numbers: hl.cast(numbers, 0)),
    "avg": (add, lambda numbers: hl.cast(numbers, 0)),
}


class Pooling:
    """The arguments of every pooling, and its output.

    The sizes given here are fixed when a pipeline is compiled; the others are arguments of a call.

    Parameters
    ----------
    level
    types
        The types of the images, the merged numbers and the results.
    mode
        "max", "min", "sum" or "avg".
    channels : int, optional
        C.
    side : int, optional
        kh, kw, sx and sy, which are all the same for squares side by side; they require dilations
        of 1.
    volume : bool
        Whether the window has three axes. Then slabs are merged while cells are filled.
    """

    def __init__(
        self,
        level: Level,
        types: Types,
        mode: str,
        channels: int | None = None,
        side: int | None = None,
        *,
        volume: bool = False,
    ) -> None:
        pixels, self.numbers, self.results = types
        self.mode, self._level = mode, level
        self.merge, nothing = MERGES[mode]
        self.nothing = nothing(self.numbers)
        self.volume = volume
        merging = Merging(self.nothing, lambda merged, number, _tap: self.merge(number, merged))
        self.cells = Cells(
            pixels,
            self.numbers,
            volume=volume,
            merging=merging if volume else None,
            convert=level.converted,
        )
        # How many cells of a window count, for each slab, row and column of the output. Means of
        # float16 are computed in float32 before they are rounded.
        half = self.results == hl.Float(16)
        self.means = self.numbers if half else self.results
        self.slabs_counted, self.rows_counted, self.columns_counted = counted = [
            hl.ImageParam(self.means, 1, f"{name}_counted") for name in ("slabs", "rows", "columns")
        ]
        names = ("C", "kw", "kh", "sx", "sy", "dx", "dy", "strip", "chunk")
        scalars = {name: hl.Param(INT, name) for name in names}
        self.arguments = [
            *self.cells.arguments, *(counted if volume else counted[1:]), *scalars.values()
        ]  # fmt: skip
        self.strip, self.chunk = scalars["strip"], scalars["chunk"]
        self.channels = channels or scalars["C"]
        fixed = {"kw": side, "kh": side, "sx": side, "sy": side} if side else {}
        fixed |= {"dx": 1, "dy": 1} if side else {}
        sizes = scalars | fixed
        self.kw, self.kh, self.dx, self.dy = (sizes[name] for name in ("kw", "kh", "dx", "dy"))
        self.sx, self.sy = sizes["sx"], sizes["sy"]
        self.out = hl.Func("out")

    def give(self, merged: hl.Expr) -> None:
        """Define the output: the merged number, divided by the number of cells for a mean."""
        if self.mode == "avg":
            counted = self.rows_counted[y] * self.columns_counted[x]
            if self.volume:
                counted *= self.slabs_counted[n]
            merged = hl.cast(self.means, merged) / counted
        self.out[AXES] = self._level.converted(merged, self.results)
        for axis in range(4):
            self.out.output_buffer().dim(axis).set_min(0)

    def by_strips(self, order: list[hl.Var]) -> hl.Var:
        """Divide the output into strips and chunks of images; a task is a strip of a chunk."""
        images, task = hl.Var("images"), hl.Var("task")
        self.out.split(n, images, n, self.chunk, Tail.GuardWithIf)
        self.out.reorder(*order, n, hl.Var("strips"), images)
        self.out.fuse(hl.Var("strips"), images, task).parallel(task)
        return task


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


def squares(level: Level, types: Types, mode: str, *, channels: int, side: int) -> Pipeline:
    """Merge small squares side by side, without padding, which is the usual pooling.

    The pixels are read from the images in place, without cells.

    across[f, y, n] = merge over kx and ky of  images[f + kx * C, y * side + ky, n]
    out[c, x, y, n] = across[x * side * C + c, y, n]
    """
    pool = Pooling(level, types, mode, channels, side)
    lanes, merge, out = level.lanes(pool.numbers), pool.merge, pool.out
    across = hl.Func("across")
    merged = pool.nothing
    for kx in range(side):  # This is the order of `windows`, so that the bits are the same.
        down = pool.nothing
        for ky in range(side):
            down = merge(pool.cells.pixel(f + kx * channels, y * side + ky, n), down)
        merged = merge(down, merged)
    across[f, y, n] = merged
    pool.give(hl.Expr(across[x * side * channels + c, y, n]))

    along, o, i = x if channels == 1 else c, hl.Var("o"), hl.Var("i")
    out.split(y, hl.Var("strips"), y, pool.strip, Tail.ShiftInwards)
    out.bound(c, 0, channels).output_buffer().dim(1).set_stride(channels)
    out.split(along, o, i, min(lanes, 4) if channels > 1 else lanes, Tail.PredicateStores)
    out.vectorize(i)
    pool.by_strips([i, o, c, y] if channels == 1 else [i, o, x, y])
    across.compute_at(out, y).vectorize(f, lanes, Tail.ShiftInwards)
    return Pipeline(out, pool.arguments, strict=True)


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
        inner, place = cells.inner, cells.inner.x - cells.left + cells.first
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
