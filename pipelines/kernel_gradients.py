"""Gradients of a convolution by its kernels, as products of matrices.

For each tap, the gradient is the product of the pixels under the tap, channels x outputs, by what
comes back to the outputs, outputs x kernels. For kernels of 3 x 3 taps there is Winograd's way: for
a tile of 2 x 2 outputs to which `y` comes back, and summed over all tiles, the gradient is

    Gᵀ [(A y Aᵀ) * (Bᵀ cells B)] G

A tile takes 16 multiplications for each channel and kernel, and not 36. See `winograd` for what the
letters mean. Below, "tile" is a single output, too.

The tiles of a region are numbered one after another. A chain of them at a time is put side by side,
and what lies under them, in blocks of channels; then sums of few channels and kernels stay in
registers while the chain is added up. Gradients of few numbers are made of up to eight parts of the
tiles at once, whose sums are added in pairs. Those of many numbers are "wide": they have one part,
and threads share the channels and kernels of several chains.
"""

from __future__ import annotations

from collections.abc import Callable

import halide as hl
from cells import INT, Cells
from convolution import Tail, Types, o
from levels import Level, Pipeline
from winograd import CELLS, CHAIN, GROUP, TAPS, kept, turned_square

NUMBERS = 16  # that Winograd's method makes of a tile
CELL = 16  # numbers that lie under a tap side by side
PARTS = 8  # of the tiles, at the most; a power of 2
# Vectors of kernels, and channels, whose sums are kept in registers together.
VECTORS = {"avx512": (2, 8), "avx2": (2, 6), "baseline": (2, 4), "neon": (2, 8)}

c, cb, t, ob, p, k = (hl.Var(name) for name in ("c", "cb", "t", "ob", "p", "k"))


class Tiles:
    """The tiles of a region, with the numbers that belong to each.

    Attributes
    ----------
    places : halide.Func
        The column and row of tile t of part k, its image, and whether there is such a tile.
    near, back : halide.Func
        ``near[c, cb, t, p, k]`` is number ``cb * CELL + c`` under tap p, or number p that
        Winograd's method makes of the cells in this channel; ``back[o, ob, t, p, k]`` is the same
        of what comes back to kernel ``start + ob * group + o``. Both are zero where nothing is.
    arguments : list
    """

    def __init__(self, numbers: hl.Type, lanes: int) -> None:
        self.numbers, self.lanes, self.zero = numbers, lanes, hl.cast(numbers, 0)
        self.cells, self.outputs = Cells(numbers, numbers), hl.ImageParam(numbers, 3, "outputs")
        self.columns, self.ends = (hl.ImageParam(INT, 1, name) for name in ("columns", "ends"))
        names = "C", "N", "start", "across", "high", "chains"
        scalars = [hl.Param(INT, name) for name in names]
        self.channels, self.kernels, self.start, across, high, self.chains = scalars
        # The inverses of the numbers of tiles in a row, and in an image.
        inverses = [hl.Param(hl.Float(64), name) for name in ("per_row", "per_image")]
        cells = self.cells
        self.arguments = [
            cells.images, cells.padding, cells.rows, self.columns, self.outputs, self.ends,
            *scalars, *inverses,
        ]  # fmt: skip
        self.near, self.back, self.places = (hl.Func(name) for name in ("near", "back", "places"))

        end = self.ends[k]
        number = hl.select(k > 0, self.ends[hl.max(k - 1, 0)], 0) + t
        tile = hl.clamp(number, 0, hl.max(end - 1, 0))
        line, image = (_divided(tile, inverse) for inverse in inverses)
        there = hl.cast(INT, number < end)
        self.places[t, k] = (tile - line * across, line - image * high, image, there)
        self.column, self.row, self.image, there = (self.places[t, k][each] for each in range(4))
        self.inside = there != 0

    def bounded(self) -> None:
        """Let all arrays begin at 0."""
        arrays = [each for each in self.arguments if isinstance(each, hl.ImageParam)]
        for array in arrays:
            for axis in range(array.dimensions()):
                array.dim(axis).set_min(0)

    def pixel(self, here: hl.Expr, line: hl.Expr, channel: hl.Expr) -> hl.Expr:
        """The number in a channel of a pixel, or of the first one if there is none."""
        at = hl.max(here, 0) * self.channels + channel
        return _of(self.cells.images, at, hl.max(line, 0), self.image)

    def output(self, i: hl.Expr, j: hl.Expr, kernel: hl.Expr) -> hl.Expr:
        """What comes back to an output."""
        return _of(self.outputs, i * self.kernels + self.start + kernel, j, self.image)


class Pixels(Tiles):
    """Tiles of one output, and the pixels under the taps.

    Tap p lies ``columns_of[p]`` columns and ``rows_of[p]`` rows after the first one.
    """

    def __init__(self, numbers: hl.Type, group: int, lanes: int) -> None:
        super().__init__(numbers, lanes)
        sx, sy = hl.Param(INT, "sx"), hl.Param(INT, "sy")
        columns_of, rows_of = (hl.ImageParam(INT, 1, name) for name in ("columns_of", "rows_of"))
        self.arguments += [sx, sy, columns_of, rows_of]
        self.bounded()
        here = _of(self.columns, self.column * sx + columns_of[p])
        line = _of(self.cells.rows, self.row * sy + rows_of[p])

        def cell(channel: hl.Expr) -> hl.Expr:
            number = self.pixel(here, line, channel)
            return hl.select((here < 0) | (line < 0), self.cells.padding, number)

        def output(kernel: hl.Expr) -> hl.Expr:
            return self.output(self.column, self.row, kernel)

        self._fillings = [
            (cb, self._fill(self.near, cb, CELL, self.channels, cell)),
            (ob, self._fill(self.back, ob, group, self.kernels - self.start, output)),
        ]

    def _fill(
        self,
        func: hl.Func,
        block: hl.Var,
        size: int,
        count: hl.Expr,
        number: Callable[[hl.Expr], hl.Expr],
    ) -> list[tuple[hl.Stage, hl.RVar]]:
        """Fill a function with so many numbers, in blocks of this size, and zeros behind them.

        Returns the stages of the definition, with their lanes.
        """
        lane, first, rest = hl.Var("lane"), block * size, (block, t, p, k)
        domains = whole, empty, some = [hl.RDom([(0, size)], name) for name in ("w", "e", "s")]
        whole.where(first + size <= count)
        for each in (empty, some):
            each.where(first + size > count)
        some.where(first + some.x < count)
        func[lane, *rest] = hl.undef(self.numbers)
        func[whole.x, *rest] = hl.select(self.inside, number(first + whole.x), self.zero)
        func[empty.x, *rest] = self.zero
        func[some.x, *rest] = hl.select(self.inside, number(first + some.x), self.zero)
        return [(func.update(stage), domain.x) for stage, domain in enumerate(domains)]

    def schedule(self) -> list[hl.Stage]:
        """Schedule the functions; returns their stages."""
        for block, stages in self._fillings:
            for number, (stage, lane) in enumerate(stages):
                # Pixels are read one after another; the last block is the same one for all of them.
                stage.reorder(lane, *([block, p, t] if number == 0 else [t, p, block]))
                stage.vectorize(lane)
        return [stage for _, stages in self._fillings for stage, _ in stages]


class Turned(Tiles):
    """Tiles of 2 x 2 outputs, turned by Winograd's method."""

    def __init__(self, numbers: hl.Type, group: int, lanes: int) -> None:
        super().__init__(numbers, lanes)
        self.bounded()
        bits = numbers.bits()
        ow = self.outputs.dim(0).extent() // self.kernels
        oh = self.outputs.dim(1).extent()
        channel = hl.min(hl.likely(cb * CELL + c), self.channels - 1)
        kernel = hl.min(hl.likely(ob * group + o), self.kernels - self.start - 1)

        def cell(i: int, j: int) -> hl.Expr:
            here = _of(self.columns, 2 * self.column + i)
            line = _of(self.cells.rows, 2 * self.row + j)
            number = self.pixel(here, line, channel)
            return kept(hl.select((here < 0) | (line < 0), self.cells.padding, number), CELLS[bits])

        def output(i: int, j: int) -> hl.Expr:
            x, y = 2 * self.column + i, 2 * self.row + j
            number = self.output(hl.min(x, ow - 1), hl.min(y, oh - 1), kernel)
            return kept(hl.select((x < ow) & (y < oh), number, self.zero), TAPS[bits])

        self._steps = [
            self._define(self.near, (c, cb), 4, cell, "cells"),
            self._define(self.back, (o, ob), 2, output, "outputs"),
        ]

    def _define(
        self,
        func: hl.Func,
        of: tuple[hl.Var, hl.Var],
        side: int,
        number: Callable[[int, int], hl.Expr],
        turn: str,
    ) -> tuple[hl.Func, hl.Func]:
        """Define one of the functions; returns the numbers of a tile, and those turned."""
        read, turned, place = hl.Func("read"), hl.Func("turned"), (*of, t, k)
        read[place] = tuple(number(i, j) for j in range(side) for i in range(side))
        square = [[read[place][side * j + i] for i in range(side)] for j in range(side)]
        turned[place] = tuple(turned_square(square, turn))
        sixteen = hl.mux(p, [turned[place][each] for each in range(NUMBERS)])
        func[(*of, t, p, k)] = hl.select(self.inside, sixteen, self.zero)
        return read, turned

    def schedule(self) -> list[hl.Stage]:
        """Schedule the functions; returns their stages."""
        vectors, within = hl.Var("vectors"), hl.Var("within")
        for func, block, steps in zip((self.near, self.back), (cb, ob), self._steps, strict=True):
            lane = func.args()[0]
            func.split(lane, vectors, within, self.lanes).vectorize(within)
            func.reorder(within, p, vectors, block, t).bound_extent(p, NUMBERS).unroll(p)
            for step in steps:
                step.compute_at(func, vectors).vectorize(step.args()[0])
        return [self.near, self.back]


def products(level: Level, types: Types, *, side: int, wide: bool) -> Pipeline:
    """Make the gradient of some kernels by all outputs of a region, ``out[o, c, p]``.

    Here o is counted from kernel `start` of the N kernels, and p is the tap. There are `across` x
    `high` tiles in each image. Parts of them end at ``ends[k]``, and have so many `chains` at the
    most. If it is `wide`, `block` chains are put side by side at a time. With a `side` of 2, tiles
    are turned by Winograd's method.
    """
    numbers = types[1]
    vectors, many = VECTORS[level.name]
    lanes, group = level.lanes(numbers), GROUP // numbers.bytes()
    tiles = (Pixels if side == 1 else Turned)(numbers, group, lanes)
    block = hl.Param(INT, "block")
    near, back = tiles.near, tiles.back

    r, sums = hl.RDom([(0, CHAIN), (0, tiles.chains)], "r"), hl.Func("sums")
    tile = r.x + CHAIN * r.y
    sums[o, c, ob, p, k] = tiles.zero
    of_kernels = back[o, ob, tile, 0 if side == 1 else p, k]
    sums[o, c, ob, p, k] += of_kernels * near[c % CELL, c // CELL, tile, p, k]
    total, out = hl.Func("total"), hl.Func("out")
    last = tiles.ends.dim(0).extent() - 1
    parts = [
        hl.select(part <= last, sums[o % group, c, o // group, p, hl.min(part, last)], tiles.zero)
        for part in range(1 if wide else PARTS)
    ]
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    total[o, c, p] = parts[0]
    if side == 1:
        out[o, c, p] = total[o, c, p]
    else:
        square = [[total[o, c, 4 * j + i] for i in range(4)] for j in range(4)]
        out[o, c, p] = hl.mux(p, turned_square(square, "taps"))

    for axis in range(3):
        out.output_buffer().dim(axis).set_min(0)
    names = "co", "at", "oi", "ci", "few", "each", "task"
    co, at, oi, ci, few, each, task = (hl.Var(name) for name in names)
    out.split(o, at, oi, lanes, Tail.GuardWithIf).split(c, task, few, 8, Tail.GuardWithIf)
    out.vectorize(oi).parallel(task)
    if side == 1:
        out.reorder(oi, at, few, p, task)
    else:
        out.reorder(oi, p, at, few, task).unroll(p)
        out.output_buffer().dim(2).set_bounds(0, 9)
        total.compute_at(out, at).bound_extent(p, NUMBERS).vectorize(o).unroll(p)
    sums.compute_root().bound_extent(o, group).vectorize(o, lanes).parallel(p if wide else k)
    adding, over, blocks = sums.update(), hl.RVar("over"), hl.RVar("blocks")
    chain = adding.rfactor(r.y, co)
    adding.split(o, at, oi, vectors * lanes).split(c, c, ci, many, Tail.GuardWithIf)
    adding.vectorize(oi).unroll(ci)
    if wide:
        adding.split(r.y, blocks, over, block, Tail.GuardWithIf)
        # A thread's next task has the same channels, which its cache holds, and other kernels.
        adding.split(c, few, c, 8, Tail.GuardWithIf).fuse(ob, p, each).fuse(each, few, task)
        adding.reorder(oi, ci, at, c, over, task, blocks).parallel(task)
    else:
        adding.reorder(oi, ci, at, c, ob, p, r.y, k).parallel(k)
    chain.compute_at(sums, at).hoist_storage(sums, task if wide else k).bound_extent(co, 1)
    chain.bound_extent(o, vectors * lanes).bound_extent(c, many).vectorize(o).unroll(c)
    chain.update().reorder(o, c, r.x).vectorize(o).unroll(c)
    for func in (tiles.places, near, back):
        if wide:
            func.compute_at(sums, blocks).hoist_storage_root().bound_extent(t, block * CHAIN)
        else:
            func.compute_at(sums, r.y).hoist_storage(sums, k)
    tiles.places.vectorize(t, lanes)
    for func in (near, back):
        lane, block_of, *_ = func.args()
        # Blocks that begin a power of 2 apart would share places in the cache.
        func.reorder_storage(lane, t, block_of, p, k).align_storage(t, CHAIN + 1)
    for stage in tiles.schedule():
        if wide:
            stage.split(t, t, few, 16, Tail.GuardWithIf).parallel(t)
    return Pipeline(out, [*tiles.arguments, *([block] if wide else [])])


def _of(array: hl.ImageParam, *places: hl.Expr) -> hl.Expr:
    """The number of an array at a place where there is sure to be one."""
    at = [
        hl.unsafe_promise_clamped(place, 0, array.dim(axis).extent() - 1)
        for axis, place in enumerate(places)
    ]
    return array[at]


def _divided(number: hl.Expr, inverse: hl.Expr) -> hl.Expr:
    """A number that is not negative, divided by one of which the inverse is given.

    This is exact, and takes a few cycles where a division of integers takes many.
    """
    return hl.cast(INT, (hl.cast(hl.Float(64), number) + hl.f64(0.5)) * inverse)
