"""Each wrong call of `convlens.ndimage` is refused with SciPy's kind of error, in our words."""

import numpy as np
import pytest
import scipy.ndimage

from convlens import ndimage

IMAGE = np.arange(20.0).reshape(4, 5)
REFUSED = [
    ("correlate1d", ([[1, 2]],), {}, RuntimeError, "no filter weights given.*shape \\(1, 2\\)"),
    ("correlate1d", ([],), {}, RuntimeError, "no filter weights given"),
    (
        "correlate1d",
        ([1, 2, 3],),
        {"origin": 2},
        ValueError,
        "3 taps has origins from -1 to 1; got 2",
    ),
    ("correlate1d", ([1, 2],), {"axis": 2}, ValueError, "axis 2 is out of bounds"),
    (
        "correlate1d",
        ([1, 2],),
        {"mode": "edge"},
        RuntimeError,
        "boundary mode not supported.*'edge'",
    ),
    ("correlate1d", ([1, 2],), {"mode": 3}, RuntimeError, "boundary mode not supported.*got 3"),
    ("convolve1d", ([1, 2, 3],), {"origin": -2}, ValueError, "origins from -1 to 1; got 2"),
    (
        "correlate",
        ([1, 2],),
        {},
        RuntimeError,
        "weights.ndim \\(1\\) must match len\\(axes\\) \\(2\\)",
    ),
    ("correlate", (np.ones((0, 3)),), {}, RuntimeError, "must have one tap at least"),
    (
        "correlate",
        (np.ones((3, 3)),),
        {"mode": ["wrap", "wrap"]},
        RuntimeError,
        "A sequence of modes",
    ),
    ("correlate", (np.ones((3, 3)),), {"origin": (0, 2)}, ValueError, "Invalid origin"),
    ("correlate", (np.ones((3, 3)),), {"axes": (0, 0)}, ValueError, "axes must be unique"),
    (
        "correlate",
        (np.ones((3, 3)),),
        {"axes": (0, 2)},
        ValueError,
        "specified axis: 2 is out of range",
    ),
    ("correlate", (np.ones((3, 3)),), {"axes": (0.5, 1)}, TypeError, "as an integer"),
    (
        "correlate",
        (np.ones((3, 3)),),
        {"output": np.zeros(3)},
        RuntimeError,
        "must be \\(4, 5\\); got",
    ),
    (
        "correlate",
        (np.ones((3, 3)),),
        {"output": "f2"},
        RuntimeError,
        "the output must be.*float16",
    ),
    (
        "correlate",
        (np.ones((3, 3)),),
        {"output": "?"},
        RuntimeError,
        "output must have numeric dtype",
    ),
    (
        "correlate",
        (1j * np.ones((3, 3)),),
        {"output": "f8"},
        RuntimeError,
        "output must have complex",
    ),
    (
        "correlate",
        (1j * np.ones((3, 3)),),
        {"output": IMAGE},
        RuntimeError,
        "output must have complex",
    ),
    (
        "correlate",
        (1j * np.ones((3, 3)),),
        {"cval": 1j},
        ValueError,
        "complex-valued cval.*got cval=1j",
    ),
    ("uniform_filter", (3,), {"mode": ["wrap"]}, RuntimeError, "mode must be one value or 2"),
    ("uniform_filter", ((3, 3, 3),), {}, RuntimeError, "size must be one value or 2.*got 3"),
    ("uniform_filter", (3,), {"origin": 2}, ValueError, "invalid origin: a window of 3 taps"),
    ("uniform_filter1d", (0,), {}, RuntimeError, "incorrect filter size.*got 0"),
    ("gaussian_filter", (1, -1), {}, ValueError, "order must be non-negative; got -1"),
    (
        "gaussian_filter",
        (1,),
        {"radius": -1},
        ValueError,
        "Radius must be a nonnegative.*radius=-1",
    ),
    ("gaussian_filter", (1,), {"radius": 1.5}, ValueError, "Radius must be a nonnegative.*1.5"),
    ("gaussian_filter", ((1, 2, 3),), {}, RuntimeError, "sigma must be one value or 2"),
    ("maximum_filter", (), {}, RuntimeError, "no footprint provided: give size or footprint"),
    ("maximum_filter", (), {"footprint": np.zeros((3, 3))}, ValueError, "All-zero footprint"),
    (
        "maximum_filter",
        (),
        {"footprint": [1, 0]},
        RuntimeError,
        "footprint.ndim \\(1\\) must match",
    ),
    ("maximum_filter1d", (0,), {}, RuntimeError, "incorrect filter size"),
    ("maximum_filter1d", (3,), {"origin": -2}, ValueError, "invalid origin"),
    ("grey_erosion", (), {}, ValueError, "size, footprint, or structure must be specified"),
    ("grey_erosion", (), {"structure": [1, 2]}, RuntimeError, "must match"),
    ("median_filter", (), {}, RuntimeError, "no footprint or filter size provided"),
    ("rank_filter", (9, 3), {}, RuntimeError, "rank not within filter footprint size.*9 numbers"),
    ("rank_filter", (0.5, 3), {}, TypeError, "as an integer"),
    ("percentile_filter", (101, 3), {}, RuntimeError, "invalid percentile.*got 101"),
    ("median_filter", (3,), {"mode": ["wrap", "wrap"]}, RuntimeError, "A sequence of modes"),
    ("binary_erosion", (), {"iterations": 1.5}, TypeError, "should be an integer; got 1.5"),
    ("binary_erosion", (np.ones(3),), {}, RuntimeError, "same dimensionality; got 1 axes and 2"),
    ("binary_erosion", (np.ones((0, 3)),), {}, RuntimeError, "structure must not be empty"),
    ("binary_erosion", (), {"mask": [True]}, RuntimeError, "mask and input must have equal sizes"),
    (
        "binary_dilation",
        (),
        {"output": np.zeros((4, 5), complex)},
        TypeError,
        "Complex output type",
    ),
]


@pytest.mark.parametrize(
    ("name", "args", "keywords", "error", "words"),
    REFUSED,
    ids=[f"{n}-{row[0]}" for n, row in enumerate(REFUSED)],
)
def test_refusals(name, args, keywords, error, words):
    """A wrong call is not refused, or not as SciPy refuses it, or not in these words."""
    with pytest.raises(error):
        getattr(scipy.ndimage, name)(IMAGE, *args, **keywords)
    with pytest.raises(error, match=words):
        getattr(ndimage, name)(IMAGE, *args, **keywords)


@pytest.mark.parametrize("dtype", ["f2", "g", "O", "M8[s]", "S3"])
@pytest.mark.parametrize(
    ("name", "args"),
    [("correlate1d", ([1, 2],)), ("gaussian_filter", (1,)), ("maximum_filter", (3,))],
)
def test_types_that_are_not_taken(name, args, dtype):
    """A type that SciPy does not filter is not refused."""
    with pytest.raises(RuntimeError, match="data type not supported: the input must be"):
        getattr(ndimage, name)(np.zeros((4, 5), dtype), *args)


@pytest.mark.parametrize("name", ["maximum_filter", "median_filter", "grey_erosion"])
def test_complex_numbers_have_no_order(name):
    """Complex numbers are ordered, or refused with another error than SciPy's."""
    with pytest.raises(TypeError, match="Complex type not supported; got complex128"):
        getattr(ndimage, name)(IMAGE + 0j, 3)


def test_outputs_that_cannot_be_written():
    """A read-only output is written, or the filter is computed before it is refused."""
    output = np.zeros((4, 5))
    output.flags.writeable = False
    with pytest.raises(ValueError, match="output is read-only"):
        ndimage.maximum_filter(IMAGE, 3, output=output)


def test_complex_outputs():
    """A type of real numbers for the output of complex ones is not promoted with a warning."""
    with pytest.warns(UserWarning, match="promoting specified output dtype to complex"):
        result = ndimage.correlate1d(IMAGE, [1, 1j], output=np.float32)
    assert result.dtype == np.complex64


@pytest.mark.parametrize(
    "name", ["maximum_filter", "median_filter", "grey_opening", "white_tophat"]
)
def test_size_beside_footprint(name):
    """A size that is not used is not warned of, at the line that made the call."""
    with pytest.warns(UserWarning, match="ignoring size because footprint is set") as caught:
        getattr(ndimage, name)(IMAGE, 3, footprint=np.eye(3))
    assert {each.filename for each in caught} == {__file__}
