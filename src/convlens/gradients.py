"""The way back: the transpose of a convolution, and gradients by kernels and by images."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from convlens import arguments, arguments_back, repeats
from convlens.core.problem import Array
from convlens.methods.winners import write_winners
from convlens.operations import Method, Mode, Numbers, Padding, PadMode, Shape, explains
from convlens.plan import back
from convlens.plan.back import BackPlan, execute_back

CALLS = repeats.Calls(execute_back)  # the latest ones


@explains(arguments.CONVOLVE_WORDS)
def convolve_transpose(
    outputs: npt.ArrayLike,
    kernels: npt.ArrayLike,
    size: Numbers | None = None,
    padding: Padding = "same",
    stride: Numbers = 1,
    *,
    dilation: Numbers = 1,
    groups: int = 1,
    pad_mode: PadMode = "constant",
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    method: Method = "auto",
    space: int = 2,
) -> Array:
    """Apply the transpose of `convolve`: give each output back to the pixels that it was made of.

    A convolution is a linear map from images to outputs. This is its transpose, from outputs to
    images: each pixel gets the sum of all outputs whose windows cover it, each times the number of
    the kernel that lay on the pixel. It is the gradient of a convolution by its images; what a
    "transposed convolution" or "deconvolution" layer computes; and what solvers of linear systems
    ask for next to the convolution itself. It does not undo a convolution.

    Parameters
    ----------
    outputs, kernels : array_like
        Numbers of any integer, floating, complex or boolean type; outputs may also be a Dask array
        of NumPy arrays. Outputs have the shape that `convolve` gives, and kernels are those that it
        takes:

        =================  =========================  ================
        outputs            kernels                    result
        =================  =========================  ================
        (m, oh, ow)        (kh, kw)                   (m, h, w)
        (m, oh, ow)        (kh, kw, c)                (m, h, w, c)
        (m, oh, ow, nc)    (kh, kw, c // groups, nc)  (m, h, w, c)
        (m, oh, ow, c)     (kh, kw)                   (m, h, w, c)
        (oh, ow)           (kh, kw)                   (h, w)
        (oh, ow)           (kh, kw, c)                (h, w, c)
        (oh, ow, nc)       (kh, kw, c // groups, nc)  (h, w, c)
        =================  =========================  ================

        With `space` of 1 or 3, every h, w becomes one size or three.
    size : int or tuple of int, optional
        The size of the images, h and w, from which `convolve` would make outputs of this size.
        With a stride there are several; by default it is that of Keras and PyTorch: with "same",
        outputs times stride along each axis, and else the smallest. PyTorch's `output_padding` is
        what `size` has more than that.
    padding, stride, dilation, groups, pad_mode
        Those of the convolution; see `convolve`. Cells of padding that repeat pixels give what they
        get to these pixels, and other cells give it to none.
    dtype : dtype, optional
        Type of the result, as in `convolve`.
    out : numpy.ndarray, optional
        Where to write the result: an array of its shape and type that shares no memory with the
        inputs.
    method : {"auto", "compiled", "numpy"}
        The engine, as in `convolve`.
    space : {1, 2, 3}
        The number of spatial axes: 1 for signals, 2 for images, 3 for volumes.

    Returns
    -------
    numpy.ndarray or dask.array.Array
        `out`, or a new array; of a Dask array, one of which nothing is computed yet. An image's
        result is the same to the last bit whatever else is in the batch, and in any chunks. NaN and
        inf in the outputs reach only the pixels that their windows cover, and those in the kernels
        only the pixels that lie under such a tap.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument has a wrong value, shapes do not match, or the result is too large.
    MemoryError
        If there is no memory for the result.

    See Also
    --------
    plan_convolve_transpose : the same call, explained instead of computed.
    linear_operator : a convolution and its transpose, for the solvers of SciPy.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> kernel = np.array([[1, 2], [3, 4]])
    >>> convlens.convolve_transpose(np.array([[1, 0], [0, 10]]), kernel, padding="valid")
    array([[ 1,  2,  0],
           [ 3, 14, 20],
           [ 0, 30, 40]])

    A layer that doubles the size of images, from 32 channels to 16:

    >>> images, kernels = np.ones((8, 14, 14, 32)), np.ones((3, 3, 16, 32))
    >>> convlens.convolve_transpose(images, kernels, stride=2).shape
    (8, 28, 28, 16)

    The cells beyond the edge are mirrored pixels, and give what they get to those:

    >>> convlens.convolve_transpose([1, 0, 0], [1, 1, 1], pad_mode="reflect", space=1)
    array([1, 2, 0])
    """
    options = arguments.ConvolveOptions(
        padding, stride, dilation, groups, pad_mode, 0, dtype, space
    )
    key = repeats.key(options, method, outputs, kernels, out, "convolve_transpose", size)
    known = CALLS.find(key, kernels)
    if known is not None:
        return known(cast("Array", outputs), cast("Array", kernels), out)
    with arguments.refusing("convolve_transpose"):
        outputs = arguments.array("outputs", outputs)
        kernels = arguments.kernels_for(outputs.dtype, kernels)
    plan = _plan_transpose(outputs, kernels, size, options, method)
    result = execute_back(plan, outputs, kernels, out)
    CALLS.keep(key, plan, outputs, kernels, result)
    return result


@explains(arguments.CONVOLVE_WORDS)
def plan_convolve_transpose(
    outputs: npt.ArrayLike | Shape,
    kernels: npt.ArrayLike | Shape,
    size: Numbers | None = None,
    padding: Padding = "same",
    stride: Numbers = 1,
    *,
    dilation: Numbers = 1,
    groups: int = 1,
    pad_mode: PadMode = "constant",
    dtype: npt.DTypeLike | None = None,
    method: Method = "auto",
    space: int = 2,
) -> BackPlan:
    """Say what `convolve_transpose` would compute with these arguments, how, and at what cost.

    Parameters
    ----------
    outputs, kernels : array_like or tuple of int
        Arrays, or bare shapes, which stand for float64 numbers.
    size, padding, stride, dilation, groups, pad_mode, dtype, method, space
        As in `convolve_transpose`.

    Returns
    -------
    BackPlan
        Print it to read it, call it to run it.

    Raises
    ------
    TypeError, ValueError
        As `convolve_transpose` does.

    Examples
    --------
    >>> import convlens
    >>> shapes = (8, 14, 14, 32), (3, 3, 16, 32)
    >>> print(convlens.plan_convolve_transpose(*shapes, stride=2, method="numpy"))
    transpose 8 images of 28 x 28 with 16 channels, 32 kernels of 3 x 3 x 16
    input     outputs (8, 14, 14, 32) float64, kernels (3, 3, 16, 32) float64
    output    (8, 28, 28, 16) float64
    rows      (h + top + bottom - kh) // sh + 1 = (28 + 0 + 1 - 3) // 2 + 1 = 14
    columns   (w + left + right - kw) // sw + 1 = (28 + 0 + 1 - 3) // 2 + 1 = 14
    padding   same: 0 above, 1 below, 0 left, 1 right, holding zeros
    windows   8 x 14 x 14 = 1,568, each of 3 x 3 x 16 = 144 taps
    work      7.23 million multiply-adds
    memory    reads 438 kB, writes 803 kB
    method    numpy, as asked, in 4 convolutions, one for each phase of the stride, term by term
    """
    options = arguments.ConvolveOptions(
        padding, stride, dilation, groups, pad_mode, 0, dtype, space
    )
    return _plan_transpose(outputs, kernels, size, options, method)


def _plan_transpose(
    outputs: npt.ArrayLike | Shape,
    kernels: npt.ArrayLike | Shape,
    size: object,
    options: arguments.ConvolveOptions,
    method: str,
) -> BackPlan:
    with arguments.refusing("convolve_transpose"):
        of_outputs = arguments.spec("outputs", outputs)
        numbers = None
        if not arguments.is_shape(kernels):
            numbers = arguments.kernels_for(of_outputs.dtype, kernels)
        of_kernels = arguments.spec("kernels", kernels if numbers is None else numbers)
        problem = arguments_back.transposed_problem(of_outputs, of_kernels, size, options)
        return back.plan_transpose(problem, arguments.method(method), numbers)


@explains(arguments.CONVOLVE_WORDS)
def kernel_gradient(
    images: npt.ArrayLike,
    outputs: npt.ArrayLike,
    kernel_shape: Shape,
    padding: Padding = "same",
    stride: Numbers = 1,
    *,
    dilation: Numbers = 1,
    groups: int = 1,
    pad_mode: PadMode = "constant",
    pad_value: complex = 0,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    method: Method = "auto",
    space: int = 2,
) -> Array:
    """The gradient of a convolution by its kernels, summed over the batch.

    If a number depends on the outputs of `convolve`, and its gradient by them is known, this is its
    gradient by the kernels: for each number of the kernels the sum of all pixels that it was
    multiplied with, each times the gradient by the output that the product went to.

    Parameters
    ----------
    images : array_like
        The images that were convolved, in one of the shapes that `convolve` takes.
    outputs : array_like
        The gradient by the outputs, in the shape that `convolve` gives.
    kernel_shape : tuple of int
        The shape of the kernels: (kh, kw), (kh, kw, c) or (kh, kw, c // groups, nc), or such a
        shape for another `space`.
    padding, stride, dilation, groups, pad_mode, pad_value
        Those of the convolution; see `convolve`.
    dtype : dtype, optional
        Type of the result. By default integers give int64, and floats give
        ``np.result_type(images, outputs)``; float16 is summed in float32.
    out : numpy.ndarray, optional
        Where to write the result: an array of its shape and type that shares no memory with the
        inputs.
    method : {"auto", "compiled", "numpy"}
        The engine, as in `convolve`.
    space : {1, 2, 3}
        The number of spatial axes: 1 for signals, 2 for images, 3 for volumes.

    Returns
    -------
    numpy.ndarray
        `out`, or a new array of the kernels' shape. The order in which it is summed depends on the
        shapes alone, not on the number of threads or on how the arrays lie in memory. The sum of
        the gradients of two halves of a batch may be rounded differently from the gradient of the
        whole. For complex numbers nothing is conjugated.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument has a wrong value, or shapes do not match.
    MemoryError
        If there is no memory for the result.

    See Also
    --------
    convolve_transpose : the gradient by the images.
    plan_kernel_gradient : the same call, explained instead of computed.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> images = np.arange(9.0).reshape(1, 3, 3)
    >>> outputs = np.array([[[1.0, 0.0], [0.0, 10.0]]])
    >>> convlens.kernel_gradient(images, outputs, (2, 2), "valid")
    array([[40., 51.],
           [73., 84.]])
    """
    options = arguments.ConvolveOptions(
        padding, stride, dilation, groups, pad_mode, pad_value, dtype, space
    )
    key = repeats.key(options, method, images, outputs, out, "kernel_gradient", kernel_shape)
    known = CALLS.find(key, outputs)
    if known is not None:
        return known(cast("Array", images), cast("Array", outputs), out)
    with arguments.refusing("kernel_gradient"):
        images = arguments_back.in_memory("images", images)
        outputs = arguments_back.in_memory("outputs", outputs)
    plan = _plan_kernel_gradient(images, outputs, kernel_shape, options, method)
    result = execute_back(plan, images, outputs, out)
    CALLS.keep(key, plan, images, outputs, result)
    return result


@explains(arguments.CONVOLVE_WORDS)
def plan_kernel_gradient(
    images: npt.ArrayLike | Shape,
    outputs: npt.ArrayLike | Shape,
    kernel_shape: Shape,
    padding: Padding = "same",
    stride: Numbers = 1,
    *,
    dilation: Numbers = 1,
    groups: int = 1,
    pad_mode: PadMode = "constant",
    pad_value: complex = 0,
    dtype: npt.DTypeLike | None = None,
    method: Method = "auto",
    space: int = 2,
) -> BackPlan:
    """Say what `kernel_gradient` would compute with these arguments, how, and at what cost.

    Parameters
    ----------
    images, outputs : array_like or tuple of int
        Arrays, or bare shapes, which stand for float64 numbers.
    kernel_shape, padding, stride, dilation, groups, pad_mode, pad_value, dtype, method, space
        As in `kernel_gradient`.

    Returns
    -------
    BackPlan
        Print it to read it, call it to run it.

    Raises
    ------
    TypeError, ValueError
        As `kernel_gradient` does.

    Examples
    --------
    >>> import convlens
    >>> plan = convlens.plan_kernel_gradient((8, 28, 28, 3), (8, 28, 28, 16), (3, 3, 3, 16))
    >>> plan.output_shape, plan.multiply_adds
    ((3, 3, 3, 16), 2709504)
    """
    options = arguments.ConvolveOptions(
        padding, stride, dilation, groups, pad_mode, pad_value, dtype, space
    )
    return _plan_kernel_gradient(images, outputs, kernel_shape, options, method)


def _plan_kernel_gradient(
    images: npt.ArrayLike | Shape,
    outputs: npt.ArrayLike | Shape,
    kernel_shape: object,
    options: arguments.ConvolveOptions,
    method: str,
) -> BackPlan:
    with arguments.refusing("kernel_gradient"):
        of_images = arguments_back.spec("images", images)
        of_outputs = arguments_back.spec("outputs", outputs)
        problem = arguments_back.kernel_problem(of_images, of_outputs, kernel_shape, options)
        numbers = of_outputs if arguments.is_shape(outputs) else np.asarray(outputs)
        return back.plan_kernel_gradient(problem, arguments.method(method), numbers)


@explains(arguments.POOL_WORDS)
def pool_gradient(
    images: npt.ArrayLike,
    outputs: npt.ArrayLike,
    kernel_shape: Numbers,
    stride: Numbers | None = None,
    mode: Mode = "max",
    *,
    padding: Padding = "valid",
    dilation: Numbers = 1,
    pad_mode: PadMode | None = None,
    pad_value: complex = 0,
    count_padding: bool = False,
    partial: bool = False,
    out: Array | None = None,
    method: Method = "auto",
    space: int = 2,
) -> Array:
    """The gradient of a pooling by its images.

    If a number depends on the outputs of `pool`, and its gradient by them is known, this is its
    gradient by the images. A maximum or minimum gives what came back to its output to the pixel
    that it was: of equal ones to the first in reading order, and of several NaNs to the last, as in
    PyTorch. A sum gives it to all pixels under its window, and an average in equal shares.

    Parameters
    ----------
    images : array_like
        The images that were pooled. Their numbers matter for "max" and "min" alone. There
        is no gradient of a "median".
    outputs : array_like
        The gradient by the outputs, in the shape that `pool` gives.
    kernel_shape, stride, mode, padding, dilation, pad_mode, pad_value, count_padding, partial
        Those of the pooling; see `pool`. Cells of padding that repeat pixels give what they get to
        these, and other cells give it to none.
    out : numpy.ndarray, optional
        Where to write the result: an array of its shape and type that shares no memory with the
        inputs.
    method : {"auto", "compiled", "numpy"}
        The engine, as in `convolve`.
    space : {1, 2, 3}
        The number of spatial axes: 1 for signals, 2 for images, 3 for volumes.

    Returns
    -------
    numpy.ndarray
        `out`, or a new array of the images' shape, of the outputs' type if they are floats; of
        integers sums are int64 (or uint64), and averages float64. An image's result is the same to
        the last bit whatever else is in the batch.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument has a wrong value, or shapes do not match.
    MemoryError
        If there is no memory for the result.

    See Also
    --------
    pool_indices : which pixels were the largest.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> images = np.array([[1, 5, 2, 2], [3, 4, 2, 2]])
    >>> convlens.pool_gradient(images, [[10.0, 20.0]], 2)
    array([[ 0., 10., 20.,  0.],
           [ 0.,  0.,  0.,  0.]])
    >>> convlens.pool_gradient(images, [[10.0, 20.0]], 2, mode="avg")
    array([[2.5, 2.5, 5. , 5. ],
           [2.5, 2.5, 5. , 5. ]])
    """
    options = arguments.PoolOptions(
        kernel_shape,
        stride,
        mode,
        padding,
        dilation,
        pad_mode,
        pad_value,
        count_padding,
        partial,
        space,
    )
    key = repeats.key(options, method, images, outputs, out, "pool_gradient")
    known = CALLS.find(key)
    if known is not None:
        return known(cast("Array", images), cast("Array", outputs), out)
    with arguments.refusing("pool_gradient"):
        images = arguments_back.in_memory("images", images)
        outputs = arguments_back.in_memory("outputs", outputs)
    plan = _plan_pool_gradient(images, outputs, options, method)
    result = execute_back(plan, images, outputs, out)
    CALLS.keep(key, plan, images, outputs, result)
    return result


@explains(arguments.POOL_WORDS)
def plan_pool_gradient(
    images: npt.ArrayLike | Shape,
    outputs: npt.ArrayLike | Shape,
    kernel_shape: Numbers,
    stride: Numbers | None = None,
    mode: Mode = "max",
    *,
    padding: Padding = "valid",
    dilation: Numbers = 1,
    pad_mode: PadMode | None = None,
    pad_value: complex = 0,
    count_padding: bool = False,
    partial: bool = False,
    method: Method = "auto",
    space: int = 2,
) -> BackPlan:
    """Say what `pool_gradient` would compute with these arguments, how, and at what cost.

    Parameters
    ----------
    images, outputs : array_like or tuple of int
        Arrays, or bare shapes, which stand for float64 numbers.
    kernel_shape, stride, mode, padding, dilation, pad_mode, pad_value, count_padding, partial
        As in `pool_gradient`.
    method, space
        As in `pool_gradient`.

    Returns
    -------
    BackPlan
        Print it to read it, call it to run it.

    Raises
    ------
    TypeError, ValueError
        As `pool_gradient` does.

    Examples
    --------
    >>> import convlens
    >>> convlens.plan_pool_gradient((10000, 32, 32, 3), (10000, 16, 16, 3), 2).output_shape
    (10000, 32, 32, 3)
    """
    options = arguments.PoolOptions(
        kernel_shape,
        stride,
        mode,
        padding,
        dilation,
        pad_mode,
        pad_value,
        count_padding,
        partial,
        space,
    )
    return _plan_pool_gradient(images, outputs, options, method)


def _plan_pool_gradient(
    images: npt.ArrayLike | Shape,
    outputs: npt.ArrayLike | Shape,
    options: arguments.PoolOptions,
    method: str,
) -> BackPlan:
    with arguments.refusing("pool_gradient"):
        of_images = arguments_back.spec("images", images)
        of_outputs = arguments_back.spec("outputs", outputs)
        problem, sums = arguments_back.pool_problem(of_images, of_outputs, options)
        return back.plan_pool_gradient(problem, sums, arguments.method(method), of_outputs)


@explains(arguments.POOL_WORDS)
def pool_indices(
    images: npt.ArrayLike,
    kernel_shape: Numbers,
    stride: Numbers | None = None,
    mode: Mode = "max",
    *,
    padding: Padding = "valid",
    dilation: Numbers = 1,
    pad_mode: PadMode | None = None,
    pad_value: complex = 0,
    partial: bool = False,
    method: Method = "auto",
    space: int = 2,
) -> Array:
    """Where the largest or smallest pixel of each window lies.

    Parameters
    ----------
    images : array_like
        As in `pool`.
    kernel_shape, stride
        As in `pool`.
    mode : {"max", "min"}
        Whether the largest are looked for or the smallest. Of equal ones the first in reading order
        is taken, and of several NaNs the last, as in PyTorch.
    padding, dilation, pad_mode, pad_value, partial
        As in `pool`.
    method : {"auto", "compiled", "numpy"}
        The engine, as in `convolve`.
    space : {1, 2, 3}
        The number of spatial axes: 1 for signals, 2 for images, 3 for volumes.

    Returns
    -------
    numpy.ndarray
        int64, of the shape that `pool` gives: places in an image that is flattened without its
        channels, such as y * w + x for images (m, h, w, c). This is what PyTorch returns with
        ``return_indices=True``. Padding that repeats a pixel counts as that pixel, and is -1 if it
        holds a number of its own, and that wins.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument has a wrong value, or a window would see padding alone.
    MemoryError
        If there is no memory for the result.

    See Also
    --------
    pool_gradient : the gradient of a pooling, which goes to these pixels.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> images = np.array([[[1, 5, 2, 2], [3, 4, 2, 9]]])
    >>> where = convlens.pool_indices(images, 2)
    >>> where
    array([[[1, 7]]])

    "Unpooling" puts the outputs back to where they came from, and zeros elsewhere; that is one line
    of NumPy:

    >>> pooled, unpooled = convlens.pool(images, 2), np.zeros_like(images)
    >>> np.put_along_axis(unpooled.reshape(1, -1), where.reshape(1, -1), pooled.reshape(1, -1), 1)
    >>> unpooled
    array([[[0, 5, 0, 0],
            [0, 0, 0, 9]]])
    """
    options = arguments.PoolOptions(
        kernel_shape, stride, mode, padding, dilation, pad_mode, pad_value, False, partial, space
    )
    with arguments.refusing("pool_indices"):
        images = arguments_back.in_memory("images", images)
        problem = arguments_back.choosing_problem(arguments.spec("images", images), options)
        in_numpy = back.winners_engine(problem, arguments.method(method)).method == "numpy"
        result = arguments.output(None, problem.output_shape, np.dtype(np.int64))
    if result.size:
        with np.errstate(all="ignore"):
            write_winners(problem, images, result, in_numpy=in_numpy)
    return result
