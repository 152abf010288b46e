"""Memory that a call takes beyond its arguments and its result, at full size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from .course import FUNCTIONS

VALID, SAME, PADDED, STRIDED, CHANNELS, SEVERAL, POOL = FUNCTIONS
MEGABYTE = 10**6
LIMIT = 40 * MEGABYTE
GRAY, LAYERS, KERNELS = np.ones((3, 3)), np.ones((3, 3, 3)), np.ones((3, 3, 3, 3))


def extra(function, *arguments, **options):
    """Peak memory of a call in bytes, less its result's, as NumPy reports it to tracemalloc."""
    tracemalloc.start()
    result = function(*arguments, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - result.nbytes


def test_the_measure_measures():
    """A copy of the images would not be seen, so the limits below would prove nothing."""
    images = np.ones((1000, 1000))
    assert 0 <= extra(lambda array: array + 1, images) < MEGABYTE
    copied = extra(lambda array: (array.copy(), array + 1)[1], images)
    assert 0 <= copied - images.nbytes < MEGABYTE


DIGITS = ((50_000, 28, 28), np.uint8)
FLOAT_DIGITS = ((10_000, 28, 28), np.float64)
ANIMALS = ((10_000, 32, 32, 3), np.uint8)
FLOAT_ANIMALS = ((4_000, 32, 32, 3), np.float64)
SCREEN = ((1, 1080, 1920), np.float64)
COLOUR_SCREEN = ((1, 1080, 1920, 1), np.float64)
CASES = {
    # The three workloads that have names, and the rest of the family on the same images.
    "valid": (VALID, DIGITS, GRAY),
    "several kernels": (SEVERAL, ANIMALS, KERNELS, "valid"),
    "max pooling": (POOL, ANIMALS, (2, 2), (2, 2), "max"),
    "avg pooling": (POOL, ANIMALS, (2, 2), (2, 2), "avg"),
    "same": (SAME, DIGITS, GRAY),
    "padding": (PADDED, DIGITS, GRAY, (2, 4)),
    "strided": (STRIDED, DIGITS, GRAY, "valid", (2, 2)),
    "channels": (CHANNELS, ANIMALS, LAYERS, "same"),
    # Floats tempt to compute on the input itself, or on a padded copy of it.
    "float valid": (VALID, FLOAT_DIGITS, GRAY),
    "float same": (SAME, FLOAT_DIGITS, GRAY),
    "float padding": (PADDED, FLOAT_DIGITS, GRAY, (2, 4)),
    "float strided": (STRIDED, FLOAT_DIGITS, GRAY, "same", (2, 2)),
    "float channels": (CHANNELS, FLOAT_ANIMALS, LAYERS),
    "float several": (SEVERAL, FLOAT_ANIMALS, KERNELS),
    "float pooling": (POOL, FLOAT_ANIMALS, (2, 2), (2, 2), "avg"),
    # "same" at a stride of 300 pads a 28 x 28 image to 8103 x 8103.
    "stride 20": (STRIDED, ((2_000, 28, 28), np.uint8), GRAY, "same", (20, 20)),
    "stride 300": (STRIDED, ((100, 28, 28), np.uint8), GRAY, "same", (300, 300)),
    "stride 20, channels": (CHANNELS, ((1_000, 32, 32, 3), np.uint8), LAYERS, "same", (20, 20)),
    "stride 300, channels": (CHANNELS, ((50, 32, 32, 3), float), LAYERS, "same", (300, 300)),
    "stride 20, several": (SEVERAL, ((1_000, 32, 32, 3), float), KERNELS, "same", (20, 20)),
    "stride 300, several": (SEVERAL, ((50, 31, 31, 3), np.uint8), KERNELS, "same", (300, 300)),
    # However large the stride: only the windows that meet the image need room.
    "stride 9000": (STRIDED, ((3, 31, 31), float), GRAY, "same", (9000, 9000)),
    "stride 9000, several": (SEVERAL, ((3, 31, 31, 3), float), KERNELS, "same", (9000, 9000)),
    # One large image leaves no room for more than a padded copy and a product.
    "screen, valid": (VALID, SCREEN, GRAY),
    "screen, same": (SAME, SCREEN, GRAY),
    "screen, padding": (PADDED, SCREEN, GRAY, (1, 1)),
    "screen, strided": (STRIDED, SCREEN, GRAY),
    "screen, channels": (CHANNELS, COLOUR_SCREEN, LAYERS[..., :1]),
    "screen, several": (SEVERAL, COLOUR_SCREEN, KERNELS[:, :, :1, :1]),
    "screen, pooling": (POOL, COLOUR_SCREEN, (2, 2), (2, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_call_takes_less_than_40_megabytes(case):
    """A call takes more memory than that beyond its arguments and its result."""
    function, (shape, dtype), *arguments = CASES[case]
    taken = extra(function, np.ones(shape, dtype), *arguments)
    assert taken < LIMIT, f"{taken / MEGABYTE:.1f} MB"
