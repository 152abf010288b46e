"""Compute problems with the compiled pipelines.

A problem is divided into blocks, and integers tell the pipeline where a block's numbers lie. A
pipeline reads the images and writes the output in place if it can use their types and layouts;
otherwise each block goes through a small copy.

Pipelines work on slabs, which have rows and columns. An image is a slab of itself. A volume has
many, and a table tells which of them lie under the taps of each slab of the output.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from convlens.compiled import holes, large, long_rows, merged_rows, transforms, winograd
from convlens.compiled.blocks import (
    COPIED,
    DIRECT,
    LEAST,
    STRIP,
    VECTORS,
    Blocks,
    Grid,
    copied,
    grid,
    numbers_of,
)
from convlens.compiled.choice import I64, U8, U64, DType, Method, Passes, choose, is_folded
from convlens.compiled.exchange import side_by_side
from convlens.compiled.library import Run, buffer, loaded
from convlens.compiled.placement import (
    Placement,
    copied_pixels,
    frame_of,
    indexable,
    packed,
    padded,
    relative,
    scattered,
    slice_of,
    usable,
)
from convlens.compiled.repeats import Ran, Repeats
from convlens.compiled.ways import Way, beside, deepened, flattened, turn, turn_array
from convlens.core.axis import Axis
from convlens.core.cells import counts
from convlens.core.problem import Array, Problem, Region, Spec

KERNELS = 2**24  # the most bytes of kernels that are packed together
SHARED = 2**22  # the most numbers of a block for which a mask is copied, for each channel
FEW = 2**10  # bytes of kernels that are converted once, and then known by their numbers
SPARE = 64  # entries behind the last one: pipelines may read them, but do not use what they hold
# Multiply-adds in a block, of dense layers, of other floats and of integers: few enough for a block
# to end within a second, because Ctrl-C is only noticed between blocks.
DENSE, STEADY, SLOW = 2**32, 2**30, 2**27

# Of dense layers: the numbers of kernels that a task packs together, half of a core's own cache;
# the least kernels of a task, if it has not all of them; and the least pixels that are worth
# packing kernels for.
PACKED, SHARE, PIXELS = 2**16, 32, 128
READ, PACK = 0.4, 4  # cycles for a number of an image that is read, and times as many to pack one

Runs = list[tuple[slice, Run]]  # which of the kernels a run takes, and the run

REPEATS = Repeats()  # the runs of the latest calls


def compute(
    problem: Problem,
    way: Way,
    images: Array,
    kernels: Array | None,
    out: Array,
    where: Array | None = None,
) -> None:
    """Write the result into `out`; all arrays have the caller's form.

    `where` says which pixels take part, if an array does, and has the images' form.
    """
    if kernels is not None:
        kernels = problem.full_kernels(kernels)  # (*taps, c // groups, nc)
        kernels = kernels[0] if way.flat else kernels
    problem = beside(problem, way.single)
    _compute_images(problem, way, images, kernels, out, where)


def ran(problem: Problem, way: Way, images: Array, kernels: Array | None, out: Array) -> Ran | None:
    """What `compute` has just run for this; None if there was more to do, or in several parts."""
    if way.flat or way.tiles or way.winograd:
        return None
    kernels = None if kernels is None else _ready(problem.full_kernels(kernels), way)
    problem = deepened(beside(problem, way.single), way)
    images, out = _bytes(problem.full_images(images)), _bytes(problem.full_output(out))
    found = REPEATS.steps(_key(problem, way, [images, kernels, out, None]))
    return None if found is None else Ran(found, _given(way, images, kernels, out))


def _compute_images(
    problem: Problem,
    way: Way,
    images: Array,
    kernels: Array | None,
    out: Array,
    where: Array | None = None,
) -> None:
    """Write the result into `out`; only the kernels have their full form."""
    if not way.flat:
        problem = deepened(problem, way)
        images, out = problem.full_images(images), problem.full_output(out)
        where = None if where is None else _bytes(problem.full_images(where))
        _compute(problem, way, _bytes(images), kernels, _bytes(out), where)
        return
    assert where is None, "no pipeline for volumes weighs"
    images, out = problem.full_images(images), problem.full_output(out)  # (m, d, h, w, c)
    deep = problem.axes[0]
    if deep.outputs < deep.size:  # some of the slabs have no output
        images = images[:, -deep.before :: deep.stride][:, : deep.outputs]
        slabs = replace(deep, size=deep.outputs, before=0, after=0, stride=1)
        problem = replace(problem, axes=(slabs, *problem.axes[1:]))
    volumes: Iterable[tuple[Array, Array]] = zip(images, out, strict=True)
    if all(each.strides[0] == each.shape[1] * each.strides[1] for each in (images, out)):
        # The slabs of all volumes lie at equal distances.
        volumes = [(images.reshape(-1, *images.shape[2:]), out.reshape(-1, *out.shape[2:]))]
    flat, way = flattened(problem), way._replace(flat=False)
    for some, target in volumes:
        problem = replace(flat, images=Spec(some.shape, some.dtype))
        _compute_images(problem, way, some, kernels, target)


def _compute(
    problem: Problem,
    way: Way,
    images: Array,
    kernels: Array | None,
    out: Array,
    where: Array | None = None,
) -> None:
    """Write the result into `out`; all arrays have their full form."""
    if way.tiles:
        assert kernels is not None, "poolings are not computed by transforms"
        transforms.compute(problem, way, images, kernels, out, _compute)
        return
    if way.winograd:
        assert kernels is not None, "poolings have no kernels"
        winograd.compute(problem, way, images, kernels, out, _compute)
        return
    kernels = None if kernels is None else _ready(kernels, way)
    given = _given(way, images, kernels, out, where)
    key = _key(problem, way, [images, kernels, out, where])
    if REPEATS.run(key, given):
        return
    if way.turned:
        axis = len(problem.axes) - 2
        problem, way = turn(problem), way._replace(turned=False)
        images, out = turn_array(images, 1 + axis), turn_array(out, 1 + axis)
        where = None if where is None else turn_array(where, 1 + axis)
    read = [images] if where is None else [images, where]
    gapless = all(each.flags.c_contiguous for each in (*read, out))
    if gapless and (merged := merged_rows.merge(problem)) is not None:
        read = [each.reshape(merged.images.shape) for each in read]
        problem, out = merged, out.reshape(merged.full_output_shape)
    if pieces := long_rows.cut(problem):
        for piece in pieces:
            images, *others = (piece.images.of(each) for each in read)
            _compute(piece.problem, way, images, kernels, piece.out.of(out), *others)
        return
    # Where channels are folded, one kernel stands for all.
    taken = kernels[..., :1] if kernels is not None and is_folded(problem) else kernels
    here = taken is not None and _is_ready(taken, way)
    passes = way.factors.passes if way.factors else None
    work = _work(problem, way.numbers, passes, read, here, out)
    if work.large or way.taps:
        assert where is None, "no pipeline for divided windows weighs"
        large.compute(problem, way, read[0], kernels, out, _compute)
        return
    if taken is not None:
        taken = taken.reshape(*taken.shape[:-1], work.groups, -1)  # (*taps, cg, groups, og)
    done = []
    for pixels, results, runs in work.pieces(read, out):
        for part, run in runs:
            taps = [*way.factors.arrays.values()] if way.factors else []
            if taken is not None and not taps:
                some = taken[..., part]
                taps = [some if work.kernels_here else np.ascontiguousarray(some, way.numbers)]
            arrays = [*pixels, *taps, results[..., part]]
            run(*arrays)
            if work.at_once:
                done.append((run, arrays))
    if work.at_once:
        REPEATS.keep(key, given, done)


def _given(
    way: Way, images: Array, kernels: Array | None, out: Array, where: Array | None = None
) -> list[Array]:
    """The arrays of a call as its runs take them, in their order."""
    taps = [] if kernels is None else [kernels]
    taps = [*way.factors.arrays.values()] if way.factors else taps
    return [images, *([] if where is None else [where]), *taps, out]


def _ready(kernels: Array, way: Way) -> Array:
    """The kernels, turned as the way says; a few are converted, too, if pipelines need that."""
    kernels = turn_array(kernels, kernels.ndim - 4) if way.turned else kernels
    if kernels.dtype == way.numbers and kernels.nbytes <= KERNELS:
        kernels = side_by_side(kernels)  # which NumPy would copy number by number
    own = kernels if kernels.strides[-1] else kernels[..., :1]  # One kernel may stand for all.
    if way.factors or _is_ready(own, way) or own.nbytes > FEW:
        return kernels
    converted = _converted(own.tobytes(), own.shape, own.dtype, way.numbers)
    return np.broadcast_to(converted, kernels.shape)


def _is_ready(kernels: Array, way: Way) -> bool:
    """Whether pipelines can read kernels where they are."""
    flags = kernels.flags
    return kernels.dtype == way.numbers and flags.c_contiguous and flags.aligned


# Cached, so that small calls on such kernels repeat, too.
@lru_cache(maxsize=256)
def _converted(kernels: bytes, shape: tuple[int, ...], dtype: DType, numbers: DType) -> Array:
    """These kernels in the type of the sums, without gaps."""
    return np.frombuffer(kernels, dtype).reshape(shape).astype(numbers)


def _key(problem: Problem, way: Way, arrays: list[Array | None]) -> Hashable:
    """All that the runs of a call depend on, apart from the arrays' addresses and numbers."""
    forms = [each if each is None else (each.dtype, Placement.of(each)) for each in arrays]
    passes = way.factors.passes if way.factors else None
    return problem, way.turned, way.numbers, passes, *forms, loaded().threads


@lru_cache(maxsize=256)
def _prepared(
    problem: Problem,
    numbers: DType | None,
    passes: Passes | None,
    read: tuple[Placement, ...],
    kernels_here: bool,
    out: Placement,
    threads: int,
) -> Work:
    method = choose(problem, numbers, passes.family if passes else "")
    return Work(problem, method, read, kernels_here, out, threads, passes)


def _work(
    problem: Problem,
    numbers: DType | None,
    passes: Passes | None,
    read: list[Array],
    kernels_here: bool,
    out: Array,
) -> Work:
    """The prepared problem, which is cached because calls often repeat on arrays of one form."""
    read_at, out_at = tuple(map(Placement.of, read)), Placement.of(out)
    return _prepared(problem, numbers, passes, read_at, kernels_here, out_at, loaded().threads)


class Work:
    """A problem that is prepared for arrays with a given placement in memory.

    Attributes
    ----------
    method : Method
    groups : int
        The number of groups of channels, as the pipeline sees them.
    read_here, kernels_here, write_here : bool
        Whether the pipeline reads the images, with the array that says which pixels take part, and
        the kernels, and writes the output, in place.
    at_once : bool
        Whether it is a single block, and nothing goes through a copy but perhaps kernels.
    shared : bool
        Whether that array is the same for all channels, so that it is copied for each of them.
    large : bool
        Whether the window is so large that it is computed in parts.
    """

    def __init__(
        self,
        problem: Problem,
        method: Method,
        read: tuple[Placement, ...],
        kernels_here: bool,
        out: Placement,
        threads: int,
        passes: Passes | None = None,
    ) -> None:
        self.problem, self.method, self.threads = problem, method, threads
        self.passes = passes
        self.kernels_here = kernels_here
        self.groups = 1 if method.folded else problem.groups
        self.unit = problem.channels if method.folded else 1  # how many channels lie along x
        types = (problem.images.dtype, method.pixels), (U8, U8)
        self.shared = problem.channels > 1 and any(each.strides[-1] == 0 for each in read[1:])
        self.read_here = all(
            usable(*its, placement, problem.channels) and not scattered(problem, its[0], placement)
            for its, placement in zip(types, read[:1] if self.shared else read, strict=False)
        )
        self.write_here = usable(
            problem.output_dtype,
            method.results,
            out,
            problem.output_channels,
            gaps=method.family == "dense",  # whose vectors lie along the channels of a pixel
        )
        if problem.overflow == "saturate" and (problem.sum_dtype, method.results) == (U64, I64):
            self.write_here = False  # The results are clipped as the unsigned numbers they are.
        self.large = large.is_large(problem, method)
        window = [axis.window for axis in problem.axes]
        self.pointwise = "pointwise" in method.variant.requires
        self.doubling = method.family == "doubling"
        # A volume's slabs are merged when they are read, or else are all held at once.
        held = problem.mode == "median" or method.family == "footprints"
        self.merging = not held and (bool(passes) or problem.kernels is None)
        taps = prod(window) * max(1, problem.channels // max(1, problem.groups))
        if passes and held:
            taps = passes.arrays[0][1][-1]  # those of the footprint
        elif passes:
            taps = sum(window)
        elif self.doubling:
            # A step takes several instructions, and also computes the rows and columns around a
            # block.
            taps = prod(window[:-2]) + 8 * prod(window[-2:]).bit_length()
        elif method.family in ("windows", "tiles"):  # They merge down, and then across.
            taps = prod(window[:-2]) + sum(window[-2:])
        self.taps = taps  # multiply-adds, or steps like them, for each output
        floats = method.numbers.kind == "f"
        work = DENSE if method.family == "dense" else STEADY if floats else SLOW
        self.blocks = Blocks(
            problem,
            pixels=copied(problem) if not self.read_here else SHARED if self.shared else DIRECT,
            outputs=min(work // taps, DIRECT if self.write_here else COPIED),
            together=(not self.read_here or read[0].is_one_row_of_slabs(problem.axes[0].size))
            and (not self.write_here or out.is_one_row_of_slabs(problem.axes[0].outputs)),
        )
        self.at_once = self.read_here and self.write_here and self.blocks.only_one

    def pieces(self, read: list[Array], out: Array) -> Iterator[tuple[list[Array], Array, Runs]]:
        """For every block: what it reads, the array for its results, and the runs that compute it.

        `read` are the images, and perhaps the array that says which pixels take part.
        """
        for block in self.blocks:
            grids = [
                grid(axis, places)
                for axis, places in zip(self.problem.axes, block.places, strict=True)
            ]
            if len(block.images) > 1 and len(grids) > 2:  # Whole volumes lie at equal distances.
                grids[0] = replace(grids[0], used=range(self.problem.axes[0].size))
            m = slice_of(block.images)
            used = m, *(slice_of(each.used) for each in grids)
            in_place = self.read_here and all(indexable(each[used]) for each in read)
            target = out[block.slices]
            if in_place:
                pixels = self._used(read, used)
            else:
                images, *others = (each[m] for each in read)
                pixels = [_copied_where(each, grids) for each in others]
                images, grids = copied_pixels(images, grids, self.method.pixels)
                pixels.insert(0, images)
            results = target if self.write_here else np.empty(target.shape, self.method.results)
            runs = list(self._runs(block, pixels, results, grids))
            yield pixels, results.reshape(self._places(results.shape)), runs
            if not self.write_here:
                if (self.problem.sum_dtype, results.dtype) == (U64, I64):
                    results = results.view(U64)
                self.problem.write(results, target)

    def _used(self, read: list[Array], used: tuple[slice, ...]) -> list[Array]:
        """These pixels, and which of them take part."""
        images, *others = (each[used] for each in read)
        return [images, *(holes.each_channel(where) if self.shared else where for where in others)]

    def _places(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in which pipelines see the results, with folded channels as a part of x."""
        *slabs, oh, ow, nc = shape
        n = prod(slabs)
        if self.problem.kernels is None:
            return n, oh, ow * self.unit, nc // self.unit
        return n, oh, ow * self.unit, self.groups, nc // self.unit // self.groups

    def _runs(
        self, block: Region, read: list[Array], results: Array, grids: list[Grid]
    ) -> Iterator[tuple[slice, Run]]:
        """The runs that compute a block, each with its part of the kernels."""
        problem, method, unit = self.problem, self.method, self.unit
        *deep, down, across = grids
        *taps, kh, kw = (axis.window for axis in problem.axes)
        *slabs, height, _, _ = read[0].shape
        frames = [frame_of(each.reshape(prod(slabs), height, -1)) for each in read]
        pixels = dict(zip(("images", "where"), frames, strict=False))
        places = results.reshape(self._places(results.shape))
        strip, chunk, share = self._tasks(block, grids)
        # Those cells of padding that hold nothing take no part, so none are needed on the right.
        trimmed = problem.pad_mode == "nothing" and not deep and method.family != "tiles"
        arguments = {
            **pixels,
            **_cells(down, across, problem.channels, trimmed=trimmed),
            "padding": method.padding(problem),
            "C": problem.channels // unit,
            "sx": across.stride,
            "sy": down.stride,
            "dx": across.dilation * unit,
            "dy": down.dilation,
            "strip": strip,
            "chunk": chunk,
        }
        arrays = {}  # instead of kernels
        if self.passes:
            arrays = {name: packed(shape, dtype) for name, shape, dtype in self.passes.arrays}
        arguments |= arrays
        if deep:
            table = _slabs(deep[0], problem.axes[0].window, block)
            arguments["slabs"] = buffer(table)
        if problem.kernels is None:
            *outer, rows, columns = zip(problem.axes, block.places, strict=True)
            arguments |= {
                "rows_counted": buffer(self._counts(*rows)),
                "columns_counted": buffer(self._counts(*columns, repeat=unit)),
                "kh": kh,
                "kw": kw,
                "out": frame_of(places),
            }
            if outer:
                of_slabs = self._counts(*outer[0], images=len(block.images))
                arguments["slabs_counted"] = buffer(of_slabs)
            if self.doubling:
                sums, numbers = problem.mode in ("avg", "sum"), across.dilation * problem.channels
                arguments["down_steps"] = buffer(_steps(kh, down.dilation, sums))
                arguments["across_steps"] = buffer(_steps(kw, numbers, sums))
            yield slice(None), Run(loaded(), method.variant, arguments, ["images", *arrays, "out"])
            return
        arguments |= {"oh": places.shape[1], "ow": places.shape[2]}
        if self.passes:
            arguments["out"] = frame_of(places)
            names = [*pixels, *arrays, "out"]
            yield slice(None), Run(loaded(), method.variant, arguments, names)
            return
        depth, count = problem.channels // unit // self.groups, places.shape[-1]
        each = problem.taps * depth * self.groups * method.numbers.itemsize
        most = KERNELS if self.kernels_here else KERNELS // 2  # of which there is a copy, too
        step = max(8, most // each // 64 * 64)
        row = (kw, depth)
        if self.groups == across.dilation == 1 and method.family in ("dense", "deep"):
            row = (1, kw * depth)  # a row's taps and channels lie side by side: one loop
        for o in range(0, count, step):
            part = slice(o, min(o + step, count))
            shape = (*taps, kh, *row, self.groups, part.stop - part.start)
            apart = count if self.kernels_here else shape[-1]
            kernels, out = packed(shape, method.numbers, apart), frame_of(places[..., part])
            given = {**pixels, "kernels": kernels, "out": out}
            if method.family == "dense":
                absent = [each.pixels for each in grids[:-1]]
                zeros = arguments["padding"] == 0 and any((each < 0).any() for each in absent)
                arguments |= {
                    "share": share,
                    "together": PACKED // self.taps,
                    "skips": int(zeros),
                }
            yield part, Run(loaded(), method.variant, arguments | given, list(given))

    def _counts(self, axis: Axis, outputs: range, *, repeat: int = 1, images: int = 1) -> Array:
        """How many cells each window counts along an axis: the divisors of an average.

        Each output counts `repeat` times, and all of them again for each of the images.
        """
        method = self.method
        dtype = method.means
        if not method.divides:
            return np.ones(1, dtype)  # The pipeline does not divide, and does not read it.
        taps = np.ones(len(outputs), int)  # sums use the same pipeline, and divide by 1
        if self.problem.mode == "avg":
            taps = counts(axis, outputs, padding=self.problem.count_padding)
        taps = np.tile(np.repeat(taps, repeat), images)
        return np.concatenate([taps, np.ones(SPARE, int)]).astype(dtype)

    def _tasks(self, block: Region, grids: list[Grid]) -> tuple[int, int, int]:
        """The rows of a strip, the slabs of a chunk, and the kernels that a task takes.

        Strips are low enough for a core's cache, and tasks are as many as threads can share well.
        """
        problem, dense = self.problem, self.method.family == "dense"
        *slabs, oh, ow = (len(each) for each in (block.images, *block.places))
        *_, down, across = grids
        m = prod(slabs)  # slabs of the output
        deep = 1 if self.merging else prod(axis.window for axis in problem.axes[:-2])
        weights = 2 if problem.renormalize else 1  # cells with weights are held twice
        row, room, least = weights * len(across) * problem.channels * deep, STRIP, 8
        halo = len(down) - (oh - 1) * down.stride
        read = m * len(down) * len(across) * problem.channels
        tasks, parts = self._wanted(read, m * oh * ow * problem.output_channels), 1
        kernels = problem.output_channels // self.groups
        if self.pointwise and dense:
            return self._shared_out(m, oh, ow, tasks)
        if dense:
            # Each task packs its kernels, which pays for many pixels. So where kernels are more
            # than the numbers of an image, or pixels are few, tasks share the kernels.
            pieces, least = max(1, m * oh * ow // PIXELS), max(2, -(-PIXELS // ow))
            many = self.taps * kernels > 4 * row * (oh * down.stride + halo)
            if many:
                room = 4 * STRIP  # All kernels that are packed together pass over these numbers.
            parts = min(tasks if many else -(-tasks // pieces), -(-kernels // SHARE))
        else:
            row = max(row, ow * problem.output_channels)
        row = max(row, VECTORS)  # because a row takes whole vectors, and a tile several of them
        # Neighbouring strips both compute the halo. Where it would be most of a strip, a strip is
        # at least half as high as the halo, even if that exceeds the cache.
        height = max(1, (room // row - halo) // down.stride + 1, halo // (2 * down.stride))
        if self.doubling:  # It keeps only the rows of its outputs, but goes through the halo too.
            least = max(least, -(-halo // down.stride))
            height = max(least, 2 * STRIP // row)
        if m * parts < tasks:
            height = min(height, max(least, -(-oh * m * parts // tasks)))
        strips = -(-oh // min(height, oh))
        if dense:
            parts = max(parts, min(tasks // (m * strips), -(-kernels // SHARE)))
        share = -(-kernels // parts)
        if len(grids) > 2:  # Neighbouring slabs share most of what they read, so a task has many.
            return -(-oh // strips), max(1, m * strips // tasks), share
        if strips > 1:
            strips = -(-strips // self.threads) * self.threads
            return -(-oh // strips), 1, share
        numbers = len(down) * len(across) * problem.channels
        together = max(m * parts // tasks, PIXELS // (oh * ow) if dense else 1)
        return oh, max(1, min(together, room // max(1, numbers))), share

    def _shared_out(self, m: int, oh: int, ow: int, most: int) -> tuple[int, int, int]:
        """The same for single taps on pixels of m slabs, in so many tasks at the most.

        Each strip packs all kernels, and each part of the kernels reads all pixels. What takes the
        least time is found by counting; of what takes nearly as long, the most tasks.
        """
        problem, lanes = self.problem, 64 // self.method.numbers.itemsize
        kernels = problem.output_channels // self.groups
        block = self.method.variant.requires["vectors"][0] * lanes
        blocks, rows = -(-kernels // block), m * oh

        def time(tasks: tuple[int, int]) -> float:
            strips, parts = tasks
            each = -(-rows // strips) * ow * -(-blocks // parts) * block * self.taps
            turns = -(-strips * parts // self.threads)
            read = parts * rows * ow * problem.channels
            packed = strips * problem.output_channels * self.taps
            return (
                turns * self.groups * each / (2 * lanes)
                + READ * (read + PACK * packed) / self.threads
            )

        ways = [
            (strips, parts)
            for strips in range(1, min(rows, most) + 1)
            for parts in range(1, min(blocks, most // strips) + 1)
        ]
        least = min(map(time, ways))
        strips, parts = max((w for w in ways if time(w) <= 1.02 * least), key=prod)
        share = -(-blocks // parts) * block
        if strips <= m:
            return oh, -(-m // strips), share
        return -(-rows // strips), 1, share

    def _wanted(self, read: int, written: int) -> int:
        """How many tasks to divide a block into: four for each thread, but no brief ones.

        A call of one task runs on the caller's thread alone.
        """
        steps = written * self.taps + 8 * (read + written)  # a number takes as long as 8 of them
        return max(1, min(4 * self.threads, steps // LEAST))


def _copied_where(where: Array, grids: list[Grid]) -> Array:
    """A copy of what says which of the pixels take part that these grids use."""
    some = copied_pixels(where[..., :1] if where.strides[-1] == 0 else where, grids, U8)[0]
    return holes.each_channel(np.broadcast_to(some, (*some.shape[:-1], where.shape[-1])))


def _slabs(deep: Grid, window: int, block: Region) -> Array:
    """For each slab of the output and each tap, the slab under it, or -1: (slabs, kd)."""
    outputs, taps = np.arange(len(block.places[0])), np.arange(window)
    cells = outputs[:, np.newaxis] * deep.stride + taps * deep.dilation
    slabs = relative(deep.pixels, deep.used.start)[cells]  # of one image
    images = np.arange(len(block.images))[:, np.newaxis, np.newaxis] * len(deep.used)
    return np.where(slabs < 0, -1, slabs + images).reshape(-1, window).astype(np.int32)


@lru_cache(maxsize=256)
def _steps(window: int, unit: int, sums: bool) -> Array:
    """For each step of doubling: where the other half begins, and the number behind it, or -1."""
    if not sums:
        powers = [2**step for step in range(window.bit_length())]
        return np.array([[h * unit, -1] for h in (*powers[:-1], window - powers[-1])], np.int32)
    bits, half, steps = f"{window:b}", 1, []
    for bit in bits[1:]:
        steps.append([half * unit, 2 * half * unit if bit == "1" else -1])
        half = 2 * half + int(bit)
    return np.array(steps, np.int32).reshape(-1, 2)


def _bytes(array: Array) -> Array:
    """The array itself, or a view of booleans as bytes, which pipelines take."""
    return array.view(U8) if array.dtype.kind == "b" else array


def _cells(down: Grid, across: Grid, channels: int, *, trimmed: bool) -> dict[str, Any]:
    """The arguments by which a pipeline finds its cells among the pixels that these grids use."""
    before, after = (
        numbers_of(relative(part, across.used.start), channels).astype(np.int32)
        for part in (across.before, across.after)
    )
    left = len(before)
    return {
        "rows": buffer(padded(down, 3 * len(down) + SPARE)),
        "before": buffer(before),
        "after": buffer(after[:0] if trimmed and (after < 0).all() else after),
        "left": left,
        "right": left + len(across.inner) * channels,
        "first": (across.inner.start - across.used.start) * channels if across.inner else 0,
        "blank": int(max(before.max(initial=-1), after.max(initial=-1)) < 0),
    }
