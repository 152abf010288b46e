"""Calls on Dask arrays: one call on arrays in memory for each chunk of the result.

A chunk of the result depends on the cells under its windows: pixels of the chunk at the same place,
some pixels of the neighbouring chunks, and padding. The graph therefore has one task for each chunk
of the result, which assembles these cells into a piece of the image and runs the engine on it, and
one task for each slice of a chunk that goes into a piece. A slice is cut by the worker that holds
its chunk, so that only slices move between workers.

The chunks may divide images, rows and columns anywhere. They may divide channels too, but a
convolution that sums over channels joins all their chunks, because a sum of floats that is taken in
other parts is rounded differently.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise, product
from operator import getitem
from typing import Any, NamedTuple

import numpy as np

from convlens import arguments
from convlens.core.axis import Axis, sparse
from convlens.core.cells import arange, sources
from convlens.core.problem import Array, Problem, Spec

DaskArray = Any  # Dask is imported only when a call has a Dask array
Engine = Callable[[Problem, Array, Array | None], Array]


class Run(NamedTuple):
    """Adjacent cells of a piece whose values come from one slice of a chunk."""

    taken: int  # the index of the slice among those of the cut
    pixels: slice | list[int]  # which pixels of the slice
    cells: slice  # where they go in the piece


class Cut(NamedTuple):
    """Some rows or columns of outputs, and where the cells under their windows come from."""

    axis: Axis  # how the window slides over the piece
    slices: list[tuple[int, slice]]  # the slices that are needed: the chunk's number, its pixels
    runs: list[Run]  # where their pixels go; all other cells of the piece are zeros

    @property
    def outputs(self) -> int:
        """The number of outputs of the cut."""
        return self.axis.outputs

    @property
    def is_one_slice(self) -> bool:
        """Whether a single slice makes the piece, if that has the slice's size."""
        return len(self.runs) == 1 and isinstance(self.runs[0].pixels, slice)


class Channels(NamedTuple):
    """Some channels of the output, and the channels of the images that they depend on."""

    chunks: list[tuple[int, slice]]  # the chunk's number, and its place in the piece
    groups: int
    kept: slice  # which of all channels of the output these are

    @property
    def outputs(self) -> int:
        """The number of channels of the output."""
        return int(self.kept.stop - self.kept.start)

    @property
    def inputs(self) -> int:
        """The number of channels of the images."""
        return int(self.chunks[-1][1].stop)


class Job(NamedTuple):
    """The data that all tasks of a call share."""

    problem: Problem
    kernels: Array | None
    engine: Engine


def lazily(problem: Problem, images: DaskArray, kernels: Array | None, engine: Engine) -> DaskArray:
    """Build the result of a call as a Dask array, without computing anything.

    Parameters
    ----------
    call : Problem
        The whole call.
    images : dask.array.Array
        The images, in chunks of any sizes.
    kernels : numpy.ndarray or None
        None for pooling.
    engine : callable
        Carries out a call on a part of the images: ``engine(problem, part, kernels)``.

    Returns
    -------
    dask.array.Array
        The result, in chunks like the images': an output belongs to the chunk that holds the
        middle of its window.

    Raises
    ------
    ValueError
        If a chunk of the result has more bytes than memory can address.
    """
    import dask.array as da  # noqa: PLC0415
    from dask.base import tokenize  # noqa: PLC0415
    from dask.highlevelgraph import HighLevelGraph  # noqa: PLC0415

    if 0 in (*images.shape, *problem.output_shape):
        arguments.chunks_fit(problem.output_shape, problem.output_dtype)
        return da.broadcast_to(da.from_array(problem.of_zeros(kernels)), problem.output_shape)
    sizes = dict.fromkeys("mc", (1,)) | dict(zip(problem.layout.images, images.chunks, strict=True))
    rows, columns = _outputs(problem.rows, sizes["h"]), _outputs(problem.columns, sizes["w"])
    channels = _channels(problem, sizes["c"])
    largest = {
        "m": max(sizes["m"], default=0),
        "h": max((part.stop - part.start for part in rows), default=0),
        "w": max((part.stop - part.start for part in columns), default=0),
        "n": max((part.outputs for part in channels), default=0),
    }
    arguments.chunks_fit(
        tuple(largest[axis] for axis in problem.layout.output), problem.output_dtype
    )
    batches = [(chunk, size) for chunk, size in enumerate(sizes["m"]) if size]
    down = [_cut(problem.rows, outputs, sizes["h"]) for outputs in rows]
    across = [_cut(problem.columns, outputs, sizes["w"]) for outputs in columns]

    # The kernels are copied, so that the caller may change theirs before the result is computed.
    job = Job(problem, None if kernels is None else kernels.copy(), engine)
    name = f"{problem.operation}-{tokenize(images, job)}"
    graph = _graph(name, job, images.name, sizes, batches, down, across, channels)
    chunks = {
        "m": tuple(size for _, size in batches),
        "h": tuple(map(len, rows)),
        "w": tuple(map(len, columns)),
        "n": tuple(part.outputs for part in channels),
    }
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=[images]),
        name,
        tuple(chunks[axis] for axis in problem.layout.output),
        meta=np.empty((0,) * len(problem.layout.output), problem.output_dtype),
    )


def _graph(
    name: str,
    job: Job,
    images: str,
    sizes: dict[str, tuple[int, ...]],
    batches: list[tuple[int, int]],
    rows: list[Cut],
    columns: list[Cut],
    channels: list[Channels],
) -> dict[Any, Any]:
    """The tasks of the graph, by their keys."""
    from dask.task_spec import DataNode, List, Task, TaskRef  # noqa: PLC0415

    layout, shared = job.problem.layout, f"job-{name}"
    graph: dict[Any, Any] = {shared: DataNode(shared, job)}

    def slice_of(chunk: dict[str, int], down: slice, across: slice) -> Any:
        """A reference to these pixels of a chunk, or to the chunk itself if they are all of it."""
        place = tuple(chunk[axis] for axis in layout.images)
        pixels = {"h": down, "w": across}
        if all(pixels[axis] == slice(0, sizes[axis][chunk[axis]]) for axis in pixels):
            return TaskRef((images, *place))
        key = (f"slice-{name}", *place, down.start, down.stop, across.start, across.stop)
        index = tuple(pixels.get(axis, slice(None)) for axis in layout.images)
        graph[key] = Task(key, getitem, TaskRef((images, *place)), index)
        return TaskRef(key)

    for m, y, x, n in np.ndindex(len(batches), len(rows), len(columns), len(channels)):
        batch, count = batches[m]
        slices = [
            slice_of({"m": batch, "h": h, "w": w, "c": c}, down, across)
            for h, down in rows[y].slices
            for w, across in columns[x].slices
            for c, _ in channels[n].chunks
        ]
        place = {"m": m, "h": y, "w": x, "n": n}
        key = (name, *(place[axis] for axis in layout.output))
        graph[key] = Task(
            key, _compute, TaskRef(shared), count, rows[y], columns[x], channels[n], List(*slices)
        )
    return graph


# ------------------------------------------------------------------------- what goes where


def _outputs(axis: Axis, sizes: Sequence[int]) -> list[range]:
    """Divide the rows or columns of outputs as the images' chunks are divided."""
    # An output comes before a cut if the middle pixel of its window does.
    shift = axis.before - (axis.reach - 1) // 2
    ends = accumulate(sizes[:-1])
    bounds = [min(max(0, -(-(end + shift) // axis.stride)), axis.outputs) for end in ends]
    return [outputs for bound in pairwise([0, *bounds, axis.outputs]) if (outputs := range(*bound))]


def _cut(axis: Axis, outputs: range, sizes: Sequence[int]) -> Cut:
    """Find where the cells of these outputs come from.

    The piece of a convolution contains the padding, as cells like any others.
    """
    ends = list(accumulate(sizes))
    first = axis.pixels(outputs[0])[0]
    if axis.border.mode == "nothing":
        return _cut_of_pooling(axis, outputs, ends)
    count = len(outputs)
    if sparse(axis, count):
        # Only the cells under taps are put into the piece, side by side, tap after tap. A stride
        # above 1 stays above 1, because the pipeline, and with it the bits, may depend on that.
        stride = min(axis.stride, 2)
        piece = Axis(axis.window * count * stride, axis.window, stride, count * stride, 0, 0)
        taps = arange(range(0, axis.window * axis.dilation, axis.dilation))
        at = arange(range(first, first + count * axis.stride, axis.stride))
        pixels = sources((taps[:, np.newaxis] + at).ravel(), axis.size, axis.border.mode)
        places = arange(range(0, piece.size, stride))
        return Cut(piece, *_taken(_stretches(pixels, places, ends), ends))
    cells = range(first, axis.pixels(outputs[-1])[-1] + 1)
    stretches = [*_inside(cells, axis.size, ends)]
    before, after = range(first, min(cells.stop, 0)), range(max(first, axis.size), cells.stop)
    for border in (before, after) if axis.border.mode != "constant" else ():
        at = arange(border)
        stretches += _stretches(sources(at, axis.size, axis.border.mode), at - first, ends)
    return Cut(
        Axis(len(cells), axis.window, axis.stride, axis.dilation, 0, 0), *_taken(stretches, ends)
    )


def _cut_of_pooling(axis: Axis, outputs: range, ends: Sequence[int]) -> Cut:
    """Find the same for a pooling: its piece has pixels alone, and its own share of the padding."""
    start, stop = axis.pixels(outputs[0])[0], axis.pixels(outputs[-1])[-1] + 1
    stop = min(stop, axis.size + axis.after)  # because a partial window hangs over
    pixels = range(min(max(start, 0), axis.size), min(max(stop, 0), axis.size))
    before = max(0, min(stop, 0) - start)
    after = max(0, stop - max(start, axis.size))
    piece = replace(axis, size=len(pixels), before=before, after=after)
    return Cut(piece, *_taken(_inside(pixels, axis.size, ends), ends))


Stretch = tuple[int, range | list[int], int]  # a chunk, pixels of it, the first cell for them


def _inside(cells: range, size: int, ends: Sequence[int]) -> Iterator[Stretch]:
    """Divide those of these cells that are pixels where a chunk ends, into stretches."""
    pixel, stop = max(cells.start, 0), min(cells.stop, size)
    while pixel < stop:
        chunk = bisect_right(ends, pixel)
        pixels = range(pixel, min(ends[chunk], stop))
        yield chunk, pixels, pixel - cells.start
        pixel = pixels.stop


def _stretches(pixels: Array, places: Array, ends: Sequence[int]) -> Iterator[Stretch]:
    """Divide cells into stretches of adjacent ones from one chunk; a pixel of -1 is a zero.

    `places` are the cells' positions in the piece, and `pixels` what they hold.
    """
    there = np.flatnonzero(pixels >= 0)
    pixels, places = pixels[there], places[there]
    chunks = np.searchsorted(ends, pixels, side="right")
    step = np.diff(places)
    breaks = np.flatnonzero((np.diff(chunks) != 0) | (step != 1)) + 1
    for start, stop in pairwise([0, *breaks.tolist(), len(there)]):
        if start < stop:
            yield int(chunks[start]), pixels[start:stop].tolist(), int(places[start])


def _taken(
    stretches: Iterable[Stretch], ends: Sequence[int]
) -> tuple[list[tuple[int, slice]], list[Run]]:
    """The slices of chunks that hold these stretches, and the runs that place them in a piece."""
    stretches = list(stretches)
    pixels_of: dict[int, range] = {}  # for each chunk, from its first needed pixel to its last
    for chunk, pixels, _ in stretches:
        ordered = pixels if isinstance(pixels, range) else sorted(pixels)
        known = pixels_of.get(chunk, ordered)
        first, last = min(known[0], ordered[0]), max(known[-1], ordered[-1])
        pixels_of[chunk] = range(first, last + 1)
    numbers = {chunk: number for number, chunk in enumerate(pixels_of)}

    runs = []
    for chunk, pixels, cell in stretches:
        first = pixels_of[chunk].start
        to = slice(cell, cell + len(pixels))
        if isinstance(pixels, range):
            runs.append(Run(numbers[chunk], slice(pixels.start - first, pixels.stop - first), to))
        else:
            runs.append(Run(numbers[chunk], [pixel - first for pixel in pixels], to))
    starts = [0, *ends]
    slices = [
        (chunk, slice(pixels.start - starts[chunk], pixels.stop - starts[chunk]))
        for chunk, pixels in pixels_of.items()
    ]
    return slices, runs


def _channels(problem: Problem, sizes: Sequence[int]) -> list[Channels]:
    """Divide the output's channels as the images', if each depends on one channel of them."""
    bounds = enumerate(pairwise(accumulate(sizes, initial=0)))
    chunks = [(chunk, slice(*bound)) for chunk, bound in bounds if bound[0] < bound[1]]
    if problem.channels != problem.groups:
        return [Channels(chunks, problem.groups, slice(0, problem.output_channels))]
    each = problem.output_channels // problem.channels
    return [
        Channels(
            [(chunk, slice(0, at.stop - at.start))],
            at.stop - at.start,
            slice(at.start * each, at.stop * each),
        )
        for chunk, at in chunks
    ]


# ------------------------------------------------------------------------------- the tasks


def _compute(
    job: Job, count: int, rows: Cut, columns: Cut, channels: Channels, slices: list[Array]
) -> Array:
    """Compute one chunk of the result."""
    problem, kernels = job.problem, job.kernels
    full = _join(problem, count, rows, columns, channels, slices)  # (m, h, w, c)
    axes = zip(full.shape, "mhwc", strict=True)
    piece = full.reshape([size for size, axis in axes if axis in problem.layout.images])
    if kernels is not None and "n" in problem.layout.kernels:
        kernels = kernels[..., channels.kept]
    part = replace(
        problem,
        images=Spec(piece.shape, piece.dtype),
        kernels=None if kernels is None else Spec(kernels.shape, kernels.dtype),
        axes=(rows.axis, columns.axis),
        groups=channels.groups,
        channels=channels.inputs,
        output_channels=channels.outputs,
        padding_word="given",
    )
    return job.engine(part, piece, kernels)


def _join(
    problem: Problem, count: int, rows: Cut, columns: Cut, channels: Channels, slices: list[Array]
) -> Array:
    """Assemble a piece of the images, (m, h, w, c), from these slices."""
    full = [problem.full_images(values) for values in slices]
    shape = count, rows.axis.size, columns.axis.size, channels.inputs
    if rows.is_one_slice and columns.is_one_slice and full[0].shape == shape:
        return full[0].astype(problem.images.dtype, copy=False)
    piece = np.full(shape, problem.axes[-1].border.value, problem.images.dtype)
    for n, (_, deep) in enumerate(channels.chunks):
        for down, across in product(rows.runs, columns.runs):
            number = (down.taken * len(columns.slices) + across.taken) * len(channels.chunks) + n
            pixels = full[number][:, down.pixels][:, :, across.pixels]
            piece[:, down.cells, across.cells, deep] = pixels
    return piece
