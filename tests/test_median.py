"""`pool(…, mode="median")` against `numpy.median` on windows that are cut out one by one."""

import dask.array as da
import numpy as np
import oracle
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from strategies import PAD_MODES, TYPES, built, each_method, random_border, random_numbers

import convlens

COMPILED = {1: [(3,), (5,)], 2: [(3, 3), (5, 5), (1, 3), (9, 9)], 3: [(3, 3, 3)]}
MOVING = {1: [(27,), (31,)], 2: [(5, 7), (13, 3), (25, 1)], 3: [(3, 5, 3), (5, 1, 7)]}
OTHERS = {1: [(1,), (7,)], 2: [(3, 5), (1, 1), (7, 1)], 3: [(1, 5, 3), (3, 1, 5)]}
ORDERED = [dtype for dtype in TYPES if dtype.kind != "c"]


def medians(images, window, stride, dilation, pads, border):
    """The medians of images (m, *space, c): each axis has one number of each argument."""
    around = ((0, 0), *pads, (0, 0))
    cells = oracle.padded(images, around, border.get("pad_mode"), border.get("pad_value", 0))
    axes = tuple(range(1, 1 + len(window)))
    reach = [(n - 1) * dilation + 1 for n in window]
    under = sliding_window_view(cells, reach, axis=axes)
    under = under[:, *(slice(None, None, stride),) * len(window)]
    under = under[..., *(slice(None, None, dilation),) * len(window)]
    under = np.sort(under.reshape(*under.shape[: -len(window)], -1), axis=-1)  # NaN comes last
    last, middle = under[..., -1], under[..., under.shape[-1] // 2]
    return np.where(last != last, last, middle)


@each_method
@pytest.mark.parametrize("dtype", ORDERED, ids=str)
def test_random_calls(method, dtype):
    """Every type, border and number of axes gives the numbers in the middle, NaN included."""
    if method == "compiled" and dtype.itemsize > 8:
        pytest.skip("NumPy alone takes medians of this type")
    for seed in range(60):
        rng = np.random.default_rng(seed)
        space = int(rng.integers(1, 4))
        windows = MOVING[space] + (OTHERS[space] if method == "numpy" else [])
        networks = not (method == "compiled" and dtype in ("i8", "u8"))
        windows = windows + (COMPILED[space] if networks else [])
        window = windows[rng.integers(len(windows))]
        alone = method == "compiled" and window in COMPILED[space]
        stride = 1 if alone else int(rng.integers(1, 4))
        dilation = int(rng.integers(1, 3))
        sizes = [(n - 1) * dilation + int(rng.integers(1, 12 // space)) for n in window]
        images = random_numbers(rng, (2, *sizes, 3), dtype)
        if dtype.kind == "f" and rng.random() < 0.5:
            images[rng.random(images.shape) < 0.05] = np.nan
        padding, border, pads = "valid", {}, [(0, 0)] * space
        if rng.random() < 0.7:
            border = random_border(rng, PAD_MODES, dtype, small=True)
            pads = [tuple(map(int, rng.integers(0, 4, 2))) for _ in range(space)]
            padding = pads
        if space == 1 and padding != "valid":
            padding = pads[0]
        result = convlens.pool(
            *(images, window, stride, "median"),
            padding=padding,
            dilation=dilation,
            method=method,
            space=space,
            **border,
        )
        assert result.dtype == dtype.newbyteorder("=")
        expected = medians(images, window, stride, dilation, pads, border or {"pad_mode": "edge"})
        np.testing.assert_array_equal(result, expected, f"seed {seed}")


@each_method
def test_parts_of_a_call(method):
    """Large images, batches, layouts and chunks give the same medians as each image alone."""
    x = np.random.default_rng(0).integers(0, 255, (3, 200, 301, 2), dtype=np.uint8)
    options = {"padding": "same", "pad_mode": "reflect", "method": method}
    whole = convlens.pool(x, 3, 1, "median", **options)
    np.testing.assert_array_equal(
        whole, medians(x, (3, 3), 1, 1, [(1, 1)] * 2, {"pad_mode": "reflect"})
    )
    for n in range(len(x)):
        np.testing.assert_array_equal(
            convlens.pool(x[n : n + 1], 3, 1, "median", **options)[0], whole[n]
        )
    backwards = x[:, ::-1, ::-1]
    np.testing.assert_array_equal(
        convlens.pool(backwards, 3, 1, "median", **options), whole[:, ::-1, ::-1]
    )
    read_only = x.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(convlens.pool(read_only, 3, 1, "median", **options), whole)
    chunks = da.from_array(x, chunks=(1, 70, 99, 1))
    lazy = convlens.pool(chunks, 3, 1, "median", **options)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), whole)


@built
def test_auto():
    """A plan says whether a network, a histogram or NumPy takes the medians of a window."""
    x = np.zeros((1, 400, 400), np.float32)
    for window, stride, method, reason in (
        (3, 1, "compiled", "by a network of minima and maxima"),
        (15, 1, "compiled", "by a histogram that moves along the rows"),
        (5, 2, "compiled", "by a histogram that moves along the rows"),
        ((3, 5), 1, "numpy", "its medians are of the commonest windows"),
        (257, 1, "numpy", "and of those of 25 to 65535 pixels"),
    ):
        plan = convlens.plan_pool(x, window, stride, "median")
        assert plan.method == method
        assert reason in plan.reason
    assert "the median of each 257 x 257 window" in str(plan)
    empty = convlens.pool(x[:, :0], 3, 1, "median", padding=2, pad_mode="constant", pad_value=7)
    assert empty.shape == (1, 2, 402)
    assert (empty == 7).all()
    with pytest.raises(ValueError, match="its medians are of the commonest windows"):
        convlens.pool(x, (3, 5), 1, "median", method="compiled")


REFUSED = {
    "even": (
        ((4, 4), 2),
        {},
        r"an odd number of pixels.*; got a window of 2 x 2: make each side odd",
    ),
    "padding": (((4, 4), 3), {"padding": 1}, "padding holds nothing by default; give pad_mode"),
    "partial": (((4, 4), 3), {"stride": 2, "partial": True}, "use padding='valid' and partial=F"),
    "where": (((4, 4), 3), {"where": "finite"}, "takes every pixel"),
    "dtype": (((4, 4), 3), {"dtype": np.float32}, "mode='median' keeps the images' type, float64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    """What has no number in the middle is refused, with what to do."""
    (shape, window), options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        convlens.pool(np.zeros(shape), window, mode="median", **options)


def test_refused_numbers_and_gradients():
    """Complex numbers have no order; a median has no gradient and no place of its own."""
    with pytest.raises(
        ValueError, match=r"an order; got images of complex128: take .* images\.real"
    ):
        convlens.pool(np.zeros((4, 4), complex), 3, mode="median")
    with pytest.raises(ValueError, match="mode='median' has no gradient here"):
        convlens.pool_gradient(np.zeros((3, 3)), np.zeros((1, 1)), 3, mode="median")
    with pytest.raises(ValueError, match="'max', 'min', which choose a pixel; got 'median'"):
        convlens.pool_indices(np.zeros((3, 3)), 3, mode="median")
