"""SciPy's filters on Dask arrays: each chunk is filtered with the pixels around it, in memory.

The filter itself does not know of chunks. It gets a chunk with as many neighbours along each axis
as its windows reach, over all its passes; what it makes of the neighbours is cut off again. At the
ends of the array there are none, so that its border is the one that was asked for. Arrays that wrap
around get the pixels of the other end as neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from typing import Any, ParamSpec, TypeVar

import numpy as np

from convlens import arguments as arrays
from convlens.ndimage import arguments

Given = ParamSpec("Given")
Result = TypeVar("Result")
# The filters that go over the array twice, the second time over what the first made of it.
TWICE = ("opening", "closing", "tophat")


def takes_dask(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The filter, taking Dask arrays too."""
    parameters = signature(function)

    @wraps(function)
    def call(*args: Given.args, **options: Given.kwargs) -> Result:
        input_ = args[0] if args else options.get("input")
        if arrays.is_dask(input_):
            lazy: Result = _lazy(function, parameters, args, options)
            return lazy
        return function(*args, **options)

    call.__module__ = "convlens.ndimage"  # where it is found again when it is unpickled
    return call


def _lazy(
    function: Callable[..., Any], parameters: Signature, args: Any, options: dict[str, Any]
) -> Any:
    """The filtered Dask array, not yet computed."""
    import dask.array as da  # noqa: PLC0415  # only when a call has a Dask array

    name = function.__name__
    call = parameters.bind(*args, **options)
    call.apply_defaults()
    given = dict(call.arguments)
    given |= given.pop("kwargs", {})
    _check(name, given)
    image: Any = arrays.array("images", given.pop("input"))
    # A single pixel refuses what is refused, before any work, and gives the type of the result.
    dtype = function(np.zeros((1,) * image.ndim, image.dtype), **given).dtype
    depth, boundary = _around(name, given, image.ndim)
    for axis in depth:
        if image.numblocks[axis] == 1 or depth[axis] >= image.shape[axis]:
            image = image.rechunk({axis: -1})  # which has its own borders at both ends
            depth[axis], boundary[axis] = 0, "none"
    return da.map_overlap(
        lambda piece: function(piece, **given),
        image,
        depth=depth,
        boundary=boundary,
        dtype=dtype,
        meta=np.empty((0,) * image.ndim, dtype),
    )


def _check(name: str, given: dict[str, Any]) -> None:
    """Refuse what no chunk can be filtered with by itself."""
    if name.startswith(("generic", "vectorized")):
        raise TypeError(
            f"{name} takes no Dask arrays, since how far its function reaches is not known; "
            "use dask.array.map_overlap"
        )
    output = given.get("output")
    if output is not None and not isinstance(output, (type, np.dtype, str)):
        raise TypeError(
            "output must be a type or its name for a Dask array, whose result is a new one; got "
            f"{type(output).__name__}"
        )
    if given.get("mask") is not None:
        raise ValueError("mask cannot be given for a Dask array: choose by dask.array.where")
    if given.get("iterations", 1) < 1:
        raise ValueError(
            "iterations must be at least 1 for a Dask array, since each moves what a chunk depends "
            f"on; got {given['iterations']}"
        )


def _around(name: str, given: dict[str, Any], rank: int) -> tuple[dict[int, int], dict[int, str]]:
    """For each axis the neighbours that a chunk needs on both sides, and what they are at ends."""
    line = "1d" in name
    filtered = (
        (arguments.axis(given["axis"], rank),) if line else arguments.axes(given.get("axes"), rank)
    )
    count = len(filtered)
    reaches = _reaches(given, count)
    if list(filtered) != sorted(filtered):  # some arguments follow the order of the input's axes
        reaches = [max(reaches)] * count
    passes = (2 if name.endswith(TWICE) else 1) * given.get("iterations", 1)
    modes = arguments.sequence(given.get("mode", "constant"), count, "mode")
    depth, boundary = dict.fromkeys(range(rank), 0), dict.fromkeys(range(rank), "none")
    for axis, reach, mode in zip(filtered, reaches, modes, strict=True):
        depth[axis] = reach * passes
        boundary[axis] = "periodic" if mode in ("wrap", "grid-wrap") else "none"
    return depth, boundary


def _reaches(given: dict[str, Any], count: int) -> list[int]:
    """How far a window reaches along each filtered axis, whatever its origin."""
    if "sigma" in given:
        radii = arguments.sequence(given.get("radius"), count, "radius")
        sigmas = arguments.sequence(given["sigma"], count, "sigma")
        truncate = given.get("truncate", 4.0)
        return [
            int(truncate * float(sigma) + 0.5) if radius is None else int(radius)
            for sigma, radius in zip(sigmas, radii, strict=True)
        ]
    windows = [given.get(key) for key in ("weights", "structure", "footprint")]
    shapes = [np.shape(window) for window in windows if window is not None]
    if shapes:
        return list(shapes[0])
    if given.get("size") is not None:
        return [int(size) for size in arguments.sequence(given["size"], count, "size")]
    return [1] * count  # differences of neighbours, and crosses
