#!/usr/bin/env python3
"""Pooling: a window slides as before, but has no numbers of its own.

Max pooling keeps the largest pixel of each window, average pooling their
mean; each channel is pooled by itself. Both grow tap by tap, the way the
convolutions do, with `maximum` or `add` where those multiply and add.
"""
import numpy as np


def pool(images, kernel_shape, stride, mode='max'):
    """Perform pooling on images.

    images: numpy.ndarray (m, h, w, c), m images with c channels
    kernel_shape: tuple (kh, kw), the size of the window
    stride: tuple (sh, sw), the steps of the window down and across
    mode: 'max' or 'avg'
    Returns: numpy.ndarray (m, oh, ow, c), float64
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f'expected images (m, h, w, c), got {images.shape}')
    m, h, w, c = images.shape
    if np.shape(kernel_shape) != (2,):
        raise ValueError(f'kernel_shape must be (kh, kw), got {kernel_shape}')
    kh, kw = kernel_shape
    if np.shape(stride) != (2,) or min(stride) < 1:
        raise ValueError(f'stride must be (sh, sw), none below 1, '
                         f'got {stride!r}')
    sh, sw = stride
    if not (1 <= kh <= h and 1 <= kw <= w):
        raise ValueError(f'a {kh} x {kw} window does not fit in {h} x {w}')

    # Every merge starts from the number that changes nothing.
    if mode == 'max':
        merge, start = np.maximum, -np.inf
    elif mode == 'avg':
        merge, start = np.add, 0.0
    else:
        raise ValueError(f"mode must be 'max' or 'avg', got {mode!r}")

    # The first window, and one more for every step that still fits.
    oh, ow = (h - kh) // sh + 1, (w - kw) // sw + 1
    output = np.full((m, oh, ow, c), start)
    for i, j in np.ndindex(kh, kw):
        under_tap = images[:, i:i + sh * oh:sh, j:j + sw * ow:sw]
        merge(output, under_tap, out=output)            # (m, oh, ow, c)
    if mode == 'avg':
        output /= kh * kw
    return output
