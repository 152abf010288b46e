"""Gradients by kernels that the compiled engine computes as products of matrices, or row by row.

Pixels are put side by side, or tiles turned by Winograd's method, and added up in blocks. So
answers and their error, whole numbers, where NaN and inf get to, and the same bits are looked at
here once more.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import built, law

import convlens
from convlens import kernel_gradient
from convlens.compiled import kernel_gradient as compiled
from convlens.compiled import library

pytestmark = built
PAD_MODES = "constant", "edge", "reflect", "symmetric", "wrap"


@pytest.fixture(autouse=True)
def whatever_the_cost(monkeypatch):
    """Few channels are products of matrices too, though it would be faster otherwise."""
    for name in ("FEWEST", "TURN", "FEW_KERNELS"):
        monkeypatch.setattr(compiled, name, 0)
    compiled.way.cache_clear()
    yield
    compiled.way.cache_clear()


def normal(*shape, dtype="f4", seed=0):
    """Normally distributed numbers of a type."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def is_winograds(images, outputs, shape, **options):
    """Whether the plan says that Winograd's method is taken."""
    plan = convlens.plan_kernel_gradient(images, outputs, shape, **options)
    return "by Winograd's method" in plan.reason


def is_product(images, outputs, shape, **options):
    """Whether the plan says that it is a product of matrices for each tap."""
    plan = convlens.plan_kernel_gradient(images, outputs, shape, **options)
    return "as products of the pixels" in plan.reason


def is_row_by_row(images, outputs, shape, **options):
    """Whether the plan says that each row's products are added up."""
    plan = convlens.plan_kernel_gradient(images, outputs, shape, **options)
    return "as products of each row's outputs" in plan.reason


def tap_by_tap(images, outputs, shape, **options):
    """The gradient in float64, as NumPy's engine computes it."""
    images, outputs = images.astype("f8"), outputs.astype("f8")
    return kernel_gradient(images, outputs, shape, **options | {"method": "numpy"})


def assert_right(images, outputs, shape, way=is_winograds, **options):
    """Compare a gradient with the exact one, within a few roundings of all that is added up."""
    assert way(images, outputs, shape, **options)
    result = kernel_gradient(images, outputs, shape, **options)
    expected = tap_by_tap(images, outputs, shape, **options)
    magnitudes = tap_by_tap(np.abs(images), np.abs(outputs), shape, **options)
    allowed = 8 * np.finfo(result.dtype).eps * magnitudes.max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=allowed)


@law
@given(seed=st.integers(0, 2**32 - 1), pad_mode=st.sampled_from(PAD_MODES))
def test_random_sizes(seed, pad_mode):
    """Images, channels, paddings and borders of any kind."""
    rng = np.random.default_rng(seed)
    m, h, w, c, n = (int(rng.integers(1, most)) for most in (4, 30, 30, 80, 80))
    padding = [(int(before), int(after)) for before, after in rng.integers(1, 4, (2, 2))]
    options = {"padding": padding, "pad_mode": pad_mode, "method": "compiled"}
    if pad_mode == "constant":
        options["pad_value"] = 3
    oh, ow = (size + sum(each) - 2 for size, each in zip((h, w), padding, strict=True))
    dtype = rng.choice(["f4", "f8"])
    images = normal(m, h, w, c, dtype=dtype, seed=seed)
    outputs = normal(m, oh, ow, n, dtype=dtype, seed=seed + 1)
    assert_right(images, outputs, (3, 3, c, n), **options)


@pytest.mark.parametrize(
    ("images", "outputs"),
    [
        (normal(1, 20, 30, 16, dtype="f2"), normal(1, 20, 30, 32)),
        (normal(1, 20, 30, 16, dtype=">f4"), normal(1, 20, 30, 32, dtype=">f4")),
        ((9 * normal(1, 20, 30, 16)).astype("u1"), normal(1, 20, 30, 32)),
        (normal(2, 20, 60, 32)[::-1, ::-1, ::-2, ::2], normal(2, 20, 60, 32)[:, ::-1, ::2, ::-1]),
        (normal(16, 1, 20, 30).transpose(1, 2, 3, 0), np.asfortranarray(normal(1, 20, 30, 32))),
    ],
)
def test_types_and_layouts(images, outputs):
    """Other types are converted, and the layout in memory changes no bit."""
    shape = 3, 3, images.shape[-1], outputs.shape[-1]
    assert_right(images, outputs, shape)
    result = kernel_gradient(images, outputs, shape)
    packed = [
        np.ascontiguousarray(each, each.dtype.newbyteorder("=")) for each in (images, outputs)
    ]
    np.testing.assert_array_equal(result, kernel_gradient(*packed, shape))
    room = np.zeros((3, 3, shape[2], 2 * shape[3]), result.dtype)
    kernel_gradient(images, outputs, shape, out=room[..., ::2])
    np.testing.assert_array_equal(room[..., ::2], result)
    assert not room[..., 1::2].any()


def test_many_tiles_and_kernels():
    """Several regions, sums that are added in pairs, and kernels that are computed in parts."""
    assert_right(normal(3, 200, 190, 40), normal(3, 200, 190, 8), (3, 3, 40, 8))
    assert_right(normal(1, 4, 4, 700), normal(1, 4, 4, 300), (3, 3, 700, 300))


def test_whole_numbers():
    """Sums of small whole numbers are exact: what is turned is only added, and halved."""
    rng = np.random.default_rng(0)
    images = rng.integers(-9, 10, (2, 15, 16, 64)).astype("f4")
    outputs = rng.integers(-9, 10, (2, 15, 16, 40)).astype("f4")
    shape = 3, 3, 64, 40
    assert is_winograds(images, outputs, shape)
    result = kernel_gradient(images, outputs, shape)
    np.testing.assert_array_equal(result, tap_by_tap(images, outputs, shape))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("of_images", [True, False])
def test_numbers_that_are_not_finite(number, of_images):
    """They, and very large ones, reach those numbers of the kernels alone that they belong to."""
    images, outputs = normal(2, 9, 9, 18) / 4, normal(2, 9, 9, 17) / 4
    (images if of_images else outputs)[1, 0, 0, 2] = number
    shape = 3, 3, 18, 17
    assert is_winograds(images, outputs, shape)
    result = kernel_gradient(images, outputs, shape)
    expected = kernel_gradient(images, outputs, shape, method="numpy")
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_same_bits_on_any_threads():
    """The number of threads changes a bit."""
    images, outputs = normal(3, 41, 40, 70), normal(3, 41, 40, 50)
    before = library.loaded().threads
    for window in (3, 3), (2, 1):
        results = []
        try:
            for threads in (1, 2, 5):
                convlens.set_threads(threads)
                results.append(kernel_gradient(images, outputs, (*window, 70, 50)))
        finally:
            convlens.set_threads(before)
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("region", [2**12, 2**15, 2**30])
@pytest.mark.parametrize("window", [(3, 3), (1, 1), (2, 1)])
def test_same_bits_of_arrays_that_are_copied(monkeypatch, region, window):
    """Arrays that are read as a whole are added up in another order than copies of their parts."""
    for name in "REGION", "FEW_REGION":
        monkeypatch.setattr(compiled, name, region)
    compiled.REPEATS.cache_clear()
    images, outputs = normal(5, 21, 20, 70), normal(5, 21, 20, 50)
    expected = kernel_gradient(images, outputs, (*window, 70, 50))
    for each in (np.asfortranarray, lambda array: np.repeat(array, 2, -1)[..., ::2]):
        result = kernel_gradient(each(images), each(outputs), (*window, 70, 50))
        np.testing.assert_array_equal(result, expected)


@law
@given(seed=st.integers(0, 2**32 - 1), pad_mode=st.sampled_from(PAD_MODES))
def test_windows_of_any_size(seed, pad_mode):
    """Windows, strides, dilations and borders of any kind, which are products for each tap."""
    rng = np.random.default_rng(seed)
    m, h, w, c, n = (int(rng.integers(1, most)) for most in (4, 20, 20, 80, 80))
    pairs = {name: tuple(map(int, rng.integers(1, 4, 2))) for name in ("stride", "dilation")}
    options = {"padding": "same", "pad_mode": pad_mode, "method": "compiled", **pairs}
    shape = (*map(int, rng.integers(1, 4, 2)), c, n)
    if shape[:2] == (3, 3) and set(pairs.values()) == {(1, 1)}:
        shape = 2, *shape[1:]
    dtype = rng.choice(["f4", "f8"])
    images = normal(m, h, w, c, dtype=dtype, seed=seed)
    outputs = normal(m, -(-h // pairs["stride"][0]), -(-w // pairs["stride"][1]), n, dtype=dtype)
    assert_right(images, outputs, shape, is_product, **options)


def test_many_pixels_channels_and_kernels():
    """Products of several regions, groups of channels, and parts of the kernels."""
    assert_right(normal(3, 200, 190, 40), normal(3, 200, 190, 8), (1, 1, 40, 8), is_product)
    assert_right(normal(1, 4, 4, 700), normal(1, 2, 2, 300), (2, 2, 700, 300), is_product, stride=2)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 3e38])
def test_products_of_numbers_that_are_not_finite(number):
    """They reach those numbers of the kernels alone that they belong to."""
    images, outputs = normal(2, 9, 9, 18) / 4, normal(2, 5, 5, 17) / 4
    images[1, 0, 0, 2] = number
    outputs[0, 4, 4, 3] = number
    shape, options = (3, 3, 18, 17), {"stride": 2}
    assert is_product(images, outputs, shape, **options)
    result = kernel_gradient(images, outputs, shape, **options)
    expected = kernel_gradient(images, outputs, shape, **options, method="numpy")
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"groups": 2}, {"space": 3}])
def test_what_is_computed_otherwise(options):
    """Groups and volumes have no such pipelines."""
    space, groups = options.get("space", 2), options.get("groups", 1)
    images, shape = normal(1, *(6,) * space, 16), (*(2,) * space, 16 // groups, 16)
    outputs = convlens.convolve(images, normal(*shape), **options)
    assert not is_winograds(images, outputs, shape, **options)
    assert not is_product(images, outputs, shape, **options)
    result = kernel_gradient(images, outputs, shape, **options)
    expected = tap_by_tap(images, outputs, shape, **options)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-3)


def test_where_it_pays(monkeypatch):
    """Wide layers take Winograd's method, and layers of few channels do not."""
    monkeypatch.undo()
    compiled.way.cache_clear()
    for side, c, n, taken in ((56, 64, 64, True), (7, 512, 512, True), (224, 3, 64, False)):
        images, outputs = (8, side, side, c), (8, side, side, n)
        assert is_winograds(images, outputs, (3, 3, c, n)) == taken


def test_gradients_of_next_to_nothing():
    """NumPy computes small convolutions, but not their gradients, for which it takes ten times."""
    shapes = (2000, 1, 3, 4), (1, 1, 4, 1)
    forward = convlens.plan_convolve(*shapes, stride=2)
    assert forward.method == "numpy"
    plan = convlens.plan_kernel_gradient(shapes[0], forward.output_shape, shapes[1], stride=2)
    assert plan.method == "compiled"


# ------------------------------------------------------------------------ kernels of few numbers


@pytest.fixture(scope="module")
def as_it_pays():
    """What `whatever_the_cost` changes, as it is."""
    return {name: getattr(compiled, name) for name in ("FEWEST", "FEW_KERNELS")}


@pytest.fixture
def row_by_row(monkeypatch, as_it_pays, whatever_the_cost):  # noqa: ARG001  # changed before
    """Kernels of few numbers are computed row by row."""
    for name, value in as_it_pays.items():
        monkeypatch.setattr(compiled, name, value)
    compiled.way.cache_clear()


@pytest.mark.usefixtures("row_by_row")
@law
@given(seed=st.integers(0, 2**32 - 1), pad_mode=st.sampled_from(PAD_MODES))
def test_few_numbers_of_any_size(seed, pad_mode):
    """Windows, strides, dilations, groups and borders of any kind, or one kernel for them all."""
    rng = np.random.default_rng(seed)
    m, h, w, c, n, groups = (int(rng.integers(1, most)) for most in (4, 20, 40, 6, 20, 4))
    pairs = {name: tuple(map(int, rng.integers(1, 4, 2))) for name in ("stride", "dilation")}
    options = {"padding": "same", "pad_mode": pad_mode, "method": "compiled", **pairs}
    if pad_mode == "constant":
        options["pad_value"] = 3
    shape = tuple(map(int, rng.integers(1, 6, 2)))
    if rng.random() < 0.2:
        n = c
    else:
        if rng.random() < 0.5:
            n, c, options["groups"] = groups * (n % 3 + 1), groups * c, groups
        shape += c // options.get("groups", 1), n
        if options.get("groups", 1) > 1 and n >= 8:
            return
    dtype = rng.choice(["f4", "f8"])
    images = normal(m, h, w, c, dtype=dtype, seed=seed)
    sizes = (-(-size // by) for size, by in zip((h, w), pairs["stride"], strict=True))
    outputs = normal(m, *sizes, n, dtype=dtype, seed=seed + 1)
    assert_right(images, outputs, shape, is_row_by_row, **options)


@pytest.mark.usefixtures("row_by_row")
def test_few_numbers_of_many_rows():
    """Long rows are cut, chains ended, and there are several tasks and regions."""
    for n in (1, 3, 16, 33):
        assert_right(normal(2, 90, 1300, 2), normal(2, 90, 1300, n), (3, 2, 2, n), is_row_by_row)
        assert_right(normal(300, 30, 9, 1), normal(300, 30, 9, n), (2, 2, 1, n), is_row_by_row)


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("n", [2, 17])
def test_few_numbers_that_are_not_finite(number, n):
    """They reach those numbers of the kernels alone that they belong to."""
    images, outputs = normal(2, 9, 9, 3) / 4, normal(2, 9, 9, n) / 4
    images[1, 0, 0, 2] = images[0, 5, 8, 1] = number
    outputs[0, 8, 8, 1] = number
    shape = 3, 3, 3, n
    assert is_row_by_row(images, outputs, shape)
    result = kernel_gradient(images, outputs, shape)
    expected = kernel_gradient(images, outputs, shape, method="numpy")
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("n", [3, 9])
def test_few_numbers_in_any_layout_on_any_threads(n):
    """Threads, or how arrays lie in memory, change a bit."""
    images, outputs, shape = normal(8, 41, 70, 2), normal(8, 41, 70, n), (3, 3, 2, n)
    assert is_row_by_row(images, outputs, shape)
    expected = kernel_gradient(images, outputs, shape)
    for layout in (np.asfortranarray, lambda x: x[::-1].copy()[::-1], lambda x: x.astype(">f4")):
        result = kernel_gradient(layout(images), layout(outputs), shape)
        np.testing.assert_array_equal(result, expected)
    before = library.loaded().threads
    try:
        for threads in (1, 5):
            convlens.set_threads(threads)
            np.testing.assert_array_equal(kernel_gradient(images, outputs, shape), expected)
    finally:
        convlens.set_threads(before)
