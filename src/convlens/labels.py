"""Results for xarray's DataArrays: with the names of their axes, and the coordinates still true."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from convlens.core.axis import Axis
from convlens.core.problem import FULL, Array, Problem

Dataset = Any  # xarray is never imported: without it there are no DataArrays


def is_labelled(value: object) -> bool:
    """Whether this is a DataArray."""
    if type(value) is np.ndarray:
        return False
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray)


def without(value: Any) -> Any:
    """The array in a DataArray; anything else is returned itself."""
    return value.data if is_labelled(value) else value


def like(images: Any, problem: Problem, result: Array) -> Array:
    """The result as a DataArray if images are one, or else itself.

    Name and attributes are those of the images, and so are the names of axes. An output has the
    coordinates of the middle of its window: those of a pixel, or halfway between those of two. No
    coordinates are left along an axis on which a middle lies outside the images, nor for channels
    that each depend on several of the images'.

    Parameters
    ----------
    images : object
        As the caller gave them.
    problem : Problem
    result : numpy.ndarray or dask.array.Array
    """
    if not is_labelled(images):
        return result
    layout, dims = problem.layout, dict(zip(problem.layout.images, images.dims, strict=True))
    coords = images.coords.to_dataset()
    for letter, axis in zip(FULL[len(problem.axes)].images[1:-1], problem.axes, strict=True):
        if letter in dims:
            coords = _at_middles(coords, dims[letter], axis)
    if "c" in dims:
        dims["n"] = dims["c"]
        one_by_one = problem.groups == problem.channels == problem.output_channels
        if not ("n" in layout.output and one_by_one):
            coords = coords.drop_dims(dims["c"], errors="ignore")
    labelled: Array = sys.modules["xarray"].DataArray(
        result,
        coords.coords,
        [dims[axis] for axis in layout.output],
        images.name,
        images.attrs,
    )
    return labelled


def _at_middles(coords: Dataset, name: Any, axis: Axis) -> Dataset:
    """The coordinates of the middles of the windows along the axis of this name."""
    if name not in coords.dims:
        return coords
    first = axis.reach - 1 - 2 * axis.before  # in halves of a pixel
    middles = first + 2 * axis.stride * np.arange(axis.outputs)
    low, high = middles // 2, (middles + 1) // 2
    if axis.outputs and not (low[0] >= 0 and high[-1] < axis.size):
        return coords.drop_dims(name)
    below, above = (coords.isel({name: pixels}) for pixels in (low, high))
    return below if axis.reach % 2 else _halfway(below, above, name)


def _halfway(below: Dataset, above: Dataset, name: Any) -> Dataset:
    """Numbers and times in the middle of two; other coordinates have none, and are left out."""
    kept = {}
    for each, variable in below.variables.items():
        kind = variable.dtype.kind
        if name not in variable.dims:
            kept[each] = variable
        elif kind in "iufcmM":
            low, high = (all_of.variables[each].to_base_variable() for all_of in (below, above))
            if kind in "iu":
                low, high = low.astype(np.float64), high.astype(np.float64)
            kept[each] = low + (high - low) / 2
            kept[each].attrs = variable.attrs
    return type(below)(coords=kept)
