"""Each mistake that newcomers make is answered with what to write instead, and that works."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens import convolve, filters, plan_convolve, plan_pool, pool

GRAY = np.arange(60.0).reshape(2, 5, 6)  # (m, h, w)
FIRST = np.arange(2 * 3 * 32 * 32.0).reshape(2, 3, 32, 32)  # (m, c, h, w), as in PyTorch
BLUR = np.ones((3, 3))


def mistakes(*rows):
    """A table of mistakes: the call, its arguments, its options, the error, what it says."""
    return pytest.mark.parametrize(
        ("call", "arguments", "options", "error", "words"), rows, ids=[row[-1][:50] for row in rows]
    )


def check(call, arguments, options, error, words):
    """The sentence begins with the call's name and ends with the hint."""
    with pytest.raises(error, match=f"^{call.__name__}: .*{re.escape(words)}$"):
        call(*arguments, **options)


# ------------------------------------------------------- words given to the wrong argument


@mistakes(
    (pool, (GRAY, 2, "avg"), {}, TypeError, "got 'avg': did you mean mode='avg'?"),
    (pool, (GRAY, 2, "mean"), {}, TypeError, "got 'mean': did you mean mode='avg'?"),
    (pool, (GRAY, 2, "same"), {}, TypeError, "got 'same': did you mean padding='same'?"),
    (pool, (GRAY, "max"), {}, TypeError, "got 'max': did you mean mode='max'?"),
    (pool, (GRAY, 2, 2, "same"), {}, ValueError, "got 'same': did you mean padding='same'?"),
    (pool, (GRAY, 2), {"padding": "max"}, ValueError, "got 'max': did you mean mode='max'?"),
    (pool, (GRAY, 2), {"dilation": "numpy"}, TypeError, "did you mean method='numpy'?"),
    (pool, (GRAY, 2, "reflect"), {}, TypeError, "got 'reflect': did you mean pad_mode='reflect'?"),
    (pool, (GRAY, 2), {"padding": "wrap"}, ValueError, "got 'wrap': did you mean pad_mode='wrap'?"),
    (pool, (GRAY, 2), {"mode": np.mean}, TypeError, "0>: did you mean 'avg'?"),
    (convolve, (GRAY, BLUR, "reflect"), {}, ValueError, "did you mean pad_mode='reflect'?"),
    (convolve, (GRAY, BLUR, "nearest"), {}, ValueError, "did you mean pad_mode='edge'?"),
    (convolve, (GRAY, BLUR, "same", "wrap"), {}, TypeError, "did you mean pad_mode='wrap'?"),
    (convolve, (GRAY, BLUR), {"pad_mode": "valid"}, ValueError, "did you mean padding='valid'?"),
    (convolve, (GRAY, BLUR), {"method": "same"}, ValueError, "did you mean padding='same'?"),
)
def test_words_of_another_argument(call, arguments, options, error, words):
    """A word that another argument takes is answered with that argument's name."""
    if words.startswith("0>"):  # the function's address is somewhere before
        words = words.removeprefix("0")
    check(call, arguments, options, error, words)


@mistakes(
    (pool, (GRAY, 2), {"mode": "range"}, ValueError, "'avg', 'sum', 'median'; got 'range'"),
    (convolve, (GRAY, BLUR, "same", "max"), {}, TypeError, "got 'max'"),  # convolve has no mode
)
def test_words_that_have_no_place(call, arguments, options, error, words):
    """What the call cannot do is not answered with something else that is spelt alike."""
    check(call, arguments, options, error, words)


# --------------------------------------------------------------------- unknown keywords

CONVOLVE = ((GRAY, BLUR), convolve)
POOL = ((GRAY, 2), pool)
KEYWORDS = [  # of whom, the keyword, its value, and the hint
    (CONVOLVE, "mode", "same", "did you mean padding='same'?"),
    (CONVOLVE, "mode", "nearest", "did you mean pad_mode='edge'?"),
    (CONVOLVE, "mode", "mirror", "did you mean pad_mode='reflect'?"),
    (
        CONVOLVE,
        "mode",
        "reflect",
        "did you mean pad_mode='reflect' (SciPy's mode='reflect' is pad_mode='symmetric')?",
    ),
    (CONVOLVE, "mode", 3, "did you mean pad_mode=?"),
    (CONVOLVE, "border_mode", "valid", "did you mean padding='valid'?"),
    (CONVOLVE, "boundary", "symm", "did you mean pad_mode=?"),
    (CONVOLVE, "padding_mode", "zeros", "did you mean pad_mode=?"),
    (CONVOLVE, "borderType", 4, "did you mean pad_mode=?"),
    (CONVOLVE, "axis", 0, "the window slides along every spatial axis, but not along one "),
    (CONVOLVE, "axes", (0, 1), "the window slides along every spatial axis, but not along one "),
    (CONVOLVE, "cval", 1.0, "did you mean pad_value=?"),
    (CONVOLVE, "fillvalue", 1, "did you mean pad_value=?"),
    (CONVOLVE, "constant_values", 1, "did you mean pad_value=?"),
    (CONVOLVE, "ndim", 3, "did you mean space=?"),
    (CONVOLVE, "origin", 1, "unequal padding shifts the window: padding=((top, bottom), (left, "),
    (CONVOLVE, "anchor", (0, 0), "unequal padding shifts the window: padding=((top, bottom), (le"),
    (CONVOLVE, "output", np.float32, "did you mean dtype=?"),
    (CONVOLVE, "output", GRAY, "did you mean out=?"),
    (CONVOLVE, "ddepth", -1, "did you mean dtype=?"),
    (
        CONVOLVE,
        "data_format",
        "NCHW",
        "channels come last; np.moveaxis(images, 1, -1) puts them th",
    ),
    (CONVOLVE, "bias", np.ones(3), "add it to the result"),
    (CONVOLVE, "kernel_size", 3, "the kernels' own shape is the window's"),
    (CONVOLVE, "strides", 2, "did you mean stride=?"),
    (CONVOLVE, "dilations", 2, "did you mean dilation=?"),
    (CONVOLVE, "dilation_rate", 2, "did you mean dilation=?"),
    (CONVOLVE, "feature_group_count", 2, "did you mean groups=?"),
    (CONVOLVE, "pads", 2, "did you mean padding=?"),
    (CONVOLVE, "paddng", 2, "did you mean padding=?"),
    (CONVOLVE, "backend", "numpy", "did you mean method=?"),
    (CONVOLVE, "xyzzy", 2, "there are images, kernels, padding, stride, dilation, groups, pad_mod"),
    (POOL, "ceil_mode", True, "did you mean partial=?"),
    (POOL, "count_include_pad", True, "did you mean count_padding=?"),
    (POOL, "kernel_size", 2, "did you mean kernel_shape=?"),
    (POOL, "pool_size", 2, "did you mean kernel_shape=?"),
    (POOL, "strides", 2, "did you mean stride=?"),
    (POOL, "func", np.max, "did you mean mode=?"),
    (POOL, "padding_mode", "edge", "did you mean pad_mode=?"),
    (POOL, "cval", 1.0, "did you mean pad_value=?"),
    (POOL, "constant_values", 1, "did you mean pad_value=?"),
    (POOL, "dims", 1, "did you mean space=?"),
    (CONVOLVE, "saturate", True, "did you mean overflow=?"),
    (POOL, "groups", 2, "every channel is pooled by itself"),
    (POOL, "axis", 1, "the window slides along every spatial axis, but not along one where its"),
]


@pytest.mark.parametrize(("right", "name", "value", "hint"), KEYWORDS)
def test_keywords_of_other_libraries(right, name, value, hint):
    """A keyword that another library has is answered with the one here, for plans as well."""
    arguments, call = right
    words = re.escape(f"there is no argument {name!r}; {hint}")
    with pytest.raises(TypeError, match=f"^{call.__name__}: {words}"):
        call(*arguments, **{name: value})
    plan = {convolve: plan_convolve, pool: plan_pool}[call]
    if "out=" not in hint:
        with pytest.raises(TypeError, match=f"^{plan.__name__}: {words}"):
            plan(*arguments, **{name: value})


def test_out_of_a_plan():
    """A plan does not compute, so it has nowhere to write to yet."""
    words = "there is no argument 'out'; a plan computes nothing: pass out when you call it, as in "
    for plan, given in ((plan_convolve, BLUR), (plan_pool, 2)):
        with pytest.raises(TypeError, match=f"^{plan.__name__}: {words}"):
            plan(GRAY, given, out=GRAY)


def test_other_errors_of_binding_are_pythons_own():
    """Arguments that are missing, too many or given twice are named by Python as ever."""
    with pytest.raises(TypeError, match=r"^convolve\(\) missing 1 required .*: 'kernels'$"):
        convolve(GRAY)
    with pytest.raises(TypeError, match=r"^pool\(\) takes from 2 to 4 positional arguments but 5"):
        pool(GRAY, 2, 2, "avg", "valid")
    with pytest.raises(TypeError, match=r"^pool\(\) got multiple values for argument 'stride'$"):
        pool(GRAY, 2, 2, stride=2)


def test_signatures_are_seen_by_tools():
    """The hints do not hide the parameters from `help`, editors and Sphinx."""
    for call in (convolve, plan_convolve, pool, plan_pool):
        assert next(iter(inspect.signature(call).parameters)) == "images"
        assert "args" not in inspect.signature(call).parameters
        assert call.__doc__


# ----------------------------------------------------------- things that are no arrays


@mistakes(
    (convolve, (GRAY, filters.sobel_x), {}, TypeError, ">: call it, as in filters.sobel_x()"),
    (convolve, (GRAY, "sobel_x"), {}, TypeError, "got 'sobel_x': did you mean filters.sobel_x()?"),
    (convolve, (GRAY, "gaussian:2"), {}, TypeError, "did you mean filters.gaussian()?"),
    (
        convolve,
        ("cat.png", BLUR),
        {},
        TypeError,
        "got 'cat.png': read the picture first, as in np.asarray(PIL.Image.open('cat.png'))",
    ),
    (
        pool,
        (Path("cat.png"), 2),
        {},
        TypeError,
        "read the picture first, as in np.asarray(PIL.Image.open('cat.png'))",
    ),
    (pool, ("scans.npy", 2), {}, TypeError, "read the file first, as in np.load('scans.npy')"),
    (convolve, (GRAY, Path("k.npy")), {}, TypeError, "the file first, as in np.load('k.npy')"),
    (convolve, (GRAY, "laplace"), {}, TypeError, "kernels must be an array of numbers; got 'laplac"
     "e'"),
    (convolve, (GRAY, max), {}, TypeError, "got <built-in function max>"),
)  # fmt: skip
def test_filters_and_files(call, arguments, options, error, words):
    """A filter that is not called, its name, and paths are answered with how to make arrays."""
    check(call, arguments, options, error, words)


def test_pictures_of_pillow_are_arrays():
    """A picture that Pillow has opened needs no conversion: it is an array of its pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12), np.uint8)
    np.testing.assert_array_equal(pool(Image.fromarray(pixels), 3), pool(pixels, 3))


@mistakes(
    (
        pool,
        ([np.ones((4, 6)), np.ones((3, 6))], 2),
        {},
        ValueError,
        "images[0] has shape (4, 6), images[1] has shape (3, 6): images of several sizes need a "
        "call each",
    ),
    (
        convolve,
        ([np.ones((4, 6)), np.ones((4, 6, 3))], BLUR),
        {},
        ValueError,
        "images[0] has shape (4, 6), images[1] has shape (4, 6, 3): images of several sizes need a "
        "call each",
    ),
    (
        convolve,
        (GRAY, [[1, 2], [3, 4], [5]]),
        {},
        ValueError,
        "kernels must be an array of numbers; got lists of unequal lengths: kernels[0] has shape "
        "(2,), kernels[2] has shape (1,)",
    ),
    (
        pool,
        ([[[1, 2], [3]], [[4, 5], [6, 7]]], 1),
        {},
        ValueError,
        "images[0][0] has shape (2,), images[0][1] has shape (1,)",
    ),
)
def test_lists_of_unequal_lengths(call, arguments, options, error, words):
    """The sentence names the first two places that differ."""
    check(call, arguments, options, error, words)


# ----------------------------------------------------------------------- missing axes


@mistakes(
    (
        convolve,
        (np.ones(10_000), np.ones(5)),
        {},
        ValueError,
        "images.shape=(10000,), kernels.shape=(5,): did you mean space=1, for signals?",
    ),
    (
        pool,
        (np.ones(10_000), 5),
        {},
        ValueError,
        "images.shape=(10000,): did you mean space=1, for signals?",
    ),
    (
        convolve,
        (GRAY, np.ones(5)),
        {},
        ValueError,
        "kernels.shape=(5,): did you mean space=1, for signals? For images kernels[np.newaxis] is "
        "a kernel of one row, kernels[:, np.newaxis] of one column",
    ),
    (
        convolve,
        (np.ones((2, 8, 8, 3)), np.ones(5)),
        {},
        ValueError,
        "kernels.shape=(5,): kernels[np.newaxis] is a kernel of one row, kernels[:, np.newaxis] of "
        "one column",
    ),
    (
        convolve,
        (np.ones((2, 8, 8, 8, 3)), np.ones((3, 3, 3))),
        {},
        ValueError,
        "kernels.shape=(3, 3, 3): did you mean space=3, for volumes?",
    ),
    (
        pool,
        (np.ones((2, 8, 8, 8, 3)), 2),
        {},
        ValueError,
        "images.shape=(2, 8, 8, 8, 3): did you mean space=3, for volumes?",
    ),
    (
        pool,
        (GRAY, (2, 2, 2)),
        {},
        ValueError,
        "got (2, 2, 2): did you mean space=3?",
    ),
    (
        convolve,
        (GRAY[0], np.ones((3, 3, 1, 8))),
        {},
        ValueError,
        "kernels.shape=(3, 3, 1, 8): images[..., np.newaxis] has a channel",
    ),
)
def test_axes_that_are_missing(call, arguments, options, error, words):
    """Signals, volumes and missing axes are answered with `space`, or with how to add the axis."""
    check(call, arguments, options, error, words)


def test_what_the_hints_about_axes_say_works():
    """Each expression in a hint makes the call above right."""
    signal, kernel = np.arange(10.0), np.array([1.0, 2.0, 3.0])
    correlated = np.correlate(signal, kernel, "same")
    np.testing.assert_array_equal(convolve(signal, kernel, space=1), correlated)
    assert pool(signal, 5, space=1).shape == (2,)
    assert pool(np.ones((2, 8, 8, 8, 3)), 2, space=3).shape == (2, 4, 4, 4, 3)
    assert convolve(np.ones((2, 8, 8, 8, 3)), np.ones((3, 3, 3)), space=3).shape == (2, 8, 8, 8, 3)
    assert convolve(GRAY, kernel[np.newaxis]).shape == (2, 5, 6)
    assert convolve(GRAY, kernel[:, np.newaxis]).shape == (2, 5, 6)
    assert convolve(GRAY[0][..., np.newaxis], np.ones((3, 3, 1, 8))).shape == (5, 6, 8)


# --------------------------------------------------------------------- channels first

MOVED_IMAGES = ": are the channels first? np.moveaxis(images, 1, -1) puts them last"
MOVED_KERNELS = ": are the channels first? kernels.transpose(2, 3, 1, 0) puts them last"
MOVED_BOTH = (
    ": are the channels first? np.moveaxis(images, 1, -1) and kernels.transpose(2, 3, 1, 0) put "
    "them last"
)
LAST = np.moveaxis(FIRST, 1, -1)  # (m, h, w, c)


@pytest.mark.parametrize(
    ("images", "kernels", "groups", "hint"),
    [
        (FIRST, np.ones((3, 3, 3, 16)), 1, MOVED_IMAGES),
        (FIRST, np.ones((3, 3, 3)), 1, MOVED_IMAGES),
        (FIRST[0], np.ones((3, 3, 3)), 1, MOVED_IMAGES.replace("1, -1", "0, -1")),
        (FIRST, np.ones((3, 3, 1, 6)), 3, MOVED_IMAGES),
        (LAST, np.ones((16, 3, 5, 5)), 1, MOVED_KERNELS),
        (LAST, np.ones((3, 1, 5, 5)), 3, MOVED_KERNELS),
        (LAST, np.ones((3, 5, 5)), 1, ": are the channels first? np.moveaxis(kernels, 0, -1) puts "
         "them last"),
        (FIRST, np.ones((16, 3, 5, 5)), 1, MOVED_BOTH),
        (LAST, np.ones((3, 3, 4, 16)), 1, "kernels.shape=(3, 3, 4, 16)"),
        (LAST, np.ones((3, 3, 1, 16)), 1, "kernels.shape=(3, 3, 1, 16)"),
    ],
)  # fmt: skip
def test_channels_first(images, kernels, groups, hint):
    """Arrays as PyTorch has them are recognised if that alone would make the channels agree."""
    check(convolve, (images, kernels), {"groups": groups}, ValueError, hint)
    if "moveaxis(images" in hint:
        images = np.moveaxis(images, 1 if images.ndim == 4 else 0, -1)
    if "kernels.transpose" in hint:
        kernels = kernels.transpose(2, 3, 1, 0)
    if "moveaxis(kernels" in hint:
        kernels = np.moveaxis(kernels, 0, -1)
    if "first" in hint:
        shape = convolve(images, kernels, groups=groups).shape
        assert shape.count(32) == 2  # rows and columns


def ones(*shape):
    """An array of ones of that shape."""
    return np.ones(shape)


NCDHW = ones(2, 3, 6, 8, 8)  # as in PyTorch
NCW = ones(2, 3, 50)
TO_LAST = "puts them last"
OF_SIGNALS = f"{TO_LAST}, and kernels.transpose(2, 1, 0) those of kernels (nc, c, kw)"
MOVED = "np.moveaxis(images, {}, -1)"


@pytest.mark.parametrize(
    ("space", "images", "kernels", "groups", "hint"),
    [
        (3, NCDHW, ones(3, 3, 3, 3, 16), 1, f"{MOVED.format(1)} {TO_LAST}"),
        (3, NCDHW, ones(3, 3, 3, 3), 1, f"{MOVED.format(1)} {TO_LAST}"),
        (3, NCDHW[0], ones(3, 3, 3, 3), 1, f"{MOVED.format(0)} {TO_LAST}"),
        (3, NCDHW, ones(3, 3, 3, 1, 6), 3, f"{MOVED.format(1)} {TO_LAST}"),
        (
            3,
            np.moveaxis(NCDHW, 1, -1),
            ones(16, 3, 5, 5, 5),
            1,
            f"kernels.transpose(2, 3, 4, 1, 0) {TO_LAST}",
        ),
        (
            3,
            NCDHW,
            ones(16, 3, 5, 5, 5),
            1,
            f"{MOVED.format(1)} and kernels.transpose(2, 3, 4, 1, 0) put them last",
        ),
        (
            3,
            np.moveaxis(NCDHW, 1, -1),
            ones(3, 5, 5, 5),
            1,
            f"np.moveaxis(kernels, 0, -1) {TO_LAST}",
        ),
        (1, NCW, ones(9, 3, 16), 1, f"{MOVED.format(1)} {OF_SIGNALS}"),
        (1, NCW[0], ones(9, 3, 16), 1, f"{MOVED.format(0)} {OF_SIGNALS}"),
        (1, NCW, ones(9, 3), 1, f"{MOVED.format(1)} {TO_LAST}"),
        (1, np.moveaxis(NCW, 1, -1), ones(3, 9), 1, f"np.moveaxis(kernels, 0, -1) {TO_LAST}"),
    ],
)
def test_channels_first_of_signals_and_volumes(space, images, kernels, groups, hint):
    """So are signals (m, c, w) and volumes (m, c, d, h, w), and moving their axes works."""
    with pytest.raises(ValueError, match=rf"are the channels first\? {re.escape(hint)}$"):
        convolve(images, kernels, groups=groups, space=space)
    if "np.moveaxis(images" in hint:
        images = np.moveaxis(images, images.ndim - space - 1, -1)
    if "kernels.transpose(2, 3" in hint:
        kernels = kernels.transpose(2, 3, 4, 1, 0)
    if "np.moveaxis(kernels" in hint:
        kernels = np.moveaxis(kernels, 0, -1)
    shape = convolve(images, kernels, groups=groups, space=space).shape
    assert (50 in shape) if space == 1 else (shape.count(8) == 2)


@pytest.mark.parametrize(
    ("space", "images", "kernels"),
    [
        (3, ones(2, 8, 8, 8, 3), ones(3, 3, 3, 4, 2)),  # a cube: no axis of it is of channels
        (3, ones(2, 3, 6, 8, 8), ones(4, 4, 4, 4, 2)),
        (1, ones(2, 50, 3), ones(9, 4, 2)),
        (1, ones(50, 3), ones(9, 4)),
    ],
)
def test_channels_of_signals_and_volumes_that_just_differ(space, images, kernels):
    """Where moving an axis would not help, it is not suggested."""
    words = re.escape(f"images.shape={images.shape}, kernels.shape={kernels.shape}")
    with pytest.raises(ValueError, match=f"{words}$"):
        convolve(images, kernels, space=space)


def test_kernels_of_volumes_that_lack_axes():
    """What the message says of a kernel with too few axes for a volume works."""
    volume = np.random.default_rng(0).random((4, 5, 6))
    kernel = np.array([[1.0, 2, 3], [0, 1, 2]])
    slabs = convolve(volume, kernel[np.newaxis], space=3)
    np.testing.assert_array_equal(slabs, convolve(volume, kernel))
    lines = convolve(volume, kernel[0][np.newaxis, np.newaxis], space=3)
    np.testing.assert_array_equal(lines, convolve(volume, kernel[:1]))
