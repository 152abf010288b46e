"""Calls on Dask arrays: one call on arrays in memory for each chunk of the result.

A chunk of the result depends on the cells under its windows: pixels of the chunk at the same place,
some pixels of the neighbouring chunks, and padding. The graph therefore has one task for each chunk
of the result, which assembles these cells into a piece of the image and runs the engine on it, and
one task for each slice of a chunk that goes into a piece. A slice is cut by the worker that holds
its chunk, so that only slices move between workers.

The chunks may divide images, rows and columns anywhere. They may divide channels too, but a
convolution that sums over channels joins all their chunks, because a sum of floats that is taken in
parts is rounded differently.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, groupby, pairwise, product
from operator import getitem, itemgetter
from typing import Any, NamedTuple

import numpy as np

from convlens.call import Array, Call, Spec
from convlens.geometry import Axis, source

DaskArray = Any  # Dask is imported only when a call has a Dask array
Engine = Callable[[Call, Array, Array | None], Array]


class Run(NamedTuple):
    """Adjacent cells of a piece whose values come from one slice of a chunk."""

    taken: int  # the index of the slice among those of the cut
    pixels: slice | list[int]  # which pixels of the slice
    cells: slice  # where they go in the piece


class Cut(NamedTuple):
    """Some rows or columns of outputs, and where the cells under their windows come from."""

    axis: Axis  # how the window slides over the piece
    kept: slice  # the outputs of the cut, among those that the engine makes from the piece
    slices: list[tuple[int, slice]]  # the slices that are needed: the chunk's number, its pixels
    runs: list[Run]  # where their pixels go; all other cells of the piece are zeros

    @property
    def outputs(self) -> int:
        """The number of outputs of the cut."""
        return int(self.kept.stop - self.kept.start)

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

    call: Call
    kernels: Array | None
    engine: Engine


def lazily(
    call: Call, images: DaskArray, kernels: Array | None, engine: Engine, grain: int
) -> DaskArray:
    """Build the result of a call as a Dask array, without computing anything.

    Parameters
    ----------
    call : Call
        The whole call.
    images : dask.array.Array
        The images, in chunks of any sizes.
    kernels : numpy.ndarray or None
        None for pooling.
    engine : callable
        Carries out a call on a part of the images: ``engine(call, part, kernels)``.
    grain : int
        Outputs may be divided at columns that are multiples of this without changing any bit.

    Returns
    -------
    dask.array.Array
        The result, in chunks like the images': an output belongs to the chunk that holds the
        middle of its window.
    """
    import dask.array as da  # noqa: PLC0415
    from dask.base import tokenize  # noqa: PLC0415
    from dask.highlevelgraph import HighLevelGraph  # noqa: PLC0415

    if 0 in images.shape:  # no pixels, so every sum is empty
        return da.zeros(call.output_shape, dtype=call.output_dtype, chunks=-1)
    sizes = dict.fromkeys("mc", (1,)) | dict(zip(call.layout.images, images.chunks, strict=True))
    batches = [(chunk, size) for chunk, size in enumerate(sizes["m"]) if size]
    rows = _cuts(call, call.rows, sizes["h"], 1)
    columns = _cuts(call, call.columns, sizes["w"], grain)
    channels = _channels(call, sizes["c"])

    # The kernels are copied, so that the caller may change theirs before the result is computed.
    job = Job(call, None if kernels is None else kernels.copy(), engine)
    name = f"{call.operation}-{tokenize(images, job)}"
    graph = _graph(name, job, images.name, sizes, batches, rows, columns, channels)
    chunks = {
        "m": tuple(size for _, size in batches),
        "h": tuple(cut.outputs for cut in rows),
        "w": tuple(cut.outputs for cut in columns),
        "n": tuple(part.outputs for part in channels),
    }
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=[images]),
        name,
        tuple(chunks[axis] for axis in call.layout.output),
        meta=np.empty((0,) * len(call.layout.output), call.output_dtype),
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

    layout, shared = job.call.layout, f"job-{name}"
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


def _cuts(call: Call, axis: Axis, sizes: Sequence[int], grain: int) -> list[Cut]:
    """Divide the rows or columns of outputs as the images' chunks are divided."""
    ends = list(accumulate(sizes))
    # An output comes before a cut if the middle pixel of its window does.
    shift = axis.before - (axis.reach - 1) // 2
    bounds = [min(max(0, -(-(end + shift) // axis.stride)), axis.outputs) for end in ends[:-1]]
    parts = [range(*part) for part in pairwise([0, *bounds, axis.outputs])]
    if call.operation == "pool":
        return [_cut_of_pooling(axis, outputs, ends) for outputs in parts if outputs]
    return [
        _cut_of_convolution(axis, outputs, ends, call.pad_mode, grain)
        for outputs in parts
        if outputs
    ]


def _cut_of_convolution(
    axis: Axis, outputs: range, ends: Sequence[int], pad_mode: str, grain: int
) -> Cut:
    """A cut of a convolution: its piece contains the padding, as cells like any others."""
    made = range(
        outputs.start // grain * grain, min(-(-outputs.stop // grain) * grain, axis.outputs)
    )
    cells, needed = _cells(axis, made), _cells(axis, outputs)
    return Cut(
        Axis(len(cells), axis.window, axis.stride, axis.dilation, 0, 0),
        slice(outputs.start - made.start, outputs.stop - made.start),
        *_taken(needed, axis.size, pad_mode, ends, cells.start),
    )


def _cut_of_pooling(axis: Axis, outputs: range, ends: Sequence[int]) -> Cut:
    """A cut of a pooling: its piece has pixels alone, and its own share of the padding."""
    cells = _cells(axis, outputs)
    stop = min(cells.stop, axis.size + axis.after)  # a partial window hangs over
    pixels = range(min(max(cells.start, 0), axis.size), min(max(stop, 0), axis.size))
    before = max(0, min(stop, 0) - cells.start)
    after = max(0, stop - max(cells.start, axis.size))
    return Cut(
        replace(axis, size=len(pixels), before=before, after=after),
        slice(0, len(outputs)),
        *_taken(pixels, axis.size, "constant", ends, pixels.start),
    )


def _cells(axis: Axis, outputs: range) -> range:
    """All cells from the first to the last that lie under the windows of these outputs."""
    return range(axis.pixels(outputs[0])[0], axis.pixels(outputs[-1])[-1] + 1)


def _taken(
    cells: range, size: int, pad_mode: str, ends: Sequence[int], origin: int
) -> tuple[list[tuple[int, slice]], list[Run]]:
    """The slices of chunks that hold these cells, and the runs that place them in a piece.

    The piece begins with the cell `origin`.
    """
    stretches = list(_stretches(cells, size, pad_mode, ends))
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
        to = slice(cell - origin, cell - origin + len(pixels))
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


def _stretches(
    cells: range, size: int, pad_mode: str, ends: Sequence[int]
) -> Iterator[tuple[int, range | list[int], int]]:
    """Adjacent cells whose pixels lie in one chunk: the chunk, the pixels, the first cell."""
    pixel, stop = max(cells.start, 0), min(cells.stop, size)
    while pixel < stop:
        chunk = bisect_right(ends, pixel)
        pixels = range(pixel, min(ends[chunk], stop))
        yield chunk, pixels, pixel
        pixel = pixels.stop
    before = range(cells.start, min(cells.stop, 0))
    after = range(max(cells.start, size), cells.stop)
    for padding in (before, after):
        sources = ((cell, source(cell, size, pad_mode)) for cell in padding)
        found = [(bisect_right(ends, at), at, cell) for cell, at in sources if at is not None]
        for chunk, group in groupby(found, key=itemgetter(0)):
            stretch = list(group)
            yield chunk, [at for _, at, _ in stretch], stretch[0][2]


def _channels(call: Call, sizes: Sequence[int]) -> list[Channels]:
    """Divide the output's channels as the images', if each depends on one channel of them."""
    bounds = enumerate(pairwise(accumulate(sizes, initial=0)))
    chunks = [(chunk, slice(*bound)) for chunk, bound in bounds if bound[0] < bound[1]]
    if call.channels != call.groups:
        return [Channels(chunks, call.groups, slice(0, call.output_channels))]
    each = call.output_channels // call.channels
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
    call, kernels = job.call, job.kernels
    full = _join(call, count, rows, columns, channels, slices)  # (m, h, w, c)
    axes = zip(full.shape, "mhwc", strict=True)
    piece = full.reshape([size for size, axis in axes if axis in call.layout.images])
    if kernels is not None and "n" in call.layout.kernels:
        kernels = kernels[..., channels.kept]
    part = replace(
        call,
        images=Spec(piece.shape, piece.dtype),
        kernels=None if kernels is None else Spec(kernels.shape, kernels.dtype),
        rows=rows.axis,
        columns=columns.axis,
        groups=channels.groups,
        channels=channels.inputs,
        output_channels=channels.outputs,
        padding_word="given",
        pad_mode="constant",
    )
    result = job.engine(part, piece, kernels)
    kept = {"h": rows.kept, "w": columns.kept}
    return result[tuple(kept.get(axis, slice(None)) for axis in call.layout.output)]


def _join(
    call: Call, count: int, rows: Cut, columns: Cut, channels: Channels, slices: list[Array]
) -> Array:
    """Assemble a piece of the images, (m, h, w, c), from these slices."""
    full = [call.full_images(values) for values in slices]
    shape = count, rows.axis.size, columns.axis.size, channels.inputs
    if rows.is_one_slice and columns.is_one_slice and full[0].shape == shape:
        return full[0].astype(call.images.dtype, copy=False)
    piece = np.zeros(shape, call.images.dtype)
    for n, (_, deep) in enumerate(channels.chunks):
        for down, across in product(rows.runs, columns.runs):
            number = (down.taken * len(columns.slices) + across.taken) * len(channels.chunks) + n
            pixels = full[number][:, down.pixels][:, :, across.pixels]
            piece[:, down.cells, across.cells, deep] = pixels
    return piece
