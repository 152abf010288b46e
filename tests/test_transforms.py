"""Convolutions with large kernels, which the compiled engine computes by Fourier transforms.

A transform mixes all pixels of its tiles. So everything that the engine promises is looked at here
once more: answers and their error, exact integers, where NaN and inf get to, and the same bits.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import built, law

import convlens
from convlens import operations
from convlens.compiled import transforms
from convlens.compiled.transforms import FLOOR
from convlens.execute import files
from convlens.plan import execute_file

pytestmark = built


@pytest.fixture(autouse=True)
def whatever_the_cost(monkeypatch):
    """Small images are transformed too, though it would be faster to go tap by tap."""
    monkeypatch.setattr(transforms, "STEP", 1e-6)
    monkeypatch.setattr(transforms, "FIXED", 0)
    transforms._tiles.cache_clear()
    operations.CALLS.cache_clear()
    yield
    transforms._tiles.cache_clear()
    operations.CALLS.cache_clear()


EPS = np.finfo(np.float32).eps


def normal(*shape, dtype="f4", seed=0):
    """Normally distributed numbers of a type."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def whole(*shape, dtype="u1", seed=0):
    """Whole numbers over the range of a small type."""
    limits = np.iinfo(dtype)
    numbers = np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape)
    return numbers.astype(dtype)


def is_transformed(images, kernels, **options):
    """Whether the plan says that there are transforms."""
    return "by Fourier transforms" in convlens.plan_convolve(images, kernels, **options).reason


def exact(images, kernels, **options):
    """The result tap by tap, in float64 where there are floats."""
    images, kernels = (a.astype("f8") if a.dtype.kind == "f" else a for a in (images, kernels))
    return convlens.convolve(images, kernels, method="numpy", **options)


def norm(numbers):
    """The square root of the sum of squares."""
    return np.linalg.norm(numbers.astype("f8").ravel())


def assert_right(images, kernels, *, whole=True, **options):
    """Compare a result with the one tap by tap, within the rounding that the plan tells of.

    That takes a window that is transformed as a `whole`. Others are added up in float32, which
    rounds in proportion to the magnitudes of the products.
    """
    result = convlens.convolve(images, kernels, **options)
    expected = exact(images, kernels, **options)
    if result.dtype.kind == "i":
        np.testing.assert_array_equal(result, expected)
        return
    rounded = np.abs(expected) if whole else 4 * exact(np.abs(images), np.abs(kernels), **options)
    # Borders can repeat each pixel a few times.
    allowed = EPS * rounded + 2 * FLOOR * norm(kernels) * 4 * norm(images)
    assert (np.abs(result - expected) <= allowed).all()


CASES = {
    "an image": ((200, 230), (31, 31), {}),
    "a valid part": ((200, 330), (27, 33), {"padding": "valid"}),
    "full": ((150, 160), (35, 31), {"padding": "full"}),
    "batches": ((3, 140, 150), (31, 31), {}),
    "each channel": ((2, 130, 120, 3), (33, 33), {}),
    "a layer": ((1, 110, 120, 3), (31, 31, 3, 4), {}),
    "groups": ((1, 110, 120, 4), (31, 31, 2, 6), {"groups": 2}),
    "depthwise": ((1, 110, 120, 4), (31, 31, 1, 4), {"groups": 4}),
    "one kernel over channels": ((1, 110, 120, 4), (33, 31, 4), {}),
    "dilated": ((200, 210), (13, 15), {"dilation": (3, 2)}),
    "strided": ((230, 240), (41, 41), {"stride": 2}),
    "strided along an axis": ((230, 240), (35, 35), {"stride": (1, 2)}),
    "a window as large as the image": ((128, 128), (128, 128), {}),
    "a window in parts": ((270, 280), (270, 260), {}),
    "slabs": ((3, 120, 130), (1, 31, 31), {"space": 3}),
    **{
        mode: ((140, 150), (45, 51), {"pad_mode": mode, "padding": "full"})
        for mode in ("edge", "reflect", "symmetric", "wrap")
    },
    "padding of a number": ((140, 150), (41, 31), {"pad_value": 3}),
}


@pytest.mark.parametrize("case", CASES)
def test_floats(case):
    """Every kind of call gives the exact sums, within a rounding and the error of the transform."""
    shape, window, options = CASES[case]
    images, kernels = normal(*shape), normal(*window, seed=1)
    assert is_transformed(images, kernels, **options)
    assert_right(images, kernels, whole=case != "a window in parts", **options)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["u1", "i2"])
def test_integers(case, dtype):
    """Sums of small integers are exact, as always."""
    shape, window, options = CASES[case]
    images, kernels = whole(*shape, dtype=dtype), whole(*window, dtype="i1", seed=1)
    assert is_transformed(images, kernels, **options)
    assert_right(images, kernels, **options)


@pytest.mark.parametrize(
    ("images", "kernels"),
    [
        (normal(200, 210, dtype="f2"), normal(31, 31, seed=1)),
        (normal(200, 210, dtype=">f4"), normal(31, 31, seed=1)),
        (normal(200, 210) > 0, whole(31, 31, seed=1)),
        (whole(200, 210, dtype=">u2"), whole(31, 31, dtype="i2", seed=1)),
        (normal(200, 420)[::-1, ::-2], normal(31, 62, seed=1)[:, ::2]),
        (np.asfortranarray(normal(200, 210)), normal(31, 31, seed=1)),
    ],
)
def test_types_and_layouts(images, kernels):
    """Other types of the images are converted, and any layout is read."""
    assert is_transformed(images, kernels)
    assert_right(images, kernels)


@law
@given(seed=st.integers(0, 2**32 - 1))
def test_random_windows(seed):
    """Windows and images of any sizes, along each axis its own."""
    rng = np.random.default_rng(seed)
    window, image = rng.integers(1, 90, 2), rng.integers(60, 200, 2)
    padding = [(int(before), int(after)) for before, after in rng.integers(0, 60, (2, 2))]
    padding = padding if (window <= image).all() else "same"
    images, kernels = normal(*image, seed=seed), normal(*window, seed=seed + 1)
    assert_right(images, kernels, whole=False, padding=padding)


def test_numbers_that_are_not_finite():
    """NaN and inf reach the outputs whose windows cover them, and the others are right."""
    images, kernels = normal(2, 210, 400), normal(31, 31, seed=1)
    images[0, 50, 60], images[0, 199, 399], images[1, 100, 250] = np.nan, np.inf, -np.inf
    assert is_transformed(images, kernels)
    result, expected = convlens.convolve(images, kernels), exact(images, kernels)
    np.testing.assert_array_equal(np.isfinite(result), np.isfinite(expected))
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(result[finite], expected[finite], atol=1e-3)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_kernels_and_padding_that_are_not_finite(number):
    """A kernel that is not finite is not transformed; padding is, where no window covers it."""
    images, kernels = normal(200, 210), normal(31, 31, seed=1)
    result = convlens.convolve(images, kernels, pad_value=number)
    np.testing.assert_array_equal(
        np.isfinite(result), np.isfinite(exact(images, kernels, pad_value=number))
    )
    kernels[3, 4] = number
    assert not is_transformed(images, kernels)
    assert not np.isfinite(convlens.convolve(images, kernels)).any()


def test_windows_over_zeros():
    """Sums of zeros are exactly 0, though transforms leave a remainder everywhere."""
    images = normal(300, 300)
    images[100:200, 50:250] = 0
    result = convlens.convolve(images, normal(31, 31, seed=1))
    assert (result[115:185, 65:235] == 0).all()
    assert np.count_nonzero(result) >= 300 * 300 - 71 * 171


@pytest.mark.parametrize("bright", [1e6, 1e12, 1e30])
def test_bright_next_to_dark(bright):
    """A window's sum is right next to its own numbers, however bright others of its tiles are."""
    images, kernels = normal(300, 300), normal(31, 31, seed=1)
    images[140, 150] = bright
    result, expected = convlens.convolve(images, kernels), exact(images, kernels)
    sums = exact(np.abs(images), np.abs(kernels))
    assert (np.abs(result - expected) <= 8 * EPS * sums).all()


def test_no_result_is_too_large():
    """Squares of large numbers overflow in no transform; results do only if they are too large."""
    images, kernels = normal(200, 210) * np.float32(1e36), normal(31, 31, seed=1)
    expected = exact(images, kernels).astype("f4")
    np.testing.assert_allclose(convlens.convolve(images, kernels), expected, rtol=1e-4, atol=1e33)
    tiny = normal(200, 210) * np.float32(1e-42)
    np.testing.assert_allclose(convlens.convolve(tiny, kernels), exact(tiny, kernels), atol=1e-44)


def test_integers_whose_sums_float64_does_not_hold():
    """If rounding could miss a whole number, all is computed tap by tap."""
    images, kernels = whole(200, 210, dtype="u2"), whole(41, 41, dtype="i4", seed=1)
    assert not is_transformed(images, kernels)
    assert_right(images, kernels)


@pytest.mark.parametrize(
    ("images", "kernels", "options"),
    [
        (normal(200, 210, dtype="f8"), normal(31, 31, dtype="f8"), {}),
        (whole(200, 210, dtype="i4"), whole(31, 31), {}),
        (normal(200, 210), np.outer(*[convlens.filters.gaussian(5)[15]] * 2).astype("f4"), {}),
        (normal(200, 210), normal(31, 31), {"stride": 3}),
    ],
)
def test_what_is_not_transformed(images, kernels, options):
    """Sums of float64 and of large integers, products of lines, and long strides."""
    assert not is_transformed(images, kernels, **options)


def test_what_costs_less(monkeypatch):
    """Large windows on large images are transformed, and no others."""
    monkeypatch.undo()
    images = normal(1000, 1000)
    assert is_transformed(images, normal(41, 41))
    assert not is_transformed(images, normal(7, 7))
    assert not is_transformed(images[:60, :60], normal(31, 31))


@pytest.mark.parametrize("options", [{}, {"pad_mode": "wrap"}, {"stride": 2}])
def test_the_same_bits(options):
    """An image's result depends neither on the batch, nor on threads, nor on the layout."""
    images, kernels = normal(3, 210, 420), normal(35, 35, seed=1)
    call = partial(convlens.convolve, kernels=kernels, **options)
    whole_batch = call(images)
    for image, result in zip(images, whole_batch, strict=True):
        np.testing.assert_array_equal(call(image), result)
    np.testing.assert_array_equal(call(np.asfortranarray(images)), whole_batch)
    before = convlens.set_threads(1)
    try:
        np.testing.assert_array_equal(call(images), whole_batch)
    finally:
        convlens.set_threads(before)


@pytest.mark.parametrize("chunks", [(1, 100, 100), (2, 77, 131), (3, 500, 30)])
@pytest.mark.parametrize("options", [{}, {"pad_mode": "wrap"}, {"stride": 2}])
def test_the_same_bits_of_dask_arrays(chunks, options):
    """Chunks of the result are cut between tiles, so that it has the bits of the whole."""
    da = pytest.importorskip("dask.array")
    images, kernels = normal(3, 300, 500), normal(31, 31, seed=1)
    assert is_transformed(images, kernels, **options)
    lazy = convlens.convolve(da.from_array(images, chunks), kernels, **options)
    assert len(lazy.chunks[1]) + len(lazy.chunks[2]) > 2
    with_chunks = lazy.compute(scheduler="synchronous")
    np.testing.assert_array_equal(with_chunks, convlens.convolve(images, kernels, **options))


@pytest.mark.parametrize("options", [{}, {"pad_mode": "wrap"}, {"stride": 2}])
def test_the_same_bits_of_files(tmp_path, monkeypatch, options):
    """Tiles of a file are cut between the tiles of transforms."""
    monkeypatch.setattr(files, "TILE_BYTES", 2**17)
    monkeypatch.setattr(files, "LARGEST_TILE", 2**17)
    images, kernels = normal(2, 700, 450), normal(31, 31, seed=1)
    np.save(tmp_path / "images.npy", images)
    array = files.open_array(tmp_path / "images.npy")
    plan = convlens.plan_convolve(images, kernels, **options)
    assert "by Fourier transforms" in plan.reason
    steps = []
    execute_file(plan, array, kernels, tmp_path / "out.npy", steps.append)
    assert len(steps) > 2
    expected = convlens.convolve(images, kernels, **options)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
