"""One rule holds for all empty arrays: every output is that of a window on padding alone.

A sum is 0, or NaN if the kernel has NaN or inf, which times a zero of the padding are NaN. A sum
over no channels is 0. This is checked in memory by both methods, for Dask arrays and for files.
Where the padding holds another number, every output is made of that.
"""

import dask.array as da
import numpy as np
import pytest
from strategies import (
    IMAGE_AXES,
    PAD_MODES,
    POOL_MODES,
    SPACES,
    each_method,
    in_space,
)

import convlens
from convlens.execute.files import open_array
from convlens.plan import execute_file

# Of each axis: its size, the taps of a window, and the cells of padding on either side.
SIZES = {"m": 2, "d": 2, "h": 3, "w": 4, "c": 3, "n": 5}
TAPS = {"z": 2, "y": 2, "x": 3}
SIDES = {"d": (1, 2), "h": (2, 2), "w": (3, 3)}
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
    execute_file(plan, open_array(tmp_path / "images.npy"), kernels, tmp_path / "results.npy")
    yield np.load(tmp_path / "results.npy")


def emptied(axes, *several):
    """Which axes to empty: each by itself, and these combinations, as far as the axes exist."""
    return [empty for empty in (*axes, *several) if set(empty) <= set(axes)]


def outputs(axes, sizes, window):
    """The shape of a result: with padding, at stride 1."""
    lost = {axis: taps - 1 for axis, taps in zip("dhw", window, strict=True)}
    return [
        sizes[axis] + sum(SIDES[axis]) - lost[axis] if axis in SIDES else sizes[axis]
        for axis in axes
    ]


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize(
    ("space", "of_images", "of_kernels", "of_result", "empty"),
    [
        (space, *axes, empty)
        for space in SPACES
        for row in CONVOLUTIONS
        for axes in [[in_space(each, space) for each in row]]
        for empty in emptied(
            "".join(sorted({*axes[0], *axes[1]} - {*TAPS})), IMAGE_AXES[space], "mc", "wcn"
        )
    ],
)
def test_convolve(space, of_images, of_kernels, of_result, empty, pad_mode, tmp_path):
    """A convolution without images, rows, columns, channels or kernels is wrong or refused."""
    sizes = SIZES | TAPS | dict.fromkeys(empty, 0)
    images = np.ones([sizes[axis] for axis in of_images], np.float32)
    kernels = np.ones([sizes[axis] for axis in of_kernels], np.float32)
    padding = tuple(SIDES[axis] for axis in IMAGE_AXES[space])
    options = {"padding": padding, "pad_mode": pad_mode, "space": space}
    expected = np.zeros(outputs(of_result, sizes, TAPS.values()), np.float32)
    for number in (1, np.nan, np.inf):
        kernels[..., :1] = number  # of the first kernel, or the first column of the only one
        if number != 1 and kernels.size:
            expected[..., : 1 if "n" in of_result else None] = np.nan
        for result in results(convlens.convolve, images, (kernels,), options, tmp_path):
            assert result.dtype == np.float32
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize(
    ("space", "axes", "empty"),
    [
        (space, axes, empty)
        for space in SPACES
        for axes in (in_space(each, space) for each in ("mhwc", "mhw", "hw"))
        for empty in emptied(axes, IMAGE_AXES[space], "mc")
    ],
)
def test_pool(space, axes, empty, mode, tmp_path):
    """A pooling without images, rows, columns or channels is wrong, or wrongly refused."""
    sizes = SIZES | dict.fromkeys(empty, 0)
    images = np.ones([sizes[axis] for axis in axes], np.float32)
    expected = np.zeros(outputs(axes, sizes, (2, 2, 2)), np.float32)
    padding = tuple(SIDES[axis] for axis in IMAGE_AXES[space])
    for count_padding in (False, True):
        options = {"padding": padding, "count_padding": count_padding, "space": space}
        arguments = (2, 1, mode)
        if expected.size and (mode in ("max", "min") or (mode == "avg" and not count_padding)):
            with pytest.raises(ValueError, match="cover no pixel, padding alone"):
                convlens.pool(images, *arguments, **options)
            continue
        for result in results(convlens.pool, images, arguments, options, tmp_path):
            assert result.dtype == np.float32
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", ["f4", "u1", "i8"])
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 5), (2, 0, 5), (0, 4, 5), (2, 4, 0)])
def test_padding_that_holds_a_number(shape, dtype, tmp_path):
    """Around no pixels, the padding's number is not what all windows are made of."""
    images, space = np.ones(shape, dtype), len(shape)
    options = {"padding": 2, "pad_value": 3, "space": space}
    kernels = np.arange(3**space, dtype=dtype).reshape((3,) * space)
    expected = np.full([n + 2 for n in shape], 3 * int(kernels.sum()))
    for result in results(convlens.convolve, images, (kernels,), options, tmp_path):
        np.testing.assert_array_equal(result, expected)
    options["pad_mode"] = "constant"
    for mode, number in (("max", 3), ("min", 3), ("avg", 3), ("sum", 3 * 3**space)):
        for result in results(convlens.pool, images, (3, 1, mode), options, tmp_path):
            np.testing.assert_array_equal(result, np.full(expected.shape, number))


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("mode", POOL_MODES)
def test_borders_of_a_pooling_around_no_pixels(mode, pad_mode, tmp_path):
    """Where there is no pixel to repeat, a border does not hold zeros."""
    options = {"padding": 1, "pad_mode": pad_mode}
    for dtype in (np.float32, np.int16, np.bool_):
        images = np.ones((2, 0, 3), dtype)
        for result in results(convlens.pool, images, (2, 1, mode), options, tmp_path):
            np.testing.assert_array_equal(result, np.zeros((2, 1, 4)))


@each_method
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 3), (3, 0, 3, 5)])
def test_kernels_without_taps(method, shape):
    """Kernels without taps are taken, though there is nothing to slide."""
    images = np.ones((2, 4, 5, 3)[: 4 if len(shape) > 2 else 3])
    with pytest.raises(ValueError, match="kernels must have at least one tap"):
        convlens.convolve(images, np.ones(shape), method=method)
