"""OpenCV: image after image in a loop, and, as a trick, a batch taken for one tall image.

Signals are the rows of one image. A volume is a stack of slabs, each an image; and, for what can be
done one axis after the other, an image of one row a slab, down which goes the pass along its depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from contenders import Array, Contender, Role, Task
from machine import THREADS

from peers.sliding import Sliding

cv2.setNumThreads(THREADS)

CLIPS = True  # what does not fit into a type of integers
BORDERS = {"symmetric": cv2.BORDER_REFLECT}  # all others are zeros


def contenders(task: Task) -> list[Contender]:
    """Filters, which give an output for each pixel, and resizing, which averages to shrink."""
    found = []
    batch = len(task.pixels) > 1
    function, dtype = _filter(task)
    if function:
        sliding = Sliding.of(task)
        if sliding:
            name = "OpenCV, in a loop" if batch and task.space == 2 else "OpenCV"
            name = "OpenCV, slab by slab" if task.space == 3 else name
            found.append(_sliding(name, function, sliding, dtype))
        stacked = Sliding.of(task, stacked=True)
        if stacked and batch and task.space == 2:
            tall = partial(_tall, function)
            found.append(_sliding("OpenCV, one tall image", tall, stacked, dtype, "trick"))
    if _shrinks(task):
        found.append(_shrinking(task, "OpenCV, resize in a loop"))
        if batch:
            found.append(_shrinking(task, "OpenCV, resize of one tall image", tall=True))
    return found


def _filter(task: Task) -> tuple[Callable[..., Any] | None, np.dtype[Any]]:
    """A function of images (m, *space, c) and of the output for each pixel, and that one's type."""
    plan, dtype = task.plan, task.real
    kernel, convolution = task.same_kernel, task.mode == "sum"
    if plan.dilation != (1,) * task.space or (convolution and kernel is None):
        return None, dtype
    if task.mode == "avg" and not task.count_padding and task.pads:
        return None, dtype
    if task.mode == "max" or task.clipped:
        dtype = task.plan.output_dtype
    elif kernel is not None and task.exact and 255 * np.abs(kernel).sum() < 2**15:
        dtype = np.dtype("int16")
    image = partial(_of_image, task, dtype)
    lines = task.lines if task.case.sigma else []
    if task.space == 1:
        whole = image((1, *plan.window), [] if kernel is None else [kernel[np.newaxis]])
        return lambda images, out: whole(_plain(images), _plain(out)), dtype
    if task.space == 2:
        taps = lines or ([] if kernel is None else [kernel])
        return partial(_each, image(plan.window, taps)), dtype
    depth, *window = plan.window
    if kernel is not None and not lines:
        return partial(_summed, [image(window, [part]) for part in kernel]), dtype
    line = image((depth, 1), [each[:, np.newaxis] for each in lines[:1]])
    return partial(_along_and_across, line, image(window, lines[1:])), dtype


def _of_image(
    task: Task, dtype: np.dtype[Any], window: Sequence[int], taps: Sequence[Array]
) -> Callable[..., Any]:
    """A function of an image (h, w[, c]) and dst=.

    The taps of a convolution are a kernel (kh, kw), or a column (kh,) and a row (kw,).
    """
    if task.mode == "max":
        ones = np.ones(window, np.uint8)
        return lambda image, dst: cv2.dilate(image, ones, dst=dst)
    depth, border = _depth(dtype), BORDERS.get(task.border, cv2.BORDER_CONSTANT)
    if task.mode == "avg":
        size = window[::-1]
        return lambda image, dst: cv2.boxFilter(image, depth, size, dst=dst, borderType=border)
    taps = [each.astype(task.real) for each in taps]
    if len(taps) == 1:
        (kernel,) = taps
        return lambda image, dst: cv2.filter2D(image, depth, kernel, dst=dst, borderType=border)
    column, row = taps
    return lambda image, dst: cv2.sepFilter2D(image, depth, row, column, dst=dst, borderType=border)


def _each(function: Callable[..., Any], images: Array, out: Array) -> None:
    """Image after image of (m, h, w, c)."""
    for image, dst in zip(_plain(images), _plain(out), strict=True):
        function(image, dst)


def _summed(functions: Sequence[Callable[..., Any]], volumes: Array, out: Array) -> None:
    """Sum what the slabs under a kernel's slabs make, of volumes (m, d, h, w, c); zeros around."""
    part, middle = np.empty_like(_plain(out)[0, 0]), len(functions) // 2
    for slabs, results in zip(_plain(volumes), _plain(out), strict=True):
        for z, result in enumerate(results):
            functions[middle](slabs[z], result)
            for y, function in enumerate(functions, z - middle):
                if y != z and 0 <= y < len(slabs):
                    function(slabs[y], part)
                    cv2.add(result, part, dst=result)


def _along_and_across(
    line: Callable[..., Any], slab: Callable[..., Any], volumes: Array, out: Array
) -> None:
    """First along the depth of volumes (m, d, h, w, c), and then slab by slab."""
    between = np.empty(volumes.shape[1:], out.dtype)
    for volume, results in zip(volumes, out, strict=True):
        line(volume.reshape(len(volume), -1), between.reshape(len(volume), -1))
        _each(slab, between, results)


def _depth(dtype: np.dtype[Any]) -> int:
    depths = {"uint8": cv2.CV_8U, "int16": cv2.CV_16S}
    return (depths | {"float32": cv2.CV_32F, "float64": cv2.CV_64F})[dtype.name]


def _sliding(
    name: str,
    function: Callable[..., Any],
    sliding: Sliding,
    dtype: np.dtype[Any],
    role: Role = "peer",
) -> Contender:
    def call(out: Array) -> Array:
        function(sliding.padded(), out)
        return out

    return Contender(
        name,
        lambda: call(np.empty(sliding.shape, dtype)),
        sliding.picked,
        partial(call, np.empty(sliding.shape, dtype)),
        role,
    )


def _tall(function: Callable[..., Any], images: Array, out: Array) -> None:
    """Rows where windows would see two images at once are left out afterwards."""
    function(_stack(images), _stack(out))


def _shrinks(task: Task) -> bool:
    """Whether the windows lie side by side and fill the images."""
    if task.mode != "avg" or task.space != 2 or task.plan.stride != task.plan.window:
        return False
    sizes = zip(task.pixels.shape[1:], task.plan.window, strict=False)
    return not any(size % window for size, window in sizes)


def _shrinking(task: Task, name: str, *, tall: bool = False) -> Contender:
    def call(out: Array) -> Array:
        images, results = task.pixels.astype(task.real, copy=False), out
        if tall:
            images, results = _stack(images), _stack(results)
        _each(_shrink, images, results)
        return out

    return Contender(
        name,
        lambda: call(np.empty(task.output_shape, task.real)),
        np.asarray,
        partial(call, np.empty(task.output_shape, task.real)),
        role="trick" if tall else "peer",
    )


def _shrink(image: Array, dst: Array) -> None:
    cv2.resize(image, dst.shape[1::-1], dst=dst, interpolation=cv2.INTER_AREA)


def _plain(images: Array) -> Array:
    """Images without the axis of their channels if there is but one: OpenCV's shapes."""
    return images[..., 0] if images.shape[-1] == 1 else images


def _stack(images: Array) -> Array:
    """(m, h, w, c) as one image (1, m * h, w, c)."""
    m, h, w, c = images.shape
    return images.reshape(1, m * h, w, c)
