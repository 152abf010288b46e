"""SciPy: ndimage's filters and signal's convolution by Fourier transforms, both one thread."""

from functools import partial

import numpy as np
from contenders import Contender, Task
from scipy import ndimage, signal

from peers.sliding import Sliding


def contenders(task: Task) -> list[Contender]:
    """Filters give an output for each pixel, of which strides and paddings pick some."""
    found = []
    sliding = Sliding.of(task)
    function = _filter(task)
    if sliding and function:
        dtype = task.plan.output_dtype if task.mode == "max" else task.real
        out = np.empty(sliding.shape, dtype)

        def into(out):
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
    fourier = _fourier(task)
    return [*found, fourier] if fourier else found


def _filter(task: Task):
    """A function of images (m, h, w, c) and output=, or None."""
    plan = task.plan
    size = (1, *plan.window, 1)
    if task.mode == "max":
        return partial(ndimage.maximum_filter, size=size, mode="constant", cval=-np.inf)
    if task.mode == "avg":
        if not task.count_padding and plan.padding != ((0, 0), (0, 0)):
            return None
        return partial(ndimage.uniform_filter, size=size, mode="constant")
    kernel = task.same_kernel
    if kernel is None or plan.dilation != (1, 1):
        return None
    if task.case.separable:  # and sums to 1
        column, row = kernel.sum(1), kernel.sum(0)

        def separably(images, output):
            between = ndimage.correlate1d(images, column, axis=1, mode="constant")
            ndimage.correlate1d(between, row, axis=2, mode="constant", output=output)

        return separably
    weights = kernel[np.newaxis, :, :, np.newaxis]
    return partial(ndimage.correlate, weights=weights, mode="constant")


def _fourier(task: Task) -> Contender | None:
    """Sums over channels too, as an axis along which the kernel fits once; not for integers."""
    plan = task.plan
    if task.mode != "sum" or task.exact or plan.dilation != (1, 1) or plan.groups != 1:
        return None
    if task.taps.shape[3] > 1:
        return None
    flipped = task.taps[::-1, ::-1, ::-1, 0][np.newaxis]  # (1, kh, kw, c)
    (top, bottom), (left, right) = plan.padding
    padding = ((0, 0), (top, bottom), (left, right), (0, 0))

    def call():
        padded = np.pad(task.pixels, padding) if any(map(any, plan.padding)) else task.pixels
        sums = signal.oaconvolve(padded, flipped, mode="valid", axes=(1, 2, 3))
        return sums[:, :: plan.stride[0], :: plan.stride[1]]

    return Contender("SciPy, oaconvolve", call, np.asarray)
