"""Convolution: one definition, and the ways to run it.

    out[o, g, x, y, n] = Σ over ky, kx, c of  kernels[o, g, c, kx, ky]
                         * cells[(x * sx + kx * dx) * C + g * cg + c, y * sy + ky * dy, n]

Halide counts axes from the innermost: o is an output channel of group g, c one of the group's cg
channels, x and y a place, n an image. C is the number of channels of an image, sx and sy are
strides, dx and dy dilations. A processor's vectors can lie along x (`planes`), along o (`dense`) or
along g (`depthwise`): along whichever is long.

Every output is the same chain of multiply-adds wherever it lies and whoever computes it: c first,
then kx, then ky. That is why results depend neither on the batch nor on the threads.

The rounding error of one chain grows with its length, so pipelines with `blocks` cut a long window
into blocks of at most CHAIN taps of one row. Each block is a chain, and the blocks' sums are added
up in the same order. Which of the two a call takes depends on its kernels' sizes alone.
"""

from __future__ import annotations

from collections.abc import Callable

import halide as hl
from cells import INT, Cells
from levels import Level, Pipeline

Number = int | hl.Expr
Types = tuple[hl.Type, hl.Type, hl.Type]  # of the images, the sums and the results
o, g, x, y, n = AXES = tuple(hl.Var(name) for name in "ogxyn")
Tail = hl.TailStrategy
CHAIN = 128  # taps of a block


class Convolution:
    """What every convolution is called with, and the definition.

    The sizes given here are fixed when a pipeline is compiled; the others come with the call.

    Parameters
    ----------
    types
        Of the images, the sums and the results.
    channels, stride : int, optional
        C and sx. A stride above 1 goes with a dilation of 1 across.
    taps : int, optional
        Of a square kernel: kh and kw.
    rows : int
        Of the output, that make a tile. Several go with a dilation of 1 down.
    planes : int
        Into how many planes the cells are dealt out.
    depth : int, optional
        cg.
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
    ) -> None:
        pixels, self.numbers, self.results = types
        self.cells = Cells(pixels, self.numbers, planes=planes)
        self.kernels = hl.ImageParam(self.numbers, 5, "kernels")
        for axis in range(5):
            self.kernels.dim(axis).set_min(0)
        scalars = {
            name: hl.Param(INT, name) for name in ("C", "sx", "sy", "dx", "dy", "strip", "chunk")
        }
        self.arguments = [*self.cells.arguments, self.kernels, *scalars.values()]

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
        product: Callable[[Number, Number, Number, hl.Expr], hl.Expr],
        needed: Callable[[hl.Expr], hl.Expr] | None = None,
    ) -> None:
        """The definition; product(c, kx, ky, row) is a tap's number times what lies under it.

        The cells' rows go by once for all rows of a tile, so that what is loaded of a row meets
        every tap that lies on it. Of a row that is not `needed` all products are zeros.
        """
        self.sums = hl.Func("sums")
        self.sums[AXES] = hl.cast(self.numbers, 0)
        kw, kh = (self.taps or self.kernels.dim(axis).extent() for axis in (3, 4))
        cells = kh + (self.rows - 1) * self.sy
        self.r = hl.RDom([(0, self.depth), (0, kw), (0, cells)], "r")
        c, kx, ky = self.r.x, self.r.y, self.r.z - y % self.rows * self.sy
        if self.rows > 1:
            self.r.where(hl.likely(ky >= 0))
            self.r.where(hl.likely(ky < kh))
            ky = hl.clamp(ky, 0, kh - 1)
        row = y // self.rows * self.rows * self.sy + self.r.z * self.dy
        if needed:
            self.r.where(needed(row))
        self.sums[AXES] += product(c, kx, ky, row)
        self.give(self.sums[AXES])

    def chains(self, blocks: bool) -> list[tuple[hl.Func, list[hl.RVar]]]:
        """What is added up, each with its loops: the taps; or the taps of a block, and the blocks.

        A block lies in one row of the window, because rows go by in an order that differs from tile
        to tile. Its sum has registers of its own; `sums` is touched once for each block.
        """
        if not blocks:
            return [(self.sums, [self.r.x, self.r.y, self.r.z])]
        c, kx, ky = self.r.x, self.r.y, self.r.z
        over, within = [hl.RVar("co"), hl.RVar("kxo"), ky], [hl.RVar("ci"), hl.RVar("kxi")]
        update = self.sums.update()
        update.split(c, over[0], within[0], CHAIN)
        update.split(kx, over[1], within[1], hl.max(1, CHAIN // 2 // hl.cast(INT, self.depth)))
        block = [hl.Var(name) for name in ("block_c", "block_kx", "block_ky")]
        sums = update.rfactor(list(zip(over, block, strict=True)))
        for each in block:  # which tells the compiler that it can keep the sums in registers
            sums.bound_extent(each, 1)
        sums.compute_at(self.sums, over[0])
        return [(self.sums, over), (sums, within)]

    def give(self, sums: hl.Expr) -> None:
        """Define the output: the sums, as numbers of its type."""
        self.out = hl.Func("out")
        self.out[AXES] = hl.cast(self.results, sums)
        self.out.output_buffer().dim(0).set_stride(hl.Expr())
        for axis in range(5):
            self.out.output_buffer().dim(axis).set_min(0)

    def channel(self, c: Number) -> Number:
        """Channel c of the group, among all of the image's."""
        return c if isinstance(self.channels, int) else g * self.depth + c

    def split_rows(self, yo: hl.Var, yi: hl.Var, rows: int) -> None:
        """Cut the output into strips, and these into tiles of so many rows."""
        whole_tiles = (self.strip + rows - 1) // rows * rows
        self.out.split(y, hl.Var("strips"), y, whole_tiles, Tail.GuardWithIf)
        self.out.split(y, yo, yi, rows, Tail.GuardWithIf).unroll(yi)

    def by_strips(self, order: list[hl.Var], vector: int, *, padded: bool = True) -> None:
        """Cut the output into strips of rows and chunks of images; a task is a strip of a chunk.

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
) -> Pipeline:
    """Vectors along x: for few channels in and out.

    Neighbours along x lie D = sx * C numbers apart. So that vectors can be loaded whole, rows are
    dealt out into D planes first: ``planes[q, p] = cells[q * D + p]``. The sums of a tile, of a few
    vectors and `rows`, stay in registers.
    """
    ready = stride == 1 and channels is not None  # a plane for each channel, from the images
    conv = Convolution(types, channels, stride, taps, rows, channels if ready else 1)
    lanes = level.lanes(conv.numbers)
    period = conv.sx * conv.channels
    spread, q, p = hl.Func("spread"), hl.Var("q"), hl.Var("p")
    if not padded:
        # The last tile may reach below the images, with rows that nobody asks for.
        spread[q, p, y, n] = conv.cells.pixel(q, hl.min(y, conv.cells.last_row), n)
    elif ready:
        spread[q, p, y, n] = conv.cells.func[q, p, y, n]
    else:
        spread[q, p, y, n] = conv.cells.at(q * period + p, y, n)

    def product(c: Number, kx: Number, ky: Number, row: hl.Expr) -> hl.Expr:
        step = kx * conv.dx
        plane = step % conv.sx * conv.channels + conv.channel(c)
        return conv.kernels[o, g, c, kx, ky] * spread[x + step // conv.sx, plane, row, n]

    conv.define(product)
    # Without padding a row may be as narrow as a vector, and a stride leaves little of any.
    width = lanes * (1 if stride == 2 or not padded else 2 if rows > 1 else 4)
    yo, yi, xo, xi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi"))
    out, sums = conv.out, conv.sums
    conv.split_rows(yo, yi, rows)
    # Without cells there is nothing beyond the images that could be read: tiles shift inwards.
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
    # Only rows are unrolled. With more in one piece, the compiler would change the sums' order.
    if taps:
        sums.update().unroll(conv.r.z)
    if isinstance(period, int) and not ready:
        spread.compute_at(out, n).bound(p, 0, period).reorder(p, q, y).unroll(p).vectorize(q, lanes)
    elif not isinstance(period, int):
        spread.compute_at(out, n).vectorize(q, lanes)
    return Pipeline(conv.out, conv.arguments)


# The tile of sums: vectors of kernels, pixels, rows. Enough sums to keep the multipliers busy, as a
# multiply-add takes four cycles, and no more, as each pixel takes a register for its address too.
# Two are for few kernels or small ones; two for many, of which the better fits a row.
SMALL = (2, 4, 1)
TILES = {
    "avx512": {"eight": (1, 4, 2), "few": (1, 4, 2), "fours": SMALL, "sevens": (2, 7, 1)},
    "avx2": {"eight": (1, 4, 2), "few": SMALL, "fours": SMALL, "sevens": SMALL},
    "baseline": {"eight": SMALL, "few": SMALL, "fours": SMALL, "sevens": SMALL},
    "neon": {"eight": (2, 4, 2), "few": (2, 4, 2), "fours": (2, 4, 2), "sevens": (2, 7, 1)},
}


def dense(level: Level, types: Types, *, tile: str, blocks: bool = False) -> Pipeline:
    """Vectors along o: for many kernels.

    A tile of sums stays in registers while all taps and channels go by. Each of its multiply-adds
    takes one number of a pixel, the same for all lanes, and a vector of the kernels' numbers, which
    are packed so that those of a tile lie together. Either all pixels of a strip go by before the
    next kernels come, or, where kernels are few or small, all kernels before the next pixels.
    """
    vectors, pixels, rows = TILES[level.name][tile]
    conv = Convolution(types)
    lanes = level.lanes(conv.numbers)
    block = vectors * lanes
    packed, b, ob, c, i, j = (
        hl.Func("packed"),
        *(hl.Var(name) for name in ("b", "ob", "c", "i", "j")),
    )
    kernel = hl.min(ob * block + b, conv.kernels.dim(0).extent() - 1)
    packed[b, c, i, j, ob, g] = conv.kernels[kernel, g, c, i, j]

    def product(c: Number, kx: Number, ky: Number, row: hl.Expr) -> hl.Expr:
        position = (x * conv.sx + kx * conv.dx) * conv.channels + conv.channel(c)
        pixel = conv.cells.at(position, row, n)
        return packed[o % block, c, kx, ky, o // block, g] * pixel

    infinite = some_infinite(packed, conv, block)

    def needed(row: hl.Expr) -> hl.Expr:
        return (conv.cells.rows[row] >= 0) | infinite

    conv.define(product, needed if rows == 1 else None)  # as it must be for all rows of a tile
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
    """Whether kernels hold NaN or inf, which times zero are NaN."""
    bits, mantissa = conv.numbers.bits(), {32: 23, 64: 52}[conv.numbers.bits()]
    word, magnitude = hl.UInt(bits), (1 << bits - 1) - 1  # all bits of a number but its sign
    infinity = magnitude + 1 - (1 << mantissa)
    count, *extents = (conv.kernels.dim(axis).extent() for axis in (0, 1, 2, 3, 4))
    r = hl.RDom([(0, extent) for extent in ((count + block - 1) // block, *extents)], "r")
    lane = hl.RDom([(0, block)], "lane")
    b, largest, overall = hl.Var("b"), hl.Func("largest"), hl.Func("overall")
    number = hl.reinterpret(word, packed[b, r[2], r[3], r[4], r[0], r[1]])
    largest[b] = hl.cast(word, 0)
    largest[b] = hl.max(largest[b], number & hl.cast(word, magnitude))
    overall[()] = hl.cast(word, 0)
    overall[()] = hl.max(overall[()], largest[lane.x])
    largest.compute_root().vectorize(b).update().vectorize(b)
    overall.compute_root()
    return overall[()] >= hl.cast(word, infinity)


def depthwise(
    level: Level, types: Types, *, taps: int | None = None, blocks: bool = False
) -> Pipeline:
    """Vectors along g: for many groups of one channel and one kernel each.

    With the number of taps given it is for steps of 1, padding with zeros and a vector of groups at
    least. Then neighbouring sums share what they load, and images are read where they are.
    """
    pixels, rows = 2, 2
    conv = Convolution(types, None, 1 if taps else None, taps, rows if taps else 1, depth=1)
    if taps:
        conv.dx = 1
    lanes = level.lanes(conv.numbers)

    def product(_c: Number, kx: Number, ky: Number, row: hl.Expr) -> hl.Expr:
        column = x * conv.sx + kx * conv.dx
        if taps:
            pixel = conv.cells.beneath(column, g, conv.channels, row, n)
        else:
            pixel = conv.cells.at(column * conv.channels + g, row, n)
        return conv.kernels[0, g, 0, kx, ky] * pixel

    conv.define(product)
    yo, yi, xo, xi, go, gi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "go", "gi"))
    out, sums = conv.out, conv.sums
    out.bound(o, 0, 1).output_buffer().dim(1).set_stride(1)
    conv.kernels.dim(0).set_stride(hl.Expr())
    conv.kernels.dim(1).set_stride(1)
    conv.split_rows(yo, yi, rows)
    # Without cells there is nothing beyond the images that could be read: vectors shift inwards.
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


def separable(level: Level, types: Types) -> Pipeline:
    """Two passes, for one kernel that is a column times a row: down the rows, then across.

    On each channel: an image of C channels is one of a channel, C times as wide, whose taps lie C
    numbers apart.

        down[x, y, n] = Σ over ky of  kernels[0, 0, 0, 0, ky] * cells[x, y * sy + ky * dy, n]
        out[0, 0, x, y, n] = scale[0] * Σ over kx of  across[kx] * down[x + kx * dx, y, n]

    The scale lets column and row be so small that neither pass overflows where the result does not.
    """
    conv = Convolution(types, channels=1, stride=1)
    across, scale = (hl.ImageParam(conv.numbers, 1, name) for name in ("across", "scale"))
    for argument in (across, scale):
        argument.dim(0).set_min(0)
        conv.arguments.append(argument)
    lanes = level.lanes(conv.numbers)
    width, rows = 2 * lanes, 4
    zero = hl.cast(conv.numbers, 0)

    down, below, sums = hl.Func("down"), hl.Func("below"), hl.Func("sums")
    i = hl.RDom([(0, conv.kernels.dim(4).extent())], "i")
    j = hl.RDom([(0, across.dim(0).extent())], "j")
    below[x, y, n] = zero
    below[x, y, n] += conv.kernels[0, 0, 0, 0, i.x] * conv.cells.at(
        x, y * conv.sy + i.x * conv.dy, n
    )
    down[x, y, n] = below[x, y, n]
    sums[x, y, n] = zero
    sums[x, y, n] += across[j.x] * down[x + j.x * conv.dx, y, n]
    conv.give(scale[0] * sums[x, y, n])

    strips, xo, xi, yo, yi = (hl.Var(name) for name in ("strips", "xo", "xi", "yo", "yi"))
    out = conv.out
    out.bound(o, 0, 1).bound(g, 0, 1).output_buffer().dim(2).set_stride(1)
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards)
    out.split(y, yo, yi, rows, Tail.GuardWithIf).split(x, xo, xi, width, Tail.PredicateStores)
    out.vectorize(xi).unroll(yi)
    conv.by_strips([o, g, xi, yi, xo, yo], lanes)
    down.compute_at(out, yo).bound_extent(y, rows).split(x, xo, xi, width)
    down.reorder(xi, y, xo).vectorize(xi).unroll(y)
    # Both passes add up a tile in registers, block by block.
    over, within, block = hl.RVar("over"), hl.RVar("within"), hl.Var("block")
    for func, r, at in ((below, i, down), (sums, j, out)):
        part = func.update().split(r.x, over, within, CHAIN).rfactor(over, block)
        func.compute_at(at, xo)
        part.compute_at(func, over).bound_extent(block, 1)
        for each, loop in ((func, over), (part, within)):
            each.bound_extent(x, width).bound_extent(y, rows)
            each.vectorize(x, lanes).unroll(x).unroll(y)
            each.update().reorder(x, y, loop).vectorize(x, lanes).unroll(x).unroll(y)
    return Pipeline(conv.out, conv.arguments)
