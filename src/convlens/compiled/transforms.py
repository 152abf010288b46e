"""Convolve with large kernels by Fourier transforms: where they pay, and how they are computed.

The output is divided into pairs of tiles, side by side, each of which is one transform; see
`pipelines/fourier.py`. All pixels of a pair take part in the rounding of its outputs. Therefore
pairs lie at multiples of their own size from the first output on, whatever the batch and the
threads are, and a problem is cut between them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from math import log2, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convlens.compiled.blocks import Grid, cuts, grid
from convlens.compiled.choice import F32, F64, I64, NAMES, DType, largest, same_kernel
from convlens.compiled.library import Buffer, Run, buffer, frame, loaded
from convlens.compiled.placement import (
    Placement,
    copied_pixels,
    frame_of,
    indexable,
    padded,
    slice_of,
    usable,
)
from convlens.core.pairwise import Pairwise
from convlens.core.problem import Array, Problem, Region

if TYPE_CHECKING:
    from convlens.compiled.ways import Way  # at run time it is `ways` that imports this module

Compute = Callable[[Problem, "Way", Array, Array | None, Array], object]

# An output's rounding error is at most so much, times the norm of its kernel and the norm of its
# tiles' pixels, which are square roots of sums of squares.
FLOOR = 2.0**-49
EXACT = 1 / 16  # Whole numbers are recovered by rounding if no error is larger.
# Costs, in multiply-adds of pipelines that go tap by tap: for each of the n² numbers of a tile and
# each of the log2(n²) steps of its transform, and for a call.
STEP, FIXED = 16, 2**25
PAIRS = 64  # the most pairs of tiles in a block: they are computed within half a second
TASKS = 4  # for each thread, if there are as many pairs
SPECTRA = 2**24  # the most bytes of the kernels' spectra at a time
HALVES = 2**23  # the most bytes of the channels of a pair of tiles, transformed along one axis
COPIED = 2**23  # bytes of a block that goes through a copy


class Tiles(NamedTuple):
    """The sides of tiles.

    Attributes
    ----------
    size : int
        The cells of a tile, along each axis.
    outputs : tuple of int
        The outputs of a tile, down and across.
    """

    size: int
    outputs: tuple[int, int]

    @property
    def grain(self) -> tuple[int, int]:
        """The outputs of a pair, down and across."""
        rows, columns = self.outputs
        return rows, 2 * columns

    @property
    def nbytes(self) -> int:
        """Bytes of a tile's spectrum."""
        return 16 * self.size**2

    def parts(self, problem: Problem) -> list[list[range]]:
        """The parts of the window along each axis, taps without dilation, that fit into a tile."""
        return [
            cuts(axis.reach, self.size - outputs + 1)
            for axis, outputs in zip(problem.axes, self.outputs, strict=True)
        ]


def tiles(problem: Problem, kernels: Array | None) -> Tiles | None:
    """The tiles for an image's convolution; None if it is computed tap by tap.

    Without kernels it is as if their numbers did not stand in the way.
    """
    best = _tiles(problem)
    if best is None or kernels is None:
        return best
    if problem.sum_dtype.kind == "f":
        return best if np.isfinite(kernels).all() else None
    pixels = largest(problem.images.dtype) * 2**0.5 * best.size  # the norm of two tiles, at most
    kernel = _norms(kernels.reshape(-1, kernels.shape[-1])).max(initial=0)
    return best if FLOOR * pixels * kernel <= EXACT else None


@lru_cache(maxsize=256)
def _tiles(problem: Problem) -> Tiles | None:
    """The tiles that cost the least, if that is less than to go tap by tap.

    It does not depend on the batch, and so an image's result does not either.
    """
    if problem.kernels is None or len(problem.axes) > 2 or 0 in problem.full_output_shape:
        return None
    if problem.where != "all":  # Where no weight is left, there must be an exact 0.
        return None
    if not _is_exact_enough(problem) or max(axis.stride for axis in problem.axes) > 2:
        return None  # With longer strides, most of the outputs would be thrown away.
    groups = max(1, problem.groups)
    depth, kernels = problem.channels // groups, problem.output_channels // groups
    cheapest, least = None, float(prod(problem.full_output_shape[1:]) * problem.taps * depth)
    for each in _available(problem):
        pairs = prod(
            -(-((axis.outputs - 1) * axis.stride + 1) // side)
            for axis, side in zip(problem.axes, each.grain, strict=True)
        )
        transforms = pairs * groups * (depth + kernels + depth * kernels / 4)
        transforms += depth * (1 if same_kernel(problem) else groups * kernels)  # the spectra
        transforms *= prod(map(len, each.parts(problem)))
        cost = FIXED + STEP * transforms * each.size**2 * log2(each.size**2)
        if cost < least and each.nbytes * depth <= HALVES:
            cheapest, least = each, cost
    return cheapest


def _is_exact_enough(problem: Problem) -> bool:
    """Whether errors of float64, next to all numbers of a tile, do not matter for each result.

    That is so for results of float32, and for small integers.
    """
    integers = problem.sum_dtype.kind in "iu" and problem.images.dtype.itemsize <= 2
    return problem.sum_dtype == F32 or integers


def _available(problem: Problem) -> Iterator[Tiles]:
    """The tiles that there are pipelines for, with as many outputs as the window leaves."""
    for variant in loaded().variants.of(_types(F32, F32)):
        size, _ = variant.requires["size"]
        outputs = []
        for axis in problem.axes:  # A window of more than half of a tile is computed in parts.
            parts = -(-axis.reach // (size // 2 + 1))
            outputs.append(size - -(-axis.reach // parts) + 1)
        rows, columns = outputs
        yield Tiles(size, (rows, columns))


def _types(pixels: DType, results: DType) -> tuple[str, ...]:
    return "products", NAMES[pixels], NAMES[F64], NAMES[results]


def _norms(kernels: Array) -> Array:
    """The norm of each kernel, whose numbers lie along the first axis."""
    squares: Array = np.square(kernels, dtype=F64).sum(axis=0)
    return np.sqrt(squares)


def describe(tiles: Tiles) -> str:
    """Describe in words how a problem is computed with these tiles."""
    return (
        f"by Fourier transforms of {tiles.size} x {tiles.size} pixels, in float64, "
        "with an error of at most 2^-49 times the norms of the kernel and of the pixels transformed"
    )


def compute(
    problem: Problem, way: Way, images: Array, kernels: Array, out: Array, direct: Compute
) -> None:
    """Write the result into `out`; all arrays have their full form.

    `direct` computes the pairs of tiles that hold numbers that are not finite, or are so dark in
    places, next to others, that the rounding error would matter there.
    """
    assert way.tiles is not None, "it is settled that there are transforms"
    tiles, each = way.tiles, problem.output_channels // problem.groups
    kernels = kernels.reshape(*kernels.shape[:-1], problem.groups, each)  # (kh, kw, c, g, o)
    grouped = out.reshape(*out.shape[:-1], problem.groups, each)  # (m, oh, ow, g, o)
    parts = tiles.parts(problem)
    # Groups, and kernels of a group, are taken together while their spectra fit into memory.
    most = max(1, SPECTRA // (tiles.nbytes * prod(map(len, parts)) * kernels.shape[2]))
    shared = same_kernel(problem)
    left: set[Region] = set()
    for groups in cuts(problem.groups, problem.groups if shared else max(1, most // each)):
        for some in cuts(each, most):
            of_groups = slice(0, 1) if shared else slice_of(groups)
            spectra = _Spectra(problem, tiles, kernels[..., of_groups, slice_of(some)], parts)
            c = slice(groups.start * kernels.shape[2], groups.stop * kernels.shape[2])
            target = grouped[..., slice_of(groups), slice_of(some)]
            left |= _compute(problem, tiles, images[..., c], spectra, target)
    for region in left:
        images_of = images[slice_of(region.images)]
        tap_by_tap = way._replace(tiles=None)
        ungrouped = kernels.reshape(*kernels.shape[:-2], -1)
        direct(problem.part(region), tap_by_tap, images_of, ungrouped, out[region.slices])


class _Spectra:
    """The spectra of kernels (kh, kw, c, groups, kernels), for each part of their window."""

    def __init__(
        self, problem: Problem, tiles: Tiles, kernels: Array, parts: list[list[range]]
    ) -> None:
        self.floors = FLOOR * _norms(kernels.reshape(-1, *kernels.shape[-2:]))  # (g, o)
        reach = tuple(axis.reach for axis in problem.axes)
        spread = np.zeros((*kernels.shape[2:], *reach))  # (c, g, o, kh, kw), zeros between the taps
        down, across = (axis.dilation for axis in problem.axes)
        spread[..., ::down, ::across] = np.moveaxis(kernels, (0, 1), (-2, -1))
        self._parts = [
            (part, self._of(tiles, spread[..., slice_of(part[0]), slice_of(part[1])]))
            for part in product(*parts)
        ]

    def __iter__(self) -> Iterator[tuple[tuple[range, ...], Array]]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def _of(self, tiles: Tiles, kernels: Array) -> Array:
        """The spectra (o, g, c, 2, size, size) of a part of all kernels (c, g, o, kh, kw)."""
        kernels = np.ascontiguousarray(kernels)
        c, g, o, _, _ = kernels.shape
        spectra = np.empty((o, g, c, 2, tiles.size, tiles.size))
        variant = loaded().variants.choose({"size": tiles.size}, [("kernel", NAMES[F64])])
        frames = {"kernel": frame_of(kernels[0, 0, 0]), "out": frame_of(spectra[0, 0, 0])}
        run = Run(loaded(), variant, frames, list(frames))
        for place in np.ndindex(c, g, o):
            run(kernels[place], spectra[place[::-1]])
        return spectra


def _compute(
    problem: Problem, tiles: Tiles, images: Array, spectra: _Spectra, out: Array
) -> set[Region]:
    """Write the result into `out`, (m, oh, ow, groups, kernels); returns what is left to do."""
    floats = problem.sum_dtype.kind == "f"
    results = F32 if floats else I64
    strides = [axis.stride for axis in problem.axes]
    read_here = usable(problem.images.dtype, F32, Placement.of(images), images.shape[-1])
    write_here = (out.dtype, strides, len(spectra)) == (results, [1, 1], 1)
    write_here &= out.dtype.isnative and out.flags.aligned
    write_here &= not any(stride % out.itemsize for stride in out.strides)
    left = set()
    for region in _regions(problem, tiles, prod(out.shape[-2:]), in_place=read_here and write_here):
        target = out[region.slices]
        sums = Pairwise()
        # All outputs are computed that there would be without a stride.
        places = list(zip(problem.axes, region.places, strict=True))
        sizes = [(len(some) - 1) * axis.stride + 1 for axis, some in places]
        axes = [
            replace(axis.part(some, range(axis.window)), stride=1, dilation=1)
            for axis, some in places
        ]
        for part, of_part in spectra:
            grids = [
                grid(replace(axis, window=len(taps), before=axis.before - taps.start), range(size))
                for axis, taps, size in zip(axes, part, sizes, strict=True)
            ]
            shape = (len(region.images), *sizes, *out.shape[-2:])
            result = target if write_here else np.empty(shape, results)
            some = images[(slice_of(region.images), *(slice_of(each.used) for each in grids))]
            if not (read_here and indexable(some)):
                some, grids = copied_pixels(images[slice_of(region.images)], grids, F32)
            _run(problem, tiles, some, grids, (part, of_part, spectra.floors), result)
            sums.add(result)
        total = sums.total()
        if floats:
            down, across = tiles.grain
            first = np.isnan(total[:, ::down, ::across]).any(axis=(-2, -1))  # (m, pairs, pairs)
            left |= {_pair(problem, tiles, region, place) for place in np.argwhere(first).tolist()}
        if not write_here:
            problem.write(total[:, :: strides[0], :: strides[1]], target)
    return left


def _pair(problem: Problem, tiles: Tiles, region: Region, place: list[int]) -> Region:
    """The outputs of a pair of tiles, counted within a region, as a region of the whole."""
    image, *pair = place
    n = region.images.start + image
    places = []
    for axis, within, number, side in zip(
        problem.axes, region.places, pair, tiles.grain, strict=True
    ):
        start, stop = (-(-each * side // axis.stride) for each in (number, number + 1))
        places.append(range(within.start + start, min(within.start + stop, within.stop)))
    return Region(range(n, n + 1), tuple(places))


def _regions(problem: Problem, tiles: Tiles, channels: int, *, in_place: bool) -> Iterator[Region]:
    """Divide the output between pairs of tiles, so that a region takes little time and memory."""
    m, *outputs, _ = problem.full_output_shape
    strides = prod(axis.stride for axis in problem.axes)
    most = PAIRS if in_place else max(4, COPIED // (8 * prod(tiles.grain)))
    most = max(1, most // (strides * channels))
    units = [-(-size // side) for size, side in zip(outputs, tiles.grain, strict=True)]
    across = min(units[1], most)
    down = min(units[0], most // across)
    together = max(1, most // (across * down)) if [down, across] == units else 1
    rows, columns = (
        cuts(size, count * side)
        for size, count, side in zip(outputs, (down, across), tiles.grain, strict=True)
    )
    for images, *places in product(cuts(m, together), rows, columns):
        yield Region(images, tuple(places))


def _run(
    problem: Problem,
    tiles: Tiles,
    pixels: Array,
    grids: list[Grid],
    kernels: tuple[tuple[range, ...], Array, Array],
    result: Array,
) -> None:
    """Compute one part of the window, for pixels that these grids index."""
    part, spectra, floors = kernels
    rows, columns = (
        padded(each, side + tiles.size) for each, side in zip(grids, tiles.grain, strict=True)
    )
    across, (m, h, w, c) = grids[1], pixels.shape
    groups = result.shape[-2]
    o, _, depth, *sides = spectra.shape
    # One kernel for all channels is seen as the same one for each group.
    spectra = np.broadcast_to(spectra, (o, groups, depth, *sides))
    floors = np.broadcast_to(floors, (groups, o))
    rows_in, columns_in = (
        outputs + len(taps) - 1 for outputs, taps in zip(tiles.outputs, part, strict=True)
    )
    pairs = m * groups
    for size, side in zip(result.shape[1:3], tiles.grain, strict=True):
        pairs *= -(-size // side)
    frames = {
        "images": frame_of(pixels.reshape(m, h, w * c)),
        "spectra": frame_of(spectra),
        "floors": frame_of(floors),
        "out": _in_pairs(result, tiles.outputs[1]),
    }
    arguments: dict[str, Any] = {
        "padding": float(problem.pad_number),
        "rows": buffer(rows),
        "columns": buffer(columns),
        "left": len(across.before),
        "right": len(across.before) + len(across.inner),
        "first": across.inner.start - across.used.start if across.inner else 0,
        "C": c,
        "rows_in": rows_in,
        "columns_in": columns_in,
        "rows_out": tiles.outputs[0],
        "columns_out": tiles.outputs[1],
        "width": result.shape[2],
        "chunk": -(-pairs // (TASKS * loaded().threads)),
    }
    types = [_types(F32, result.dtype)]
    variant = loaded().variants.choose({"size": tiles.size}, types)
    run = Run(loaded(), variant, arguments | frames, list(frames))
    run(pixels, spectra, floors, result)


def _in_pairs(result: Array, side: int) -> Buffer:
    """The frame of results whose columns are those of tiles in pairs: (m, oh, pairs, 2, side, …).

    The last pair may reach beyond the last column, where nothing is written.
    """
    m, oh, ow, *kernels = result.shape
    images, rows, columns, *others = result.strides
    shape = m, oh, -(-ow // (2 * side)), 2, side, *kernels
    strides = images, rows, 2 * side * columns, side * columns, columns, *others
    return frame(shape, strides, result.dtype)
