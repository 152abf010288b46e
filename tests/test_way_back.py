"""Transposes and gradients are what the definitions say, on random calls of every kind.

A convolution is linear in its images and in its kernels, so its transpose and its gradient follow
from `convolve` itself, called with a 1 in one place after another. Gradients of poolings are
computed in plain loops here. All numbers are whole, so that sums are exact.
"""

from math import prod

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    METHODS,
    PAD_MODES,
    POOL_MODES,
    a_grid,
    built,
    each_method,
    grids,
    law,
    pad_modes,
    random_convolution,
    random_pooling,
    seeds,
    takes,
)

import convlens
from convlens import convolve, convolve_transpose, kernel_gradient, pool_gradient, pool_indices
from convlens.compiled import library


def whole(rng, shape):
    """Small random integers."""
    return rng.integers(-9, 9, shape, endpoint=True)


NOT_TAKEN = "dtype", "overflow", "pad_value", "renormalize", "where"  # by transposes and gradients


def random_calls(count, seed, most):
    """Yield random convolutions of few numbers: (images, kernels, outputs, options, size)."""
    number = 0
    while count:
        rng = np.random.default_rng([seed, number])
        number += 1
        case = random_convolution(rng)
        images, kernels = (whole(rng, np.shape(each)) for each in case.arguments)
        options = {k: v for k, v in case.options.items() if k not in NOT_TAKEN}
        if images.size * kernels.size > most:
            continue
        outputs = whole(rng, convolve(images, kernels, **options).shape)
        one = (images.ndim - case.space, kernels.ndim - case.space) in ((0, 0), (1, 1), (1, 2))
        size = images.shape[:] if one else images.shape[1:]
        yield images, kernels, outputs, options, size[: case.space]
        count -= 1


def transposed(images, kernels, outputs, options):
    """The transpose applied to outputs: its matrix has a column for each pixel."""
    result, one = np.zeros(images.shape, int), np.zeros(images.shape, int)
    for pixel in np.ndindex(*images.shape):
        one[pixel] = 1
        result[pixel] = (convolve(one, kernels, **options) * outputs).sum()
        one[pixel] = 0
    return result


def by_kernels(images, kernels, outputs, options):
    """The gradient by the kernels, of which each number is changed by 1."""
    result, one = np.zeros(kernels.shape, int), np.zeros(kernels.shape, int)
    for number in np.ndindex(*kernels.shape):
        one[number] = 1
        result[number] = (convolve(images, one, **options) * outputs).sum()
        one[number] = 0
    return result


# ------------------------------------------------------------------------------- exactly


@each_method
def test_transposes(method):
    """A transpose is not that of the convolution: some pixel gets other numbers."""
    for images, kernels, outputs, options, size in random_calls(250, 1, 3000):
        expected = transposed(images, kernels, outputs, options)
        for o, k in ((outputs, kernels), (outputs.astype("f4"), kernels.astype("f8"))):
            result = convolve_transpose(o, k, size, **options, method=method)
            np.testing.assert_array_equal(result, expected, err_msg=str((kernels.shape, options)))
            assert result.dtype == np.result_type(o, k)


@each_method
@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8", ">f4"])
def test_transposes_of_many_channels(method, dtype):
    """Channels and kernels are exchanged wrongly where a pipeline copies them."""
    rng = np.random.default_rng(0)
    outputs = whole(rng, (1, 2, 3, 300)).astype(dtype)
    whole_kernels = whole(rng, (2, 2, 260, 301)).astype(dtype)
    for kernels in (whole_kernels[..., :-1], whole_kernels[::-1, ..., 1:]):
        result = convolve_transpose(outputs, kernels, padding="valid", stride=2, method=method)
        expected = np.empty((1, 4, 6, 260))
        for y, x in np.ndindex(2, 2):
            expected[:, y::2, x::2] = outputs.astype("f8") @ kernels[y, x].T.astype("f8")
        np.testing.assert_array_equal(result, expected.astype(dtype))


@each_method
def test_gradients_by_the_kernels(method):
    """A gradient by the kernels has other numbers."""
    for number, (images, kernels, outputs, options, _) in enumerate(random_calls(250, 2, 3000)):
        if options.get("pad_mode", "constant") == "constant":
            options["pad_value"] = number % 3 - 1
        at_zero = by_kernels(images, kernels, outputs, options)
        for x, y in ((images, outputs), (images.astype("f4"), outputs.astype("f8"))):
            result = kernel_gradient(x, y, kernels.shape, **options, method=method)
            np.testing.assert_array_equal(result, at_zero, err_msg=str((images.shape, options)))
            assert result.dtype == np.result_type(x, y)


TYPES = ["?", "i1", "u1", "i2", "u8", "i8", "e", "f", "d", "g", "F", "D", ">f4", ">i2"]


@each_method
@pytest.mark.parametrize("dtype", TYPES)
def test_types(method, dtype):
    """Numbers of some type are computed wrongly, or give another type than `convolve` gives."""
    if not takes(method, dtype):
        pytest.skip("NumPy's engine computes these")
    rng = np.random.default_rng(0)
    outputs = rng.integers(0, 2, (2, 3, 4, 6)).astype(dtype)
    kernels = rng.integers(0, 2, (3, 3, 2, 6)).astype(dtype)
    options = {"stride": 2, "groups": 2, "pad_mode": "reflect"}
    images = rng.integers(0, 2, (2, 6, 8, 4)).astype(dtype)
    exact = [each.real.astype("i8") for each in (images, kernels, outputs)]
    result = convolve_transpose(outputs, kernels, **options, method=method)
    np.testing.assert_array_equal(result, transposed(*exact, options))
    assert result.dtype == convolve(images, kernels, **options).dtype
    result = kernel_gradient(images, outputs, kernels.shape, **options, method=method)
    np.testing.assert_array_equal(result, by_kernels(*exact, options))
    assert result.dtype == convolve(images, kernels, **options).dtype


@each_method
def test_gradients_by_kernels_of_one_tap(method):
    """Channels of 1 x 1 kernels that are computed in parts are mixed up, or places left out."""
    rng = np.random.default_rng(0)
    for space, sizes, c, n in ((2, (9, 11), 700, 500), (2, (300, 700), 3, 2), (1, (7,), 2, 1)):
        images = whole(rng, (2, *sizes, c))
        kernel_shape = *(1,) * space, c, n
        for stride in 1, 3:
            kept = images[:, *(slice(None, None, stride),) * space]
            outputs = whole(rng, (*kept.shape[:-1], n))
            result = kernel_gradient(
                images, outputs, kernel_shape, "valid", stride, method=method, space=space
            )
            expected = kept.reshape(-1, c).T.astype(float) @ outputs.reshape(-1, n)
            assert (result.reshape(c, n) == expected).all()


def test_integers_are_exact():
    """Sums of integers wrap around, or are rounded to floats on the way."""
    outputs = np.full((1, 40, 40, 1), 2**31 - 1, np.int32)
    kernels = np.full((3, 3, 1, 1), 2**24 - 1, np.int32)
    result = convolve_transpose(outputs, kernels, padding="valid")
    assert result[0, 20, 20, 0] == 9 * (2**31 - 1) * (2**24 - 1)
    gradient = kernel_gradient(outputs, np.full((1, 40, 40, 1), 2**20, np.int32), (1, 1, 1, 1))
    assert gradient.item() == 1600 * (2**31 - 1) * 2**20


# --------------------------------------------------------------------------------- laws


@law
@given(seed=seeds, grid=grids, pad_mode=pad_modes, groups=st.integers(1, 2))
@each_method
def test_dot(method, seed, grid, pad_mode, groups):
    """⟨A x, y⟩ is not ⟨x, Aᵀ y⟩, nor ⟨k, gradient by k⟩."""
    rng = np.random.default_rng(seed)
    options = {
        "padding": grid.padding,
        "stride": grid.stride,
        "dilation": grid.dilation,
        "groups": groups,
        "pad_mode": pad_mode,
        "space": grid.space,
        "method": method,
    }
    x = rng.standard_normal((2, *grid.size, 2 * groups))
    k = rng.standard_normal((*grid.window, 2, 3 * groups))
    ax = convolve(x, k, **options)
    y = rng.standard_normal(ax.shape)
    forward, bound = (ax * y).sum(), 1e-12 * (np.abs(ax) * np.abs(y)).sum()
    back = convolve_transpose(y, k, grid.size, **options)
    assert abs(forward - (x * back).sum()) <= bound
    gradient = kernel_gradient(x, y, k.shape, **options)
    assert abs(forward - (k * gradient).sum()) <= bound


@law
@given(seed=seeds, grid=a_grid(2))
@each_method
def test_adjoint_of_complex_numbers(method, seed, grid):
    """The conjugate transpose of complex kernels is not that of the convolution."""
    if method == "compiled":
        return  # it does not take complex numbers
    rng = np.random.default_rng(seed)
    x, k = (
        rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        for shape in (grid.size, grid.window)
    )
    ax = convolve(x, k, grid.padding, grid.stride, method=method)
    y = ax.conj() + 1
    back = convolve_transpose(y, k.conj(), grid.size, grid.padding, grid.stride, method=method)
    np.testing.assert_allclose(np.vdot(y, ax), np.vdot(back, x), 1e-10)


@pytest.mark.parametrize("space", [1, 2, 3])
def test_finite_differences(space):
    """The gradients are not those of a loss, as small steps in float64 measure them."""
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal((2, *[6] * space, 2)), rng.standard_normal((*[3] * space, 2, 3))
    options = {"stride": 2, "pad_mode": "wrap", "space": space}

    def loss(x, k):
        return np.sin(convolve(x, k, **options)).sum()

    back = np.cos(convolve(x, k, **options))
    by_x = convolve_transpose(back, k, x.shape[1:-1], **options)
    by_k = kernel_gradient(x, back, k.shape, **options)
    step = 1e-5
    for _ in range(20):
        dx, dk = rng.standard_normal(x.shape), rng.standard_normal(k.shape)
        slope = (loss(x + step * dx, k) - loss(x - step * dx, k)) / (2 * step)
        np.testing.assert_allclose(slope, (by_x * dx).sum(), rtol=1e-6, atol=1e-6)
        slope = (loss(x, k + step * dk) - loss(x, k - step * dk)) / (2 * step)
        np.testing.assert_allclose(slope, (by_k * dk).sum(), rtol=1e-6, atol=1e-6)


# ----------------------------------------------------------------------------- poolings


def given_back(images, outputs, window, options):
    """The gradient of a pooling, and the flat places of winners, in plain loops."""
    space, mode = options.get("space", 2), options.get("mode", "max")
    x, y = (
        each.reshape({space: (1, *each.shape, 1), space + 1: (*each.shape, 1)}[each.ndim])
        if each.ndim < space + 2
        else each
        for each in (images, outputs)
    )
    size = x.shape[1:-1]
    window = oracle.numbers(window, space)
    gap = oracle.numbers(options.get("dilation", 1), space)
    stride = options.get("stride")
    step = oracle.numbers(window if stride is None else stride, space)
    reach = [(n - 1) * d + 1 for n, d in zip(window, gap, strict=True)]
    pads = oracle.paddings(options.get("padding", "valid"), size, reach, step)
    pad_mode, pad_value = options.get("pad_mode"), options.get("pad_value", 0)
    cells = np.arange(prod(size)).reshape(size)
    cells = oracle.padded(cells, pads, pad_mode or "constant", -1)
    result, places = np.zeros((len(x), prod(size), x.shape[-1])), np.full(y.shape, -1)
    for m, *place, c in np.ndindex(*y.shape):
        taps = [
            tuple(o * s + t * d for o, s, t, d in zip(place, step, tap, gap, strict=True))
            for tap in np.ndindex(*window)
        ]
        under = [cells[tap] for tap in taps if np.less(tap, cells.shape).all()]
        on_pixels, back = [p for p in under if p >= 0], y[m, *place, c]
        if mode in ("sum", "avg"):
            counted = under if pad_mode or options.get("count_padding") else on_pixels
            for p in on_pixels:
                result[m, p, c] += back / (len(counted) if mode == "avg" else 1)
            continue
        best, at = None, -1
        for p in under if pad_mode else on_pixels:
            number = x[m].reshape(-1, x.shape[-1])[p, c] if p >= 0 else pad_value
            larger = best is None or (number > best if mode == "max" else number < best)
            if larger or np.isnan(number):
                best, at = number, p
        places[m, *place, c] = at
        if at >= 0:
            result[m, at, c] += back
    return result.reshape(images.shape), places.reshape(outputs.shape)


def random_poolings(count, seed):
    """Yield random poolings: (images, outputs, window, options); many numbers are equal."""
    number = 0
    while count:
        rng = np.random.default_rng([seed, number])
        number += 1
        case = random_pooling(rng)
        images = rng.integers(-2, 3, np.shape(case.arguments[0])).astype(float)
        if rng.random() < 0.3:
            images[rng.random(images.shape) < 0.2] = np.nan
        options = {k: v for k, v in case.options.items() if k == "pad_value" or k not in NOT_TAKEN}
        if "pad_value" in options:
            options["pad_value"] = int(rng.integers(-2, 3))
        if images.size > 300:
            continue
        try:
            outputs = whole(rng, convlens.pool(images, case.arguments[1], **options).shape)
        except ValueError as error:
            assert "cover no pixel" in str(error)  # noqa: PT017
            continue
        yield images, outputs.astype(float), case.arguments[1], options
        count -= 1


@each_method
def test_gradients_of_poolings(method):
    """What comes back to an output goes to other pixels than those that it was made of."""
    for number, (images, outputs, window, options) in enumerate(random_poolings(300, 3)):
        outputs = outputs.astype("dfqg"[number % 4])  # noqa: PLW2901
        choosing = options.get("mode", "max") in ("max", "min")
        takes = choosing or number % 4 < 2  # pipelines of sums take no other types
        asked = method if takes else "numpy"
        result = pool_gradient(images, outputs, window, **options, method=asked)
        expected, places = given_back(images, outputs, window, options)
        bound = 1e-6 if outputs.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(result, expected, bound, bound, err_msg=str(options))
        if choosing:
            options.pop("count_padding", None)
            found = pool_indices(images, window, **options, method=method)
            np.testing.assert_array_equal(found, places)


@built
@pytest.mark.parametrize("mode", ["max", "min"])
def test_winners_of_every_type(mode):
    """Numbers that are near each other, or at the ends of their type, are told apart."""
    for number, letter in enumerate("?bBhHiIlLqQefdg"):
        rng = np.random.default_rng(number)
        dtype = np.dtype(letter)
        if dtype.kind == "f":
            ends = [np.finfo(dtype).max, -np.finfo(dtype).max, np.inf, -np.inf, np.nan, -0.0]
            near = [np.nextafter(dtype.type(1), dtype.type(n)) for n in (0, 2)]
        else:
            info = np.iinfo(np.uint8 if letter == "?" else dtype)
            ends, near = [info.max, info.min], [info.max - 1, info.max // 2]
        choices = np.array([*ends, *near, 1, 0], dtype)
        images = rng.choice(choices, (2, 13, 11, 3)).astype(dtype.newbyteorder(">"))
        outputs = rng.standard_normal((2, 7, 4, 3))
        call = (3, (2, 3), mode)
        methods = ["numpy", "auto"] if letter in "lLqQg" else METHODS
        for padding in ("same", 1):
            options = {"padding": padding, "pad_mode": "constant" if padding == 1 else None}
            places = pool_indices(images, *call, **options, method="numpy")
            back = outputs[:, : places.shape[1], : places.shape[2]]
            given = pool_gradient(images, back, *call, **options, method="numpy")
            for method in methods:
                found = pool_indices(images, *call, **options, method=method)
                np.testing.assert_array_equal(found, places)
                result = pool_gradient(images, back, *call, **options, method=method)
                np.testing.assert_allclose(result, given, 1e-14)


@each_method
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_winners_in_many_blocks(method, dtype):
    """Of images that are cut into several blocks, every pixel still gets what it was."""
    rng = np.random.default_rng(4)
    for shape, window, stride in [
        ((700, 900), 3, 1),
        ((2, 300, 800, 2), (2, 5), (3, 1)),
        ((3, 1, 150_000, 1), (1, 4), 2),
        ((1, 40, 3, 6000), 3, 2),
    ]:
        images = rng.integers(0, 50, shape).astype(dtype)
        outputs = rng.integers(-9, 9, convlens.pool(images, window, stride).shape).astype("f4")
        found = pool_indices(images, window, stride, method=method)
        full = images.reshape(1, *shape, 1) if images.ndim == 2 else images
        m, c = np.ogrid[: len(full), : full.shape[-1]]
        flat = full.reshape(len(full), -1, full.shape[-1])
        where = found.reshape(len(full), -1, full.shape[-1])
        of_found = flat[m[:, np.newaxis], where, c[np.newaxis]]
        pooled = convlens.pool(images, window, stride)
        np.testing.assert_array_equal(of_found.reshape(pooled.shape), pooled)
        expected = np.zeros(flat.shape)
        np.add.at(expected, (m[:, np.newaxis], where, c[np.newaxis]), outputs.reshape(where.shape))
        result = pool_gradient(images, outputs, window, stride, method=method)
        np.testing.assert_array_equal(result.reshape(flat.shape), expected)


@each_method
@pytest.mark.parametrize("mode", ["max", "min"])
def test_gradients_of_windows_apart(mode, method):
    """Windows that share no pixels give to others than those that `pool_indices` names."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        space = int(rng.integers(1, 4))
        sizes, windows, dilation = rng.integers((1,), [[9], [4], [3]], (3, space))
        stride = (windows - 1) * dilation + 1 + rng.integers(0, 2, space)
        sizes = np.maximum(sizes, (windows - 1) * dilation + 1)
        images = rng.choice([-1.0, -0.0, 0.0, 1.0, np.nan, np.inf], (3, *sizes, 2))
        options = {"dilation": tuple(dilation.tolist()), "mode": mode, "space": space}
        call = tuple(windows.tolist()), tuple(stride.tolist())
        indices = pool_indices(images, *call, **options, method=method)
        outputs = rng.choice([1.0, 2.0, np.nan, np.inf], indices.shape)
        given = np.zeros((3, sizes.prod(), 2))
        m, c = np.ogrid[:3, :2]
        for at in np.ndindex(indices.shape[1:-1]):
            here = (slice(None), *at)
            given[m, indices[here], c] = outputs[here]
        result = pool_gradient(images, outputs, *call, **options, method=method)
        np.testing.assert_array_equal(result.reshape(given.shape), given)


@each_method
def test_large_windows_that_overlap(method):
    """Where hundreds of windows choose the same pixel, what it gets is added up inexactly."""
    images = np.zeros((60, 60), np.float32)
    images[30, 30] = 1
    outputs = np.full((30, 30), 0.1, np.float32)
    result = pool_gradient(images, outputs, 31, 1, method=method)
    assert abs(result[30, 30] - 900 * float(np.float32(0.1))) < 90 * 4 * np.finfo("f4").eps


@pytest.mark.parametrize("mode", POOL_MODES)
@pytest.mark.parametrize("dtype", ["?", "u1", "i4", "u8", "e", "f", "d", "g"])
def test_types_of_poolings(mode, dtype):
    """A gradient of a pooling has another type than the outputs call for, or other numbers."""
    images = np.random.default_rng(0).integers(0, 2, (2, 4, 6, 3)).astype(dtype)
    outputs = np.ones((2, 2, 3, 3), dtype)
    result = pool_gradient(images, outputs, 2, mode=mode)
    floats = np.dtype(dtype).kind == "f"
    sums = np.uint64 if dtype == "u8" else np.int64
    assert result.dtype == (dtype if floats else np.float64 if mode == "avg" else sums)
    assert result.sum() == outputs.sum(dtype=int) * (4 if mode == "sum" else 1)


# ----------------------------------------------------------------------------- promises


CALLS = {  # outputs, kernels, options
    "gray": ((7, 9, 11), (3, 3), {}),
    "a layer": ((5, 8, 9, 33), (3, 3, 17, 33), {"stride": 2}),
    "groups": ((5, 8, 9, 12), (3, 3, 2, 12), {"groups": 3, "pad_mode": "wrap"}),
    "depthwise": ((4, 12, 12, 40), (3, 3, 1, 40), {"groups": 40, "pad_mode": "edge"}),
    "signals": ((9, 50, 8), (5, 4, 8), {"space": 1, "stride": 3, "pad_mode": "symmetric"}),
    "volumes": ((3, 4, 5, 6, 9), (2, 3, 3, 5, 9), {"space": 3, "dilation": 2}),
}


def drawn(name, dtype):
    """Outputs, kernels, images and options of one of these calls."""
    of_outputs, of_kernels, options = CALLS[name]
    rng = np.random.default_rng(0)
    outputs, kernels = (rng.standard_normal(n).astype(dtype) for n in (of_outputs, of_kernels))
    shape = convlens.plan_convolve_transpose(outputs, kernels, **options).output_shape
    return outputs, kernels, rng.standard_normal(shape).astype(dtype), options


@each_method
@pytest.mark.parametrize("dtype", "efd")
@pytest.mark.parametrize("name", CALLS)
def test_same_bits(method, name, dtype):
    """An image's result has other bits in another batch, or from arrays that lie otherwise."""
    outputs, kernels, _, options = drawn(name, dtype)

    def call(y, k=kernels):
        return convolve_transpose(y, k, **options, method=method)

    together = call(outputs)
    for n in range(len(outputs)):
        np.testing.assert_array_equal(call(outputs[n : n + 1]), together[n : n + 1])
    mirrored = np.asfortranarray(outputs[::-1])[::-1]
    swapped = kernels.astype(kernels.dtype.newbyteorder())
    np.testing.assert_array_equal(call(mirrored, swapped), together)
    np.testing.assert_array_equal(call(np.repeat(outputs, 2, axis=1)[:, ::2]), together)


@each_method
@pytest.mark.parametrize("name", CALLS)
def test_same_bits_of_gradients_by_kernels(method, name):
    """A gradient by the kernels has other bits from arrays that lie otherwise, or a second time."""
    outputs, kernels, images, options = drawn(name, "f")

    def call(x, y):
        return kernel_gradient(x, y, kernels.shape, **options, method=method)

    first = call(images, outputs)
    mirrored = [np.asfortranarray(each[::-1])[::-1] for each in (images, outputs)]
    swapped = [each.astype(each.dtype.newbyteorder()) for each in (images, outputs)]
    sliced = [np.repeat(each, 2, axis=1)[:, ::2] for each in (images, outputs)]
    for arrays in (mirrored, swapped, sliced, [images, outputs]):
        np.testing.assert_array_equal(call(*arrays), first)


def pooled(mode):
    """Images, outputs and options of poolings whose windows overlap."""
    rng = np.random.default_rng(0)
    for sizes, window, options in (
        ((7, 9, 11, 3), 3, {"stride": 2, "padding": "same"}),
        ((5, 40, 41), (5, 4), {"stride": 1, "pad_mode": "reflect", "padding": 2}),
        ((3, 70, 2), 9, {"stride": 2, "space": 1}),
        ((3, 40, 9, 8), 3, {"stride": (2, 1), "padding": "same"}),
        ((3, 6, 7, 8, 2), 2, {"space": 3, "dilation": 2, "stride": 1}),
    ):
        images = rng.standard_normal(sizes).astype("f")
        some = options | {"mode": mode}
        outputs = rng.standard_normal(convlens.pool(images, window, **some).shape)
        yield images, outputs.astype("f"), window, some


@pytest.mark.parametrize("mode", POOL_MODES)
def test_same_bits_of_gradients_of_poolings(mode):
    """An image's gradient has other bits in another batch, or from arrays that lie otherwise."""
    for images, outputs, window, options in pooled(mode):
        together = pool_gradient(images, outputs, window, **options)
        for n in range(len(images)):
            alone = pool_gradient(images[n : n + 1], outputs[n : n + 1], window, **options)
            np.testing.assert_array_equal(alone, together[n : n + 1])
        mirrored = [np.asfortranarray(each[::-1])[::-1] for each in (images, outputs)]
        np.testing.assert_array_equal(pool_gradient(*mirrored, window, **options), together)
        swapped = [each.astype(each.dtype.newbyteorder()) for each in (images, outputs)]
        np.testing.assert_array_equal(pool_gradient(*swapped, window, **options), together)


@built
def test_same_bits_of_poolings_on_any_threads():
    """The number of threads changes bits of a pooling's gradient."""
    before = library.loaded().threads
    for mode in POOL_MODES:
        for images, outputs, window, options in pooled(mode):
            results = []
            try:
                for threads in (1, 2, 5):
                    convlens.set_threads(threads)
                    results.append(pool_gradient(images, outputs, window, **options))
            finally:
                convlens.set_threads(before)
            for other in results[1:]:
                np.testing.assert_array_equal(results[0], other)


@built
@pytest.mark.parametrize("name", CALLS)
def test_same_bits_on_any_threads(name):
    """The number of threads changes bits."""
    outputs, kernels, images, options = drawn(name, "f")
    results, before = [], library.loaded().threads
    try:
        for threads in (1, 2, 5):
            convlens.set_threads(threads)
            results.append(
                [
                    convolve_transpose(outputs, kernels, **options, method="compiled"),
                    kernel_gradient(images, outputs, kernels.shape, **options, method="compiled"),
                ]
            )
    finally:
        convlens.set_threads(before)
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


@each_method
@pytest.mark.parametrize("name", CALLS)
def test_inputs_stay_as_they_are(method, name):
    """Inputs are changed, must not be read-only, or share memory with the result."""
    outputs, kernels, images, options = drawn(name, "f")
    space = options.get("space", 2)
    pooled = convlens.pool(images, 2, space=space)
    inputs = [outputs, kernels, images, pooled]
    before = [each.copy() for each in inputs]
    for each in inputs:
        each.flags.writeable = False
    results = [
        convolve_transpose(outputs, kernels, **options, method=method),
        kernel_gradient(images, outputs, kernels.shape, **options, method=method),
        pool_gradient(images, pooled, 2, space=space),
        pool_gradient(images, pooled, 2, mode="avg", space=space, method=method),
    ]
    for each, old in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(each, old)
        assert not any(np.shares_memory(each, result) for result in results)


@each_method
def test_out(method):
    """The result is not written into `out`, or into a view with gaps wrongly."""
    outputs, kernels, images, options = drawn("a layer", "f")
    expected = convolve_transpose(outputs, kernels, **options, method=method)
    memory = np.zeros((*expected.shape[:-1], 2 * expected.shape[-1]), "f")
    out = memory[..., ::2]
    assert convolve_transpose(outputs, kernels, **options, method=method, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert (memory[..., 1::2] == 0).all()
    out = np.empty(kernels.shape, "f")
    assert kernel_gradient(images, outputs, kernels.shape, **options, out=out) is out
    np.testing.assert_array_equal(out, kernel_gradient(images, outputs, kernels.shape, **options))


@each_method
@pytest.mark.parametrize("pad_mode", PAD_MODES)
def test_nan_reaches_the_pixels_of_its_window(method, pad_mode):
    """NaN in one output reaches other pixels than those that its window covers."""
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((3, 2, 3, 5))
    options = {"stride": (2, 1), "dilation": (1, 2), "pad_mode": pad_mode, "method": method}
    outputs = rng.standard_normal((2, 5, 7, 5))
    covered = convolve_transpose(np.zeros_like(outputs), kernels, (9, 7), **options)
    for place in ((0, 0, 0, 1), (1, 4, 6, 0), (0, 2, 3, 4)):
        some = outputs.copy()
        some[place] = np.nan
        ones = np.zeros_like(outputs)
        ones[place] = 1
        covered = convolve_transpose(ones, np.ones_like(kernels), (9, 7), **options) > 0
        result = convolve_transpose(some, kernels, (9, 7), **options)
        np.testing.assert_array_equal(np.isnan(result), covered)


@each_method
@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3, 2, 4, 6), {}),
        ((3, 2, 4, 6), {"stride": (2, 1), "padding": "full"}),
        ((3, 2, 2, 6), {"groups": 2, "dilation": (1, 2), "padding": "full"}),
        ((3, 3), {"stride": 2}),
        ((3, 3, 4, 6), {"padding": "valid"}),
    ],
)
def test_taps_that_are_not_finite(method, pad_mode, shape, options):
    """A tap that is NaN or inf reaches other pixels than those that it lies on, or makes NaN."""
    rng = np.random.default_rng(0)
    images = np.zeros((2, 7, 8, 4))
    options = {**options, "pad_mode": pad_mode, "method": method}
    outputs = rng.uniform(1, 2, convolve(images, np.zeros(shape), **options).shape)
    kernels = rng.standard_normal(shape)
    for number in (np.nan, -np.inf):
        places = [np.unravel_index(place, shape) for place in (0, 5, kernels.size - 1)]
        some, marks, rest = kernels.copy(), np.zeros(shape), kernels.copy()
        for place in places:
            some[place], marks[place], rest[place] = number, 1, 0
        result = convolve_transpose(outputs, some, (7, 8), **options)
        reached = convolve_transpose(outputs, marks, (7, 8), **options) > 0
        assert 0 < reached.sum() < reached.size
        np.testing.assert_array_equal(result[reached], number)
        expected = convolve_transpose(outputs, rest, (7, 8), **options)
        np.testing.assert_array_equal(result[~reached], expected[~reached])


@each_method
@pytest.mark.parametrize("space", [1, 2, 3])
def test_empty(method, space):
    """Arrays without images, pixels, channels or kernels fail, or give other than zeros."""
    size, taps = (4,) * space, (3,) * space
    for m, c, n in ((0, 2, 3), (2, 0, 3), (2, 2, 0), (0, 0, 0)):
        y, k = np.ones((m, *size, n)), np.ones((*taps, c, n))
        result = convolve_transpose(y, k, space=space, method=method)
        assert result.shape == (m, *size, c)
        assert not result.any()
        x = np.ones((m, *size, c))
        assert not kernel_gradient(x, y, k.shape, space=space, method=method).any()
        assert pool_gradient(x, np.ones((m, *(2,) * space, c)), 2, space=space).shape == x.shape
    empty = np.ones((2, *(0,) * space, 3))
    assert (
        convolve_transpose(empty, np.ones((*taps, 2, 3)), space=space).shape[1:-1] == (0,) * space
    )
    padded = np.ones((1, *(4,) * space, 1))
    x = np.ones((1, *(0,) * space, 1))
    options = {"padding": 3, "pad_value": 2, "space": space, "method": method}
    result = kernel_gradient(x, padded, (*taps, 1, 1), **options)
    np.testing.assert_array_equal(result, np.full((*taps, 1, 1), 2.0 * 4**space))


# ------------------------------------------------------------------------- size and plans


@pytest.mark.parametrize(
    ("padding", "size"),
    [("same", 28), ("valid", 29), ("full", 25), (1, 27), ((0, 2), 27), ((1, 0), None)],
)
def test_size(padding, size):
    """Without a size, the images have another one than in PyTorch and Keras."""
    y, k = np.ones((1, 14)), np.ones(3)
    result = convolve_transpose(y, k, padding=padding, stride=2, space=1)
    assert result.shape == (1, size or 28)
    for more in (0, 1):  # with a stride of 2, images of two sizes give outputs of this one
        given = result.shape[1] - more * (padding == "same") + more * (padding != "same")
        assert convolve_transpose(y, k, given, padding, 2, space=1).shape == (1, given)


def test_plan():
    """A plan tells something else than what runs."""
    y, k = np.ones((2, 5, 6, 4), "f"), np.ones((3, 3, 2, 4), "f")
    plan = convlens.plan_convolve_transpose(y, k, stride=2, pad_mode="reflect")
    assert plan.output_shape == (2, 10, 12, 2)
    assert plan.operation == "convolve_transpose"
    assert plan.multiply_adds == 2 * 5 * 6 * 9 * 2 * 4
    assert "4 convolutions, one for each phase" in str(plan)
    assert "padding added to the pixels" in str(plan)
    assert "svg" in plan._repr_svg_()
    np.testing.assert_array_equal(
        plan(y, k), convolve_transpose(y, k, stride=2, pad_mode="reflect")
    )
    plan = convlens.plan_convolve_transpose(y.shape, k.shape)
    assert "as a convolution with flipped kernels" in str(plan)
    x = np.arange(480, dtype="f").reshape(2, 10, 12, 2)
    plan = convlens.plan_kernel_gradient(x, y, k.shape, stride=2)
    assert "by the kernels" in repr(plan)
    np.testing.assert_array_equal(plan(x, y), kernel_gradient(x, y, k.shape, stride=2))
    pooled = convlens.pool(x, 2)
    plan = convlens.plan_pool_gradient(x, pooled, 2)
    assert "finds the largest pixels again" in str(plan)
    out = np.empty_like(x)
    assert plan(x, pooled, out=out) is out
    np.testing.assert_array_equal(out, pool_gradient(x, pooled, 2))
    with pytest.raises(ValueError, match=r"the plan is for outputs \(2, 5, 6, 2\) of float32"):
        plan(x, pooled[:1])
    plan = convlens.plan_pool_gradient(x.shape, pooled.shape, 2, mode="avg")
    assert "copies each window's share" in str(plan)
    plan = convlens.plan_pool_gradient((2, 20, 12, 2), (2, 10, 6, 2), 2, mode="avg")
    gives = "copies" if isinstance(library.load(), str) else "gives"
    assert f"{gives} each window's share" in str(plan)
    pooled = convlens.pool(x, 3, 1, mode="avg")
    plan = convlens.plan_pool_gradient(x.shape, pooled.shape, 3, 1, mode="avg")
    assert "transposes of convolutions with ones" in str(plan)


# ---------------------------------------------------------------------------- refusals


Y, K, X = np.ones((1, 5, 5, 4)), np.ones((3, 3, 2, 4)), np.ones((1, 5, 5, 2))
REFUSED = [
    (convolve_transpose, (np.ones(5), K), {}, "outputs must be .* with kernels"),
    (convolve_transpose, (Y[..., :3], K), {}, "outputs have 3 channels, but there are 4 kernels"),
    (convolve_transpose, (Y, K, 9), {}, r"must have shape \(1, 9, 9, 4\).*pass the size"),
    (convolve_transpose, (Y, K, (5, 5, 5)), {}, "size must be None, an integer or a pair"),
    (convolve_transpose, (Y, K, -1), {}, "size must be at least 0"),
    (convolve_transpose, (Y, K), {"groups": 3}, "groups=3 does not divide the 4 kernels"),
    (convolve_transpose, (Y, K), {"stride": 0}, "stride must be at least 1"),
    (convolve_transpose, (Y, np.ones((0, 3, 2, 4))), {}, "kernels must have at least one tap"),
    (convolve_transpose, (Y, K), {"out": Y}, "out must have shape"),
    (kernel_gradient, (X, Y, (3, 3, 2, 5)), {}, r"outputs must have shape \(1, 5, 5, 5\)"),
    (kernel_gradient, (X, Y[:, :4], (3, 3, 2, 4)), {}, "as `convolve` makes them of images"),
    (kernel_gradient, (X, Y, (3, 3, 3, 4)), {}, "kernels expect 3 channels, images have 2"),
    (pool_gradient, (X, Y, 2), {}, r"outputs must have shape \(1, 2, 2, 2\), as `pool` makes"),
    (pool_gradient, (X, Y, 2), {"mode": "mean"}, "did you mean 'avg'"),
    (pool_gradient, (X.astype(int), X[:, :2, :2], 2), {"method": "compiled"}, "not of int64"),
    (pool_indices, (X, 2), {"mode": "avg"}, "which choose a pixel; got 'avg'"),
]
OF_TYPES = [
    (convolve_transpose, (Y, K, "same"), {}, "did you mean padding='same'"),
    (convolve_transpose, (Y, "kernel"), {}, "kernels must be an array of numbers"),
    (convolve_transpose, (None, K), {}, "outputs must be an array of numbers"),
    (convolve_transpose, (Y, K), {"output_padding": 1}, "there is no argument 'output_padding'"),
    (kernel_gradient, (X, Y, K), {}, "kernel_shape must be the shape of the kernels"),
    (kernel_gradient, (X, Y, 3), {}, "kernel_shape must be the shape of the kernels"),
    (pool_indices, (X, 2.5), {}, "kernel_shape must be an integer"),
]


@pytest.mark.parametrize(("call", "arguments", "options", "words"), REFUSED)
def test_refused(call, arguments, options, words):
    """A wrong value is taken, or refused in other words."""
    if options.get("method") == "compiled" and isinstance(library.load(), str):
        pytest.skip("no compiled engine")
    with pytest.raises(ValueError, match=words) as caught:
        call(*arguments, **options)
    assert str(caught.value).startswith(call.__name__)


@pytest.mark.parametrize(("call", "arguments", "options", "words"), OF_TYPES)
def test_wrong_types(call, arguments, options, words):
    """A value of a wrong type is taken, or refused in other words."""
    with pytest.raises(TypeError, match=words) as caught:
        call(*arguments, **options)
    assert str(caught.value).startswith(call.__name__)


def test_sums_that_do_not_fit():
    """Integers are computed although their type may not hold a sum."""
    y, k = np.ones((1, 5, 5), np.int32), np.full((3, 3), 2**30)
    with pytest.raises(ValueError, match=r"int32 outputs and these kernels can give .* to"):
        convolve_transpose(y, k * 2**3)
    with pytest.raises(ValueError, match="dtype=int16 cannot hold"):
        convolve_transpose(y.astype("i1"), np.full((3, 3), 60), dtype=np.int16)
    assert convolve_transpose(y.astype("i1"), np.full((3, 3), 28), dtype=np.int16).dtype == "i2"
    with pytest.raises(ValueError, match="dtype=int16 cannot hold"):  # pixels get more at borders
        convolve_transpose(
            y.astype("i1"), np.full((3, 3), 28), dtype=np.int16, pad_mode="symmetric"
        )
    with pytest.raises(ValueError, match="int32 images and these outputs can give"):
        kernel_gradient(y, np.full((1, 5, 5), 2**40), (3, 3))


def test_dask_arrays_are_refused():
    """A Dask array is computed without a word, or refused in words of another call."""
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"kernels must be in memory.* kernels.compute\(\)"):
        convolve_transpose(da.ones((1, 5, 5)), da.ones((3, 3)))
    with pytest.raises(TypeError, match=r"outputs must be in memory; .* outputs.compute\(\)"):
        kernel_gradient(np.ones((1, 5, 5)), da.ones((1, 5, 5)), (3, 3))
    with pytest.raises(TypeError, match="images must be in memory"):
        kernel_gradient(da.ones((1, 5, 5)), np.ones((1, 5, 5)), (3, 3))


# --------------------------------------------------------------------- linear operators


@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize(
    ("images", "kernels", "options"),
    [
        ((20, 3), (3, 2), {"stride": 2}),
        ((2, 6, 7), (3, 3), {"dilation": 2}),
        ((6, 7, 2), (3, 3, 2), {}),
        ((2, 6, 7, 4), (3, 3, 2, 6), {"groups": 2, "padding": "full"}),
        ((30,), (5,), {"space": 1, "stride": 3}),
        ((4, 5, 6), (3, 3, 3), {"space": 3}),
    ],
)
def test_linear_operator(images, kernels, options, pad_mode):
    """A linear operator is not the convolution, or its adjoint not the conjugate transpose."""
    rng = np.random.default_rng(0)
    k = rng.standard_normal(kernels) + 1j * rng.standard_normal(kernels)
    for kernel in (k, k.real):
        operator = convlens.linear_operator(images, kernel, pad_mode=pad_mode, **options)
        x = rng.standard_normal((*images, 3))
        expected = [convolve(x[..., n], kernel, pad_mode=pad_mode, **options) for n in range(3)]
        columns = x.reshape(-1, 3)
        for n in range(3):
            np.testing.assert_allclose(operator @ columns[:, n], expected[n].ravel(), 1e-12, 1e-12)
        y = operator @ columns
        np.testing.assert_allclose(y[:, 1], expected[1].ravel(), 1e-12, 1e-12)
        z = rng.standard_normal(y.shape) + 1j * rng.standard_normal(y.shape)
        left, right = np.vdot(z, y), np.vdot(operator.H @ z, columns)
        np.testing.assert_allclose(left, right, 1e-11)
        one = operator.rmatvec(z[:, 0])
        np.testing.assert_allclose(one, (operator.H @ z)[:, 0], 1e-11, 1e-11)


def test_linear_operator_without_scipy(monkeypatch):
    """Without SciPy, a linear operator is refused in other words than how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "scipy.sparse.linalg", None)
    with pytest.raises(ImportError, match=r"pip install 'convlens\[scipy\]'"):
        convlens.linear_operator((5, 5), np.ones((3, 3)))
    monkeypatch.undo()
    with pytest.raises(TypeError, match="images_shape must be a tuple of integers; got 5"):
        convlens.linear_operator(5, np.ones((3, 3)))
