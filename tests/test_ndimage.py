"""`convlens.ndimage` gives SciPy's answers: the bits of integers, and floats within rounding.

Every function is called with random arrays of every type and of one to four axes, in every mode,
with origins, axes and outputs of every kind, and SciPy is called with the same. Each call is made
with the compiled pipelines and without them.
"""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, reject
from hypothesis import strategies as st
from strategies import built, law

from convlens import ndimage
from convlens.ndimage import engine

MODES = (
    "reflect",
    "grid-mirror",
    "mirror",
    "nearest",
    "constant",
    "grid-constant",
    "wrap",
    "grid-wrap",
)
INTEGERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
TYPES = ("?", *INTEGERS, "f4", "f8")
# SciPy keeps numbers below 0 in uint64 as floats near 2**64, of which it makes 0 later.
SEVERAL_PASSES = ("?", *INTEGERS[:-1], "f4", "f8")
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, scope="module", params=[pytest.param(True, marks=built), False])
def compiled(request):
    """Whether filters may be computed by pipelines: all tests are run with them and without."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.param:
            patch.setattr(engine, "runs", lambda *_: False)
        yield


def numbers(rng, shape, dtype):
    """An array of numbers that every sum here holds, laid out in memory in some way."""
    dtype = np.dtype(dtype)
    low, high = (-60, 60) if dtype.kind in "if" else (0, 2 if dtype.kind == "b" else 200)
    array = rng.integers(low, high, shape)
    array = (array + rng.random(shape) if dtype.kind == "f" else array).astype(dtype)
    layout = rng.choice(["plain", "reversed", "transposed", "sliced", "swapped", "read-only"])
    if layout == "reversed":
        array = np.flip(array)
    elif layout == "transposed":
        array = np.array(array.T, order="C").T
    elif layout == "sliced":
        wide = np.zeros([2 * size for size in shape], dtype)
        part = wide[tuple(slice(None, None, 2) for _ in shape)]
        part[...] = array
        array = part
    elif layout == "swapped":
        array = array.astype(dtype.newbyteorder())
    elif layout == "read-only":
        array.flags.writeable = False
    return array


class Call:
    """A random call: the array, and what every filter takes."""

    def __init__(self, seed, types=TYPES, ranks=(1, 2, 3, 4), most=9):
        self.rng = rng = np.random.default_rng(seed)
        self.rank = int(rng.choice(ranks))
        self.array = numbers(rng, rng.integers(1, most, self.rank), rng.choice(types))
        self.filtered = tuple(range(self.rank))
        values = [0, 0, 1] if self.array.dtype.kind == "b" else [0, 0, 1, 2.5]
        self.keywords = {"mode": str(rng.choice(MODES)), "cval": float(rng.choice(values))}

    def axes(self, *, in_order=False):
        """Some axes to filter along, in some order."""
        if self.rng.random() < 0.5:
            count = self.rng.integers(1, self.rank + 1)
            chosen = self.rng.permutation(self.rank)[:count]
            chosen = sorted(chosen) if in_order else chosen
            self.filtered = tuple(int(axis) for axis in chosen)
            sign = self.rng.choice([0, self.rank])
            self.keywords["axes"] = tuple(axis - int(sign) for axis in self.filtered)
        return self

    def modes(self):
        """A mode for each axis."""
        if self.rng.random() < 0.5:
            modes = self.rng.choice(MODES, len(self.filtered))
            self.keywords["mode"] = [str(mode) for mode in modes]
        return self

    def sizes(self, most=6):
        """Some taps for each axis, fewer of a window with many axes."""
        many = len(self.filtered) > 2
        return tuple(int(n) for n in self.rng.integers(1, 4 if many else most, len(self.filtered)))

    def origins(self, sizes):
        """An origin that each of the windows allows."""
        if self.rng.random() < 0.5:
            each = [int(self.rng.integers(-(n // 2), (n - 1) // 2 + 1)) for n in sizes]
            self.keywords["origin"] = each
        return self

    def output(self, types):
        """An output of one of these types: a new array, or one that is given."""
        kind = self.rng.choice(["none", "type", "array"])
        dtype = np.dtype(str(self.rng.choice(types)))
        if kind != "none":
            shape = self.array.shape
            self.keywords["output"] = dtype if kind == "type" else np.zeros(shape, dtype)
        return self

    def footprint(self, sizes):
        """A footprint with some taps, at least one."""
        taps = self.rng.random(sizes) < 0.6
        taps.flat[self.rng.integers(taps.size)] = True
        return taps

    def run(self, name, *args, of=ndimage, **more):
        """The result of a function, into an output of its own."""
        keywords = {**self.keywords, **more}
        if isinstance(keywords.get("output"), np.ndarray):
            keywords["output"] = keywords["output"].copy()
        before = self.array.copy()
        result = getattr(of, name)(self.array, *args, **keywords)
        np.testing.assert_array_equal(self.array, before)
        if isinstance(keywords.get("output"), np.ndarray):
            assert result is keywords["output"]
        return result

    def both(self, name, *args, **more):
        """Our result and SciPy's, if SciPy takes the call; if not, ours is refused alike."""
        try:
            theirs = self.run(name, *args, of=scipy.ndimage, **more)
        except (RuntimeError, ValueError, TypeError) as error:
            with pytest.raises(type(error)):
                self.run(name, *args, **more)
            reject()
        return self.run(name, *args, **more), theirs


def same(ours, theirs, bound=0.0):
    """Both have one type, equal integers, and floats that differ by no more than the bound."""
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if theirs.dtype.kind == "b":  # SciPy's may hold other bytes than 0 and 1
        np.testing.assert_array_equal(ours.view("u1"), theirs.view("u1") != 0)
    elif theirs.dtype.kind in "iu":
        np.testing.assert_array_equal(ours, theirs)
    else:
        difference = np.abs(ours.astype(complex) - theirs)
        assert (difference <= bound).all(), difference.max()


def rounding(result, magnitudes):
    """How far a float may be off, if these are the sums of the magnitudes of its terms."""
    single = result.dtype.itemsize // (2 if result.dtype.kind == "c" else 1) == 4
    return 24 * np.finfo(np.float32 if single else np.float64).eps * (np.abs(magnitudes) + 1e-30)


# --------------------------------------------------------------------------------- sums


def weights(rng, shape):
    """Weights of some kind: whole, symmetric, antisymmetric, or any; with zeros among them."""
    kind = rng.choice(["whole", "symmetric", "antisymmetric", "any"])
    taps = rng.integers(-3, 4, shape).astype(float)
    if kind != "whole":
        taps = rng.normal(size=shape)
        taps[rng.random(shape) < 0.2] = 0
    if kind == "symmetric":
        taps = taps + np.flip(taps)
    elif kind == "antisymmetric":
        taps = taps - np.flip(taps)
    return taps


@pytest.mark.parametrize("name", ["correlate1d", "convolve1d"])
@law
@given(seed=seeds)
def test_lines(name, seed):
    """Correlation or convolution along an axis is not SciPy's."""
    call = Call(seed)
    line = weights(call.rng, int(call.rng.integers(1, 9)))
    call.output(TYPES[1:]).keywords["axis"] = int(call.rng.integers(-call.rank, call.rank))
    call.origins([len(line)])
    if "origin" in call.keywords:
        (origin,) = call.keywords["origin"]
        if name == "convolve1d" and len(line) % 2 == 0:  # the other way round
            origin = -origin - 1
        call.keywords["origin"] = origin
    ours, theirs = call.both(name, line)
    sums = getattr(scipy.ndimage, name)(
        np.abs(call.array.astype(float)),
        np.abs(line),
        **{**call.keywords, "output": float},
    )
    same(ours, theirs, rounding(theirs, sums))


@pytest.mark.parametrize("name", ["correlate", "convolve"])
@law
@given(seed=seeds)
def test_windows(name, seed):
    """Correlation or convolution with weights of as many axes as are filtered is not SciPy's."""
    call = Call(seed).axes().output(TYPES[1:])
    sizes = call.sizes()
    taps = weights(call.rng, sizes)
    call.origins(sizes)
    if name == "convolve" and "origin" in call.keywords:
        flipped = zip(call.keywords["origin"], sizes, strict=True)
        call.keywords["origin"] = [-at - (n % 2 == 0) for at, n in flipped]
    ours, theirs = call.both(name, taps)
    keywords = {**call.keywords, "output": float}
    array = np.abs(call.array.astype(float))
    sums = getattr(scipy.ndimage, name)(array, np.abs(taps), **keywords)
    same(ours, theirs, rounding(theirs, sums))


@pytest.mark.parametrize("name", ["correlate1d", "convolve1d", "correlate", "convolve"])
@law
@given(seed=seeds)
def test_complex_numbers(name, seed):
    """Complex pixels or weights are not filtered as SciPy does it."""
    call = Call(seed, types=("f4", "f8", "u1"), ranks=(1, 2, 3))
    rng, sizes = call.rng, (3,) if name.endswith("1d") else (3,) * call.rank
    kind = rng.choice(["pixels", "weights", "both"])
    taps = rng.normal(size=sizes)
    if kind != "pixels":
        taps = taps + 1j * rng.normal(size=sizes)
    if kind != "weights":
        call.array = (call.array + 1j * rng.normal(size=call.array.shape)).astype("F")
        call.keywords["cval"] = 1 - 2j
    ours, theirs = call.both(name, taps)
    sums = 3 * 260 * np.abs(taps).sum()
    same(ours, theirs, rounding(theirs, sums))


@law
@given(seed=seeds)
def test_gaussians(seed):
    """A gaussian or a derivative of one, with an order and a mode for each axis, is not SciPy's."""
    call = Call(seed).axes().modes().output(TYPES[1:])
    count = len(call.filtered)
    sigma = [float(s) for s in call.rng.choice([0, 0.4, 0.7, 1, 1.6], count)]
    order = [int(n) for n in call.rng.choice([0, 0, 0, 1, 2], count)]
    more = {"radius": int(call.rng.integers(0, 4))} if call.rng.random() < 0.2 else {}
    ours, theirs = call.both("gaussian_filter", sigma, order, **more)
    same(ours, theirs, rounding(theirs, 200 * 4**count))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("sobel", ()),
        ("prewitt", ()),
        ("laplace", ()),
        ("gaussian_filter1d", (1.3,)),
        ("gaussian_laplace", (1,)),
        ("gaussian_gradient_magnitude", (1,)),
    ],
)
@law
@given(seed=seeds)
def test_derivatives(name, args, seed):
    """A filter that finds edges is not SciPy's."""
    call = Call(seed, types=SEVERAL_PASSES, ranks=(1, 2, 3))
    if name in ("sobel", "prewitt", "gaussian_filter1d"):
        call.keywords["axis"] = int(call.rng.integers(-call.rank, call.rank))
    if name == "gaussian_filter1d":
        call.keywords["order"] = int(call.rng.integers(0, 4))
    else:
        call.modes()
    signed = ("i2", "i4", "i8", "f4", "f8")
    if call.array.dtype.kind == "b" or name == "gaussian_gradient_magnitude":
        call.keywords["output"] = np.dtype(str(call.rng.choice(signed)))
    ours, theirs = call.both(name, *args)
    if name == "gaussian_gradient_magnitude" and theirs.dtype.kind == "f":
        # Squares cancel nothing, but the root of a small sum of them magnifies its error.
        same(ours**2, theirs**2, rounding(theirs, 4 * 200.0**2))
    else:
        same(ours, theirs, rounding(theirs, 200 * 4**call.rank))


@law
@given(seed=seeds)
def test_means(seed):
    """A mean of floats is not SciPy's, up to the drift of SciPy's running sums."""
    call = Call(seed, types=("f4", "f8", "u1", "i4")).axes().modes().output(("f4", "f8"))
    if call.array.dtype.kind != "f" and not isinstance(call.keywords.get("output"), np.ndarray):
        call.keywords["output"] = np.dtype("f8")
    sizes = call.sizes()
    call.origins(sizes)
    ours, theirs = call.both("uniform_filter", sizes)
    same(ours, theirs, rounding(theirs, 260))


def exact_means(array, steps, dtype):
    """Means along one axis after the other, in Python's integers, cut off to a type in between."""
    names = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}
    names |= {"grid-mirror": "symmetric", "grid-wrap": "wrap"}
    result = array.astype(dtype)
    for number, (axis, size, mode, cval) in enumerate(steps):
        pixels = (array if number == 0 else result).astype(object)
        pads = [
            (size // 2, size - 1 - size // 2) if n == axis else (0, 0) for n in range(array.ndim)
        ]
        constant = {"constant_values": cval} if "constant" in mode else {}
        cells = np.pad(pixels, pads, names.get(mode, "constant"), **constant)
        windows = np.lib.stride_tricks.sliding_window_view(cells, size, axis)
        sums = windows.sum(axis=-1, dtype=object)
        cut = [abs(total) // size * (1 if total >= 0 else -1) for total in sums.ravel()]
        wrapped = np.array([int(number) % 2**64 for number in cut], np.uint64)
        result = wrapped.astype(dtype).reshape(sums.shape)
    return result


@law
@given(seed=seeds)
def test_means_of_integers(seed):
    """The mean of integers is not their exact sum divided, cut off after each axis."""
    call = Call(seed, types=INTEGERS[:-1]).axes().modes().output(INTEGERS[:-1])
    call.keywords["cval"] = int(call.rng.integers(0, 3))
    sizes = call.sizes(14)
    modes = call.keywords["mode"]
    modes = [modes] * len(sizes) if isinstance(modes, str) else modes
    each = zip(call.filtered, sizes, modes, strict=True)
    steps = [(axis, n, mode, call.keywords["cval"]) for axis, n, mode in each if n > 1]
    ours = call.run("uniform_filter", sizes)
    np.testing.assert_array_equal(ours, exact_means(call.array, steps, ours.dtype))


@pytest.mark.parametrize("axis", [0, 1])
def test_means_of_bytes(axis):
    """A sum of bytes is divided wrongly: by a multiplication, if the window is not too large."""
    rng = np.random.default_rng(axis)
    array = rng.integers(0, 256, (40, 2000), np.uint8)
    array[::2] = 255 - array[::2] // 64  # for the largest sums
    array = np.moveaxis(array, 1, axis)
    for size in range(1, 300):
        ours = ndimage.uniform_filter1d(array, size, axis)
        np.testing.assert_array_equal(ours, scipy.ndimage.uniform_filter1d(array, size, axis))
    sizes = (3, 8, 12, 300)
    for size in ((high, wide) for high in sizes for wide in sizes):
        ours = ndimage.uniform_filter(array, size)
        np.testing.assert_array_equal(ours, scipy.ndimage.uniform_filter(array, size))


# ------------------------------------------------------------------ extremes and ranks


@pytest.mark.parametrize("name", ["maximum_filter", "minimum_filter"])
@law
@given(seed=seeds)
def test_extremes_of_rectangles(name, seed):
    """The largest or smallest number of a rectangle is not SciPy's."""
    call = Call(seed).axes().modes().output(SEVERAL_PASSES)
    sizes = call.sizes(14)
    call.origins(sizes)
    same(*call.both(name, sizes))


@pytest.mark.parametrize("name", ["maximum_filter1d", "minimum_filter1d"])
@law
@given(seed=seeds)
def test_extremes_of_lines(name, seed):
    """The largest or smallest number of a line is not SciPy's."""
    call = Call(seed).output(TYPES)
    call.keywords["axis"] = int(call.rng.integers(-call.rank, call.rank))
    size = int(call.rng.integers(1, 20))
    same(*call.both(name, size))


@pytest.mark.parametrize("name", ["maximum_filter", "minimum_filter"])
@law
@given(seed=seeds)
def test_extremes_of_footprints(name, seed):
    """The largest or smallest number under a footprint of any shape is not SciPy's."""
    call = Call(seed).axes().output(TYPES)
    sizes = call.sizes()
    call.origins(sizes)
    same(*call.both(name, footprint=call.footprint(sizes)))


GREY = (
    "grey_erosion",
    "grey_dilation",
    "grey_opening",
    "grey_closing",
    "morphological_gradient",
    "morphological_laplace",
    "white_tophat",
    "black_tophat",
)


@pytest.mark.parametrize("name", GREY)
@law
@given(seed=seeds)
def test_grey_morphology(name, seed):
    """An erosion, a dilation or what is made of them is not SciPy's, with windows of every kind."""
    call = Call(seed, types=TYPES[1:]).axes()
    sizes = call.sizes()
    kind = call.rng.choice(["size", "footprint", "structure", "both"])
    given_ = {"size": sizes} if kind == "size" else {}
    if kind in ("footprint", "both"):
        given_["footprint"] = call.footprint(sizes)
    if kind in ("structure", "both"):
        given_["structure"] = call.rng.integers(-3, 4, sizes)
    if all(n % 2 for n in sizes):
        call.origins(sizes)
    if call.rng.random() < 0.3:
        call.keywords["output"] = np.zeros(call.array.shape, call.array.dtype.newbyteorder("="))
    ours, theirs = call.both(name, **given_)
    same(ours, theirs, rounding(theirs, 400))


@pytest.mark.parametrize(
    "name", ["binary_erosion", "binary_dilation", "binary_opening", "binary_closing"]
)
@law
@given(seed=seeds)
def test_binary_morphology(name, seed):
    """Erosion and dilation, repeated, under a mask and with a border, are not SciPy's."""
    call = Call(seed).axes(in_order=True)  # SciPy crashes where an origin is not its axis' own
    rng, sizes = call.rng, call.sizes(4)
    call.keywords = {key: call.keywords[key] for key in ("axes",) if key in call.keywords}
    if rng.random() < 0.8:
        call.keywords["structure"] = call.footprint(sizes)
        if all(n % 2 for n in sizes):
            call.origins(sizes)
    call.keywords["iterations"] = int(rng.choice([1, 1, 2, 3]))
    call.keywords["border_value"] = int(rng.integers(0, 2))
    if rng.random() < 0.5:
        call.keywords["mask"] = rng.random(call.array.shape) < 0.6
    if rng.random() < 0.3:
        # SciPy misreads floats that it has written itself, where there are iterations and a mask.
        call.keywords["output"] = np.zeros(call.array.shape, str(rng.choice(("?", *INTEGERS))))
    same(*call.both(name))


@pytest.mark.parametrize("name", ["binary_erosion", "binary_dilation"])
def test_binary_morphology_until_nothing_changes(name):
    """Iterations below 1 do not go on until nothing changes."""
    rng = np.random.default_rng(0)
    array, mask = rng.random((40, 50)) < 0.1, rng.random((40, 50)) < 0.7
    for more in ({}, {"mask": mask}, {"structure": np.ones((3, 3)), "border_value": 1}):
        theirs = getattr(scipy.ndimage, name)(array, iterations=0, **more)
        np.testing.assert_array_equal(getattr(ndimage, name)(array, iterations=-1, **more), theirs)


@pytest.mark.parametrize("name", ["median_filter", "rank_filter", "percentile_filter"])
@law
@given(seed=seeds)
def test_ranks(name, seed):
    """The number of a rank under a rectangle or a footprint is not SciPy's."""
    call = Call(seed, ranks=(2, 3, 4)).axes().output(SEVERAL_PASSES)
    sizes = call.sizes()
    call.origins(sizes)
    rectangle = call.rng.random() < 0.5
    window = {"size": sizes} if rectangle else {"footprint": call.footprint(sizes)}
    count = int(np.prod(sizes)) if rectangle else int(window["footprint"].sum())
    rank = int(call.rng.integers(-count, count))
    percentile = float(call.rng.uniform(-100, 100))
    args = {"median_filter": (), "rank_filter": (rank,), "percentile_filter": (percentile,)}[name]
    same(*call.both(name, *args, **window))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "f4", "f8"])
@pytest.mark.parametrize("size", [3, 5, (7, 2), 9, 11, 12, (3, 21), 25])
def test_medians_by_every_way(dtype, size):
    """A network, histograms, counting or sorting selects a number that is not SciPy's."""
    rng = np.random.default_rng(0)
    array = numbers(rng, (41, 53), dtype)
    for name, args in (("median_filter", ()), ("percentile_filter", (20,))):
        theirs = getattr(scipy.ndimage, name)(array, *args, size)
        np.testing.assert_array_equal(getattr(ndimage, name)(array, *args, size), theirs)


@pytest.mark.parametrize("size", [(3, 3, 1), (7, 6, 1), (1, 5, 1), (1, 1, 3), 1])
def test_medians_beside_colours(size):
    """A window of a single tap along an axis is not one that leaves the axis alone."""
    array = numbers(np.random.default_rng(0), (41, 53, 3), "u1")
    for name, args in (("median_filter", ()), ("rank_filter", (-2,)), ("rank_filter", (0,))):
        if size == 1 and args == (-2,):
            continue  # of one number there is no last but one
        theirs = getattr(scipy.ndimage, name)(array, *args, size)
        np.testing.assert_array_equal(getattr(ndimage, name)(array, *args, size), theirs)


# ------------------------------------------------------------------ sizes, large and none


def test_blocks_and_borders():
    """Where an array is divided into blocks, or a window is larger than the array, is wrong."""
    rng = np.random.default_rng(0)
    for shape in ((300, 1500), (1500, 300), (40, 50, 60), (70_000,), (2, 3, 2000), (3, 2)):
        for dtype in ("u1", "f4"):
            array = numbers(rng, shape, dtype)
            for mode in ("reflect", "mirror", "nearest", "wrap", "constant"):
                for name, args in (
                    ("gaussian_filter", (2.5,)),
                    ("maximum_filter", (9,)),
                    ("sobel", (0,)),
                ):
                    theirs = getattr(scipy.ndimage, name)(array, *args, mode=mode)
                    ours = getattr(ndimage, name)(array, *args, mode=mode)
                    same(ours, theirs, rounding(theirs, 1000))


@pytest.mark.parametrize("shape", [(0,), (0, 5), (4, 0, 3)])
def test_arrays_without_pixels(shape):
    """An array without pixels is refused, or gives something."""
    for dtype in (np.uint8, np.float32):
        array = np.zeros(shape, dtype)
        for name, args in (
            ("gaussian_filter", (1,)),
            ("uniform_filter", (3,)),
            ("maximum_filter", (3,)),
            ("median_filter", (3,)),
            ("correlate", (np.ones((3,) * len(shape)),)),
            ("binary_erosion", ()),
        ):
            result = getattr(ndimage, name)(array, *args)
            assert result.shape == shape


@pytest.mark.parametrize("cval", [300, -7, 70000, 300.0])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2"])
def test_a_border_that_the_type_does_not_hold(dtype, cval):
    """Sums over it wrap around as all others do."""
    array = np.random.default_rng(7).integers(0, 120, (6, 7)).astype(dtype)
    for name, *args in (
        ("correlate", np.array([[1, 2], [3, -4]])),
        ("correlate1d", [1, -2, 3]),
        ("laplace",),
        ("sobel",),
        ("maximum_filter", 3),
        ("median_filter", 3),
    ):
        result, expected = (
            getattr(package, name)(array, *args, mode="constant", cval=cval)
            for package in (ndimage, scipy.ndimage)
        )
        np.testing.assert_array_equal(result, expected, err_msg=name)


LINES = (
    [0.1, 0.2, 0.4, 0.2, 0.1],
    [-0.3, 0.2, 0.1, -0.2, 0.3],
    [0.2, 0.2, 0.2, 0.2, 0.2],
    [0.7, 0.1, 0.1, 0.1],
    [-1, 0, 1],
    [3, -7, 1, 2],
)


@law
@given(seeds)
def test_integers_next_to_which_a_sum_lies(seed):
    """A sum that is cut off shows another rounding than SciPy's, or a border another number.

    Pixels are alike in blocks, so that sums lie on an integer but for rounding.
    """
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    shape = rng.integers(1, (400, 60, 30)[rank - 1], rank)
    few = rng.integers(0, 6, -(-shape // 4)) * int(rng.choice([1, 10, 40]))
    array = np.kron(few, np.ones([4] * len(shape), int))[tuple(map(slice, shape))]
    array = array.astype(rng.choice(["u1", "i2", "u2"]))
    if array.dtype.kind == "i":
        array -= 30
    keywords = {"mode": str(rng.choice(MODES)), "cval": float(rng.choice([0, 7, 100]))}
    line = LINES[rng.integers(len(LINES))]
    for name, *args in (
        ("gaussian_filter", rng.choice([0.5, 1, 2.3]), rng.choice([0, 0, 1, 2])),
        ("uniform_filter", rng.integers(1, 20)),
        ("correlate1d", line, rng.integers(array.ndim)),
        ("sobel", rng.integers(array.ndim)),
        ("prewitt", rng.integers(array.ndim)),
    ):
        ours, theirs = (
            getattr(module, name)(array, *args, **keywords) for module in (ndimage, scipy.ndimage)
        )
        np.testing.assert_array_equal(ours, theirs, f"{name} {args}")


def test_whole_weights_that_the_output_does_not_hold():
    """Sums in float64 are taken for exact because weights wrap around to small ones."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 2**16, (130, 130)).astype(np.uint16)
    weights = np.array([[2.0**52 + 1, 3, 5, 7, -9]])
    cells = np.pad(image, ((0, 0), (2, 2)), "symmetric").astype(object)
    sums = sum(int(weight) * cells[:, at : at + 130] for at, weight in enumerate(weights[0]))
    result = ndimage.correlate(image, weights)
    np.testing.assert_array_equal(result, (sums % 2**16).astype(np.uint16))
