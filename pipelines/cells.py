"""Images with their borders around them: where every pipeline reads its numbers.

A row of an image is flat here: its numbers, pixel after pixel, channel after channel. Around the
image lie the cells of the padding. Where a cell takes its number from is decided outside, by
integers: `rows` names for each row of cells a row of the image, or -1 for a row of padding;
`before` and `after` do the same for the few numbers left and right of the image. So one pipeline
serves every padding and border mode, and no padded copy of an image is ever made: cells are filled
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
        Of the images, and of the cells.
    padding : halide.Expr, optional
        What a cell of padding holds; 0 by default.
    planes : int
        Into how many planes a row is dealt out, number after number: one for each channel, so that
        those of a channel lie side by side.

    Attributes
    ----------
    func : halide.Func
        ``func[q, p, y, n]``: the number ``q * planes + p`` of row y of image n, of its cells.
    arguments : list
        What a pipeline that reads cells is called with, first of all.
    """

    def __init__(
        self,
        pixels: hl.Type,
        numbers: hl.Type,
        padding: hl.Expr | None = None,
        planes: int = 1,
    ) -> None:
        self.images = hl.ImageParam(pixels, 3, "images")  # numbers of a row, rows, images
        self.rows = hl.ImageParam(INT, 1, "rows")
        self.before = hl.ImageParam(INT, 1, "before")
        self.after = hl.ImageParam(INT, 1, "after")
        self.left = hl.Param(INT, "left")  # numbers of padding before the image
        self.right = hl.Param(INT, "right")  # where the image ends
        self.first = hl.Param(INT, "first")  # the image's number at `left`
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
        """The number at a position of the pixels themselves, where no cell is padding."""
        return hl.cast(self.numbers, self.images[f, y, n])

    @property
    def last_row(self) -> hl.Expr:
        """Of the images."""
        return self.images.dim(1).extent() - 1

    def at(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The number at a position of a row of cells that is one plane."""
        return self.func[f, 0, y, n]

    def number(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The number at a position of an image's row, for row y of the cells."""
        row = self.rows[y]
        inside = hl.clamp(row, 0, self.last_row)
        return hl.select(row < 0, self.padding, hl.cast(self.numbers, self.images[f, inside, n]))

    def anywhere(self, f: hl.Expr, y: hl.Expr, n: hl.Expr) -> hl.Expr:
        """The same for a position that may be -1, which is padding."""
        inside = hl.clamp(f, 0, self.images.dim(0).extent() - 1)
        return hl.select(f < 0, self.padding, self.number(inside, y, n))

    def beneath(
        self, column: hl.Expr, c: hl.Expr, channels: hl.Expr, y: hl.Expr, n: hl.Expr
    ) -> hl.Expr:
        """Channel c of the cell in a column, without a cell: for padding alone, not for borders.

        Loops are split where the image begins and ends, so that inside of it nothing is asked.
        """
        pixel = column - self.left // channels
        width = (self.right - self.left) // channels
        inside = self.first // channels + hl.clamp(hl.likely(pixel), 0, width - 1)
        number = self.number(inside * channels + c, y, n)
        return hl.select((pixel < 0) | (pixel >= width), self.padding, hl.likely(number))

    def fill_at(self, func: hl.Func, each: hl.Var, task: hl.Var, vector: int) -> None:
        """Fill the cells that one turn of a loop needs, in memory that lasts for a whole task."""
        q, p = self._axes
        self.func.compute_at(func, each).hoist_storage(func, task)
        self.func.bound(p, 0, self.planes).align_storage(q, vector)
        inner = self.func.update(0).vectorize(self.inner.x, vector, hl.TailStrategy.Predicate)
        inner.reorder(p, self.inner.x).unroll(p)
        self.func.update(1).unscheduled()
        self.func.update(2).unscheduled()
