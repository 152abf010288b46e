"""Pixels that take no part: `where` and `renormalize`.

Random calls with where="finite" are held to the oracle in test_convolve.py and test_pool.py, and as
Dask arrays and files in theirs. Here are arrays of booleans, masked arrays, and what is refused.
"""

import tracemalloc

import numpy as np
import oracle
import pytest
from strategies import (
    POOL_MODES,
    each_method,
    random_convolution,
    random_pooling,
    takes,
    weighs,
)
from test_invariance import same_bits

import convlens
from convlens import convolve, filters, plan_convolve, plan_pool, pool

HOLES = np.array([[1, 2, np.nan, 4, 5.0], [6, np.nan, np.nan, 9, 10], [11, 12, 13, 14, np.inf]])


def masks(rng, images, channels):
    """A random array for `where`, of any shape that is taken."""
    shape = images.shape[:-1] if channels and rng.random() < 0.5 else images.shape
    shape = shape[1:] if len(shape) > 2 and rng.random() < 0.3 else shape
    if channels and len(shape) == images.ndim - 1:
        shape = images.shape[:-1]  # fewer axes are of pixels
    return rng.random(shape) < rng.choice([0.3, 0.7, 0.95])


@each_method
@pytest.mark.parametrize("fifty", range(6))
def test_random_arrays_of_booleans(method, fifty):
    """Pixels that an array leaves out take part, or what they hold plays a part."""
    for number in range(50):
        rng = np.random.default_rng([fifty, number])
        case = random_convolution(rng)
        options = dict(case.options)
        if not takes(method, *case.types):
            continue
        images, kernels = (np.asarray(each) for each in case.arguments)
        channels = images.ndim == case.space + 2 or kernels.ndim > case.space
        options["where"] = masks(rng, images, channels)
        options["renormalize"] = weighs(kernels)
        if not np.isfinite(images).all():
            images = np.nan_to_num(images, posinf=1, neginf=2)
        if options["renormalize"] and oracle.is_integer(images.dtype, kernels.dtype):
            options = {k: v for k, v in options.items() if k not in ("dtype", "overflow")}
        try:
            expected = oracle.convolve(images, kernels, **options)
            expected.check(convolve(images, kernels, **options, method=method))
        except AssertionError as error:
            raise AssertionError(f"seed {[fifty, number]}: {case}: {error}") from None


@each_method
@pytest.mark.parametrize("fifty", range(6))
def test_random_poolings(method, fifty):
    """Pixels that an array leaves out are counted, summed or chosen."""
    for number in range(50):
        rng = np.random.default_rng([fifty, number])
        case = random_pooling(rng)
        if not takes(method, *case.types):
            continue
        images, window = np.asarray(case.arguments[0]), case.arguments[1]
        if not np.isfinite(images).all():
            images = np.nan_to_num(images, posinf=1, neginf=2)
        options = dict(case.options)
        options["where"] = masks(rng, images, images.ndim == case.space + 2)
        expected = oracle.pool(images, window, **options)
        if expected is None:
            with pytest.raises(ValueError, match=r"cover no pixel|no pixel under the window"):
                pool(images, window, **options, method=method)
            continue
        try:
            expected.check(pool(images, window, **options, method=method))
        except AssertionError as error:
            raise AssertionError(f"seed {[fifty, number]}: {case}: {error}") from None


@each_method
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "D"])
def test_what_is_hidden_does_not_leak(method, dtype):
    """NaN, inf or a huge number under a mask changes a bit of the result."""
    if not takes(method, dtype):
        pytest.skip("which the engine does not take")
    rng = np.random.default_rng(0)
    where = rng.random((2, 20, 30, 3)) < 0.6
    images = rng.normal(size=where.shape).astype(dtype)
    kernels = rng.random((3, 5)).astype(dtype)
    for call in (
        lambda x, w: convolve(x, kernels, where=w, method=method),
        lambda x, w: convolve(x, kernels, where=w, renormalize=True, method=method),
        lambda x, w: convolve(x, kernels, 2, pad_mode="wrap", where=w, renormalize=True),
        *(lambda x, w, m=mode: pool(x, 3, 1, m, where=w, method=method) for mode in POOL_MODES),
    ):
        expected = call(images, where)
        for hidden in (np.nan, np.inf, np.finfo(dtype).max):
            assert same_bits(call(np.where(where, images, hidden).astype(dtype), where), expected)
        assert same_bits(call(np.where(where, images, np.nan).astype(dtype), "finite"), expected)


@each_method
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_what_takes_part_is_seen(method, dtype):
    """NaN or inf that a mask lets in is left out, or padding of NaN is."""
    images, where = np.ones((5, 9), dtype), np.ones((5, 9), bool)
    where[2, 1], where[1, 6] = False, False
    images[2, 2], images[2, 7], images[1, 6] = np.nan, np.inf, np.nan
    box = np.ones((3, 3), dtype)
    options = {"where": where, "method": method}
    expected = [[np.nan] * 3 + [1] * 2 + [np.inf] * 2] * 3
    smooth = convolve(images, box, "valid", renormalize=True, **options)
    np.testing.assert_array_equal(smooth, expected)
    for mode, sign in (("max", 1), ("min", -1), ("avg", 1)):
        pooled = pool(sign * images, 3, 1, mode, **options)
        np.testing.assert_array_equal(pooled, sign * np.array(expected))
    bordered = convolve(images, box, renormalize=True, pad_value=np.nan, **options)
    assert np.isnan(bordered[[0, -1]]).all()


@each_method
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_infinity_is_not_nothing(method, dtype):
    """The number that loses to all others is taken for windows in which nothing is left."""
    images = np.full((4, 7), np.nan, dtype)
    images[0, 1], images[0, 4:] = -np.inf, 2
    for where in (~np.isnan(images), np.broadcast_to(images[0] < 9, images.shape)):
        shown = np.where(where, np.where(np.isnan(images), -np.inf, images), np.nan).astype(dtype)
        for mode, sign in (("max", 1), ("min", -1)):
            chosen = pool(sign * shown, (1, 2), 1, mode, where=where, method=method)
            assert chosen[0].tolist()[:2] == [sign * -np.inf] * 2
            assert np.isnan(chosen[0, 2])
            assert chosen[0].tolist()[3:] == [sign * 2] * 3
    options = {"padding": 1, "pad_value": -np.inf, "pad_mode": "constant", "method": method}
    corner = pool(np.zeros((2, 2), dtype), 2, where=np.eye(2) < 0, **options)
    assert np.isneginf(corner).all()


@each_method
def test_an_image_alone(method):
    """An image has other bits without the others of its batch, or in blocks of other sizes."""
    rng = np.random.default_rng(0)
    images, where = rng.normal(size=(9, 40, 50)), rng.random((9, 40, 50)) < 0.7
    kernel = filters.gaussian(1)
    whole = convolve(images, kernel, where=where, renormalize=True, method=method)
    pooled = pool(images, 3, mode="avg", where=where, method=method)
    for n in range(9):
        one, left = images[n], where[n]
        alone = convolve(one, kernel, where=left, renormalize=True, method=method)
        assert same_bits(alone, whole[n])
        assert same_bits(pool(one, 3, mode="avg", where=left, method=method), pooled[n])


@each_method
def test_blocks(method, monkeypatch):
    """Where a block ends changes a bit."""
    rng = np.random.default_rng(0)
    images, kernel = rng.normal(size=(2, 40, 50, 3)), rng.random((5, 4))
    images[rng.random(images.shape) < 0.3] = np.nan
    calls = [
        lambda s=stride, d=dilation, p=mode: convolve(
            images,
            kernel,
            (9, 7),
            s,
            dilation=d,
            pad_mode=p,
            where="finite",
            renormalize=True,
            method=method,
        )
        for stride, dilation, mode in ((1, 1, "reflect"), ((9, 2), 2, "wrap"), (1, 9, "constant"))
    ]
    calls += [
        lambda m=mode: pool(images, 4, 3, m, padding=2, partial=True, where="finite", method=method)
        for mode in POOL_MODES
    ]
    expected = [call() for call in calls]
    for size in (8, 4000, 20_000):
        monkeypatch.setattr(convlens.methods.masked, "BLOCK", size)
        for call, right in zip(calls, expected, strict=True):
            assert same_bits(call(), right)


@each_method
def test_edges_that_take_no_part(method):
    """Padding of NaN takes part with where="finite", or other padding does not."""
    ones = np.ones((4, 5))
    options = {"where": "finite", "renormalize": True, "method": method}
    np.testing.assert_array_equal(convolve(ones, np.ones((3, 3)), pad_value=np.nan, **options), 1)
    dark = convolve(ones, np.ones((3, 3)), **options)
    assert dark[0, 0] == 4 / 9
    assert dark[1, 1] == 1
    kept = convolve(ones, np.ones((3, 3)), pad_value=np.nan, where="finite", method=method)
    assert kept[0].tolist() == [4, 6, 6, 6, 4]


@each_method
def test_nothing_left(method):
    """Where no weight is left, the result is not NaN; in integers it is not 0."""
    options = {"where": np.zeros((4, 5), bool), "method": method}
    ones = np.ones((4, 5), np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    assert np.isnan(convolve(ones, kernel, "valid", renormalize=True, **options)).all()
    clipped = {"dtype": np.uint8, "overflow": "saturate"}
    assert not convolve(ones, kernel, "valid", renormalize=True, **clipped, **options).any()
    assert not convolve(ones, kernel, **options).any()
    assert np.isnan(pool(ones, 2, mode="avg", **options)).all()
    assert np.isnan(pool(ones * 1.0, 2, mode="max", **options)).all()
    assert not pool(ones, 2, mode="sum", **options).any()
    # Weights that cancel each other are none, whatever was under them.
    left = np.array([[True, True, False, True]])
    result = convolve([[3.0, 7.0, 1.0, 2.0]], [[2.0, -2.0]], "valid", where=left, method=method)
    assert result.tolist() == [[-8, 14, -4]]
    signed = convolve(
        [[3.0, 7.0, 1.0, 2.0]],
        [[2.0, -2.0, 1]],
        "valid",
        where=left,
        renormalize=True,
        method=method,
    )
    np.testing.assert_array_equal(signed, [[np.nan, (14 + 2) / 3]])


@each_method
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 4, 2), (2, 0, 4, 2), (2, 3, 4, 0)])
def test_images_without_pixels(method, shape):
    """A call without pixels fails, or padding alone has no mean."""
    one = np.zeros(shape)
    for value, expected in ((3, 3), (np.nan, np.nan)):
        options = {"pad_value": value, "where": "finite", "method": method}
        kernel = np.ones((2, 2))
        result = convolve(one, kernel, 1, renormalize=True, **options)
        assert result.shape == convolve(one, kernel, 1).shape
        np.testing.assert_array_equal(result, expected)
        pooled = pool(one, 2, 1, "avg", padding=2, pad_mode="constant", **options)
        np.testing.assert_array_equal(pooled, expected)


@each_method
def test_masked_arrays(method):
    """A masked array's mask is lost, or is not that of windows of which nothing is left."""
    images = np.ma.masked_invalid(HOLES)
    box = np.ones((1, 2))
    smooth = convolve(images, box, "valid", where=True, renormalize=True, method=method)
    assert isinstance(smooth, np.ma.MaskedArray)
    np.testing.assert_array_equal(
        smooth.filled(-1), [[1.5, 2, 4, 4.5], [6, -1, 9, 9.5], [11.5, 12.5, 13.5, 14]]
    )
    summed = convolve(images, box, "valid", where=HOLES != 4, method=method)
    assert summed.filled(-1).tolist() == [[3, 2, -1, 5], [6, -1, 9, 19], [23, 25, 27, 14]]
    # A kernel's zeros are no weights.
    first = convolve(images, [[1.0, 0]], "valid", where=True, method=method)
    assert first.filled(-1).tolist() == [[1, 2, -1, 4], [6, -1, -1, 9], [11, 12, 13, 14]]
    bytes_ = np.ma.MaskedArray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    bytes_[:2, :2] = np.ma.masked
    largest = pool(bytes_, 2, where=True, method=method)
    assert largest.dtype == np.uint8
    assert largest.filled(99).tolist() == [[99, 7], [13, 15]]
    finite = pool(np.ma.MaskedArray(HOLES[:2, :4], False), (2, 1), where="finite", method=method)
    assert finite.filled(-1).tolist() == [[6, 2, -1, 9]]
    out = np.zeros((2, 2), np.uint8)
    assert pool(bytes_, 2, where=True, out=out, method=method).data is not None
    assert out[1].tolist() == [13, 15]


@each_method
def test_plans(method):
    """A plan runs with another `where` than it was made for, or does not tell of it."""
    where = np.isfinite(HOLES)
    box = np.ones((3, 3))
    plan = plan_convolve(HOLES, box, where=where, renormalize=True, method=method)
    assert "where     pixels that an array says, sums divided by the weight that was there" in str(
        plan
    )
    expected = convolve(HOLES, box, where=where, renormalize=True, method=method)
    assert same_bits(plan(HOLES, box, where=where), expected)
    with pytest.raises(TypeError, match=r"^convolve: the plan was made for an array of where"):
        plan(HOLES, box)
    if method == "compiled":
        wide = plan_convolve((40, 50), (3, 3), where="finite", renormalize=True, method=method)
        assert "in float64, with the weights beside" in str(wide)
    plan = plan_pool(HOLES, 2, mode="avg", where="finite", method=method)
    assert "where     pixels that are finite" in str(plan)
    assert same_bits(plan(HOLES), pool(HOLES, 2, mode="avg", where="finite", method=method))
    with pytest.raises(TypeError, match=r"^pool: the plan was made for finite pixels: make one"):
        plan(HOLES, where=where)


def test_astropy_agrees():
    """NaN-aware smoothing differs from `astropy.convolution`."""
    theirs = pytest.importorskip("astropy.convolution")
    rng = np.random.default_rng(0)
    for dtype in ("f4", "f8"):
        for mode, words in (
            ("edge", {"boundary": "extend"}),
            ("wrap", {"boundary": "wrap"}),
            ("constant", {"boundary": "fill", "fill_value": 0}),
        ):
            x = rng.normal(size=(40, 50)).astype(dtype)
            x[rng.random(x.shape) < 0.3] = np.nan
            x[5:20, 10:30] = np.nan
            kernel = rng.random((5, 7)).astype(dtype)
            with np.errstate(all="ignore"), pytest.warns(match="NaN values"):
                right = theirs.convolve(x, kernel[::-1, ::-1], nan_treatment="interpolate", **words)
            ours = convolve(x, kernel, pad_mode=mode, where="finite", renormalize=True)
            np.testing.assert_array_equal(np.isnan(ours), np.isnan(right))
            np.testing.assert_allclose(ours, right, 1e-4 if dtype == "f4" else 1e-10, 1e-6)


@each_method
def test_memory(method):
    """A call takes more memory than a few blocks beside its input and its output."""
    images = np.ones((2500, 2400))
    out = np.empty_like(images)
    for call in (
        lambda: convolve(
            images, np.ones((3, 3)), where="finite", renormalize=True, out=out, method=method
        ),
        lambda: pool(images, 3, 1, "avg", padding=1, where="finite", out=out, method=method),
    ):
        call()
        tracemalloc.start()
        try:
            call()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 32e6


REFUSED = [
    ({"where": "nan"}, ValueError, "where must be an array of booleans, or 'finite'.*got 'nan'"),
    ({"where": np.ones((3, 5), int)}, TypeError, "where must be .*got dtype int64: compare it"),
    (
        {"where": np.ones((3, 4), bool)},
        ValueError,
        r"where must have the images' shape \(3, 5\), .*got \(3, 4\)",
    ),
    ({"where": np.ma.masked_invalid(HOLES) > 3}, TypeError, "where must be no masked array"),
]


@pytest.mark.parametrize(("changes", "error", "words"), REFUSED)
def test_what_where_is_not(changes, error, words):
    """A `where` that says nothing of each pixel is taken."""
    with pytest.raises(error, match=f"^convolve: {words}"):
        convolve(HOLES, np.ones((3, 3)), **changes)
    with pytest.raises(error, match=f"^pool: {words}"):
        pool(HOLES, 2, mode="avg", **changes)


def test_what_else_is_refused():
    """What has no answer is computed, or refused without words."""
    photograph, of_rows = np.ones((2, 3, 5, 4)), np.ones((2, 3, 4), bool)
    words = r"\(2, 3, 5, 4\) or, for all channels, \(2, 3, 5\), or be .*; got \(2, 3, 4\)"
    with pytest.raises(ValueError, match=words):
        convolve(photograph, np.ones((3, 3)), where=of_rows)
    with pytest.raises(ValueError, match="renormalize=True needs where"):
        convolve(HOLES, np.ones((3, 3)), renormalize=True)
    with pytest.raises(TypeError, match="renormalize must be True or False; got 1"):
        convolve(HOLES, np.ones((3, 3)), where="finite", renormalize=1)
    for kernel in (filters.sobel_x(), filters.laplacian(), np.array([[0.1, 0.2, -0.3]])):
        with pytest.raises(ValueError, match="one of these kernels sums to 0; leave renormalize"):
            convolve(HOLES, kernel, where="finite", renormalize=True)
    with pytest.raises(ValueError, match="dtype=uint8 cannot hold the float64 result"):
        convolve(HOLES > 1, np.ones((3, 3), int), where=True, renormalize=True, dtype=np.uint8)
    with pytest.raises(TypeError, match="pass where=True for masked pixels to take no part"):
        convolve(np.ma.masked_invalid(HOLES), np.ones((3, 3)))
    where = np.ones((4, 4), bool)
    where[2:, :2] = False
    words = r"pool: no pixel under the window of output \(1, 0\) takes part, and mode='min' has no"
    with pytest.raises(ValueError, match=words):
        pool(np.ones((4, 4), np.uint8), 2, mode="min", where=where)


def test_dask_arrays():
    """A Dask array takes another `where` than "finite", or is told nothing."""
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(HOLES, chunks=2)
    result = convolve(lazy, np.ones((3, 3)), where="finite", renormalize=True)
    in_memory = convolve(HOLES, np.ones((3, 3)), where="finite", renormalize=True)
    assert same_bits(result.compute(scheduler="sync"), in_memory)
    with pytest.raises(TypeError, match="where must be 'finite' where images are a Dask array"):
        convolve(lazy, np.ones((3, 3)), where=np.isfinite(HOLES))
    with pytest.raises(TypeError, match="where must be 'finite' where images are a Dask array"):
        pool(lazy, 2, where=np.isfinite(lazy))
