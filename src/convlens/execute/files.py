"""Carry a plan out on a .npy file that may be larger than memory, tile by tile, into another file.

A tile is a part of the output that is small enough for memory: several whole images, or several
rows of one image, or a part of these rows. One thread reads a tile's pixels, computes the tile and
writes it, so that its numbers stay in the processor's caches. Two threads do this, each with a tile
of its own, so that one can compute while the other waits for the disk. Files are read and not
mapped into memory, because mapped pages count as memory in use, and because a mapped file that is
truncated meanwhile would end the process.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from io import FileIO
from math import prod
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from convlens.core.axis import Axis
from convlens.core.cells import arange, sources
from convlens.core.problem import Array, Problem, Spec
from convlens.files import replacing

# The bytes of a tile's pixels and results together: few enough for the caches, and so many that the
# fixed cost of a tile, up to half a millisecond, does not matter.
TILE_BYTES = 2**23
# Large windows share most of their pixels with their neighbours, so a tile of them is allowed the
# bytes of 16 windows, up to a limit. With two such tiles in memory, the engine's own memory and the
# libraries, the process stays below 300 MB.
WINDOWS, LARGEST_TILE = 16, 2**26
WORKERS = 2
# Seconds. Tiles that take longer than this to compute run on the caller's thread alone, which
# Ctrl-C stops at once. A second thread would gain little, because reading and writing are a small
# part of their time.
LONG = 0.5


Engine = Callable[[Problem, Array, Array | None, Array], object]


class Tile(NamedTuple):
    """A part of a call's output: a range of images, of rows and of columns."""

    images: range
    rows: range
    columns: range

    @property
    def windows(self) -> int:
        """The number of windows, which is the number of outputs of one channel."""
        return len(self.images) * len(self.rows) * len(self.columns)


class ArrayFile(NamedTuple):
    """An array in a .npy file: its shape and type, and the byte at which its numbers begin."""

    path: Path
    spec: Spec
    start: int


def open_array(path: Path) -> ArrayFile:
    """Read the header of a .npy file.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is no .npy file, is shorter than its array, or cannot be streamed.
    """
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            readers: dict[tuple[int, int], Callable[[BinaryIO], tuple[Any, ...]]] = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            if version not in readers:
                raise ValueError(f"version {version} of the format")
            shape, fortran_order, dtype = readers[version](file)
        except ValueError as error:
            raise ValueError(f"not a .npy file of numbers: {error}") from None
        start = file.tell()
        length = file.seek(0, 2)
    spec = Spec(shape, dtype)
    if dtype.hasobject:
        raise ValueError("the array is of Python objects, not of numbers")
    if fortran_order and len(shape) > 1:
        raise ValueError(
            "the array is stored column by column (Fortran order); save it again with "
            "numpy.save(name, numpy.ascontiguousarray(array))"
        )
    if length < start + spec.nbytes:
        raise ValueError(f"the file ends early: {length:,} bytes of {start + spec.nbytes:,}")
    return ArrayFile(path, spec, start)


def stream(
    problem: Problem,
    array: ArrayFile,
    kernels: Array | None,
    engine: Engine,
    target: Path,
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Compute a problem on a file, into another file that is written completely or not at all.

    The results have the bits of the same call in memory.

    Parameters
    ----------
    problem : Problem
        For images of the array's shape and type.
    array : ArrayFile
        The images.
    kernels : numpy.ndarray or None
        None for pooling.
    engine : callable
        Computes a problem on a part of the images: ``engine(problem, part, kernels, out)``.
    target : pathlib.Path
        The .npy file to write.
    advance : callable
        Called with the number of bytes of the images that were processed since the last call.

    Raises
    ------
    OSError
        If a file cannot be read or written, or the disk has no room for the result.
    ValueError
        If the pixels under a single window are too large for memory.
    """
    output = Spec(problem.output_shape, problem.output_dtype)
    tiles = _tiles(problem)
    free = shutil.disk_usage(target.resolve().parent).free
    if free < output.nbytes:
        raise OSError(f"the result takes {output.nbytes:,} bytes, and its disk has {free:,} left")
    with replacing(target) as temporary, ExitStack() as stack:
        with open(temporary, "xb", buffering=0) as file:
            starts = array.start, _write_header(file, output)
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(WORKERS):
            source_file = stack.enter_context(open(array.path, "rb", buffering=0))
            target_file = stack.enter_context(open(temporary, "r+b", buffering=0))
            idle.put(_Worker(problem, kernels, engine, (source_file, target_file), starts))

        def carry_out(tile: Tile) -> float:
            worker = idle.get()
            try:
                return worker.carry_out(tile)
            finally:
                idle.put(worker)

        windows, done = prod(problem.full_output_shape[:3]), 0
        for tile in stack.enter_context(closing(_in_turns(tiles, carry_out))):
            before = array.spec.nbytes * done // windows
            done += tile.windows
            advance(array.spec.nbytes * done // windows - before)


def _in_turns(
    tiles: Iterator[Tile], carry_out: Callable[[Tile], float]
) -> Generator[Tile, None, None]:
    """Carry tiles out in order, and yield each when it is done.

    `carry_out` returns the seconds that it took to compute a tile. The first tiles run here, until
    one has taken less than LONG; the others run on threads.
    """
    for tile in tiles:
        seconds = carry_out(tile)
        yield tile
        if seconds <= LONG:
            break
    pool = ThreadPoolExecutor(WORKERS)
    under_way: deque[tuple[Tile, Future[float]]] = deque()
    try:
        for tile in tiles:
            under_way.append((tile, pool.submit(carry_out, tile)))
            if len(under_way) > 2 * WORKERS:
                yield _finished(*under_way.popleft())
        while under_way:
            yield _finished(*under_way.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(tile: Tile, future: Future[float]) -> Tile:
    """Wait for the tile and return it; an error in its thread is raised here."""
    future.result()
    return tile


class _Worker:
    """Carries tiles out, one at a time, with file positions and memory of its own."""

    def __init__(
        self,
        problem: Problem,
        kernels: Array | None,
        engine: Engine,
        files: tuple[FileIO, FileIO],
        starts: tuple[int, int],
    ) -> None:
        self._problem, self._kernels, self._engine = problem, kernels, engine
        self._source, self._target = files
        self._first_pixel, self._first_result = starts
        self._memory = _Memory()

    def carry_out(self, tile: Tile) -> float:
        """Read, compute and write a tile; returns the seconds that computing took."""
        problem = self._problem
        part, images = _read(self._source, self._first_pixel, problem, tile, self._memory)
        result = self._memory.array("result", part.output_shape, problem.output_dtype)
        began = perf_counter()
        self._engine(part, images, self._kernels, result)
        seconds = perf_counter() - began
        _write(self._target, self._first_result, problem, tile, result)
        return seconds


class _Memory:
    """Memory for a tile's arrays, reused for the next tile because fresh pages cost time."""

    def __init__(self) -> None:
        self._bytes: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array of this shape and type, in the memory that this name had before if it fits."""
        size = Spec(shape, dtype).nbytes
        if name not in self._bytes or self._bytes[name].size < size:
            self._bytes[name] = np.empty(size, np.uint8)
        return self._bytes[name][:size].view(dtype).reshape(shape)


# ------------------------------------------------------------------------------- tiles


def _tiles(problem: Problem) -> Iterator[Tile]:
    """The tiles of the output, in the order in which the file stores them."""
    m, oh, ow, _ = problem.full_output_shape
    if 0 in problem.full_output_shape:
        return iter(())
    count, height, width = _tile_size(problem)
    return (
        Tile(
            range(n, min(n + count, m)),
            range(y, min(y + height, oh)),
            range(x, min(x + width, ow)),
        )
        for n in range(0, m, count)
        for y in range(0, oh, height)
        for x in range(0, ow, width)
    )


def _tile_size(problem: Problem) -> tuple[int, int, int]:
    """The number of images, rows and columns of a tile."""
    m, oh, ow, nc = problem.full_output_shape
    pixel = problem.channels * problem.images.dtype.itemsize
    result = nc * problem.output_dtype.itemsize

    def nbytes(height: int, width: int) -> int:
        under = _under(problem.rows, height) * _under(problem.columns, width)
        return under * pixel + height * width * result

    window = nbytes(1, 1)
    if window > LARGEST_TILE:
        raise ValueError(
            f"the pixels under one window take {window:,} bytes, more than the {LARGEST_TILE:,} "
            "that are held in memory at a time; load the array and call "
            f"convlens.{problem.operation}"
        )
    most = max(TILE_BYTES, min(WINDOWS * window, LARGEST_TILE))
    height, width = oh, ow
    while nbytes(height, width) > most and (height, width) != (1, 1):
        # Whole rows can be read in one piece, so a tile loses height before width. But it stays
        # higher than two windows while it can, as neighbouring tiles both read what they share.
        rows = height * problem.rows.stride / problem.rows.reach  # in windows
        columns = width * problem.columns.stride / problem.columns.reach
        if width == 1 or (height > 1 and (rows > 2 or rows >= columns)):
            height = -(-height // 2)
        else:
            width = -(-width // 2)
    if (height, width) != (oh, ow):
        return 1, height, width
    return min(m, max(1, most // max(1, nbytes(oh, ow)))), oh, ow


def _under(axis: Axis, outputs: int) -> int:
    """The number of cells, of the image and its padding, under so many windows."""
    if outputs == axis.outputs:
        return axis.size
    return min(axis.padded, (outputs - 1) * axis.stride + axis.reach)


def _part(axis: Axis, outputs: range, pad_mode: str) -> tuple[Axis, list[range]]:
    """The axis that has just these outputs, and the pixels it consists of, run after run.

    Zeros remain padding, which a pooling must know from pixels; any other padding that the windows
    touch becomes pixels.
    """
    if len(outputs) == axis.outputs:
        return axis, [range(axis.size)]
    start = axis.pixels(outputs[0])[0]
    stop = min(axis.pixels(outputs[-1])[-1] + 1, axis.size + axis.after)
    above = range(start, max(start, min(stop, 0)))  # cells of padding before the image
    below = range(min(stop, max(start, axis.size)), stop)
    inside = range(above.stop, below.start)
    if pad_mode in ("constant", "nothing") or axis.size == 0:
        runs = [inside] if inside else []
        part = replace(axis, size=len(inside), before=len(above), after=len(below))
    else:
        borders = [sources(arange(cells), axis.size, pad_mode) for cells in (above, below)]
        first, last = [[range(n, n + 1) for n in border.tolist()] for border in borders]
        runs = [*first, *([inside] if inside else []), *last]
        part = replace(axis, size=stop - start, before=0, after=0)
    return part, runs


# ------------------------------------------------------------------------------- files


def _read(
    file: FileIO, start: int, problem: Problem, tile: Tile, memory: _Memory
) -> tuple[Problem, Array]:
    """Read the pixels of one tile; returns the call for this tile alone, and its images."""
    rows, down = _part(problem.rows, tile.rows, problem.pad_mode)
    columns, across = _part(problem.columns, tile.columns, problem.pad_mode)
    sizes = {"m": len(tile.images), "h": rows.size, "w": columns.size, "c": problem.channels}
    shape = tuple(sizes[axis] for axis in problem.layout.images)
    images = memory.array("images", shape, problem.images.dtype)
    part = replace(problem, images=Spec(shape, images.dtype), axes=(rows, columns))
    size = problem.rows.size, problem.columns.size, problem.channels * images.dtype.itemsize
    into = images.reshape(-1).view(np.uint8).data
    for place, length in _pieces(tile.images, down, across, size):
        file.seek(start + place)
        piece, into = into[:length], into[length:]
        while piece:
            count = file.readinto(piece)
            if not count:
                raise ValueError("the file ends early: it has become shorter")
            piece = piece[count:]
    return part, images


def _write(file: FileIO, start: int, problem: Problem, tile: Tile, result: Array) -> None:
    """Write the results of one tile to their places in the file."""
    _, oh, ow, nc = problem.full_output_shape
    size = oh, ow, nc * result.dtype.itemsize
    rest = result.reshape(-1).view(np.uint8).data
    for place, length in _pieces(tile.images, [tile.rows], [tile.columns], size):
        file.seek(start + place)
        piece, rest = rest[:length], rest[length:]
        while piece:
            piece = piece[file.write(piece) :]


def _pieces(
    images: range, down: list[range], across: list[range], size: tuple[int, int, int]
) -> Iterator[tuple[int, int]]:
    """The pieces of a file in which a part of its array (m, h, w, c) lies, as (first byte, bytes).

    `down` and `across` are runs of rows and columns, and `size` is (h, w, bytes of a pixel).
    """
    h, w, pixel = size
    whole_rows = across == [range(w)]
    if whole_rows and down == [range(h)]:
        yield images.start * h * w * pixel, len(images) * h * w * pixel
        return
    for image in images:
        for rows in down:
            if whole_rows:
                yield (image * h + rows.start) * w * pixel, len(rows) * w * pixel
                continue
            for row in rows:
                for columns in across:
                    yield ((image * h + row) * w + columns.start) * pixel, len(columns) * pixel


def _write_header(file: FileIO, output: Spec) -> int:
    """Write the header of a .npy file; returns the byte at which its numbers begin."""
    descr = np.lib.format.dtype_to_descr(output.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": output.shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
