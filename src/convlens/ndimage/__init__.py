"""SciPy's filters, by SciPy's names and with SciPy's answers, at the speed of the machine.

``from convlens import ndimage`` stands in for ``from scipy import ndimage`` in a program that uses
these functions; nothing else has to be changed. Only NumPy is needed, but for the filters that call
a Python function, which are handed to SciPy.

All of them take these arguments:

output : array, dtype, or a dtype's name, optional
    Where to write: an array of the input's shape, which may be the input or share memory with it,
    or the type of a new array. By default a new array of the input's type. Numbers are cut off to
    integers, which wrap around in types that do not hold them.
mode : str
    What lies beyond the edges of pixels (a b c d). "reflect" or "grid-mirror": (d c b a | a b c d |
    d c b a); "mirror": (d c b | a b c d | c b a); "nearest": (a a a | a b c d | d d d); "wrap" or
    "grid-wrap": (a b c d | a b c d | a b c d); "constant" or "grid-constant": `cval` everywhere.
cval : number
    What lies there with "constant".
origin : int or tuple of int
    How far the window is moved to the left from its middle, which of an even size is the tap after
    it: one number for all axes, or one for each.
axes : int or tuple of int, optional
    The axes to filter along; sizes, modes, origins and so on are for these. By default all.

Inputs may be Dask arrays, in any chunks: the result is one, too, not yet computed. Integers have
the bits that the whole gives in memory, and floats are within rounding of them. Then an output is a
type, there is no mask, and iterations are counted.

Sums are in float64, or in float32 where input and output are no finer. They are within rounding of
the exact ones; integers have SciPy's bits. NaN and inf reach only the outputs whose window covers
them.

Examples
--------
>>> import numpy as np
>>> from convlens import ndimage
>>> photograph = np.random.default_rng(0).random((480, 640), dtype=np.float32)
>>> smooth = ndimage.gaussian_filter(photograph, 2)
>>> edges = ndimage.gaussian_gradient_magnitude(photograph, 1)
>>> background = ndimage.grey_opening(photograph, footprint=np.hypot(*np.ogrid[-7:8, -7:8]) <= 7)
>>> smooth.shape, edges.dtype, bool((background <= photograph).all())
((480, 640), dtype('float32'), True)
"""

from convlens.ndimage.binary import binary_closing, binary_dilation, binary_erosion, binary_opening
from convlens.ndimage.callbacks import generic_filter, generic_filter1d, vectorized_filter
from convlens.ndimage.chunks import takes_dask
from convlens.ndimage.derivatives import (
    gaussian_filter,
    gaussian_filter1d,
    gaussian_gradient_magnitude,
    gaussian_laplace,
    generic_gradient_magnitude,
    generic_laplace,
    laplace,
    prewitt,
    sobel,
)
from convlens.ndimage.extrema import (
    maximum_filter,
    maximum_filter1d,
    minimum_filter,
    minimum_filter1d,
)
from convlens.ndimage.grey import (
    black_tophat,
    grey_closing,
    grey_dilation,
    grey_erosion,
    grey_opening,
    morphological_gradient,
    morphological_laplace,
    white_tophat,
)
from convlens.ndimage.linear import (
    convolve,
    convolve1d,
    correlate,
    correlate1d,
    uniform_filter,
    uniform_filter1d,
)
from convlens.ndimage.ranks import median_filter, percentile_filter, rank_filter

__all__ = [
    "binary_closing",
    "binary_dilation",
    "binary_erosion",
    "binary_opening",
    "black_tophat",
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_filter",
    "generic_filter1d",
    "generic_gradient_magnitude",
    "generic_laplace",
    "grey_closing",
    "grey_dilation",
    "grey_erosion",
    "grey_opening",
    "laplace",
    "maximum_filter",
    "maximum_filter1d",
    "median_filter",
    "minimum_filter",
    "minimum_filter1d",
    "morphological_gradient",
    "morphological_laplace",
    "percentile_filter",
    "prewitt",
    "rank_filter",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
    "vectorized_filter",
    "white_tophat",
]

for _name in __all__:  # with Dask arrays, all are called chunk by chunk
    globals()[_name] = takes_dask(globals()[_name])
