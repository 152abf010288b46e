"""Filters that call a Python function at each place: SciPy's own, where SciPy is installed."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from convlens.core.problem import Array


def generic_filter(*args: Any, **kwargs: Any) -> Array:
    """Call a function with the numbers under a window, at each place, as SciPy does it.

    Parameters
    ----------
    *args, **kwargs
        Those of `scipy.ndimage.generic_filter`: ``input, function, size=None, footprint=None,
        output=None, mode="reflect", cval=0.0, origin=0, extra_arguments=(), extra_keywords=None, *,
        axes=None``.

    Returns
    -------
    numpy.ndarray
        What SciPy returns.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    Exception
        Whatever SciPy or the function raises.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.generic_filter(np.array([1.0, 5.0, 2.0]), np.ptp, size=3)
    array([4., 4., 3.])
    """
    result: Array = _scipys("generic_filter").generic_filter(*args, **kwargs)
    return result


def generic_filter1d(*args: Any, **kwargs: Any) -> Array:
    """Call a function with every line along an axis, as SciPy does it.

    Parameters
    ----------
    *args, **kwargs
        Those of `scipy.ndimage.generic_filter1d`: ``input, function, filter_size, axis=-1,
        output=None, mode="reflect", cval=0.0, origin=0, extra_arguments=(), extra_keywords=None``.

    Returns
    -------
    numpy.ndarray
        What SciPy returns.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    Exception
        Whatever SciPy or the function raises.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> def add_neighbours(line, result):
    ...     result[...] = line[:-1] + line[1:]
    >>> ndimage.generic_filter1d(np.array([1.0, 5.0, 2.0]), add_neighbours, 2)
    array([2., 6., 7.])
    """
    result: Array = _scipys("generic_filter1d").generic_filter1d(*args, **kwargs)
    return result


def vectorized_filter(*args: Any, **kwargs: Any) -> Array:
    """Call a vectorized function with the numbers under many windows at once, as SciPy does it.

    Parameters
    ----------
    *args, **kwargs
        Those of `scipy.ndimage.vectorized_filter`, of SciPy 1.16 or newer: ``input, function, *,
        size=None, footprint=None, output=None, mode="reflect", cval=None, origin=None, axes=None,
        batch_memory=2**30``.

    Returns
    -------
    numpy.ndarray
        What SciPy returns.

    Raises
    ------
    ImportError
        If SciPy is not installed, or is older.
    Exception
        Whatever SciPy or the function raises.

    Examples
    --------
    >>> import numpy as np
    >>> from convlens import ndimage
    >>> ndimage.vectorized_filter(np.array([1.0, 5.0, 2.0]), np.max, size=3)
    array([5., 5., 5.])
    """
    result: Array = _scipys("vectorized_filter").vectorized_filter(*args, **kwargs)
    return result


def _scipys(name: str) -> ModuleType:
    """SciPy's module, if it is there and has this function."""
    try:
        from scipy import ndimage  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ImportError(
            f"{name} calls a Python function at each place, which is left to SciPy; that is not "
            "installed: pip install scipy"
        ) from error
    if not hasattr(ndimage, name):
        raise ImportError(
            f"{name} is left to SciPy, and the one that is installed has no such function: pip "
            "install --upgrade scipy"
        )
    module: ModuleType = ndimage
    return module
