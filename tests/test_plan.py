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
    "signals": Case(
        plan_convolve((2, 9, 3), (4, 3, 5), (2, 1), 2, dilation=2, space=1),
        *((2, 3, 5), "f8", ((2, 1),), (2,), (2,), 1, (4,)),
        windows=2 * 3,
        multiply_adds=2 * 3 * 5 * 12,
        bytes_moved=8 * (54 + 60 + 30),
    ),
    "one signal": Case(
        plan_pool(numbers(10, "i2"), 3, 1, "avg", padding="same", space=1),
        *((10,), "f8", ((1, 1),), (1,), (1,), 1, (3,)),
        windows=10,
        multiply_adds=10 * 3,
        bytes_moved=2 * 10 + 8 * 10,
    ),
    "a volume": Case(
        plan_convolve((4, 5, 6), (3, 1, 2), ((1, 0), (0, 0), (2, 3)), (1, 2, 3), space=3),
        *((3, 3, 4), "f8", ((1, 0), (0, 0), (2, 3)), (1, 2, 3), (1, 1, 1), 1, (3, 1, 2)),
        windows=3 * 3 * 4,
        multiply_adds=3 * 3 * 4 * 6,
        bytes_moved=8 * (120 + 6 + 36),
    ),
    "volumes with channels": Case(
        plan_pool((2, 4, 6, 8, 3), 2, dilation=(1, 1, 2), space=3),
        *((2, 2, 3, 3, 3), "f8", ((0, 0),) * 3, (2, 2, 2), (1, 1, 2), 3, (2, 2, 2)),
        windows=2 * 2 * 3 * 3,
        multiply_adds=2 * 2 * 3 * 3 * 3 * 8,
        bytes_moved=8 * (1152 + 108),
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
    ((2, 9), (4,), {"space": 1, "pad_value": 3}),
    ((2, 9, 2), (4, 2, 3), {"space": 1, "padding": (3, 1), "stride": 2}),
    ((4, 5, 6), (3, 2, 3), {"space": 3, "pad_mode": "edge"}),
    ((2, 4, 5, 6, 2), (3, 1, 3, 2, 3), {"space": 3, "stride": (1, 2, 1)}),
]
POOLINGS = [
    ((2, 5, 6), (2, {})),
    ((2, 5, 6, 3), ((3, 2), {"stride": 1, "mode": "avg", "padding": "same"})),
    ((5, 6), (3, {"stride": 2, "mode": "sum", "partial": True})),
    ((2, 5, 6), (2, {"mode": "min", "dilation": 3, "stride": 1})),
    ((2, 5, 6), (3, {"mode": "avg", "padding": 1, "count_padding": True})),
    ((2, 5, 6), (3, {"mode": "avg", "padding": 1, "pad_mode": "wrap"})),
    ((9,), (4, {"space": 1, "stride": 1, "mode": "avg", "padding": "same"})),
    ((4, 5, 6), ((1, 2, 2), {"space": 3, "partial": True})),
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
    "signals": (
        plan_convolve((1000, 10000), (31,), space=1, method="numpy"),
        """\
convolve  1,000 signals of 10,000, one kernel of 31 taps
input     (1000, 10000) float64, kernels (31,) float64
output    (1000, 10000) float64
width     (w + before + after - kw) // sw + 1 = (10000 + 15 + 15 - 31) // 1 + 1 = 10000
padding   same: 15 before, 15 after, holding zeros
windows   1,000 x 10,000 = 10,000,000, each of 31 taps
work      310 million multiply-adds
memory    reads 80 MB, writes 80 MB
method    numpy, as asked
""",
    ),
    "signals with channels, dilated": (
        plan_convolve(
            np.ones((64, 4000, 64), "f4"),
            np.ones((9, 64, 128), "f4"),
            "valid",
            2,
            dilation=8,
            space=1,
            method="numpy",
        ),
        """\
convolve  64 signals of 4,000 with 64 channels, 128 kernels of 9 x 64
input     (64, 4000, 64) float32, kernels (9, 64, 128) float32
output    (64, 1968, 128) float32
width     (w + before + after - ((kw - 1) * dw + 1)) // sw + 1 = (4000 + 0 + 0 - ((9 - 1) * 8 + 1)) // 2 + 1 = 1968
padding   none
windows   64 x 1,968 = 125,952, each of 9 x 64 = 576 taps
work      9.29 billion multiply-adds
memory    reads 65.8 MB, writes 64.5 MB
method    numpy, as asked
""",  # noqa: E501
    ),
    "a running mean": (
        plan_pool(
            (100000,), 1001, 1, "avg", padding="same", pad_mode="edge", space=1, method="numpy"
        ),
        """\
pool      one signal of 100,000, the mean of each window of 1,001 taps
input     (100000,) float64
output    (100000,) float64
width     (w + before + after - kw) // sw + 1 = (100000 + 500 + 500 - 1001) // 1 + 1 = 100000
padding   same: 500 before, 500 after, holding the nearest pixel, counted like pixels
windows   100,000, each of 1,001 taps
work      100 million additions
memory    reads 800 kB, writes 800 kB
method    numpy, as asked
""",
    ),
    "what a partial window of a signal covers": (
        plan_pool(
            np.ones((3, 50, 2), "u1"), 4, padding=(1, 0), partial=True, space=1, method="numpy"
        ),
        """\
pool      3 signals of 50 with 2 channels, the largest of each window of 4 taps
input     (3, 50, 2) uint8
output    (3, 13, 2) uint8
width     ceil((w + before + after - kw) / sw) + 1 = ceil((50 + 1 + 0 - 4) / 4) + 1 = 13
padding   1 before, 0 after, left out of every window
windows   3 x 13 = 39, each of 4 taps
work      312 comparisons
memory    reads 300 B, writes 78 B
method    numpy, as asked
""",
    ),
    "a volume": (
        plan_convolve((128, 256, 256), (3, 3, 3), space=3, method="numpy"),
        """\
convolve  one volume of 128 x 256 x 256, one 3 x 3 x 3 kernel
input     (128, 256, 256) float64, kernels (3, 3, 3) float64
output    (128, 256, 256) float64
depth     (d + front + back - kd) // sd + 1 = (128 + 1 + 1 - 3) // 1 + 1 = 128
rows      (h + top + bottom - kh) // sh + 1 = (256 + 1 + 1 - 3) // 1 + 1 = 256
columns   (w + left + right - kw) // sw + 1 = (256 + 1 + 1 - 3) // 1 + 1 = 256
padding   same: 1 in front, 1 behind, 1 above, 1 below, 1 left, 1 right, holding zeros
windows   128 x 256 x 256 = 8,388,608, each of 3 x 3 x 3 = 27 taps
work      226 million multiply-adds
memory    reads 67.1 MB, writes 67.1 MB
method    numpy, as asked
""",
    ),
    "volumes with groups of channels, and sevens around them": (
        plan_convolve(
            np.ones((2, 16, 56, 56, 4), "u1"),
            np.ones((3, 3, 3, 2, 32), "i1"),
            ((1, 0), (1, 2), (3, 0)),
            (1, 2, 2),
            dilation=(1, 1, 3),
            groups=2,
            pad_value=7,
            space=3,
            method="numpy",
        ),
        """\
convolve  2 volumes of 16 x 56 x 56 with 4 channels, 32 kernels of 3 x 3 x 3 x 2 in 2 groups of channels
input     (2, 16, 56, 56, 4) uint8, kernels (3, 3, 3, 2, 32) int8
output    (2, 15, 29, 27, 32) int64
depth     (d + front + back - kd) // sd + 1 = (16 + 1 + 0 - 3) // 1 + 1 = 15
rows      (h + top + bottom - kh) // sh + 1 = (56 + 1 + 2 - 3) // 2 + 1 = 29
columns   (w + left + right - ((kw - 1) * dw + 1)) // sw + 1 = (56 + 3 + 0 - ((3 - 1) * 3 + 1)) // 2 + 1 = 27
padding   1 in front, 0 behind, 1 above, 2 below, 3 left, 0 right, holding 7
windows   2 x 15 x 29 x 27 = 23,490, each of 3 x 3 x 3 x 2 = 54 taps
work      40.6 million multiply-adds
memory    reads 403 kB, writes 6.01 MB
method    numpy, as asked
""",  # noqa: E501
    ),
    "the largest of cubes": (
        plan_pool((8, 64, 64, 64, 16), 2, space=3, method="numpy"),
        """\
pool      8 volumes of 64 x 64 x 64 with 16 channels, the largest of each 2 x 2 x 2 window
input     (8, 64, 64, 64, 16) float64
output    (8, 32, 32, 32, 16) float64
depth     (d + front + back - kd) // sd + 1 = (64 + 0 + 0 - 2) // 2 + 1 = 32
rows      (h + top + bottom - kh) // sh + 1 = (64 + 0 + 0 - 2) // 2 + 1 = 32
columns   (w + left + right - kw) // sw + 1 = (64 + 0 + 0 - 2) // 2 + 1 = 32
padding   none
windows   8 x 32 x 32 x 32 = 262,144, each of 2 x 2 x 2 = 8 taps
work      33.6 million comparisons
memory    reads 268 MB, writes 33.6 MB
method    numpy, as asked
""",
    ),
    "the sum of each slab and its mirror images": (
        plan_pool(
            (9, 9, 9),
            (1, 3, 3),
            1,
            "sum",
            padding="full",
            pad_mode="reflect",
            space=3,
            method="numpy",
        ),
        """\
pool      one volume of 9 x 9 x 9, the sum of each 1 x 3 x 3 window
input     (9, 9, 9) float64
output    (9, 11, 11) float64
depth     (d + front + back - kd) // sd + 1 = (9 + 0 + 0 - 1) // 1 + 1 = 9
rows      (h + top + bottom - kh) // sh + 1 = (9 + 2 + 2 - 3) // 1 + 1 = 11
columns   (w + left + right - kw) // sw + 1 = (9 + 2 + 2 - 3) // 1 + 1 = 11
padding   full: 0 in front, 0 behind, 2 above, 2 below, 2 left, 2 right, holding the volume mirrored at its last pixel, counted like pixels
windows   9 x 11 x 11 = 1,089, each of 1 x 3 x 3 = 9 taps
work      9,801 additions
memory    reads 5.83 kB, writes 8.71 kB
method    numpy, as asked
""",  # noqa: E501
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
        ({"pad_value": 7}, "holding 7"),
        ({"pad_value": -0.1}, "holding -0.1"),
        ({"pad_value": np.nan}, "holding nan"),
        ({"pad_value": -np.inf}, "holding -inf"),
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
    ("dtype", "value", "words"),
    [
        ("f4", 0.1, "0.1"),  # not 0.10000000149011612, which it is
        ("f2", 1 / 3, "0.3333"),
        ("f8", 1e300, "1e+300"),
        ("u1", 255, "255"),
        ("?", True, "True"),
        ("F", 1 - 2j, "(1-2j)"),
        ("f8", 0.0, "zeros"),
    ],
)
def test_what_constant_padding_holds_in_words(dtype, value, words):
    """The number is written as one of the images' type, and zeros by name."""
    plan = plan_convolve(np.ones((5, 6), dtype), np.ones((3, 3), dtype), pad_value=value)
    assert f" 1 right, holding {words}\n" in str(plan)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "left out of every window"),
        ({"mode": "avg"}, "left out of every window"),
        ({"mode": "avg", "count_padding": True}, "counted as zeros"),
        ({"count_padding": True}, "left out of every window"),
        ({"pad_mode": "constant"}, "holding zeros, counted like pixels"),
        ({"pad_mode": "constant", "pad_value": 7}, "holding 7, counted like pixels"),
        ({"pad_mode": "edge", "mode": "avg"}, "holding the nearest pixel, counted like pixels"),
        ({"pad_mode": "wrap"}, "holding the {} over again, counted like pixels"),
        ({"pad_mode": "symmetric"}, "holding the {} mirrored at its edge, counted like pixels"),
    ],
)
@pytest.mark.parametrize(
    ("space", "noun", "sides"),
    [
        (1, "signal", "1 before, 1 after"),
        (2, "image", "1 above, 1 below, 1 left, 1 right"),
        (3, "volume", "1 in front, 1 behind, 1 above, 1 below, 1 left, 1 right"),
    ],
)
def test_padding_of_poolings_in_words(space, noun, sides, options, words):
    """The text says whether padding takes part, what it then holds, and where it is."""
    plan = plan_pool((5,) * space, 3, padding=1, space=space, **options)
    assert f"\npadding   {sides}, {words.format(noun)}\n" in str(plan)


@pytest.mark.parametrize(
    ("plan", "title"),
    [
        (plan_convolve((1,), (1,), space=1), "one signal of 1, one kernel of 1 tap"),
        (plan_convolve((20, 5), (3,), space=1), "20 signals of 5, one kernel of 3 taps"),
        (
            plan_convolve((20, 5, 2), (3,), space=1),
            "20 signals of 5 with 2 channels, one kernel of 3 taps on each channel",
        ),
        (
            plan_convolve((5, 4), (3, 4), space=1),
            "one signal of 5 with 4 channels, one 3 x 4 kernel",
        ),
        (
            plan_convolve((5, 4), (3, 2, 6), groups=2, space=1),
            "one signal of 5 with 4 channels, 6 kernels of 3 x 2 in 2 groups of channels",
        ),
        (
            plan_pool((2, 9000), 2000, space=1),
            "2 signals of 9,000, the largest of each window of 2,000 taps",
        ),
        (
            plan_convolve((3, 5, 6, 7, 4), (3, 3, 3), space=3),
            "3 volumes of 5 x 6 x 7 with 4 channels, one 3 x 3 x 3 kernel on each channel",
        ),
        (
            plan_convolve((5, 6, 7, 4), (3, 3, 3, 4, 8), space=3),
            "one volume of 5 x 6 x 7 with 4 channels, 8 kernels of 3 x 3 x 3 x 4",
        ),
    ],
)
def test_titles_of_signals_and_volumes(plan, title):
    """The first line says what goes in and what slides over it, in the right number."""
    assert str(plan).split("\n")[0][10:] == title


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


def random_plans(count, space=2):
    """Plans of random calls of all kinds, without those that are refused."""
    rng = np.random.default_rng(5)
    made = 0
    while made < count:
        shape, before, after = rng.integers(0, [[9], [4], [4]], (3, space)).tolist()
        options = {
            "padding": [(*zip(before, after, strict=True),), "same", "full"][rng.integers(3)],
            "stride": tuple(rng.integers(1, 5, space).tolist()),
            "dilation": tuple(rng.integers(1, 4, space).tolist()),
            "space": space,
        }
        shape, window = tuple(shape), tuple(rng.integers(1, 5, space).tolist())
        try:
            if rng.random() < 0.5:
                yield plan_convolve(shape, window, **options)
            else:
                partial = bool(rng.random() < 0.7)
                yield plan_pool(shape, window, mode="sum", partial=partial, **options)
        except ValueError as error:
            assert "larger than the padded" in str(error)  # noqa: PT017
            continue
        made += 1


ROWS, COLUMNS = ("rows", "h", "top", "bottom"), ("columns", "w", "left", "right")
LINES = {
    1: [("width", "w", "before", "after")],
    2: [ROWS, COLUMNS],
    3: [("depth", "d", "front", "back"), ROWS, COLUMNS],
}


@pytest.mark.parametrize("space", LINES)
def test_the_formula_in_the_text_is_true(space):
    """Both formulas in the text, with letters and with numbers, give the number of outputs."""
    seen = set()
    for plan in random_plans(1500, space):
        for n, (name, letter, before, after) in enumerate(LINES[space]):
            letters = dict(zip((before, after), plan.padding[n], strict=True))
            letters |= {letter: plan.problem.images.shape[n], f"k{letter}": plan.window[n]}
            letters |= {f"s{letter}": plan.stride[n], f"d{letter}": plan.dilation[n]}
            formula = re.search(rf"^{name} +(.*)$", str(plan), re.MULTILINE)[1]
            symbols, numbers, result = formula.split(" = ")
            assert eval(numbers, {"ceil": math.ceil}) == int(result) == plan.output_shape[n], plan
            assert eval(symbols, letters | {"ceil": math.ceil}) == plan.output_shape[n], plan
            seen |= {
                "ceil" if "ceil" in symbols else "//",
                "dilated" if "- 1) *" in numbers else "",
            }
    assert seen == {"ceil", "//", "dilated", ""}


@pytest.mark.parametrize("space", LINES)
def test_columns_of_the_text_are_aligned(space):
    """A plan's text has a line for each axis and eight more; names fill the first ten columns."""
    for plan in random_plans(50, space):
        lines = str(plan).split("\n")
        assert len(lines) == 8 + space
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
    "a short signal": plan_convolve((12,), (3,), space=1),
    "a long signal": plan_convolve((10**7,), (64,), space=1),
    "a signal of one number": plan_convolve((1,), (1,), space=1),
    "a signal of nothing": plan_convolve((0,), (3,), space=1),
    "no signals": plan_pool((0, 9), 3, space=1),
    "a dilated signal": plan_convolve((64,), (3,), dilation=8, space=1),
    "a signal far away": plan_convolve((9,), (5,), dilation=500, space=1),
    "signals in steps": plan_pool((17,), 4, partial=True, space=1),
    "more outputs than numbers": plan_convolve((2,), (1,), 50, space=1),
    "a small volume": plan_convolve((5, 6, 6), (3, 3, 3), space=3),
    "a single cell": plan_convolve((1, 1, 1), (1, 1, 1), space=3),
    "a very large volume": plan_convolve((512,) * 3, (3, 3, 3), space=3),
    "a larger volume": plan_convolve((10**6,) * 3, (99, 99, 99), "full", space=3),
    "a single slab": plan_convolve((1, 9, 9), (1, 3, 3), space=3),
    "a very deep volume": plan_convolve((10**7, 1, 1), (3, 1, 1), space=3),
    "a very high volume": plan_convolve((1, 10**7, 1), (1, 3, 1), space=3),
    "a very wide volume": plan_convolve((1, 1, 10**7), (1, 1, 3), space=3),
    "dilated cubes": plan_convolve((9, 9, 9), (3, 3, 3), "valid", dilation=2, space=3),
    "dilated cubes, as many as are drawn": plan_pool((9, 9, 9), 4, 1, dilation=2, space=3),
    "more dilated cubes": plan_pool((9, 9, 9), 5, 1, dilation=2, space=3),
    "cubes that hang over": plan_pool((4, 6, 7), 2, partial=True, space=3),
    "a volume without slabs": plan_convolve((0, 4, 4), (3, 3, 3), space=3),
    "a volume without cells": plan_convolve((0, 0, 0), (2, 2, 2), 3, space=3),
    "no volumes": plan_pool((0, 4, 4, 4), 2, space=3),
}
OF_SPACE = {
    space: [name for name, plan in DRAWN.items() if plan.problem.space == space]
    for space in (1, 2, 3)
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
    assert root.get("style") == "max-width:100%;height:auto"  # on a page that is less wide
    assert 0 < width < 800
    assert 0 < height < 800
    assert re.findall(r"nan|inf|href|url\(|@import|<script|<style|<image", text, re.I) == []
    assert re.findall(r"[a-z]+://", text) == ["http://"]  # the name of SVG itself
    for fill, x, y, w, h in rectangles:
        assert re.fullmatch("#[0-9a-f]{6}", fill)
        assert min(x, y, w, h) >= 0
        assert x + w <= width + 1
        assert y + h <= height + 1
    for each in root.iter(f"{SVG}path"):
        for x, y in points(each.get("d")):
            assert -1 <= x <= width + 1
            assert -1 <= y <= height + 1


def points(path):
    """The points of a path, which has horizontal, vertical and straight lines alone."""
    x = y = 0.0
    for command, numbers in re.findall(r"([A-Za-z])([-\d. ]*)", path):
        given = [float(number) for number in numbers.split()]
        if command == "z":
            continue
        across, down = {"h": (given[0], 0), "v": (0, given[0])}.get(command, given[-2:])
        absolute = command in "ML"
        x, y = (across, down) if absolute else (x + across, y + down)
        yield x, y


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_stays_small(name):
    """The picture of a large image is small too, as a page may hold many of them."""
    assert len(DRAWN[name]._repr_svg_()) < 20_000
    if max(DRAWN[name].problem.images.shape) >= 500:
        assert len(DRAWN[name]._repr_svg_()) < 5000


@pytest.mark.parametrize("name", OF_SPACE[2])
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


# ---------------------------------------------------------------- signals and volumes, drawn


def texts(plan):
    """The words in a picture."""
    return [each.text for each in shapes(plan)[0].iter(f"{SVG}text")]


def test_the_picture_of_a_signal_names_its_lengths():
    """The labels have the length, that with the padding, and the outputs, in words."""
    plan = plan_convolve((20, 10_000), (31,), space=1)
    assert texts(plan) == ["10,000 pixels, padded to 10,030", "10,000 outputs"]
    assert texts(plan_pool((12,), 3, space=1)) == ["12 pixels", "4 outputs"]
    assert texts(plan_pool((1,), 1, space=1)) == ["1 pixel", "1 output"]
    root, _ = shapes(plan)
    title = "10000 pixels, windows of 31, 10000 outputs"
    assert root.find(f"{SVG}title").text == title


def test_the_picture_of_a_volume_names_its_sizes_and_axes():
    """The labels have the sizes along all three axes, and each axis has its name at its edge."""
    plan = plan_convolve((5, 6, 8), (3, 3, 3), space=3)
    names = ["columns", "rows", "depth"]
    assert texts(plan) == ["5 x 6 x 8", "padded 7 x 8 x 10", "5 x 6 x 8", *names]
    assert texts(plan_pool((8, 8, 8), 2, space=3)) == ["8 x 8 x 8", "4 x 4 x 4", *names]
    root, _ = shapes(plan)
    title = "5 by 6 by 8 pixels, windows of 3 by 3 by 3, 5 by 6 by 8 outputs"
    assert root.find(f"{SVG}title").text == title
    # Edges that are too short have none.
    assert texts(plan_pool((1, 9, 9), (1, 3, 3), space=3))[2:] == ["columns", "rows"]
    assert texts(plan_pool((90, 9, 9), 3, space=3))[2:] == ["depth"]


@pytest.mark.parametrize("name", OF_SPACE[1] + OF_SPACE[3])
def test_the_words_of_pictures_of_signals_and_volumes_have_room(name):
    """The labels end inside the picture, and those of a volume do not overlap."""
    root, _ = shapes(DRAWN[name])
    letter = 6
    labels = [each for each in root.iter(f"{SVG}text") if each.get("x")]
    for each in labels:
        assert float(each.get("x")) >= 0
        assert float(each.get("x")) + letter * len(each.text) < float(root.get("width"))
        assert 11 < float(each.get("y")) < float(root.get("height"))
    if DRAWN[name].problem.space == 3:
        *given, made = labels
        for each in given:
            assert float(each.get("x")) + letter * len(each.text) < float(made.get("x"))


def test_the_picture_of_a_signal_is_to_scale():
    """Padding, pixels, outputs and windows are as long as they should be, and where they are."""
    plan = plan_convolve((9,), (3,), (2, 1), 3, space=1)
    _, (padded, pixels, outputs, *windows) = shapes(plan)
    cell = padded[3] / 12

    def cells(rectangle, origin):
        return tuple(round(each / cell, 1) for each in (rectangle[1] - origin[1], rectangle[3]))

    assert cells(padded, padded) == (0, 12)
    assert cells(pixels, padded) == (2, 9)
    assert cells(outputs, outputs) == (0, 4)
    assert cells(outputs, padded) == (4, 4)  # the middles of both lie below one another
    assert padded[2] == pixels[2] < outputs[2]
    last, first = windows[:3], windows[3:]
    assert {each[0] for each in last} != {each[0] for each in first}
    assert [cells(each, padded) for each in first[:2]] == [(0, 3)] * 2  # filled, and framed
    assert [cells(each, padded) for each in last[:2]] == [(9, 3)] * 2
    assert (cells(first[2], outputs), cells(last[2], outputs)) == ((0, 1), (3, 1))


def test_outputs_lie_below_their_windows_at_stride_one():
    """The middle of a window and that of its output have the same place across."""
    for padding in ("valid", "same", "full", (3, 0)):
        plan = plan_convolve((20,), (5,), padding, space=1)
        _, (_, _, _, *windows) = shapes(plan)
        for _, window, output in (windows[:3], windows[3:]):
            middles = [x + w / 2 for _, x, _, w, _ in (window, output)]
            assert middles[0] == pytest.approx(middles[1], abs=0.2)


def test_windows_of_long_signals_can_be_seen():
    """They are two units wide at least, and do not reach beyond the strips."""
    _, (padded, _, outputs, *windows) = shapes(plan_convolve((10**7,), (64,), space=1))
    for fill, frame, output in (windows[:3], windows[3:]):
        assert fill[3] == frame[3] == output[3] == 2
        for each, strip in ((frame, padded), (output, outputs)):
            assert each[1] >= strip[1] - 0.1
            assert each[1] + 2 <= strip[1] + strip[3] + 0.1


def test_the_picture_of_a_signal_shows_the_taps_of_a_dilated_window():
    """A dilated window has one filled cell for each tap, with gaps between them."""
    _, rectangles = shapes(plan_convolve((20,), (3,), "valid", dilation=4, space=1))
    padded, windows = rectangles[0], rectangles[3:]
    first = windows[len(windows) // 2 :]
    cell = padded[3] / 20
    assert [round((x - padded[1]) / cell) for _, x, *_ in first[:3]] == [0, 4, 8]
    assert {round(w / cell, 1) for *_, w, _ in first[:3]} == {1}


FIRST, LAST = "#0072b2", "#d55e00"


def boxes(plan):
    """The parts of a volume's picture: for each path its fill, its stroke and its points."""
    root, _ = shapes(plan)
    return [
        (each.get("fill"), each.get("stroke"), [*points(each.get("d"))])
        for each in root.iter(f"{SVG}path")
    ]


def sides(plan, colour):
    """The corners of the front, the top and the right side of each framed window of a colour."""
    frames = [path for fill, stroke, path in boxes(plan) if (fill, stroke) == ("none", colour)]
    return [[frame[i : i + 4] for i in (0, 4, 8)] for frame in frames]


def test_the_picture_of_a_volume_is_to_scale():
    """Windows and outputs have their sizes along all axes, and lie where they should."""
    plan = plan_convolve((6, 8, 9), (2, 3, 4), "valid", (2, 5, 1), space=3)
    assert plan.output_shape == (3, 2, 6)
    (front, *_), (made, *_) = sides(plan, FIRST)
    (last, _, right), (made_last, *_) = sides(plan, LAST)
    cell = (made[1][0] - made[0][0]) / 1

    def size(side):
        return [
            round(abs(b - a) / cell, 1)
            for a, b in ((side[0][0], side[1][0]), (side[1][1], side[2][1]))
        ]

    assert size(front) == size(last) == [4, 3]
    assert size(made) == size(made_last) == [1, 1]
    step = [b - a for a, b in zip(right[0], right[1], strict=True)]  # two cells back
    assert step[0] > 0 > step[1]
    back = [each / 2 for each in step]
    # The last window: four cells back, five down and five across.
    expected = [
        front[0][0] + 4 * back[0] + 5 * cell,
        front[0][1] + 4 * back[1] + 5 * cell,
    ]
    assert last[0] == pytest.approx(expected, abs=0.3)
    expected = [made[0][0] + 2 * back[0] + 5 * cell, made[0][1] + 2 * back[1] + 1 * cell]
    assert made_last[0] == pytest.approx(expected, abs=0.3)


def test_windows_of_large_volumes_can_be_seen():
    """Their sides are three units at least, within the box."""
    plan = plan_convolve((512,) * 3, (3, 3, 3), space=3)
    for colour in (FIRST, LAST):
        for front, *_ in sides(plan, colour):
            assert front[1][0] - front[0][0] == pytest.approx(3, abs=0.11)
            assert front[2][1] - front[1][1] == pytest.approx(3, abs=0.11)


@pytest.mark.parametrize(
    ("window", "dilation", "taps"), [(2, 1, 1), (2, 2, 8), ((1, 2, 3), (1, 1, 3), 6), (5, 2, 1)]
)
def test_the_picture_of_a_volume_shows_the_taps_of_a_dilated_window(window, dilation, taps):
    """A dilated window has a filled cube for each tap, unless there are too many to be seen."""
    plan = plan_pool((9, 9, 9), window, 1, dilation=dilation, space=3)
    for colour in (FIRST, LAST):
        filled = [path for fill, _, path in boxes(plan) if fill == colour]
        assert [len(path) // 4 for path in filled[:3]] == [taps] * 3  # front, top, right
        assert [len(path) // 4 for path in filled[3:]] == [1] * 3  # the output


def test_the_last_window_is_behind_the_glass():
    """The last window is drawn before the volume, its frame after it, and the first at the end."""
    for padding in ("valid", "same"):
        paths = boxes(plan_convolve((9, 9, 9), (3, 3, 3), padding, space=3))
        order = [LAST if LAST in path else FIRST if FIRST in path else "" for path in paths]
        given = order[order.index(LAST) : order.index(FIRST) + 4]
        walls = len(given) - 3 - 1 - 4
        assert given == [LAST] * 3 + [""] * walls + [LAST] + [FIRST] * 4
        assert walls == (4 if padding == "valid" else 7) + 1  # with the far edges, and the lines


def test_pictures_of_signals_and_volumes_without_windows():
    """No windows are drawn where the result is empty."""
    for name in ("a signal of nothing", "no signals"):
        assert len(shapes(DRAWN[name])[1]) == 3
    for name in ("a volume without slabs", "no volumes"):
        assert {FIRST, LAST}.isdisjoint(each for path in boxes(DRAWN[name]) for each in path[:2])


def test_lines_between_cells_of_signals_and_volumes():
    """Cells are separated by lines if they are large enough."""

    def lines(plan):
        white = [
            each.get("d")
            for each in shapes(plan)[0].iter(f"{SVG}path")
            if each.get("stroke") == "#ffffff"
        ]
        return [path.count("M") for path in white]

    assert lines(plan_pool((12,), 3, space=1)) == [11, 11, 3]  # padded, pixels, outputs
    assert lines(plan_pool((1200,), 3, space=1)) == []
    assert lines(plan_pool((4, 6, 8), 2, space=3)) == [3 + 5 + 7, 1 + 2 + 3]
    assert lines(plan_pool((40, 60, 80), 2, space=3)) == []
