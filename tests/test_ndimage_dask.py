"""SciPy's filters on Dask arrays: the answers of the whole in memory, whatever the chunks.

Integers have its bits. Floats may differ by rounding where a window is a product of lines, since
tall pieces are passed over in another order.
"""

import numpy as np
import pytest

from convlens import ndimage

da = pytest.importorskip("dask.array")

MODES = ("reflect", "constant", "nearest", "mirror", "wrap", "grid-wrap")
DISK = np.hypot(*np.mgrid[-2:3, -2:3]) <= 2
WEIGHTS = np.arange(15.0).reshape(3, 5) - 4
CALLS = [
    ("correlate", (WEIGHTS,), {"origin": (1, -2)}),
    ("convolve", (WEIGHTS,), {}),
    ("correlate1d", ([1, 2, 4, 1],), {"axis": 0}),
    ("convolve1d", ([1, 2, 4, 1],), {"axis": -1, "origin": 1}),
    ("uniform_filter", (5,), {}),
    ("uniform_filter1d", (4,), {"axis": 0}),
    ("gaussian_filter", ((1.5, 0.7),), {"order": (0, 1)}),
    ("gaussian_filter1d", (2,), {"axis": 1}),
    ("maximum_filter", (), {"footprint": DISK}),
    ("minimum_filter", ((3, 4),), {"origin": (1, -1)}),
    ("maximum_filter1d", (6,), {"axis": 0}),
    ("minimum_filter1d", (5,), {"axis": 1}),
    ("sobel", (0,), {}),
    ("prewitt", (), {"axis": 1}),
    ("laplace", (), {}),
    ("gaussian_laplace", (1.2,), {}),
    ("gaussian_gradient_magnitude", (1.2,), {}),
    ("median_filter", (3,), {}),
    ("rank_filter", (2, (3, 5)), {}),
    ("percentile_filter", (30, 5), {}),
    ("grey_dilation", (), {"footprint": DISK}),
    ("grey_erosion", ((3, 5),), {}),
    ("grey_opening", (4,), {}),
    ("grey_closing", ((3, 4),), {}),
    ("morphological_gradient", (3,), {}),
    ("morphological_laplace", ((5, 3),), {}),
    ("white_tophat", (5,), {}),
    ("black_tophat", (4,), {}),
]
PRODUCTS = ("gaussian", "laplace", "prewitt", "sobel")
OF_BITS = [
    ("binary_dilation", (DISK,), {"iterations": 2}),
    ("binary_erosion", (), {"iterations": 3, "border_value": 1}),
    ("binary_opening", (DISK,), {}),
    ("binary_closing", (), {"iterations": 2}),
]


def chunked(image, rng):
    """The image in chunks of random sizes, some of one pixel."""
    cuts = [np.sort(rng.choice(size - 1, 3, replace=False) + 1) for size in image.shape]
    chunks = [np.diff([0, *at, size]) for at, size in zip(cuts, image.shape, strict=True)]
    return da.from_array(image, tuple(tuple(int(n) for n in each) for each in chunks))


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_answers_of_the_whole(call, dtype):
    """Every filter gives on chunks what it gives on the whole, at every border."""
    name, arguments, options = call
    rng = np.random.default_rng(len(name))
    image = (rng.random((37, 29)) * 200).astype(dtype)
    for mode in MODES:
        whole = getattr(ndimage, name)(image, *arguments, mode=mode, **options)
        lazy = getattr(ndimage, name)(chunked(image, rng), *arguments, mode=mode, **options)
        assert isinstance(lazy, da.Array)
        assert (lazy.dtype, lazy.shape) == (whole.dtype, whole.shape)
        result = lazy.compute(scheduler="synchronous")
        if dtype != "u1" and name.startswith(PRODUCTS):
            error = 1e3 * np.finfo(dtype).eps  # next to numbers of up to 200
            np.testing.assert_allclose(result, whole, 0, error, err_msg=mode)
        else:
            np.testing.assert_array_equal(result, whole, mode, strict=True)


@pytest.mark.parametrize("call", OF_BITS, ids=lambda call: call[0])
def test_binary_filters(call):
    """So do the binary ones, over all their iterations."""
    name, arguments, options = call
    rng = np.random.default_rng(3)
    image = rng.random((37, 29)) < (0.8 if "erosion" in name or "opening" in name else 0.2)
    whole = getattr(ndimage, name)(image, *arguments, **options)
    lazy = getattr(ndimage, name)(chunked(image, rng), *arguments, **options)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), whole, strict=True)


def test_axes_and_modes_of_each_axis():
    """What is given for each of some axes reaches those."""
    rng = np.random.default_rng(0)
    image = rng.random((9, 21, 17), dtype=np.float32)
    options = {"sigma": (2, 1), "axes": (2, 0), "mode": ("wrap", "nearest")}
    lazy = ndimage.gaussian_filter(chunked(image, rng), **options)
    whole = ndimage.gaussian_filter(image, **options)
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), whole, rtol=1e-6)


def test_a_type_as_output():
    """An output may be a type."""
    lazy = ndimage.sobel(da.ones((8, 9), chunks=4, dtype="u1"), output="f4")
    assert lazy.dtype == np.float32
    assert not lazy.compute().any()


@pytest.mark.parametrize(
    ("name", "arguments", "options", "error", "message"),
    [
        ("generic_filter", (np.max, 3), {}, TypeError, "how far its function reaches is not known"),
        ("sobel", (), {"output": np.ones((8, 9))}, TypeError, "output must be a type or its name"),
        ("binary_erosion", (), {"mask": np.ones((8, 9), bool)}, ValueError, "mask cannot be given"),
        ("binary_dilation", (), {"iterations": 0}, ValueError, "iterations must be at least 1"),
        ("uniform_filter", (3,), {"mode": "no"}, RuntimeError, "boundary mode not supported"),
    ],
)
def test_refused_before_any_work(name, arguments, options, error, message):
    """What no chunk can be filtered with is refused when the call is made."""
    with pytest.raises(error, match=message):
        getattr(ndimage, name)(da.ones((8, 9), chunks=4), *arguments, **options)
