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
        self.dy: Number = 1 if taps else scalars["dy"]
        self.taps = taps

    def define(
        self,
        product: Callable[[Number, Number, Number], hl.Expr],
        needed: Callable[[Number], hl.Expr] | None = None,
    ) -> None:
        """The definition; product(c, kx, ky) is a tap's number times what lies under it.

        needed(ky) tells whether a row of taps is needed at all, or adds nothing but zeros.
        """
        self.sums = hl.Func("sums")
        zero = hl.cast(self.numbers, 0)
        if self.taps:
            taps, depth = range(self.taps), range(self.depth)
            self.sums[AXES] = sum(
                (product(c, i, j) for j in taps for i in taps for c in depth), zero
            )
        else:
            self.sums[AXES] = zero
            kw, kh = self.kernels.dim(3).extent(), self.kernels.dim(4).extent()
            self.r = hl.RDom([(0, self.depth), (0, kw), (0, kh)], "r")
            if needed:
                self.r.where(needed(self.r.z))
            self.sums[AXES] += product(self.r.x, self.r.y, self.r.z)
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
    padded: bool = True,
) -> Pipeline:
    """Vectors along x: for few channels in and out.

    Neighbours along x lie D = sx * C numbers apart. So that vectors can be loaded whole, rows are
    dealt out into D planes first: ``planes[q, p] = cells[q * D + p]``.
    """
    ready = stride == 1 and channels is not None  # a plane for each channel, from the images
    conv = Convolution(types, channels, stride, taps, planes=channels if ready else 1)
    lanes = level.lanes(conv.numbers)
    period = conv.sx * conv.channels
    spread, q, p = hl.Func("spread"), hl.Var("q"), hl.Var("p")
    if not padded:
        spread[q, p, y, n] = conv.cells.pixel(q, y, n)
    elif ready:
        spread[q, p, y, n] = conv.cells.func[q, p, y, n]
    else:
        spread[q, p, y, n] = conv.cells.at(q * period + p, y, n)

    def product(c: Number, kx: Number, ky: Number) -> hl.Expr:
        step, row = kx * conv.dx, y * conv.sy + ky * conv.dy
        plane = step % conv.sx * conv.channels + conv.channel(c)
        return conv.kernels[o, g, c, kx, ky] * spread[x + step // conv.sx, plane, row, n]

    conv.define(product)
    width, rows = (lanes, 3) if (kernels or 1) > 1 else (lanes if not padded else 2 * lanes, 2)
    strips, yo, yi, xo, xi = (hl.Var(name) for name in ("strips", "yo", "yi", "xo", "xi"))
    out, sums = conv.out, conv.sums
    out.split(y, strips, y, conv.strip, Tail.ShiftInwards)
    # Without cells there is nothing beyond the images that could be read: tiles shift inwards.
    out.split(y, yo, yi, rows, Tail.GuardWithIf if padded else Tail.ShiftInwards)
    out.split(x, xo, xi, width, Tail.PredicateStores if padded else Tail.ShiftInwards)
    out.vectorize(xi).unroll(yi)
    if kernels:
        out.bound(o, 0, kernels).bound(g, 0, 1).unroll(o)
        out.output_buffer().dim(2).set_stride(kernels)
        conv.by_strips([xi, o, yi, xo, yo, g], lanes, padded=padded)
    else:
        conv.by_strips([xi, yi, xo, yo, o, g], lanes)
    sums.compute_at(out, xo).bound_extent(y, rows).vectorize(x).unroll(y)
    if kernels:
        sums.bound_extent(o, kernels).unroll(o)
    if not taps:
        c, i, j = conv.r.x, conv.r.y, conv.r.z
        sums.update().reorder(x, y, o, c, i, j).vectorize(x).unroll(y)
        if kernels:
            sums.update().unroll(o)
    if isinstance(period, int) and not ready:
        spread.compute_at(out, n).bound(p, 0, period).reorder(p, q, y).unroll(p).vectorize(q, lanes)
    elif not isinstance(period, int):
        spread.compute_at(out, n).vectorize(q, lanes)
    return Pipeline(conv.out, conv.arguments)


# The tile of sums: vectors of kernels, pixels, rows. Enough sums to keep the multipliers busy, as a
# multiply-add takes four cycles, and no more, as each pixel takes a register for its address too.
# One is for few kernels; two are for many, of which the better fits a row.
SMALL = (2, 4, 1)
TILES = {
    "avx512": {"few": (1, 4, 2), "fours": SMALL, "sevens": (2, 7, 1)},
    "avx2": {"few": SMALL, "fours": SMALL, "sevens": SMALL},
    "baseline": {"few": SMALL, "fours": SMALL, "sevens": SMALL},
    "neon": {"few": (2, 4, 2), "fours": (2, 4, 2), "sevens": (2, 7, 1)},
}


def dense(level: Level, types: Types, *, tile: str) -> Pipeline:
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

    def product(c: Number, kx: Number, ky: Number) -> hl.Expr:
        position = (x * conv.sx + kx * conv.dx) * conv.channels + conv.channel(c)
        pixel = conv.cells.at(position, y * conv.sy + ky * conv.dy, n)
        return packed[o % block, c, kx, ky, o // block, g] * pixel

    infinite = some_infinite(packed, conv, block)

    def needed(ky: Number) -> hl.Expr:
        return (conv.cells.rows[y * conv.sy + ky * conv.dy] >= 0) | infinite

    conv.define(product, needed if rows == 1 else None)  # what is asked once a row of taps
    yo, yi, xo, xi, oo, oi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "oo", "oi"))
    out, sums = conv.out, conv.sums
    out.output_buffer().dim(0).set_stride(1)
    out.split(y, hl.Var("strips"), y, conv.strip, Tail.ShiftInwards)
    out.split(o, oo, oi, block, Tail.PredicateStores).vectorize(oi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    out.split(y, yo, yi, rows, Tail.GuardWithIf).unroll(yi)
    conv.by_strips([oi, xi, yi, *([oo, xo, yo] if tile == "few" else [xo, yo, oo]), g], lanes)
    sums.compute_at(out, oo if tile == "few" else xo)
    sums.bound_extent(o, block).bound_extent(x, pixels).bound_extent(y, rows)
    sums.vectorize(o).unroll(x).unroll(y)
    c, i, j = conv.r.x, conv.r.y, conv.r.z
    sums.update().reorder(o, x, y, c, i, j).vectorize(o).unroll(x).unroll(y)
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


def depthwise(level: Level, types: Types, *, taps: int | None = None) -> Pipeline:
    """Vectors along g: for many groups of one channel and one kernel each.

    With the number of taps given it is for steps of 1, padding with zeros and a vector of groups at
    least. Then neighbouring sums share what they load, and images are read where they are.
    """
    conv = Convolution(types, stride=1 if taps else None, taps=taps, depth=1)
    lanes, pixels, rows = level.lanes(conv.numbers), 2, 2

    def product(_c: Number, kx: Number, ky: Number) -> hl.Expr:
        row = y * conv.sy + ky * conv.dy
        if taps:
            pixel = conv.cells.beneath(x + kx, g, conv.channels, row, n)
        else:
            pixel = conv.cells.at((x * conv.sx + kx * conv.dx) * conv.channels + g, row, n)
        return conv.kernels[0, g, 0, kx, ky] * pixel

    conv.define(product)
    yo, yi, xo, xi, go, gi = (hl.Var(name) for name in ("yo", "yi", "xo", "xi", "go", "gi"))
    out, sums = conv.out, conv.sums
    out.bound(o, 0, 1).output_buffer().dim(1).set_stride(1)
    conv.kernels.dim(0).set_stride(hl.Expr())
    conv.kernels.dim(1).set_stride(1)
    out.split(y, hl.Var("strips"), y, conv.strip, Tail.ShiftInwards)
    # Without cells there is nothing beyond the images that could be read: vectors shift inwards.
    out.split(g, go, gi, lanes, Tail.ShiftInwards if taps else Tail.PredicateStores).vectorize(gi)
    out.split(x, xo, xi, pixels, Tail.GuardWithIf).unroll(xi)
    out.split(y, yo, yi, rows, Tail.GuardWithIf).unroll(yi)
    conv.by_strips([o, gi, xi, yi, go, xo, yo], lanes, padded=not taps)
    sums.compute_at(out, go).bound_extent(x, pixels).bound_extent(y, rows)
    sums.vectorize(g).unroll(x).unroll(y)
    if not taps:
        c, i, j = conv.r.x, conv.r.y, conv.r.z
        sums.update().reorder(o, g, x, y, c, i, j).vectorize(g).unroll(x).unroll(y)
    # Left to itself the compiler would put taps that are not in a loop into another order.
    return Pipeline(conv.out, conv.arguments, strict=True)


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
    width, rows = 2 * lanes, 2
    zero = hl.cast(conv.numbers, 0)

    down, sums = hl.Func("down"), hl.Func("sums")
    i = hl.RDom([(0, conv.kernels.dim(4).extent())], "i")
    j = hl.RDom([(0, across.dim(0).extent())], "j")
    down[x, y, n] = zero
    down[x, y, n] += conv.kernels[0, 0, 0, 0, i.x] * conv.cells.at(
        x, y * conv.sy + i.x * conv.dy, n
    )
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
    sums.compute_at(out, xo).bound_extent(y, rows).vectorize(x).unroll(y)
    sums.update().reorder(x, y, j.x).vectorize(x).unroll(y)
    down.compute_at(out, yo).bound_extent(y, rows).vectorize(x, width).unroll(y)
    down.update().reorder(y, i.x).unroll(y)
    down.update().split(x, xo, xi, width).vectorize(xi).reorder(xi, y, i.x, xo)
    return Pipeline(conv.out, conv.arguments)
