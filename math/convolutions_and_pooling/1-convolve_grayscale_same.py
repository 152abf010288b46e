#!/usr/bin/env python3
"""Same convolution: with a border of zeros the output keeps the size.

A kh x kw window makes a valid result kh - 1 rows and kw - 1 columns
smaller than the image. Adding that many rows and columns of zeros around
the image first (padding) makes the result as large as the image was.
"""
import numpy as np


def convolve_grayscale_same(images, kernel):
    """Perform a same convolution on grayscale images.

    images: numpy.ndarray (m, h, w), m images of h x w pixels
    kernel: numpy.ndarray (kh, kw)
    Returns: numpy.ndarray (m, h, w), float64
    """
    images, kernel = np.asarray(images), np.asarray(kernel)
    if images.ndim != 3 or kernel.ndim != 2:
        raise ValueError(f'expected images (m, h, w) and a kernel (kh, kw), '
                         f'got {images.shape} and {kernel.shape}')
    m, h, w = images.shape
    kh, kw = kernel.shape
    if 0 in (h, w, kh, kw):
        raise ValueError(f'no pixels: {h} x {w} images, {kh} x {kw} kernel')

    # kh - 1 rows of zeros in all; of an odd number one more goes above.
    top, left = kh // 2, kw // 2
    pad = ((0, 0), (top, kh - 1 - top), (left, kw - 1 - left))
    output = np.zeros((m, h, w))

    # A few images at a time: small enough for the processor's cache.
    few = 1 + 2 ** 16 // ((h + kh) * (w + kw))
    for n in range(0, m, few):
        # In float64 the sums of small integer types cannot wrap around.
        part = np.pad(images[n:n + few], pad).astype(float, copy=False)
        for i, j in np.ndindex(kh, kw):
            under_tap = part[:, i:i + h, j:j + w]       # (few, h, w)
            output[n:n + few] += under_tap * kernel[i, j]
    return output
