"""Convolution with vectors along the rows: for few channels, and few kernels."""

from __future__ import annotations

import halide as hl
from convolution import Convolution, Number, Tail, Tap, Types, g, n, o, x, y
from levels import Level, Pipeline


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
    weighed: str = "",
    line: bool = False,
) -> Pipeline:
    """Convolve with vectors along x, for few channels of images and output.

    Neighbours along x lie D = sx * C numbers apart. Rows are first dealt out into D planes, so that
    a vector is loaded in one piece: ``planes[q, p] = cells[q * D + p]``. The sums of a tile, which
    is a few vectors wide and `rows` high, stay in registers.

    With `line`, the window is a single row of more taps than a vector has lanes. A tap meets the
    numbers that the tap one vector further meets for the vector of outputs before it. These two are
    computed together, in a tile of eight vectors, and share what they load.
    """
    ready = stride == 1 and channels is not None  # the cells are filled as a plane for each channel
    dealt = (channels or 1) if ready else 1
    # The sums of a tile are four vectors or more, because a multiply-add takes four cycles: 4 in a
    # row, 2 in each of 4 rows, or for 3 kernels 2 in each of 2 rows. These are twelve, and leave
    # enough registers for the numbers under them.
    # Without padding a row may be as narrow as a vector, and with a stride rows are short. Vectors
    # of 16-bit sums are wide, and their multiply-adds take no longer than an addition.
    lanes = level.lanes(types[1])
    narrow = stride == 2 or not padded or types[1] == hl.Int(16)
    width = lanes * (1 if narrow else 2 if rows > 1 else 8 if line else 4)
    conv = Convolution(
        types,
        channels,
        stride,
        taps,
        rows,
        dealt,
        width=width if ready and padded else 1,  # Others read what is dealt out, with its zeros.
        more=0 if ready else None,
        volume=volume,
        weighed=weighed,
    )
    if line:
        conv.dx = 1
    period = conv.sx * conv.channels
    spread, q, p, t = hl.Func("spread"), hl.Var("q"), hl.Var("p"), hl.Var("t")
    at = (y, n, t) if volume else (y, n)
    if not padded:
        # The last tile may reach below the images, with rows that are not written.
        spread[q, p, y, n] = conv.cells.pixel(q, hl.min(y, conv.cells.last_row), n)
    elif ready:
        spread[q, p, *at] = conv.cells.func[q, p, *at]
    else:
        columns = conv.ow + ((taps or conv.kernels.dim(3).extent()) - 1) * conv.dx // conv.sx
        vectors, spare = (
            hl.RDom([(0, lanes), (0, (count + lanes - 1) // lanes)], name)
            for count, name in ((columns, "vectors"), (-conv.ow % width, "spare"))
        )
        spread[q, p, *at] = hl.undef(conv.numbers)
        number = vectors.y * lanes + vectors.x
        spread[number, p, *at] = conv.cells.at(number * period + p, *at)
        # The last tile reaches beyond the row, where zeros are; see `Cells`.
        spread[columns + spare.y * lanes + spare.x, p, *at] = hl.cast(conv.numbers, 0)

    def product(c: Number, tap: Tap, row: hl.Expr) -> hl.Expr:
        step = tap.x * conv.dx
        plane = step % conv.sx * conv.channels + conv.channel(c)
        number = spread[x + step // conv.sx, plane, row, n, *tap.z]
        return conv.kernels[o, g, c, tap.x, tap.y, *tap.z] * number

    conv.define(product)
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
    chains = conv.chains(blocks)
    for func, loops in chains:
        func.bound_extent(x, width).bound_extent(y, rows).vectorize(x, lanes).unroll(x).unroll(y)
        update = func.update().reorder(x, y, o, *loops)
        update.vectorize(x, lanes).unroll(x).unroll(y)
        if weighed:
            func.bound_extent(n, 2).unroll(n)
            update.unroll(n)
        if kernels:
            func.bound_extent(o, kernels).unroll(o)
            update.unroll(o)
    if line:
        func, (c, kx, *others) = chains[-1]
        near, far, pair = (hl.RVar(name) for name in ("near", "far", "pair"))
        update = func.update().split(kx, far, near, lanes, Tail.GuardWithIf)
        update.split(far, far, pair, 2, Tail.GuardWithIf)
        update.reorder(x, y, o, c, pair, near, far, *others).unroll(pair)
    # Only rows are unrolled: if more is, the compiler changes the order of the additions.
    if taps:
        sums.update().unroll(conv.r.z)
    if not ready:
        spread.compute_at(out, n).bound(p, 0, period).align_storage(q, lanes)
        for stage, r in enumerate((vectors, spare)):
            dealing = spread.update(stage).allow_race_conditions()  # of which there are none
            dealing.reorder(r.x, p, r.y, y).vectorize(r.x)
            if isinstance(period, int):
                dealing.unroll(p)
    return Pipeline(conv.out, conv.arguments)
