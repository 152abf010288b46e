#!/usr/bin/env python3
"""Convolution with the padding of your choice.

ph rows of zeros above and below, pw columns of zeros left and right: the
larger the border, the larger the result. ph = pw = 0 is a valid
convolution, ph = kh // 2 and pw = kw // 2 is a same one for odd kernels.
"""
import numpy as np


def convolve_grayscale_padding(images, kernel, padding):
    """Perform a convolution on grayscale images with custom padding.

    images: numpy.ndarray (m, h, w), m images of h x w pixels
    kernel: numpy.ndarray (kh, kw)
    padding: tuple (ph, pw), zeros added on each side of height and width
    Returns: numpy.ndarray (m, h + 2ph - kh + 1, w + 2pw - kw + 1), float64
    """
    images, kernel = np.asarray(images), np.asarray(kernel)
    if images.ndim != 3 or kernel.ndim != 2:
        raise ValueError(f'expected images (m, h, w) and a kernel (kh, kw), '
                         f'got {images.shape} and {kernel.shape}')
    m, h, w = images.shape
    kh, kw = kernel.shape
    if np.shape(padding) != (2,) or min(padding) < 0:
        raise ValueError(f'padding must be (ph, pw), none negative, '
                         f'got {padding!r}')
    ph, pw = padding
    if not (1 <= kh <= h + 2 * ph and 1 <= kw <= w + 2 * pw):
        raise ValueError(f'a {kh} x {kw} kernel does not fit in {h} x {w} '
                         f'images with padding {padding}')

    # Padding makes the image larger; the rest is a valid convolution.
    oh, ow = h + 2 * ph - kh + 1, w + 2 * pw - kw + 1
    pad = ((0, 0), (ph, ph), (pw, pw))
    output = np.zeros((m, oh, ow))

    # A few images at a time: small enough for the processor's cache.
    few = 1 + 2 ** 16 // ((h + 2 * ph) * (w + 2 * pw))
    for n in range(0, m, few):
        # In float64 the sums of small integer types cannot wrap around.
        part = np.pad(images[n:n + few], pad).astype(float, copy=False)
        for i, j in np.ndindex(kh, kw):
            under_tap = part[:, i:i + oh, j:j + ow]     # (few, oh, ow)
            output[n:n + few] += under_tap * kernel[i, j]
    return output
