"""Compute large windows in parts, and merge the parts' results.

There are two reasons to divide a window. Every thread holds all cells under a window in memory, and
a pipeline adds up long sums of floats less exactly. Each part is a problem of its own on the same
pixels. How a window is divided depends on the window, the channels and the types alone, so that an
image's result has the same bits in every batch and however the problem is divided.

Pipelines for volumes merge slabs tap by tap. Therefore a pooling whose window is deep is computed
in two passes: along the depth, as a pooling of images whose rows are the slabs, and then in slabs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from convlens.compiled.blocks import STRIP, cuts, most
from convlens.compiled.choice import F64, PASSES, Method, choose, largest
from convlens.compiled.placement import slice_of
from convlens.core.axis import Axis
from convlens.core.cells import counts, needed
from convlens.core.pairwise import Pairwise
from convlens.core.problem import FULL, Array, Layout, Problem, Region, Spec

if TYPE_CHECKING:
    from convlens.compiled.ways import Way  # at run time it is `ways` that imports this module

# The most bytes of cells under one window. Together with the other cells of its strip and with
# copies of the pixels, a thread then takes less than 32 MB.
CONVOLVED, POOLED = 2**23, 15 * 10**6
# Pipelines add up floats in blocks of at least BLOCK taps, if a row has that many, and then add up
# the blocks' sums one after another. A part has at most BLOCKS blocks, which bounds the error.
BLOCK, BLOCKS = 64, 256
RESULTS = 2**20  # the most numbers in all results of parts that are in memory at a time
DEEP = 16  # more taps along the depth than these are merged in a pass of their own

Part = tuple[range, ...]  # a part of a window, as ranges of its taps along each axis
Compute = Callable[[Problem, "Way", Array, Array | None, Array], None]
MERGES = {"max": np.maximum, "min": np.minimum, "sum": np.add, "avg": np.add}
MERGES["median"] = np.minimum  # of one part: such a window is small, and the channels are divided


def is_deep(problem: Problem) -> bool:
    """Whether a problem is computed in two passes, the first along the depth."""
    merged = problem.kernels is None and problem.mode != "median"
    if not merged or problem.pad_mode != "nothing" or len(problem.axes) < 3:
        return False
    deep, rows, columns = problem.axes
    return deep.window > DEEP and rows.reach * columns.reach <= RESULTS


def is_large(problem: Problem, method: Method) -> bool:
    """Whether a problem must be computed in parts, and can be: of the window, or the channels."""
    if is_deep(problem):
        return True
    window = tuple(axis.window for axis in problem.axes)
    can_be_cut = prod(window) > 1 or problem.channels == problem.groups > 1
    return can_be_cut and not _fits(problem, method, window, problem.channels)


def _fits(problem: Problem, method: Method, window: tuple[int, ...], channels: int) -> bool:
    """Whether a part with so many taps along each axis, and so many channels, is small enough."""
    *deep, height, width = window
    parts = [
        replace(axis, window=n) for axis, n in zip(problem.axes[-2:], (height, width), strict=True)
    ]
    # Slabs are merged when they are read, but for convolutions, medians and footprints, which hold
    # all of them.
    held = problem.mode == "median" or method.family == "footprints"
    pooled = problem.kernels is None and not held
    merged = pooled or method.family in PASSES
    slabs = 1 if merged else prod(deep)
    cells = prod(axis.reach for axis in parts) * channels * slabs
    # Taps far apart are computed in parts too: to find the few cells of use among the many between
    # them would take longer.
    if cells > 2 * STRIP and any(axis.reach > axis.window for axis in parts):
        return False
    if cells * method.numbers.itemsize > (POOLED if pooled else CONVOLVED):
        return False
    if problem.mode in ("max", "min", "median"):
        return True
    if problem.sum_dtype.kind != "f":
        # Means are computed in float64, which must hold the sum of a part exactly.
        exact = prod(window) * largest(problem.images.dtype) < 2**52
        return exact or problem.mode != "avg"
    if merged:  # One axis is added up after the other, and slabs in a single chain.
        return max(height, width) <= BLOCK * BLOCKS and prod(deep) <= BLOCK
    depth = problem.channels // max(1, problem.groups)
    return prod(deep) * height * -(-width * depth // BLOCK) <= BLOCKS


def taps_on_pixels(problem: Problem) -> Part | None:
    """The taps of a pooling's window that lie on a pixel for some output; None if all do.

    Padding that holds nothing takes no part, so windows that are mostly padding need not be
    visited.
    """
    if any(axis.border.mode != "nothing" for axis in problem.axes):
        return None
    taps = tuple(axis.taps_on_pixels for axis in problem.axes)
    sizes = tuple(map(len, taps))
    return None if sizes == tuple(axis.window for axis in problem.axes) or 0 in sizes else taps


def parts(problem: Problem, method: Method, taps: Part | None = None) -> list[Part]:
    """Divide a window, or these taps of it, into parts that are small enough.

    Rows stay whole as long as they can.
    """
    taps = taps or tuple(range(axis.window) for axis in problem.axes)
    whole, channels = tuple(map(len, taps)), problem.channels
    if channels == problem.groups:  # Independent channels are computed apart if many do not fit.
        channels = most(channels, lambda count: _fits(problem, method, whole, count))
    sizes: tuple[int, ...] = ()  # of a part, from the last axis to the first
    for number, size in reversed(list(enumerate(whole))):
        before, after = (1,) * number, sizes
        fits = lambda n, b=before, a=after: _fits(problem, method, (*b, n, *a), channels)  # noqa: E731
        sizes = (most(size, fits), *sizes)
    along = [cuts(size, step) for size, step in zip(whole, sizes, strict=True)]
    return [
        tuple(all_taps[cut.start : cut.stop] for all_taps, cut in zip(taps, part, strict=True))
        for part in product(*along)
    ]


def problem_on(problem: Problem, part: Part, region: Region) -> Problem:
    """The problem for this part of the window, and for this region of the output."""
    mode = "sum" if problem.mode == "avg" else problem.mode
    return replace(problem.part(region, part), mode=mode, output_dtype=problem.sum_dtype)


def compute(
    problem: Problem, way: Way, images: Array, kernels: Array | None, out: Array, engine: Compute
) -> None:
    """Write the result into `out`, where `engine` computes the parts. All arrays are full forms."""
    if is_deep(problem):
        # As many channels at a time as there is memory for, under one window in a slab.
        together = RESULTS // (problem.rows.reach * problem.columns.reach)
        for c in cuts(problem.channels, together):
            some = replace(problem, groups=len(c), channels=len(c), output_channels=len(c))
            _compute_deep(some, way, images[..., slice_of(c)], out[..., slice_of(c)], engine)
        return
    full = FULL[len(problem.axes)]
    layout = Layout(full.images, problem.layout.kernels, full.output)
    problem = replace(problem, layout=layout, images=Spec(images.shape, images.dtype))
    method = choose(problem, way.numbers, way.passes)
    if problem.channels != problem.groups:
        _compute(problem, way, method, images, kernels, out, engine)
        return
    # The channels are independent of each other, so they need not be in memory together.
    taps = way.taps or tuple(range(axis.window) for axis in problem.axes)
    window = tuple(map(len, taps))
    each = problem.output_channels // problem.channels
    together = most(problem.channels, lambda count: _fits(problem, method, window, count))
    for c in cuts(problem.channels, together):
        some = replace(problem, groups=len(c), channels=len(c), output_channels=len(c) * each)
        n = slice(c.start * each, c.stop * each)
        of_some = None if kernels is None else kernels[..., n]
        _compute(some, way, method, images[..., slice_of(c)], of_some, out[..., n], engine)


def _compute(
    problem: Problem,
    way: Way,
    method: Method,
    images: Array,
    kernels: Array | None,
    out: Array,
    engine: Compute,
) -> None:
    """Write the result of a problem whose channels are computed together."""
    window = parts(problem, method, way.taps)
    way = way._replace(taps=None)
    for region in _regions(out.shape, RESULTS // (len(window).bit_length() + 2)):
        some, merged = images[slice_of(region.images)], Pairwise(MERGES[problem.mode])
        for part in window:
            on_part = problem_on(problem, part, region)
            taps = None if kernels is None else kernels[tuple(map(slice_of, part))]
            dtype = out.dtype if on_part.output_dtype.kind == "b" else on_part.output_dtype  # bytes
            result = np.empty((*map(len, (region.images, *region.places)), out.shape[-1]), dtype)
            engine(on_part, way.part(part), some, taps, result)
            merged.add(result)
        _write(problem, region, merged.total(), out)


def _compute_deep(problem: Problem, way: Way, images: Array, out: Array, engine: Compute) -> None:
    """Write the result of a pooling in two passes: along the depth, and then in the slabs."""
    deep = problem.axes[0]
    mode = "sum" if problem.mode == "avg" else problem.mode
    common = replace(problem, mode=mode, layout=FULL[2], output_dtype=problem.sum_dtype)
    dtype = out.dtype if problem.sum_dtype.kind == "b" else problem.sum_dtype  # booleans are bytes
    way, c = way._replace(taps=None), problem.channels
    # A region has as many slabs as the window, or more, because neighbours share what they read.
    _, oz, oh, ow, _ = out.shape
    numbers, least = RESULTS * 3 // 4, min(oz, deep.window)
    width = min(ow, max(1, numbers // (least * c)))
    height = min(oh, max(1, numbers // (least * width * c)))
    slabs = max(least, numbers // (height * width * c))
    steps = cuts(len(images), 1), cuts(oz, slabs), cuts(oh, height), cuts(ow, width)
    for image, *places in product(*steps):
        region = Region(image, tuple(places))
        (rows, _, y, _), (columns, _, x, _) = map(needed, problem.axes[1:], places[1:])
        pixels = images[image.start][:, slice_of(y), slice_of(x)]  # (d, h, w, c)
        d, h, w, _ = pixels.shape
        result = np.empty((*map(len, (image, *places)), c), dtype)
        # The slabs are the rows of h images, one for each of the slabs' own rows.
        along = deep.part(places[0], range(deep.window)), Axis(w, 1, 1, 1, 0, 0, border=rows.border)
        merged = np.empty((h, len(places[0]), w, c), dtype)
        on_rows = replace(common, axes=along, images=Spec((h, d, w, c), pixels.dtype))
        engine(on_rows, way, pixels.swapaxes(0, 1), None, merged)
        merged = merged.swapaxes(0, 1)  # (oz, h, w, c)
        in_slabs = replace(common, axes=(rows, columns), images=Spec(merged.shape, dtype))
        engine(in_slabs, way, merged, None, result[0])
        _write(problem, region, result, out)


def _write(problem: Problem, region: Region, total: Array, out: Array) -> None:
    """Write the merged numbers of a region, divided by the number of cells for a mean."""
    if problem.mode == "avg":
        divisors = [
            counts(axis, places, padding=problem.count_padding)
            for axis, places in zip(problem.axes, region.places, strict=True)
        ]
        floats = problem.sum_dtype if problem.sum_dtype.kind == "f" else F64
        divisor = reduce(np.multiply.outer, divisors)
        total = total / divisor.astype(floats)[..., np.newaxis]
    # A number that is too large for the output's type becomes inf, without a warning.
    with np.errstate(invalid="ignore", over="ignore"):
        problem.write(total, out[region.slices])


def _regions(shape: tuple[int, ...], numbers: int) -> Iterator[Region]:
    """The regions of an output of this shape, each of about so many numbers at most."""
    m, *outputs, nc = shape
    left, steps = numbers // nc, []
    for size in (*reversed(outputs), m):
        steps.append(max(1, min(size, left)))
        left //= size
    sizes = zip((m, *outputs), reversed(steps), strict=True)
    for images, *places in product(*(cuts(size, step) for size, step in sizes)):
        yield Region(images, tuple(places))
