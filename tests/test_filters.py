"""Every named kernel: its type, shape, sum and symmetry, and what others make of the same name."""

import doctest
import inspect
import re
from math import fsum

import cv2
import numpy as np
import pytest
from scipy import ndimage

import convlens
from convlens import filters

SIGMAS = [0.3, 0.5, 1, 1.0, 1.7, 3]

# Every filter with several arguments, and what must be true of the kernels: the sum, the type and
# the turns and flips that change nothing ("lr" left and right, "ud" up and down, "t" transposed,
# "turn" by half a turn, "anti-lr" and "anti-ud" with the sign changed).
PROPERTIES = {
    "identity": ([(), (1,), (5,), ((3, 7),)], 1, "i8", "lr ud turn"),
    "box": ([(), (1,), (2,), (5,), ((3, 4),)], 1, "f8", "lr ud turn"),
    "gaussian": ([(s,) for s in SIGMAS] + [(2, 5), (1, (3, 7))], 1, "f8", "lr ud turn"),
    "sharpen": ([(), (0,), (3,), (-2,)], 1, "i8", "lr ud t turn"),
    "unsharp": ([(), (2,), (1, 0.5), (1, 2, (5, 3)), (0.5, -1)], 1, "f8", "lr ud turn"),
    "sobel_x": ([()], 0, "i8", "anti-lr ud"),
    "sobel_y": ([()], 0, "i8", "lr anti-ud"),
    "prewitt_x": ([()], 0, "i8", "anti-lr ud"),
    "prewitt_y": ([()], 0, "i8", "lr anti-ud"),
    "scharr_x": ([()], 0, "i8", "anti-lr ud"),
    "scharr_y": ([()], 0, "i8", "lr anti-ud"),
    "laplacian": ([()], 0, "i8", "lr ud t turn"),
    "laplacian_of_gaussian": ([(s,) for s in SIGMAS] + [(2, (5, 9))], 0, "f8", "lr ud turn"),
    "emboss": ([()], 1, "i8", "t"),
    "outline": ([()], 0, "i8", "lr ud t turn"),
    "motion_blur": ([(), (1,), (3, 45), (5, 30), (7, 90), (9, -200.5)], 1, "f8", "turn"),
}
SYMMETRIES = {
    "lr": lambda kernel: kernel[:, ::-1],
    "ud": lambda kernel: kernel[::-1],
    "turn": lambda kernel: kernel[::-1, ::-1],
    "t": np.transpose,
    "anti-lr": lambda kernel: -kernel[:, ::-1],
    "anti-ud": lambda kernel: -kernel[::-1],
}
MEANS = ("box", "gaussian", "motion_blur")
EPS = 2.0**-52
CALLS = [(name, arguments) for name, row in PROPERTIES.items() for arguments in row[0]]


def kernel_of(name, arguments):
    """The named kernel."""
    return getattr(filters, name)(*arguments)


def impulse_response(kernel):
    """The response to a single bright pixel, which is the kernel turned by half a turn."""
    image = np.zeros((15, 15))
    image[7, 7] = 1
    return convlens.convolve(image, kernel)


# ------------------------------------------------------------------------- all of them


def test_no_filter_is_forgotten():
    """The table above and `__all__` list exactly the module's public functions."""
    public = {
        name
        for name, value in vars(filters).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert set(filters.__all__) == set(PROPERTIES) == public
    assert filters.__all__ == sorted(filters.__all__)


@pytest.mark.parametrize("name", filters.__all__)
def test_documentation(name):
    """Each filter documents itself in a sentence, its result, and an example that runs."""
    function = getattr(filters, name)
    text = inspect.getdoc(function)
    assert text.split("\n")[0].endswith(".")
    assert "Returns\n-------\n" in text
    for parameter in inspect.signature(function).parameters:
        assert f"\n{parameter}" in text or f", {parameter}\n" in text
    examples = doctest.DocTestFinder(recurse=False).find(function, name, globs=vars(filters).copy())
    assert sum(len(each.examples) for each in examples) > 0
    runner = doctest.DocTestRunner(verbose=False)
    assert [runner.run(each).failed for each in examples] == [0]


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_type_shape_and_sum(name, arguments):
    """Kernels are finite, of the documented type, and sum to 1 (blurs slightly less) or to 0."""
    kernel = kernel_of(name, arguments)
    _, total, dtype, _ = PROPERTIES[name]
    assert kernel.dtype == dtype
    assert kernel.ndim == 2
    assert np.isfinite(kernel).all()
    exact = fsum(kernel.flat)
    if dtype == "i8":
        assert exact == total
    elif name in MEANS:
        assert 1 - (kernel.size + 12) / 4 * EPS <= exact <= 1
    else:
        assert abs(exact - total) <= EPS * np.abs(kernel).sum()


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_symmetry(name, arguments):
    """The kernel has the symmetries that the table lists for it."""
    kernel = kernel_of(name, arguments)
    for symmetry in PROPERTIES[name][3].split():
        np.testing.assert_allclose(SYMMETRIES[symmetry](kernel), kernel, rtol=0, atol=1e-16)


@pytest.mark.parametrize("name", filters.__all__)
def test_kernels_are_the_callers_own(name):
    """Writing into a kernel does not change the next one."""
    first = getattr(filters, name)()
    assert type(first) is np.ndarray
    assert first.flags.writeable
    expected = first.copy()
    first[...] = 7
    np.testing.assert_array_equal(getattr(filters, name)(), expected)


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_flat_images(name, arguments):
    """A flat image keeps its brightness, or becomes 0, up to rounding."""
    kernel = kernel_of(name, arguments)
    flat = convlens.convolve(np.full((30, 40), 100), kernel, "full", pad_mode="edge")
    bound = 0 if kernel.dtype == "i8" else 1e-15 * 100 * kernel.size * np.abs(kernel).sum()
    assert np.abs(flat - 100 * PROPERTIES[name][1]).max() <= bound


# ------------------------------------------------------------------- kernels by the number

NUMBERS = {
    "sobel_x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel_y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "prewitt_x": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
    "prewitt_y": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
    "scharr_x": [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]],
    "scharr_y": [[-3, -10, -3], [0, 0, 0], [3, 10, 3]],
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_kernels_of_whole_numbers(name):
    """The integer kernels have the numbers in common use, for cross-correlation."""
    assert getattr(filters, name)().tolist() == NUMBERS[name]


def test_sizes():
    """Kernels have the size asked for; a gaussian reaches 3 sigma, rounded up, by default."""
    assert filters.identity(7).shape == filters.box(7).shape == (7, 7)
    assert filters.identity((3, 5)).shape == filters.box([3, 5]).shape == (3, 5)
    assert filters.gaussian(2, (3, 5)).shape == filters.unsharp(2, 1, (3, 5)).shape == (3, 5)
    assert filters.laplacian_of_gaussian(2, (3, 5)).shape == (3, 5)
    assert filters.motion_blur(5, 30).shape == (5, 5)
    for sigma, reach in [(0.1, 1), (0.33, 1), (0.34, 2), (1, 3), (1.1, 4), (10, 30)]:
        size = 2 * reach + 1
        assert filters.gaussian(sigma).shape == (size, size)
        assert filters.unsharp(sigma).shape == filters.laplacian_of_gaussian(sigma).shape
        assert filters.unsharp(sigma).shape == (size, size)


@pytest.mark.parametrize("size", [1, 2, 3, (1, 4), (5, 3)])
def test_box_is_a_mean(size):
    """A box gives the mean of the pixels under it, as average pooling does."""
    image = np.random.default_rng(0).random((6, 7))
    pooled = convlens.pool(image, size, 1, "avg")
    np.testing.assert_allclose(convlens.convolve(image, filters.box(size), "valid"), pooled, 1e-14)


@pytest.mark.parametrize("size", [1, 3, 5, (1, 5), (7, 3)])
def test_identity_leaves_an_image(size):
    """The identity keeps every bit of an image, and integers within their type."""
    image = np.random.default_rng(0).random((6, 7))
    np.testing.assert_array_equal(convlens.convolve(image, filters.identity(size)), image)
    kernel = filters.identity(size)
    assert convlens.convolve(np.full((3, 3), 200, np.uint8), kernel, dtype="u1").min() == 200


@pytest.mark.parametrize("sigma", SIGMAS)
def test_gaussian_is_opencvs_and_scipys(sigma):
    """The kernel is OpenCV's column times its transpose, and blurs as SciPy does."""
    kernel = filters.gaussian(sigma, 11)
    column = cv2.getGaussianKernel(11, sigma, cv2.CV_64F)
    np.testing.assert_allclose(kernel, column @ column.T, rtol=1e-13, atol=1e-17)
    impulse = np.zeros((15, 15))
    impulse[7, 7] = 1
    blurred = ndimage.gaussian_filter(impulse, sigma, mode="constant", radius=5)
    np.testing.assert_allclose(impulse_response(kernel), blurred, rtol=1e-13, atol=1e-17)


def test_gaussian_of_two_sizes():
    """With two sizes, each axis has its own number of taps and both have the same sigma."""
    kernel = filters.gaussian(1.5, (5, 9))
    column, row = (cv2.getGaussianKernel(size, 1.5, cv2.CV_64F) for size in (5, 9))
    np.testing.assert_allclose(kernel, column @ row.T, rtol=1e-13)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int64, np.float16, np.float32])
def test_sigmas_of_numpys_types(kind):
    """NumPy scalars are taken as Python numbers: 16 squared does not wrap around in uint8."""
    assert np.array_equal(filters.gaussian(kind(16), 5), filters.gaussian(16, 5))
    assert filters.gaussian(kind(100)).shape == (601, 601)
    assert np.array_equal(filters.unsharp(kind(16), kind(1), 5), filters.unsharp(16, 1, 5))
    expected = filters.laplacian_of_gaussian(16, 5)
    assert np.array_equal(filters.laplacian_of_gaussian(kind(16), 5), expected)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint64, np.int64])
def test_amounts_of_numpys_integers(kind):
    """A NumPy integer as amount gives an integer kernel."""
    kernel = filters.sharpen(kind(100))
    assert kernel.dtype == np.int64
    assert kernel.tolist() == [[0, -100, 0], [-100, 401, -100], [0, -100, 0]]


def test_very_narrow_and_very_wide_gaussians():
    """A very small sigma gives the identity, a very large one a box."""
    np.testing.assert_array_equal(filters.gaussian(1e-3), filters.identity())
    np.testing.assert_allclose(filters.gaussian(1e9, 5), filters.box(5), rtol=1e-14)


def test_amounts():
    """An amount of 0 leaves the image, a fraction gives floats, and the effect is linear in it."""
    np.testing.assert_array_equal(filters.sharpen(0), filters.identity())
    np.testing.assert_array_equal(filters.unsharp(2, 0), filters.identity(13))
    assert filters.sharpen(0.5).dtype == np.float64
    assert filters.sharpen(0.5).tolist() == [[0, -0.5, 0], [-0.5, 3, -0.5], [0, -0.5, 0]]
    for amount in (0.5, 1, 3):
        blur, image = filters.gaussian(1.5), filters.identity(11)
        expected = image + amount * (image - blur)
        np.testing.assert_allclose(filters.unsharp(1.5, amount), expected, rtol=1e-14)


def test_laplacian_with_diagonals():
    """With diagonals it has eight neighbours instead of four; `outline` is its negative."""
    assert filters.laplacian(diagonals=True).tolist() == [[1, 1, 1], [1, -8, 1], [1, 1, 1]]
    assert filters.laplacian(diagonals=np.False_).tolist() == NUMBERS["laplacian"]
    np.testing.assert_array_equal(filters.outline(), -filters.laplacian(diagonals=True))


@pytest.mark.parametrize("sigma", [0.7, 1, 2.5])
def test_laplacian_of_gaussian_is_the_gaussians_second_derivative(sigma):
    """The kernel is the sum of the gaussian's second derivatives, less its small mean."""
    size = 2 * int(np.ceil(3 * sigma)) + 1
    y, x = np.mgrid[:size, :size] - size // 2
    density = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    density /= density.sum()
    expected = (x**2 + y**2 - 2 * sigma**2) / sigma**4 * density
    kernel = filters.laplacian_of_gaussian(sigma)
    np.testing.assert_allclose(kernel, expected - expected.mean(), rtol=1e-11, atol=1e-15)
    assert kernel.argmin() == kernel.size // 2


@pytest.mark.parametrize("sigma", [2, 3.5])
def test_laplacian_of_gaussian_finds_blobs(sigma):
    """It is negative within sigma * √2 of the middle, the radius documented, then positive."""
    kernel = filters.laplacian_of_gaussian(sigma)
    middle = len(kernel) // 2
    y, x = np.mgrid[-middle : middle + 1, -middle : middle + 1]
    distance = np.hypot(x, y)
    assert (kernel[distance < sigma * 2**0.5 - 0.1] < 0).all()
    assert (kernel[(distance > sigma * 2**0.5 + 0.1) & (distance < 3 * sigma)] > 0).all()


# --------------------------------------------------------------------------- by others


def by_opencv(image, operation, *arguments, **options):
    """The result of one of OpenCV's own filters with zeros around the image."""
    return operation(image, cv2.CV_64F, *arguments, borderType=cv2.BORDER_CONSTANT, **options)


OTHERS = {
    "sobel_x": lambda image: by_opencv(image, cv2.Sobel, 1, 0),
    "sobel_y": lambda image: by_opencv(image, cv2.Sobel, 0, 1),
    "scharr_x": lambda image: by_opencv(image, cv2.Scharr, 1, 0),
    "scharr_y": lambda image: by_opencv(image, cv2.Scharr, 0, 1),
    "laplacian": lambda image: by_opencv(image, cv2.Laplacian, ksize=1),
}
OF_SCIPY = {
    "sobel_x": lambda image: ndimage.sobel(image, 1, mode="constant"),
    "sobel_y": lambda image: ndimage.sobel(image, 0, mode="constant"),
    "prewitt_x": lambda image: ndimage.prewitt(image, 1, mode="constant"),
    "prewitt_y": lambda image: ndimage.prewitt(image, 0, mode="constant"),
    "laplacian": lambda image: ndimage.laplace(image, mode="constant"),
}


@pytest.mark.parametrize(
    ("name", "other"),
    [*OTHERS.items(), *OF_SCIPY.items()],
    ids=[*(f"cv2-{name}" for name in OTHERS), *(f"scipy-{name}" for name in OF_SCIPY)],
)
def test_the_same_name_elsewhere(name, other):
    """Filters of the same name in OpenCV and SciPy give the same numbers."""
    image = np.random.default_rng(0).integers(0, 256, (12, 17)).astype(float)
    np.testing.assert_array_equal(convlens.convolve(image, getattr(filters, name)()), other(image))


@pytest.mark.parametrize(
    ("name", "x", "y", "size"),
    [("sobel_x", 1, 0, 3), ("sobel_y", 0, 1, 3), ("scharr_x", 1, 0, -1), ("scharr_y", 0, 1, -1)],
)
def test_opencvs_derivative_kernels(name, x, y, size):
    """Sobel and Scharr are the products of the column and the row that OpenCV gives."""
    row, column = cv2.getDerivKernels(x, y, size, ktype=cv2.CV_64F)
    np.testing.assert_array_equal(getattr(filters, name)(), column @ row.T)


def test_brightness_that_rises():
    """Brightness that rises to the right, or downwards, gives positive results."""
    y, x = np.mgrid[:5, :6]
    for name, slope in (("sobel", 8), ("prewitt", 6), ("scharr", 32)):
        along_x, along_y = getattr(filters, f"{name}_x")(), getattr(filters, f"{name}_y")()
        assert (convlens.convolve(x, along_x, "valid") == slope).all()
        assert (convlens.convolve(y, along_y, "valid") == slope).all()
        assert not convlens.convolve(x, along_y, "valid").any()


def test_emboss_is_lit_from_the_upper_left():
    """A slope that rises to the lower right becomes brighter, the opposite slope darker."""
    y, x = np.mgrid[:5, :6]
    inner = (x + y)[1:-1, 1:-1]
    assert (convlens.convolve(x + y, filters.emboss(), "valid") > inner).all()
    assert (convlens.convolve(-x - y, filters.emboss(), "valid") < -inner).all()


# ------------------------------------------------------------------------- motion blur


def test_motion_along_rows_columns_and_diagonals():
    """The line is a row at 0 degrees, a column at 90, and rises to the right at 45."""
    row = np.zeros((5, 5))
    row[2] = 1 / 5
    np.testing.assert_allclose(filters.motion_blur(5), row, atol=1e-15)
    np.testing.assert_allclose(filters.motion_blur(5, 90), row.T, atol=1e-15)
    rising = filters.motion_blur(5, 45)
    assert rising[1, 3] > 0.1
    assert rising[3, 1] > 0.1
    assert rising[0, 0] == rising[1, 1] == rising[3, 3] == 0
    np.testing.assert_allclose(rising, np.transpose(rising)[::-1, ::-1], atol=1e-15)
    np.testing.assert_allclose(filters.motion_blur(5, -45), rising[::-1], atol=1e-15)


@pytest.mark.parametrize("angle", [0, 13, 45, 77.5, 90, 140, 180])
@pytest.mark.parametrize("length", [1, 3, 9])
def test_motion_of_any_angle(length, angle):
    """No weight is negative; half a turn keeps the kernel, a quarter turns it."""
    kernel = filters.motion_blur(length, angle)
    assert kernel.shape == (length, length)
    assert kernel.min() >= -1e-15
    np.testing.assert_allclose(filters.motion_blur(length, angle + 180), kernel, atol=1e-14)
    np.testing.assert_allclose(
        filters.motion_blur(length, angle + 90), np.rot90(kernel), atol=1e-14
    )


@pytest.mark.parametrize("angle", [10, 30, 60, 100, 170])
def test_motion_follows_its_line(angle):
    """The weights spread in the direction of the angle."""
    kernel = filters.motion_blur(15, angle)
    y, x = np.mgrid[7:-8:-1, -7:8]
    spread = np.cov([x.ravel(), y.ravel()], aweights=np.maximum(kernel, 0).ravel())
    along = np.linalg.eigh(spread)[1][:, -1]
    assert abs(np.rad2deg(np.arctan2(along[1], along[0])) % 180 - angle) < 1


# ------------------------------------------------------------- means that brighten nothing

SIZES = [1, 2, 3, 4, 5, 7, 10, 15, 31, (1, 9), (9, 1), (2, 6), (3, 5), (5, 17), (1, 101), (40, 61)]
ODD_SIZES = [1, 3, 5, 15, (1, 9), (3, 7), (31, 5), 61]
WIDTHS = [0.01, 0.3, 0.5, 0.84, 1, 1.5, 2, 2.3, 3, 3.7, 5, 7.7, 10]
SMOOTHING = [
    *(("box", (size,)) for size in SIZES),
    *(("gaussian", (sigma,)) for sigma in WIDTHS),
    *(("gaussian", (sigma, size)) for sigma in (0.2, 1, 3.7, 50) for size in ODD_SIZES),
    *(("motion_blur", (n, angle)) for n in (1, 3, 9, 31) for angle in (0, 10, 45, 77.7, 90, 200)),
]
BRIGHTNESS = [1, 0.1, 1 / 3, 0.7, 1.5, 200, 255, 65535, 1e-30, 1e30, -1, -0.3]


@pytest.mark.parametrize("method", ["numpy", "auto"])
@pytest.mark.parametrize(("name", "arguments"), SMOOTHING)
def test_means_brighten_nothing(name, arguments, method):
    """No result of a float64 image exceeds its largest pixel, and little is lost."""
    kernel = kernel_of(name, arguments)
    kh, kw = kernel.shape
    lost = (kernel.size + 12) / 2 * EPS  # what is taken off, and as much by rounding
    for brightness in BRIGHTNESS:
        flat = np.full((kh + 2, kw + 17), brightness)
        blurred = convlens.convolve(flat, kernel, "valid", method=method)
        assert np.abs(blurred).max() <= abs(brightness)
        assert np.abs(blurred).min() >= abs(brightness) * (1 - lost)
    noise = np.random.default_rng(0).choice([1.0, np.nextafter(1, 0)], (kh + 2, kw + 17))
    assert convlens.convolve(noise, kernel, "valid", method=method).max() <= 1


@pytest.mark.parametrize("method", ["numpy", "auto"])
@pytest.mark.parametrize(("name", "arguments"), SMOOTHING)
def test_means_in_float32_brighten_nothing(name, arguments, method):
    """No result of a float32 image exceeds its largest pixel, where the docstring says so."""
    kernel = getattr(filters, name)(*arguments, dtype=np.float32)
    kh, kw = kernel.shape
    eps = np.finfo(np.float32).eps
    for brightness in np.array(BRIGHTNESS, np.float32):
        flat = np.full((kh + 2, kw + 17), brightness)
        blurred = convlens.convolve(flat, kernel, "valid", method=method)
        assert blurred.dtype == np.float32
        # A long chain of additions can gain more than a kernel in float32 is scaled for.
        gained = kernel.size / 10 * eps if method == "numpy" and kernel.size >= 100 else 0
        assert np.abs(blurred).max() <= abs(brightness) * (1 + gained)
        assert np.abs(blurred).min() >= abs(brightness) * (1 - (kernel.size + kh + kw) * eps)


def test_a_mean_of_255_is_255():
    """What the scaling takes off does not show once results are rounded to 8 or 16 bits."""
    for white, dtype in ((255, np.uint8), (65535, np.uint16)):
        image = np.full((1, 300, 300), white, dtype)
        for kernel in (filters.box(101), filters.gaussian(40), filters.motion_blur(101, 30)):
            blurred = convlens.convolve(image, kernel, pad_mode="reflect")
            assert (np.rint(blurred) == white).all()


PRODUCTS = [
    *SMOOTHING[: -4 * 6],
    *(("motion_blur", (n, angle)) for n in (1, 3, 9, 31) for angle in (0, 90, -180, 270, 360)),
    *(("gaussian", (sigma,)) for sigma in (13, 20.5, 33, 46, 50, 60, 100)),
    *(("identity", (size,)) for size in (1, 3, (3, 9))),
    *(("unsharp", (sigma, amount)) for sigma in (0.5, 2, 7) for amount in (0, -1)),
    *((f"{name}_{axis}", ()) for name in ("sobel", "prewitt", "scharr") for axis in "xy"),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "arguments"), PRODUCTS)
def test_products_of_a_column_and_a_row(name, arguments, dtype):
    """A kernel that is a product is one within 4 eps, so that it can run in two passes."""
    takes_dtype = "dtype" in inspect.signature(getattr(filters, name)).parameters
    made = getattr(filters, name)(*arguments, **({"dtype": dtype} if takes_dtype else {}))
    assert made.dtype == (dtype if takes_dtype else np.int64)
    kernel = made.astype(np.float64)
    i, j = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    error = np.abs(np.outer(kernel[:, j], kernel[i] / kernel[i, j]) - kernel)
    normal = np.abs(kernel) >= np.finfo(dtype).tiny
    assert (error <= 4 * np.finfo(dtype).eps * np.abs(kernel))[normal].all()
    assert error.max() <= 4 * np.finfo(dtype).eps * np.abs(kernel).max()


# ------------------------------------------------------------------------- float32

FLOATS = {
    "box": (5,),
    "gaussian": (1.7,),
    "laplacian_of_gaussian": (1.7,),
    "motion_blur": (9, 30),
    "sharpen": (0.3,),
    "unsharp": (1.7, 0.3),
}


def test_every_filter_of_floats_takes_a_type():
    """Exactly the filters whose numbers can be floats have a `dtype`."""
    takes = {
        name
        for name in filters.__all__
        if "dtype" in inspect.signature(getattr(filters, name)).parameters
    }
    assert takes == set(FLOATS)


@pytest.mark.parametrize("name", FLOATS)
def test_float32(name):
    """The float32 kernel is the float64 one up to rounding, and keeps images in float32."""
    expected = kernel_of(name, FLOATS[name])
    assert expected.dtype == np.float64
    for dtype in (np.float32, "float32", np.dtype("f4")):
        kernel = getattr(filters, name)(*FLOATS[name], dtype=dtype)
        assert kernel.dtype == np.float32
        size = sum(kernel.shape) + 16
        np.testing.assert_allclose(kernel, expected, rtol=size * 2.0**-24, atol=2.0**-26)
    image = np.ones((20, 20), np.float32)
    assert convlens.convolve(image, kernel).dtype == np.float32
    assert convlens.convolve(image, expected).dtype == np.float64
    assert getattr(filters, name)(*FLOATS[name], dtype=float).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, int, complex, np.longdouble, ">f4", "nonsense", 7])
@pytest.mark.parametrize("name", FLOATS)
def test_types_that_are_refused(name, dtype):
    """Any type but float64 and float32 is refused, by its name."""
    words = f"^{name}: dtype must be float64 or float32; got {re.escape(repr(dtype))}$"
    with pytest.raises(TypeError, match=words):
        getattr(filters, name)(*FLOATS[name], dtype=dtype)


def test_sharpening_with_a_type():
    """A given type wins over int64, which a whole amount gives otherwise."""
    assert filters.sharpen(2, dtype=np.float32).dtype == np.float32
    assert filters.sharpen(2, dtype=np.float32).tolist() == filters.sharpen(2).tolist()
    assert filters.sharpen(2).dtype == np.int64


# ----------------------------------------------------------------------------- refusals

REFUSED = [
    ("identity", (2,), ValueError, "identity: size must be odd, for a kernel with a middle; got 2"),
    ("identity", ((3, 4),), ValueError, r"identity: size must be odd.*; got \(3, 4\)"),
    ("identity", ((4, 3),), ValueError, r"identity: size must be odd.*; got \(4, 3\)"),
    ("identity", (0,), ValueError, "identity: size must be at least 1; got 0"),
    ("identity", (-3,), ValueError, "identity: size must be at least 1; got -3"),
    ("identity", (3.0,), TypeError, "identity: size must be an integer or a pair.*; got 3.0"),
    ("identity", ("3",), TypeError, "identity: size must be an integer or a pair.*; got '3'"),
    ("identity", ((3, 3, 3),), ValueError, r"size must be an integer or a pair.*; got \(3, 3, 3\)"),
    (
        "identity",
        (True,),
        TypeError,
        "identity: size must be an integer or a pair .vertical, horizontal.; got True",
    ),
    ("box", (0,), ValueError, "box: size must be at least 1; got 0"),
    ("box", ((2, 0),), ValueError, r"box: size must be at least 1; got \(2, 0\)"),
    ("box", (1.5,), TypeError, "box: size must be an integer or a pair.*; got 1.5"),
    ("box", (None,), TypeError, "box: size must be an integer or a pair.*; got None"),
    ("gaussian", (0,), ValueError, "gaussian: sigma must be greater than 0; got 0"),
    ("gaussian", (-1.5,), ValueError, "gaussian: sigma must be greater than 0; got -1.5"),
    ("gaussian", (float("nan"),), ValueError, "gaussian: sigma must be finite; got nan"),
    ("gaussian", (float("inf"),), ValueError, "gaussian: sigma must be finite; got inf"),
    ("gaussian", ("1",), TypeError, "gaussian: sigma must be a number; got '1'"),
    ("gaussian", (True,), TypeError, "gaussian: sigma must be a number; got True"),
    ("gaussian", (None,), TypeError, "gaussian: sigma must be a number; got None"),
    ("gaussian", ((1, 2),), TypeError, r"gaussian: sigma must be a number; got \(1, 2\)"),
    ("gaussian", (1j,), TypeError, "gaussian: sigma must be a number; got 1j"),
    ("gaussian", (np.complex64(1),), TypeError, r"gaussian: sigma must be a number; got .*1\+0j"),
    ("gaussian", (1, 4), ValueError, "gaussian: size must be odd, for a kernel with a mid.*got 4"),
    ("gaussian", (1, (3, 0)), ValueError, r"gaussian: size must be at least 1; got \(3, 0\)"),
    ("sharpen", ("much",), TypeError, "sharpen: amount must be a number; got 'much'"),
    ("sharpen", (float("inf"),), ValueError, "sharpen: amount must be finite; got inf"),
    ("unsharp", (1, None), TypeError, "unsharp: amount must be a number; got None"),
    ("unsharp", (1, float("nan")), ValueError, "unsharp: amount must be finite; got nan"),
    ("unsharp", (0,), ValueError, "sigma must be greater than 0; got 0"),
    ("unsharp", (1, 1, 2), ValueError, "size must be odd, for a kernel with a middle; got 2"),
    ("laplacian_of_gaussian", (0,), ValueError, "laplacian_of_gaussian: sigma must be gr.*; got 0"),
    (
        "laplacian_of_gaussian",
        (1, 2),
        ValueError,
        "laplacian_of_gaussian: size must be od.*; got 2",
    ),
    ("motion_blur", (4,), ValueError, "motion_blur: length must be odd, for a kernel.*; got 4"),
    ("motion_blur", (0,), ValueError, "motion_blur: length must be at least 1; got 0"),
    ("motion_blur", (3.0,), TypeError, "motion_blur: length must be an integer.*; got 3.0"),
    ("motion_blur", ((3, 5),), TypeError, r"motion_blur: length must be an integer; got \(3, 5\)"),
    ("motion_blur", (3, "up"), TypeError, "motion_blur: angle must be a number; got 'up'"),
    ("motion_blur", (3, float("inf")), ValueError, "motion_blur: angle must be finite; got inf"),
    ("motion_blur", (3, float("nan")), ValueError, "motion_blur: angle must be finite; got nan"),
    ("motion_blur", (3, 10**400), ValueError, "angle must be at most 1.8e308 .* of 1329 bits"),
    # What would fill the memory, or leave the range of the numbers.
    (
        "identity",
        (100_001,),
        ValueError,
        "identity: size must make a kernel of at most 16,777,216 taps; got 100001, which makes "
        "100001 x 100001: take a smaller size, or make the images smaller first, as convlens.pool",
    ),
    ("box", ((100_000, 100_000),), ValueError, r"box: size .* got \(100000, 100000\), which makes"),
    (
        "box",
        ((2**62, 1),),
        ValueError,
        r"box: size must make a kernel of at most .* 4.61169e\+18 x",
    ),
    ("box", (2**70,), ValueError, "box: size must be at most"),
    ("gaussian", (100_000,), ValueError, "gaussian: sigma must make .* got 100000, .* 600001 x 60"),
    ("gaussian", (1e30,), ValueError, r"gaussian: sigma must make a kernel .* got 1e\+30, which"),
    ("gaussian", (1e300,), ValueError, r"gaussian: sigma must be between 1e-50 and 1e\+50; got 1e"),
    ("gaussian", (1e-300,), ValueError, "gaussian: sigma must be between .* got 1e-300"),
    ("gaussian", (10**400,), ValueError, "gaussian: sigma must be at most 1.8e308 in magnitude"),
    ("gaussian", (2, 99_999), ValueError, "gaussian: size must make a kernel of at most"),
    ("sharpen", (99999999999999999999,), ValueError, r"sharpen: amount must be .* -2\*\*50 and 2"),
    ("sharpen", (2**61,), ValueError, "sharpen: amount must be .* got 2305843009213693952"),
    ("sharpen", (-(2**61),), ValueError, "sharpen: amount must be between"),
    ("sharpen", (1e300,), ValueError, r"sharpen: amount must be between .* got 1e\+300"),
    ("sharpen", (float("nan"),), ValueError, "sharpen: amount must be finite; got nan"),
    ("sharpen", (-(10**400),), ValueError, "sharpen: amount must be at most 1.8e308 in magnitude"),
    ("unsharp", (1, 1e300), ValueError, r"unsharp: amount must be between .* got 1e\+300"),
    ("unsharp", (100_000,), ValueError, "unsharp: sigma must make a kernel of at most"),
    ("unsharp", (float("nan"),), ValueError, "unsharp: sigma must be finite; got nan"),
    ("unsharp", (1, 1, 99_999), ValueError, "unsharp: size must make a kernel of at most"),
    ("laplacian_of_gaussian", (1e5,), ValueError, "laplacian_of_gaussian: sigma must make a kern"),
    ("laplacian_of_gaussian", (1e-200,), ValueError, "laplacian_of_gaussian: sigma must be betw"),
    (
        "laplacian_of_gaussian",
        (float("inf"),),
        ValueError,
        "_gaussian: sigma must be finite; got i",
    ),
    ("laplacian_of_gaussian", (1, 99_999), ValueError, "_gaussian: size must make a kernel of at"),
    ("motion_blur", (99_999,), ValueError, "motion_blur: length must make .* 99999 x 99999: take"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "words"), REFUSED)
def test_refusals(name, arguments, error, words):
    """Wrong arguments are refused, before any work, with what was expected and what was given."""
    with pytest.raises(error, match=words):
        kernel_of(name, arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: filters.gaussian(682),  # 4093 x 4093
        lambda: filters.box((2**24, 1)),
        lambda: filters.gaussian(1e-50, 5),
        lambda: filters.gaussian(1e50, 5),
        lambda: filters.laplacian_of_gaussian(1e-50),
        lambda: filters.laplacian_of_gaussian(1e50, 5),
        lambda: filters.sharpen(2**50),
        lambda: filters.sharpen(-(2**50)),
        lambda: filters.unsharp(1, 2.0**50),
    ],
)
def test_the_largest_and_smallest_that_are_taken(make):
    """Numbers at the limits give finite kernels, without a floating-point warning."""
    with np.errstate(all="raise"):
        kernel = make()
    assert np.isfinite(kernel).all()
    if kernel.dtype == np.int64:
        assert kernel.sum() == 1


def test_angles_of_many_turns():
    """Whole turns are removed exactly, so that large angles lose nothing."""
    for angle in (0, 12.5, 90, 269.25):
        expected = filters.motion_blur(9, angle)
        for turns in (-(10**9), -1, 1, 10**9):
            np.testing.assert_array_equal(filters.motion_blur(9, angle + 360 * turns), expected)
    np.testing.assert_array_equal(
        filters.motion_blur(9, 360 * 10**300 + 45), filters.motion_blur(9, 45)
    )


@pytest.mark.parametrize("diagonals", [1, "no", None])
def test_diagonals_that_are_not_true_or_false(diagonals):
    """Only True and False are taken: the word "no" would count as true."""
    words = f"laplacian: diagonals must be True or False; got {diagonals!r}"
    with pytest.raises(TypeError, match=words):
        filters.laplacian(diagonals=diagonals)
