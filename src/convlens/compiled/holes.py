"""Pixels that take no part, by pipelines: other numbers in their place, and means of the rest."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from convlens.compiled.choice import NAMES, U8, DType
from convlens.compiled.library import Run, frame, loaded
from convlens.compiled.placement import indexable, without_gaps
from convlens.core.problem import Array

TASK = 2**16  # the least bytes of a task
SHORT = 128  # numbers of a row below which the rows of an image are taken for one, if they can be
FEW = 4  # the channels of a pixel that pipelines give one mask as fast as NumPy would repeat it

# The types of sums, of weights and of their quotients that there are pipelines for.
QUOTIENTS = [
    *((floats, weights, floats) for floats in ("f32", "f64") for weights in (floats, "u8", "i64")),
    *(("i64", weights, "f64") for weights in ("u8", "i64")),
]

# Bits that are all set in numbers that are not finite, for each size of floats in bytes.
EXPONENTS = {2: 0x7C00, 4: 0x7F800000, 8: 0x7FF << 52}


def fill(cells: Array, pixels: Array, where: Array | None, nothing: Any) -> None:
    """Copy the pixels that take part into cells, and put a number in place of the others.

    Parameters
    ----------
    cells, pixels : (m, *space, c)
        The cells' type has no more than eight bytes.
    where : array of bool or None
        Which pixels take part, in the same shape; None for those that are finite.
    nothing : number
    """
    _copy(cells, pixels, where, ~0, 0, _bits(nothing, cells.dtype))


def weigh(cells: Array, pixels: Array, where: Array | None) -> None:
    """Write the weights of pixels into cells: 1 for those that take part, 0 for the others."""
    _copy(cells, pixels, where, 0, _bits(1, cells.dtype), _bits(0, cells.dtype))


def each_channel(where: Array) -> Array:
    """A mask (m, *space, c) as bytes side by side: a copy if it is the same for all channels."""
    if where.strides[-1] or where.shape[-1] == 1:
        return where
    cells = np.empty(where.shape, U8)
    weigh(cells, cells, where)
    return cells


def divide(sums: Array, weights: Array, out: Array) -> None:
    """Write sums divided by weights into `out`: NaN where there is no weight. (m, *outputs, nc).

    Weights may be the same for all channels, in a single one.
    """
    names = NAMES[sums.dtype], NAMES[weights.dtype], NAMES[out.dtype]
    channels = sums.shape[-1] // weights.shape[-1]
    if names not in QUOTIENTS or channels > FEW:
        np.true_divide(sums, weights, out=out, casting="same_kind")
        np.copyto(out, np.nan, where=weights == 0)
        return
    made = np.empty(out.shape, out.dtype) if _rows(out) is None else out
    rows = [_rows(each) for each in (sums, weights, made)]
    _run(("means", *names), rows, {"C": channels})
    if made is not out:
        out[...] = made


def _bits(number: Any, dtype: DType) -> int:
    """The bits of a number of this type."""
    return int(np.asarray(number).astype(dtype).view(f"u{dtype.itemsize}"))


def _copy(
    cells: Array, pixels: Array, where: Array | None, kept: int, added: int, nothing: int
) -> None:
    if where is None and cells.dtype.kind != "f":  # Integers are finite.
        cells[...] = pixels if kept else 1
        return
    size = cells.dtype.itemsize
    bits, ones = np.dtype(f"u{size}"), 2 ** (8 * size) - 1
    read = [_contiguous(pixels, cells.dtype).view(bits)]
    scalars = {"kept": kept & ones, "added": added, "nothing": nothing}
    if where is None:
        names = "finite", NAMES[bits]
        scalars["exponent"] = EXPONENTS[size]
    else:
        names, channels = ("given", NAMES[bits]), where.shape[-1]
        if where.strides[-1] == 0 and channels > 1:  # the same for all channels of a pixel
            where = where[..., :1] if channels <= FEW else np.repeat(where[..., :1], channels, -1)
        scalars["C"] = channels // where.shape[-1]
        read.append(_contiguous(where, where.dtype).view(U8))
    arrays = [*read, cells.view(bits)]
    short = cells.shape[-2] * cells.shape[-1] < SHORT
    if short and all(each.flags.c_contiguous for each in arrays):
        arrays = [each.reshape(len(each), 1, -1, each.shape[-1]) for each in arrays]
    _run(names, [_rows(each) for each in arrays], scalars)


def _contiguous(array: Array, dtype: DType) -> Array:
    """The array itself if pipelines can read it, and otherwise a copy."""
    usable = array.dtype == dtype and array.flags.aligned
    if usable and not array.flags.c_contiguous:
        usable = indexable(array) and _rows(array) is not None
    return array if usable else without_gaps(array, dtype)


def _rows(array: Array) -> Array | None:
    """A view of (m, *space, c) as (slabs, images, rows, numbers), if rows have no gaps, or None."""
    *outer, width, channels = array.shape
    rows = array.reshape(*outer, width * channels)
    gapless = rows.shape[-1] < 2 or rows.strides[-1] == array.itemsize
    if not (gapless and np.may_share_memory(rows, array)):
        return None
    return rows[np.newaxis] if rows.ndim == 3 else rows.swapaxes(0, 1)


def _run(names: tuple[str, ...], rows: list[Any], scalars: dict[str, int]) -> None:
    """Run a pipeline on arrays of rows, of which the last one is written."""
    layouts = tuple((each.shape, each.strides, each.dtype) for each in rows)
    _prepared(names, layouts, tuple(scalars.items()), loaded().threads)(*rows)


@lru_cache(maxsize=256)
def _prepared(
    names: tuple[str, ...],
    layouts: tuple[tuple[tuple[int, ...], tuple[int, ...], DType], ...],
    scalars: tuple[tuple[str, int], ...],
    threads: int,
) -> Run:
    """A pipeline for arrays of these shapes, strides and types, which calls often repeat."""
    variant = loaded().variants.choose({}, [names])
    arrays = [name for name, kind in variant.arguments.items() if kind == "array"]
    (slabs, images, height, width), _, dtype = layouts[-1]
    tasks = max(1, min(4 * threads, slabs * images * height * width * dtype.itemsize // TASK))
    strips = max(1, -(-tasks // slabs))
    arguments = dict(scalars) | {
        "strip": max(1, -(-height // strips)),
        "chunk": max(1, slabs // tasks),
    }
    frames = {name: frame(*layout) for name, layout in zip(arrays, layouts, strict=True)}
    return Run(loaded(), variant, arguments | frames, arrays)
