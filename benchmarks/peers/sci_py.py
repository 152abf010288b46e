"""SciPy: ndimage's filters and signal's convolution by Fourier transforms, both one thread."""

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

        def into(out: Array) -> Array:
            function(sliding.padded(), output=out)
            return out

        found.append(
            Contender(
                "SciPy, ndimage",
                lambda: into(np.empty(sliding.shape, dtype)),
                sliding.picked,
                partial(into, out),
            )
        )
    return found + _fourier(task)


def _filter(task: Task) -> Callable[..., Any] | None:
    """A function of images (m, *space, c) and output=, or None."""
    plan = task.plan
    if plan.dilation != (1,) * task.space:
        return None
    size, mode = (1, *plan.window, 1), "constant" if task.pads_zeros else BORDERS[task.border]
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
        sigma = (0, *(task.case.sigma,) * task.space, 0)
        radius = [taps // 2 for taps in size]
        return partial(ndimage.gaussian_filter, sigma=sigma, radius=radius, mode=mode)
    if task.space == 1:
        return partial(ndimage.correlate1d, weights=kernel, axis=1, mode=mode)
    return partial(ndimage.correlate, weights=kernel[np.newaxis, ..., np.newaxis], mode=mode)


def _fourier(task: Task) -> list[Contender]:
    """Sums over channels too, as an axis along which the kernel fits once; not for integers."""
    plan = task.plan
    if task.mode != "sum" or task.exact or plan.dilation != (1,) * task.space or plan.groups != 1:
        return []
    if task.taps.shape[-1] > 1 or not task.pads_zeros:
        return []
    flipped = np.flip(task.taps[..., 0])[np.newaxis]  # (1, *taps, c)
    padding, axes = ((0, 0), *plan.padding, (0, 0)), range(1, 2 + task.space)

    def call(function: Callable[..., Array]) -> Array:
        padded = np.pad(task.pixels, padding) if task.pads else task.pixels
        sums = function(padded, flipped, mode="valid", axes=axes)
        return sums[:, *(slice(None, None, stride) for stride in plan.stride)]

    return [
        Contender(f"SciPy, {function.__name__}", partial(call, function), np.asarray)
        for function in (signal.oaconvolve, signal.fftconvolve)
    ]
