#!/usr/bin/env python3
"""Convolution with several kernels: each makes a channel of its own.

Every kernel is applied to the same images; the nc results are stacked as
the channels of the output. One tap now holds a c x nc matrix: c numbers
in, nc out. The line that multiplies stays as it was, with a matrix in it.
"""
import numpy as np


def convolve(images, kernels, padding='same', stride=(1, 1)):
    """Perform a convolution on images using multiple kernels.

    images: numpy.ndarray (m, h, w, c), m images with c channels
    kernels: numpy.ndarray (kh, kw, c, nc), nc kernels
    padding: 'same' (the output is h x w at every stride), 'valid' (none)
        or a tuple (ph, pw), zeros added on each side of height and width
    stride: tuple (sh, sw), the steps of the window down and across
    Returns: numpy.ndarray (m, oh, ow, nc), float64
    """
    images, kernels = np.asarray(images), np.asarray(kernels)
    if images.ndim != 4 or kernels.ndim != 4:
        raise ValueError(f'expected images (m, h, w, c) and kernels '
                         f'(kh, kw, c, nc), got {images.shape} and '
                         f'{kernels.shape}')
    m, h, w, c = images.shape
    kh, kw, kc, nc = kernels.shape
    if kc != c:
        raise ValueError(f'the kernels have {kc} channels, the images {c}')
    if np.shape(stride) != (2,) or min(stride) < 1:
        raise ValueError(f'stride must be (sh, sw), none below 1, '
                         f'got {stride!r}')
    sh, sw = stride

    # Rows and columns of zeros in all, both sides together.
    if padding == 'same':
        # For h windows: h - 1 steps of sh rows, then the last one's kh.
        rows, cols = (h - 1) * sh + kh - h, (w - 1) * sw + kw - w
    elif padding == 'valid':
        rows, cols = 0, 0
    elif np.shape(padding) == (2,) and min(padding) >= 0:
        rows, cols = 2 * padding[0], 2 * padding[1]
    else:
        raise ValueError(f"padding must be 'same', 'valid' or (ph, pw), "
                         f'none negative, got {padding!r}')
    if not (1 <= kh <= h + rows and 1 <= kw <= w + cols):
        raise ValueError(f'a {kh} x {kw} kernel does not fit in {h} x {w} '
                         f'images with padding {padding}')

    # The first window, and one more for every step that still fits.
    oh, ow = (h + rows - kh) // sh + 1, (w + cols - kw) // sw + 1
    output = np.zeros((m, oh, ow, nc))

    # The windows that meet the image: rows y0 to y1, columns x0 to x1 of the
    # output. All others see nothing but padding and give 0.
    top, left = rows - rows // 2, cols - cols // 2  # of an odd number, 1 more
    y0, y1 = max(0, (top - kh) // sh + 1), min(oh, (top + h - 1) // sh + 1)
    x0, x1 = max(0, (left - kw) // sw + 1), min(ow, (left + w - 1) // sw + 1)
    inner = output[:, y0:y1, x0:x1]

    # They reach kh - 1 rows and kw - 1 columns into the padding, no more;
    # the first of them then starts at (y, x).
    pad = ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0))
    y, x = y0 * sh - top + kh - 1, x0 * sw - left + kw - 1
    nh, nw = y1 - y0, x1 - x0

    # A few images at a time: small enough for the processor's cache.
    few = 1 + 2 ** 16 // ((h + 2 * kh) * (w + 2 * kw) * (c + nc))
    for n in range(0, m, few):
        # In float64 the sums of small integer types cannot wrap around.
        part = np.pad(images[n:n + few], pad).astype(float, copy=False)
        for i, j in np.ndindex(kh, kw):
            under_tap = part[:, y + i:y + i + sh * nh:sh,
                             x + j:x + j + sw * nw:sw]
            inner[n:n + few] += under_tap @ kernels[i, j]
    return output
