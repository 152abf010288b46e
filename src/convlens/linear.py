"""Convolutions as linear operators of SciPy, for its solvers and for PyLops."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens import arguments
from convlens.core.problem import Array, Spec
from convlens.gradients import convolve_transpose
from convlens.operations import Method, Numbers, Padding, PadMode, Shape, convolve, explains


@explains(arguments.CONVOLVE_WORDS)
def linear_operator(
    images_shape: Shape,
    kernels: npt.ArrayLike,
    padding: Padding = "same",
    stride: Numbers = 1,
    *,
    dilation: Numbers = 1,
    groups: int = 1,
    pad_mode: PadMode = "constant",
    dtype: npt.DTypeLike = np.float64,
    method: Method = "auto",
    space: int = 2,
) -> Any:
    """A convolution as a `scipy.sparse.linalg.LinearOperator`, together with its transpose.

    What SciPy's solvers and PyLops ask of a matrix, this computes without one: products with a
    vector, `matvec`, with the conjugate transpose, `rmatvec`, and with several vectors at once,
    `matmat` and `rmatmat`, which are one call each, of a batch. Images and outputs are flattened.

    Parameters
    ----------
    images_shape : tuple of int
        The shape of the images, one that `convolve` takes.
    kernels : array_like
        The kernels, as in `convolve`.
    padding, stride, dilation, groups, pad_mode
        As in `convolve`. Padding holds zeros or repeats pixels, because the operator would not be
        linear with another number.
    dtype : dtype
        The type of the images that it will be applied to.
    method, space
        As in `convolve`.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        Of shape (numbers of the outputs, numbers of the images).

    Raises
    ------
    ImportError
        If SciPy is not installed: ``pip install 'convlens[scipy]'``.
    TypeError, ValueError
        As `convolve` does.

    See Also
    --------
    convolve_transpose : the transpose by itself.

    Examples
    --------
    A signal is blurred, and found again by least squares; beyond its ends it is mirrored:

    >>> import numpy as np, convlens
    >>> from scipy.sparse.linalg import lsqr
    >>> blur = convlens.linear_operator((50,), [0.2, 0.6, 0.2], pad_mode="reflect", space=1)
    >>> signal = np.sin(np.arange(50.0))
    >>> found, *_ = lsqr(blur, blur @ signal, atol=1e-12, btol=1e-12)
    >>> bool(np.allclose(found, signal))
    True
    """
    try:
        from scipy.sparse.linalg import LinearOperator  # noqa: PLC0415  # an extra
    except ImportError:
        raise ImportError(
            "linear_operator: it needs SciPy: pip install 'convlens[scipy]'"
        ) from None
    with arguments.refusing("linear_operator"):
        if not arguments.is_shape(images_shape):
            raise TypeError(f"images_shape must be a tuple of integers; got {images_shape!r}")
        numbers = arguments.kernels_for(np.dtype(dtype), kernels)
        problem = arguments.convolve_problem(
            Spec(images_shape, np.dtype(dtype)),
            arguments.spec("kernels", numbers),
            arguments.ConvolveOptions(padding, stride, dilation, groups, pad_mode, 0, None, space),
        )
    size = tuple(axis.size for axis in problem.spatial)
    options: dict[str, Any] = {
        "padding": padding,
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "pad_mode": pad_mode,
        "method": method,
        "space": space,
    }
    # Kernels as for channels, because many images without would look like one that has them.
    gray = "c" not in problem.layout.images
    batch = "m" in problem.layout.images

    def columns(values: Array, shape: tuple[int, ...]) -> Array:
        """Each column as images of this shape, all in one batch."""
        many = values.T.reshape(-1, *(shape[1:] if batch else shape))
        return many[..., np.newaxis] if gray else many

    def matmat(values: Array) -> Array:
        made = convolve(columns(values, images_shape), numbers, **options)
        return made.reshape(values.shape[1], -1).T

    def rmatmat(values: Array) -> Array:
        outputs = columns(values, problem.output_shape)
        made = convolve_transpose(outputs, numbers.conj(), size, **options)
        return made.reshape(values.shape[1], -1).T

    return LinearOperator(
        (prod(problem.output_shape), prod(images_shape)),
        matvec=lambda values: matmat(values.reshape(-1, 1)).ravel(),
        rmatvec=lambda values: rmatmat(values.reshape(-1, 1)).ravel(),
        matmat=matmat,
        rmatmat=rmatmat,
        dtype=problem.output_dtype,
    )
