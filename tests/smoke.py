"""Check that an installed convlens works, by random calls on both engines.

    python tests/smoke.py [--without-halide]

It needs NumPy and convlens and nothing else, so that it runs where the other tests cannot, such as
under an emulator. With --without-halide it fails if Halide is installed, because then a library
that needs Halide would seem to work.
"""

import sys
from importlib.util import find_spec

import numpy as np

import convlens

TYPES = [np.dtype(name) for name in ("u1", "i1", "u2", "i8", "f2", "f4", "f8")]
CALLS = 300


def convolution(rng, images):
    """A random convolution of these images: the function, its arguments and its options."""
    c = images.shape[-1]
    groups = int(rng.choice([1, c]))
    taps, nc = rng.integers(1, 6, 2), groups * rng.integers(1, 20)
    kernels = rng.integers(-4, 5, (*taps, c // groups, nc))
    return (
        convlens.convolve,
        (images, kernels.astype(np.result_type(images, "i1"))),
        {
            "padding": str(rng.choice(["valid", "same", "full"])),
            "stride": tuple(rng.integers(1, 3, 2).tolist()),
            "dilation": tuple(rng.integers(1, 3, 2).tolist()),
            "groups": groups,
            "pad_mode": str(rng.choice(["constant", "edge", "reflect", "symmetric", "wrap"])),
        },
    )


def pooling(rng, images):
    """A random pooling of these images: the function, its arguments and its options."""
    return (
        convlens.pool,
        (images, tuple(rng.integers(1, 10, 2).tolist())),
        {
            "stride": tuple(rng.integers(1, 4, 2).tolist()),
            "mode": str(rng.choice(["max", "min", "avg", "sum"])),
            "padding": str(rng.choice(["valid", "same"])),
        },
    )


def main():
    """Compare the two engines on random calls, and print how far apart they are."""
    if "--without-halide" in sys.argv:
        assert find_spec("halide") is None, "Halide is installed here"
    convlens.show_config()
    rng, largest = np.random.default_rng(0), 0.0
    for number in range(CALLS):
        dtype = TYPES[number % len(TYPES)]
        shape = rng.integers([1, 10, 10, 1], [4, 40, 40, 5])
        images = rng.integers(0, 100, shape).astype(dtype)
        if dtype.kind == "f":
            images += rng.random(shape).astype(dtype)
        function, arguments, options = (convolution, pooling)[number % 2](rng, images)
        ours = function(*arguments, **options, method="compiled")
        meaning = function(*arguments, **options, method="numpy")
        assert ours.dtype == meaning.dtype, (ours.dtype, meaning.dtype)
        scale = np.max(np.abs(meaning.astype(float)), initial=1)
        error = np.max(np.abs(ours.astype(float) - meaning.astype(float)), initial=0) / scale
        exact = meaning.dtype.kind != "f" or options.get("mode") in ("max", "min")
        unit = np.finfo(meaning.dtype).eps if meaning.dtype.kind == "f" else 0
        assert error <= (0 if exact else 16 * unit), (
            number,
            error,
            function,
            shape,
            dtype,
            options,
        )
        largest = max(largest, error / unit if unit else 0)
    print(f"{CALLS} calls agree with NumPy: integers exactly, floats within {largest:.2g} units")


if __name__ == "__main__":
    main()
