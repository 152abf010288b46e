"""Plans: what they say about a call is true, in numbers, in words and drawn."""

import dataclasses
import math
import pickle
import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from strategies import built

import convlens
from convlens import Plan, convolve, plan_convolve, plan_pool, pool
from convlens.compiled.library import load


def numbers(shape, dtype="f8"):
    """The same random numbers in every run, which are not whole numbers in floating types."""
    values = np.random.default_rng(3).uniform(0, 100, shape)
    return values.astype(dtype)


def auto(how):
    """The method and reason of a plan with method="auto" on this machine."""
    library = load()
    if isinstance(library, str):
        return f"numpy, which takes every type; the compiled engine would be faster, but {library}"
    return f"compiled, for {library.level}, {how}"


# --------------------------------------------------------------------------- attributes


class Case(NamedTuple):
    """A call, and its plan's attributes, worked out by hand."""

    plan: Plan
    output_shape: tuple
    output_dtype: str
    padding: tuple
    stride: tuple
    dilation: tuple
    groups: int
    window: tuple
    windows: int
    multiply_adds: int
    bytes_moved: int


NONE = ((0, 0), (0, 0))
ROUND = ((1, 1), (1, 1))
CASES = {
    "gray images, one kernel": Case(
        plan_convolve((2, 5, 6), (3, 3)),
        *((2, 5, 6), "f8", ROUND, (1, 1), (1, 1), 1, (3, 3)),
        windows=2 * 5 * 6,
        multiply_adds=2 * 5 * 6 * 9,
        bytes_moved=8 * (60 + 9 + 60),
    ),
    "the digits, in strides": Case(
        plan_convolve((50000, 28, 28), (3, 3), stride=2),
        *((50000, 14, 14), "f8", ((0, 1), (0, 1)), (2, 2), (1, 1), 1, (3, 3)),
        windows=9_800_000,
        multiply_adds=88_200_000,
        bytes_moved=8 * (39_200_000 + 9 + 9_800_000),
    ),
    "colours, summed": Case(
        plan_convolve((4, 5, 6, 3), (3, 2, 3), "valid"),
        *((4, 3, 5), "f8", NONE, (1, 1), (1, 1), 1, (3, 2)),
        windows=4 * 3 * 5,
        multiply_adds=4 * 3 * 5 * 3 * 2 * 3,
        bytes_moved=8 * (360 + 18 + 60),
    ),
    "colours, sixteen kernels": Case(
        plan_convolve((4, 5, 6, 3), (3, 3, 3, 16), ((1, 0), (2, 3)), (1, 2)),
        *((4, 4, 5, 16), "f8", ((1, 0), (2, 3)), (1, 2), (1, 1), 1, (3, 3)),
        windows=4 * 4 * 5,
        multiply_adds=4 * 4 * 5 * 16 * 27,
        bytes_moved=8 * (360 + 432 + 1280),
    ),
    "colours, one kernel on each": Case(
        plan_convolve((4, 5, 6, 3), (5, 1), "full"),
        *((4, 9, 6, 3), "f8", ((4, 4), (0, 0)), (1, 1), (1, 1), 3, (5, 1)),
        windows=4 * 9 * 6,
        multiply_adds=4 * 9 * 6 * 3 * 5,
        bytes_moved=8 * (360 + 5 + 648),
    ),
    "two groups, dilated": Case(
        plan_convolve((4, 9, 9, 6), (3, 3, 3, 8), "valid", dilation=(2, 3), groups=2),
        *((4, 5, 3, 8), "f8", NONE, (1, 1), (2, 3), 2, (3, 3)),
        windows=4 * 5 * 3,
        multiply_adds=4 * 5 * 3 * 8 * 27,
        bytes_moved=8 * (1944 + 216 + 480),
    ),
    "a single photograph of bytes": Case(
        plan_convolve(numbers((7, 8, 3), "u1"), numbers((2, 2, 3), "i4"), 1, 3),
        *((3, 3), "i8", ROUND, (3, 3), (1, 1), 1, (2, 2)),
        windows=9,
        multiply_adds=9 * 12,
        bytes_moved=168 + 4 * 12 + 8 * 9,
    ),
    "half floats into single ones": Case(
        plan_convolve(numbers((7, 8), "f2"), numbers((2, 2), "f2"), "valid", dtype="f4"),
        *((6, 7), "f4", NONE, (1, 1), (1, 1), 1, (2, 2)),
        windows=42,
        multiply_adds=42 * 4,
        bytes_moved=2 * 56 + 2 * 4 + 4 * 42,
    ),
    "no images": Case(
        plan_convolve((0, 5, 6), (3, 3)),
        *((0, 5, 6), "f8", ROUND, (1, 1), (1, 1), 1, (3, 3)),
        windows=0,
        multiply_adds=0,
        bytes_moved=8 * 9,
    ),
    "the largest of windows side by side": Case(
        plan_pool((10, 32, 32, 3), 2),
        *((10, 16, 16, 3), "f8", NONE, (2, 2), (1, 1), 3, (2, 2)),
        windows=10 * 16 * 16,
        multiply_adds=10 * 16 * 16 * 3 * 4,
        bytes_moved=8 * (30720 + 7680),
    ),
    "the mean of partial windows": Case(
        plan_pool(numbers((2, 7, 8), "u1"), (3, 2), 3, "avg", padding=(1, 0), partial=True),
        *((2, 3, 3), "f8", ((1, 1), (0, 0)), (3, 3), (1, 1), 1, (3, 2)),
        windows=2 * 3 * 3,
        multiply_adds=2 * 3 * 3 * 6,
        bytes_moved=112 + 8 * 18,
    ),
    "the smallest of dilated windows": Case(
        plan_pool(numbers((9, 8), "i2"), 2, 1, "min", dilation=(3, 4)),
        *((6, 4), "i2", NONE, (1, 1), (3, 4), 1, (2, 2)),
        windows=24,
        multiply_adds=24 * 4,
        bytes_moved=2 * (72 + 24),
    ),
    "sums of bits": Case(
        plan_pool(numbers((9, 8), "?"), 3, mode="sum", padding="same"),
        *((3, 3), "i8", ((0, 0), (0, 1)), (3, 3), (1, 1), 1, (3, 3)),
        windows=9,
        multiply_adds=81,
        bytes_moved=72 + 8 * 9,
    ),
}
ATTRIBUTES = Case._fields[1:]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("name", CASES)
def test_attributes(name, attribute):
    """Each attribute has the value that was worked out by hand."""
    case = CASES[name]
    assert getattr(case.plan, attribute) == getattr(case, attribute)


@pytest.mark.parametrize("name", CASES)
def test_attributes_are_plain_numbers(name):
    """Attributes are Python's integers, which cannot overflow, or tuples of them."""
    plan = CASES[name].plan

    def plain(value):
        return all(map(plain, value)) if type(value) is tuple else type(value) is int

    of_numbers = set(ATTRIBUTES) - {"output_dtype"}
    assert [each for each in of_numbers if not plain(getattr(plan, each))] == []
    assert isinstance(plan.output_dtype, np.dtype)


def test_work_and_memory_beyond_64_bits():
    """Work and memory are exact beyond 64 bits."""
    plan = plan_convolve((10**12, 10**4, 10**4, 3), (11, 11, 3, 100))
    assert plan.multiply_adds == 10**12 * 10**8 * 363 * 100
    assert plan.bytes_moved == 8 * (3 * 10**20 + 36300 + 10**22)


def test_operation_method_and_reason():
    """The name of the call; which engine, and why."""
    for plan, operation, how in (
        (plan_convolve((5, 5), (3, 3)), "convolve", "vectors along the rows, in float64"),
        (plan_pool((50, 50), 2), "pool", "tap by tap, down and then across, in float64"),
    ):
        assert plan.operation == operation
        assert f"{plan.method}, {plan.reason}" == auto(how)
    for plan in (
        plan_convolve((5, 5), (3, 3), method="numpy"),
        plan_convolve((5, 5), np.ones((3, 3), complex), method="numpy"),
        plan_pool((5, 5), 2, method="numpy"),
    ):
        assert (plan.method, plan.reason) == ("numpy", "as asked")


@built
def test_tiny_images_are_for_numpy():
    """On these it is the faster engine, and the plan says so; who asks for the other, gets it."""
    for plan in (
        plan_convolve((100, 1, 1), (3, 3)),
        plan_pool((100, 4, 4), 2),
    ):
        assert plan.method == "numpy"
        assert plan.reason == "which is the faster one where there is so little to do"
    assert plan_pool((100, 4, 4), 2, method="compiled").method == "compiled"
    # Large images are not tiny, even if their rows are short.
    assert plan_pool(numbers((1, 36_624, 25), "u1"), (1, 25), 2).method == "compiled"
    # A long window takes NumPy's engine one step in Python for every tap.
    assert plan_pool((1, 1, 10**6), (1, 10**6), mode="avg").method == "compiled"


IN_TWO_PASSES = (
    "in two passes, down and then across, in float64, as the kernel is a column times a row"
)
EXACTLY = "the first of float32, float64, int64 that is exact with these kernels"
WAYS = {  # how the compiled engine goes about a call, as far as the kernels' numbers decide it
    "a shape": (
        plan_convolve((40, 60), (9, 9)),
        "vectors along the rows, in float64, or in two passes if the kernel is a column times a "
        "row",
    ),
    "a column times a row": (plan_convolve(numbers((40, 60)), np.ones((9, 9))), IN_TWO_PASSES),
    "not a product": (
        plan_convolve(numbers((40, 60)), numbers((9, 9))),
        "vectors along the rows, in float64",
    ),
    "small sums": (
        plan_convolve(numbers((2, 5, 6, 3), "u1"), np.ones((3, 3, 3, 16), int)),
        f"vectors along the kernels, in float32, {EXACTLY}",
    ),
    "large sums": (
        plan_convolve(numbers((2, 5, 6, 3), "u1"), np.full((3, 3, 3, 16), 10**6)),
        f"vectors along the kernels, in float64, {EXACTLY}",
    ),
    "very large sums": (
        plan_convolve(numbers((2, 5, 6, 3), "u1"), np.full((3, 3, 3, 16), 10**14)),
        f"vectors along the rows, in int64, {EXACTLY}",
    ),
    "sums that may wrap around": (
        plan_convolve(numbers((2, 5, 6, 3), "i8"), np.ones((3, 3, 3, 16), int)),
        "vectors along the rows, in int64",
    ),
}


@built
@pytest.mark.parametrize("name", WAYS)
def test_the_plan_looks_at_the_numbers_of_kernels(name):
    """It says what they decide; without them, that they will. Compare test_compiled.py."""
    plan, how = WAYS[name]
    assert f"{plan.method}, {plan.reason}" == auto(how)


@built
def test_types_for_numpy_alone():
    """The plan names the type that the compiled engine does not take."""
    for plan, dtype in (
        (plan_convolve(numbers((5, 6), "F"), (3, 3)), "complex64"),
        (plan_convolve((5, 6), numbers((3, 3), "D")), "complex128"),
        (plan_convolve((5, 6), (3, 3), dtype="g"), np.dtype("g")),
        (plan_convolve(numbers((5, 6), "u1"), numbers((3, 3), "i1"), dtype="D"), "complex128"),
        (plan_pool(numbers((5, 6), "G"), 2), np.dtype("G")),
    ):
        assert plan.method == "numpy"
        assert plan.reason == (
            "which takes every type; the compiled engine would be faster, "
            f"but it does not take {dtype}"
        )


# ------------------------------------------------------------------------------ running

CONVOLUTIONS = [
    ((2, 5, 6), (3, 3), {}),
    ((2, 5, 6), (4, 2), {"padding": "valid", "stride": (2, 1)}),
    ((5, 6, 3), (3, 3, 3), {"padding": "full", "pad_mode": "wrap"}),
    ((2, 5, 6, 4), (3, 3, 2, 6), {"groups": 2, "dilation": 2, "pad_mode": "reflect"}),
    ((2, 5, 6, 4), (3, 3), {"padding": ((3, 0), (1, 2)), "stride": 2, "pad_mode": "edge"}),
    ((0, 5, 6), (3, 3), {}),
]
POOLINGS = [
    ((2, 5, 6), (2, {})),
    ((2, 5, 6, 3), ((3, 2), {"stride": 1, "mode": "avg", "padding": "same"})),
    ((5, 6), (3, {"stride": 2, "mode": "sum", "partial": True})),
    ((2, 5, 6), (2, {"mode": "min", "dilation": 3, "stride": 1})),
    ((2, 5, 6), (3, {"mode": "avg", "padding": 1, "count_padding": True})),
]


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
@pytest.mark.parametrize(("images", "kernels", "options"), CONVOLUTIONS)
def test_a_plan_convolves_as_the_call_does(images, kernels, options, dtype):
    """A plan gives the bits of its call, also into `out` and when it is called again."""
    images, kernels = numbers(images, dtype), numbers(kernels, dtype)
    expected = convolve(images, kernels, **options)
    plan = plan_convolve(images, kernels, **options)
    assert (plan.output_shape, plan.output_dtype) == (expected.shape, expected.dtype)
    out = np.full_like(expected, 7)
    assert plan(images, kernels, out=out) is out
    assert out.tobytes() == plan(images, kernels).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
@pytest.mark.parametrize(("images", "arguments"), POOLINGS)
def test_a_plan_pools_as_the_call_does(images, arguments, dtype):
    """A plan gives the bits of its call, also into `out`."""
    kernel_shape, options = arguments
    images = numbers(images, dtype)
    expected = pool(images, kernel_shape, **options)
    plan = plan_pool(images, kernel_shape, **options)
    assert (plan.output_shape, plan.output_dtype) == (expected.shape, expected.dtype)
    out = np.full_like(expected, 7)
    assert plan(images, out=out) is out
    assert out.tobytes() == plan(images).tobytes() == expected.tobytes()


def test_a_plan_runs_on_other_numbers():
    """A plan holds shapes and types, so that it runs on other arrays than it was made from."""
    images, kernels = numbers((2, 5, 6)), numbers((3, 3))
    plan = plan_convolve(images, kernels)
    others = images[::-1] - 1, kernels.T + 1
    np.testing.assert_array_equal(plan(*others), convolve(*others))


@built
def test_a_plan_looks_at_other_numbers_anew():
    """Those that it was made from decide nothing for others: sums stay exact, products are seen."""
    images = np.full((1, 20, 30), 255, "u1")
    small, large = np.ones((9, 9), int), np.full((9, 9), 10**10)
    large[0, 0] += 1
    for one, other in ((small, large), (large, small)):
        plan = plan_convolve(images, one)
        np.testing.assert_array_equal(plan(images, other), convolve(images, other, method="numpy"))
    bare = plan_convolve((20, 30), (9, 9))
    values = numbers((20, 30))
    for kernels in (np.ones((9, 9)), numbers((9, 9))):
        assert bare(values, kernels).tobytes() == convolve(values, kernels).tobytes()


@built
@pytest.mark.parametrize("shape", [(1, 5, 6, 0), (0, 5, 6, 3), (1, 0, 6, 3)])
def test_plans_of_empty_arrays_can_be_read(shape):
    """There is nothing to compute, and the plan tells so without an error."""
    assert "0 multiply-adds" in str(plan_convolve(np.ones(shape), np.ones((9, 9))))
    assert "0 multiply-adds" in str(plan_convolve(shape, (9, 9)))


def test_a_plan_runs_on_lists():
    """A plan runs on nested lists, which are arrays of int64 or float64."""
    plan = plan_convolve([[1, 2, 3], [4, 5, 6]], [[1, 1]], "valid")
    assert plan([[1, 2, 3], [4, 5, 6]], [[1, -1]]).tolist() == [[-1, -1], [-1, -1]]
    assert plan_pool((2, 2), 2)([[1.5, 2.5], [3.5, 0.5]]).tolist() == [[3.5]]


def test_out_must_fit_the_plan():
    """A plan refuses an `out` that has another shape or type than its result."""
    plan = plan_convolve((2, 5, 6), (3, 3))
    with pytest.raises(
        ValueError, match=r"^convolve: out must have shape \(2, 5, 6\); got \(5, 6\)"
    ):
        plan(np.ones((2, 5, 6)), np.ones((3, 3)), out=np.empty((5, 6)))
    with pytest.raises(TypeError, match=r"^pool: out must have dtype float64; got float32"):
        plan_pool((2, 4, 4), 2)(np.ones((2, 4, 4)), out=np.empty((2, 2, 2), "f4"))


# ------------------------------------------------------------------------- as a value


def test_plans_are_frozen():
    """A plan's attributes cannot be assigned."""
    plan = plan_convolve((2, 5, 6), (3, 3))
    for name in ("method", "reason", "call", "output_shape", "anything"):
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
            setattr(plan, name, None)
    assert plan == plan_convolve((2, 5, 6), (3, 3))


def test_equal_arguments_make_equal_plans():
    """Equal arguments, as arrays or as bare shapes, make plans that are equal and hash alike."""
    ways = [
        plan_convolve((2, 5, 6), (3, 3)),
        plan_convolve(np.ones((2, 5, 6)), np.zeros((3, 3)), "same", 1),
        plan_convolve((2, 5, 6), (3, 3), stride=(1, 1), dilation=[1, 1], dtype="f8"),
    ]
    assert len(set(ways)) == 1
    assert {ways[0]: "kept"}[ways[1]] == "kept"
    assert plan_pool((2, 5, 6), 2) == plan_pool((2, 5, 6), (2, 2), (2, 2), padding="valid")


def test_different_arguments_make_different_plans():
    """A change of any single argument makes another plan."""
    shapes = (2, 5, 6, 4), (3, 3, 4, 4)
    plans = {
        plan_convolve(*shapes),
        plan_convolve((3, 5, 6, 4), shapes[1]),
        plan_convolve(shapes[0], (3, 3, 4, 2)),
        plan_convolve(np.ones(shapes[0], "f4"), shapes[1]),
        plan_convolve(*shapes, "valid"),
        plan_convolve(*shapes, stride=2),
        plan_convolve(*shapes, dilation=2),
        plan_convolve(shapes[0], (3, 3, 2, 4), groups=2),
        plan_convolve(*shapes, pad_mode="edge"),
        plan_convolve(*shapes, dtype="f4"),
        plan_convolve(*shapes, method="numpy"),
        plan_pool(shapes[0], 2),
        plan_pool(shapes[0], 3),
        plan_pool(shapes[0], 2, 1),
        plan_pool(shapes[0], 2, mode="avg"),
        plan_pool(shapes[0], 2, mode="avg", count_padding=True),
        plan_pool(shapes[0], 2, padding=1),
        plan_pool(shapes[0], 2, dilation=2),
        plan_pool(shapes[0], 2, partial=True),
    }
    assert len(plans) == 19


def test_plans_can_be_sent_to_other_processes():
    """A plan can be pickled."""
    plan = plan_convolve((2, 5, 6), (3, 3), stride=2)
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_bare_shapes_stand_for_float64():
    """A bare shape stands for float64 numbers, beside arrays too."""
    assert plan_convolve((2, 5, 6), (3, 3)).output_dtype == np.float64
    assert plan_convolve(np.ones((2, 5, 6), "u1"), (3, 3)).output_dtype == np.float64
    assert plan_convolve((2, 5, 6), np.ones((3, 3), "c8")).output_dtype == np.complex128
    assert plan_pool((2, 5, 6), 2).output_dtype == np.float64


# ---------------------------------------------------------------------------- in words

WORDS = {
    "a slide": (
        plan_convolve((50000, 28, 28), (3, 3), stride=2),
        f"""\
convolve  50,000 images of 28 x 28, one 3 x 3 kernel
input     (50000, 28, 28) float64, kernels (3, 3) float64
output    (50000, 14, 14) float64
rows      (h + top + bottom - kh) // sh + 1 = (28 + 0 + 1 - 3) // 2 + 1 = 14
columns   (w + left + right - kw) // sw + 1 = (28 + 0 + 1 - 3) // 2 + 1 = 14
padding   same: 0 above, 1 below, 0 left, 1 right, holding zeros
windows   50,000 x 14 x 14 = 9,800,000, each of 3 x 3 = 9 taps
work      88.2 million multiply-adds
memory    reads 314 MB, writes 78.4 MB
method    {auto("vectors along the rows, in float64")}
""",
    ),
    "one photograph, exactly": (
        plan_convolve(np.ones((5, 6, 3), "u1"), np.ones((3, 3, 3), "i4"), "valid", method="numpy"),
        """\
convolve  one image of 5 x 6 with 3 channels, one 3 x 3 x 3 kernel
input     (5, 6, 3) uint8, kernels (3, 3, 3) int32
output    (3, 4) int64
rows      (h + top + bottom - kh) // sh + 1 = (5 + 0 + 0 - 3) // 1 + 1 = 3
columns   (w + left + right - kw) // sw + 1 = (6 + 0 + 0 - 3) // 1 + 1 = 4
padding   none
windows   3 x 4 = 12, each of 3 x 3 x 3 = 27 taps
work      324 multiply-adds
memory    reads 198 B, writes 96 B
method    numpy, as asked
""",
    ),
    "groups of channels": (
        plan_convolve(
            np.ones((8, 9, 9, 6), "f2"),
            np.ones((3, 2, 3, 16), "f2"),
            ((1, 2), (3, 0)),
            dilation=(1, 2),
            groups=2,
            pad_mode="reflect",
            method="numpy",
        ),
        """\
convolve  8 images of 9 x 9 with 6 channels, 16 kernels of 3 x 2 x 3 in 2 groups of channels
input     (8, 9, 9, 6) float16, kernels (3, 2, 3, 16) float16
output    (8, 10, 10, 16) float16, summed in float32
rows      (h + top + bottom - kh) // sh + 1 = (9 + 1 + 2 - 3) // 1 + 1 = 10
columns   (w + left + right - ((kw - 1) * dw + 1)) // sw + 1 = (9 + 3 + 0 - ((2 - 1) * 2 + 1)) // 1 + 1 = 10
padding   1 above, 2 below, 3 left, 0 right, holding the image mirrored at its last pixel
windows   8 x 10 x 10 = 800, each of 3 x 2 x 3 = 18 taps
work      230,400 multiply-adds
memory    reads 8.35 kB, writes 25.6 kB
method    numpy, as asked
""",  # noqa: E501
    ),
    "a blur of each channel": (
        plan_convolve((2, 40, 60, 3), (5, 5), "full", pad_mode="wrap", method="numpy"),
        """\
convolve  2 images of 40 x 60 with 3 channels, one 5 x 5 kernel on each channel
input     (2, 40, 60, 3) float64, kernels (5, 5) float64
output    (2, 44, 64, 3) float64
rows      (h + top + bottom - kh) // sh + 1 = (40 + 4 + 4 - 5) // 1 + 1 = 44
columns   (w + left + right - kw) // sw + 1 = (60 + 4 + 4 - 5) // 1 + 1 = 64
padding   full: 4 above, 4 below, 4 left, 4 right, holding the image over again
windows   2 x 44 x 64 = 5,632, each of 5 x 5 = 25 taps
work      422,400 multiply-adds
memory    reads 115 kB, writes 135 kB
method    numpy, as asked
""",
    ),
    "the largest, side by side": (
        plan_pool((10000, 32, 32, 3), 2, method="numpy"),
        """\
pool      10,000 images of 32 x 32 with 3 channels, the largest of each 2 x 2 window
input     (10000, 32, 32, 3) float64
output    (10000, 16, 16, 3) float64
rows      (h + top + bottom - kh) // sh + 1 = (32 + 0 + 0 - 2) // 2 + 1 = 16
columns   (w + left + right - kw) // sw + 1 = (32 + 0 + 0 - 2) // 2 + 1 = 16
padding   none
windows   10,000 x 16 x 16 = 2,560,000, each of 2 x 2 = 4 taps
work      30.7 million comparisons
memory    reads 246 MB, writes 61.4 MB
method    numpy, as asked
""",
    ),
    "the mean of what partial windows cover": (
        plan_pool(np.ones((2, 9, 6), "u1"), 3, mode="avg", padding=1, partial=True, method="numpy"),
        """\
pool      2 images of 9 x 6, the mean of each 3 x 3 window
input     (2, 9, 6) uint8
output    (2, 4, 3) float64, summed in int64
rows      ceil((h + top + bottom - kh) / sh) + 1 = ceil((9 + 1 + 1 - 3) / 3) + 1 = 4
columns   ceil((w + left + right - kw) / sw) + 1 = ceil((6 + 1 + 1 - 3) / 3) + 1 = 3
padding   1 above, 1 below, 1 left, 1 right, left out of every window
windows   2 x 4 x 3 = 24, each of 3 x 3 = 9 taps
work      216 additions
memory    reads 108 B, writes 192 B
method    numpy, as asked
""",
    ),
    "the mean, with the padding": (
        plan_pool((7, 7), 3, 2, "avg", padding=1, count_padding=True, method="numpy"),
        """\
pool      one image of 7 x 7, the mean of each 3 x 3 window
input     (7, 7) float64
output    (4, 4) float64
rows      (h + top + bottom - kh) // sh + 1 = (7 + 1 + 1 - 3) // 2 + 1 = 4
columns   (w + left + right - kw) // sw + 1 = (7 + 1 + 1 - 3) // 2 + 1 = 4
padding   1 above, 1 below, 1 left, 1 right, counted as zeros
windows   4 x 4 = 16, each of 3 x 3 = 9 taps
work      144 additions
memory    reads 392 B, writes 128 B
method    numpy, as asked
""",
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_the_whole_text(name):
    """The printed plan is right word for word."""
    plan, text = WORDS[name]
    assert f"{plan}\n" == text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pad_mode": "edge"}, "holding the nearest pixel"),
        ({"pad_mode": "symmetric"}, "holding the image mirrored at its edge"),
        ({"padding": ((0, 1), (0, 0))}, "0 above, 1 below, 0 left, 0 right, holding zeros"),
        ({"padding": ((0, 0), (0, 1))}, "0 above, 0 below, 0 left, 1 right, holding zeros"),
        ({"padding": ((1, 0), (0, 0))}, "1 above, 0 below, 0 left, 0 right, holding zeros"),
        ({"padding": ((0, 0), (1, 0))}, "0 above, 0 below, 1 left, 0 right, holding zeros"),
    ],
)
def test_padding_in_words(options, words):
    """The text says where the padding is and what it holds."""
    assert f"\npadding   {words}\n" in f"{plan_convolve((5, 6), (3, 3), **options)}".replace(
        "same: 1 above, 1 below, 1 left, 1 right, ", ""
    )


@pytest.mark.parametrize(
    ("mode", "words", "work"),
    [
        ("max", "the largest of", "comparisons"),
        ("min", "the smallest of", "comparisons"),
        ("avg", "the mean of", "additions"),
        ("sum", "the sum of", "additions"),
    ],
)
def test_pooling_in_words(mode, words, work):
    """The text says what is kept of each window, and what work that is."""
    text = str(plan_pool((2, 4, 6), (2, 3), mode=mode))
    assert text.startswith(f"pool      2 images of 4 x 6, {words} each 2 x 3 window\n")
    assert f"\nwork      48 {work}\n" in text


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 multiply-adds"),
        (999, "999 multiply-adds"),
        (999_999, "999,999 multiply-adds"),
        (1_000_000, "1 million multiply-adds"),
        (88_249_999, "88.2 million multiply-adds"),
        (999_499_999, "999 million multiply-adds"),
        (999_500_000, "1 billion multiply-adds"),
        (10**12, "1 trillion multiply-adds"),
        (123 * 10**12, "123 trillion multiply-adds"),
        (999_700 * 10**9, "1,000 trillion multiply-adds"),
        (123456 * 10**12, "123,456 trillion multiply-adds"),
    ],
)
def test_how_much_work(count, words):
    """The work is printed with three digits and a unit."""
    assert f"\nwork      {words}\n" in str(plan_convolve((count, 1), (1, 1)))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1, "reads 16 B, writes 8 B"),
        (124, "reads 1 kB, writes 992 B"),
        (125, "reads 1.01 kB, writes 1 kB"),
        (12_345, "reads 98.8 kB, writes 98.8 kB"),
        (124_990, "reads 1 MB, writes 1 MB"),
        (125_000_000, "reads 1 GB, writes 1 GB"),
        (125 * 10**9, "reads 1 TB, writes 1 TB"),
        (125 * 10**14, "reads 100,000 TB, writes 100,000 TB"),
    ],
)
def test_how_much_memory(size, words):
    """Memory is printed in powers of 1000: 8 bytes for each number and for the one tap."""
    assert f"\nmemory    {words}\n" in str(plan_convolve((size, 1), (1, 1)))


def random_plans(count):
    """Plans of random calls of all kinds, without those that are refused."""
    rng = np.random.default_rng(5)
    made = 0
    while made < count:
        whole = rng.integers(0, [9, 9, 4, 4, 4, 4]).tolist()
        options = {
            "padding": [(tuple(whole[2:4]), tuple(whole[4:6])), "same", "full"][rng.integers(3)],
            "stride": tuple(rng.integers(1, 5, 2).tolist()),
            "dilation": tuple(rng.integers(1, 4, 2).tolist()),
        }
        window = tuple(rng.integers(1, 5, 2).tolist())
        try:
            if rng.random() < 0.5:
                yield plan_convolve(tuple(whole[:2]), window, **options)
            else:
                partial = bool(rng.random() < 0.7)
                yield plan_pool(tuple(whole[:2]), window, mode="sum", partial=partial, **options)
        except ValueError as error:
            assert "larger than the padded images" in str(error)  # noqa: PT017
            continue
        made += 1


def test_the_formula_in_the_text_is_true():
    """Both formulas in the text, with letters and with numbers, give the number of outputs."""
    seen = set()
    for plan in random_plans(2000):
        (top, bottom), (left, right) = plan.padding
        (h, w), (kh, kw) = plan.problem.images.shape, plan.window
        (sh, sw), (dh, dw) = plan.stride, plan.dilation
        letters = {"h": h, "top": top, "bottom": bottom, "kh": kh, "sh": sh, "dh": dh}
        letters |= {"w": w, "left": left, "right": right, "kw": kw, "sw": sw, "dw": dw}
        for name, outputs in zip(("rows", "columns"), plan.output_shape, strict=True):
            formula = re.search(rf"^{name} +(.*)$", str(plan), re.MULTILINE)[1]
            symbols, numbers, result = formula.split(" = ")
            assert eval(numbers, {"ceil": math.ceil}) == int(result) == outputs, plan
            assert eval(symbols, letters | {"ceil": math.ceil}) == outputs, plan
            seen |= {
                "ceil" if "ceil" in symbols else "//",
                "dilated" if "- 1) *" in numbers else "",
            }
    assert seen == {"ceil", "//", "dilated", ""}


def test_columns_of_the_text_are_aligned():
    """A plan's text has ten lines, each with its name in the first ten columns."""
    for plan in random_plans(50):
        lines = str(plan).split("\n")
        assert len(lines) == 10
        for line in lines:
            assert re.match(r"[a-z]+ +$", line[:10])
            assert re.match(r"\S.*\S$", line[10:])


# ------------------------------------------------------------------------------- drawn

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {
    **{name: case.plan for name, case in CASES.items()},
    "a single pixel": plan_convolve((1, 1), (1, 1)),
    "a very large image": plan_convolve((10**6, 10**6), (3, 3)),
    "a very long image": plan_convolve((1, 10**7), (1, 3)),
    "a very high image": plan_pool((10**7, 1), (2, 1)),
    "no rows": plan_convolve((0, 6), (3, 3)),
    "no pixels": plan_convolve((0, 0), (1, 1)),
    "no channels": plan_pool((2, 5, 5, 0), 2),
    "nothing but padding": plan_convolve((0, 0), (2, 2), 3),
    "far apart taps": plan_convolve((9, 9), (3, 3), dilation=40),
    "strides larger than the image": plan_pool((5, 5), 2, 100),
    "more outputs than pixels": plan_convolve((2, 2), (1, 1), 50),
    "windows that hang over": plan_pool((4, 4), 3, partial=True),
    "dilated windows that hang over": plan_pool((9, 9), 3, 5, dilation=3, partial=True),
}


def shapes(plan):
    """The picture's root, and its rectangles (fill, x, y, width, height) but the background."""
    root = ET.fromstring(plan._repr_svg_())
    rectangles = []
    for each in list(root.iter(f"{SVG}rect"))[1:]:
        places = (float(each.get(name)) for name in ("x", "y", "width", "height"))
        rectangles.append((each.get("fill"), *places))
    return root, rectangles


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_is_well_formed_and_whole(name):
    """The picture is valid SVG, refers to nothing outside it, and every shape lies inside it."""
    plan = DRAWN[name]
    text = plan._repr_svg_()
    root, rectangles = shapes(plan)
    assert root.tag == f"{SVG}svg"
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert 0 < width < 800
    assert 0 < height < 800
    assert re.findall(r"nan|inf|href|url\(|@import|<script|<style|<image", text, re.I) == []
    assert re.findall(r"[a-z]+://", text) == ["http://"]  # the name of SVG itself
    for fill, x, y, w, h in rectangles:
        assert re.fullmatch("#[0-9a-f]{6}", fill)
        assert min(x, y, w, h) >= 0
        assert x + w <= width + 1
        assert y + h <= height + 1


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_stays_small(name):
    """The picture of a large image is small too, as a page may hold many of them."""
    assert len(DRAWN[name]._repr_svg_()) < 20_000


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_names_the_sizes(name):
    """The labels give the sizes of the image, of the padded image and of the output."""
    call = DRAWN[name].problem
    root, _ = shapes(DRAWN[name])
    texts = [each.text for each in root.iter(f"{SVG}text")]
    rows, columns = call.rows, call.columns
    image = f"{rows.size} x {columns.size}"
    if (rows.padded, columns.padded) != (rows.size, columns.size):
        image += f", padded {rows.padded} x {columns.padded}"
    assert texts == [image, f"{rows.outputs} x {columns.outputs}"]
    assert root.find(f"{SVG}title").text == (
        f"{rows.size} by {columns.size} pixels, windows of {rows.window} by {columns.window}, "
        f"{rows.outputs} by {columns.outputs} outputs"
    )


def test_the_picture_is_to_scale():
    """Padding, pixels, output, and the first and last windows are drawn to scale."""
    plan = plan_convolve((7, 9), (3, 2), ((2, 1), (0, 1)), (2, 3))
    (padded_rows, padded_columns), (oh, ow) = (10, 10), (4, 3)
    assert plan.output_shape == (oh, ow)
    _, (padded, pixels, outputs, *windows) = shapes(plan)
    cell = padded[3] / padded_columns

    def cells(rectangle, origin):
        """Column, row, width and height, in cells from an origin."""
        x, y, w, h = rectangle[1:]
        in_cells = ((x - origin[1]) / cell, (y - origin[2]) / cell, w / cell, h / cell)
        return tuple(round(each, 1) for each in in_cells)

    assert cells(padded, padded) == (0, 0, padded_columns, padded_rows)
    assert cells(pixels, padded) == (0, 2, 9, 7)  # below two rows of padding
    assert cells(outputs, outputs) == (0, 0, ow, oh)
    assert outputs[1] > padded[1] + padded[3]
    places = [cells(each, padded) for each in windows], [cells(each, outputs) for each in windows]
    last, first = windows[:3], windows[3:]
    assert {each[0] for each in last} != {each[0] for each in first}
    assert places[0][3:5] == [(0, 0, 2, 3)] * 2  # filled, and framed
    assert places[0][0:2] == [(6, 6, 2, 3)] * 2  # two strides across, three down
    assert places[1][5] == (0, 0, 1, 1)
    assert places[1][2] == (2, 3, 1, 1)


def test_the_picture_shows_the_taps_of_a_dilated_window():
    """A dilated window has one filled cell for each tap, with gaps between them."""
    _, rectangles = shapes(plan_convolve((7, 8), (2, 3), "valid", dilation=(4, 2)))
    padded, windows = rectangles[0], rectangles[3:]
    cell = padded[3] / 8
    first = windows[len(windows) // 2 :]
    places = [
        (round((x - padded[1]) / cell), round((y - padded[2]) / cell)) for _, x, y, *_ in first
    ]
    assert places[:6] == [(0, 0), (2, 0), (4, 0), (0, 4), (2, 4), (4, 4)]
    assert {(round(w, 1), round(h, 1)) for *_, w, h in first[:6]} == {(27.5, 27.5)}


def test_pictures_without_windows():
    """No windows are drawn where the result is empty."""
    for plan in (
        plan_convolve((0, 6), (3, 3)),
        plan_convolve((6, 0), (3, 3)),
        plan_pool((0, 5, 6), 2),
    ):
        assert len(shapes(plan)[1]) == 3
    for plan in (plan_pool((1, 5, 6), 2), plan_pool((1, 5), 1), plan_pool((5, 1), 1)):
        assert len(shapes(plan)[1]) == 3 + 6


def test_the_picture_has_a_line_between_any_two_cells():
    """Cells of the image and of the output are separated by lines if they are large enough."""

    def lines(plan):
        paths = [each.get("d") for each in shapes(plan)[0].iter(f"{SVG}path")]
        return [(path.count("h"), path.count("v")) for path in paths if path.count("M") != 1]

    image, output = (4, 6), (1, 2)  # lines across, and lines down
    assert lines(plan_pool((5, 7), (4, 5), 1)) == [image, image, output]
    assert lines(plan_convolve((500, 700), (3, 3))) == []


def test_the_class_is_public():
    """`convlens.Plan` is public, for annotations and isinstance."""
    assert isinstance(plan_pool((5, 5), 2), convlens.Plan)


@pytest.mark.parametrize("shape", [(1, 1000, 10), (1, 5, 5), (1, 300, 3), (1, 10, 1000)])
def test_the_words_of_the_picture_have_room(shape):
    """The labels do not overlap, and end inside the picture."""
    root = ET.fromstring(plan_convolve(shape, (3, 3))._repr_svg_())
    first, second = root.iter(f"{SVG}text")
    letter = 6  # SVG units, at least as wide as the digits of a sans-serif of size 11
    assert float(first.get("x")) + letter * len(first.text) < float(second.get("x"))
    assert float(second.get("x")) + letter * len(second.text) < float(root.get("width"))


def test_a_plan_reads_at_the_prompt_as_in_print():
    """A plan's repr is its printed text."""
    plan = plan_convolve((2, 5, 5), (3, 3))
    assert repr(plan) == str(plan)
