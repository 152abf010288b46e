"""Convolutions with many kernels of 3 x 3, which the compiled engine computes by Winograd's method.

What is turned mixes the pixels of a tile, and the taps of a kernel. So everything that the engine
promises is looked at here once more: answers and their error, whole numbers, where NaN and inf get
to, and the same bits.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import built, law

import convlens
from convlens import operations
from convlens.compiled import winograd
from convlens.execute import files
from convlens.plan import execute_file

pytestmark = built


@pytest.fixture(autouse=True)
def whatever_the_cost(monkeypatch):
    """Few channels and small images are computed so too, though it would be faster otherwise."""
    monkeypatch.setattr(winograd, "TURN", 0)
    monkeypatch.setattr(winograd, "PREPARE", 0)
    monkeypatch.setattr(winograd, "FEW", 0)
    winograd.pays.cache_clear()
    operations.CALLS.cache_clear()
    yield
    winograd.pays.cache_clear()
    operations.CALLS.cache_clear()


def normal(*shape, dtype="f4", seed=0):
    """Normally distributed numbers of a type."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def is_winograds(images, kernels, **options):
    """Whether the plan says that Winograd's method is taken."""
    return "Winograd" in convlens.plan_convolve(images, kernels, **options).reason


def exact(images, kernels, **options):
    """The result tap by tap, in float64."""
    images, kernels = images.astype("f8"), kernels.astype("f8")
    return convlens.convolve(images, kernels, method="numpy", **options)


def assert_right(images, kernels, *, most=8, **options):
    """Compare a result with the exact one, within the rounding of its sums: `most` eps."""
    assert is_winograds(images, kernels, **options)
    result = convlens.convolve(images, kernels, **options)
    expected = exact(images, kernels, **options)
    magnitudes = exact(np.abs(images), np.abs(kernels), **options)
    allowed = most * np.finfo(result.dtype).eps * magnitudes.max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=allowed)


CASES = {
    "same": {},
    "valid": {"padding": "valid"},
    "full": {"padding": "full"},
    "sides of their own": {"padding": ((0, 3), (2, 1))},
    **{
        mode: {"pad_mode": mode, "padding": "full"}
        for mode in ("edge", "reflect", "symmetric", "wrap")
    },
    "padding of a number": {"pad_value": 3},
    "dilated": {"dilation": 2},
    "dilated apart": {"dilation": (3, 1), "padding": "full", "pad_mode": "reflect"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("images", "kernels"),
    [((2, 12, 14, 8), (8, 32)), ((1, 13, 9, 21), (21, 33)), ((1, 7, 40, 130), (130, 70))],
)
def test_floats(case, dtype, images, kernels):
    """Every border, odd and even sizes, and channels that fill no vector."""
    options = CASES[case]
    assert_right(normal(*images, dtype=dtype), normal(3, 3, *kernels, dtype=dtype), **options)


@law
@given(seed=st.integers(0, 2**32 - 1))
def test_random_sizes(seed):
    """Images, channels and paddings of any sizes."""
    rng = np.random.default_rng(seed)
    m, h, w, c, n = (int(rng.integers(1, most)) for most in (4, 30, 30, 80, 80))
    padding = [(int(before), int(after)) for before, after in rng.integers(1, 4, (2, 2))]
    dilation = tuple(int(each) for each in rng.integers(1, 5, 2))
    padding = [(2 * d + b, a) for d, (b, a) in zip(dilation, padding, strict=True)]
    images, kernels = normal(m, h, w, c, seed=seed), normal(3, 3, c, n, seed=seed + 1)
    assert_right(images, kernels, padding=padding, dilation=dilation)


@pytest.mark.parametrize(
    ("images", "kernels"),
    [
        (normal(1, 20, 30, 16, dtype="f2"), normal(3, 3, 16, 32)),
        (normal(1, 20, 30, 16, dtype=">f4"), normal(3, 3, 16, 32, dtype=">f4")),
        (normal(1, 20, 30, 16, dtype="f4"), normal(3, 3, 16, 32, dtype="f8")),
        ((9 * normal(1, 20, 30, 16)).astype("u1"), normal(3, 3, 16, 32)),
        (normal(2, 20, 60, 32)[::-1, ::-1, ::-2, ::2], normal(6, 3, 16, 64)[::2, ::-1, :, ::2]),
        (np.asfortranarray(normal(1, 20, 30, 16)), np.asfortranarray(normal(3, 3, 16, 32))),
        (normal(16, 1, 20, 30).transpose(1, 2, 3, 0), normal(32, 16, 3, 3).transpose(3, 2, 1, 0)),
    ],
)
def test_types_and_layouts(images, kernels):
    """Other types are converted, and any layout is read."""
    assert_right(images, kernels)


@pytest.mark.parametrize("dilation", [1, 2])
def test_outputs_of_any_layout(dilation):
    """Results go where `out` wants them."""
    images, kernels = normal(2, 9, 11, 16), normal(3, 3, 16, 32)
    expected = convlens.convolve(images, kernels, dilation=dilation)
    room = np.zeros((2, 9, 22, 64), "f4")
    for out in (room[:, :, ::2, :32], room[:, ::-1, ::2, ::2], np.asfortranarray(expected)):
        convlens.convolve(images, kernels, dilation=dilation, out=out)
        np.testing.assert_array_equal(out, expected)
    assert not room[:, :, 1::2].any()


def test_slabs():
    """Volumes whose windows have one tap along the depth are images, one slab after another."""
    assert_right(normal(2, 3, 14, 15, 16), normal(1, 3, 3, 16, 32), space=3)


def test_whole_numbers():
    """Sums of small whole numbers are exact: what is turned is only added, and halved."""
    rng = np.random.default_rng(0)
    images = rng.integers(-99, 100, (2, 15, 16, 64)).astype("f4")
    kernels = rng.integers(-9, 10, (3, 3, 64, 64)).astype("f4")
    assert is_winograds(images, kernels)
    np.testing.assert_array_equal(convlens.convolve(images, kernels), exact(images, kernels))


def test_windows_over_zeros():
    """Sums of zeros are exactly 0, however large the numbers beside them are."""
    images, kernels = 1e9 * normal(1, 30, 30, 32), normal(3, 3, 32, 32)
    images[:, 7:20, 9:25] = 0
    result = convlens.convolve(images, kernels)
    assert (result[:, 8:19, 10:24] == 0).all()
    assert np.count_nonzero(result) == result.size - 11 * 14 * 32


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_long_sums(dtype):
    """Sums over many channels are taken in parts, because equal numbers round in one direction."""
    images, kernels = np.full((1, 6, 6, 2048), 0.1, dtype), np.full((3, 3, 2048, 32), 0.1, dtype)
    assert_right(images, kernels, most=24)  # as in test_accuracy.py


def test_numbers_that_are_not_finite():
    """NaN and inf reach the outputs whose windows cover them; other tiles keep their bits."""
    images, kernels = normal(3, 41, 40, 32), normal(3, 3, 32, 40, seed=1)
    before = convlens.convolve(images, kernels)
    images[0, 7, 9, 3], images[1, 0, 0, 31], images[1, 40, 39, 0] = np.nan, np.inf, -np.inf
    result, expected = convlens.convolve(images, kernels), exact(images, kernels)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(result), np.isinf(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(result[finite], expected[finite], atol=1e-3)
    changed = (result != before).any(axis=-1)
    assert not changed[2].any()
    assert changed.sum() == 16 + 4 + 6  # all tiles with a window over one of the three


def test_numbers_that_are_not_finite_under_windows_with_gaps():
    """NaN and inf reach the outputs whose windows cover them; tiles of other phases keep bits."""
    images, kernels = normal(3, 41, 40, 32), normal(3, 3, 32, 40, seed=1)
    before = convlens.convolve(images, kernels, dilation=2)
    images[0, 7, 9, 3], images[1, 40, 39, 0] = np.nan, -np.inf
    result = convlens.convolve(images, kernels, dilation=2)
    expected = exact(images, kernels, dilation=2)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(result), np.isinf(expected))
    changed = (result != before).any(axis=-1)
    assert not changed[0, ::2].any()
    assert not changed[0, :, ::2].any()
    assert not changed[2].any()


def test_numbers_that_are_large():
    """Numbers whose sums a float32 holds overflow on the way to none of them."""
    images, kernels = normal(1, 12, 12, 32), normal(3, 3, 32, 32, seed=1)
    for larger, smaller in ((1e36, 1e-3), (1e-3, 1e36), (1e18, 1e18), (1e-30, 1e-15)):
        some, others = images * np.float32(larger), kernels * np.float32(smaller)
        expected = exact(some, others)
        result = convlens.convolve(some, others)
        most = 1e-5 * np.abs(expected).max() + 32 * 9 * 2.0**-149  # the smallest float32
        np.testing.assert_allclose(result, expected.astype("f4"), atol=most)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_kernels_that_are_not_finite(number):
    """A tap that is not finite reaches the outputs of its kernel, tap by tap."""
    images, kernels = normal(1, 12, 12, 32), normal(3, 3, 32, 40, seed=1)
    kernels[1, 0, 5, 17] = number
    images[:, 3:9, 3:9] = 0
    result, expected = convlens.convolve(images, kernels), exact(images, kernels)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    np.testing.assert_array_equal(np.isfinite(result), np.isfinite(expected))


def test_padding_that_is_not_finite():
    """Padding of NaN or inf reaches the outputs at the border."""
    images, kernels = normal(1, 12, 12, 32), normal(3, 3, 32, 40)
    result = convlens.convolve(images, kernels, pad_value=np.inf)
    expected = exact(images, kernels, pad_value=np.inf)
    np.testing.assert_array_equal(np.isfinite(result), np.isfinite(expected))
    assert np.isfinite(result[:, 1:-1, 1:-1]).all()


@pytest.mark.parametrize(
    ("window", "options"),
    [
        ((5, 5), {}),
        ((3, 5), {}),
        ((3, 3), {"stride": 2}),
        ((3, 3), {"groups": 2}),
        ((3, 3), {"dtype": "u1", "overflow": "saturate"}),
    ],
)
def test_what_is_computed_otherwise(window, options):
    """Other windows, strides, groups, and results that are rounded."""
    channels = 64 // options.get("groups", 1)
    images, kernels = normal(1, 20, 20, 64), normal(*window, channels, 64)
    assert not is_winograds(images, kernels, **options)


def test_what_costs_less(monkeypatch):
    """Many channels and kernels pay on images that are large enough."""
    monkeypatch.undo()
    assert is_winograds(normal(1, 56, 56, 64), normal(3, 3, 64, 64))
    assert not is_winograds(normal(1, 56, 56, 8), normal(3, 3, 8, 64))
    assert not is_winograds(normal(1, 7, 7, 64), normal(3, 3, 64, 64))
    assert is_winograds(normal(1, 56, 56, 64), normal(3, 3, 64, 64), dilation=2)
    assert not is_winograds(normal(1, 56, 56, 64), normal(3, 3, 64, 64), dilation=12)


@pytest.mark.parametrize(
    "options", [{}, {"pad_mode": "wrap"}, {"padding": "valid"}, {"dilation": 2}]
)
def test_the_same_bits(options):
    """An image's result depends neither on the batch, nor on threads, nor on the layout."""
    images, kernels = normal(3, 33, 35, 40), normal(3, 3, 40, 72, seed=1)
    call = partial(convlens.convolve, kernels=kernels, **options)
    whole_batch = call(images)
    for image, result in zip(images, whole_batch, strict=True):
        np.testing.assert_array_equal(call(image[np.newaxis])[0], result)
    np.testing.assert_array_equal(call(np.asfortranarray(images)), whole_batch)
    before = convlens.set_threads(1)
    try:
        np.testing.assert_array_equal(call(images), whole_batch)
    finally:
        convlens.set_threads(before)


@pytest.mark.parametrize("dilation", [1, (2, 3)])
def test_the_same_bits_of_parts_of_the_kernels(dilation, monkeypatch):
    """Kernels are turned a few at a time, and images divided, without a change."""
    images, kernels = normal(2, 33, 35, 40), normal(3, 3, 40, 100, seed=1)
    images[1, 3, 4, 5] = np.nan
    call = partial(convlens.convolve, images, kernels, dilation=dilation)
    expected = call()
    for name, less in (("TURNED", 2**17), ("DIRECT", 2**14), ("MENDED", 2**12)):
        monkeypatch.setattr(winograd, name, less)
        winograd._prepared.cache_clear()
        np.testing.assert_array_equal(call(), expected)
    winograd._prepared.cache_clear()


@pytest.mark.parametrize("chunks", [(1, 10, 10, 32), (2, 7, 13, 32), (3, 50, 3, 32)])
@pytest.mark.parametrize("options", [{}, {"pad_mode": "wrap"}, {"dilation": (2, 3)}])
def test_the_same_bits_of_dask_arrays(chunks, options):
    """Chunks of the result are cut between tiles, so that it has the bits of the whole."""
    da = pytest.importorskip("dask.array")
    images, kernels = normal(3, 30, 41, 32), normal(3, 3, 32, 64, seed=1)
    images[2, 5, 6, 7] = np.nan
    lazy = convlens.convolve(da.from_array(images, chunks), kernels, **options)
    assert len(lazy.chunks[1]) + len(lazy.chunks[2]) > 2
    with_chunks = lazy.compute(scheduler="synchronous")
    np.testing.assert_array_equal(with_chunks, convlens.convolve(images, kernels, **options))


@pytest.mark.parametrize("dilation", [1, 3])
def test_the_same_bits_of_files(dilation, tmp_path, monkeypatch):
    """Tiles of a file are cut between the tiles of the method."""
    monkeypatch.setattr(files, "TILE_BYTES", 2**17)
    monkeypatch.setattr(files, "LARGEST_TILE", 2**17)
    images, kernels = normal(2, 70, 45, 32), normal(3, 3, 32, 64, seed=1)
    np.save(tmp_path / "images.npy", images)
    array = files.open_array(tmp_path / "images.npy")
    plan = convlens.plan_convolve(images, kernels, dilation=dilation)
    assert "Winograd" in plan.reason
    steps = []
    execute_file(plan, array, kernels, tmp_path / "out.npy", steps.append)
    assert len(steps) > 2
    expected = convlens.convolve(images, kernels, dilation=dilation)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
