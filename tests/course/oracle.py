"""What the course files must compute, written from the definitions and slow.

Every output pixel is computed by itself, from its window of a zero-padded copy.
Integers are Python's own, so they are exact whatever their size; floats are summed
in float64.
"""

from __future__ import annotations

import numpy as np


def exact(array):
    """A copy that computes without wrapping: Python's integers, or float64."""
    return array.astype(np.float64 if array.dtype.kind == "f" else object)


def same_padding(size, window, step):
    """Zeros before and after, so that there are as many windows as there were pixels."""
    total = (size - 1) * step + window - size
    return total - total // 2, total // 2


def pad(images, window, padding, stride):
    """A copy of the images with zeros around height and width."""
    if padding == "valid":
        around = [(0, 0), (0, 0)]
    elif padding == "same":
        around = [same_padding(images.shape[1 + i], window[i], stride[i]) for i in (0, 1)]
    else:
        around = [(each, each) for each in padding]
    (top, bottom), (left, right) = around
    m, h, w, *channels = images.shape
    padded = np.zeros((m, top + h + bottom, left + w + right, *channels), images.dtype)
    padded[:, top : top + h, left : left + w] = images
    return padded


def windows(images, window, stride):
    """All (place in the output, window of the images) that fit, and the output's size."""
    (_, h, w), (kh, kw), (sh, sw) = images.shape[:3], window, stride
    rows, columns = range(0, h - kh + 1, sh), range(0, w - kw + 1, sw)
    found = [
        ((n, y, x), images[n, row : row + kh, column : column + kw])
        for n in range(len(images))
        for y, row in enumerate(rows)
        for x, column in enumerate(columns)
    ]
    return found, (len(images), len(rows), len(columns))


def convolve(images, kernel, padding="valid", stride=(1, 1)):
    """The sum of window times kernel, no flip: any of the files 0 to 5."""
    images, kernel = exact(images), exact(kernel)
    images = pad(images, kernel.shape[:2], padding, stride)
    found, size = windows(images, kernel.shape[:2], stride)
    output = np.zeros(size + kernel.shape[3:])
    for place, window in found:
        products = window[..., None] * kernel if kernel.ndim == 4 else window * kernel
        output[place] = products.sum(axis=tuple(range(images.ndim - 1)))
    return output


def pool(images, kernel_shape, stride, mode="max"):
    """The largest pixel of every window that fits, or the mean of its pixels."""
    found, size = windows(exact(images), kernel_shape, stride)
    output = np.zeros(size + images.shape[3:])
    for place, window in found:
        if mode == "max":
            output[place] = window.max(axis=(0, 1))
        else:
            output[place] = window.sum(axis=(0, 1)) / (kernel_shape[0] * kernel_shape[1])
    return output
