"""Kernels by name, as (kh, kw) arrays for `convlens.convolve`.

Kernels of whole numbers are int64, so that they keep integer images exact. The others are float64,
or float32 if asked for: float32 images stay float32 only if the kernel is float32 as well.

The kernels are written for cross-correlation, which flips nothing: brightness that rises to the
right, or downwards, gives the ``_x`` and ``_y`` kernels positive results. Kernels that blur or
sharpen sum to 1 and leave flat regions as they are; kernels that look for change sum to 0.

The kernels that blur (`box`, `gaussian` and `motion_blur`) sum to slightly less than 1. Sums are
rounded at each addition, and those of a kernel that sums to 1 would at times come out above the
brightest pixel: as 1.0000000000000004 where white is 1. The numbers are therefore scaled down by
what the additions can gain at most, n / 4 + 2 eps for a kernel of n taps: 1e-15 of the brightness
for 3 x 3 taps, 6e-14 for 31 x 31. A float64 kernel then makes no result larger in magnitude than
the largest pixel. In float32 the same for many taps would be visible; a float32 kernel is scaled
for kh + kw additions, which are all there are where the compiled engine runs it as a column and a
row (2e-6 of the brightness for 31 x 31).

A kernel that is the product of a column and a row is computed as one, so that it is one up to the
rounding of each number, and `convlens.convolve` can run it in two much shorter passes.
"""

from __future__ import annotations

from math import ceil, cos, fsum, isfinite, radians, sin
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens import arguments

__all__ = [
    "box",
    "emboss",
    "gaussian",
    "identity",
    "laplacian",
    "laplacian_of_gaussian",
    "motion_blur",
    "outline",
    "prewitt_x",
    "prewitt_y",
    "scharr_x",
    "scharr_y",
    "sharpen",
    "sobel_x",
    "sobel_y",
    "unsharp",
]

Kernel = npt.NDArray[Any]

_MOST_TAPS = 2**24  # of one kernel: 128 MiB of float64
_SIGMAS = 1e-50, 1e50  # between which no power of sigma leaves the range of float64
_LARGEST_AMOUNT = 2**50  # up to which 1 + 4 * amount is exact, so that the kernel sums to 1


def identity(size: int | tuple[int, int] = 3) -> Kernel:
    """A 1 in the middle of zeros, which leaves an image unchanged.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns, both odd.

    Returns
    -------
    numpy.ndarray
        int64.

    Raises
    ------
    TypeError, ValueError
        If `size` is no odd number or pair of them, or too large.

    Notes
    -----
    This is the neutral element of convolution, a sampled Dirac impulse.

    Examples
    --------
    >>> identity()
    array([[0, 0, 0],
           [0, 1, 0],
           [0, 0, 0]])
    """
    with arguments.refusing("identity"):
        height, width = _odd("size", size)
    kernel = np.zeros((height, width), np.int64)
    kernel[height // 2, width // 2] = 1
    return kernel


def box(size: int | tuple[int, int] = 3, *, dtype: npt.DTypeLike = "float64") -> Kernel:
    """The mean of a rectangle of pixels, which is the simplest blur.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns.
    dtype : dtype_like
        float64 or float32.

    Returns
    -------
    numpy.ndarray
        (kh, kw) of `dtype`, summing to 1, or slightly less so that rounding brightens no image. It
        is the outer product of a column and a row.

    Raises
    ------
    TypeError, ValueError
        If `size` is no positive integer or pair of them, or too large, or `dtype` is another type.

    Notes
    -----
    The normalised box filter of OpenCV's `blur` and SciPy's `uniform_filter`. An even size has no
    middle: there both place the window one pixel further up and to the left than
    ``convolve(..., padding="same")`` does.

    Examples
    --------
    >>> box(2)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    with arguments.refusing("box"):
        height, width = arguments.numbers("size", size)
        _check_taps("size", size, height, width)
        result = _dtype(dtype)
    return _mean_of_product(np.ones(height), np.ones(width), result)


def gaussian(
    sigma: float = 1.0,
    size: int | tuple[int, int] | None = None,
    *,
    dtype: npt.DTypeLike = "float64",
) -> Kernel:
    """A round, soft blur: weights fall off as exp(-r² / 2σ²) with the distance r.

    Parameters
    ----------
    sigma : float
        The standard deviation, in pixels.
    size : int or (int, int), optional
        Rows and columns, both odd; by default as many as reach 3 sigma to every side.
    dtype : dtype_like
        float64 or float32.

    Returns
    -------
    numpy.ndarray
        (kh, kw) of `dtype`, summing to 1, or slightly less so that rounding brightens no image. It
        is the outer product of a column and a row.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is not a number above 0, `size` no odd number or pair of them, or `dtype` another
        type; or if the kernel would be too large.

    Notes
    -----
    The density of the normal distribution at the pixels' centres, scaled to sum to 1, as OpenCV's
    `getGaussianKernel` takes it.

    Examples
    --------
    >>> gaussian(0.5).round(3)
    array([[0.   , 0.   , 0.   , 0.   , 0.   ],
           [0.   , 0.011, 0.084, 0.011, 0.   ],
           [0.   , 0.084, 0.619, 0.084, 0.   ],
           [0.   , 0.011, 0.084, 0.011, 0.   ],
           [0.   , 0.   , 0.   , 0.   , 0.   ]])
    """
    with arguments.refusing("gaussian"):
        column, row = _bells(*_distances(sigma, size))
        result = _dtype(dtype)
    return _mean_of_product(column, row, result)


def sharpen(amount: float = 1, *, dtype: npt.DTypeLike | None = None) -> Kernel:
    """The image minus its Laplacian, which exaggerates edges.

    Parameters
    ----------
    amount : float
        How much; 0 leaves the image as it is.
    dtype : dtype_like, optional
        float64 or float32; by default int64 if `amount` is an integer, else float64.

    Returns
    -------
    numpy.ndarray
        (3, 3), summing to 1.

    Raises
    ------
    TypeError, ValueError
        If `amount` is not a number between -2**50 and 2**50, or `dtype` is another type.

    Notes
    -----
    With an amount of 1 this is the kernel that image programs call sharpen.

    Examples
    --------
    >>> sharpen()
    array([[ 0, -1,  0],
           [-1,  5, -1],
           [ 0, -1,  0]])
    """
    with arguments.refusing("sharpen"):
        amount = _amount(amount)
        result = None if dtype is None else _dtype(dtype)
    kernel: Kernel = identity() - amount * laplacian()
    return kernel if result is None else kernel.astype(result)


def unsharp(
    sigma: float = 1.0,
    amount: float = 1.0,
    size: int | tuple[int, int] | None = None,
    *,
    dtype: npt.DTypeLike = "float64",
) -> Kernel:
    """The image plus what a gaussian blur would remove from it, known as unsharp masking.

    Parameters
    ----------
    sigma : float
        The standard deviation of the blur, as in `gaussian`.
    amount : float
        How much of the difference is added; 0 leaves the image as it is.
    size : int or (int, int), optional
        The rows and columns of the blur, as in `gaussian`.
    dtype : dtype_like
        float64 or float32.

    Returns
    -------
    numpy.ndarray
        (kh, kw) of `dtype`, summing to 1.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is not a number above 0, `amount` not one between -2**50 and 2**50, `size` not
        odd, or `dtype` another type; or if the kernel would be too large.

    Notes
    -----
    The name comes from the darkroom, where a blurred negative of the picture was used as a mask.

    Examples
    --------
    >>> kernel = unsharp(2)
    >>> kernel.shape, round(float(kernel.sum()), 6)
    ((13, 13), 1.0)
    """
    with arguments.refusing("unsharp"):
        amount = _amount(amount)
        column, row = _bells(*_distances(sigma, size))
        result = _dtype(dtype)
    # The blur sums to 1 and no less here, or else this kernel would sum to more than 1.
    kernel: Kernel = 0 - amount * np.outer(column / fsum(column), row / fsum(row))
    kernel[len(column) // 2, len(row) // 2] += 1 + amount
    return kernel.astype(result)


def sobel_x() -> Kernel:
    """Change from left to right, smoothed a little up and down.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    I. Sobel and G. Feldman, "A 3x3 isotropic gradient operator for image processing", 1968.

    Examples
    --------
    >>> sobel_x()
    array([[-1,  0,  1],
           [-2,  0,  2],
           [-1,  0,  1]])
    """
    return np.outer([1, 2, 1], [-1, 0, 1])


def sobel_y() -> Kernel:
    """Change from top to bottom, smoothed a little sideways: `sobel_x` turned.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    The transpose of `sobel_x`, which has the reference.

    Examples
    --------
    >>> sobel_y()
    array([[-1, -2, -1],
           [ 0,  0,  0],
           [ 1,  2,  1]])
    """
    return sobel_x().T.copy()


def prewitt_x() -> Kernel:
    """Change from left to right, the mean of three rows.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    J. Prewitt, "Object enhancement and extraction", in Picture Processing and
    Psychopictorics, 1970.

    Examples
    --------
    >>> prewitt_x()
    array([[-1,  0,  1],
           [-1,  0,  1],
           [-1,  0,  1]])
    """
    return np.outer([1, 1, 1], [-1, 0, 1])


def prewitt_y() -> Kernel:
    """Change from top to bottom, the mean of three columns: `prewitt_x` turned.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    The transpose of `prewitt_x`, which has the reference.

    Examples
    --------
    >>> prewitt_y()
    array([[-1, -1, -1],
           [ 0,  0,  0],
           [ 1,  1,  1]])
    """
    return prewitt_x().T.copy()


def scharr_x() -> Kernel:
    """Change from left to right, weighted so that slanted edges count like upright ones.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    H. Scharr, "Optimale Operatoren in der Digitalen Bildverarbeitung", Heidelberg, 2000; the
    integer version that OpenCV uses.

    Examples
    --------
    >>> scharr_x()
    array([[ -3,   0,   3],
           [-10,   0,  10],
           [ -3,   0,   3]])
    """
    return np.outer([3, 10, 3], [-1, 0, 1])


def scharr_y() -> Kernel:
    """Change from top to bottom: `scharr_x` turned.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    The transpose of `scharr_x`, which has the reference.

    Examples
    --------
    >>> scharr_y()
    array([[ -3, -10,  -3],
           [  0,   0,   0],
           [  3,  10,   3]])
    """
    return scharr_x().T.copy()


def laplacian(*, diagonals: bool = False) -> Kernel:
    """How much a pixel lies below its neighbours: the second derivative, across plus down.

    Parameters
    ----------
    diagonals : bool
        Whether the four diagonal neighbours count as well.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Raises
    ------
    TypeError, ValueError
        If `diagonals` is neither True nor False.

    Notes
    -----
    The five-point finite-difference Laplacian, or with diagonals the nine-point sum of differences;
    OpenCV's `Laplacian` and SciPy's `ndimage.laplace` take the first.

    Examples
    --------
    >>> laplacian()
    array([[ 0,  1,  0],
           [ 1, -4,  1],
           [ 0,  1,  0]])
    >>> laplacian(diagonals=True)
    array([[ 1,  1,  1],
           [ 1, -8,  1],
           [ 1,  1,  1]])
    """
    with arguments.refusing("laplacian"):
        diagonals = arguments.flag("diagonals", diagonals)
    if diagonals:
        return np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]])
    return np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


def laplacian_of_gaussian(
    sigma: float = 1.0,
    size: int | tuple[int, int] | None = None,
    *,
    dtype: npt.DTypeLike = "float64",
) -> Kernel:
    """The Laplacian of an image blurred by a gaussian: edges, and blobs of radius sigma * √2.

    Parameters
    ----------
    sigma, size
        The standard deviation and the size of the blur, as in `gaussian`.
    dtype : dtype_like
        float64 or float32.

    Returns
    -------
    numpy.ndarray
        (kh, kw) of `dtype`, summing to 0.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is not a number above 0, `size` no odd number or pair of them, or `dtype` another
        type; or if the kernel would be too large.

    Notes
    -----
    D. Marr and E. Hildreth, "Theory of edge detection", Proc. R. Soc. Lond. B 207, 1980. The
    numbers of the sampled kernel do not quite cancel out; their mean is subtracted, so that flat
    regions give 0.

    Examples
    --------
    >>> kernel = laplacian_of_gaussian(1.5)
    >>> kernel.shape, bool(abs(kernel.sum()) < 1e-12), bool(kernel[5, 5] < 0)
    ((11, 11), True, True)
    """
    with arguments.refusing("laplacian_of_gaussian"):
        down, across, sigma = _distances(sigma, size)
        result = _dtype(dtype)
    column, row = _bells(down, across, sigma)
    squares = np.add.outer(down**2, across**2) / sigma**2  # (r / sigma)²
    kernel: Kernel = (squares - 2) / sigma**2 * np.outer(column / fsum(column), row / fsum(row))
    kernel -= kernel.mean()
    return kernel.astype(result)


def emboss() -> Kernel:
    """A relief lit from the upper left: the image plus its change towards the lower right.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 1.

    Notes
    -----
    This is the kernel in common use. It adds differences along the diagonal to the pixel itself.

    Examples
    --------
    >>> emboss()
    array([[-2, -1,  0],
           [-1,  1,  1],
           [ 0,  1,  2]])
    """
    return np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def outline() -> Kernel:
    """How much a pixel stands out from its eight neighbours.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    Also known as edge detection. It is the negative of `laplacian` with diagonals.

    Examples
    --------
    >>> outline()
    array([[-1, -1, -1],
           [-1,  8, -1],
           [-1, -1, -1]])
    """
    return -laplacian(diagonals=True)


def motion_blur(length: int = 9, angle: float = 0.0, *, dtype: npt.DTypeLike = "float64") -> Kernel:
    """The mean along a line of pixels, as a steady movement of the camera gives.

    Parameters
    ----------
    length : int
        The number of pixels that the movement covers, which must be odd.
    angle : float
        Its direction in degrees, from 0 (along a row) counterclockwise.
    dtype : dtype_like
        float64 or float32.

    Returns
    -------
    numpy.ndarray
        (length, length) of `dtype`, summing to 1, or slightly less so that rounding brightens no
        image.

    Raises
    ------
    TypeError, ValueError
        If `length` is not odd and positive, or too large, `angle` not finite, or `dtype` another
        type.

    Notes
    -----
    The weights are those of a uniform line that is drawn by bilinear interpolation.

    Examples
    --------
    >>> motion_blur(3)
    array([[0.        , 0.        , 0.        ],
           [0.33333333, 0.33333333, 0.33333333],
           [0.        , 0.        , 0.        ]])
    """
    with arguments.refusing("motion_blur"):
        length, _ = _odd("length", arguments.integer("length", length))
        turns, rest = divmod(_number("angle", angle) % 360, 90)
        result = _dtype(dtype)
    across, up = cos(radians(rest)), sin(radians(rest))
    for _ in range(int(turns)):  # quarter turns, which sines and cosines would round
        across, up = -up, across
    kernel = np.zeros((length + 1, length + 1))
    middle = length // 2
    for step in range(-middle, middle + 1):
        # Each point of the line shares its weight among the four pixels around it.
        y, x = max(0.0, middle - step * up), max(0.0, middle + step * across)
        top, left = int(y), int(x)
        kernel[top : top + 2, left : left + 2] += np.outer(
            [top + 1 - y, y - top], [left + 1 - x, x - left]
        )
    kernel = kernel[:length, :length]
    total = fsum(kernel[kernel > 0])
    return (kernel * (_largest_sum(kernel, result) / total)).astype(result)


# ------------------------------------------------------------------ what filters share


def _bells(down: Kernel, across: Kernel, sigma: float) -> tuple[Kernel, Kernel]:
    """A column and a row of the normal density at these distances, not normalised."""
    with np.errstate(under="ignore"):  # far from the middle the density is 0
        return np.exp(-((down / sigma) ** 2) / 2), np.exp(-((across / sigma) ** 2) / 2)


def _mean_of_product(column: Kernel, row: Kernel, dtype: np.dtype[Any]) -> Kernel:
    """The product of a column and a row of weights, scaled to `_largest_sum`."""
    with np.errstate(under="ignore"):
        column, row = column / fsum(column), row / fsum(row)
        kernel = np.outer(column * _largest_sum(np.outer(column, row), dtype), row)
        return kernel.astype(dtype)


def _largest_sum(kernel: Kernel, dtype: np.dtype[Any]) -> float:
    """What the weights of a mean may sum to, so that no result exceeds the largest pixel.

    Adding n products one after another gains at most u = eps / 2 of each partial sum. For pixels
    of 1, and weights that are the same from both ends, the partial sums add up to (n + 1) / 2. The
    weights, their scaling and the products are rounded as well. In all the result gains at most
    (n / 2 + 4) u, and in the two passes of a product ((kh + kw) / 2 + 8) u. A single weight of 1
    needs no rounding.
    """
    taps, (height, width) = int(np.count_nonzero(kernel)), kernel.shape
    if taps == 1:
        return 1.0
    additions = taps if dtype == np.float64 else min(taps, height + width + 8)
    return 1 - (additions + 8) / 4 * float(np.finfo(dtype).eps)


# --------------------------------------------------------------------------- arguments


def _odd(argument: str, size: object) -> tuple[int, int]:
    """Read rows and columns, which must be odd and not too many."""
    height, width = arguments.numbers(argument, size)
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"{argument} must be odd, for a kernel with a middle; got {size!r}")
    _check_taps(argument, size, height, width)
    return height, width


def _check_taps(argument: str, value: object, height: int, width: int) -> None:
    """Refuse a kernel that would fill the memory."""
    if height * width > _MOST_TAPS:
        raise ValueError(
            f"{argument} must make a kernel of at most {_MOST_TAPS:,} taps; got {value!r}, which "
            f"makes {height:.6g} x {width:.6g}: take a smaller {argument}, or make the images "
            "smaller first, as convlens.pool does"
        )


def _number(argument: str, value: Any) -> Any:
    """Read a finite number, as Python's int or float."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{argument} must be a number; got {value!r}")
    try:
        finite = isfinite(value)
    except OverflowError:
        raise ValueError(
            f"{argument} must be at most 1.8e308 in magnitude, as floats are; got an integer of "
            f"{int(value).bit_length()} bits"
        ) from None
    if not finite:
        raise ValueError(f"{argument} must be finite; got {value!r}")
    return value


def _amount(value: Any) -> Any:
    """Read an amount of sharpening."""
    amount = _number("amount", value)
    if abs(amount) > _LARGEST_AMOUNT:
        raise ValueError(
            f"amount must be between -2**50 and 2**50, where the kernel still sums to 1 in 64 "
            f"bits; got {amount!r}"
        )
    return amount


def _dtype(value: Any) -> np.dtype[Any]:
    """Read the type of a kernel of floats."""
    for dtype in (np.dtype(np.float64), np.dtype(np.float32)):
        try:
            if value is not None and dtype == value:
                return dtype
        except (TypeError, ValueError, SyntaxError):
            break  # not the name of any type
    raise TypeError(f"dtype must be float64 or float32; got {value!r}")


def _distances(sigma: Any, size: object) -> tuple[Kernel, Kernel, float]:
    """Read sigma and size; returns each row's and column's distance from the middle, and sigma."""
    sigma = _number("sigma", sigma)
    if sigma <= 0:
        raise ValueError(f"sigma must be greater than 0; got {sigma!r}")
    if not _SIGMAS[0] <= sigma <= _SIGMAS[1]:
        raise ValueError(f"sigma must be between {_SIGMAS[0]} and {_SIGMAS[1]}; got {sigma!r}")
    if size is None:
        height = width = 2 * ceil(3 * sigma) + 1
        _check_taps("sigma", sigma, height, width)
    else:
        height, width = _odd("size", size)
    return np.arange(height) - height // 2, np.arange(width) - width // 2, float(sigma)
