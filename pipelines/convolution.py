"""Convolution: one definition, and the ways to run it.

    out[o, g, x, y, n] = Σ over ky, kx, c of  kernels[o, g, c, kx, ky]
                         * cells[(x * sx + kx * dx) * C + g * cg + c, y * sy + ky * dy, n]

Halide counts axes from the innermost: o is an output channel of group g, c one of the group's cg
channels, x and y a place, n an image. C is the number of channels of an image, sx and sy are
strides, dx and dy dilations. A processor's vectors can lie along x (`planes`), along o (`dense`) or
along g (`depthwise`): along whichever is long.

Every output is the same chain of multiply-adds wherever it lies and whoever computes it, c first,
then kx, then ky. That is why results depend neither on the batch nor on the threads.
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

    def define(self, product: Callable[[Number, Number, Number, hl.Expr], hl.Expr]) -> None:
        """The definition; product(c, kx, ky, row) is a tap's number times what lies under it.

        The cells' rows go by once for all rows of a tile, so that what is loaded of a row meets
        every tap that lies on it.
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
        self.sums[AXES] += product(c, kx, ky, row)
        self.give(self.sums[AXES])

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
    # Images without padding may be as narrow as a vector; and many strides leave little of a row.
    width = lanes * (1 if stride == 2 or not padded else 2 if rows > 1 else 4)
    strips, yo, yi, xo, xi = (hl.Var(name) for name in ("strips", "yo", "yi", "xo", "xi"))
    out, sums = conv.out, conv.sums
    whole_tiles = (conv.strip + rows - 1) // rows * rows
    out.split(y, strips, y, whole_tiles, Tail.GuardWithIf).split(y, yo, yi, rows, Tail.GuardWithIf)
    # Without cells there is nothing beyond the images that could be read: tiles shift inwards.
    out.split(x, xo, xi, width, Tail.PredicateStores if padded else Tail.ShiftInwards)
    out.unroll(yi)
    if kernels:
        out.bound(o, 0, kernels).bound(g, 0, 1)
        out.output_buffer().dim(0).set_stride(1)
        out.output_buffer().dim(2).set_stride(kernels)
        out.vectorize(o)
        conv.by_strips([o, xi, yi, xo, yo, g], lanes, padded=padded)
    else:
        conv.by_strips([xi, yi, xo, yo, o, g], lanes)
    out.vectorize(xi)
    c, i, j = conv.r.x, conv.r.y, conv.r.z
    sums.compute_at(out, xo).reorder_storage(x, o, g, y, n)
    sums.bound_extent(x, width).bound_extent(y, rows).vectorize(x, lanes).unroll(x).unroll(y)
    update = sums.update().reorder(x, y, o, c, i, j).vectorize(x, lanes).unroll(x).unroll(y)
    if kernels:
        sums.bound_extent(o, kernels).unroll(o)
        update.unroll(o)
    # Only rows are unrolled. With more in one piece, the compiler would change the sums' order.
    if taps:
        update.unroll(j)
    if isinstance(period, int) and not ready:
        spread.compute_at(out, n).bound(p, 0, period).reorder(p, q, y).unroll(p).vectorize(q, lanes)
    elif not isinstance(period, int):
        spread.compute_at(out, n).vectorize(q, lanes)
    return Pipeline(conv.out, conv.arguments)


# Vectors of kernels and pixels of the tile of sums, by how many registers a processor has: for
# many kernels, for few, and for many with so few taps that a tile of pixels is worth keeping while
# all kernels go by.
TILES = {
    32: {"many": (2, 14), "few": (1, 28), "short": (4, 6)},
    16: {"many": (2, 6), "few": (1, 12), "short": (2, 6)},
}


def dense(level: Level, types: Types, *, tile: str) -> Pipeline:
    """Vectors along o: for many kernels.

    A tile of sums, some vectors of kernels by some pixels, stays in registers while all taps and
    channels go by. Each of its multiply-adds takes one number of a pixel, the same for all lanes,
    and a vector of the kernels' numbers, which are packed so that those of a tile lie together.
    """
    vectors, pixels = TILES[level.registers][tile]
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

    conv.define(product)
    strips, xo, xi, oo, oi = (hl.Var(name) for name in ("strips", "xo", "xi", "oo", "oi"))
    out, sums = conv.out, conv.sums
    out.output_buffer().dim(0).set_stride(1)
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards)
    out.split(o, oo, oi, block, Tail.PredicateStores).vectorize(oi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    conv.by_strips([oi, xi, oo, xo, y, g] if tile == "short" else [oi, xi, xo, y, oo, g], lanes)
    sums.compute_at(out, oo if tile == "short" else xo)
    sums.bound_extent(x, pixels).bound_extent(o, block).vectorize(o).unroll(x)
    c, i, j = conv.r.x, conv.r.y, conv.r.z
    sums.update().reorder(o, x, c, i, j).vectorize(o).unroll(x)
    packed.compute_root().bound(b, 0, block).vectorize(b).fuse(ob, g, g).parallel(g)
    return Pipeline(conv.out, conv.arguments)


def depthwise(level: Level, types: Types) -> Pipeline:
    """Vectors along g: for many groups of one channel and one kernel each."""
    conv = Convolution(types, depth=1)
    lanes, pixels = level.lanes(conv.numbers), 4

    def product(_c: Number, kx: Number, ky: Number, row: hl.Expr) -> hl.Expr:
        position = (x * conv.sx + kx * conv.dx) * conv.channels + g
        return conv.kernels[0, g, 0, kx, ky] * conv.cells.at(position, row, n)

    conv.define(product)
    strips, xo, xi, go, gi = (hl.Var(name) for name in ("strips", "xo", "xi", "go", "gi"))
    out, sums = conv.out, conv.sums
    out.bound(o, 0, 1).output_buffer().dim(1).set_stride(1)
    conv.kernels.dim(0).set_stride(hl.Expr())
    conv.kernels.dim(1).set_stride(1)
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards)
    out.split(g, go, gi, lanes, Tail.PredicateStores).vectorize(gi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    conv.by_strips([o, gi, xi, go, xo, y], lanes)
    sums.compute_at(out, go).bound_extent(x, pixels).vectorize(g).unroll(x)
    c, i, j = conv.r.x, conv.r.y, conv.r.z
    sums.update().reorder(o, g, x, c, i, j).vectorize(g).unroll(x)
    return Pipeline(conv.out, conv.arguments)


def separable(level: Level, types: Types) -> Pipeline:
    """Two passes, for one kernel that is a column times a row: down the rows, then across.

    On each channel: an image of C channels is one of a channel, C times as wide, whose taps lie C
    numbers apart.

        down[x, y, n] = Σ over ky of  kernels[0, 0, 0, 0, ky] * cells[x, y * sy + ky * dy, n]
        out[0, 0, x, y, n] = Σ over kx of  across[kx] * down[x + kx * dx, y, n]
    """
    conv = Convolution(types, channels=1, stride=1)
    across = hl.ImageParam(conv.numbers, 1, "across")
    across.dim(0).set_min(0)
    conv.arguments.append(across)
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
    conv.give(sums[x, y, n])

    strips, xo, xi, yo, yi = (hl.Var(name) for name in ("strips", "xo", "xi", "yo", "yi"))
    out = conv.out
    out.bound(o, 0, 1).bound(g, 0, 1).output_buffer().dim(2).set_stride(1)
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards)
    out.split(y, yo, yi, rows, Tail.GuardWithIf).split(x, xo, xi, width, Tail.PredicateStores)
    out.vectorize(xi).unroll(yi)
    conv.by_strips([o, g, xi, yi, xo, yo], lanes)
    down.compute_at(out, yo).bound_extent(y, rows).split(x, xo, xi, width)
    down.reorder(xi, y, xo).vectorize(xi).unroll(y)
    # Both passes add up a tile in registers.
    for func, r, at in ((below, i, down), (sums, j, out)):
        func.compute_at(at, xo).bound_extent(x, width).bound_extent(y, rows)
        func.vectorize(x, lanes).unroll(x).unroll(y)
        func.update().reorder(x, y, r.x).vectorize(x, lanes).unroll(x).unroll(y)
    return Pipeline(conv.out, conv.arguments)
