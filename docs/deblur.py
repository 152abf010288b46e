"""Take the blur off a photograph that was taken by a camera whose lens is known.

The lens blurs: each pixel is a weighted mean of the scene around it, which goes on beyond the edges
of the picture; mirrored pixels stand for that. The camera also adds noise, and rounds to bytes. The
scene is found by least squares, as the picture that comes nearest to the photograph once it is
blurred. Where the lens lets next to nothing through, noise would be made very large, so the change
is kept small at the same time: the larger `damp`, the smaller.
"""

import numpy as np
from scipy.sparse.linalg import lsqr

import convlens

LENS = convlens.filters.gaussian(1.5)


def camera(shape: tuple[int, ...]):
    """The lens, as a linear operator on the colours (c, h, w) of a photograph of this shape."""
    h, w, c = shape
    return convlens.linear_operator((c, h, w), LENS, pad_mode="reflect")


def taken(scene: np.ndarray, noise: float = 0.5, seed: int = 0) -> np.ndarray:
    """The photograph (h, w, c) of uint8 that the camera takes of a scene."""
    colours = np.moveaxis(scene, -1, 0).astype(float)  # (c, h, w)
    blurred = (camera(scene.shape) @ colours.ravel()).reshape(colours.shape)
    blurred += np.random.default_rng(seed).normal(0, noise, blurred.shape)
    return np.moveaxis(blurred, 0, -1).round().clip(0, 255).astype(np.uint8)


def deblurred(photograph: np.ndarray, damp: float = 0.04) -> np.ndarray:
    """The scene (h, w, c) of uint8, as least squares find it."""
    colours = np.moveaxis(photograph, -1, 0).astype(float)  # (c, h, w)
    lens = camera(photograph.shape)
    change, *_ = lsqr(lens, colours.ravel() - lens @ colours.ravel(), damp=damp, iter_lim=100)
    sharp = colours + change.reshape(colours.shape)
    return np.moveaxis(sharp, 0, -1).round().clip(0, 255).astype(np.uint8)
