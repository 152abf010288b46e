#!/usr/bin/env python3
"""Valid convolution: the kernel visits every place where it fits.

At each place the pixels under the kernel (its window) are multiplied by
the kernel's numbers and added up: one window makes one output pixel.

The same sum, read the other way round: take one number of the kernel, its
tap (i, j). It meets, over all windows, an image as large as the output,
shifted by i rows and j columns. So the result is a sum of kh * kw shifted
images, each scaled by its tap, and NumPy adds whole images quickly.
"""
import numpy as np


def convolve_grayscale_valid(images, kernel):
    """Perform a valid convolution on grayscale images.

    images: numpy.ndarray (m, h, w), m images of h x w pixels
    kernel: numpy.ndarray (kh, kw)
    Returns: numpy.ndarray (m, h - kh + 1, w - kw + 1), float64
    """
    images, kernel = np.asarray(images), np.asarray(kernel)
    if images.ndim != 3 or kernel.ndim != 2:
        raise ValueError(f'expected images (m, h, w) and a kernel (kh, kw), '
                         f'got {images.shape} and {kernel.shape}')
    m, h, w = images.shape
    kh, kw = kernel.shape
    if not (1 <= kh <= h and 1 <= kw <= w):
        raise ValueError(f'a {kh} x {kw} kernel does not fit in {h} x {w}')

    # The kernel's first row can lie on rows 0 to h - kh of the image.
    oh, ow = h - kh + 1, w - kw + 1
    output = np.zeros((m, oh, ow))

    # A few images at a time: small enough for the processor's cache.
    few = 1 + 2 ** 16 // (h * w)
    for n in range(0, m, few):
        # In float64 the sums of small integer types cannot wrap around.
        part = images[n:n + few].astype(float, copy=False)
        for i, j in np.ndindex(kh, kw):
            under_tap = part[:, i:i + oh, j:j + ow]     # (few, oh, ow)
            output[n:n + few] += under_tap * kernel[i, j]
    return output
