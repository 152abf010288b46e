"""Kernels by name, as (kh, kw) arrays for `convlens.convolve`.

Kernels of whole numbers are int64, so that they keep integer images exact; the others are float64.
Brightness rising to the right, or downwards, gives the ``_x`` and ``_y`` kernels positive results:
they are written for cross-correlation, which flips nothing. Kernels that blur or sharpen sum to 1
and leave flat regions as they are; kernels that look for change sum to 0.
"""

from __future__ import annotations

from math import ceil, cos, isfinite, radians, sin
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


def identity(size: int | tuple[int, int] = 3) -> Kernel:
    """A 1 in the middle of zeros: the image comes out as it went in.

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
        If `size` is no odd number or pair of them.

    Notes
    -----
    The unit of convolution: a sampled Dirac impulse.

    Examples
    --------
    >>> identity()
    array([[0, 0, 0],
           [0, 1, 0],
           [0, 0, 0]])
    """
    height, width = _odd("identity", size)
    kernel = np.zeros((height, width), np.int64)
    kernel[height // 2, width // 2] = 1
    return kernel


def box(size: int | tuple[int, int] = 3) -> Kernel:
    """The mean of a rectangle: the simplest blur.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns.

    Returns
    -------
    numpy.ndarray
        float64, summing to 1.

    Raises
    ------
    TypeError, ValueError
        If `size` is no positive integer or pair of them.

    Notes
    -----
    The normalised box filter, as OpenCV's `blur` and SciPy's `uniform_filter` compute it.

    Examples
    --------
    >>> box(2)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    with arguments.refusing("box"):
        shape = arguments.pair("size", size)
    return np.full(shape, 1 / (shape[0] * shape[1]))


def gaussian(sigma: float = 1.0, size: int | tuple[int, int] | None = None) -> Kernel:
    """A round, soft blur: weights fall off as exp(-r² / 2σ²) with the distance r.

    Parameters
    ----------
    sigma : float
        The standard deviation, in pixels.
    size : int or (int, int), optional
        Rows and columns, both odd; by default as many as reach 3 sigma to every side.

    Returns
    -------
    numpy.ndarray
        float64, summing to 1. It is the outer product of a column and a row.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is not a number above 0, or `size` no odd number or pair of them.

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
    return _gaussian("gaussian", sigma, size)


def _gaussian(name: str, sigma: Any, size: object) -> Kernel:
    """`gaussian`, for the filter of that name, which errors are said to be of."""
    down, across, sigma = _distances(name, sigma, size)
    column, row = np.exp(-((down / sigma) ** 2) / 2), np.exp(-((across / sigma) ** 2) / 2)
    return np.outer(column / column.sum(), row / row.sum())


def sharpen(amount: float = 1) -> Kernel:
    """The image with its edges exaggerated: the image minus its Laplacian.

    Parameters
    ----------
    amount : float
        How much; 0 leaves the image as it is.

    Returns
    -------
    numpy.ndarray
        (3, 3), summing to 1; int64 if `amount` is an integer, else float64.

    Raises
    ------
    TypeError, ValueError
        If `amount` is not a finite number.

    Notes
    -----
    The image minus its Laplacian; with an amount of 1 the kernel that image programs call sharpen.

    Examples
    --------
    >>> sharpen()
    array([[ 0, -1,  0],
           [-1,  5, -1],
           [ 0, -1,  0]])
    """
    amount = _number("sharpen", "amount", amount)
    kernel: Kernel = identity() - amount * laplacian()
    return kernel


def unsharp(
    sigma: float = 1.0, amount: float = 1.0, size: int | tuple[int, int] | None = None
) -> Kernel:
    """Unsharp masking: the image, plus what a gaussian blur would take away.

    Parameters
    ----------
    sigma : float
        Of the blur, as in `gaussian`.
    amount : float
        How much of the difference is added; 0 leaves the image as it is.
    size : int or (int, int), optional
        Of the blur, as in `gaussian`.

    Returns
    -------
    numpy.ndarray
        float64, summing to 1.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is not a number above 0, `amount` not finite, or `size` not odd.

    Notes
    -----
    Named after the darkroom's way: a blurred negative of the picture is its unsharp mask.

    Examples
    --------
    >>> kernel = unsharp(2)
    >>> kernel.shape, round(float(kernel.sum()), 6)
    ((13, 13), 1.0)
    """
    amount = _number("unsharp", "amount", amount)
    blur = _gaussian("unsharp", sigma, size)
    sharp = identity(blur.shape)
    return sharp + amount * (sharp - blur)


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
    As for `sobel_x`.

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
    As for `prewitt_x`.

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
    As for `scharr_x`.

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


def laplacian_of_gaussian(sigma: float = 1.0, size: int | tuple[int, int] | None = None) -> Kernel:
    """The Laplacian of an image blurred by a gaussian: edges, and blobs of radius sigma * √2.

    Parameters
    ----------
    sigma, size
        The blur, as in `gaussian`.

    Returns
    -------
    numpy.ndarray
        float64, summing to 0.

    Raises
    ------
    TypeError, ValueError
        If `sigma` is not a number above 0, or `size` no odd number or pair of them.

    Notes
    -----
    D. Marr and E. Hildreth, "Theory of edge detection", Proc. R. Soc. Lond. B 207, 1980. The
    sampled kernel's small remaining mean is taken off, so that flat regions give 0.

    Examples
    --------
    >>> kernel = laplacian_of_gaussian(1.5)
    >>> kernel.shape, bool(abs(kernel.sum()) < 1e-12), bool(kernel[5, 5] < 0)
    ((11, 11), True, True)
    """
    down, across, sigma = _distances("laplacian_of_gaussian", sigma, size)
    squares = np.add.outer(down**2, across**2) / sigma**2  # (r / sigma)²
    kernel: Kernel = (squares - 2) / sigma**2 * gaussian(sigma, (len(down), len(across)))
    kernel -= kernel.mean()
    return kernel


def emboss() -> Kernel:
    """A relief lit from the upper left: the image plus its change towards the lower right.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 1.

    Notes
    -----
    The kernel commonly used: differences along the diagonal, added to the pixel itself.

    Examples
    --------
    >>> emboss()
    array([[-2, -1,  0],
           [-1,  1,  1],
           [ 0,  1,  2]])
    """
    return np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def outline() -> Kernel:
    """How much a pixel stands out from its eight neighbours: the Laplacian's opposite.

    Returns
    -------
    numpy.ndarray
        (3, 3) int64, summing to 0.

    Notes
    -----
    Known as edge detection or outline; `laplacian` with diagonals, its sign turned.

    Examples
    --------
    >>> outline()
    array([[-1, -1, -1],
           [-1,  8, -1],
           [-1, -1, -1]])
    """
    return -laplacian(diagonals=True)


def motion_blur(length: int = 9, angle: float = 0.0) -> Kernel:
    """What a steady movement of the camera does: the mean along a line.

    Parameters
    ----------
    length : int
        Pixels the movement covers; odd.
    angle : float
        Its direction in degrees, from 0 (along a row) counterclockwise.

    Returns
    -------
    numpy.ndarray
        (length, length) float64, summing to 1.

    Raises
    ------
    TypeError, ValueError
        If `length` is not odd and positive, or `angle` not finite.

    Notes
    -----
    A line of equal weights, drawn over the pixels by bilinear interpolation.

    Examples
    --------
    >>> motion_blur(3)
    array([[0.        , 0.        , 0.        ],
           [0.33333333, 0.33333333, 0.33333333],
           [0.        , 0.        , 0.        ]])
    """
    with arguments.refusing("motion_blur"):
        length = arguments.integer("length", length)
    length, _ = _odd("motion_blur", length, "length")
    angle = radians(_number("motion_blur", "angle", angle))
    kernel = np.zeros((length + 1, length + 1))
    centre = length // 2
    for step in range(-centre, centre + 1):
        # Each point of the line gives its share to the four pixels around it.
        y, x = centre - step * sin(angle), centre + step * cos(angle)
        top, left = int(y), int(x)
        kernel[top : top + 2, left : left + 2] += np.outer(
            [top + 1 - y, y - top], [left + 1 - x, x - left]
        )
    kernel = kernel[:length, :length]
    kernel /= kernel.sum()
    return kernel


def _odd(name: str, size: object, argument: str = "size") -> tuple[int, int]:
    with arguments.refusing(name):
        height, width = arguments.pair(argument, size)
        if height % 2 == 0 or width % 2 == 0:
            raise ValueError(f"{argument} must be odd, for a kernel with a middle; got {size!r}")
    return height, width


def _number(name: str, argument: str, value: Any) -> Any:
    """A finite number, as Python's int or float."""
    with arguments.refusing(name):
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{argument} must be a number; got {value!r}")
        if not isfinite(value):
            raise ValueError(f"{argument} must be finite; got {value!r}")
    return value


def _distances(name: str, sigma: Any, size: object) -> tuple[Kernel, Kernel, float]:
    """Of each row and each column of a kernel its distance from the middle; and sigma, checked."""
    sigma = _number(name, "sigma", sigma)
    if sigma <= 0:
        raise ValueError(f"{name}: sigma must be greater than 0; got {sigma!r}")
    height, width = _odd(name, 2 * ceil(3 * sigma) + 1 if size is None else size)
    return np.arange(height) - height // 2, np.arange(width) - width // 2, float(sigma)
