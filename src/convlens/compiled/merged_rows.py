"""Merge rows that lie one behind the other into longer ones, where windows are single taps.

Such a convolution looks at each pixel by itself, so rows and images make no difference to it. Tiles
are several pixels wide, and the last one of a row is seldom full: of a row of 14 pixels, two of 16
are computed for nothing, and of an image of one pixel, three of four. Fewer and longer rows have
fewer such tiles. No number is copied.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from convlens.compiled.blocks import COPIED
from convlens.core.problem import FULL, Problem, Spec

TILES = 7, 4  # pixels; the pipelines are as wide as one of these, or both, by the processor
WASTED = 0.02  # of the pixels computed: so few that longer rows are not worth it


@lru_cache(maxsize=256)
def merge(problem: Problem) -> Problem | None:
    """The problem on images that are one, with longer rows; None if there is nothing to merge.

    It holds for arrays without gaps. Cached, because calls often repeat with the same sizes.
    """
    if problem.kernels is None or problem.taps != 1 or len(problem.axes) > 2:
        return None
    if any((axis.stride, axis.before, axis.after) != (1, 0, 0) for axis in problem.axes):
        return None
    rows, columns = problem.axes
    count = problem.batch * rows.size
    numbers = columns.size * max(problem.channels, problem.output_channels)  # of a row
    together = _together(count, columns.size, COPIED // max(1, numbers))
    if together == 1:
        return None
    axes = replace(rows, size=count // together), replace(columns, size=columns.size * together)
    shape = (1, *(axis.size for axis in axes), problem.channels)
    layout = FULL[2]._replace(kernels=problem.layout.kernels)
    return replace(problem, axes=axes, layout=layout, images=Spec(shape, problem.images.dtype))


def _together(rows: int, width: int, most: int) -> int:
    """How many of the rows to merge: the fewest that waste little, or else those that do least."""
    best, least = 1, _wasted(width)
    for count in range(2, min(rows, most) + 1):
        if least <= WASTED:
            break
        if rows % count == 0 and _wasted(count * width) < least:
            best, least = count, _wasted(count * width)
    return best


def _wasted(width: int) -> float:
    """The part of the pixels in the tiles of a row that lie behind its end; for the worse tile."""
    return max(1 - width / (-(-width // tile) * tile) for tile in TILES)
