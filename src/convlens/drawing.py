"""Drawings of calls, to scale: the padded image, its first and last window, and the output."""

from __future__ import annotations

from convlens.core.axis import Axis
from convlens.core.problem import Problem

SIDE = 220  # the longer side of the padded image, in SVG units
MARGIN = 14
LETTER = 6.5  # the width of a letter of the labels
GRID_FROM = 5.0  # the smallest cells, in SVG units, that are drawn one by one

FIRST, LAST = "#0072b2", "#d55e00"  # blue and vermilion, which colour-blind readers can tell apart
PAPER, PADDING, PIXELS, LINE, INK = "#ffffff", "#eceff1", "#cfd8dc", "#90a4ae", "#263238"


def draw(problem: Problem) -> str:
    """The call as an SVG picture, self-contained and readable on light and dark pages."""
    rows, columns = problem.rows, problem.columns
    down, across = _extent(rows), _extent(columns)
    cell = SIDE / max(down, across, rows.outputs, columns.outputs)
    left, top = MARGIN, MARGIN + 20
    gap = 56
    sizes = f"{rows.size} x {columns.size}{_with_padding(rows, columns)}"
    made = f"{rows.outputs} x {columns.outputs}"
    x = left + max(across * cell, LETTER * len(sizes)) + gap
    height = top + max(down, rows.outputs) * cell + MARGIN
    width = x + max(columns.outputs * cell, LETTER * len(made)) + MARGIN

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="sans-serif" '
        f'font-size="11" fill="{INK}">',
        f"<title>{rows.size} by {columns.size} pixels, windows of {rows.window} by "
        f"{columns.window}, {rows.outputs} by {columns.outputs} outputs</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>',
        _label(left, top, sizes),
        _label(x, top, made),
        _grid(left, top, rows.padded, columns.padded, cell, PADDING),
        _grid(
            left + columns.before * cell,
            top + rows.before * cell,
            rows.size,
            columns.size,
            cell,
            PIXELS,
        ),
        _grid(x, top, rows.outputs, columns.outputs, cell, PIXELS),
        f'<path d="M{x - gap + 12:.1f} {top + 22} h{gap - 28} m-6 -5 l6 5 l-6 5" fill="none" '
        f'stroke="{INK}" stroke-width="1.5"/>',
    ]
    if problem.batch and rows.outputs > 0 and columns.outputs > 0:
        last = (rows.outputs - 1, columns.outputs - 1)
        for colour, (row, column) in ((LAST, last), (FIRST, (0, 0))):
            window_y = top + row * rows.stride * cell
            window_x = left + column * columns.stride * cell
            parts += [
                _taps(window_x, window_y, rows, columns, cell, colour),
                _box(window_x, window_y, columns.reach * cell, rows.reach * cell, colour),
                _box(x + column * cell, top + row * cell, cell, cell, colour, "0.6"),
            ]
    return "\n".join([*parts, "</svg>"])


def _extent(axis: Axis) -> int:
    """How many cells to draw: pixels, padding, and the cells that a last window hangs over."""
    return max(1, axis.padded, (axis.outputs - 1) * axis.stride + axis.reach)


def _with_padding(rows: Axis, columns: Axis) -> str:
    if (rows.size, columns.size) == (rows.padded, columns.padded):
        return ""
    return f", padded {rows.padded} x {columns.padded}"


def _label(x: float, top: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{top - 8:.1f}">{text}</text>'


def _grid(x: float, y: float, rows: int, columns: int, cell: float, fill: str) -> str:
    w, h = columns * cell, rows * cell
    grid = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}" '
        f'stroke="{LINE}" stroke-width="0.5"/>'
    )
    if cell < GRID_FROM:
        return grid
    across = "".join(f"M{x:.1f} {y + row * cell:.1f}h{w:.1f}" for row in range(1, rows))
    down = "".join(f"M{x + col * cell:.1f} {y:.1f}v{h:.1f}" for col in range(1, columns))
    return f'{grid}<path d="{across}{down}" stroke="{PAPER}" stroke-width="0.8" fill="none"/>'


def _taps(x: float, y: float, rows: Axis, columns: Axis, cell: float, colour: str) -> str:
    """The cells under the taps of one window; of a dilated window these are not all its cells."""
    if max(rows.dilation, columns.dilation) == 1 or cell < GRID_FROM:
        return _fill(x, y, columns.reach * cell, rows.reach * cell, colour)
    return "".join(
        _fill(x + j * columns.dilation * cell, y + i * rows.dilation * cell, cell, cell, colour)
        for i in range(rows.window)
        for j in range(columns.window)
    )


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
