"""One rule holds for all empty arrays: every output is that of a window on padding alone.

A sum is 0, or NaN if the kernel has NaN or inf, which times a zero of the padding are NaN. A sum
over no channels is 0. This is checked in memory by both methods, for Dask arrays and for files.
"""

import dask.array as da
import numpy as np
import pytest
from strategies import PAD_MODES, POOL_MODES, each_method

import convlens
from convlens.streaming import open_array, stream

CONVOLUTIONS = [  # axes of the images, of the kernels and of the result
    ("mhw", "yx", "mhw"),
    ("mhwc", "yxc", "mhw"),
    ("mhwc", "yxcn", "mhwn"),
    ("mhwc", "yx", "mhwc"),
    ("hw", "yx", "hw"),
    ("hwc", "yxc", "hw"),
    ("hwc", "yxcn", "hwn"),
]


def results(verb, images, arguments, options, tmp_path):
    """Yield the results in memory by both methods, from a Dask array, and from a file."""
    plan = getattr(convlens, f"plan_{verb.__name__}")(images, *arguments, **options)
    assert str(plan.output_shape) in str(plan)
    yield verb(images, *arguments, **options)
    yield verb(images, *arguments, **options, method="numpy")
    yield verb(da.from_array(images, chunks=2), *arguments, **options).compute(scheduler="sync")
    np.save(tmp_path / "images.npy", images)
    kernels = arguments[0] if verb is convlens.convolve else None
    stream(plan, open_array(tmp_path / "images.npy"), kernels, tmp_path / "results.npy")
    yield np.load(tmp_path / "results.npy")


def missing(axes, *several):
    """Which axes to empty: each by itself, and these combinations, as far as the axes exist."""
    return [empty for empty in (*axes, *several) if set(empty) <= set(axes)]


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize(
    ("axes", "empty"),
    [
        (axes, empty)
        for axes in CONVOLUTIONS
        for empty in missing("".join(sorted({*axes[0], *axes[1]} - {*"yx"})), "hw", "mc", "hcn")
    ],
)
def test_convolve(axes, empty, pad_mode, tmp_path):
    """A convolution without images, rows, columns, channels or kernels is wrong or refused."""
    of_images, of_kernels, of_result = axes
    sizes = {"m": 2, "h": 3, "w": 4, "c": 3, "n": 5, "y": 2, "x": 3} | dict.fromkeys(empty, 0)
    images = np.ones([sizes[axis] for axis in of_images], np.float32)
    kernels = np.ones([sizes[axis] for axis in of_kernels], np.float32)
    sizes |= {"h": sizes["h"] + 3, "w": sizes["w"] + 4}  # of the result
    options = {"padding": ((2, 2), (3, 3)), "pad_mode": pad_mode}
    expected = np.zeros([sizes[axis] for axis in of_result], np.float32)
    for number in (1, np.nan, np.inf):
        kernels[..., :1] = number  # of the first kernel, or the first column of the only one
        if number != 1 and kernels.size:
            expected[..., : 1 if "n" in of_result else None] = np.nan
        for result in results(convlens.convolve, images, (kernels,), options, tmp_path):
            assert result.dtype == np.float32
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize(
    ("axes", "empty"),
    [(axes, empty) for axes in ("mhwc", "mhw", "hw") for empty in missing(axes, "hw", "mc")],
)
def test_pool(axes, empty, mode, tmp_path):
    """A pooling without images, rows, columns or channels is wrong, or wrongly refused."""
    sizes = {"m": 2, "h": 3, "w": 4, "c": 3} | dict.fromkeys(empty, 0)
    images = np.ones([sizes[axis] for axis in axes], np.float32)
    sizes |= {"h": sizes["h"] + 4, "w": sizes["w"] + 6}  # of the result
    expected = np.zeros([sizes[axis] for axis in axes], np.float32)
    for count_padding in (False, True):
        options = {"padding": ((2, 3), (3, 4)), "count_padding": count_padding}
        arguments = (2, 1, mode)
        if expected.size and (mode in ("max", "min") or (mode == "avg" and not count_padding)):
            with pytest.raises(ValueError, match="cover no pixel, padding alone"):
                convlens.pool(images, *arguments, **options)
            continue
        for result in results(convlens.pool, images, arguments, options, tmp_path):
            assert result.dtype == np.float32
            np.testing.assert_array_equal(result, expected)


@each_method
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 3), (3, 0, 3, 5)])
def test_kernels_without_taps(method, shape):
    """Kernels without taps are taken, though there is nothing to slide."""
    images = np.ones((2, 4, 5, 3)[: 4 if len(shape) > 2 else 3])
    with pytest.raises(ValueError, match="kernels must have at least one tap"):
        convlens.convolve(images, np.ones(shape), method=method)
