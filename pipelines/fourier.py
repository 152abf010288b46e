"""Convolution with large kernels by Fourier transforms, tile by tile.

    out = inverse(forward(cells) * spectrum),  spectrum = conjugate(forward(kernel)) / size²

A tile is a square of `size` x `size` cells. The places of `rows_out` x `columns_out` of them are
results; at the others, the window would wrap around. The kernel is real, so one complex transform
serves two tiles: the cells of the left one are the real parts, and those of its neighbour on the
right the imaginary parts. So are their results.

A line of numbers is transformed in passes. A pass of radix R divides each block of n numbers into R
blocks of n / R, which the next passes divide further: for all j < n / R and k < R,

    block k, number j = w(n)^(j k) * Σ over i < R of  w(R)^(i k) * numbers[i n / R + j]

with w(n) = exp(-2πi / n). The frequencies come out in an order of their own, the digits of their
places reversed. Nothing puts them in order, because those of the kernel come out in the same order,
and the inverse takes the same passes backwards. Source: W. M. Gentleman and G. Sande, "Fast Fourier
transforms: for fun and profit", AFIPS 29, 1966.

The vectors of the processor lie across lines. The columns of a tile are transformed first, a vector
of them at a time. Then its rows are, a vector of rows at a time, which is loaded in small steps
across the first result. While a vector of rows is in the cache, it is multiplied by the spectrum
and transformed back.

Transforms are computed in float64. The rounding error of a result depends on all numbers of its two
tiles: results of floats that are not larger than their `floor`, which bounds it, are set to 0. So
windows over zeros give 0. A tile may be so dark in a place, next to others, that results there
would lose digits, or may have numbers that are not finite. Then all results of the two tiles are
NaN, and the engine computes them tap by tap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, pi, sin, sqrt
from typing import NamedTuple

import halide as hl
from cells import INT, Cells
from convolution import Tail, Types, g, n, o, x, y
from levels import Level, Pipeline

F64 = hl.Float(64)
PATCH = 16  # the side of the squares whose energies are compared: sums of squares of their numbers
# The least energy of a patch that is not zero, next to that of the two tiles. If the energy of a
# window is as low, the floor is still below the rounding error of a float32.
DARKEST = 2.0**-40


class Complex(NamedTuple):
    """A complex number."""

    re: hl.Expr
    im: hl.Expr

    def plus(self, other: Complex) -> Complex:
        """The sum."""
        return Complex(self.re + other.re, self.im + other.im)

    def minus(self, other: Complex) -> Complex:
        """The difference."""
        return Complex(self.re - other.re, self.im - other.im)

    def times(self, other: Complex) -> Complex:
        """The product."""
        re = self.re * other.re - self.im * other.im
        return Complex(re, self.re * other.im + self.im * other.re)

    def turned(self, eighths: int) -> Complex:
        """The number turned by so many eighths of a circle, counterclockwise."""
        re, im = self
        if eighths % 2:
            half = hl.f64(sqrt(0.5))
            re, im = (re - im) * half, (re + im) * half
        for _ in range(eighths % 8 // 2):
            re, im = -im, re
        return Complex(re, im)


def _of(number: hl.FuncRef) -> Complex:
    """The complex number that a function with two values has at a place."""
    return Complex(number[0], number[1])


def radices(size: int) -> list[int]:
    """The radices of the passes for a power of two: 2, 4 or 8, the largest first.

    >>> radices(128), radices(512)
    ([8, 4, 4], [8, 8, 8])
    """
    bits = size.bit_length() - 1
    passes = -(-bits // 3)
    return [2 ** (bits // passes + (each < bits % passes)) for each in range(passes)]


def butterfly(numbers: Sequence[Complex], sign: int) -> list[Complex]:
    """The transform of 1, 2, 4 or 8 numbers, with w = exp(sign * 2πi / count)."""
    count = len(numbers)
    if count == 1:
        return list(numbers)
    even, odd = butterfly(numbers[0::2], sign), butterfly(numbers[1::2], sign)
    odd = [each.turned(sign * k * 8 // count) for k, each in enumerate(odd)]
    pairs = list(zip(even, odd, strict=True))
    return [a.plus(b) for a, b in pairs] + [a.minus(b) for a, b in pairs]


class Transform:
    """The transform of lines of `size` numbers, in vectors across the lines.

    Parameters
    ----------
    name : str
    size, lanes : int
        The numbers of a line, and the lines of a vector.
    sign : {-1, 1}
        -1 for the transform, 1 for its inverse, which does not divide by the size.
    numbers : callable
        ``numbers(line, i)`` is number i of a line.
    others : sequence of halide.Var
        Further axes that the numbers depend on.
    """

    def __init__(
        self,
        name: str,
        size: int,
        lanes: int,
        sign: int,
        numbers: Callable[[hl.Expr, hl.Expr], Complex],
        others: Sequence[hl.Var],
    ) -> None:
        self._lanes, self._others, self._size, self._sign = lanes, list(others), size, sign
        self._read: Callable[..., Complex] = lambda line, i, _: numbers(line, i)
        self._passes: list[tuple[hl.Func, hl.Func, tuple[int, int, int]]] = []
        self._circle = Complex(hl.Buffer(F64, [size]), hl.Buffer(F64, [size]))
        for k in range(size):  # An array of NumPy's would not be kept alive.
            self._circle.re[k] = cos(2 * pi * k / size)
            self._circle.im[k] = sign * sin(2 * pi * k / size)
        passes, part = [], size
        for radix in radices(size):
            part //= radix
            passes.append((radix, part))
        for number, (radix, part) in enumerate(passes[::-sign]):
            self._add(f"{name}_{number}", radix, part)

    def __call__(
        self, line: hl.Expr, i: hl.Expr, others: Sequence[hl.Expr] | None = None
    ) -> Complex:
        """Number i of a transformed line, here or at other places along the further axes."""
        return self._read(line, i, self._others if others is None else others)

    def _add(self, name: str, radix: int, part: int) -> None:
        """Add a pass that divides blocks into `radix` parts, or with sign 1 joins such parts."""
        line, j, k, b = (hl.Var(name) for name in ("line", "j", "k", "b"))
        block, read, others = part * radix, self._read, self._others
        blocks = self._size // block

        def turned(number: Complex, k: int) -> Complex:
            if k == 0 or part == 1:
                return number
            place = j * (k * blocks)
            return number.times(Complex(self._circle.re[place], self._circle.im[place]))

        numbers = [read(line, b * block + i * part + j, others) for i in range(radix)]
        if self._sign > 0:
            numbers = [turned(each, k) for k, each in enumerate(numbers)]
        results = butterfly(numbers, self._sign)
        if self._sign < 0:
            results = [turned(each, k) for k, each in enumerate(results)]
        # All results of a butterfly are in registers before the first of them is stored.
        held, stored = hl.Func(f"{name}_held"), hl.Func(name)
        held[[line, j, b, *others]] = tuple(value for each in results for value in each)
        values = [held[[line, j, b, *others]][each] for each in range(2 * radix)]
        stored[[line, j, k, b, *others]] = (hl.mux(k, values[0::2]), hl.mux(k, values[1::2]))

        def read_next(line: hl.Expr, i: hl.Expr, others: Sequence[hl.Expr]) -> Complex:
            return _of(stored[[line, i % part, i // part % radix, i // block, *others]])

        self._read = read_next
        self._passes.append((stored, held, (part, radix, blocks)))

    def compute_at(self, func: hl.Func, loop: hl.Var | hl.RVar) -> None:
        """Compute the passes for a vector of lines in each turn of a loop."""
        for stored, held, extents in self._passes:
            line, j, k, b = stored.args()[:4]
            for axis, extent in zip((j, k, b), extents, strict=True):
                stored.bound(axis, 0, extent)
            stored.compute_at(func, loop).bound_extent(line, self._lanes)
            stored.reorder_storage(line, j, k, b)
            stored.reorder(line, k, j, b).vectorize(line).unroll(k)
            held.compute_at(stored, j).vectorize(line)


def spectrum(level: Level, *, size: int) -> Pipeline:
    """The spectrum of a kernel: ``out[ky, kx, part]``, real parts and then imaginary ones."""
    lanes = level.lanes(F64)
    kernel = hl.ImageParam(F64, 2, "kernel")
    width, height = (kernel.dim(axis).extent() for axis in range(2))
    out, half, part, panel = hl.Func("out"), hl.Func("half"), hl.Var("part"), hl.Var("panel")

    def number(column: hl.Expr, row: hl.Expr) -> Complex:
        tap = kernel[hl.clamp(column, 0, width - 1), hl.clamp(row, 0, height - 1)]
        inside = (column < width) & (row < height)
        return Complex(hl.select(inside, tap, hl.f64(0.0)), hl.f64(0.0))

    columns = Transform("columns", size, lanes, -1, number, [])
    half[x, y] = tuple(columns(x, y))
    rows = Transform("rows", size, lanes, -1, lambda line, i: _of(half[i, line]), [])
    result = rows(x, y)
    out[x, y, part] = hl.select(part == 0, result.re, -result.im) * hl.f64(1 / size**2)

    for axis, (extent, stride) in enumerate(((size, 1), (size, size), (2, size**2))):
        out.output_buffer().dim(axis).set_bounds(0, extent).set_stride(stride)
    for axis in range(2):
        kernel.dim(axis).set_min(0)
    half.compute_root().bound(x, 0, size).bound(y, 0, size)
    half.split(x, panel, x, lanes).reorder(x, y, panel).vectorize(x).parallel(panel)
    out.split(x, panel, x, lanes).reorder(x, part, y, panel).vectorize(x).unroll(part)
    out.parallel(panel)
    columns.compute_at(half, panel)
    rows.compute_at(out, panel)
    return Pipeline(out, [kernel])


def fourier(level: Level, types: Types, *, size: int) -> Pipeline:
    """Convolve with kernels whose spectra are given, at every place: the strides are 1.

        out[o, g, x, y, n] = Σ over c of  inverse(forward(cells[c, g]) * spectra[c, g, o])

    Results of integers are rounded. `floors` has for each kernel the bound on the rounding error,
    next to the norm of the cells, which is the square root of the tiles' energy.
    """
    pixels, numbers, results = types
    lanes = level.lanes(numbers)
    cells = Cells(pixels, numbers)
    columns = hl.ImageParam(INT, 1, "columns")  # as `rows` of the cells, for each column
    # Of a tile: the rows and columns of cells that its results need, and of results.
    names = "C", "rows_in", "columns_in", "rows_out", "columns_out", "width", "chunk"
    channels, rows_in, columns_in, rows_out, columns_out, width, chunk = scalars = [
        hl.Param(INT, name) for name in names
    ]
    spectra = hl.ImageParam(F64, 6, "spectra")  # axes: ky, kx, part, c, g, o
    floors = hl.ImageParam(F64, 2, "floors")  # axes: o, g
    for buffer in (columns, spectra, floors):
        for axis in range(buffer.dimensions()):
            buffer.dim(axis).set_min(0)
    for axis, (extent, stride) in enumerate(((size, 1), (size, size), (2, size**2))):
        spectra.dim(axis).set_bounds(0, extent).set_stride(stride)
    depth = spectra.dim(3).extent()
    c, across, down = hl.Var("c"), hl.Var("across"), hl.Var("down")
    pair = [across, down, g, n]  # two tiles of a group's channels

    def cell(column: hl.Expr, row: hl.Expr, c: hl.Expr, half: int) -> hl.Expr:
        """A cell of a tile. Beyond those that its results need, cells are 0 in every part alike."""
        place, y = (2 * across + half) * columns_out + column, down * rows_out + row
        channel, pixel = g * depth + c, columns[place]
        # Most cells lie on pixels one beside the other. Thanks to `likely` there is a loop for them
        # in which nothing else is asked.
        beside = hl.clamp(place - cells.left, 0, hl.max(0, cells.right - cells.left - 1))
        inside = cells.number((cells.first + beside) * channels + channel, y, n)
        last = cells.images.dim(0).extent() // channels - 1
        anywhere = cells.number(hl.clamp(pixel, 0, last) * channels + channel, y, n)
        anywhere = hl.select(pixel < 0, cells.padding, anywhere)
        number = hl.select(
            hl.likely(place >= cells.left) & hl.likely(place < cells.right), inside, anywhere
        )
        return hl.select((column < columns_in) & (row < rows_in), number, hl.cast(numbers, 0))

    def number(column: hl.Expr, row: hl.Expr) -> Complex:
        return Complex(*(cell(column, row, c, half) for half in (0, 1)))

    there = Transform("columns_there", size, lanes, -1, number, [c, *pair])
    half, product, back, final = (hl.Func(name) for name in ("half", "product", "back", "final"))
    half[[x, y, c, *pair]] = tuple(there(x, y))
    rows_there = Transform(
        "rows_there", size, lanes, -1, lambda line, i: _of(half[[i, line, c, *pair]]), [c, *pair]
    )
    r = hl.RDom([(0, depth)], "r")
    factor = Complex(*(spectra[y, x, part, r.x, g, o] for part in (0, 1)))
    product[[y, x, o, *pair]] = (hl.f64(0.0), hl.f64(0.0))
    term = rows_there(y, x, [r.x, *pair]).times(factor)
    product[[y, x, o, *pair]] = tuple(_of(product[[y, x, o, *pair]]).plus(term))
    rows_back = Transform(
        "rows_back", size, lanes, 1, lambda line, i: _of(product[[line, i, o, *pair]]), [o, *pair]
    )
    back[[y, x, o, *pair]] = tuple(rows_back(y, x))
    columns_back = Transform(
        "columns_back", size, lanes, 1, lambda line, i: _of(back[[i, line, o, *pair]]), [o, *pair]
    )
    final[[x, y, o, *pair]] = tuple(columns_back(x, y))

    # An output's column is that of a tile, in the left or the right one of a pair.
    out, right = hl.Func("out"), hl.Var("right")
    column = hl.RDom([(0, columns_out)], "column")
    column.where((2 * across + right) * columns_out + column.x < width)
    both = final[[column.x, y % rows_out, o, across, y // rows_out, g, n]]
    result = hl.select(right == 0, both[0], both[1])
    energy = Energy(cell, size, depth, pair) if results.is_float() else None
    if energy:
        result = energy.checked(result, floors[o, g], [across, y // rows_out, g, n])
    else:
        result = hl.round(result)
    out[o, g, x, right, across, y, n] = hl.undef(results)
    out[o, g, column.x, right, across, y, n] = hl.cast(results, result)

    panel, xo, yo, each, turn, task = (
        hl.Var(name) for name in ("panel", "xo", "yo", "each", "turn", "task")
    )
    for axis in range(7):
        out.output_buffer().dim(axis).set_min(0)
    out.output_buffer().dim(0).set_stride(hl.Expr())
    out.output_buffer().dim(3).set_bounds(0, 2)
    writing = out.update().split(y, yo, y, rows_out, Tail.GuardWithIf)
    # A name of its own tells the loop over kernels from the one of the first, empty definition.
    writing.rename(o, each).reorder(column.x, y, right, each, across, yo, g, n).unroll(right)
    writing.vectorize(column.x, lanes, Tail.GuardWithIf)
    # Of an axis that is fused as it is, Halide would take it that all is needed at every turn.
    writing.split(across, xo, across, 1, Tail.GuardWithIf)
    writing.fuse(xo, yo, turn).fuse(turn, g, turn).fuse(turn, n, turn)
    writing.split(turn, task, turn, chunk, Tail.GuardWithIf).parallel(task)
    for func, (line, along), loop, transform in (
        (half, (x, y), turn, there),
        (back, (y, x), each, rows_back),
        (final, (x, y), each, columns_back),
    ):
        # The memory is kept for a whole task, because fresh pages take as long as a transform.
        func.compute_at(out, loop).hoist_storage(out, task).bound_extent(across, 1)
        func.bound_extent(down, 1).bound_extent(g, 1).bound_extent(n, 1)
        func.split(line, panel, line, lanes).reorder(line, along, panel).vectorize(line)
        transform.compute_at(func, panel)
    for func in (half, back):
        func.bound(x, 0, size).bound(y, 0, size)
    for axis, extent in ((x, columns_out), (y, rows_out)):
        final.bound(axis, 0, extent).bound_storage(axis, size)
    product.compute_at(back, panel).bound_extent(y, lanes).bound(x, 0, size).vectorize(y)
    product.update().reorder(y, x, r.x).vectorize(y)
    rows_there.compute_at(product, r.x)
    if energy:
        energy.compute_at(out, turn, lanes)
    arguments = [cells.images, cells.padding, cells.rows, columns, cells.left, cells.right]
    arguments += [cells.first, *scalars, spectra, floors]
    return Pipeline(out, arguments)


class Energy:
    """The energies of the patches of two tiles, and what they say about the tiles' results."""

    def __init__(
        self, cell: Callable[..., hl.Expr], size: int, depth: hl.Expr, pair: list[hl.Var]
    ) -> None:
        p, q, half = hl.Var("p"), hl.Var("q"), hl.Var("half")
        down = hl.RDom([(0, PATCH), (0, depth)], "down")
        across = hl.RDom([(0, PATCH)], "across")
        every = hl.RDom([(0, size // PATCH), (0, size // PATCH), (0, 2)], "every")
        strips, patches = hl.Func("strips"), hl.Func("patches")
        self._total, self._least = hl.Func("total"), hl.Func("least")
        number = hl.select(
            half == 0, *(cell(x, q * PATCH + down.x, down.y, each) for each in (0, 1))
        )
        strips[[x, q, half, *pair]] = hl.f64(0.0)
        strips[[x, q, half, *pair]] += number * number
        patches[[p, q, half, *pair]] = hl.f64(0.0)
        patches[[p, q, half, *pair]] += strips[[p * PATCH + across.x, q, half, *pair]]
        patch = patches[[every.x, every.y, every.z, *pair]]
        self._total[pair] = hl.f64(0.0)
        self._total[pair] += patch
        self._least[pair] = F64.max()
        positive = hl.select(patch > 0, patch, F64.max())
        self._least[pair] = hl.min(self._least[pair], positive)
        self._half, self._strips, self._patches, self._down = half, strips, patches, down

    def checked(self, result: hl.Expr, floor: hl.Expr, pair: list[hl.Expr]) -> hl.Expr:
        """A result: 0 if it is below the floor, and NaN if the tiles must be computed otherwise."""
        total, least = self._total[pair], self._least[pair]
        # The compiler may take it that floats are finite, but not what their bits are.
        finite = hl.reinterpret(hl.Int(64), total) < (0x7FF << 52)
        good = finite & (least >= total * hl.f64(DARKEST))
        kept = hl.select(hl.abs(result) > floor * hl.sqrt(total), result, hl.f64(0.0))
        return hl.select(good, kept, hl.f64(float("nan")))

    def compute_at(self, func: hl.Func, loop: hl.Var, lanes: int) -> None:
        """Compute the energies for each pair of tiles."""
        for each in (self._strips, self._patches, self._total, self._least):
            each.compute_at(func, loop)
        self._strips.vectorize(x, lanes)
        update = self._strips.update()
        update.reorder(x, self._down.x, self._down.y).vectorize(x, lanes).unroll(self._half)
