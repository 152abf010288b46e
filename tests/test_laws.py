"""Laws that convolution and pooling obey, checked on examples that Hypothesis draws.

They hold for signals, images and volumes alike. Unless bits are compared, the numbers are whole, so
that both sides of a law are exactly equal.
"""

from functools import partial, reduce

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    a_grid,
    each_method,
    grids,
    law,
    pad_modes,
    pool_modes,
    seeds,
    whole_numbers,
)
from test_invariance import same_bits

import convlens

pytestmark = each_method

channels = st.integers(1, 3)
equal = np.testing.assert_array_equal
flipped = np.flip  # along all axes
padded_by_numpy = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.0.0",
    reason="NumPy 1 itself pads wrongly by many pixels",
)


def calls(method, space):
    """`convolve` and `pool` by this method on so many axes."""
    options = {"method": method, "space": space}
    return partial(convlens.convolve, **options), partial(convlens.pool, **options)


def every(steps, offsets=None):
    """An index of one in so many places along each axis behind the first, that of the images."""
    offsets = offsets or [0] * len(steps)
    return (slice(None), *(slice(at, None, step) for at, step in zip(offsets, steps, strict=True)))


def padded(images, padding, mode, value=0):
    """Images (m, *space, …) padded by NumPy."""
    widths = [(0, 0), *padding, *[(0, 0)] * (images.ndim - 1 - len(padding))]
    return np.pad(
        images, widths, mode, **({"constant_values": value} if mode == "constant" else {})
    )


# ------------------------------------------------------------------------------ linearity


@law
@given(seed=seeds, grid=grids, pad_mode=pad_modes)
def test_linear_in_the_images(method, seed, grid, pad_mode):
    """The convolution of 3 a - 2 b is 3 times that of a minus 2 times that of b."""
    convolve, _ = calls(method, grid.space)

    def f(x):
        return convolve(x, k, "full", grid.stride, pad_mode=pad_mode)

    a, b = whole_numbers(seed, 2, 2, *grid.size, 3)
    k = whole_numbers(seed, *grid.window, 3, 2)
    equal(f(3 * a - 2 * b), 3 * f(a) - 2 * f(b))


@law
@given(seed=seeds, grid=grids, pad_mode=pad_modes)
def test_linear_in_the_kernels(method, seed, grid, pad_mode):
    """Convolving with 3 a - 2 b is 3 times convolving with a minus 2 times with b."""
    convolve, _ = calls(method, grid.space)

    def f(k):
        return convolve(x, k, "full", grid.stride, pad_mode=pad_mode)

    x = whole_numbers(seed, 2, *grid.size, 3)
    a, b = whole_numbers(seed, 2, *grid.window, 3, 2)
    equal(f(3 * a - 2 * b), 3 * f(a) - 2 * f(b))


@law
@given(seed=seeds, grid=grids)
def test_linear_in_the_kernels_of_floats(method, seed, grid):
    """Doubling a kernel doubles every float exactly."""
    convolve, _ = calls(method, grid.space)
    x = np.random.default_rng(seed).standard_normal(grid.size)
    k = np.random.default_rng(seed).standard_normal(grid.window)
    equal(convolve(x, 2 * k), 2 * convolve(x, k))


# ---------------------------------------------------------------------- images and kernels


@law
@given(seed=seeds, grid=grids)
def test_an_impulse_gives_the_kernel_flipped(method, seed, grid):
    """The convolution of a single 1 is the flipped kernel."""
    convolve, _ = calls(method, grid.space)
    k = whole_numbers(seed, *grid.window)
    equal(convolve(np.ones([1] * grid.space, int), k, "full"), flipped(k))


@law
@given(seed=seeds, grid=grids, at=st.tuples(*[st.integers(0, 2)] * 3))
def test_an_impulse_as_kernel_shifts(method, seed, grid, at):
    """A kernel with a single 1 copies the pixel under it."""
    convolve, _ = calls(method, grid.space)
    images, k = whole_numbers(seed, *grid.size), np.zeros([3] * grid.space, int)
    k[at[: grid.space]] = 1
    equal(convolve(images, k, tuple((n, 2 - n) for n in at[: grid.space])), images)


@law
@given(seed=seeds, grid=grids)
def test_image_and_kernel_change_places(method, seed, grid):
    """Exchanging image and kernel flips the full result."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, *grid.size), whole_numbers(seed, *grid.window)
    equal(convolve(k, x, "full"), flipped(convolve(x, k, "full")))


@law
@given(seed=seeds, grid=grids)
def test_two_kernels_are_one(method, seed, grid):
    """Two convolutions in turn equal one with the convolution of both kernels."""
    convolve, _ = calls(method, grid.space)
    x, a, b = (whole_numbers(seed, *shape) for shape in (grid.size, grid.window, grid.stride))
    both = convolve(a, flipped(b), "full")
    equal(convolve(convolve(x, a, "full"), b, "full"), convolve(x, both, "full"))


@law
@given(seed=seeds, grid=grids)
def test_the_sum_of_all(method, seed, grid):
    """Every pixel meets every tap once, so the full result sums to the product of both sums."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, *grid.size), whole_numbers(seed, *grid.window)
    assert convolve(x, k, "full").sum() == x.sum() * k.sum()


@law
@given(seed=seeds, grid=grids)
def test_adjoint(method, seed, grid):
    """<convolve(x, k), y> equals <x, convolve(y, flipped k)>, which is what gradients rely on."""
    convolve, _ = calls(method, grid.space)
    x = whole_numbers(seed, *(n + k for n, k in zip(grid.size, grid.window, strict=True)))
    k = whole_numbers(seed, *grid.window)
    down = convolve(x, k, "valid")
    y = whole_numbers(seed + 1, *down.shape)
    assert (down * y).sum() == (x * convolve(y, flipped(k), "full")).sum()


@law
@given(seed=seeds, grid=grids, mode=pad_modes, full=st.booleans())
def test_products_of_kernels_are_one_pass_along_each_axis(method, seed, grid, mode, full):
    """A kernel that is a product of one along each axis gives the same as these in turn."""
    convolve, _ = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size)
    each = [whole_numbers(seed + axis, n) for axis, n in enumerate(grid.window)]
    options = {"dilation": grid.dilation, "pad_mode": mode}
    padding = "full" if full else "same"
    result = x
    for axis, k in enumerate(each):
        shape = [1] * grid.space
        shape[axis] = -1
        result = convolve(result, k.reshape(shape), padding, **options)
    equal(convolve(x, reduce(np.multiply.outer, each), padding, **options), result)


# -------------------------------------------------------------------------------- symmetry


@law
@given(seed=seeds, grid=grids, mode=pad_modes)
def test_flipping(method, seed, grid, mode):
    """If image, kernel and padding are mirrored, the result is mirrored."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size), whole_numbers(seed, *grid.window)
    options = {"dilation": grid.dilation, "pad_mode": mode}
    back = tuple((after, before) for before, after in grid.padding)
    mirrored = every([-1] * grid.space, [None] * grid.space)
    there = convolve(x, k, grid.padding, **options)
    equal(convolve(x[mirrored], flipped(k), back, **options), there[mirrored])


@law
@given(seed=seeds, grid=grids, order=st.permutations(range(3)), mode=pad_modes)
def test_axes_change_places(method, seed, grid, order, mode):
    """If the axes of image, kernel and all options change places, those of the result do."""
    convolve, pool = calls(method, grid.space)
    order = [axis for axis in order if axis < grid.space]
    x, k = whole_numbers(seed, 2, *grid.size, 3), whole_numbers(seed, *grid.window, 3, 2)

    def turned(values):
        return values.transpose(0, *(1 + axis for axis in order), values.ndim - 1)

    def options(order):
        each = {"stride": grid.stride, "dilation": grid.dilation, "padding": grid.padding}
        return {name: tuple(values[axis] for axis in order) for name, values in each.items()}

    there = convolve(x, k, **options(range(grid.space)), pad_mode=mode)
    k = k.transpose(*order, -2, -1)
    equal(convolve(turned(x), k, **options(order), pad_mode=mode), turned(there))
    there = pool(x, grid.window, mode="sum", **options(range(grid.space)))
    window = tuple(grid.window[axis] for axis in order)
    equal(pool(turned(x), window, mode="sum", **options(order)), turned(there))


@law
@given(seed=seeds, grid=grids, shift=st.tuples(*[st.integers(0, 5)] * 3))
def test_translation(method, seed, grid, shift):
    """Cutting pixels off the beginning cuts the same number of results off."""
    convolve, _ = calls(method, grid.space)
    size = [n + k + 5 for n, k in zip(grid.size, grid.window, strict=True)]
    images, k = whole_numbers(seed, 2, *size), whole_numbers(seed, *grid.window)
    cut = every([1] * grid.space, shift[: grid.space])
    equal(convolve(images[cut], k, "valid"), convolve(images, k, "valid")[cut])


@law
@given(seed=seeds, grid=grids, shift=st.tuples(*[st.integers(0, 9)] * 3))
def test_translation_on_a_torus(method, seed, grid, shift):
    """With pad_mode="wrap", rolling the image by any distance rolls the result."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size), whole_numbers(seed, *grid.window)

    def rolled(values):
        return np.roll(values, shift[: grid.space], axis=range(1, grid.space + 1))

    there = convolve(x, k, pad_mode="wrap")
    equal(convolve(rolled(x), k, pad_mode="wrap"), rolled(there))


# ------------------------------------------------------------------------------- more axes


@law
@given(data=st.data(), seed=seeds, space=st.sampled_from((1, 2)), pad_mode=pad_modes)
def test_fewer_axes_are_axes_of_one_pixel(method, data, seed, space, pad_mode):
    """A signal has the bits of an image of one row, and an image those of a volume of one slice."""
    grid = data.draw(a_grid(space))
    convolve, pool = calls(method, space)
    convolve_more, pool_more = calls(method, space + 1)
    rng = np.random.default_rng(seed)
    x, k = rng.standard_normal((2, *grid.size, 4)), rng.standard_normal((*grid.window, 2, 6))

    def check(padding, mode, **options):
        """Compare a convolution, or a pooling that has this mode."""
        more = {name: (1, *numbers) for name, numbers in options.items()}
        options["padding"] = padding
        more["padding"] = padding if isinstance(padding, str) else ((0, 0), *padding)
        if mode is None:
            both = {"groups": 2, "pad_mode": pad_mode}
            result = convolve(x, k, **options, **both)
            as_more = convolve_more(x[:, np.newaxis], k[np.newaxis], **more, **both)
        else:
            both = {"mode": mode, "count_padding": True}
            result = pool(x, grid.window, **options, **both)
            as_more = pool_more(x[:, np.newaxis], (1, *grid.window), **more, **both)
        assert same_bits(as_more[:, 0], result)

    for mode in (None, "sum", "avg"):
        check(grid.padding, mode, stride=grid.stride, dilation=grid.dilation)
    for mode in (None, "max", "min"):
        check("same", mode, stride=grid.stride)


@law
@given(seed=seeds, grid=grids, mode=pad_modes)
def test_images_side_by_side_are_slices(method, seed, grid, mode):
    """A kernel of one tap along the first axis gives each slice its own convolution."""
    convolve, pool = calls(method, grid.space)
    assume(grid.space > 1)
    flat_convolve, flat_pool = calls(method, grid.space - 1)
    x, k = whole_numbers(seed, *grid.size), whole_numbers(seed, *grid.window[1:])
    slices = convolve(x, k[np.newaxis], pad_mode=mode)
    equal(slices, [flat_convolve(each, k, pad_mode=mode) for each in x])
    slices = pool(x, (1, *grid.window[1:]), 1, mode="sum", padding="full")
    equal(slices, [flat_pool(each, grid.window[1:], 1, mode="sum", padding="full") for each in x])


# ----------------------------------------------------------------- stride, dilation, padding


@law
@given(seed=seeds, grid=grids)
def test_stride_leaves_results_out(method, seed, grid):
    """A stride selects from the results at stride 1."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size, 2), whole_numbers(seed, *grid.window, 2, 3)
    everywhere = convolve(x, k, grid.padding, dilation=grid.dilation)
    some = convolve(x, k, grid.padding, grid.stride, dilation=grid.dilation)
    equal(some, everywhere[every(grid.stride)])


@law
@given(seed=seeds, grid=grids)
def test_dilation_puts_zeros_in(method, seed, grid):
    """A dilated kernel equals a larger kernel with zeros between the taps."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size), whole_numbers(seed, *grid.window)
    spread = np.zeros(grid.reach, int)
    spread[every(grid.dilation)[1:]] = k
    result = convolve(x, k, "same", grid.stride, dilation=grid.dilation)
    equal(result, convolve(x, spread, "same", grid.stride))


@padded_by_numpy
@law
@given(seed=seeds, grid=grids, mode=pad_modes, value=st.integers(-9, 9))
def test_padding_is_that_of_numpy(method, seed, grid, mode, value):
    """Padding equals `numpy.pad` followed by "valid", even beyond the size of the image."""
    convolve, _ = calls(method, grid.space)
    value = 0 if mode != "constant" else value
    x, k = whole_numbers(seed, 2, *grid.size, 2), whole_numbers(seed, *grid.window, 2)
    options = {"stride": grid.stride, "dilation": grid.dilation}
    result = convolve(x, k, grid.padding, pad_mode=mode, pad_value=value, **options)
    equal(result, convolve(padded(x, grid.padding, mode, value), k, "valid", **options))


@law
@given(seed=seeds, grid=grids, value=st.integers(-9, 9))
def test_padding_with_a_number_moves_zero(method, seed, grid, value):
    """Padding with a number equals padding with zeros, if all pixels are less by that number."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size), whole_numbers(seed, *grid.window)
    moved = convolve(x - value, k, grid.padding) + value * k.sum()
    equal(convolve(x, k, grid.padding, pad_value=value), moved)


@law
@given(seed=seeds, grid=grids, n=st.integers(0, 5))
def test_ways_to_write_a_padding(method, seed, grid, n):
    """A number, one for each axis, and a pair for each axis can give the same padding."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, *grid.size), whole_numbers(seed, *[1] * grid.space)
    space = grid.space
    ways = [(n,) * space, ((n, n),) * space, [[n, n]] * space, np.full((space, 2), n)]
    if space == 1:
        ways.append((n, n))
    expected = convolve(x, k, n)
    for padding in ways:
        equal(convolve(x, k, padding), expected)


@law
@given(seed=seeds, grid=grids)
def test_valid_and_same_are_cut_from_full(method, seed, grid):
    """The results of "same" and "valid" are parts of the full result."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, *grid.size), whole_numbers(seed, *grid.window)
    full = convolve(x, k, "full", dilation=grid.dilation)
    pairs = list(zip(grid.size, grid.reach, strict=True))
    assert full.shape == tuple(n + r - 1 for n, r in pairs)
    # Of an even number of taps one more lies before the pixel, as the odd cell of padding is after.
    same = tuple(slice(r // 2, r // 2 + n) for n, r in pairs)
    equal(convolve(x, k, "same", dilation=grid.dilation), full[same])
    if all(r <= n for n, r in pairs):
        valid = tuple(slice(r - 1, n) for n, r in pairs)
        equal(convolve(x, k, "valid", dilation=grid.dilation), full[valid])


# ---------------------------------------------------------------------- channels and groups


@law
@given(seed=seeds, grid=grids, c=channels, nc=channels)
def test_kernels_of_a_bank_are_alone(method, seed, grid, c, nc):
    """Each kernel of a bank gives the result that it gives alone."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size, c), whole_numbers(seed, *grid.window, c, nc)
    together = convolve(x, k, "same", grid.stride)
    for n in range(nc):
        equal(together[..., n], convolve(x, k[..., n], "same", grid.stride))


@law
@given(seed=seeds, grid=grids, c=channels)
def test_channels_add_up(method, seed, grid, c):
    """A kernel with channels gives the sum of the convolutions of the channels."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size, c), whole_numbers(seed, *grid.window, c)
    equal(convolve(x, k), sum(convolve(x[..., n], k[..., n]) for n in range(c)))


@law
@given(seed=seeds, grid=grids, groups=channels, c=channels, nc=channels, mode=pad_modes)
def test_groups_are_convolutions_side_by_side(method, seed, grid, groups, c, nc, mode):
    """Groups give the concatenated results of separate convolutions."""
    convolve, _ = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size, groups * c)
    k = whole_numbers(seed, *grid.window, c, groups * nc)
    options = {"padding": "same", "stride": grid.stride, "pad_mode": mode}
    apart = [
        convolve(x[..., g * c : (g + 1) * c], k[..., g * nc : (g + 1) * nc], **options)
        for g in range(groups)
    ]
    equal(convolve(x, k, groups=groups, **options), np.concatenate(apart, axis=-1))


@law
@given(seed=seeds, grid=grids, c=channels, mode=pad_modes)
def test_one_kernel_on_each_channel(method, seed, grid, c, mode):
    """A kernel without channels convolves each channel alone, as depthwise kernels do."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size, c), whole_numbers(seed, *grid.window)
    result = convolve(x, k, pad_mode=mode)
    gray = [convolve(x[..., n], k, pad_mode=mode) for n in range(c)]
    equal(result, np.stack(gray, axis=-1))
    depthwise = np.stack([k[..., np.newaxis]] * c, axis=-1)
    equal(result, convolve(x, depthwise, groups=c, pad_mode=mode))


@law
@given(seed=seeds, grid=grids, c=channels, nc=channels)
def test_one_image_is_a_batch_of_one(method, seed, grid, c, nc):
    """An image without m gives the result that it gives in a batch, without m."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 3, *grid.size, c), whole_numbers(seed, *grid.window, c, nc)
    for image, result in zip(x, convolve(x, k), strict=True):
        equal(convolve(image, k), result)


@law
@given(seed=seeds, grid=grids, c=channels, nc=channels)
def test_the_order_of_channels(method, seed, grid, c, nc):
    """Reversing the channels of both changes nothing; reversing kernels reverses the output's."""
    convolve, _ = calls(method, grid.space)
    x, k = whole_numbers(seed, 2, *grid.size, c), whole_numbers(seed, *grid.window, c, nc)
    there = convolve(x, k)
    equal(convolve(x[..., ::-1], k[..., ::-1, :]), there)
    equal(convolve(x, k[..., ::-1]), there[..., ::-1])


# --------------------------------------------------------------------------------- pooling


@law
@given(seed=seeds, grid=grids)
def test_sum_pooling_is_a_convolution_with_ones(method, seed, grid):
    """Sum pooling equals a convolution with ones, with zeros around the image."""
    convolve, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size, 3)
    options = {"padding": grid.padding, "stride": grid.stride, "dilation": grid.dilation}
    box = convolve(x, np.ones(grid.window, int), **options)
    equal(pool(x, grid.window, mode="sum", **options), box)


@law
@given(seed=seeds, grid=grids)
def test_average_pooling_is_two_convolutions(method, seed, grid):
    """An average is the convolution of the image with ones, divided by that of an image of ones.

    If the padding is counted, it is the sum divided by the number of taps.
    """
    convolve, pool = calls(method, grid.space)
    x, box = whole_numbers(seed, 2, *grid.size), np.ones(grid.window, int)
    options = {"padding": "same", "stride": grid.stride, "dilation": grid.dilation}
    sums, counts = convolve(x, box, **options), convolve(x * 0 + 1, box, **options)
    if counts.all():
        equal(pool(x, grid.window, mode="avg", **options), sums / counts)
    counted = pool(x, grid.window, mode="avg", count_padding=True, **options)
    equal(counted, sums / box.sum())


@law
@given(seed=seeds, grid=grids, partial=st.booleans())
def test_smallest_is_the_largest_of_the_negatives(method, seed, grid, partial):
    """Max pooling equals the negative of min pooling of the negative images."""
    _, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size, 2)
    options = {"padding": "full", "stride": grid.stride, "partial": partial}
    largest = pool(x, grid.window, mode="max", **options)
    equal(largest, -pool(-x, grid.window, mode="min", **options))


@law
@given(seed=seeds, grid=grids)
@pytest.mark.parametrize("mode", ["max", "min", "sum"])
def test_pooling_twice_is_a_bigger_window(method, mode, seed, grid):
    """At stride 1, windows of a and then b cover a + b - 1 pixels; a sum counts some repeatedly."""
    convolve, pool = calls(method, grid.space)
    x, first, second = whole_numbers(seed, 2, *grid.size), grid.window, grid.stride
    padding = tuple(a + b - 2 for a, b in zip(first, second, strict=True))

    def pooled(x, window, padding):
        return pool(x, window, 1, mode, padding=padding)

    twice = pooled(pooled(x, first, "full"), second, "full")
    if mode == "sum":
        taps = convolve(np.ones(first, int), np.ones(second, int), "full")
        equal(twice, convolve(x, taps, padding))
    else:
        equal(twice, pooled(x, tuple(n + 1 for n in padding), padding))


@law
@given(seed=seeds, grid=grids)
@pytest.mark.parametrize("mode", ["max", "min", "sum"])
def test_pooling_is_one_pass_along_each_axis(method, mode, seed, grid):
    """Pooling along one axis after the other equals pooling along all at once."""
    _, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size)
    options = {"mode": mode, "padding": "full"}
    once = pool(x, grid.window, grid.stride, **options)
    for axis, (taps, step) in enumerate(zip(grid.window, grid.stride, strict=True)):
        window, stride = [1] * grid.space, [1] * grid.space
        window[axis], stride[axis] = taps, step
        x = pool(x, window, stride, **options)
    equal(x, once)


@law
@given(seed=seeds, grid=grids, mode=pool_modes)
def test_tiles_of_tiles(method, seed, grid, mode):
    """Pooling side by side twice equals pooling once by the product of both windows."""
    _, pool = calls(method, grid.space)
    first, second = grid.window, grid.stride
    window = tuple(a * b for a, b in zip(first, second, strict=True))
    size = (n * k for n, k in zip(grid.dilation, window, strict=True))
    # The factor makes averages whole numbers too.
    x = 8640**2 * whole_numbers(seed, 2, *size)
    twice = pool(pool(x, first, mode=mode), second, mode=mode)
    equal(twice, pool(x, window, mode=mode))


@law
@given(seed=seeds, grid=grids, mode=pool_modes)
def test_pooling_goes_through_increasing_maps(method, seed, grid, mode):
    """Pooling commutes with doubling, and, for all modes but "sum", with adding 3."""
    _, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size)
    options = {"stride": grid.stride, "mode": mode, "padding": "full"}
    pooled = pool(2 * x, grid.window, **options)
    equal(pooled, 2 * pool(x, grid.window, **options))
    if mode != "sum":
        moved = pool(2 * x + 3, grid.window, **options)
        np.testing.assert_allclose(moved, pooled + 3, rtol=0, atol=1e-13 if mode == "avg" else 0)


@law
@given(seed=seeds, grid=grids, partial=st.booleans())
def test_the_mean_lies_between(method, seed, grid, partial):
    """Min, mean and max are in this order, and the sum is the mean times the count."""
    _, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size)
    options = {"padding": "full", "stride": grid.stride, "partial": partial}
    low, mean, high, total, count = (
        pool(values, grid.window, mode=mode, **options)
        for values, mode in ((x, "min"), (x, "avg"), (x, "max"), (x, "sum"), (x * 0 + 1, "sum"))
    )
    assert (low <= mean).all()
    assert (mean <= high).all()
    equal(mean, total / count)


@law
@given(seed=seeds, grid=grids, mode=pool_modes)
def test_pooling_stride_leaves_results_out(method, seed, grid, mode):
    """A stride selects from the results at stride 1."""
    _, pool = calls(method, grid.space)
    size = (n + r for n, r in zip(grid.size, grid.reach, strict=True))
    x, options = whole_numbers(seed, 2, *size), {"dilation": grid.dilation}
    everywhere = pool(x, grid.window, 1, mode, **options)
    equal(pool(x, grid.window, grid.stride, mode, **options), everywhere[every(grid.stride)])


@law
@given(seed=seeds, grid=grids, mode=pool_modes)
def test_pooling_padding_is_what_changes_nothing(method, seed, grid, mode):
    """Padding acts as the smallest number for max, the largest for min, and 0 for sums."""
    _, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size).astype(np.int16)
    limits = np.iinfo(x.dtype)
    nothing = {"max": limits.min, "min": limits.max, "sum": 0, "avg": 0}[mode]
    pairs = zip(grid.cells, grid.window, strict=True)
    padding = tuple((min(before, k - 1), k - 1) for (before, _), k in pairs)
    result = pool(x, grid.window, 1, mode, padding=padding, count_padding=True)
    equal(result, pool(padded(x, padding, "constant", nothing), grid.window, 1, mode))


@law
@given(seed=seeds, grid=grids, mode=pool_modes)
def test_partial_adds_windows_at_the_end(method, seed, grid, mode):
    """`partial` keeps all other windows as they are, and covers the remaining pixels."""
    _, pool = calls(method, grid.space)
    size = [n + k for n, k in zip(grid.size, grid.window, strict=True)]
    x = whole_numbers(seed, 2, *size)
    whole = pool(x, grid.window, grid.stride, mode)
    more = pool(x, grid.window, grid.stride, mode, partial=True)
    equal(more[tuple(map(slice, whole.shape))], whole)
    for n, outputs, k, s in zip(size, more.shape[1:], grid.window, grid.stride, strict=True):
        last = (outputs - 1) * s
        assert last < n  # the last window begins on the image
        assert last + k >= n or last + s >= n  # no pixels are left for another window


# ------------------------------------------------------------------- pooling with borders


@padded_by_numpy
@law
@given(seed=seeds, grid=grids, mode=pool_modes, pad_mode=pad_modes, value=st.integers(-9, 9))
def test_a_border_of_a_pooling_is_that_of_numpy(method, seed, grid, mode, pad_mode, value):
    """A border equals `numpy.pad` followed by "valid", so its cells count like pixels."""
    _, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size, 2)
    value = value if pad_mode == "constant" else 0
    options = {"stride": grid.stride, "mode": mode, "dilation": grid.dilation}
    border = {"padding": grid.padding, "pad_mode": pad_mode, "pad_value": value}
    result = pool(x, grid.window, **options, **border)
    equal(result, pool(padded(x, grid.padding, pad_mode, value), grid.window, **options))
    counted = pool(x, grid.window, **options, **border, count_padding=True)
    equal(counted, result)  # nothing is left to decide


@law
@given(seed=seeds, grid=grids, pad_mode=pad_modes, value=st.integers(-9, 9))
def test_sums_with_a_border_are_convolutions_with_ones(method, seed, grid, pad_mode, value):
    """Sum pooling with a border equals a convolution with ones; the average divides by the taps."""
    convolve, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size)
    options = {
        "padding": grid.padding,
        "stride": grid.stride,
        "dilation": grid.dilation,
        "pad_mode": pad_mode,
        "pad_value": value if pad_mode == "constant" else 0,
    }
    box = convolve(x, np.ones(grid.window, int), **options)
    equal(pool(x, grid.window, mode="sum", **options), box)
    equal(pool(x, grid.window, mode="avg", **options), box / np.prod(grid.window))


@law
@given(seed=seeds, grid=grids, mode=st.sampled_from(["max", "min"]))
def test_nearest_pixels_add_nothing_to_windows_on_them(method, seed, grid, mode):
    """Windows that touch the image have the same largest pixel with pad_mode="edge" and without."""
    _, pool = calls(method, grid.space)
    x = whole_numbers(seed, 2, *grid.size)
    without = pool(x, grid.window, grid.stride, mode, padding="full")
    equal(pool(x, grid.window, grid.stride, mode, padding="full", pad_mode="edge"), without)
