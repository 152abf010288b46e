"""SciPy: ndimage's filters and signal's functions, all of one thread."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from contenders import Array, Contender, Task
from scipy import ndimage, signal

from peers.sliding import Sliding

BORDERS = {"constant": "constant", "symmetric": "reflect"}  # ndimage's names for NumPy's


def contenders(task: Task) -> list[Contender]:
    """Filters give an output for each pixel, of which strides and paddings pick some."""
    found = []
    sliding = Sliding.of(task)
    function = _filter(task)
    if sliding and function:
        dtype = task.plan.output_dtype if task.mode == "max" else task.real
        out = np.empty(sliding.shape, dtype)

        own = _own_axes(task)

        def into(out: Array) -> Array:
            function(sliding.padded()[own], output=out[own])
            return out

        found.append(
            Contender(
                "SciPy, ndimage",
                lambda: into(np.empty(sliding.shape, dtype)),
                sliding.picked,
                partial(into, out),
            )
        )
    return found + _summing(task)


def _own_axes(task: Task) -> tuple[slice | int, ...]:
    """An index without the axes of a single image and a single channel, which would cost time."""
    m, *space, c = (slice(None) if size > 1 else 0 for size in task.pixels.shape)
    return m, *(slice(None) for _ in space), c


def _filter(task: Task) -> Callable[..., Any] | None:
    """A function of images, with the axes of `_own_axes`, and output=, or None."""
    plan = task.plan
    if plan.dilation != (1,) * task.space:
        return None
    batch, *_, channels = (isinstance(each, slice) for each in _own_axes(task))
    size = (1,) * batch + plan.window + (1,) * channels
    mode = "constant" if task.pads_zeros else BORDERS[task.border]
    if task.mode == "max":
        return partial(ndimage.maximum_filter, size=size, mode=mode, cval=-np.inf)
    if task.mode == "avg":
        if task.pads and task.border == "nothing" and not task.count_padding:
            return None
        return partial(ndimage.uniform_filter, size=size, mode=mode)
    kernel = task.same_kernel
    if kernel is None:
        return None
    if task.case.sigma:
        sigma = [task.case.sigma if taps > 1 else 0 for taps in size]
        radius = [taps // 2 for taps in size]
        return partial(ndimage.gaussian_filter, sigma=sigma, radius=radius, mode=mode)
    if task.space == 1:
        return partial(ndimage.correlate1d, weights=kernel, axis=batch, mode=mode)
    return partial(ndimage.correlate, weights=kernel.reshape(size), mode=mode)


def _summing(task: Task) -> list[Contender]:
    """Functions of `signal`, for one kernel; they do not compute integers exactly.

    They sum over channels too, as an axis along which the kernel fits once.
    """
    plan = task.plan
    if task.mode != "sum" or task.exact or plan.dilation != (1,) * task.space or plan.groups != 1:
        return []
    if task.taps.shape[-1] > 1 or not task.pads_zeros:
        return []
    kernel = task.taps[..., 0]  # (*taps, c)
    flipped = np.flip(kernel)[np.newaxis]
    padding, axes = ((0, 0), *plan.padding, (0, 0)), range(1, 2 + task.space)

    def transformed(function: Callable[..., Array]) -> Callable[[Array], Array]:
        return lambda padded: function(padded, flipped, mode="valid", axes=axes)

    def filtered(padded: Array) -> Array:
        sums: Array = signal.lfilter(flipped.ravel(), 1, padded, axis=1)
        return sums[:, len(kernel) - 1 :]

    def correlated(padded: Array) -> Array:
        rows = (signal.correlate(row, kernel[:, 0], "valid") for row in padded[..., 0])
        return np.stack([*rows])[..., np.newaxis]

    def call(function: Callable[[Array], Array]) -> Array:
        sums = function(np.pad(task.pixels, padding) if task.pads else task.pixels)
        return sums[:, *(slice(None, None, stride) for stride in plan.stride)]

    ways = {"oaconvolve": transformed(signal.oaconvolve)}
    if task.space != 2:  # one transform of a large image rounds more than is allowed
        ways["fftconvolve"] = transformed(signal.fftconvolve)
    if task.space == task.channels == 1:
        ways |= {"lfilter": filtered, "correlate in a loop": correlated}
    return [
        Contender(f"SciPy, {name}", partial(call, function), np.asarray)
        for name, function in ways.items()
    ]
