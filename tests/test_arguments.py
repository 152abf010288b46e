"""Wrong calls are refused with a message before any work; right ones are accepted.

The refusals are tables. Each row has a change to a call that is right, the error, and a part of its
message. The refusals of `convlens.filters` are in test_filters.py, hints in test_hints.py.
"""

import datetime as dt
import re
from itertools import product

import ml_dtypes
import numpy as np
import pytest
from strategies import built

from convlens import convolve, plan_convolve, plan_pool, pool
from convlens.methods.compiled import CompiledProgram
from convlens.methods.taps import Taps

GRAY = np.ones((2, 5, 6))  # (m, h, w)
COLOUR = np.ones((2, 5, 6, 4))  # (m, h, w, c)
PIXELS = np.ones((2, 5, 6), np.uint8)
BLUR = np.ones((3, 3))
COUNT = np.ones((3, 3), np.int64)
SATURATE = {"overflow": "saturate"}


def ones(*shape):
    """An array of ones of that shape."""
    return np.ones(shape)


class Two:
    """An integer that is not Python's or NumPy's, such as another library's."""

    def __index__(self):
        """As an index it is 2."""
        return 2


RIGHT = {
    convolve: {"images": GRAY, "kernels": BLUR},
    pool: {"images": GRAY, "kernel_shape": 2},
}
PLANS = {convolve: plan_convolve, pool: plan_pool}


def refusals(*rows):
    """Parametrize with rows (changes, error, words), labelled with what they change."""

    def label(value):
        return "x".join(map(str, value.shape)) if isinstance(value, np.ndarray) else repr(value)

    def name(changes):
        words = "-".join(f"{key} {label(value)}" for key, value in changes.items())
        return re.sub(r" at 0x\w+|[^ -~]|\n", "", words)[:60]

    return pytest.mark.parametrize(
        ("changes", "error", "words"), rows, ids=[name(row[0]) for row in rows]
    )


@pytest.fixture
def refuses(monkeypatch):
    """Check that a call is refused, by its plan as well, and that nothing was computed."""
    computed = []

    def check(call, changes, error, words):
        arguments = RIGHT[call] | changes
        match = rf"^{call.__name__}: .*{re.escape(words)}"
        out = arguments.pop("out", np.full((2, 5, 6), 7.0))
        before = np.array(out)
        with monkeypatch.context() as patched:
            for program in (CompiledProgram, Taps):
                patched.setattr(program, "run", lambda *call: computed.append(call))
            with pytest.raises(error, match=match):
                call(**arguments, out=out)
        assert computed == []
        np.testing.assert_array_equal(out, before)
        if "out" not in changes:
            with pytest.raises(error, match=match):
                PLANS[call](**arguments)

    return check


def test_the_right_calls_are_right():
    """The unchanged calls are accepted, so that each refusal below is due to its change."""
    for call, arguments in RIGHT.items():
        assert call(**arguments).ndim == 3
        assert PLANS[call](**arguments).output_shape == call(**arguments).shape


# ------------------------------------------------------------------------------ arrays

NO_ARRAYS = [
    ("pixels", TypeError, "must be an array of numbers; got 'pixels'"),
    (b"pixels", TypeError, "must be an array of numbers; got b'pixels'"),
    (None, TypeError, "must be an array of numbers; got None"),
    (object, TypeError, "must be an array of numbers; got <class 'object'>"),
    ({1, 2}, TypeError, "must be an array of numbers; got {1, 2}"),
    (dt.date(2024, 2, 29), TypeError, "got datetime.date(2024, 2, 29)"),
    ([["1", "2"]], TypeError, "must be an array of numbers; got dtype <U1"),
    ([[None, 1]], TypeError, "must be an array of numbers; got dtype object"),
    ([[2**70]], TypeError, "must be an array of numbers; got dtype object"),
    (np.zeros((5, 6), object), TypeError, "must be an array of numbers; got dtype object"),
    (np.zeros((5, 6), "M8[D]"), TypeError, "must be an array of numbers; got dtype datetime64[D]"),
    (np.zeros((5, 6), "m8[s]"), TypeError, "must be an array of numbers; got dtype timedelta64[s]"),
    (np.zeros((5, 6), "i4,f4"), TypeError, "got dtype [('f0', '<i4'), ('f1', '<f4')]"),
    (np.zeros((5, 6), "S3"), TypeError, "must be an array of numbers; got dtype |S3"),
    (np.zeros((5, 6), "V3"), TypeError, "must be an array of numbers; got dtype |V3"),
    ([[1, 2], [3]], ValueError, "must be an array of numbers; got lists of unequal lengths"),
    ([[1, 2], 3], ValueError, "must be an array of numbers; got lists of unequal lengths"),
]


@pytest.mark.parametrize(("value", "error", "words"), NO_ARRAYS)
@pytest.mark.parametrize(
    ("call", "name"),
    [(convolve, "images"), (convolve, "kernels"), (pool, "images")],
    ids=["convolve-images", "convolve-kernels", "pool-images"],
)
def test_what_is_no_array_of_numbers(refuses, call, name, value, error, words):
    """Things that are no arrays of numbers are refused, and the message names the argument."""
    arguments = {name: value}
    refuses(call, arguments, error, words)
    refuses(call, arguments, error, f"{name} must be")


ASTYPE = "must be an array of numbers; got dtype {}: convert it first, as in images.astype(np.{})"
ADDED = [name for name in dir(ml_dtypes) if name not in ("finfo", "iinfo")]
ADDED = [name for name in ADDED if isinstance(getattr(ml_dtypes, name), type)]


@pytest.mark.parametrize("name", ADDED)
def test_types_that_packages_add(refuses, name):
    """bfloat16 and its like are refused, and the message names a NumPy type that holds them."""
    added = np.dtype(getattr(ml_dtypes, name))
    images = np.ones((5, 6), np.float32).astype(added)
    target = "complex64" if "complex" in name else "float32"
    for call in (convolve, pool):
        refuses(call, {"images": images}, TypeError, ASTYPE.format(name, target))
        assert call(**RIGHT[call] | {"images": images.astype(target)}).ndim == 2
    kernels = ASTYPE.format(name, target).replace("images", "kernels")
    refuses(convolve, {"kernels": images}, TypeError, kernels)
    with pytest.raises(TypeError, match=r"^convolve: dtype must be an integer, floating or comp"):
        convolve(GRAY, BLUR, dtype=added)


@pytest.mark.parametrize(
    ("images", "words", "target"),
    [
        (np.zeros((5, 6), "M8[s]"), ASTYPE.format("datetime64[s]", "int64"), "int64"),
        (np.zeros((5, 6), "m8[s]"), ASTYPE.format("timedelta64[s]", "int64"), "int64"),
        (np.full((5, 6), "1"), ASTYPE.format("<U1", "float64"), "float64"),
        (np.full((5, 6), b"1"), ASTYPE.format("|S1", "float64"), "float64"),
        (np.ones((5, 6), object), ASTYPE.format("object", "float64"), "float64"),
        (np.zeros((5, 6), "i4,f4"), "choose one of its fields, as in images['f0']", None),
    ],
)
def test_arrays_of_other_types(refuses, images, words, target):
    """Other types are refused with a way to make numbers of them, which works."""
    for call in (convolve, pool):
        refuses(call, {"images": images}, TypeError, words)
    numbers = images["f0"] if target is None else images.astype(target)
    assert convolve(numbers, BLUR).shape == (5, 6)


def masked_once(shape):
    """An array of fives with a masked column of nines."""
    values = np.ma.array(np.full(shape, 5.0), mask=np.zeros(shape, bool))
    values[..., 0] = 9
    values[..., 0] = np.ma.masked
    return values


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda masked: masked, id="array"),
        pytest.param(lambda masked: [masked, masked], id="list"),
        pytest.param(lambda masked: (masked.data, [*masked]), id="nested"),
        pytest.param(lambda masked: [[1.0, np.ma.masked]], id="masked"),  # noqa: ARG005
    ],
)
@pytest.mark.parametrize("name", ["images", "kernels"])
def test_masked_arrays(refuses, name, wrap):
    """Masked arrays are refused, by themselves and inside lists, as their masks would be lost."""
    fill = {"images": "images.mean()", "kernels": "0"}[name]
    words = f"{name} must hold no masked arrays, as their masks would be lost; fill them first, as "
    refuses(
        convolve, {name: wrap(masked_once((5, 6)))}, TypeError, f"{words}in {name}.filled({fill})"
    )


def test_what_the_sentence_about_masks_says_works():
    """Filling with the mean changes nothing nearby; a masked tap filled with 0 has no effect."""
    images = masked_once((5, 6))
    means = pool(images.filled(images.mean()), 2, 1, "avg")
    np.testing.assert_array_equal(means, np.full((4, 5), 5.0))
    sums = convolve(np.ones((5, 6)), masked_once((3, 3)).filled(0), "valid")
    np.testing.assert_array_equal(sums, np.full((3, 4), 6 * 5.0))


# ----------------------------------------------------------------- errors of other code


class OddError(ValueError):
    """An error whose constructor takes something other than a text."""

    def __init__(self, code, place):
        super().__init__(f"{code} at {place}")
        self.code, self.place = code, place


class Broken:
    """An array-like whose `__array__` and `__index__` raise an error, with a cause."""

    def __init__(self, error, cause=None):
        self.error, self.cause = error, cause

    def __array__(self, dtype=None, copy=None):
        """Raise the error."""
        raise self.error from self.cause

    __index__ = __array__


ERRORS = [
    ValueError("the file is damaged"),
    TypeError("no such type"),
    OddError(7, "row 3"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    OSError(5, "Input/output error"),
    MemoryError("too large"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x, x], lambda x: [x, [1, 2]]])
def test_errors_of_arrays_reach_the_caller(error, wrap):
    """What `__array__` raises reaches the caller: the same object, text and cause, with a note."""
    text, cause = str(error), KeyError("why")
    broken = wrap(Broken(error, cause))
    for call, name, arguments in (
        (convolve, "images", (broken, BLUR)),
        (convolve, "kernels", (GRAY, broken)),
        (pool, "images", (broken, 2)),
        (plan_pool, "images", (broken, 2)),
        (plan_convolve(GRAY, BLUR), "images", (broken, BLUR)),
    ):
        with pytest.raises(type(error)) as caught:
            call(*arguments)
        assert caught.value is error
        assert str(error) == text
        assert error.__cause__ is cause
        if isinstance(error, ValueError):
            assert error.__notes__[-1] == f"This was raised while {name} became a NumPy array."


@pytest.mark.parametrize("error", [ERRORS[0], *ERRORS[2:]], ids=repr)
def test_errors_of_integers_reach_the_caller(error):
    """What `__index__` raises reaches the caller unchanged, unless it is a TypeError."""
    text = str(error)
    for name in ("stride", "dilation", "padding"):
        with pytest.raises(type(error)) as caught:
            convolve(GRAY, BLUR, **{name: Broken(error)})
        assert caught.value is error
        assert str(error) == text


def test_lists_that_hold_themselves(refuses):
    """A list that contains itself is refused with NumPy's message, not with a RecursionError."""
    endless = []
    endless.append(endless)
    refuses(convolve, {"images": endless}, ValueError, "setting an array element with a sequence")


# Of images and kernels, and of the result.
CONVOLVE_RANKS = {(3, 2): 3, (4, 3): 3, (4, 4): 4, (4, 2): 4, (2, 2): 2, (3, 3): 2, (3, 4): 3}
POOL_RANKS = {2: (1, 1), 3: (2, 1, 1), 4: (2, 1, 1, 2)}  # of images, and the result's shape


@pytest.mark.parametrize("kernels", range(6))
@pytest.mark.parametrize("images", range(6))
def test_ranks_of_images_and_kernels(refuses, images, kernels):
    """The seven pairs of ranks in the table are accepted; others are refused with both shapes."""
    changes = {"images": ones(*[2] * images), "kernels": ones(*[2] * kernels)}
    if (images, kernels) in CONVOLVE_RANKS:
        assert len(plan_convolve(**changes).output_shape) == CONVOLVE_RANKS[images, kernels]
    else:
        shapes = f"images.shape={(2,) * images}, kernels.shape={(2,) * kernels}"
        refuses(convolve, changes, ValueError, shapes)
        refuses(convolve, changes, ValueError, "images must be (m, h, w), (m, h, w, c), (h, w) or")


@pytest.mark.parametrize("rank", range(6))
def test_ranks_of_pooled_images(refuses, rank):
    """Pooling accepts images with two, three or four axes and refuses others."""
    images = ones(*[2] * rank)
    if rank in POOL_RANKS:
        assert plan_pool(images, 2).output_shape == POOL_RANKS[rank]
    else:
        words = f"images must be (m, h, w, c), (m, h, w) or (h, w); images.shape={(2,) * rank}"
        refuses(pool, {"images": images}, ValueError, words)


@pytest.mark.parametrize("shape", [(-1, 5, 5), (2, 5, -3), (np.int64(-4), 5)])
def test_plans_of_negative_shapes(shape):
    """A bare shape may have a size of 0, but no negative size."""
    numbers = re.escape(str(shape))
    with pytest.raises(ValueError, match=rf"convolve: images: .*no negative sizes; got {numbers}"):
        plan_convolve(shape, (3, 3))
    with pytest.raises(ValueError, match=rf"convolve: kernels: .*no negative.*{numbers}"):
        plan_convolve((5, 5), shape)
    with pytest.raises(ValueError, match=rf"pool: images: .*no negative sizes; got {numbers}"):
        plan_pool(shape, 2)


# ----------------------------------------------------------------- numbers of spatial axes

OF_SPACE = {  # right calls
    1: {
        convolve: {"images": ones(2, 9), "kernels": ones(3), "space": 1},
        pool: {"images": ones(2, 9), "kernel_shape": 2, "space": 1},
    },
    2: {call: RIGHT[call] | {"space": 2} for call in RIGHT},
    3: {
        convolve: {"images": ones(2, 4, 5, 6), "kernels": ones(3, 3, 3), "space": 3},
        pool: {"images": ones(2, 4, 5, 6), "kernel_shape": 2, "space": 3},
    },
}
SPACES = sorted(OF_SPACE)
IN_WORDS = {1: "signals", 2: "images", 3: "volumes"}
EACH = {  # what an argument may be that has a number for each axis
    1: "an integer",
    2: "an integer or a pair (vertical, horizontal)",
    3: "an integer or three (depth, height, width)",
}
SIDES = {  # what padding may be, besides the words
    1: "an integer or a pair (before, after)",
    2: "an integer, (vertical, horizontal) or ((top, bottom), (left, right))",
    3: "an integer, (depth, height, width) or ((front, back), (top, bottom), (left, right))",
}


def nearest(space):
    """The numbers of spatial axes in the order in which one of them was probably meant."""
    return sorted(SPACES, key=lambda other: abs(other - space))


@pytest.mark.parametrize("space", SPACES)
def test_right_calls_of_every_space(space):
    """The calls that are changed below are accepted, also with a number for each axis."""
    for call, arguments in OF_SPACE[space].items():
        each = {"stride": (1,) * space, "dilation": [1] * space, "padding": np.zeros(space, int)}
        result = call(**arguments)
        assert result.ndim == 1 + space
        assert PLANS[call](**arguments).output_shape == result.shape
        assert call(**arguments | each).ndim == 1 + space
        assert call(**arguments | {"padding": ((1, 1),) * space, "stride": 2}).ndim == 1 + space


@pytest.mark.parametrize("call", [convolve, pool])
@pytest.mark.parametrize(
    ("space", "error", "words"),
    [
        (0, ValueError, "space must be 1 for signals, 2 for images or 3 for volumes; got 0"),
        (4, ValueError, "space must be 1 for signals, 2 for images or 3 for volumes; got 4"),
        (-1, ValueError, "space must be 1 for signals, 2 for images or 3 for volumes; got -1"),
        (2.0, TypeError, "space must be an integer; got 2.0"),
        ("2", TypeError, "space must be an integer; got '2'"),
        (None, TypeError, "space must be an integer; got None"),
        (True, TypeError, "space must be an integer; got True"),
        ((2,), TypeError, "space must be an integer; got (2,)"),
    ],
)
def test_what_is_no_space(refuses, call, space, error, words):
    """Anything but 1, 2 and 3 is refused, also where an equal number is right."""
    refuses(call, {"space": space}, error, words)


def test_integers_of_other_kinds_are_spaces():
    """NumPy's integers, and other things that are an index, count axes as well."""
    for two in (np.int64(2), np.uint8(2), np.array(2), Two()):
        assert pool(GRAY, 2, space=two).shape == (2, 2, 3)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kernels", range(7))
@pytest.mark.parametrize("images", range(7))
def test_ranks_of_every_space(refuses, images, kernels, space):
    """Seven pairs of ranks are accepted; of others those of another space are answered with it."""
    changes = {"images": ones(*[2] * images), "kernels": ones(*[2] * kernels), "space": space}
    more = images - space, kernels - space
    if more in [(i - 2, k - 2) for i, k in CONVOLVE_RANKS]:
        outputs = CONVOLVE_RANKS[more[0] + 2, more[1] + 2] + space - 2
        assert len(plan_convolve(**changes).output_shape) == outputs
        return
    taps = {1: "(kw,)", 2: "(kh, kw)", 3: "(kd, kh, kw)"}[space]
    for words in (f"kernels {taps}, ", f"images.shape={(2,) * images}, kernels.shape="):
        refuses(convolve, changes, ValueError, words)
    others = [n for n in nearest(space) if (images - n + 2, kernels - n + 2) in CONVOLVE_RANKS]
    if others:
        meant = f": did you mean space={others[0]}, for {IN_WORDS[others[0]]}?"
        refuses(convolve, changes, ValueError, meant)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("rank", range(7))
def test_ranks_of_pooled_images_of_every_space(refuses, rank, space):
    """Images with m and channels, with m or without are accepted, and others are refused."""
    images = ones(*[2] * rank)
    if rank - space in range(3):
        assert len(plan_pool(images, 2, space=space).output_shape) == rank
        return
    shapes = {
        1: "(m, w, c), (m, w) or (w,)",
        2: "(m, h, w, c), (m, h, w) or (h, w)",
        3: "(m, d, h, w, c), (m, d, h, w) or (d, h, w)",
    }
    words = f"images must be {shapes[space]}; images.shape={(2,) * rank}"
    refuses(pool, {"images": images, "space": space}, ValueError, words)
    others = [n for n in nearest(space) if rank - n in range(3)]
    if others:
        meant = f"{words}: did you mean space={others[0]}, for {IN_WORDS[others[0]]}?"
        refuses(pool, {"images": images, "space": space}, ValueError, meant)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("name", ["stride", "dilation", "kernel_shape"])
def test_numbers_for_too_few_or_too_many_axes(refuses, name, count, space):
    """The message says how many numbers are taken, and which `space` so many are for."""
    numbers = (1,) * count
    calls = [pool] if name == "kernel_shape" else [convolve, pool]
    for call in calls:
        changes = OF_SPACE[space][call] | {name: numbers}
        if count == space:
            assert PLANS[call](**changes).output_shape
            continue
        meant = f": did you mean space={count}?" if count in SPACES else ""
        refuses(call, changes, ValueError, f"{name} must be {EACH[space]}; got {numbers}{meant}")


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("call", [convolve, pool])
def test_paddings_of_too_few_or_too_many_axes(refuses, call, count, space):
    """So it is with padding, of which a pair may also be the two sides of a signal."""
    expected = f"padding must be 'valid', 'same', 'full', {SIDES[space]}; got"
    for padding in ((1,) * count, ((1, 1),) * count):
        changes = OF_SPACE[space][call] | {"padding": padding}
        if count == space or (space == 1 and padding == (1, 1)):
            assert PLANS[call](**changes).padding == ((1, 1),) * space
            continue
        meant = f": did you mean space={count}?" if count in SPACES else ""
        refuses(call, changes, ValueError, f"{expected} {padding}{meant}")


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("call", [convolve, pool])
def test_numbers_that_are_none_of_every_space(refuses, call, space):
    """Numbers that are too small, of other types or no pairs are shown as they were given."""
    right = OF_SPACE[space][call]
    for name in ("stride", "dilation"):
        for number, error, words in (
            (0, ValueError, "at least 1"),
            (-1, ValueError, "at least 1"),
            (2**63, ValueError, f"at most {2**62}"),
            (1.5, TypeError, EACH[space]),
            ("2", TypeError, EACH[space]),
            (True, TypeError, EACH[space]),
        ):
            for numbers in (number, (*(1,) * (space - 1), number)):
                refuses(call, right | {name: numbers}, error, f"must be {words}; got {numbers!r}")
    pairs = ((1, 1),) * (space - 1)
    for sides, error in (
        ((1, -1), ValueError),
        ((1, 2.5), TypeError),
        (("same", 1), TypeError),
        ((1, True), TypeError),
        ((1, 2, 3), ValueError),
        ((1,), ValueError),
    ):
        padding = (*pairs, sides)
        refuses(call, right | {"padding": padding}, error, f"got {padding!r}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (OF_SPACE[1][convolve] | {"kernels": ones(12), "padding": "valid"}, "width: 12 against 0"),
        (OF_SPACE[1][pool] | {"kernel_shape": 12}, "width: 12 against 0 + 9 + 0 = 9, 3 too many"),
        (OF_SPACE[3][pool] | {"kernel_shape": (5, 2, 2)}, "depth: 5 against 0 + 4 + 0 = 4, 1 too"),
        (OF_SPACE[3][pool] | {"kernel_shape": (2, 6, 2)}, "height: 6 against 0 + 5 + 0 = 5, 1 to"),
        (OF_SPACE[3][pool] | {"kernel_shape": (2, 2, 9)}, "width: 9 against 0 + 6 + 0 = 6, 3 too"),
        (
            OF_SPACE[3][convolve] | {"padding": 0, "dilation": (2, 1, 1)},
            "depth: 3 (reaching over 5 pixels, dilation 2) against 0 + 4 + 0 = 4, 1 too many",
        ),
        (OF_SPACE[3][pool] | {"kernel_shape": (5, 2, 2)}, "shape=(2, 4, 5, 6), window 5 x 2 x 2"),
        (OF_SPACE[1][pool] | {"padding": (3, 0)}, "output number 0 cover no pixel, padding alone"),
        (
            OF_SPACE[3][pool] | {"padding": ((3, 0), (0, 0), (0, 0))},
            "output slab 0 cover no pixel, padding alone (window 2, padding 3 before and 0 after 4",
        ),
        (OF_SPACE[3][pool] | {"padding": ((0, 0), (0, 9), (0, 0))}, "output row 3 cover no pixel"),
        (OF_SPACE[1][convolve] | {"kernels": ones(3, 4), "images": ones(2, 9, 3)}, "have 3"),
        (
            OF_SPACE[3][convolve] | {"kernels": ones(3, 3, 3, 4, 2), "images": ones(4, 5, 6, 3)},
            "kernels expect 4 channels, images have 3; images.shape=(4, 5, 6, 3), kernels.shape=",
        ),
        (OF_SPACE[1][convolve] | {"groups": 2}, "groups=2 needs kernels (kw, c // groups, nc); "),
        (
            OF_SPACE[3][convolve] | {"groups": 2},
            "groups=2 needs kernels (kd, kh, kw, c // groups, nc); ",
        ),
        (OF_SPACE[3][convolve] | {"kernels": ones(3, 0, 3)}, "must have at least one tap"),
    ],
)
def test_windows_and_channels_of_signals_and_volumes(refuses, changes, words):
    """The messages name the axes: width, or depth, height and width."""
    call = pool if "kernel_shape" in changes else convolve
    refuses(call, changes, ValueError, words)


SIGNALS, VOLUMES = ones(2, 9), ones(2, 4, 5, 6)
OF_SIGNALS = "images must be (m, w), (m, w, c), (w,) or (w, c), with kernels (kw,), (kw, c) or (kw"
OF_VOLUMES = (
    "images must be (m, d, h, w), (m, d, h, w, c), (d, h, w) or (d, h, w, c), with kernels "
    "(kd, kh, kw), (kd, kh, kw, c) or (kd, kh, kw, c // groups, nc) to match; "
)
SENTENCES = [  # a call, and what its user reads, to the end
    (
        convolve,
        {"images": ones(9), "kernels": ones(3, 3), "space": 1},
        f"{OF_SIGNALS}, c // groups, nc) to match; images.shape=(9,), kernels.shape=(3, 3)",
    ),
    (
        convolve,
        {"images": ones(9, 9), "kernels": ones(3, 3), "space": 3},
        f"{OF_VOLUMES}images.shape=(9, 9), kernels.shape=(3, 3): did you mean space=2, for images?",
    ),
    (
        convolve,
        {"images": ones(9, 9, 9), "kernels": ones(3, 3), "space": 3},
        f"{OF_VOLUMES}images.shape=(9, 9, 9), kernels.shape=(3, 3): did you mean space=2, for "
        "images? For volumes kernels[np.newaxis] is a kernel of one slab",
    ),
    (
        convolve,
        {"images": ones(2, 9, 9, 9, 4), "kernels": ones(5), "space": 3},
        f"{OF_VOLUMES}images.shape=(2, 9, 9, 9, 4), kernels.shape=(5,): "
        "kernels[np.newaxis, np.newaxis] is a kernel along the width alone",
    ),
    (
        convolve,
        {"images": ones(9, 9, 9), "kernels": ones(3, 3, 3, 1, 8), "space": 3},
        f"{OF_VOLUMES}images.shape=(9, 9, 9), kernels.shape=(3, 3, 3, 1, 8): "
        "images[..., np.newaxis] has a channel",
    ),
    (
        convolve,
        {"images": ones(9), "kernels": ones(3, 1, 8), "space": 1},
        f"{OF_SIGNALS}, c // groups, nc) to match; images.shape=(9,), kernels.shape=(3, 1, 8): "
        "images[..., np.newaxis] has a channel",
    ),
    (
        pool,
        {"images": ones(2, 3, 4, 5), "kernel_shape": 2, "space": 1},
        "images must be (m, w, c), (m, w) or (w,); images.shape=(2, 3, 4, 5): did you mean "
        "space=2, for images?",
    ),
    (
        pool,
        {"images": ones(4, 5), "kernel_shape": 2, "space": 3},
        "images must be (m, d, h, w, c), (m, d, h, w) or (d, h, w); images.shape=(4, 5): did you "
        "mean space=2, for images?",
    ),
    (
        convolve,
        {"images": SIGNALS, "kernels": ones(12), "padding": "valid", "space": 1},
        "the kernel is larger than the padded signals along the width: 12 against 0 + 9 + 0 = 9, "
        "3 too many; images.shape=(2, 9), kernel 12",
    ),
    (
        convolve,
        {"images": VOLUMES, "kernels": ones(3, 9, 3), "padding": 1, "space": 3},
        "the kernel is larger than the padded volumes along the height: 9 against 1 + 5 + 1 = 7, "
        "2 too many; images.shape=(2, 4, 5, 6), kernel 3 x 9 x 3",
    ),
    (
        pool,
        {"images": SIGNALS, "kernel_shape": 2, "padding": (3, 0), "space": 1},
        "the windows of output number 0 cover no pixel, padding alone (window 2, padding 3 before "
        "and 0 after 9 pixels), and mode='max' has nothing to go by; use less padding",
    ),
    (
        convolve,
        {"images": ones(9, 4), "kernels": ones(3, 2, 6), "groups": 4, "space": 1},
        "kernels expect 2 channels, each of 4 groups has 1; images.shape=(9, 4), "
        "kernels.shape=(3, 2, 6)",
    ),
    (
        convolve,
        {"images": ones(4, 5, 6, 4), "kernels": ones(3, 3, 3, 2, 6), "groups": 3, "space": 3},
        "groups=3 does not divide the images' 4 channels; images.shape=(4, 5, 6, 4), "
        "kernels.shape=(3, 3, 3, 2, 6)",
    ),
]


@pytest.mark.parametrize(("call", "changes", "words"), SENTENCES)
def test_whole_sentences_about_signals_and_volumes(call, changes, words):
    """The sentences are whole, speak of signals or volumes, and end where they should."""
    arguments = {name: value for name, value in RIGHT[call].items() if name not in changes}
    with pytest.raises(ValueError, match=f"^{call.__name__}: {re.escape(words)}$"):
        call(**arguments | changes)


# ------------------------------------------------------------------- what the padding holds


def held(dtype):
    """How the messages about numbers that these images cannot hold begin."""
    return f"pad_value must be a number that {np.dtype(dtype)} images can hold; got"


@pytest.mark.parametrize("call", [convolve, pool])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "pad_value must be a number; got None"),
        ("1", "pad_value must be a number; got '1'"),
        ("edge", "pad_value must be a number; got 'edge'"),
        (b"1", "pad_value must be a number; got b'1'"),
        ([1], "pad_value must be a number; got [1]"),
        ((0, 0), "pad_value must be a number; got (0, 0)"),
        (np.ones(1), "pad_value must be a number; got array([1.])"),
        (np.zeros((2, 2)), "pad_value must be a number; got array([[0., 0.]"),
        ({}, "pad_value must be a number; got {}"),
        (dt.date(2024, 2, 29), "pad_value must be a number; got datetime.date(2024, 2, 29)"),
        (2**64, f"pad_value must be a number; got {2**64}: give it as a float"),
        (-(2**70), f"pad_value must be a number; got {-(2**70)}: give it as a float"),
    ],
)
def test_what_is_no_number(refuses, call, value, words):
    """Things that are no numbers are refused, whatever the padding holds."""
    refuses(call, {"pad_value": value}, TypeError, words)
    for mode in ("constant", "edge"):
        refuses(call, {"pad_value": value, "pad_mode": mode}, TypeError, words)


@pytest.mark.parametrize("call", [convolve, pool])
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("?", 2),
        ("?", -1),
        ("?", 0.5),
        ("u1", 256),
        ("u1", -1),
        ("u1", 1.5),
        ("u1", 1j),
        ("u1", np.nan),
        ("u1", np.inf),
        ("i1", 128),
        ("i1", np.uint8(200)),
        ("i4", 2.0**31),
        ("i8", 2**63),
        ("i8", 2.0**63),
        ("u8", -1),
        ("u8", 2.0**64),
        ("u8", -1.0),
        ("f2", 70_000),
        ("f2", -1e6),
        ("f4", 1e39),
        ("f8", 1j),
        ("f8", complex(1, np.nan)),
        ("F", 1e39j),
        (">i2", 2**15),
    ],
)
def test_numbers_that_the_images_cannot_hold(refuses, call, dtype, value):
    """A number beyond the type of the images is refused, because pixels cannot be it either."""
    changes = {"images": GRAY.astype(dtype), "pad_mode": "constant", "pad_value": value}
    if call is convolve:
        changes["kernels"] = np.ones((3, 3), bool)
    words = f"{held(dtype)} {value!r}: convert the images to a wider type"
    refuses(call, changes, ValueError, words)


@pytest.mark.parametrize(
    ("dtype", "value", "pixel"),
    [
        ("?", 1, True),
        ("?", np.True_, True),
        ("u1", 255, 255),
        ("u1", 2.0, 2),
        ("u1", 2 + 0j, 2),
        ("u1", np.array(7), 7),
        ("u1", True, 1),
        ("i8", -(2**63), -(2**63)),
        ("i8", 2**63 - 1, 2**63 - 1),
        ("i8", np.uint64(2**62), 2**62),
        ("u8", 2**64 - 1, 2**64 - 1),
        ("f2", 0.1, np.float16(0.1)),
        ("f2", 2049, 2048),
        ("f4", 2**24 + 1, 2**24),
        ("f4", 1e-60, 0),
        ("f4", np.inf, np.inf),
        ("f8", -np.inf, -np.inf),
        ("f8", np.nan, np.nan),
        ("f8", 3 + 0j, 3),
        ("F", 1 - 2j, 1 - 2j),
        (">f4", 0.5, 0.5),
        (">i2", -5, -5),
    ],
)
@pytest.mark.parametrize("method", ["auto", "numpy"])
def test_numbers_that_the_images_hold(method, dtype, value, pixel):
    """The padding is what a pixel of that number is: exactly it, or rounded for floats."""
    x = np.zeros((1, 1), dtype)
    result = pool(x, 1, 1, padding=1, pad_mode="constant", pad_value=value, method=method)
    assert result.dtype == x.dtype.newbyteorder("=")
    expected = np.full((3, 3), pixel, result.dtype)
    expected[1, 1] = 0
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("call", [convolve, pool])
@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_numbers_for_padding_that_holds_pixels(refuses, call, mode):
    """A number is refused where the padding would not hold it; 0, the default, is not."""
    for value in (1, -0.5, np.nan, 1j, True, np.int64(3)):
        words = f"pad_value={value!r} needs pad_mode='constant'; got {mode!r}"
        refuses(call, {"pad_mode": mode, "pad_value": value}, ValueError, words)
    expected = call(**RIGHT[call] | {"pad_mode": mode})
    for value in (0, 0.0, -0.0, False, 0j):
        np.testing.assert_array_equal(
            call(**RIGHT[call] | {"pad_mode": mode, "pad_value": value}), expected
        )


def test_numbers_for_padding_that_holds_nothing(refuses):
    """A pooling's padding holds nothing by default, so a number needs a mode."""
    for value in (1, -0.5, np.nan, True):
        words = f"pad_value={value!r} needs pad_mode='constant': by default padded cells hold noth"
        refuses(pool, {"pad_value": value}, ValueError, words)
    for value in (0, 0.0, False):
        np.testing.assert_array_equal(pool(GRAY, 2, pad_value=value), pool(GRAY, 2))


@refusals(
    ({"pad_mode": "nothing"}, ValueError, "'symmetric', 'wrap'; got 'nothing'"),
    ({"pad_mode": "zeros"}, ValueError, "got 'zeros': did you mean 'constant'?"),
    ({"pad_mode": "nearest"}, ValueError, "got 'nearest': did you mean 'edge'?"),
    ({"pad_mode": "replicate"}, ValueError, "got 'replicate': did you mean 'edge'?"),
    ({"pad_mode": "mirror"}, ValueError, "got 'mirror': did you mean 'reflect'?"),
    ({"pad_mode": "circular"}, ValueError, "got 'circular': did you mean 'wrap'?"),
    ({"pad_mode": "EDGE "}, ValueError, "got 'EDGE ': did you mean 'edge'?"),
    ({"pad_mode": "max"}, ValueError, "got 'max': did you mean mode='max'?"),
    ({"pad_mode": "same"}, ValueError, "got 'same': did you mean padding='same'?"),
    ({"pad_mode": 0}, TypeError, "'constant', 'edge', 'reflect', 'symmetric', 'wrap'; got 0"),
    ({"pad_mode": True}, TypeError, "'wrap'; got True"),
    ({"pad_mode": b"edge"}, TypeError, "'wrap'; got b'edge'"),
    ({"pad_mode": ("edge",)}, TypeError, "'wrap'; got ('edge',)"),
    ({"pad_mode": np.pad}, TypeError, "pad_mode must be one of 'constant', "),
    ({"mode": "edge"}, ValueError, "got 'edge': did you mean pad_mode='edge'?"),
    ({"padding": "edge"}, ValueError, "got 'edge': did you mean pad_mode='edge'?"),
    (
        {"pad_mode": "edge", "partial": True},
        ValueError,
        "partial=True cannot be combined with pad_mode='edge', because nothing lies behind the pad",
    ),
    (
        {"pad_mode": "constant", "pad_value": 3, "partial": True},
        ValueError,
        "partial=True cannot be combined with pad_mode='constant', because nothing lies behind",
    ),
    ({"pad_mode": "edge", "partial": 1}, TypeError, "partial must be True or False; got 1"),
    ({"pad_mode": "edge", "count_padding": 1}, TypeError, "count_padding must be True or False"),
)
def test_borders_of_a_pooling(refuses, changes, error, words):
    """Words that are none, and what cannot be combined, are refused with what to write."""
    refuses(pool, changes, error, words)


def test_borders_leave_no_window_without_pixels():
    """Windows on padding alone are refused if it holds nothing, and taken if it holds something."""
    with pytest.raises(ValueError, match="cover no pixel"):
        pool(GRAY, 2, 1, padding=5)
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        assert pool(GRAY, 2, 1, padding=5, pad_mode=mode).shape == (2, 14, 15)


def test_problems_in_the_cache_keep_their_padding():
    """Calls that differ in what the padding holds are not taken for one another."""
    for value in (0, 1, True, 1.0, 0.0, -0.0, 2, np.nan, -1):
        result = convolve(GRAY, BLUR, pad_value=value)
        assert result[0, 0, 0] == 4 + 5 * value or np.isnan(value)
        pooled = pool(GRAY, 3, 1, "sum", padding=1, pad_mode="constant", pad_value=value)
        np.testing.assert_array_equal(pooled, result)
        assert not np.signbit(pool(-0.0 * GRAY, 1, 1, padding=1, pad_mode="constant")[0, 0, 0])


# ---------------------------------------------------------------- kernels and channels


@refusals(
    ({"kernels": ones(3, 3, 3)}, ValueError, "kernels expect 3 channels, images have 4; "),
    ({"kernels": ones(3, 3, 5)}, ValueError, "kernels expect 5 channels, images have 4; "),
    ({"kernels": ones(3, 3, 1)}, ValueError, "kernels expect 1 channel, images have 4; "),
    ({"kernels": ones(3, 3, 3, 2)}, ValueError, "kernels expect 3 channels, images have 4; "),
    ({"kernels": ones(3, 3, 1, 4)}, ValueError, "kernels expect 1 channel, images have 4; "),
    (
        {"kernels": ones(3, 3, 4, 2), "groups": 2},
        ValueError,
        "kernels expect 4 channels, each of 2 groups has 2; ",
    ),
    (
        {"kernels": ones(3, 3, 2, 4), "groups": 4},
        ValueError,
        "kernels expect 2 channels, each of 4 groups has 1; ",
    ),
    (
        {"kernels": ones(3, 3, 1, 4), "groups": 3},
        ValueError,
        "groups=3 does not divide the images' 4 channels; ",
    ),
    (
        {"kernels": ones(3, 3, 1, 8), "groups": 8},
        ValueError,
        "8 does not divide the images' 4 chan",
    ),
    (
        {"kernels": ones(3, 3, 2, 3), "groups": 2},
        ValueError,
        "groups=2 does not divide the 3 kernels",
    ),
    (
        {"kernels": ones(3, 3, 1, 6), "groups": 4},
        ValueError,
        "groups=4 does not divide the 6 kernels",
    ),
    (
        {"kernels": ones(3, 3, 4), "groups": 2},
        ValueError,
        "groups=2 needs kernels (kh, kw, c // groups, nc); ",
    ),
    (
        {"kernels": ones(3, 3), "groups": 4},
        ValueError,
        "groups=4 needs kernels (kh, kw, c // groups, nc); ",
    ),
    ({"kernels": ones(0, 3, 4)}, ValueError, "kernels must have at least one tap; "),
    ({"kernels": ones(3, 0)}, ValueError, "kernels must have at least one tap; "),
    ({"kernels": ones(3, 3, 0)}, ValueError, "kernels expect 0 channels, images have 4; "),
)
def test_channels_and_groups(refuses, changes, error, words):
    """Channels and groups that do not match are refused, with both shapes in the message."""
    shape = changes["kernels"].shape
    changes = {"images": COLOUR} | changes
    refuses(convolve, changes, error, words)
    refuses(convolve, changes, error, f"images.shape=(2, 5, 6, 4), kernels.shape={shape}")


@refusals(
    ({"groups": 0}, ValueError, "groups must be at least 1; got 0"),
    ({"groups": -2}, ValueError, "groups must be at least 1; got -2"),
    ({"groups": True}, TypeError, "groups must be an integer; got True"),
    ({"groups": np.True_}, TypeError, "groups must be an integer; got True"),
    ({"groups": 2.0}, TypeError, "groups must be an integer; got 2.0"),
    ({"groups": "2"}, TypeError, "groups must be an integer; got '2'"),
    ({"groups": None}, TypeError, "groups must be an integer; got None"),
    ({"groups": (2, 2)}, TypeError, "groups must be an integer; got (2, 2)"),
)
def test_groups_that_are_no_number_of_groups(refuses, changes, error, words):
    """`groups` must be a positive integer, even where the kernels would fit two groups."""
    refuses(convolve, {"images": COLOUR, "kernels": ones(3, 3, 2, 4)} | changes, error, words)


def test_gray_images_have_no_groups(refuses):
    """`groups` is refused for images without channels, and for a kernel (kh, kw, c)."""
    refuses(convolve, {"groups": 2}, ValueError, "groups=2 needs kernels (kh, kw, c // groups, nc)")
    changes = {"images": ones(5, 6, 4), "kernels": ones(3, 3, 4), "groups": 2}
    refuses(convolve, changes, ValueError, "groups=2 needs kernels (kh, kw, c // groups, nc)")


# ------------------------------------------------------------------- windows that fit

KERNEL = "the kernel is larger than the padded images along the "
WINDOW = "the window is larger than the padded images along the "


@refusals(
    (
        {"kernels": ones(6, 1), "padding": "valid"},
        ValueError,
        f"{KERNEL}height: 6 against 0 + 5 + 0 = 5, 1 too many; "
        "images.shape=(2, 5, 6), kernel 6 x 1",
    ),
    (
        {"kernels": ones(1, 9), "padding": "valid"},
        ValueError,
        f"{KERNEL}width: 9 against 0 + 6 + 0 = 6, 3 too many; images.shape=(2, 5, 6), kernel 1 x 9",
    ),
    (
        {"kernels": ones(10, 1), "padding": ((1, 3), (0, 0))},
        ValueError,
        f"{KERNEL}height: 10 against 1 + 5 + 3 = 9, 1 too many",
    ),
    (
        {"kernels": ones(1, 13), "padding": (0, 2), "stride": 5},
        ValueError,
        f"{KERNEL}width: 13 against 2 + 6 + 2 = 10, 3 too many",
    ),
    (
        {"kernels": ones(3, 1), "padding": 0, "dilation": 3},
        ValueError,
        f"{KERNEL}height: 3 (reaching over 7 pixels, dilation 3) against 0 + 5 + 0 = 5, 2 too many",
    ),
    (
        {"kernels": ones(2, 4), "padding": 1, "dilation": (6, 3)},
        ValueError,
        f"{KERNEL}width: 4 (reaching over 10 pixels, dilation 3) against 1 + 6 + 1 = 8, 2 too many",
    ),
    (
        {"images": ones(2, 0, 6), "padding": "valid"},
        ValueError,
        f"{KERNEL}height: 3 against 0 + 0 + 0 = 0, 3 too many; images.shape=(2, 0, 6)",
    ),
)
def test_kernels_larger_than_the_padded_images(refuses, changes, error, words):
    """The message names the axis, the excess, and how both lengths are computed."""
    refuses(convolve, changes, error, words)


@refusals(
    (
        {"kernel_shape": (6, 1)},
        ValueError,
        f"{WINDOW}height: 6 against 0 + 5 + 0 = 5, 1 too many; "
        "images.shape=(2, 5, 6), window 6 x 1",
    ),
    ({"kernel_shape": (1, 8)}, ValueError, f"{WINDOW}width: 8 against 0 + 6 + 0 = 6, 2 too many"),
    (
        {"kernel_shape": (4, 1), "dilation": 2, "padding": ((1, 0), (0, 0))},
        ValueError,
        f"{WINDOW}height: 4 (reaching over 7 pixels, dilation 2) against 1 + 5 + 0 = 6, 1 too many",
    ),
    (
        {"kernel_shape": (1, 9), "stride": 3, "partial": True},
        ValueError,
        f"{WINDOW}width: 9 against 0 + 6 + 0 = 6, 3 too many",
    ),
)
def test_windows_larger_than_the_padded_images(refuses, changes, error, words):
    """A window that does not fit is refused for pooling too, even with `partial`."""
    refuses(pool, changes, error, words)


def test_the_largest_windows_fit():
    """Windows that are one pixel smaller than those refused above are accepted."""
    assert convolve(GRAY, ones(5, 6), "valid").shape == (2, 1, 1)
    assert convolve(GRAY, ones(9, 1), ((1, 3), (0, 0))).shape == (2, 1, 6)
    assert convolve(GRAY, ones(3, 1), 0, dilation=2).shape == (2, 1, 6)
    assert pool(GRAY, (5, 6)).shape == (2, 1, 1)
    assert pool(GRAY, (1, 8), 3, partial=True).shape == (2, 2, 1)


ALONE = "cover no pixel, padding alone "


@refusals(
    (
        {"padding": 2},
        ValueError,
        f"the windows of output row 0 {ALONE}(window 2, padding 2 before and 2 after 5 pixels), "
        "and mode='max' has nothing to go by",
    ),
    (
        {"padding": ((0, 3), (0, 0)), "mode": "min"},
        ValueError,
        f"the windows of output row 3 {ALONE}(window 2, padding 0 before and 3 after 5 pixels), "
        "and mode='min' has nothing to go by",
    ),
    (
        {"padding": ((0, 0), (1, 4)), "mode": "avg"},
        ValueError,
        f"the windows of output column 4 {ALONE}(window 2, padding 1 before and 4 after 6 pixels), "
        "and mode='avg' has nothing to go by",
    ),
    (
        {"padding": ((0, 0), (1, 1)), "dilation": (1, 7)},
        ValueError,
        f"the windows of output column 0 {ALONE}(window 2, padding 1 before",
    ),
    (
        {"images": ones(2, 0, 6), "padding": ((1, 1), (0, 0))},
        ValueError,
        f"the windows of output row 0 {ALONE}(window 2, padding 1 before and 1 after 0 pixels)",
    ),
)
def test_windows_that_see_padding_alone(refuses, changes, error, words):
    """A window without pixels is refused, as it has no largest value and no average."""
    refuses(pool, changes, error, words)


def sees_a_pixel(size, window, stride, dilation, before, after):
    """For each window along one axis, whether a tap lies on a pixel."""
    padded = [False] * before + [True] * size + [False] * after
    last = len(padded) - (window - 1) * dilation
    return [any(padded[o : o + window * dilation : dilation]) for o in range(0, last, stride)]


@pytest.mark.parametrize("mode", ["max", "avg"])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_just_these_are_refused(window, mode):
    """Of all small axes, exactly those are refused that have a window without pixels."""
    for axis in product(range(1, 4), [window], [1, 2], [1, 3], range(5), range(5)):
        size, _, stride, dilation, before, after = axis
        seen = sees_a_pixel(*axis)
        options = {"stride": stride, "dilation": dilation, "mode": mode}
        for name, place in (("row", 0), ("column", 1)):
            shape, shaped = [1, 1], [1, 1]
            shape[place], shaped[place] = size, window
            padding = [(0, 0), (0, 0)]
            padding[place] = before, after
            call = {"images": tuple(shape), "kernel_shape": shaped, "padding": padding, **options}
            if not seen:
                with pytest.raises(ValueError, match="is larger than"):
                    plan_pool(**call)
            elif all(seen):
                assert plan_pool(**call).output_shape[place] == len(seen)
            else:
                words = f"the windows of output {name} {seen.index(False)} cover no pixel"
                with pytest.raises(ValueError, match=words):
                    plan_pool(**call)


@pytest.mark.parametrize("options", [{"mode": "sum"}, {"mode": "avg", "count_padding": True}])
def test_sums_and_counted_averages_of_padding_alone(options):
    """Sums, and averages that count padding, are 0 for windows without pixels."""
    pooled = pool(GRAY, 2, padding=2, **options)
    assert pooled.shape == (2, 4, 5)
    seen = np.zeros((4, 5), bool)
    seen[1:, 1:-1] = True  # the last row of windows has one row of pixels under it
    np.testing.assert_array_equal(pooled > 0, [seen, seen])


@pytest.mark.parametrize("size", range(1, 4))
@pytest.mark.parametrize("window", range(1, 8))
def test_windows_much_larger_than_the_image(size, window):
    """With "same" padding every window covers a pixel, however large it is."""
    images = np.arange(size * size).reshape(size, size)
    pooled = pool(images, window, 1, padding="same")
    assert pooled.shape == (size, size)
    assert pooled.max() == images.max()


# ------------------------------------------------------------------- integers and pairs

A_PAIR = "must be an integer or a pair (vertical, horizontal); got"
A_PADDING = (
    "padding must be 'valid', 'same', 'full', an integer, (vertical, horizontal) or "
    "((top, bottom), (left, right)); got"
)
NO_PAIRS = [
    (0, ValueError, "must be at least 1; got 0"),
    (-1, ValueError, "must be at least 1; got -1"),
    ((1, 0), ValueError, "must be at least 1; got (1, 0)"),
    ((-2, 1), ValueError, "must be at least 1; got (-2, 1)"),
    (np.array([1, 0]), ValueError, "must be at least 1; got [1, 0]"),
    ((), ValueError, f"{A_PAIR} ()"),
    ((2,), ValueError, f"{A_PAIR} (2,)"),
    ([1, 2, 3], ValueError, f"{A_PAIR} [1, 2, 3]"),
    (np.array([[1, 2]]), ValueError, f"{A_PAIR} [[1, 2]]"),
    (1.5, TypeError, f"{A_PAIR} 1.5"),
    (2.0, TypeError, f"{A_PAIR} 2.0"),
    (np.array(2.0), TypeError, f"{A_PAIR} 2.0"),
    ("2", TypeError, f"{A_PAIR} '2'"),
    ("same", TypeError, f"{A_PAIR} 'same'"),
    (b"2", TypeError, f"{A_PAIR} b'2'"),
    ({}, TypeError, f"{A_PAIR} {{}}"),
    (2 + 0j, TypeError, f"{A_PAIR} (2+0j)"),
    (True, TypeError, f"{A_PAIR} True"),
    (np.True_, TypeError, A_PAIR),
    ((1, False), TypeError, f"{A_PAIR} (1, False)"),
    (np.array([True, True]), TypeError, f"{A_PAIR} [True, True]"),
    ((1.0, 2), TypeError, f"{A_PAIR} (1.0, 2)"),
    ((1, "2"), TypeError, f"{A_PAIR} (1, '2')"),
    ((None, 1), TypeError, f"{A_PAIR} (None, 1)"),
    (((1, 2), (3, 4)), TypeError, f"{A_PAIR} ((1, 2), (3, 4))"),
    (2**63, ValueError, f"must be at most {2**62}; got {2**63}"),
    ((1, 2**64), ValueError, f"must be at most {2**62}; got (1, {2**64})"),
]


@pytest.mark.parametrize(("value", "error", "words"), NO_PAIRS)
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (convolve, "stride"),
        (convolve, "dilation"),
        (pool, "stride"),
        (pool, "dilation"),
        (pool, "kernel_shape"),
    ],
    ids=["convolve-stride", "convolve-dilation", "pool-stride", "pool-dilation", "kernel_shape"],
)
def test_what_is_no_pair(refuses, call, name, value, error, words):
    """Values that are no pairs of integers are refused, and the message names the argument."""
    refuses(call, {name: value}, error, f"{name} {words}")


@pytest.mark.parametrize(
    ("call", "name"), [(convolve, "stride"), (convolve, "dilation"), (pool, "kernel_shape")]
)
def test_none_is_no_pair(refuses, call, name):
    """None is accepted as a pooling's stride and refused everywhere else."""
    refuses(call, {name: None}, TypeError, f"{name} {A_PAIR} None")
    assert plan_pool(GRAY, (2, 3), None).stride == (2, 3)


@refusals(
    ({"padding": -1}, ValueError, "padding must be at least 0; got -1"),
    ({"padding": (1, -2)}, ValueError, "padding must be at least 0; got (1, -2)"),
    ({"padding": ((1, 2), (3, -4))}, ValueError, "must be at least 0; got ((1, 2), (3, -4))"),
    ({"padding": ((-1, 2), (3, 4))}, ValueError, "must be at least 0; got ((-1, 2), (3, 4))"),
    ({"padding": 2**63}, ValueError, f"padding must be at most {2**62}; got {2**63}"),
    ({"padding": 1.5}, TypeError, f"{A_PADDING} 1.5"),
    ({"padding": None}, TypeError, f"{A_PADDING} None"),
    ({"padding": b"same"}, TypeError, f"{A_PADDING} b'same'"),
    ({"padding": True}, TypeError, f"{A_PADDING} True"),
    ({"padding": (1, 2.5)}, TypeError, f"{A_PADDING} (1, 2.5)"),
    ({"padding": (False, 1)}, TypeError, f"{A_PADDING} (False, 1)"),
    ({"padding": ["same", "valid"]}, TypeError, f"{A_PADDING} ['same', 'valid']"),
    ({"padding": ((1, 2), (3, 4.5))}, TypeError, f"{A_PADDING} ((1, 2), (3, 4.5))"),
    ({"padding": ((1, True), (3, 4))}, TypeError, f"{A_PADDING} ((1, True), (3, 4))"),
    ({"padding": ((1, "2"), (3, 4))}, TypeError, f"{A_PADDING} ((1, '2'), (3, 4))"),
    ({"padding": (((1, 2), 1), (1, 1))}, TypeError, f"{A_PADDING} (((1, 2), 1), (1, 1))"),
    ({"padding": ()}, ValueError, "padding must be"),
    ({"padding": (1,)}, ValueError, "padding must be"),
    ({"padding": (1, 2, 3)}, ValueError, "padding must be"),
    ({"padding": ((1, 2), 3)}, ValueError, "((top, bottom), (left, right)); got ((1, 2), 3)"),
    ({"padding": ((1, 2), (3,))}, ValueError, "((top, bottom), (left, right)); got ((1, 2), (3,))"),
    ({"padding": ((1, 2),)}, ValueError, "((top, bottom), (left, right)); got ((1, 2),)"),
    (
        {"padding": ((1, 2), (3, 4), (5, 6))},
        ValueError,
        "((top, bottom), (left, right)); got ((1, 2), (3, 4), (5, 6))",
    ),
    (
        {"padding": np.ones((1, 2), int)},
        ValueError,
        "((top, bottom), (left, right)); got [[1, 1]]",
    ),
)
@pytest.mark.parametrize("call", [convolve, pool], ids=["convolve", "pool"])
def test_what_is_no_padding(refuses, call, changes, error, words):
    """Anything but a word, an integer, a pair or a pair of pairs is refused as padding."""
    refuses(call, changes, error, words)


@pytest.mark.parametrize("padding", [1.5, None, (1, 2, 3), b"same"])
def test_the_offending_padding_is_in_the_sentence(refuses, padding):
    """The message shows the padding as it was given."""
    error = ValueError if isinstance(padding, tuple) else TypeError
    refuses(convolve, {"padding": padding}, error, f"got {padding!r}")


@refusals(
    ({"count_padding": 1}, TypeError, "count_padding must be True or False; got 1"),
    ({"count_padding": "yes"}, TypeError, "count_padding must be True or False; got 'yes'"),
    ({"count_padding": None}, TypeError, "count_padding must be True or False; got None"),
    ({"partial": 0}, TypeError, "partial must be True or False; got 0"),
    ({"partial": np.array(True)}, TypeError, "partial must be True or False; got array(True)"),
)
def test_flags_that_are_not_true_or_false(refuses, changes, error, words):
    """Flags accept booleans alone; a 1 is likely to be a misplaced integer."""
    refuses(pool, changes, error, words)


@pytest.mark.parametrize("call", [convolve, pool])
@pytest.mark.parametrize("wrong", [True, 1.0, (1, True), (1.0, 1)])
def test_what_equals_a_right_argument_may_be_wrong(refuses, call, wrong):
    """True and 1.0 are refused even if an equal call with 1 is in the cache."""
    for name in ("stride", "dilation", "padding"):
        call(**RIGHT[call], **{name: 1})
        refuses(call, {name: wrong}, TypeError, f"{name} must be ")


# -------------------------------------------------------------------------------- words

PADDING_WORDS = "padding must be one of 'valid', 'same', 'full'; got "
PAD_MODES = "pad_mode must be one of 'constant', 'edge', 'reflect', 'symmetric', 'wrap'; got "
POOL_MODES = "mode must be one of 'max', 'min', 'avg', 'sum', 'median'; got "
METHODS = "method must be one of 'auto', 'compiled', 'numpy'"

MISSPELT = [  # and the word that is meant
    (convolve, "padding", "smae", PADDING_WORDS, "same"),
    (convolve, "padding", "SAME", PADDING_WORDS, "same"),
    (convolve, "padding", "vaild", PADDING_WORDS, "valid"),
    (pool, "padding", "fulll", PADDING_WORDS, "full"),
    (convolve, "pad_mode", "Reflect", PAD_MODES, "reflect"),
    (convolve, "pad_mode", "symetric", PAD_MODES, "symmetric"),
    (convolve, "pad_mode", "const", PAD_MODES, "constant"),
    (convolve, "pad_mode", "zeros", PAD_MODES, "constant"),
    (convolve, "pad_mode", "zero", PAD_MODES, "constant"),
    (convolve, "pad_mode", "replicate", PAD_MODES, "edge"),
    (convolve, "pad_mode", "nearest", PAD_MODES, "edge"),
    (convolve, "pad_mode", "circular", PAD_MODES, "wrap"),
    (convolve, "pad_mode", "periodic", PAD_MODES, "wrap"),
    (pool, "mode", "MAX", POOL_MODES, "max"),
    (pool, "mode", "maximum", POOL_MODES, "max"),
    (pool, "mode", "minimum", POOL_MODES, "min"),
    (pool, "mode", "mean", POOL_MODES, "avg"),
    (pool, "mode", "Average", POOL_MODES, "avg"),
    (pool, "mode", "summ", POOL_MODES, "sum"),
    (convolve, "method", "nunpy", METHODS, "numpy"),
    (pool, "method", "Auto", METHODS, "auto"),
    (pool, "method", "compile", METHODS, "compiled"),
]


@pytest.mark.parametrize(
    ("call", "name", "word", "words", "meant"), MISSPELT, ids=[row[2] for row in MISSPELT]
)
def test_words_that_are_nearly_right(refuses, call, name, word, words, meant):
    """The message lists the words that are accepted, and suggests the nearest."""
    refuses(call, {name: word}, ValueError, words)
    refuses(call, {name: word}, ValueError, f"got {word!r}: did you mean {meant!r}?")


@pytest.mark.parametrize("word", ["", "xyzzy", "q"])
@pytest.mark.parametrize(
    ("call", "name", "words"),
    [
        (convolve, "padding", PADDING_WORDS),
        (convolve, "pad_mode", PAD_MODES),
        (convolve, "method", METHODS),
        (pool, "padding", PADDING_WORDS),
        (pool, "mode", POOL_MODES),
        (pool, "method", METHODS),
    ],
)
def test_words_that_are_nonsense(refuses, call, name, words, word):
    """No word is suggested for a text that resembles none."""
    refuses(call, {name: word}, ValueError, words)
    with pytest.raises(ValueError, match=rf"got {word!r}$"):
        call(**RIGHT[call] | {name: word})


@refusals(
    ({"pad_mode": None}, TypeError, f"{PAD_MODES}None"),
    ({"pad_mode": 0}, TypeError, f"{PAD_MODES}0"),
    ({"pad_mode": np.mean}, TypeError, f"{PAD_MODES}<function mean"),
    ({"method": None}, TypeError, f"{METHODS}; got None"),
    ({"method": b"numpy"}, TypeError, f"{METHODS}; got b'numpy'"),
)
def test_what_is_no_word(refuses, changes, error, words):
    """Numbers, None, bytes and functions are refused where a word is expected."""
    refuses(convolve, changes, error, words)


COMPILED_TAKES = "method='compiled' needs the compiled engine, but it does not take "


@built
@refusals(
    ({"images": GRAY * 1j}, ValueError, f"{COMPILED_TAKES}complex128"),
    ({"images": GRAY.astype("F")}, ValueError, f"{COMPILED_TAKES}complex64"),
    ({"images": GRAY.astype("g")}, ValueError, f"{COMPILED_TAKES}{np.dtype('g')}"),
)
def test_types_that_the_compiled_engine_does_not_take(refuses, changes, error, words):
    """method="compiled" is refused for types it does not take; "auto" computes them with NumPy."""
    for call in (convolve, pool):
        refuses(call, changes | {"method": "compiled"}, error, words)
        assert call(**RIGHT[call] | changes).ndim == 3


@built
@refusals(
    ({"kernels": BLUR * 1j}, ValueError, f"{COMPILED_TAKES}complex128"),
    ({"dtype": "D"}, ValueError, f"{COMPILED_TAKES}complex128"),
    ({"dtype": "g"}, ValueError, f"{COMPILED_TAKES}{np.dtype('g')}"),
    ({"images": PIXELS, "kernels": COUNT, "dtype": "F"}, ValueError, f"{COMPILED_TAKES}complex64"),
)
def test_results_that_the_compiled_engine_does_not_make(refuses, changes, error, words):
    """The same holds where the kernels' type or the requested dtype is the obstacle."""
    refuses(convolve, changes | {"method": "compiled"}, error, words)


@pytest.mark.parametrize("mode", [None, 1, max])
def test_what_is_no_mode(refuses, mode):
    """A `mode` that is no string is refused, functions such as `max` included."""
    refuses(pool, {"mode": mode}, TypeError, f"{POOL_MODES}{mode!r}")


# ------------------------------------------------------------------------------- dtypes


@refusals(
    ({"dtype": "decimal"}, TypeError, "dtype must be a NumPy dtype; got 'decimal'"),
    ({"dtype": 64}, TypeError, "dtype must be a NumPy dtype; got 64"),
    ({"dtype": "f4,,"}, TypeError, "dtype must be a NumPy dtype; got 'f4,,'"),
    ({"dtype": (int, -1)}, TypeError, "dtype must be a NumPy dtype; got (<class 'int'>, -1)"),
    ({"dtype": object}, TypeError, "floating or complex type of NumPy's; got object"),
    ({"dtype": bool}, TypeError, "floating or complex type of NumPy's; got bool"),
    ({"dtype": "S3"}, TypeError, "floating or complex type of NumPy's; got |S3"),
    ({"dtype": "M8[s]"}, TypeError, "floating or complex type of NumPy's; got datetime64[s]"),
    ({"dtype": "i4,f4"}, TypeError, "floating or complex type of NumPy's; got [('f0'"),
)
def test_what_is_no_dtype_of_numbers(refuses, changes, error, words):
    """A `dtype` that is no type of numbers is refused, for floats and for integers."""
    refuses(convolve, changes, error, words)
    refuses(convolve, {"images": PIXELS, "kernels": COUNT} | changes, error, words)


REAL, WHOLE = np.ones((5, 6)), np.ones((5, 6), np.int16)


@refusals(
    (
        {"images": REAL, "dtype": np.int64},
        ValueError,
        "dtype=int64 cannot hold the float64 result of float64 * float64",
    ),
    (
        {"images": WHOLE, "dtype": "uint8"},
        ValueError,
        "dtype=uint8 cannot hold the float64 result of int16 * float64",
    ),
    (
        {"images": REAL.astype(np.float32), "kernels": COUNT, "dtype": int},
        ValueError,
        "dtype=int64 cannot hold the float64 result of float32 * int64",
    ),
    (
        {"images": REAL * 1j, "dtype": float},
        ValueError,
        "dtype=float64 cannot hold the complex128 result of complex128 * float64",
    ),
    (
        {"images": REAL, "kernels": (BLUR * 1j).astype("c8"), "dtype": np.float32},
        ValueError,
        "dtype=float32 cannot hold the complex128 result of float64 * complex64",
    ),
    (
        {"images": WHOLE * 1j, "kernels": COUNT, "dtype": np.int32},
        ValueError,
        "dtype=int32 cannot hold the complex128 result of complex128 * int64",
    ),
)
def test_results_of_a_kind_that_the_dtype_has_not(refuses, changes, error, words):
    """A `dtype` that drops fractions or imaginary parts is refused."""
    refuses(convolve, changes, error, words)


# The integers that a type holds, each as a number of its own.
HOLDS = {
    **{f"u{size}": (0, 2 ** (8 * size) - 1) for size in (1, 2, 4, 8)},
    **{f"i{size}": (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) for size in (1, 2, 4, 8)},
    "f2": (-(2**11), 2**11),
    **dict.fromkeys(["f4", "c8"], (-(2**24), 2**24)),
    **dict.fromkeys(["f8", "c16"], (-(2**53), 2**53)),
}
NARROW_IMAGES = ["?", "u1", "i1", "u2", "i2", "u4", "i4"]


def extremes(images_type):
    """The smallest and the largest pixel of a type."""
    if images_type == "?":
        return 0, 1
    limits = np.iinfo(images_type)
    return int(limits.min), int(limits.max)


def worst(kernel, images_type):
    """The smallest and the largest sum that a kernel can make, as Python's integers."""
    low, high = extremes(images_type)
    products = [(low * tap, high * tap) for tap in kernel]
    return sum(map(min, products)), sum(map(max, products))


def fits(kernel, images_type, result):
    """Whether the result type holds every sum that a kernel can make of such pixels."""
    least, largest = worst(kernel, images_type)
    return HOLDS[result][0] <= least <= largest <= HOLDS[result][1]


def largest_that_fits(pattern, images_type, result):
    """The largest multiple of a pattern of taps whose sums fit, found by bisection."""
    fit, too_large = 0, 2**64
    while too_large - fit > 1:
        middle = (fit + too_large) // 2
        if fits([middle * tap for tap in pattern], images_type, result):
            fit = middle
        else:
            too_large = middle
    return fit


@pytest.mark.parametrize("result", HOLDS)
@pytest.mark.parametrize("images_type", NARROW_IMAGES)
@pytest.mark.parametrize("pattern", [[1], [-1], [1, 1], [1, -1], [3, -1, 0, 2]], ids=str)
def test_the_largest_kernel_that_fits(pattern, images_type, result):
    """The largest kernel that fits gives exact sums; the next larger one is refused."""
    factor = largest_that_fits(pattern, images_type, result)
    kernel = [factor * tap for tap in pattern]
    if max(map(abs, kernel)) <= np.iinfo(np.int64).max:
        low, high = extremes(images_type)
        for pixels in (
            [high if tap > 0 else low for tap in kernel],
            [low if tap > 0 else high for tap in kernel],
        ):
            images = np.array([pixels], images_type)
            sums = convolve(images, np.array([kernel]), "valid", dtype=result)
            assert sums.dtype == np.dtype(result)
            assert int(sums.real[0, 0]) == sum(
                int(pixel) * tap for pixel, tap in zip(pixels, kernel, strict=True)
            )
    kernel = [(factor + 1) * tap for tap in pattern]
    if max(map(abs, kernel)) <= np.iinfo(np.int64).max:
        name = np.dtype(result).name
        with pytest.raises(ValueError, match=f"dtype={name} cannot hold every result exactly"):
            convolve(np.ones((1, 4), images_type), np.array([kernel]), "valid", dtype=result)


@pytest.mark.parametrize("result", HOLDS)
def test_the_edge_of_a_type(result):
    """A sum equal to the type's last integer is accepted; one beyond it is refused."""
    white = np.ones((1, 2), bool)
    least, largest = HOLDS[result]
    integers = "u8" if result == "u8" else "i8"
    for edge in {least, largest} - {0}:
        sign = 1 if edge > 0 else -1
        kernel = np.array([[edge - sign, sign]], integers)
        assert int(convolve(white, kernel, "valid", dtype=result).real[0, 0]) == edge
        kernel = np.array([[edge, sign]], integers)
        with pytest.raises(ValueError, match="cannot hold every result exactly"):
            convolve(white, kernel, "valid", dtype=result)


def test_sums_beyond_int64():
    """Sums beyond int64 are accepted for uint64 and for long doubles that hold 64 bits only."""
    white, kernel = np.ones((1, 2), bool), np.array([[2**63 - 1, 2**63 - 1]])
    for result in ["u8"] + [np.longdouble] * (np.finfo(np.longdouble).nmant >= 63):
        assert int(convolve(white, kernel, "valid", dtype=result)[0, 0]) == 2**64 - 2
    for result in [None, "i8", "f8", "c16"]:
        with pytest.raises(ValueError, match="cannot hold every result exactly"):
            convolve(white, kernel, "valid", dtype=result)


def test_kernels_of_unsigned_64_bit_integers():
    """A kernel with the largest uint64 is not mistaken for a negative one."""
    white, kernel = np.ones((1, 1), bool), np.array([[2**64 - 1]], np.uint64)
    assert int(convolve(white, kernel, dtype="u8")[0, 0]) == 2**64 - 1
    with pytest.raises(ValueError, match="dtype=int64 cannot hold every result exactly"):
        convolve(white, kernel, dtype="i8")


@pytest.mark.parametrize("place", range(3))
def test_every_kernel_counts(place):
    """One of three kernels that is too large is found; its taps add up over all axes."""
    images = np.ones((1, 2, 2, 2), np.uint8)
    kernels = np.zeros((2, 2, 2, 3), np.int64)
    kernels[..., place] = 2**15 // 8
    words = "dtype=int32 cannot hold every result exactly: uint8 images and these kernels can give"
    assert convolve(images, kernels, "valid", dtype="i4")[0, 0, 0, place] == 2**15
    kernels[..., place] = 2**31 // 255 // 8 + 1
    with pytest.raises(ValueError, match=words):
        convolve(images, kernels, "valid", dtype="i4")


@pytest.mark.parametrize("place", [0, 300, 599])
def test_every_tap_counts(place):
    """Each tap of a large bank of kernels, which is summed in parts, is counted."""
    images, kernels = np.ones((1, 1, 600), bool), np.zeros((1, 1, 600, 600), np.int64)
    kernels[0, 0, place, place] = 2**15 - 1
    assert plan_convolve(images, kernels, dtype="i2").output_dtype == np.int16
    kernels[0, 0, 599 - place, place] += 1
    with pytest.raises(ValueError, match=r"dtype=int16 cannot .* can give 0 to 32768;"):
        plan_convolve(images, kernels, dtype="i2")


WIDE = np.ones((5, 6), np.uint32)


@refusals(
    ({"overflow": "clip"}, ValueError, "overflow must be one of 'refuse', 'saturate'; got 'clip'"),
    ({"overflow": True}, TypeError, "overflow must be one of 'refuse', 'saturate'; got True"),
    (SATURATE, ValueError, "overflow='saturate' needs an integer dtype, the type to round"),
    (
        {"dtype": "f4", **SATURATE},
        ValueError,
        "overflow='saturate' needs an integer dtype to round and clip to; got dtype=float32",
    ),
    (
        {"images": REAL * 1j, "dtype": "u1", **SATURATE},
        ValueError,
        "overflow='saturate' rounds real numbers, and the result is complex128; use the real",
    ),
    (
        {"images": WIDE, "kernels": np.full((1, 1), 2**40), "dtype": "u1", **SATURATE},
        ValueError,
        "int64, in which sums are taken, cannot hold every result exactly: uint32 images and these "
        "kernels can give 0 to 4722366481770133585920; use floating-point kernels",
    ),
    (
        {"images": REAL, "dtype": "u1"},
        ValueError,
        "or integer arrays, or overflow='saturate' to round and clip",
    ),
    (
        {"images": PIXELS, "kernels": COUNT, "dtype": "u1"},
        ValueError,
        "use a wider dtype, or floating-point kernels, or overflow='saturate' to round and clip",
    ),
)
def test_results_that_are_clipped(refuses, changes, error, words):
    """What cannot be rounded and clipped is, or the way to it is not told."""
    refuses(convolve, changes, error, words)


@refusals(
    ({"dtype": "u1"}, ValueError, "mode='max' keeps the images' type, float64; got dtype=uint8"),
    ({"dtype": "u1", "mode": "min", **SATURATE}, ValueError, "mode='min' keeps the images' type"),
    ({"mode": "avg", **SATURATE}, ValueError, "overflow='saturate' needs an integer dtype"),
    ({"mode": "avg", "overflow": 1}, TypeError, "overflow must be one of 'refuse', 'saturate'"),
    (
        {"images": PIXELS, "mode": "avg", "dtype": "i8"},
        ValueError,
        "dtype=int64 cannot hold the float64 result of mode='avg' on uint8 images; use a floating "
        "dtype, or overflow='saturate' to round and clip",
    ),
    (
        {"images": PIXELS, "mode": "sum", "dtype": "i2", "kernel_shape": 12, "padding": 9},
        ValueError,
        "dtype=int16 cannot hold every result exactly: uint8 images under 144 taps can give 0 to "
        "36720; use a wider dtype, or floating-point images, or overflow='saturate'",
    ),
    (
        {"images": REAL, "mode": "avg", "dtype": "f4", **SATURATE},
        ValueError,
        "overflow='saturate' needs an integer dtype to round and clip to; got dtype=float32",
    ),
    (
        {"images": REAL * 1j, "mode": "sum", "dtype": float},
        ValueError,
        "dtype=float64 cannot hold the complex128 result of mode='sum' on complex128 images; use a "
        "complex dtype",
    ),
)
def test_types_of_poolings(refuses, changes, error, words):
    """A type that cannot hold what a pooling gives is taken."""
    refuses(pool, changes, error, words)


def test_the_sentence_has_the_numbers_in_it(refuses):
    """The message has the images' type and the range of their sums."""
    arguments = {"images": PIXELS, "kernels": COUNT}
    words = "dtype=uint8 cannot hold every result exactly: uint8 images and these kernels can give "
    refuses(convolve, arguments | {"dtype": "u1"}, ValueError, f"{words}0 to 2295; use a wider")
    arguments["kernels"] = -COUNT
    words = words.replace("dtype=uint8", "dtype=uint64")
    refuses(convolve, arguments | {"dtype": "u8"}, ValueError, f"{words}-2295 to 0; use a wider")


def test_integers_of_64_bits_are_summed_as_numpy_sums_them():
    """int64 results may wrap as in NumPy; every other result type is checked."""
    images, kernel = np.array([[2**62 - 1, 1]]), np.array([[2, 2]])
    wrapped = np.sum(2 * images, keepdims=True)
    np.testing.assert_array_equal(convolve(images, kernel, "valid"), wrapped)
    for result in ["i4", "f4", "f8", "u8"]:
        with pytest.raises(ValueError, match="cannot hold every result exactly: int64 images"):
            convolve(images, kernel, "valid", dtype=result)


def test_plans_from_shapes_check_kernels_when_they_come():
    """A plan made from shapes checks the kernel's sums when it is called."""
    kernel = np.full((3, 3), 28, np.int64)
    plan = plan_convolve(PIXELS, kernel, dtype="u2")  # at most 9 * 28 * 255 = 64260
    assert plan(PIXELS, kernel).max() == 9 * 28
    with pytest.raises(ValueError, match=r"^convolve: dtype=uint16 cannot hold every result ex"):
        plan(PIXELS, kernel + 1)


def test_images_without_channels():
    """Images with zero channels give results with zero channels."""
    for kind in (np.uint8, float):
        images = np.ones((2, 5, 6, 0), kind)
        assert convolve(images, COUNT.astype(kind)).shape == (2, 5, 6, 0)
        assert pool(images, 2).shape == (2, 2, 3, 0)


# ---------------------------------------------------------------------------------- out


def readonly():
    """A read-only array of the right shape."""
    values = np.full((2, 5, 6), 7.0)
    values.flags.writeable = False
    return values


@refusals(
    ({"out": [1.0, 2.0]}, TypeError, "out must be a NumPy array; got list"),
    ({"out": "array"}, TypeError, "out must be a NumPy array; got str"),
    ({"out": np.float64}, TypeError, "out must be a NumPy array; got type"),
    ({"out": np.zeros((5, 6))}, ValueError, "out must have shape (2, 5, 6); got (5, 6)"),
    ({"out": np.zeros((2, 6, 5))}, ValueError, "out must have shape (2, 5, 6); got (2, 6, 5)"),
    ({"out": np.zeros((1, 5, 6))}, ValueError, "out must have shape (2, 5, 6); got (1, 5, 6)"),
    ({"out": np.zeros(())}, ValueError, "out must have shape (2, 5, 6); got ()"),
    ({"out": np.zeros((2, 5, 6), "f4")}, TypeError, "out must have dtype float64; got float32"),
    ({"out": np.zeros((2, 5, 6), "i8")}, TypeError, "out must have dtype float64; got int64"),
    ({"out": np.zeros((2, 5, 6), "c16")}, TypeError, "out must have dtype float64; got complex128"),
    ({"out": readonly()}, ValueError, "out is read-only"),
    ({"out": np.broadcast_to(7.0, (2, 5, 6))}, ValueError, "out is read-only"),
)
def test_out_that_does_not_fit(refuses, changes, error, words):
    """An `out` of another type, shape or dtype is refused by calls and by plans."""
    refuses(convolve, changes, error, words)
    refuses(pool, {"kernel_shape": 1} | changes, error, words)
    plan = plan_convolve(GRAY, BLUR)
    with pytest.raises(error, match=f"^convolve: {re.escape(words)}"):
        plan(GRAY, BLUR, out=changes["out"])


SHARES = "out shares memory with an input, which would change while it is read"


def test_out_that_is_an_input(refuses):
    """An `out` that is an input, or a view of one, is refused."""
    images = np.arange(60.0).reshape(2, 5, 6)
    for out in (images, images[:], images[::-1], images.reshape(2, 5, 6)):
        refuses(convolve, {"images": images, "out": out}, ValueError, SHARES)
        refuses(pool, {"images": images, "kernel_shape": 1, "out": out}, ValueError, SHARES)
    kernel = np.arange(9.0).reshape(3, 3)
    changes = {"images": ones(3, 3), "kernels": kernel, "out": kernel}
    refuses(convolve, changes, ValueError, SHARES)


@pytest.mark.parametrize("offset", [1, 30, 59])
def test_out_that_overlaps_a_part_of_an_input(refuses, offset):
    """An `out` that shares even a single number with an input is refused."""
    buffer = np.arange(200.0)
    images = buffer[60:120].reshape(2, 5, 6)
    for start in (60 + offset, 60 - offset):
        out = buffer[start : start + 60].reshape(2, 5, 6)
        refuses(convolve, {"images": images, "out": out}, ValueError, SHARES)
        refuses(pool, {"images": images, "kernel_shape": 1, "out": out}, ValueError, SHARES)


def test_out_beside_the_input():
    """Arrays that are neighbours or interleaved in memory share none of it and are accepted."""
    buffer = np.random.default_rng(0).random(240)
    beside = buffer[:60].reshape(2, 5, 6), buffer[60:120].reshape(2, 5, 6)
    every_other = buffer[0:120:2].reshape(2, 5, 6), buffer[1:120:2].reshape(2, 5, 6)
    channels = buffer[120:].reshape(2, 5, 6, 2)
    for images, out in (beside, every_other, (channels[..., 0], channels[..., 1])):
        for call, given in ((convolve, BLUR), (pool, (1, 1))):
            expected = call(images.copy(), given)
            before = images.copy()
            assert call(images, given, out=out) is out
            np.testing.assert_array_equal(out, expected)
            np.testing.assert_array_equal(images, before)


OVERLAPS = "out overlaps itself: some of its numbers share memory, and would overwrite each other"


def test_out_that_overlaps_itself(refuses):
    """An `out` in which several numbers share memory is refused."""
    buffer = np.full(200, 7.0)
    for shape, strides in (
        ((2, 5, 6), (0, 48, 8)),
        ((2, 5, 6), (8, 48, 8)),
        ((2, 5, 6), (240, 40, 8)),
        ((2, 5, 6), (240, 48, 4)),
    ):
        out = np.lib.stride_tricks.as_strided(buffer, shape, strides)
        refuses(convolve, {"out": out}, ValueError, OVERLAPS)
        refuses(pool, {"kernel_shape": 1, "out": out}, ValueError, OVERLAPS)


def test_just_the_outs_that_overlap_themselves():
    """Small arrays with all kinds of strides are refused exactly if bytes are used twice."""
    buffer = np.zeros(1000, np.int16)
    refused = 0
    for shape in product((0, 1, 2, 3), repeat=3):
        images = np.zeros(shape, np.int16)
        for strides in product((-6, 0, 1, 2, 4, 6, 8), repeat=3):
            out = np.lib.stride_tricks.as_strided(buffer[500:], shape, strides)
            firsts = [np.dot(place, strides) for place in np.ndindex(shape)]
            used = {byte for first in firsts for byte in (first, first + 1)}
            if len(used) < 2 * len(firsts):
                refused += 1
                with pytest.raises(ValueError, match=f"^pool: {OVERLAPS}$"):
                    pool(images, 1, out=out)
            elif images.size:
                assert pool(images, 1, out=out) is out
    assert refused > 1000


def test_out_of_any_layout():
    """A reversed, transposed or strided `out` is filled and returned."""
    expected = convolve(GRAY, BLUR)
    for out in (
        np.zeros((2, 5, 6))[::-1, ::-1],
        np.zeros((6, 5, 2)).T,
        np.zeros((4, 10, 12))[::2, ::2, ::2],
    ):
        assert convolve(GRAY, BLUR, out=out) is out
        np.testing.assert_array_equal(out, expected)


# ----------------------------------------------------------------------- plans and arrays

OTHERWISE = [
    (GRAY[:1], BLUR, "the plan is for images (2, 5, 6) of float64; got (1, 5, 6) of float64"),
    (PIXELS, BLUR, "the plan is for images (2, 5, 6) of float64; got (2, 5, 6) of uint8"),
    (GRAY, ones(3, 1), "the plan is for kernels (3, 3) of float64; got (3, 1) of float64"),
    (GRAY, COUNT, "the plan is for kernels (3, 3) of float64; got (3, 3) of int64"),
]


@pytest.mark.parametrize(("images", "kernels", "words"), OTHERWISE)
def test_arrays_that_are_not_as_planned(images, kernels, words):
    """A plan refuses arrays of another shape or type, and says what to do."""
    words = f"^convolve: {re.escape(words)}: make a plan from these arrays"
    with pytest.raises(ValueError, match=words):
        plan_convolve(GRAY, BLUR)(images, kernels)


def test_plans_that_are_called_with_other_things():
    """A plan refuses what its call refuses, missing kernels, and kernels for a pooling."""
    with pytest.raises(TypeError, match=r"^convolve: the plan needs kernels too: plan\(images, "):
        plan_convolve(GRAY, BLUR)(GRAY)
    with pytest.raises(TypeError, match=r"^convolve: images must be an array of numbers; got 'x'"):
        plan_convolve(GRAY, BLUR)("x", BLUR)
    with pytest.raises(
        TypeError, match=r"^pool: a plan for pooling takes images alone; got kernels too"
    ):
        plan_pool(GRAY, 2)(GRAY, BLUR)
    with pytest.raises(
        ValueError, match=r"^pool: the plan is for images \(2, 5, 6\) of float64; g"
    ):
        plan_pool(GRAY, 2)(GRAY[0])


# ------------------------------------------------------------------------ what is taken

TAKEN = [  # a plain way to say it, and others
    ({"stride": 2}, [{"stride": n} for n in (np.int8(2), np.uint64(2), np.array(2), Two())]),
    ({"stride": (2, 1)}, [{"stride": n} for n in ([2, 1], np.array([2, 1]), (np.int8(2), 1))]),
    ({"stride": (2, 2)}, [{"stride": 2}, {"stride": (Two(), np.array(2))}]),
    ({"dilation": (1, 2)}, [{"dilation": [1, 2]}, {"dilation": np.array([1, 2], np.uint8)}]),
    ({"padding": ((2, 2), (2, 2))}, [{"padding": p} for p in (2, (2, 2), [2, 2], np.array(2))]),
    (
        {"padding": ((1, 2), (3, 0))},
        [
            {"padding": p}
            for p in (
                [[1, 2], [3, 0]],
                [(1, 2), (3, 0)],
                ([1, 2], np.array([3, 0])),
                np.array([[1, 2], [3, 0]]),
                ((np.int8(1), Two()), (3, 0)),
            )
        ],
    ),
    ({"padding": ((0, 0), (0, 0))}, [{"padding": "valid"}, {"padding": 0}]),
    ({"images": GRAY}, [{"images": GRAY.tolist()}, {"images": tuple(GRAY)}, {"images": [*GRAY]}]),
    ({"padding": "same"}, [{"padding": np.str_("same")}]),
]
OF_CONVOLVE = [
    ({"kernels": BLUR}, [{"kernels": BLUR.tolist()}, {"kernels": tuple(map(tuple, BLUR))}]),
    ({"pad_mode": "edge"}, [{"pad_mode": np.str_("edge")}]),
    ({"dtype": np.float32}, [{"dtype": d} for d in ("f4", "float32", np.dtype("f4"), ">f4")]),
    ({"dtype": None}, [{"dtype": float}, {"dtype": "f8"}]),
    ({"method": "numpy"}, [{"method": "auto"}, {"method": np.str_("numpy")}]),
]
OF_POOL = [
    ({"kernel_shape": (2, 2)}, [{"kernel_shape": n} for n in (2, [2, 2], np.array(2), Two())]),
    ({"stride": (2, 2)}, [{}, {"stride": None}]),
    ({"partial": True}, [{"partial": np.True_}]),
    ({"count_padding": True, "padding": 1}, [{"count_padding": np.True_, "padding": 1}]),
]
EQUALS = [
    *((convolve, *row) for row in TAKEN + OF_CONVOLVE),
    *((pool, *row) for row in TAKEN + OF_POOL),
]


@pytest.mark.parametrize(
    ("call", "plain", "others"), EQUALS, ids=[f"{c.__name__}-{[*p]}" for c, p, _ in EQUALS]
)
def test_other_ways_to_say_the_same(call, plain, others):
    """NumPy's integers, arrays, lists and other index types give the same results."""
    options = {"mode": "sum"} if call is pool else {}
    expected = call(**RIGHT[call] | options | plain)
    for other in others:
        result = call(**RIGHT[call] | options | other)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


def test_lists_of_integers_are_integers():
    """Nested lists of integers are computed exactly, in int64."""
    result = convolve([[200, 200], [200, 200]], [[9]], "valid")
    assert result.dtype == np.int64
    assert result.tolist() == [[1800, 1800], [1800, 1800]]


@pytest.mark.parametrize("shape", [(np.int64(2), 5, np.uint8(6)), (2, 5, 6)])
def test_bare_shapes(shape):
    """A tuple of Python's or NumPy's integers is a shape; a list is an array of numbers."""
    assert plan_convolve(shape, (3, 3)) == plan_convolve(GRAY, BLUR)
    assert plan_pool(shape, 2) == plan_pool(GRAY, 2)
    with pytest.raises(ValueError, match=r"images\.shape=\(3,\)"):
        plan_convolve(list(shape), (3, 3))


def test_batches_without_images():
    """Empty batches and images without pixels give empty results."""
    assert convolve(ones(0, 5, 6), BLUR).shape == (0, 5, 6)
    assert convolve(ones(2, 0, 6), BLUR).shape == (2, 0, 6)
    assert convolve(ones(5, 0), BLUR, stride=2).shape == (3, 0)
    assert pool(ones(2, 5, 0), 3, padding="same").shape == (2, 2, 0)
    assert pool(ones(0, 5, 6), 2).shape == (0, 2, 3)
