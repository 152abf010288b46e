"""Laws that convolution and pooling obey, checked on examples that Hypothesis draws.

The numbers are whole, so that both sides of a law are exactly equal.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    cells,
    each_method,
    law,
    pad_modes,
    pool_modes,
    seeds,
    sizes,
    steps,
    whole_numbers,
    windows,
)

import convlens

pytestmark = each_method

channels = st.integers(1, 3)
equal = np.testing.assert_array_equal


def reach(window, dilation):
    """How many pixels a window spans, down and across."""
    return tuple((n - 1) * d + 1 for n, d in zip(window, dilation, strict=True))


def flipped(kernel):
    """The kernel upside down and back to front."""
    return kernel[::-1, ::-1]


# ------------------------------------------------------------------------------ linearity


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, pad_mode=pad_modes)
def test_linear_in_the_images(method, seed, h, w, window, stride, pad_mode):
    """The convolution of 3 a - 2 b is 3 times that of a minus 2 times that of b."""

    def f(x):
        return convlens.convolve(
            x, k, stride=stride, pad_mode=pad_mode, padding="full", method=method
        )

    a, b = whole_numbers(seed, 2, 2, h, w, 3)
    k = whole_numbers(seed, *window, 3, 2)
    equal(f(3 * a - 2 * b), 3 * f(a) - 2 * f(b))


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, pad_mode=pad_modes)
def test_linear_in_the_kernels(method, seed, h, w, window, stride, pad_mode):
    """Convolving with 3 a - 2 b is 3 times convolving with a minus 2 times with b."""

    def f(k):
        return convlens.convolve(
            x, k, stride=stride, pad_mode=pad_mode, padding="full", method=method
        )

    x = whole_numbers(seed, 2, h, w, 3)
    a, b = whole_numbers(seed, 2, *window, 3, 2)
    equal(f(3 * a - 2 * b), 3 * f(a) - 2 * f(b))


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows)
def test_linear_in_the_kernels_of_floats(method, seed, h, w, window):
    """Doubling a kernel doubles every float exactly."""
    x = np.random.default_rng(seed).standard_normal((h, w))
    k = np.random.default_rng(seed).standard_normal(window)
    doubled = convlens.convolve(x, 2 * k, method=method)
    equal(doubled, 2 * convlens.convolve(x, k, method=method))


# ---------------------------------------------------------------------- images and kernels


@law
@given(seed=seeds, window=windows)
def test_an_impulse_gives_the_kernel_flipped(method, seed, window):
    """The convolution of a single 1 is the flipped kernel."""
    k = whole_numbers(seed, *window)
    equal(convlens.convolve([[1]], k, "full", method=method), flipped(k))


@law
@given(seed=seeds, h=sizes, w=sizes, y=st.integers(0, 2), x=st.integers(0, 2))
def test_an_impulse_as_kernel_shifts(method, seed, h, w, y, x):
    """A kernel with a single 1 copies the pixel under it."""
    images, k = whole_numbers(seed, h, w), np.zeros((3, 3), int)
    k[y, x] = 1
    result = convlens.convolve(images, k, ((y, 2 - y), (x, 2 - x)), method=method)
    equal(result, images)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows)
def test_image_and_kernel_change_places(method, seed, h, w, window):
    """Exchanging image and kernel flips the full result."""
    x, k = whole_numbers(seed, h, w), whole_numbers(seed, *window)
    there = convlens.convolve(x, k, "full", method=method)
    equal(convlens.convolve(k, x, "full", method=method), flipped(there))


@law
@given(seed=seeds, h=sizes, w=sizes, first=windows, second=windows)
def test_two_kernels_are_one(method, seed, h, w, first, second):
    """Two convolutions in turn equal one with the convolution of both kernels."""
    x, a, b = (whole_numbers(seed, *shape) for shape in ((h, w), first, second))

    def full(x, k):
        return convlens.convolve(x, k, "full", method=method)

    equal(full(full(x, a), b), full(x, full(a, flipped(b))))


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows)
def test_the_sum_of_all(method, seed, h, w, window):
    """Every pixel meets every tap once, so the full result sums to the product of both sums."""
    x, k = whole_numbers(seed, h, w), whole_numbers(seed, *window)
    assert convlens.convolve(x, k, "full", method=method).sum() == x.sum() * k.sum()


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows)
def test_adjoint(method, seed, h, w, window):
    """<convolve(x, k), y> equals <x, convolve(y, flipped k)>, which is what gradients rely on."""
    x, k = whole_numbers(seed, h + 3, w + 3), whole_numbers(seed, *window)
    down = convlens.convolve(x, k, "valid", method=method)
    y = whole_numbers(seed + 1, *down.shape)
    back = convlens.convolve(y, flipped(k), "full", method=method)
    assert (down * y).sum() == (x * back).sum()


# -------------------------------------------------------------------------------- symmetry


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, dilation=steps, pad=cells, mode=pad_modes)
def test_flipping(method, seed, h, w, window, dilation, pad, mode):
    """If image, kernel and padding are mirrored, the result is mirrored."""
    x, k = whole_numbers(seed, 2, h, w), whole_numbers(seed, *window)
    before, after = (n + r for n, r in zip(pad, reach(window, dilation), strict=True))
    options = {"dilation": dilation, "pad_mode": mode, "method": method}
    there = convlens.convolve(x, k, ((before, after),) * 2, **options)
    back = convlens.convolve(x[:, ::-1, ::-1], flipped(k), ((after, before),) * 2, **options)
    equal(back, there[:, ::-1, ::-1])


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, dilation=steps, mode=pad_modes)
def test_transposing(method, seed, h, w, window, stride, dilation, mode):
    """If image, kernel and arguments are transposed, the result is transposed."""
    x, k = whole_numbers(seed, h, w), whole_numbers(seed, *window)
    there = convlens.convolve(x, k, "same", stride, dilation=dilation, pad_mode=mode, method=method)
    back = convlens.convolve(
        x.T, k.T, "same", stride[::-1], dilation=dilation[::-1], pad_mode=mode, method=method
    )
    equal(back, there.T)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, y=st.integers(0, 5), x=st.integers(0, 5))
def test_translation(method, seed, h, w, window, y, x):
    """Away from the border, shifting the image shifts the result."""
    images, k = whole_numbers(seed, 2, h + 8, w + 8), whole_numbers(seed, *window)
    whole = convlens.convolve(images, k, "valid", method=method)
    equal(convlens.convolve(images[:, y:, x:], k, "valid", method=method), whole[:, y:, x:])


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, shift=cells)
def test_translation_on_a_torus(method, seed, h, w, window, shift):
    """With pad_mode="wrap", rolling the image by any distance rolls the result."""
    x, k = whole_numbers(seed, 2, h, w), whole_numbers(seed, *window)

    def rolled(values):
        return np.roll(values, shift, axis=(1, 2))

    there = convlens.convolve(x, k, pad_mode="wrap", method=method)
    equal(convlens.convolve(rolled(x), k, pad_mode="wrap", method=method), rolled(there))


# ----------------------------------------------------------------- stride, dilation, padding


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, dilation=steps, pad=cells)
def test_stride_leaves_results_out(method, seed, h, w, window, stride, dilation, pad):
    """A stride selects from the results at stride 1."""
    x, k = whole_numbers(seed, 2, h, w, 2), whole_numbers(seed, *window, 2, 3)
    before, after = (n + r for n, r in zip(pad, reach(window, dilation), strict=True))
    padding, options = (before, after), {"dilation": dilation, "method": method}
    every = convlens.convolve(x, k, padding, **options)
    some = convlens.convolve(x, k, padding, stride, **options)
    equal(some, every[:, :: stride[0], :: stride[1]])


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, dilation=steps, stride=steps)
def test_dilation_puts_zeros_in(method, seed, h, w, window, dilation, stride):
    """A dilated kernel equals a larger kernel with zeros between the taps."""
    x, k = whole_numbers(seed, 2, h, w), whole_numbers(seed, *window)
    spread = np.zeros(reach(window, dilation), int)
    spread[:: dilation[0], :: dilation[1]] = k
    result = convlens.convolve(x, k, "same", stride, dilation=dilation, method=method)
    equal(result, convlens.convolve(x, spread, "same", stride, method=method))


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.0.0",
    reason="NumPy 1 itself pads wrongly by many pixels",
)
@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, rows=cells, columns=cells, mode=pad_modes)
def test_padding_is_that_of_numpy(method, seed, h, w, window, rows, columns, mode):
    """Padding equals `numpy.pad` followed by "valid", even beyond the size of the image."""
    x, k = whole_numbers(seed, 2, h, w, 2), whole_numbers(seed, *window, 2)
    padding = (rows[0] + 2, rows[1] + 1), (columns[0] + 1, columns[1] + 2)  # room for any kernel
    padded = np.pad(x, ((0, 0), *padding, (0, 0)), mode=mode)
    result = convlens.convolve(x, k, padding, pad_mode=mode, method=method)
    equal(result, convlens.convolve(padded, k, "valid", method=method))


@law
@given(seed=seeds, h=sizes, w=sizes, n=st.integers(0, 9))
def test_ways_to_write_a_padding(method, seed, h, w, n):
    """A number, a pair and a pair of pairs can give the same padding."""
    x, k = whole_numbers(seed, h, w), whole_numbers(seed, 1, 1)
    results = [
        convlens.convolve(x, k, padding, method=method)
        for padding in (n, (n, n), ((n, n), (n, n)), [[n, n], [n, n]])
    ]
    for result in results[1:]:
        equal(result, results[0])


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, dilation=steps)
def test_valid_and_same_are_cut_from_full(method, seed, h, w, window, dilation):
    """The results of "same" and "valid" are parts of the full result."""
    x, k = whole_numbers(seed, h, w), whole_numbers(seed, *window)
    options = {"dilation": dilation, "method": method}
    full = convlens.convolve(x, k, "full", **options)
    ry, rx = reach(window, dilation)
    assert full.shape == (h + ry - 1, w + rx - 1)
    # Of an even number of taps one more lies before the pixel, as the odd cell of padding is after.
    y, z = ry // 2, rx // 2
    equal(convlens.convolve(x, k, "same", **options), full[y : y + h, z : z + w])
    if ry <= h and rx <= w:
        equal(convlens.convolve(x, k, "valid", **options), full[ry - 1 : h, rx - 1 : w])


# ---------------------------------------------------------------------- channels and groups


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, c=channels, nc=channels, stride=steps)
def test_kernels_of_a_bank_are_alone(method, seed, h, w, window, c, nc, stride):
    """Each kernel of a bank gives the result that it gives alone."""
    x, k = whole_numbers(seed, 2, h, w, c), whole_numbers(seed, *window, c, nc)
    together = convlens.convolve(x, k, "same", stride, method=method)
    for n in range(nc):
        alone = convlens.convolve(x, k[..., n], "same", stride, method=method)
        equal(together[..., n], alone)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, c=channels)
def test_channels_add_up(method, seed, h, w, window, c):
    """A kernel with channels gives the sum of the convolutions of the channels."""
    x, k = whole_numbers(seed, 2, h, w, c), whole_numbers(seed, *window, c)
    parts = [convlens.convolve(x[..., n], k[..., n], method=method) for n in range(c)]
    equal(convlens.convolve(x, k, method=method), sum(parts))


@law
@given(
    seed=seeds,
    h=sizes,
    w=sizes,
    window=windows,
    groups=channels,
    c=channels,
    nc=channels,
    stride=steps,
    mode=pad_modes,
)
def test_groups_are_convolutions_side_by_side(
    method, seed, h, w, window, groups, c, nc, stride, mode
):
    """Groups give the concatenated results of separate convolutions."""
    x = whole_numbers(seed, 2, h, w, groups * c)
    k = whole_numbers(seed, *window, c, groups * nc)
    options = {"padding": "same", "stride": stride, "pad_mode": mode, "method": method}
    apart = [
        convlens.convolve(x[..., g * c : (g + 1) * c], k[..., g * nc : (g + 1) * nc], **options)
        for g in range(groups)
    ]
    equal(convlens.convolve(x, k, groups=groups, **options), np.concatenate(apart, axis=-1))


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, c=channels, mode=pad_modes)
def test_one_kernel_on_each_channel(method, seed, h, w, window, c, mode):
    """A kernel without channels convolves each channel alone, as depthwise kernels do."""
    x, k = whole_numbers(seed, 2, h, w, c), whole_numbers(seed, *window)
    options = {"pad_mode": mode, "method": method}
    result = convlens.convolve(x, k, **options)
    gray = [convlens.convolve(x[..., n], k, **options) for n in range(c)]
    equal(result, np.stack(gray, axis=-1))
    depthwise = np.stack([k[..., np.newaxis]] * c, axis=-1)
    equal(result, convlens.convolve(x, depthwise, groups=c, **options))


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, c=channels, nc=channels)
def test_one_image_is_a_batch_of_one(method, seed, h, w, window, c, nc):
    """An image without m gives the result that it gives in a batch, without m."""
    x, k = whole_numbers(seed, 3, h, w, c), whole_numbers(seed, *window, c, nc)
    batch = convlens.convolve(x, k, method=method)
    for image, result in zip(x, batch, strict=True):
        equal(convlens.convolve(image, k, method=method), result)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, c=channels, nc=channels)
def test_the_order_of_channels(method, seed, h, w, window, c, nc):
    """Reversing the channels of both changes nothing; reversing kernels reverses the output's."""
    x, k = whole_numbers(seed, 2, h, w, c), whole_numbers(seed, *window, c, nc)
    there = convlens.convolve(x, k, method=method)
    equal(convlens.convolve(x[..., ::-1], k[:, :, ::-1], method=method), there)
    equal(convlens.convolve(x, k[..., ::-1], method=method), there[..., ::-1])


# --------------------------------------------------------------------------------- pooling


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, dilation=steps, pad=cells)
def test_sum_pooling_is_a_convolution_with_ones(method, seed, h, w, window, stride, dilation, pad):
    """Sum pooling equals a convolution with ones, with zeros around the image."""
    x = whole_numbers(seed, 2, h, w, 3)
    padding = tuple(n + r for n, r in zip(pad, reach(window, dilation), strict=True))
    options = {"padding": padding, "stride": stride, "dilation": dilation, "method": method}
    box = convlens.convolve(x, np.ones(window, int), **options)
    equal(convlens.pool(x, window, mode="sum", **options), box)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, dilation=steps)
def test_average_pooling_is_two_convolutions(method, seed, h, w, window, stride, dilation):
    """An average is the convolution of the image with ones, divided by that of an image of ones.

    If the padding is counted, it is the sum divided by the number of taps.
    """
    x = whole_numbers(seed, 2, h, w)
    options = {"padding": "same", "stride": stride, "dilation": dilation, "method": method}
    box = np.ones(window, int)
    sums, counts = (
        convlens.convolve(x, box, **options),
        convlens.convolve(x * 0 + 1, box, **options),
    )
    if counts.all():
        equal(convlens.pool(x, window, mode="avg", **options), sums / counts)
    counted = convlens.pool(x, window, mode="avg", count_padding=True, **options)
    equal(counted, sums / box.sum())


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, partial=st.booleans())
def test_smallest_is_the_largest_of_the_negatives(method, seed, h, w, window, stride, partial):
    """Max pooling equals the negative of min pooling of the negative images."""
    x = whole_numbers(seed, 2, h, w, 2)
    options = {"padding": "full", "stride": stride, "partial": partial, "method": method}
    largest = convlens.pool(x, window, mode="max", **options)
    equal(largest, -convlens.pool(-x, window, mode="min", **options))


@law
@given(seed=seeds, h=sizes, w=sizes, first=windows, second=windows)
@pytest.mark.parametrize("mode", ["max", "min", "sum"])
def test_pooling_twice_is_a_bigger_window(method, mode, seed, h, w, first, second):
    """At stride 1, windows of a and then b cover a + b - 1 pixels; a sum counts some repeatedly."""
    x = whole_numbers(seed, 2, h, w)
    padding = tuple(a + b - 2 for a, b in zip(first, second, strict=True))
    bigger = tuple(n + 1 for n in padding)

    def pooled(x, window, padding):
        return convlens.pool(x, window, 1, mode, padding=padding, method=method)

    twice = pooled(pooled(x, first, "full"), second, "full")
    if mode == "sum":
        taps = convlens.convolve(np.ones(first, int), np.ones(second, int), "full", method=method)
        equal(twice, convlens.convolve(x, taps, padding, method=method))
    else:
        equal(twice, pooled(x, bigger, padding))


@law
@given(seed=seeds, tiles=windows, first=windows, second=windows, mode=pool_modes)
def test_tiles_of_tiles(method, seed, tiles, first, second, mode):
    """Pooling side by side twice equals pooling once by the product of both windows."""
    window = tuple(a * b for a, b in zip(first, second, strict=True))
    h, w = (n * k for n, k in zip(tiles, window, strict=True))
    x = 144**2 * whole_numbers(seed, 2, h, w)  # a factor that makes averages whole numbers too
    once = convlens.pool(x, window, mode=mode, method=method)
    twice = convlens.pool(x, first, mode=mode, method=method)
    equal(convlens.pool(twice, second, mode=mode, method=method), once)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, mode=pool_modes)
def test_pooling_goes_through_increasing_maps(method, seed, h, w, window, stride, mode):
    """Pooling commutes with doubling, and, for all modes but "sum", with adding 3."""
    x = whole_numbers(seed, 2, h, w)
    options = {"stride": stride, "mode": mode, "padding": "full", "method": method}
    pooled = convlens.pool(2 * x, window, **options)
    equal(pooled, 2 * convlens.pool(x, window, **options))
    if mode != "sum":
        moved = convlens.pool(2 * x + 3, window, **options)
        np.testing.assert_allclose(moved, pooled + 3, rtol=0, atol=1e-13 if mode == "avg" else 0)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, partial=st.booleans())
def test_the_mean_lies_between(method, seed, h, w, window, stride, partial):
    """Min, mean and max are in this order, and the sum is the mean times the count."""
    x = whole_numbers(seed, 2, h, w)
    options = {"padding": "full", "stride": stride, "partial": partial, "method": method}
    low, mean, high, total, count = (
        convlens.pool(values, window, mode=mode, **options)
        for values, mode in ((x, "min"), (x, "avg"), (x, "max"), (x, "sum"), (x * 0 + 1, "sum"))
    )
    assert (low <= mean).all()
    assert (mean <= high).all()
    equal(mean, total / count)


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, dilation=steps, mode=pool_modes)
def test_pooling_stride_leaves_results_out(method, seed, h, w, window, stride, dilation, mode):
    """A stride selects from the results at stride 1."""
    x = whole_numbers(seed, 2, h + 9, w + 9)
    every = convlens.pool(x, window, 1, mode, dilation=dilation, method=method)
    some = convlens.pool(x, window, stride, mode, dilation=dilation, method=method)
    equal(some, every[:, :: stride[0], :: stride[1]])


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, pad=cells, mode=pool_modes)
def test_pooling_padding_is_what_changes_nothing(method, seed, h, w, window, pad, mode):
    """Padding acts as the smallest number for max, the largest for min, and 0 for sums."""
    x = whole_numbers(seed, 2, h, w).astype(np.int16)
    limits = np.iinfo(x.dtype)
    nothing = {"max": limits.min, "min": limits.max, "sum": 0, "avg": 0}[mode]
    before, after = (min(n, k - 1) for n, k in zip(pad, window, strict=True))
    padding = ((before, window[0] - 1), (window[1] - 1, after))
    padded = np.pad(x, ((0, 0), *padding), constant_values=nothing)
    result = convlens.pool(x, window, 1, mode, padding=padding, count_padding=True, method=method)
    equal(result, convlens.pool(padded, window, 1, mode, method=method))


@law
@given(seed=seeds, h=sizes, w=sizes, window=windows, stride=steps, mode=pool_modes)
def test_partial_adds_windows_at_the_end(method, seed, h, w, window, stride, mode):
    """`partial` keeps all other windows as they are, and covers the remaining pixels."""
    x = whole_numbers(seed, 2, h + 3, w + 3)
    whole = convlens.pool(x, window, stride, mode, method=method)
    partial = convlens.pool(x, window, stride, mode, partial=True, method=method)
    oh, ow = whole.shape[1:]
    equal(partial[:, :oh, :ow], whole)
    for size, outputs, k, s in zip(x.shape[1:], partial.shape[1:], window, stride, strict=True):
        last = (outputs - 1) * s
        assert last < size  # the last window begins on the image
        assert last + k >= size or last + s >= size  # no pixels are left for another window
