"""OpenCV: image after image in a loop, and, as a trick, a batch taken for one tall image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from contenders import Contender, Task
from machine import THREADS

from peers.sliding import Sliding

cv2.setNumThreads(THREADS)

BORDER = {"borderType": cv2.BORDER_CONSTANT}  # zeros


def contenders(task: Task) -> list[Contender]:
    """Filters, which give an output for each pixel, and resizing, which averages to shrink."""
    found = []
    batch = len(task.pixels) > 1
    function, dtype = _filter(task)
    if function:
        sliding, stacked = Sliding.of(task), Sliding.of(task, stacked=True)
        if sliding:
            name = "OpenCV, in a loop" if batch else "OpenCV"
            found.append(_looped(name, function, sliding, dtype))
        if stacked and batch:
            found.append(_tall("OpenCV, one tall image", function, stacked, dtype))
    if _shrinks(task):
        found.append(_shrinking(task, "OpenCV, resize in a loop"))
        if batch:
            found.append(_shrinking(task, "OpenCV, resize of one tall image", tall=True))
    return found


def _filter(task: Task) -> tuple[Callable | None, np.dtype]:
    """A function of an image (h, w[, c]) and dst=, and the type that it writes."""
    plan, dtype = task.plan, task.real
    if plan.dilation != (1, 1):
        return None, dtype
    if task.mode == "max":
        ones = np.ones(plan.window, np.uint8)
        return lambda image, dst: cv2.dilate(image, ones, dst=dst), task.pixels.dtype
    if task.mode == "avg":
        if not task.count_padding and any(map(any, plan.padding)):
            return None, dtype
        depth, size = _depth(dtype), plan.window[::-1]
        return lambda image, dst: cv2.boxFilter(image, depth, size, dst=dst, **BORDER), dtype
    kernel = task.same_kernel
    if kernel is None:
        return None, dtype
    if task.exact and 255 * np.abs(kernel).sum() < 2**15:
        dtype = np.dtype("int16")
    depth, floats = _depth(dtype), kernel.astype(task.real)
    if task.case.separable:  # and sums to 1
        row, column = floats.sum(0), floats.sum(1)
        return (
            lambda image, dst: cv2.sepFilter2D(image, depth, row, column, dst=dst, **BORDER)
        ), dtype
    return lambda image, dst: cv2.filter2D(image, depth, floats, dst=dst, **BORDER), dtype


def _depth(dtype: np.dtype) -> int:
    return {"int16": cv2.CV_16S, "float32": cv2.CV_32F, "float64": cv2.CV_64F}[dtype.name]


def _looped(name: str, function: Callable, sliding: Sliding, dtype: np.dtype) -> Contender:
    def call(out):
        for image, dst in zip(_plain(sliding.padded()), _plain(out), strict=True):
            function(image, dst)
        return out

    return Contender(
        name,
        lambda: call(np.empty(sliding.shape, dtype)),
        sliding.picked,
        partial(call, np.empty(sliding.shape, dtype)),
    )


def _tall(name: str, function: Callable, sliding: Sliding, dtype: np.dtype) -> Contender:
    """Rows where windows would see two images at once are left out afterwards."""

    def call(out):
        function(_stack(sliding.padded()), _stack(out))
        return out

    return Contender(
        name,
        lambda: call(np.empty(sliding.shape, dtype)),
        sliding.picked,
        partial(call, np.empty(sliding.shape, dtype)),
        role="trick",
    )


def _shrinks(task: Task) -> bool:
    """Whether the windows lie side by side and fill the images."""
    plan, (_, h, w, _) = task.plan, task.pixels.shape
    (kh, kw) = plan.window
    return task.mode == "avg" and plan.stride == (kh, kw) and h % kh == w % kw == 0


def _shrinking(task: Task, name: str, *, tall: bool = False) -> Contender:
    def call(out):
        images, results = task.pixels.astype(task.real, copy=False), out
        pairs = [(_stack(images), _stack(results))]
        if not tall:
            pairs = zip(_plain(images), _plain(results), strict=True)
        for image, dst in pairs:
            cv2.resize(image, dst.shape[1::-1], dst=dst, interpolation=cv2.INTER_AREA)
        return out

    return Contender(
        name,
        lambda: call(np.empty(task.output_shape, task.real)),
        np.asarray,
        partial(call, np.empty(task.output_shape, task.real)),
        role="trick" if tall else "peer",
    )


def _plain(images: np.ndarray) -> np.ndarray:
    """(m, h, w, c), or (m, h, w) for one channel: OpenCV's shapes."""
    return images[..., 0] if images.shape[-1] == 1 else images


def _stack(images: np.ndarray) -> np.ndarray:
    """(m, h, w, c) as one image (m * h, w, c)."""
    m, h, w, c = images.shape
    return _plain(images.reshape(m * h, w, c))
