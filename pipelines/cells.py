"""The cells of an image and its padding, from which every pipeline reads its numbers.

Here a row of an image is flat: its numbers, pixel after pixel, channel after channel. The cells of
the padding lie around the image. Integers from the caller say where a cell takes its number from:
`rows` gives for each row of cells a row of the image, or -1 for a row of padding; `before` and
`after` do the same for the few numbers left and right of the image. Therefore one pipeline serves
every padding and every border mode, and no padded copy of an image is ever made: cells are filled
strip by strip, in the cache, on the way from the image to the sums.
"""

from __future__ import annotations

import halide as hl

INT = hl.Int(32)


class Cells:
    """A strip of rows of images and padding, as numbers of one type.

    Parameters
    ----------
    pixels, numbers : halide.Type
        The types of the images' numbers and of the cells' numbers.
    padding : halide.Expr, optional
        The number that a cell of padding holds; 0 by default.
    planes : int
        The number of planes into which a row is dealt out, number after number. With one plane for
        each channel, the numbers of a channel lie side by side.

    Attributes
    ----------
    func : halide.Func
        ``func[q, p, y, n]`` is number ``q * planes + p`` in row y of the cells of image n.
    arguments : list
        The first arguments of every pipeline that reads cells.
    """

    def __init__(
        self,
        pixels: hl.Type,
        numbers: hl.Type,
        padding: hl.Expr | None = None,
        planes: int = 1,
    ) -> None:
        self.images = hl.ImageParam(pixels, 3, "images")  # axes: numbers of a row, rows, images
        self.rows = hl.ImageParam(INT, 1, "rows")
        self.before = hl.ImageParam(INT, 1, "before")
        self.after = hl.ImageParam(INT, 1, "after")
        self.left = hl.Param(INT, "left")  # how many numbers lie before the image
        self.right = hl.Param(INT, "right")  # the position at which the image ends
        self.first = hl.Param(INT, "first")  # which number of the image's row lies at `left`
        self.arguments = [
            self.images, self.rows, self.before, self.after, self.left, self.right, self.first
        ]  # fmt: skip
        for buffer in (self.images, self.rows, self.before, self.after):
            for axis in range(buffer.dimensions()):
                buffer.dim(axis).set_min(0)

        q, p, y, n = (hl.Var(name) for name in "qpyn")
        self.padding = hl.cast(numbers, 0) if padding is None else padding
        self.numbers, self.planes, self._axes = numbers, planes, (q, p)
        self.func = hl.Func("cells")
        self.func[q, p, y, n] = hl.undef(numbers)
        start, stop = self.left // planes, self.right // planes
        self.inner = hl.RDom([(start, stop - start)], "inner")
        first = self.first + (self.inner.x - start) * planes
        self.func[self.inner.x, p, y, n] = self.number(first + p, y, n)
        left = hl.RDom([(0, start)], "before")
        self.func[left.x, p, y, n] = self.anywhere(self.before[left.x * planes + p], y, n)
        right = hl.RDom([(0, self.after.dim(0).extent() // planes)], "after")
        self.func[stop + right.x, p, y, n] = self.anywhere(self.after[right.x * planes + p], y, n)

    def pixel(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The number at position f of row y of the image itself, for calls without padding."""
        return hl.cast(self.numbers, self.images[f, y, n])

    @property
    def last_row(self) -> hl.Expr:
        """The last row of the images."""
        return self.images.dim(1).extent() - 1

    def at(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The number at position f of a row of cells, if the row is a single plane."""
        return self.func[f, 0, y, n]

    def number(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The number at position f of the image's row that row y of the cells takes."""
        row = self.rows[y]
        inside = hl.clamp(row, 0, self.last_row)
        return hl.select(row < 0, self.padding, hl.cast(self.numbers, self.images[f, inside, n]))

    def anywhere(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The same, for a position that may be -1, which stands for padding."""
        inside = hl.clamp(f, 0, self.images.dim(0).extent() - 1)
        return hl.select(f < 0, self.padding, self.number(inside, y, n))

    def beneath(
        self, column: hl.Expr, c: hl.Expr, channels: hl.Expr, y: hl.Expr, n: hl.Expr
    ) -> hl.Expr:
        """Channel c of the cell in a column, read from the image: only for padding with zeros.

        `likely` makes Halide split loops where the image begins and ends, so that no condition is
        checked inside.
        """
        pixel = column - self.left // channels
        width = (self.right - self.left) // channels
        inside = self.first // channels + hl.clamp(hl.likely(pixel), 0, width - 1)
        number = self.number(inside * channels + c, y, n)
        return hl.select((pixel < 0) | (pixel >= width), self.padding, hl.likely(number))

    def fill_at(self, func: hl.Func, each: hl.Var, task: hl.Var, vector: int) -> None:
        """Fill the cells that one turn of a loop needs, in memory that is kept for a whole task."""
        q, p = self._axes
        self.func.compute_at(func, each).hoist_storage(func, task)
        self.func.bound(p, 0, self.planes).align_storage(q, vector)
        inner = self.func.update(0).vectorize(self.inner.x, vector, hl.TailStrategy.Predicate)
        inner.reorder(p, self.inner.x).unroll(p)
        self.func.update(1).unscheduled()
        self.func.update(2).unscheduled()
