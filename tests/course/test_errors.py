"""A wrong call is refused with a sentence that says what is wrong with it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from .course import FUNCTIONS

VALID, SAME, PADDED, STRIDED, CHANNELS, SEVERAL, POOL = FUNCTIONS
GRAY, COLOUR = np.ones((2, 5, 6)), np.ones((2, 5, 6, 3))


def ones(*shape):
    """A kernel of this shape."""
    return np.ones(shape)


# The six convolutions with a call that is right; each wrong call spoils one thing of it.
RIGHT = {
    VALID: (GRAY, ones(3, 3)),
    SAME: (GRAY, ones(3, 3)),
    PADDED: (GRAY, ones(3, 3), (1, 1)),
    STRIDED: (GRAY, ones(3, 3), "same", (1, 1)),
    CHANNELS: (COLOUR, ones(3, 3, 3), "same", (1, 1)),
    SEVERAL: (COLOUR, ones(3, 3, 3, 2), "same", (1, 1)),
    POOL: (COLOUR, (2, 2), (2, 2), "max"),
}


def refused(function, spoilt, match):
    """Call with some arguments, by their position, replaced by wrong ones."""
    arguments = [spoilt.get(place, right) for place, right in enumerate(RIGHT[function])]
    with pytest.raises((ValueError, TypeError), match=match):
        function(*arguments)


def named(functions):
    """A parameter with the function's name as its label."""
    return pytest.mark.parametrize("function", functions, ids=lambda each: each.__name__)


@named(FUNCTIONS)
def test_the_right_calls_are_right(function):
    """A right call is refused, so that the tests below would prove nothing."""
    assert len(function(*RIGHT[function])) == 2


@named(FUNCTIONS)
def test_images_of_the_wrong_rank(function):
    """A single image, one axis too many, or a number is taken for images."""
    for images in [RIGHT[function][0][0], RIGHT[function][0][None], 7]:
        shape = re.escape(str(np.shape(images)))
        refused(function, {0: images}, rf"expected images \(m, h, w.*got {shape}")


@named(FUNCTIONS[:6])
def test_kernels_of_the_wrong_rank(function):
    """One axis too many, one too few, or a number is taken for a kernel."""
    for kernel in [RIGHT[function][1][0], RIGHT[function][1][None], 7]:
        shape = re.escape(str(np.shape(kernel)))
        refused(function, {1: kernel}, rf"kernels? \(kh, kw.* and {shape}")


@named([CHANNELS, SEVERAL])
def test_channels_that_differ(function):
    """Other channels than the images' are taken, such as one, which NumPy would broadcast."""
    for channels in [1, 2, 4]:
        kernel = ones(3, 3, channels, 2) if function is SEVERAL else ones(3, 3, channels)
        refused(function, {1: kernel}, rf"kernels? ha(s|ve) {channels} channels, the images 3")


def resized(function, kh, kw):
    """The function's own kind of kernel or window, in another size."""
    if function is POOL:
        return kh, kw
    return np.ones((kh, kw, *RIGHT[function][1].shape[2:]))


@named([VALID, STRIDED, CHANNELS, SEVERAL, POOL])
@pytest.mark.parametrize("size", [(6, 1), (1, 7), (99, 99)])
def test_windows_larger_than_the_image(function, size):
    """A window that is too large, by one pixel or by far, is taken."""
    spoilt = {1: resized(function, *size)}
    if function not in (VALID, POOL):
        spoilt[2] = "valid"
    refused(function, spoilt, r"{} x {} (kernel|window) does not fit in 5 x 6".format(*size))


@named([PADDED, STRIDED, CHANNELS, SEVERAL])
@pytest.mark.parametrize("size", [(8, 1), (1, 11)])
def test_kernels_larger_than_the_padded_image(function, size):
    """A kernel larger than the padded image is taken, or the padding is not named."""
    spoilt = {1: resized(function, *size), 2: (1, 2)}
    words = r"{} x {} kernel does not fit in 5 x 6 images with padding \(1, 2\)"
    refused(function, spoilt, words.format(*size))


@named([PADDED, STRIDED, CHANNELS, SEVERAL])
def test_the_largest_kernel_fits(function):
    """The largest kernel that fits, one pixel less than above, is refused."""
    kernel = resized(function, 7, 10)
    assert function(RIGHT[function][0], kernel, (1, 2)).shape[:3] == (2, 1, 1)


@named(FUNCTIONS)
@pytest.mark.parametrize("size", [(0, 3), (3, 0), (0, 0)])
def test_empty_windows(function, size):
    """A window without pixels, where there is nothing to add up, is taken."""
    words = r"{} x {} (kernel|window) does not fit|no pixels: .* {} x {} kernel"
    refused(function, {1: resized(function, *size)}, words.format(*size, *size))


@named(FUNCTIONS)
def test_images_without_pixels(function):
    """Images of no pixels are taken; only a batch of no images has a result."""
    for images in [RIGHT[function][0][:, :0], RIGHT[function][0][:, :, :0]]:
        refused(function, {0: images}, "does not fit in|no pixels")


@named([STRIDED, CHANNELS, SEVERAL, POOL])
@pytest.mark.parametrize("stride", [(0, 1), (1, 0), (-1, 1), (1, -2)])
def test_strides_below_one(function, stride):
    """A stride of 0 or less, down or across, is taken."""
    place = 2 if function is POOL else 3
    words = r"stride must be \(sh, sw\), none below 1, got \({}, {}\)"
    refused(function, {place: stride}, words.format(*stride))


@named([STRIDED, CHANNELS, SEVERAL, POOL])
def test_strides_that_are_no_pair(function):
    """A stride that is not the brief's pair is taken."""
    place = 2 if function is POOL else 3
    for stride in (2, (1, 1, 1), None, "ab"):
        words = rf"stride must be \(sh, sw\), none below 1, got {re.escape(repr(stride))}"
        refused(function, {place: stride}, words)


@named([STRIDED, CHANNELS, SEVERAL, POOL])
def test_strides_that_are_not_whole(function):
    """A stride of half a pixel is taken, or rounded."""
    refused(function, {2 if function is POOL else 3: (1.5, 1)}, "float|integer")


@named([PADDED, STRIDED, CHANNELS, SEVERAL])
@pytest.mark.parametrize("padding", [(-1, 0), (0, -1)])
def test_negative_paddings(function, padding):
    """A negative padding is taken, where the kernel would fit in what is left."""
    spoilt = {1: resized(function, 1, 1), 2: padding}
    refused(function, spoilt, r"none negative, got \({}, {}\)".format(*padding))


@named([PADDED, STRIDED, CHANNELS, SEVERAL])
def test_paddings_that_are_no_pair(function):
    """A padding that is neither a pair nor a word is taken."""
    for padding in (1, (1, 1, 1), None):
        words = rf"padding must be .*\(ph, pw\), none negative, got {re.escape(repr(padding))}"
        refused(function, {2: padding}, words)


def test_words_where_none_is_known():
    """File 2, which takes numbers alone, takes a word."""
    refused(PADDED, {2: "same"}, r"padding must be \(ph, pw\), none negative, got 'same'")


@named([PADDED, STRIDED, CHANNELS, SEVERAL])
def test_paddings_that_are_not_whole(function):
    """A padding of half a pixel is taken, or rounded."""
    refused(function, {2: (0.5, 1)}, "float|integer")


@named([STRIDED, CHANNELS, SEVERAL])
@pytest.mark.parametrize("word", ["full", "SAME", "", "ab"])
def test_paddings_that_do_not_exist(function, word):
    """An unknown word is taken; 'ab', say, would unpack into a pair."""
    words = rf"padding must be 'same', 'valid' or \(ph, pw\), none negative, got '{word}'"
    refused(function, {2: word}, words)


@pytest.mark.parametrize("mode", ["min", "MAX", "", None])
def test_modes_that_do_not_exist(mode):
    """An unknown mode is taken, or the sentence does not name the two that exist."""
    refused(POOL, {3: mode}, rf"mode must be 'max' or 'avg', got {mode!r}")


@pytest.mark.parametrize("window", [2, (2, 2, 2), None])
def test_pooling_windows_that_are_no_pair(window):
    """A window that is not the brief's pair is taken."""
    refused(POOL, {1: window}, rf"kernel_shape must be \(kh, kw\), got {re.escape(repr(window))}")


@named(FUNCTIONS)
def test_nothing_is_changed_by_a_call_that_is_refused(function):
    """A call that is refused changes its images."""
    images = RIGHT[function][0].copy()
    refused(function, {0: images[:, :0]}, "does not fit|no pixels")
    np.testing.assert_array_equal(images, RIGHT[function][0])
