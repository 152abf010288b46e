"""Convolution: one definition, and several schedules that compute it.

    out[o, g, x, y, n] = Σ over ky, kx, c of  kernels[o, g, c, kx, ky]
                         * cells[(x * sx + kx * dx) * C + g * cg + c, y * sy + ky * dy, n]

Halide counts axes from the innermost: o is an output channel of group g, c one of the group's cg
channels, x and y a place, n an image. C is the number of channels of an image, sx and sy are
strides, dx and dy dilations. The processor's vectors lie along x (`planes`), along o (`dense`) or
along g (`depthwise`), whichever is long. In volumes the window has taps kz along the depth, too: n
is a slab of the output, and the cells of the slabs under its taps are held for each tap.

The sum of a short window is a single chain of multiply-adds, in the order c, kx, ky, kz. The
rounding error of a chain grows with its length, so pipelines with `blocks` divide a long window
into blocks of at most CHAIN taps, each within one row of the window. Each block is a chain, and the
blocks' sums are added up in the same order. Which of the two a call takes depends on its kernels'
sizes alone, and an output is computed in the same order wherever it lies. Therefore results depend
neither on the batch nor on the threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import and_
from typing import NamedTuple

import halide as hl
from cells import INT, Cells, Merging
from levels import Level, Pipeline

Number = int | hl.Expr


class Tap(NamedTuple):
    """A tap's place in the window; z has one number in volumes, and otherwise none."""

    x: Number
    y: Number
    z: list[Number]


Types = tuple[hl.Type, hl.Type, hl.Type]  # the types of the images, the sums and the results
o, g, x, y, n = AXES = tuple(hl.Var(name) for name in "ogxyn")
Tail = hl.TailStrategy
CHAIN = 128  # the most taps, each of one channel, in a block


class Convolution:
    """The arguments of every convolution, and its definition.

    The sizes given here are fixed when a pipeline is compiled; the others are arguments of a call.

    Parameters
    ----------
    types
        The types of the images, the sums and the results.
    channels, stride : int, optional
        C and sx. A stride above 1 requires a dilation of 1 across.
    taps : int, optional
        kh and kw, for a square kernel whose two strides are equal.
    rows : int
        The number of rows of the output in a tile. More than one requires a dilation of 1 down.
    planes : int
        The number of planes into which the cells are dealt out.
    depth : int, optional
        cg, the number of channels of a group.
    volume : bool
        Whether the window has three axes.
    merging : Merging, optional
        How the slabs of a volume are merged into cells; without it the cells of each are held.
    """

    def __init__(
        self,
        types: Types,
        channels: int | None = None,
        stride: int | None = None,
        taps: int | None = None,
        rows: int = 1,
        planes: int = 1,
        depth: int | None = None,
        *,
        volume: bool = False,
        merging: Merging | None = None,
    ) -> None:
        pixels, self.numbers, self.results = types
        self.volume = volume
        self.cells = Cells(pixels, self.numbers, planes, volume=volume, merging=merging)
        self.kernels = hl.ImageParam(self.numbers, 6 if volume else 5, "kernels")
        for axis in range(self.kernels.dimensions()):
            self.kernels.dim(axis).set_min(0)
        scalars = {
            name: hl.Param(INT, name) for name in ("C", "sx", "sy", "dx", "dy", "strip", "chunk")
        }
        self.arguments = [*self.cells.arguments, *scalars.values()]

        self.strip, self.chunk = scalars["strip"], scalars["chunk"]
        self.channels: Number = channels or scalars["C"]
        self.depth: Number = depth or channels or self.kernels.dim(2).extent()  # cg
        self.sx: Number = stride or scalars["sx"]
        self.sy: Number = stride if taps else scalars["sy"]
        self.dx: Number = 1 if (stride or 1) > 1 else scalars["dx"]
        self.dy: Number = 1 if rows > 1 else scalars["dy"]
        self.taps, self.rows = taps, rows

    def define(
        self,
        product: Callable[[Number, Tap, hl.Expr], hl.Expr],
        needed: Callable[[hl.Expr, Tap], hl.Expr] | None = None,
    ) -> None:
        """Define the sums. product(c, tap, row) is a tap's number times the number under it.

        The loop over rows of cells is shared by all rows of a tile, so that what is loaded of a row
        of cells is used by every tap that lies on it. Rows for which `needed` is false are skipped,
        because all their products are zeros.
        """
        self.arguments.append(self.kernels)
        self.sums = hl.Func("sums")
        self.sums[AXES] = hl.cast(self.numbers, 0)
        kw, kh = (self.taps or self.kernels.dim(axis).extent() for axis in (3, 4))
        cells = kh + (self.rows - 1) * self.sy
        ranges = [(0, self.depth), (0, kw), (0, cells)]
        if self.volume:
            ranges.append((0, self.taps or self.kernels.dim(5).extent()))
        self.r = hl.RDom(ranges, "r")
        kx, ky = self.r.y, self.r.z - y % self.rows * self.sy
        if self.rows > 1:
            self.r.where(hl.likely(ky >= 0))
            self.r.where(hl.likely(ky < kh))
            ky = hl.clamp(ky, 0, kh - 1)
        row = y // self.rows * self.rows * self.sy + self.r.z * self.dy
        tap = Tap(kx, ky, [self.r[3]] if self.volume else [])
        if needed:
            self.r.where(needed(row, tap))
        self.sums[AXES] += product(self.r.x, tap, row)
        self.give(self.sums[AXES])

    def chains(self, blocks: bool) -> list[tuple[hl.Func, list[hl.RVar]]]:
        """The functions that add up, each with its loops: over taps, or over blocks and their taps.

        A block lies within one row of the window, because tiles of several rows meet the rows of
        the window at different times. Its sum stays in registers, and is added to `sums` once.
        """
        outer = [self.r.z, *([self.r[3]] if self.volume else [])]
        if not blocks:
            return [(self.sums, [self.r.x, self.r.y, *outer])]
        c, kx = self.r.x, self.r.y
        over, within = [hl.RVar("co"), hl.RVar("kxo"), *outer], [hl.RVar("ci"), hl.RVar("kxi")]
        update = self.sums.update()
        update.split(c, over[0], within[0], CHAIN)
        update.split(kx, over[1], within[1], hl.max(1, CHAIN // 2 // hl.cast(INT, self.depth)))
        block = [hl.Var(f"block_{number}") for number in range(len(over))]
        sums = update.rfactor(list(zip(over, block, strict=True)))
        for each in block:  # A known extent lets the compiler keep the sums in registers.
            sums.bound_extent(each, 1)
        sums.compute_at(self.sums, over[0])
        return [(self.sums, over), (sums, within)]

    def give(self, sums: hl.Expr) -> None:
        """Define the output as the sums, converted to its type."""
        self.out = hl.Func("out")
        self.out[AXES] = hl.cast(self.results, sums)
        self.out.output_buffer().dim(0).set_stride(hl.Expr())
        for axis in range(5):
            self.out.output_buffer().dim(axis).set_min(0)

    def channel(self, c: Number) -> Number:
        """The index of the group's channel c among all channels of the image."""
        return c if isinstance(self.channels, int) else g * self.depth + c

    def split_rows(self, yo: hl.Var, yi: hl.Var, rows: int) -> None:
        """Divide the output into strips, and these into tiles of so many rows."""
        whole_tiles = (self.strip + rows - 1) // rows * rows
        self.out.split(y, hl.Var("strips"), y, whole_tiles, Tail.GuardWithIf)
        self.out.split(y, yo, yi, rows, Tail.GuardWithIf).unroll(yi)

    def by_strips(self, order: list[hl.Var], vector: int, *, padded: bool = True) -> None:
        """Divide the output into strips of rows and chunks of images; a task is a strip of a chunk.

        `order` names the axes inside a strip of one image, from the innermost.
        """
        strips, images, task = hl.Var("strips"), hl.Var("images"), hl.Var("task")
        self.out.split(n, images, n, self.chunk, Tail.GuardWithIf)
        self.out.reorder(*order, n, strips, images).fuse(strips, images, task).parallel(task)
        if padded:
            self.cells.fill_at(self.out, n, task, vector)


def planes(
    level: Level,
    types: Types,
    *,
    channels: int | None = None,
    stride: int | None = None,
    taps: int | None = None,
    kernels: int | None = None,
    rows: int = 1,
    padded: bool = True,
    blocks: bool = False,
    volume: bool = False,
) -> Pipeline:
    """Convolve with vectors along x, for few channels of images and output.

    Neighbours along x lie D = sx * C numbers apart. Rows are first dealt out into D planes, so that
    a vector is loaded in one piece: ``planes[q, p] = cells[q * D + p]``. The sums of a tile, which
    is a few vectors wide and `rows` high, stay in registers.
    """
    ready = stride == 1 and channels is not None  # the cells are filled as a plane for each channel
    conv = Convolution(types, channels, stride, taps, rows, channels if ready else 1, volume=volume)
    lanes = level.lanes(conv.numbers)
    period = conv.sx * conv.channels
    spread, q, p, t = hl.Func("spread"), hl.Var("q"), hl.Var("p"), hl.Var("t")
    at = (y, n, t) if volume else (y, n)
    if not padded:
        # The last tile may reach below the images, with rows that are not written.
        row = hl.min(y, conv.cells.last_row)
        slab = conv.cells.slabs[t, n] if volume else n
        spread[q, p, *at] = conv.cells.pixel(q, row, slab)
    elif ready:
        spread[q, p, *at] = conv.cells.func[q, p, *at]
    else:
        spread[q, p, *at] = conv.cells.at(q * period + p, *at)

    def product(c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        step = tap.x * conv.dx
        plane = step % conv.sx * conv.channels + conv.channel(c)
        number = spread[x + step // conv.sx, plane, row, n, *tap.z]
        return conv.kernels[o, g, c, tap.x, tap.y, *tap.z] * number

    conv.define(product)
    # Without padding a row may be as narrow as a vector, and with a stride rows are short.
    width = lanes * (1 if stride == 2 or not padded else 2 if rows > 1 else 4)
    yo, yi, xo, xi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi"))
    out, sums = conv.out, conv.sums
    conv.split_rows(yo, yi, rows)
    # Without cells, nothing beyond the images can be read, so the last tile shifts inwards.
    out.split(x, xo, xi, width, Tail.PredicateStores if padded else Tail.ShiftInwards)
    if kernels:
        out.bound(o, 0, kernels).bound(g, 0, 1)
        out.output_buffer().dim(0).set_stride(1)
        out.output_buffer().dim(2).set_stride(kernels)
        out.vectorize(o)
        conv.by_strips([o, xi, yi, xo, yo, g], lanes, padded=padded)
    else:
        conv.by_strips([xi, yi, xo, yo, o, g], lanes)
    out.vectorize(xi)
    sums.compute_at(out, xo).reorder_storage(x, o, g, y, n)
    for func, loops in conv.chains(blocks):
        func.bound_extent(x, width).bound_extent(y, rows).vectorize(x, lanes).unroll(x).unroll(y)
        update = func.update().reorder(x, y, o, *loops)
        update.vectorize(x, lanes).unroll(x).unroll(y)
        if kernels:
            func.bound_extent(o, kernels).unroll(o)
            update.unroll(o)
    # Only rows are unrolled: if more is, the compiler changes the order of the additions.
    if taps:
        sums.update().unroll(conv.r.z)
    if isinstance(period, int) and not ready:
        spread.compute_at(out, n).bound(p, 0, period).reorder(p, q, y).unroll(p).vectorize(q, lanes)
    elif not isinstance(period, int):
        spread.compute_at(out, n).vectorize(q, lanes)
    return Pipeline(conv.out, conv.arguments)


# The sums of a tile, as (vectors of kernels, pixels, rows). They are enough to keep the multipliers
# busy, because a multiply-add takes four cycles, and no more, because each pixel also takes a
# register for its address. "eight" and "few" are for few or small kernels; "fours" and "sevens" are
# for many, and the one that fits the row better is taken.
SMALL = (2, 4, 1)
TILES = {
    "avx512": {"eight": (1, 4, 2), "few": (1, 4, 2), "fours": SMALL, "sevens": (2, 7, 1)},
    "avx2": {"eight": (1, 4, 2), "few": SMALL, "fours": SMALL, "sevens": SMALL},
    "baseline": {"eight": SMALL, "few": SMALL, "fours": SMALL, "sevens": SMALL},
    "neon": {"eight": (2, 4, 2), "few": (2, 4, 2), "fours": (2, 4, 2), "sevens": (2, 7, 1)},
}


def dense(
    level: Level, types: Types, *, tile: str, blocks: bool = False, volume: bool = False
) -> Pipeline:
    """Convolve with vectors along o, for many kernels.

    A tile of sums stays in registers during the loops over taps and channels. Each multiply-add
    takes one number of a pixel, the same for all lanes, and a vector of the kernels' numbers, which
    are packed so that the numbers for a tile lie together. If kernels are few or small, the loop
    over them is inside the loop over the pixels of a strip, and otherwise outside.
    """
    vectors, pixels, rows = TILES[level.name][tile]
    conv = Convolution(types, volume=volume)
    lanes = level.lanes(conv.numbers)
    block = vectors * lanes
    packed = hl.Func("packed")
    b, ob, c, *at = (hl.Var(name) for name in ("b", "ob", "c", "i", "j", "k"))
    at = at if volume else at[:2]  # a tap's place in the window
    kernel = hl.min(ob * block + b, conv.kernels.dim(0).extent() - 1)
    packed[b, c, *at, ob, g] = conv.kernels[kernel, g, c, *at]

    def product(c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        position = (x * conv.sx + tap.x * conv.dx) * conv.channels + conv.channel(c)
        pixel = conv.cells.at(position, row, n, *tap.z)
        return packed[o % block, c, tap.x, tap.y, *tap.z, o // block, g] * pixel

    zeros = ~some_infinite(packed, conv, block) & (conv.cells.padding == 0)

    def needed(row: hl.Expr, tap: Tap) -> hl.Expr:
        lines = [conv.cells.rows[row], *(conv.cells.slabs[kz, n] for kz in tap.z)]
        return reduce(and_, (line >= 0 for line in lines)) | ~zeros

    # Rows of padding can be skipped only if a tile has one row: others may still need the cells.
    conv.define(product, needed if rows == 1 else None)
    yo, yi, xo, xi, oo, oi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "oo", "oi"))
    out, sums = conv.out, conv.sums
    out.output_buffer().dim(0).set_stride(1)
    conv.split_rows(yo, yi, rows)
    out.split(o, oo, oi, block, Tail.PredicateStores).vectorize(oi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    kernels_first = tile in ("eight", "few")
    conv.by_strips([oi, xi, yi, *([oo, xo, yo] if kernels_first else [xo, yo, oo]), g], lanes)
    sums.compute_at(out, oo if kernels_first else xo)
    for func, loops in conv.chains(blocks):
        func.bound_extent(o, block).bound_extent(x, pixels).bound_extent(y, rows)
        func.vectorize(o).unroll(x).unroll(y)
        func.update().reorder(o, x, y, *loops).vectorize(o).unroll(x).unroll(y)
    packed.compute_root().bound(b, 0, block).vectorize(b).fuse(ob, g, g).parallel(g)
    return Pipeline(conv.out, conv.arguments)


def some_infinite(packed: hl.Func, conv: Convolution, block: int) -> hl.Expr:
    """Whether the kernels hold NaN or inf: then products with zeros count, because they are NaN."""
    bits, mantissa = conv.numbers.bits(), {32: 23, 64: 52}[conv.numbers.bits()]
    word, magnitude = hl.UInt(bits), (1 << bits - 1) - 1  # a mask of all bits except the sign
    infinity = magnitude + 1 - (1 << mantissa)
    count, *extents = (conv.kernels.dim(axis).extent() for axis in range(conv.kernels.dimensions()))
    r = hl.RDom([(0, extent) for extent in ((count + block - 1) // block, *extents)], "r")
    lane = hl.RDom([(0, block)], "lane")
    b, largest, overall = hl.Var("b"), hl.Func("largest"), hl.Func("overall")
    taps = (r[axis] for axis in range(2, conv.kernels.dimensions()))
    number = hl.reinterpret(word, packed[b, *taps, r[0], r[1]])
    largest[b] = hl.cast(word, 0)
    largest[b] = hl.max(largest[b], number & hl.cast(word, magnitude))
    overall[()] = hl.cast(word, 0)
    overall[()] = hl.max(overall[()], largest[lane.x])
    largest.compute_root().vectorize(b).update().vectorize(b)
    overall.compute_root()
    return overall[()] >= hl.cast(word, infinity)


def depthwise(
    level: Level,
    types: Types,
    *,
    taps: int | None = None,
    blocks: bool = False,
    volume: bool = False,
) -> Pipeline:
    """Convolve with vectors along g, for many groups of one channel and one kernel each.

    If the number of taps is given, strides and dilations must be 1, the padding must hold zeros,
    and there must be at least a vector of groups. Then neighbouring sums share what they load, and
    images are read in place, without cells.
    """
    pixels, rows = 2, 2
    conv = Convolution(
        types, None, 1 if taps else None, taps, rows if taps else 1, depth=1, volume=volume
    )
    if taps:
        conv.dx = 1
    lanes = level.lanes(conv.numbers)

    def product(_c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        column = x * conv.sx + tap.x * conv.dx
        if taps:
            pixel = conv.cells.beneath(column, g, conv.channels, row, n)
        else:
            pixel = conv.cells.at(column * conv.channels + g, row, n, *tap.z)
        return conv.kernels[0, g, 0, tap.x, tap.y, *tap.z] * pixel

    conv.define(product)
    yo, yi, xo, xi, go, gi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "go", "gi"))
    out, sums = conv.out, conv.sums
    out.bound(o, 0, 1).output_buffer().dim(1).set_stride(1)
    conv.kernels.dim(0).set_stride(hl.Expr())
    conv.kernels.dim(1).set_stride(1)
    conv.split_rows(yo, yi, rows)
    # Without cells, nothing beyond the images can be read, so the last vector shifts inwards.
    out.split(g, go, gi, lanes, Tail.ShiftInwards if taps else Tail.PredicateStores).vectorize(gi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    conv.by_strips([o, gi, xi, yi, go, xo, yo], lanes, padded=not taps)
    sums.compute_at(out, go)
    for func, loops in conv.chains(blocks):
        func.bound_extent(x, pixels).bound_extent(y, rows).vectorize(g).unroll(x).unroll(y)
        update = func.update().reorder(o, g, x, y, *loops)
        update.vectorize(g).unroll(x).unroll(y)
    if taps:
        sums.update().unroll(conv.r.z)
    return Pipeline(conv.out, conv.arguments)


def separable(level: Level, types: Types, *, volume: bool = False) -> Pipeline:
    """Convolve in a pass along each axis, with a kernel that is a product of one line along each.

    The kernel is applied to each channel by itself, so an image of C channels is treated as an
    image of one channel that is C times as wide, whose taps lie C numbers apart.

        below[x, y, n] = Σ over ky of  down[ky] * cells[x, y * sy + ky * dy, n]
        out[0, 0, x, y, n] = scale[0] * Σ over kx of  across[kx] * below[x + kx * dx, y, n]

    In volumes, the pass along the depth, with the line `along`, is made while cells are filled. The
    lines are made so small, and the scale so large, that no pass overflows unless the result does.
    """
    numbers = types[1]
    along, *others = lines = [
        hl.ImageParam(numbers, 1, name) for name in ("along", "down", "across", "scale")
    ]
    down, across, scale = others
    for line in lines:
        line.dim(0).set_min(0)
    zero = hl.cast(numbers, 0)
    merging = Merging(zero, lambda merged, number, tap: merged + along[tap] * number)
    conv = Convolution(
        types, channels=1, stride=1, volume=volume, merging=merging if volume else None
    )
    conv.arguments += lines if volume else others
    lanes = level.lanes(conv.numbers)
    width, rows = 2 * lanes, 4

    all_down, below, sums = hl.Func("all_down"), hl.Func("below"), hl.Func("sums")
    i = hl.RDom([(0, down.dim(0).extent())], "i")
    j = hl.RDom([(0, across.dim(0).extent())], "j")
    below[x, y, n] = zero
    below[x, y, n] += down[i.x] * conv.cells.at(x, y * conv.sy + i.x * conv.dy, n)
    all_down[x, y, n] = below[x, y, n]
    sums[x, y, n] = zero
    sums[x, y, n] += across[j.x] * all_down[x + j.x * conv.dx, y, n]
    conv.give(scale[0] * sums[x, y, n])

    strips, xo, xi, yo, yi = (hl.Var(name) for name in ("strips", "xo", "xi", "yo", "yi"))
    out = conv.out
    out.bound(o, 0, 1).bound(g, 0, 1).output_buffer().dim(2).set_stride(1)
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards)
    out.split(y, yo, yi, rows, Tail.GuardWithIf).split(x, xo, xi, width, Tail.PredicateStores)
    out.vectorize(xi).unroll(yi)
    conv.by_strips([o, g, xi, yi, xo, yo], lanes)
    all_down.compute_at(out, yo).bound_extent(y, rows).split(x, xo, xi, width)
    all_down.reorder(xi, y, xo).vectorize(xi).unroll(y)
    # The passes down and across keep the sums of a tile in registers, and add up taps in blocks of
    # CHAIN.
    over, within, block = hl.RVar("over"), hl.RVar("within"), hl.Var("block")
    for func, r, at in ((below, i, all_down), (sums, j, out)):
        part = func.update().split(r.x, over, within, CHAIN).rfactor(over, block)
        func.compute_at(at, xo)
        part.compute_at(func, over).bound_extent(block, 1)
        for each, loop in ((func, over), (part, within)):
            each.bound_extent(x, width).bound_extent(y, rows)
            each.vectorize(x, lanes).unroll(x).unroll(y)
            each.update().reorder(x, y, loop).vectorize(x, lanes).unroll(x).unroll(y)
    return Pipeline(conv.out, conv.arguments)
