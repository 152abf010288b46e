"""Filters in NumPy, block by block: of any rank, in any type, with any border.

A block is a part of the output whose cells, the pixels and borders under its windows, fit into the
processor's cache. Whatever a filter does, one step after another, it does to the cells of a block
before it goes on to the next one. So there is no array between two steps but a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convlens.core.cells import sources
from convlens.core.problem import Array
from convlens.ndimage.arguments import Step

# The most cells of a block, in bytes and in numbers: arrays of so many fit into a core's cache.
BYTES, CELLS = 2**21, 2**18
ROW = 2**8  # outputs of a block along the last axis, at the least
SHORT, LEAST = 16, 2**12  # rows of fewer numbers, of so many in all, do not fill the vectors
LIMIT = 2**20  # the most cells of a block that is larger because its windows are

Block = tuple[slice, ...]
Compute = Callable[[Array, tuple[range, ...]], Array]


def apart(input_: Array, output: Array) -> Array:
    """The input, or a copy of it if it would change while the output is written."""
    if input_.flags.owndata and output.flags.owndata:  # which is found out much faster
        return input_.copy() if input_ is output else input_
    return input_.copy() if np.may_share_memory(input_, output) else input_


def long_rows(filter_: Callable[..., None]) -> Callable[..., None]:
    """Give a filter arrays with long rows, where a short last axis is filtered among longer ones.

    The filter takes the input, the output, the steps, and then arrays with as many axes or other
    things. The last axis is made the first.
    """

    @wraps(filter_)
    def filtered(input_: Array, output: Array, steps: Sequence[Step], *others: Any) -> None:
        last = output.ndim - 1
        short = (
            output.size >= LEAST
            and output.ndim > 1
            and output.shape[-1] < min(SHORT, max(output.shape))
        )
        if not (short and any(step.axis == last for step in steps)):
            filter_(input_, output, steps, *others)
            return

        def moved(each: Any) -> Any:
            arrays = isinstance(each, np.ndarray) and each.ndim == output.ndim
            return np.ascontiguousarray(np.moveaxis(each, -1, 0)) if arrays else each

        turned = np.empty((output.shape[-1], *output.shape[:-1]), output.dtype)
        of_turned = [step._replace(axis=(step.axis + 1) % output.ndim) for step in steps]
        filtered(moved(input_), turned, of_turned, *map(moved, others))
        output[...] = np.moveaxis(turned, 0, -1)

    return filtered


def filter_blocks(
    input_: Array,
    output: Array,
    steps: Sequence[Step],
    dtype: np.dtype[Any] | type,
    compute: Compute,
    most: int | None = None,
) -> None:
    """Write `compute` of the cells under each block's windows into the output.

    Parameters
    ----------
    input_, output : array
        Of one shape; they share no memory, as `apart` sees to.
    steps : sequence of Step
        The windows, at most one along each axis.
    dtype
        The type that the cells are converted to.
    compute : callable
        Takes the cells of a block, which it must not change, and the positions of the cells along
        each axis; returns what the block's outputs are.
    most : int, optional
        The most cells of a block, unless a window needs more.
    """
    if output.size == 0:
        return
    by_axis = {step.axis: step for step in steps}
    halo = [by_axis[n].size - 1 if n in by_axis else 0 for n in range(output.ndim)]
    start = [by_axis[n].before if n in by_axis else 0 for n in range(output.ndim)]
    most = min(CELLS, BYTES // np.dtype(dtype).itemsize) if most is None else most
    with np.errstate(all="ignore"):
        for block in blocks(output.shape, tuple(halo), most):
            places = tuple(
                range(each.start - first, each.stop - first + more)
                for each, first, more in zip(block, start, halo, strict=True)
            )
            computed = compute(cells(input_, places, steps, dtype), places)
            (output[block] if block else output)[...] = converted(computed, output.dtype)


@lru_cache(maxsize=64)
def blocks(shape: tuple[int, ...], halo: tuple[int, ...], most: int) -> tuple[Block, ...]:
    """The blocks of an output of this shape, whose windows reach over so many more cells.

    Neighbouring blocks both compute the cells between them. So a block grows along the axis where
    these would be the most of it, or along the last one, in which numbers lie side by side.
    """
    sizes = [min(size, ROW if axis == len(shape) - 1 else 1) for axis, size in enumerate(shape)]

    def grown(axis: int) -> bool:
        size = min(shape[axis], 2 * sizes[axis])
        whole = [n + more for n, more in zip(sizes, halo, strict=True)]
        whole[axis] = size + halo[axis]
        limit = LIMIT if halo[axis] > sizes[axis] else most
        if size == sizes[axis] or prod(whole) > limit:
            return False
        sizes[axis] = size
        return True

    axes = range(len(shape))
    while any(map(grown, sorted(axes, key=lambda n: (halo[n] / sizes[n], n), reverse=True))):
        pass
    cuts = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(shape, sizes, strict=True)
    ]
    return tuple(product(*cuts))


def cells(
    array: Array, places: Sequence[range], steps: Sequence[Step], dtype: np.dtype[Any] | type
) -> Array:
    """The cells at these places along each axis, of the array and the borders around it.

    The result may be a view of the array.
    """
    index, taken = [slice(None)] * array.ndim, []
    for step in steps:
        at, size = places[step.axis], array.shape[step.axis]
        if at.start < 0 or at.stop > size:
            taken.append((step, _sources(at.start, at.stop, size, step.border.mode)))
    outside = {step.axis for step, _ in taken}
    for number, at in enumerate(places):
        if number not in outside:
            index[number] = slice(at.start, at.stop)
    result = array[tuple(index)]
    for step, pixels in taken:
        result = _around(result, step.axis, places[step.axis], pixels)
    result = result.astype(dtype, copy=False)
    for step, _ in taken:
        fill(result, places, step, array.shape[step.axis])
    return result


def _around(array: Array, axis: int, places: range, pixels: Array) -> Array:
    """Cells at these places along an axis, which take these pixels.

    Those that lie on their pixels are copied, which is several times as fast as looking them up.
    """
    size, along = array.shape[axis], (slice(None),) * axis
    inner = range(max(0, places.start), min(size, places.stop))
    if not inner:
        return array.take(pixels, axis, mode="clip")
    result = np.empty((*array.shape[:axis], len(places), *array.shape[axis + 1 :]), array.dtype)
    first, last = (end - places.start for end in (inner.start, inner.stop))
    result[(*along, slice(first, last))] = array[(*along, slice(inner.start, inner.stop))]
    for some in (slice(0, first), slice(last, None)):
        result[(*along, some)] = array.take(pixels[some], axis, mode="clip")
    return result


def fill(values: Array, places: Sequence[range], step: Step, size: int) -> None:
    """Put the number of a constant border into the cells beyond the ends of an axis."""
    if step.border.mode != "constant":
        return
    at, along = places[step.axis], (slice(None),) * step.axis
    number: Any = step.border.value
    if values.dtype.kind in "iu":  # It wraps around as all numbers of these do.
        number = np.uint64(int(number) % 2**64).astype(values.dtype)
    if at.start < 0:
        values[(*along, slice(0, -at.start))] = number
    if at.stop > size:
        values[(*along, slice(max(0, size - at.start), None))] = number


@lru_cache(maxsize=64)
def _sources(start: int, stop: int, size: int, mode: str) -> Array:
    """The pixels behind these cells; those of a constant border take any."""
    return sources(np.arange(start, stop), size, mode)


def copied(input_: Array, output: Array) -> None:
    """Write the input into the output as NumPy does, and SciPy where nothing is filtered."""
    with np.errstate(all="ignore"):
        output[...] = input_


def converted(values: Array, dtype: np.dtype[Any]) -> Array:
    """Numbers in another type, as C converts them: cut off to integers, which wrap around."""
    if values.dtype.kind == "f" and dtype.kind == "b":
        return np.abs(values) >= 1
    if values.dtype.kind == "f" and dtype.kind in "iu":
        # The conversion of numbers that a type does not hold is left open by C. SciPy's compilers
        # convert to an integer of 32 or 64 bits and keep the low ones.
        wide = np.int32 if dtype.itemsize < 4 or dtype == np.int32 else np.int64
        if dtype.kind == "u" and dtype.itemsize == 8:
            low = values.astype(np.int64)
            return np.where(values < 2.0**63, low.view(np.uint64), values.astype(np.uint64))
        values = values.astype(wide)
    return values.astype(dtype, copy=False)


def windows(values: Array, axis: int, count: int) -> Callable[[int], Array]:
    """For a tap of a window along an axis, the cells under it of `count` outputs."""
    along = (slice(None),) * axis
    return lambda tap: values[(*along, slice(tap, tap + count))]


def shifted(values: Array, offset: Sequence[int], shape: Sequence[int]) -> Array:
    """The cells under one tap of a window, for outputs of this shape."""
    return values[tuple(slice(o, o + n) for o, n in zip(offset, shape, strict=True))]


def outputs(places: Sequence[range], sizes: Sequence[int]) -> tuple[int, ...]:
    """The shape of a block's outputs, whose windows of these sizes need the cells at the places."""
    return tuple(len(at) - size + 1 for at, size in zip(places, sizes, strict=True))
