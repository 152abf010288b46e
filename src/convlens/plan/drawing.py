"""Drawings of calls, to scale: what is padded, its first and last window, and the output.

A signal is a strip of cells above its output, an image a grid beside it, and a volume a box of
glass, seen from its front, from above and from the right, with the depth shortened. However large
they are, a drawing has few elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from convlens.core.axis import Axis
from convlens.core.problem import Problem

SIDE = 220  # the longer side of the padded image, in SVG units
STRIP, BAND = 400, 24  # the length of a signal's longer strip at most, and the height of strips
BOX = 200  # the width or height of a volume's larger box
MARGIN = 14
LETTER = 6.5  # the width of a letter of the labels
NAME, ROOM = 14, 40  # the height of a name of an axis, and the shortest edge that has one
GRID_FROM = 5.0  # the smallest cells, in SVG units, that are drawn one by one
CUBES_FROM = 8.0  # the same in volumes, where lines lie closer together
MOST_CUBES = 64  # windows with more taps than these are drawn as one
BACK, UP = 0.5, 0.35  # how far a step to the back of a volume goes across and up, in cells
LEAST = 3.0  # the side of the smallest box that can be seen

FIRST, LAST = "#0072b2", "#d55e00"  # blue and vermilion, which colour-blind readers can tell apart
PAPER, PADDING, PIXELS, LINE, INK = "#ffffff", "#eceff1", "#cfd8dc", "#90a4ae", "#263238"
NOTE = "#546e7a"  # smaller letters

# Of the front, the top and the right side of volumes: the colours of the glass, and how dense the
# colour of a window is before it and behind it.
WALLS = PIXELS, "#dde4e7", "#b0bec5"
BEFORE, BEHIND = ("0.5", "0.3", "0.65"), ("0.65", "0.45", "0.8")


def draw(problem: Problem) -> str:
    """The call as an SVG picture, self-contained and readable on light and dark pages."""
    return {1: _signal, 2: _image, 3: _volume}[problem.space](problem)


def _page(width: float, height: float, problem: Problem, parts: Iterable[str]) -> str:
    """The picture, no wider than its page, with its sizes in words for those who hear it."""
    sizes, windows, outputs = (
        " by ".join(str(getattr(axis, name)) for axis in problem.spatial)
        for name in ("size", "window", "outputs")
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:100%;height:auto" role="img" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">',
        f"<title>{sizes} pixels, windows of {windows}, {outputs} outputs</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines)


def _extent(axis: Axis) -> int:
    """How many cells to draw: pixels, padding, and the cells that a last window hangs over."""
    return max(1, axis.padded, (axis.outputs - 1) * axis.stride + axis.reach)


def _ends(problem: Problem) -> list[tuple[str, tuple[int, ...]]]:
    """The last output and the first with their colours, unless there are none."""
    outputs = tuple(axis.outputs for axis in problem.spatial)
    if problem.batch == 0 or 0 in outputs:
        return []
    return [(LAST, tuple(n - 1 for n in outputs)), (FIRST, (0,) * len(outputs))]


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}">{text}</text>'


def _sizes(axes: Sequence[Axis]) -> list[str]:
    """The label of what is padded: its sizes, and those with the padding if there is any."""
    sizes, padded = (_by(getattr(axis, name) for axis in axes) for name in ("size", "padded"))
    return [sizes] if sizes == padded else [sizes, f"padded {padded}"]


def _by(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, sizes))


def _arrow(x: float, y: float, length: float) -> str:
    return (
        f'<path d="M{x:.1f} {y} h{length} m-6 -5 l6 5 l-6 5" fill="none" '
        f'stroke="{INK}" stroke-width="1.5"/>'
    )


def _rectangle(x: float, y: float, w: float, h: float, fill: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}" '
        f'stroke="{LINE}" stroke-width="0.5"/>'
    )


def _lines(path: str) -> str:
    """The lines between cells."""
    return f'<path d="{path}" stroke="{PAPER}" stroke-width="0.8" fill="none"/>'


def _fill(x: float, y: float, w: float, h: float, colour: str, opacity: str = "0.35") -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 2):.1f}" height="{max(h, 2):.1f}" '
        f'fill="{colour}" fill-opacity="{opacity}"/>'
    )


def _box(x: float, y: float, w: float, h: float, colour: str, opacity: str = "0") -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 2):.1f}" height="{max(h, 2):.1f}" '
        f'fill="{colour}" fill-opacity="{opacity}" stroke="{colour}" stroke-width="1.5"/>'
    )


# ------------------------------------------------------------------------------- signals


def _signal(problem: Problem) -> str:
    """A strip of cells, and below it the strip of outputs.

    Their middles lie below one another, so that at stride 1 every output lies below its window's.
    """
    (axis,) = problem.spatial
    extent, outputs = _extent(axis), axis.outputs
    cell = min(STRIP / max(extent, outputs), BAND)
    padded = f", padded to {axis.padded:,}" if axis.padded != axis.size else ""
    given, made = f"{_count(axis.size, 'pixel')}{padded}", _count(outputs, "output")
    inner = max(extent * cell, outputs * cell, LETTER * len(given), LETTER * len(made))
    left, x = (MARGIN + (inner - cells * cell) / 2 for cells in (extent, outputs))
    top = MARGIN + 20
    y = top + BAND + 56
    parts = [
        _label(min(left, MARGIN + inner - LETTER * len(given)), top - 8, given),
        _label(min(x, MARGIN + inner - LETTER * len(made)), y + BAND + 16, made),
        _strip(left, top, axis.padded, cell, PADDING),
        _strip(left + axis.before * cell, top, axis.size, cell, PIXELS),
        _strip(x, y, outputs, cell, PIXELS),
    ]
    for colour, (output,) in _ends(problem):
        reach, one = max(axis.reach * cell, 2), max(cell, 2)
        first = left + min(output * axis.stride * cell, extent * cell - reach)
        at = x + min(output * cell, outputs * cell - one)
        parts += [
            f'<path d="M{first:.1f} {top + BAND}h{reach:.1f}L{at + one:.1f} {y}h{-one:.1f}z" '
            f'fill="{colour}" fill-opacity="0.12" stroke="{colour}" stroke-opacity="0.3"/>',
            _taps_of_strip(first, top, axis, cell, colour),
            _box(first, top, reach, BAND, colour),
            _box(at, y, one, BAND, colour, "0.6"),
        ]
    return _page(inner + 2 * MARGIN, y + BAND + 16 + MARGIN, problem, parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _strip(x: float, y: float, cells: int, cell: float, fill: str) -> str:
    strip = _rectangle(x, y, cells * cell, BAND, fill)
    if cell < GRID_FROM:
        return strip
    return strip + _lines("".join(f"M{x + i * cell:.1f} {y:.1f}v{BAND}" for i in range(1, cells)))


def _taps_of_strip(x: float, y: float, axis: Axis, cell: float, colour: str) -> str:
    """The cells under the taps of one window; of a dilated window these are not all its cells."""
    if axis.dilation == 1 or cell < GRID_FROM:
        return _fill(x, y, axis.reach * cell, BAND, colour)
    step = axis.dilation * cell
    return "".join(_fill(x + tap * step, y, cell, BAND, colour) for tap in range(axis.window))


# -------------------------------------------------------------------------------- images


def _image(problem: Problem) -> str:
    """A grid of cells, and the grid of outputs beside it."""
    rows, columns = problem.spatial
    down, across = _extent(rows), _extent(columns)
    cell = SIDE / max(down, across, rows.outputs, columns.outputs)
    left, top = MARGIN, MARGIN + 20
    gap = 56
    sizes, made = ", ".join(_sizes(problem.spatial)), _by((rows.outputs, columns.outputs))
    x = left + max(across * cell, LETTER * len(sizes)) + gap
    height = top + max(down * cell, rows.outputs * cell, 28) + MARGIN  # there is room for the arrow
    width = x + max(columns.outputs * cell, LETTER * len(made)) + MARGIN
    pixels_x, pixels_y = left + columns.before * cell, top + rows.before * cell
    parts = [
        _label(left, top - 8, sizes),
        _label(x, top - 8, made),
        _grid(left, top, rows.padded, columns.padded, cell, PADDING),
        _grid(pixels_x, pixels_y, rows.size, columns.size, cell, PIXELS),
        _grid(x, top, rows.outputs, columns.outputs, cell, PIXELS),
        _arrow(x - gap + 12, top + 22, gap - 28),
    ]
    for colour, (row, column) in _ends(problem):
        window_y = top + row * rows.stride * cell
        window_x = left + column * columns.stride * cell
        parts += [
            _taps_of_grid(window_x, window_y, rows, columns, cell, colour),
            _box(window_x, window_y, columns.reach * cell, rows.reach * cell, colour),
            _box(x + column * cell, top + row * cell, cell, cell, colour, "0.6"),
        ]
    return _page(width, height, problem, parts)


def _grid(x: float, y: float, rows: int, columns: int, cell: float, fill: str) -> str:
    w, h = columns * cell, rows * cell
    grid = _rectangle(x, y, w, h, fill)
    if cell < GRID_FROM:
        return grid
    across = "".join(f"M{x:.1f} {y + row * cell:.1f}h{w:.1f}" for row in range(1, rows))
    down = "".join(f"M{x + col * cell:.1f} {y:.1f}v{h:.1f}" for col in range(1, columns))
    return grid + _lines(across + down)


def _taps_of_grid(x: float, y: float, rows: Axis, columns: Axis, cell: float, colour: str) -> str:
    """The cells under the taps of one window; of a dilated window these are not all its cells."""
    if max(rows.dilation, columns.dilation) == 1 or cell < GRID_FROM:
        return _fill(x, y, columns.reach * cell, rows.reach * cell, colour)
    return "".join(
        _fill(x + j * columns.dilation * cell, y + i * rows.dilation * cell, cell, cell, colour)
        for i in range(rows.window)
        for j in range(columns.window)
    )


# ------------------------------------------------------------------------------- volumes

Place = tuple[int, ...]  # a number along the depth, one along the rows and one along the columns
ONE = (1, 1, 1)


class Cuboid(NamedTuple):
    """Some cells of a volume: the first of them, and how many there are along each axis."""

    first: Place
    sizes: Place


def _volume(problem: Problem) -> str:
    """A box of glass with its first and last window, and beside it the box of outputs."""
    axes = problem.spatial
    extent, outputs = tuple(map(_extent, axes)), tuple(axis.outputs for axis in axes)
    (across, down), (made_across, made_down) = _span(extent), _span(outputs)
    cell = BOX / max(across, down, made_across, made_down)
    sizes, made = _sizes(axes), _by(outputs)
    left, top, gap = MARGIN + NAME, MARGIN + 6 + 14 * len(sizes), 60
    x = max(left + across * cell, MARGIN + LETTER * max(map(len, sizes))) + gap
    high = max(down, made_down) * cell
    width = x + max(made_across * cell, LETTER * len(made)) + MARGIN
    given, result = _View(left, top, cell, extent), _View(x, top, cell, outputs)
    padded = Cuboid((0, 0, 0), tuple(axis.padded for axis in axes))
    pixels = Cuboid(tuple(axis.before for axis in axes), tuple(axis.size for axis in axes))
    glass = given.far_edges(padded) + given.walls(pixels) + given.lines(pixels)
    if padded != pixels:
        glass += given.walls(padded, [PADDING] * 3, "0.35")
    whole = Cuboid((0, 0, 0), outputs)
    ends = _ends(problem)
    windows = [_window(colour, output, axes, cell) for colour, output in ends]
    places = [_only(colour, Cuboid(output, ONE)) for colour, output in ends]
    parts = [
        *(_label(MARGIN, MARGIN + 12 + 14 * i, line) for i, line in enumerate(sizes)),
        _label(x, top - 8, made),
        *given.names(),
        _arrow(x - gap + 16, top + high / 2, gap - 32),
        *given.with_windows(glass, windows),
        *result.with_windows(result.walls(whole) + result.lines(whole), places),
    ]
    return _page(width, top + high + NAME + MARGIN, problem, parts)


def _span(cells: Place) -> tuple[float, float]:
    """How far a box of cells reaches across and down in the picture, in sides of a cell."""
    depth, rows, columns = cells
    return columns + depth * BACK, rows + depth * UP


class Drawn(NamedTuple):
    """A window, or an output, as it is drawn: its cells, and those of them that are filled."""

    colour: str
    whole: Cuboid
    taps: list[Cuboid]


def _only(colour: str, cuboid: Cuboid) -> Drawn:
    return Drawn(colour, cuboid, [cuboid])


def _window(colour: str, output: Place, axes: Sequence[Axis], cell: float) -> Drawn:
    """The window of an output; of a dilated one only taps are filled, if they can be told apart."""
    first = tuple(place * axis.stride for place, axis in zip(output, axes, strict=True))
    whole = Cuboid(first, tuple(axis.reach for axis in axes))
    dilated = max(axis.dilation for axis in axes) > 1
    if not dilated or cell < CUBES_FROM or prod(axis.window for axis in axes) > MOST_CUBES:
        return _only(colour, whole)
    along = (
        range(start, start + axis.reach, axis.dilation)
        for start, axis in zip(first, axes, strict=True)
    )
    return Drawn(colour, whole, [Cuboid(place, ONE) for place in product(*along)])


class _View(NamedTuple):
    """The picture of a box of cells, of which the front, the top and the right side are seen.

    Attributes
    ----------
    left, top : float
        Where it begins.
    cell : float
        The side of a cell.
    cells : tuple of int
        How many there are along the depth, the rows and the columns.
    """

    left: float
    top: float
    cell: float
    cells: Place

    def at(self, depth: float, row: float, column: float) -> tuple[float, float]:
        """The point of the picture where a place in the box is."""
        x = self.left + (column + depth * BACK) * self.cell
        return x, self.top + (row + (self.cells[0] - depth) * UP) * self.cell

    def sides(self, cuboid: Cuboid) -> list[str]:
        """The outlines of the front, the top and the right side of some cells.

        What is too small to be seen is drawn larger, but not beyond the box.
        """
        least = LEAST / self.cell
        sizes = [max(size, least) if size else 0 for size in cuboid.sizes]
        ends = zip(cuboid.first, sizes, self.cells, strict=True)
        x, y = self.at(*(max(0, min(first, end - size)) for first, size, end in ends))
        depth, h, w = (size * self.cell for size in sizes)
        back = f"l{depth * BACK:.1f} {-depth * UP:.1f}"
        forth = f"l{-depth * BACK:.1f} {depth * UP:.1f}"
        return [
            f"M{x:.1f} {y:.1f}h{w:.1f}v{h:.1f}h{-w:.1f}z",
            f"M{x:.1f} {y:.1f}{back}h{w:.1f}{forth}z",
            f"M{x + w:.1f} {y:.1f}{back}v{h:.1f}{forth}z",
        ]

    def walls(self, cuboid: Cuboid, fills: Sequence[str] = WALLS, opacity: str = "0.7") -> str:
        """The glass around some cells."""
        return "".join(
            f'<path d="{side}" fill="{fill}" fill-opacity="{opacity}" stroke="{LINE}" '
            f'stroke-width="0.6" stroke-linejoin="round"/>'
            for side, fill in zip(self.sides(cuboid), fills, strict=True)
        )

    def far_edges(self, cuboid: Cuboid) -> str:
        """The three edges behind the glass, which meet at the far, lower left corner."""
        depth, rows, columns = cuboid.sizes
        (x, y), (near_x, near_y) = self.at(depth, rows, 0), self.at(0, rows, 0)
        return (
            f'<path d="M{near_x:.1f} {near_y:.1f}L{x:.1f} {y:.1f}h{columns * self.cell:.1f}'
            f'M{x:.1f} {y:.1f}v{-rows * self.cell:.1f}" fill="none" stroke="{LINE}" '
            f'stroke-width="0.7" stroke-dasharray="3 2"/>'
        )

    def lines(self, cuboid: Cuboid) -> str:
        """The lines between cells on the three sides, where they are not too close together."""
        if self.cell < CUBES_FROM:
            return ""
        (z, y, x), (depths, rows, columns) = cuboid
        depth, h, w = (size * self.cell for size in cuboid.sizes)
        back = f"l{depth * BACK:.1f} {-depth * UP:.1f}"
        down = [self.at(z, y + rows, x + i) for i in range(1, columns)]
        across = [self.at(z, y + i, x) for i in range(1, rows)]
        around = [self.at(z + i, y, x) for i in range(1, depths)]
        return _lines(
            "".join(f"M{left:.1f} {top:.1f}v{-h:.1f}{back}" for left, top in down)
            + "".join(f"M{left:.1f} {top:.1f}h{w:.1f}{back}" for left, top in across)
            + "".join(f"M{left:.1f} {top:.1f}h{w:.1f}v{h:.1f}" for left, top in around)
        )

    def names(self) -> list[str]:
        """The names of the axes, each beside its edge if there is room."""
        depth, rows, columns = (size * self.cell for size in self.cells)
        x, y = self.at(0, self.cells[1], 0)  # the near, lower left corner
        names = (
            ("columns", columns, x + columns / 2, y + 11, 0),
            ("rows", rows, x - 5, y - rows / 2, -90),
            (
                "depth",
                depth * BACK,
                x + columns + depth * BACK / 2 + 18,
                y - depth * UP / 2 + 11,
                0,
            ),
        )
        return [
            f'<text transform="translate({across:.1f} {down:.1f}) rotate({turn})" font-size="10" '
            f'fill="{NOTE}" text-anchor="middle">{name}</text>'
            for name, room, across, down, turn in names
            if room >= ROOM
        ]

    def with_windows(self, glass: str, windows: Sequence[Drawn]) -> list[str]:
        """The last window behind the glass, its edges seen through it, and the first before it."""
        if not windows:
            return [glass]
        last, first = windows
        return [
            self.filled(last, BEHIND),
            glass,
            self.edges(last),
            self.filled(first, BEFORE),
            self.edges(first),
        ]

    def filled(self, window: Drawn, opacities: Sequence[str]) -> str:
        """The cells under a window; all sides that look the same way are one path."""
        sides = zip(*map(self.sides, window.taps), strict=True)
        return "".join(
            f'<path d="{"".join(side)}" fill="{window.colour}" fill-opacity="{opacity}"/>'
            for side, opacity in zip(sides, opacities, strict=True)
        )

    def edges(self, window: Drawn) -> str:
        """The edges of a window on the three sides."""
        return (
            f'<path d="{"".join(self.sides(window.whole))}" fill="none" stroke="{window.colour}" '
            f'stroke-width="1.3" stroke-linejoin="round"/>'
        )
