"""What `convlens.ndimage` promises beyond SciPy's answers, and where it differs on purpose.

The differences are those of the table in docs/from-scipy.md; each has a test here.
"""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.ndimage
from strategies import built

from convlens import ndimage, set_threads
from convlens.ndimage import engine

FILTERS = {
    "correlate": (np.array([[1, 2, 0.5], [0, 1, -3], [2, 0, 1]]),),
    "correlate1d": ([1, 2, 4, 1],),
    "gaussian_filter": (1.5,),
    "uniform_filter": (5,),
    "sobel": (),
    "laplace": (),
    "gaussian_laplace": (1,),
    "maximum_filter": ((3, 4),),
    "minimum_filter": (None, np.eye(3)),
    "grey_dilation": (None, np.eye(4)),
    "grey_opening": (3,),
    "white_tophat": (3,),
    "morphological_gradient": (3,),
    "morphological_laplace": (3,),
    "median_filter": (3,),
    "rank_filter": (20, 7),
    "percentile_filter": (80, 13),
    "binary_dilation": (),
    "binary_erosion": (np.ones((3, 2)), 3),
}
each_filter = pytest.mark.parametrize("name", FILTERS)
each_type = pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])


def pixels(dtype, shape=(37, 45), seed=0):
    """Random pixels."""
    return (250 * np.random.default_rng(seed).random(shape)).astype(dtype)


@each_filter
@each_type
def test_output_may_overlap_the_input(name, dtype):
    """An output that is the input, or a part of the same memory, changes the result."""
    filter_, args = getattr(ndimage, name), FILTERS[name]
    expected = filter_(pixels(dtype), *args)
    if expected.dtype != dtype:  # of binary filters
        expected = expected.astype(dtype)
    array = pixels(dtype)
    assert filter_(array, *args, output=array) is array
    np.testing.assert_array_equal(array, expected)
    memory = np.zeros(2 * 37 * 45, dtype)
    for offset in (1, 45, 100):
        part = memory[: 37 * 45].reshape(37, 45)
        part[...] = pixels(dtype)
        shifted = memory[offset : offset + 37 * 45].reshape(37, 45)
        filter_(part, *args, output=shifted)
        np.testing.assert_array_equal(shifted, expected)


@each_filter
@each_type
def test_same_bits(name, dtype):
    """Bits depend on the threads, on the layout in memory, or on the other slabs of a volume."""
    filter_, args = getattr(ndimage, name), FILTERS[name]
    array = pixels(dtype)
    expected = filter_(array, *args)
    threads = set_threads(1)
    try:
        np.testing.assert_array_equal(filter_(array, *args), expected)
        set_threads(3)
        np.testing.assert_array_equal(filter_(array, *args), expected)
    finally:
        set_threads(threads)
    wide = np.zeros((74, 90), dtype)
    wide[::2, ::-2] = array
    for other in (
        wide[::2, ::-2],
        array.astype(array.dtype.newbyteorder()),
        np.asfortranarray(array),
    ):
        np.testing.assert_array_equal(filter_(other, *args), expected)


@pytest.mark.parametrize(
    "name", ["gaussian_filter", "uniform_filter", "maximum_filter", "median_filter", "correlate"]
)
@each_type
def test_axes_that_are_not_filtered(name, dtype):
    """The images of a batch, or the channels of a photograph, depend on each other."""
    filter_, args = getattr(ndimage, name), FILTERS[name]
    batch = pixels(dtype, (2, 3, 37, 45, 3))
    result = filter_(batch, *args, axes=(2, 3))
    for index in np.ndindex(2, 3):
        for channel in range(3):
            alone = filter_(np.ascontiguousarray(batch[index][..., channel]), *args)
            np.testing.assert_array_equal(result[index][..., channel], alone)


@built
def test_pipelines_are_used():
    """Floats of up to four axes, three of them filtered, are not computed by pipelines."""
    array = pixels(np.float32, (4, 9, 11, 13))
    for axes in ((1, 2, 3), (0, 1, 2), (0, 3), (2,), (3,)):
        steps = [
            ndimage.arguments.Step(axis, 3, 1, ndimage.arguments.border("reflect", 0))
            for axis in axes
        ]
        lines = [np.ones(3)] * len(axes)
        assert engine.product(array, np.empty_like(array), steps, lines)
        assert engine.pooled(array, np.empty_like(array), steps, "max")


def test_floats_are_as_accurate_as_is_said():
    """Sums of float32 are further from the exact ones than 24 eps of the sum of magnitudes."""
    array = pixels(np.float32, (100, 120)) * np.float32(1e3) - np.float32(1e5)
    exact = array.astype(np.float64)
    for sigma in (0.7, 2, 6):
        for order in (0, 1, 2):
            theirs = scipy.ndimage.gaussian_filter(exact, sigma, order)
            line = np.abs(
                scipy.ndimage.gaussian_filter1d(np.eye(1, 201, 100)[0], sigma, order=order)
            )
            bound = 24 * np.finfo(np.float32).eps * np.abs(exact).max() * line.sum() ** 2
            assert np.abs(ndimage.gaussian_filter(array, sigma, order) - theirs).max() <= bound


@each_filter
@each_type
@pytest.mark.parametrize("shape", [(900, 7), (2, 9000), (9000, 2)])
def test_long_and_short_rows(name, dtype, shape):
    """Short rows that are turned, or long ones that are divided, have another result."""
    array, args = pixels(dtype, shape), FILTERS[name]
    ours, theirs = (getattr(module, name)(array, *args) for module in (ndimage, scipy.ndimage))
    if dtype in (np.float32, np.float64):
        np.testing.assert_allclose(ours, theirs, 1e-4, 1e-4 * np.abs(theirs).max())
    else:
        np.testing.assert_array_equal(ours, theirs)


@each_type
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (0, 2)])
def test_deep_windows(dtype, axes):
    """Windows over many slabs, which take a pass of their own, have another result."""
    array = pixels(dtype, (40, 25, 30))
    for name, args in (
        ("gaussian_filter", (3,)),
        ("uniform_filter", (19,)),
        ("maximum_filter", (17,)),
    ):
        ours, theirs = (
            getattr(module, name)(array, *args, axes=axes, mode="mirror")
            for module in (ndimage, scipy.ndimage)
        )
        if array.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, 1e-4)
        else:
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_and_inf_reach_the_windows_that_cover_them(dtype, number):
    """NaN or inf reaches an output whose window does not cover it, or misses one whose does."""
    array = pixels(dtype)
    array[11, 17] = number
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    for name, args, window in (
        ("gaussian_filter", (1.5,), np.ones((13, 13))),
        ("uniform_filter", (5,), np.ones((5, 5))),
        ("correlate", (cross,), cross),
        ("laplace", (), cross),
        ("sobel", (0,), np.ones((3, 3))),
    ):
        reached = ~np.isfinite(getattr(ndimage, name)(array, *args))
        seen = np.zeros(array.shape, bool)
        seen[11, 17] = True
        np.testing.assert_array_equal(reached, scipy.ndimage.binary_dilation(seen, window))


# ---------------------------------------------------------------- differences from SciPy


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_means_do_not_carry_nan_along_a_line(number):
    """SciPy's running sum of a line keeps a NaN, or an inf, to the line's end."""
    array = np.ones((3, 20))
    array[1, 4] = number
    assert not np.isfinite(scipy.ndimage.uniform_filter1d(array, 3)[1, 3:]).any()
    ours = ndimage.uniform_filter1d(array, 3)
    np.testing.assert_array_equal(ours[1, 3:6], [number] * 3)
    assert np.isfinite(ours).sum() == ours.size - 3


def test_means_do_not_drift():
    """SciPy's running sum of a line carries the rounding errors of all numbers before."""
    array = np.r_[1e17, np.ones(50)]
    assert scipy.ndimage.uniform_filter1d(array, 3)[-1] != 1
    assert ndimage.uniform_filter1d(array, 3)[-1] == 1
    integers = np.r_[np.tile([0, 1, 2], 100), np.full(9, 5)].astype(np.int32)
    theirs = scipy.ndimage.uniform_filter1d(integers, 3, mode="nearest")
    assert ndimage.uniform_filter1d(integers, 3, mode="nearest")[-1] == 5
    assert theirs[-1] in (4, 5)


@pytest.mark.parametrize("window", [{"size": 3}, {"footprint": [1, 0, 1]}])
def test_nan_wins_under_a_window(window):
    """SciPy's largest, smallest and middle numbers depend on where a NaN lies under the window."""
    array = np.array([1.0, 2, np.nan, 4, 5, 6, 7])
    reached = [1, 2, 3] if "size" in window else [1, 3]
    for name in ("maximum_filter", "minimum_filter", "median_filter"):
        result = getattr(ndimage, name)(array, **window)
        assert np.flatnonzero(np.isnan(result)).tolist() == reached, name
    for size in (3, 9, (3, 21), 25):  # pipelines, a network in NumPy, and sorting
        noise = pixels(np.float64)
        noise[20, 20] = np.nan
        seen = np.zeros(noise.shape, bool)
        seen[20, 20] = True
        result = np.isnan(ndimage.median_filter(noise, size))
        np.testing.assert_array_equal(result, scipy.ndimage.maximum_filter(seen, size))


def test_integers_of_64_bits_are_exact():
    """SciPy takes integers through float64, which does not hold those beyond 2**53."""
    array = np.array([2**53 + 1, 0, 0], np.int64)
    assert ndimage.maximum_filter1d(array, 3)[1] == 2**53 + 1
    assert ndimage.correlate1d(array, [1, 1, 1], mode="constant")[1] == 2**53 + 1
    assert scipy.ndimage.maximum_filter1d(array, 3)[1] == 2**53
    below = np.array([3, 0, 0], np.uint64)  # Numbers below 0 wrap around, and back.
    assert ndimage.sobel(below.reshape(1, 3), 1)[0].tolist() == [2**64 - 12, 2**64 - 12, 0]
    assert scipy.ndimage.sobel(below.reshape(1, 3), 1)[0].tolist() == [0, 0, 0]


def test_sums_beyond_32_bits_wrap():
    """SciPy's sums that a type of 32 bits does not hold are left to the compiler, mostly -2**31."""
    array = np.full(5, 2**30, np.int32)
    assert ndimage.correlate1d(array, [1, 1, 1])[2] == 3 * 2**30 - 2**32


def test_booleans_are_true_or_false():
    """SciPy writes other bytes than 0 and 1 into booleans, which later filters add up."""
    array = np.array([True, True, True, False])
    assert scipy.ndimage.correlate1d(array, [1, 1, 1]).view(np.uint8).tolist() == [3, 3, 2, 1]
    assert ndimage.correlate1d(array, [1, 1, 1]).view(np.uint8).tolist() == [1, 1, 1, 1]


def test_masked_erosions_into_floats():
    """SciPy repeats a masked erosion wrongly if the output is of floats."""
    rng = np.random.default_rng(0)
    array, mask = rng.random((9, 9)) < 0.8, rng.random((9, 9)) < 0.6
    expected = scipy.ndimage.binary_erosion(array, None, 2, mask)
    output = np.zeros(array.shape)
    ndimage.binary_erosion(array, None, 2, mask, output=output)
    np.testing.assert_array_equal(output, expected)


def test_footprints_with_holes_in_one_axis():
    """SciPy's medians along a single axis ignore the holes of a footprint."""
    array = np.array([1, 9, 2, 8, 3, 7])
    assert ndimage.rank_filter(array, 0, footprint=[1, 0, 1]).tolist() == [1, 1, 8, 2, 7, 3]
    assert ndimage.rank_filter(array, 1, footprint=[1, 0, 1, 1]).tolist() == [9, 2, 2, 8, 3, 7]


def test_structures_on_booleans():
    """Heights that are added to booleans leave other bytes than 0 and 1, which go on wrapping."""
    array = np.array([[True, False, False, False]])
    heights = np.full((1, 3), 255)
    raised = ndimage.grey_dilation(array, structure=heights)
    assert raised.view(np.uint8).max() == 1
    closed = ndimage.grey_closing(array, structure=heights)
    again = ndimage.grey_erosion(raised, structure=heights)
    np.testing.assert_array_equal(closed, again)
    assert closed.view(np.uint8).max() <= 1


def test_origins_outside_of_a_structure():
    """SciPy's `binary_erosion` takes an origin that lies outside, and may end the process."""
    for origin in (2, -2, (0, 5)):
        with pytest.raises(ValueError, match="origins from -1 to 1"):
            ndimage.binary_erosion(np.ones((5, 5)), np.ones((3, 3)), origin=origin)


def test_ranks_of_float16():
    """float16 is refused along several axes, as SciPy does it, or ranked wrongly."""
    array = pixels(np.float16)
    result = ndimage.median_filter(array, 3)
    assert result.dtype == np.float16
    np.testing.assert_array_equal(result, scipy.ndimage.median_filter(array.astype("f4"), 3))


def test_medians_of_many_channels():
    """Channels that do not fit into memory together are not divided, or wrongly."""
    array = pixels(np.float32, (9, 10, 60_000))
    result = ndimage.median_filter(array, (9, 9, 1))
    some = [0, 1, 30_000, 59_999]
    np.testing.assert_array_equal(
        result[..., some], scipy.ndimage.median_filter(array[..., some], (9, 9, 1))
    )


# ------------------------------------------------------------------------------- memory

LIMIT = 32_000_000
LARGE = {  # and how many arrays like the output are in memory besides it
    "gaussian_filter": ((2,), 0),
    "uniform_filter": ((15,), 0),
    "maximum_filter": ((15,), 0),
    "grey_opening": ((5,), 1),
    "gaussian_gradient_magnitude": ((1,), 1),
    "median_filter": ((5,), 0),
    "rank_filter": ((7, 25), 0),
    "percentile_filter": ((10, 4), 0),
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_memory(name, dtype):
    """A filter takes more than 32 MB besides its arrays."""
    args, arrays = LARGE[name]
    sorted_ = (name, dtype) == ("rank_filter", np.float32)  # which takes its time
    array = np.zeros((300, 300) if sorted_ else (3000, 3000), dtype)
    tracemalloc.start()
    try:
        result = getattr(ndimage, name)(array, *args)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    extra = peak - (1 + arrays) * result.nbytes
    assert extra < LIMIT, f"{extra / 1e6:.1f} MB"


# --------------------------------------------------------------------- what is handed over


def test_python_functions_are_handed_to_scipy():
    """A filter that calls a Python function is not SciPy's."""
    array = pixels(np.float64)
    np.testing.assert_array_equal(
        ndimage.generic_filter(array, np.ptp, 3), scipy.ndimage.generic_filter(array, np.ptp, 3)
    )


def test_without_scipy():
    """`ndimage` needs SciPy for more than Python functions, or does not say that it is missing."""
    code = """
import sys
sys.modules["scipy"] = None
import numpy as np
from convlens import ndimage
print(ndimage.median_filter(np.arange(9.0), 3).sum(), ndimage.gaussian_filter(np.ones(9), 1).sum())
try:
    ndimage.generic_filter(np.ones(9), np.max, 3)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "generic_filter calls a Python function" in done.stdout
    assert "pip install scipy" in done.stdout
