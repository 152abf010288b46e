"""The four calls: their signatures, and what every argument means."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Literal, ParamSpec, TypeVar, cast

import numpy.typing as npt

from convlens import arguments, arguments_where, hints, labels, repeats
from convlens.core.problem import Array
from convlens.plan import Plan, choose, execute
from convlens.repeats import CALLS

Shape = tuple[int, ...]
Numbers = int | tuple[int, ...]  # one for all spatial axes, or one for each
Sides = tuple[int, int]  # cells before and after the pixels of an axis
Padding = Literal["same", "valid", "full"] | int | tuple[int, ...] | tuple[Sides, ...]
PadMode = Literal["constant", "edge", "reflect", "symmetric", "wrap"]
Mode = Literal["max", "min", "avg", "sum", "median"]
Overflow = Literal["refuse", "saturate"]
Method = Literal["auto", "compiled", "numpy"]
Given = ParamSpec("Given")
Result = TypeVar("Result")


def explains(words: hints.Words) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Decorate a function so that an unknown keyword is answered with what to write instead.

    Newcomers use the names of other libraries, and Python's own TypeError gives no hint. The check
    costs nothing unless a call fails. The decorator is here, not in `hints`, because doctest skips
    functions whose globals belong to another module.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        parameters = signature(function).parameters

        @wraps(function)
        def call(*args: Given.args, **options: Given.kwargs) -> Result:
            try:
                return function(*args, **options)
            except TypeError as error:
                unknown = [name for name in options if name not in parameters]
                # An error from within the function would have a frame of it. Without one, the
                # arguments could not be bound.
                if not unknown or error.__traceback__ is None or error.__traceback__.tb_next:
                    raise
                hint = hints.keyword(unknown[0], options[unknown[0]], parameters, words)
                raise TypeError(
                    f"{function.__name__}: there is no argument {unknown[0]!r}; {hint}"
                ) from None

        return call

    return decorate


@explains(arguments.CONVOLVE_WORDS)
def convolve(
    images: npt.ArrayLike,
    kernels: npt.ArrayLike,
    padding: Padding = "same",
    stride: Numbers = 1,
    *,
    dilation: Numbers = 1,
    groups: int = 1,
    pad_mode: PadMode = "constant",
    pad_value: complex = 0,
    dtype: npt.DTypeLike | None = None,
    overflow: Overflow = "refuse",
    where: npt.ArrayLike | None = None,
    renormalize: bool = False,
    out: Array | None = None,
    method: Method = "auto",
    space: int = 2,
) -> Array:
    """Slide kernels over images; at each place multiply what lies under a kernel, and add up.

    This is cross-correlation: kernels are not flipped, as everywhere in deep learning. For
    convolution in the mathematical sense pass ``kernels[::-1, ::-1]``.

    Parameters
    ----------
    images, kernels : array_like
        Numbers of any integer, floating, complex or boolean type, in one of these shapes. Channels
        come last; m is the number of images.

        =============  =========================  ================================================
        images         kernels                    result
        =============  =========================  ================================================
        (m, h, w)      (kh, kw)                   (m, oh, ow)
        (m, h, w, c)   (kh, kw, c)                (m, oh, ow): summed over the channels
        (m, h, w, c)   (kh, kw, c // groups, nc)  (m, oh, ow, nc): every kernel makes a channel
        (m, h, w, c)   (kh, kw)                   (m, oh, ow, c): one kernel, on each channel
        (h, w)         (kh, kw)                   (oh, ow)
        (h, w, c)      (kh, kw, c)                (oh, ow)
        (h, w, c)      (kh, kw, c // groups, nc)  (oh, ow, nc)
        =============  =========================  ================================================

        Three axes with a (kh, kw) kernel are always (m, h, w): to blur one photograph (h, w, c),
        give it its m, as in ``photograph[np.newaxis]``. With `space` of 1 or 3, every h, w becomes
        one size or three: signals are (m, w), (m, w, c), (w,) or (w, c), with kernels that begin
        with kw; volumes are (m, d, h, w), (m, d, h, w, c), (d, h, w) or (d, h, w, c), with kernels
        that begin with kd, kh, kw. Images may also be a Dask array, in any chunks; the result is
        then one too, not yet computed. For xarray's DataArrays of either kind, the result is one
        with their name and attributes, and with the coordinates of the middles of windows.
    padding : {"same", "valid", "full"}, int, (ph, pw) or ((top, bottom), (left, right))
        Cells added around the images, the same everywhere, or for each axis, or for each side;
        volumes have three axes, and signals may have a pair (before, after). "valid": none. "same":
        as many as make ceil(size / stride) outputs along each axis, the odd cell after (as
        TensorFlow, JAX and ONNX's SAME_UPPER do, and PyTorch at stride 1). "full": as many as let
        a kernel touch an image with a single tap.
    stride : int or tuple of int
        Pixels from one window to the next: for all axes, or for each, down and across.
    dilation : int or tuple of int
        Pixels from one tap of a kernel to the next; 1 leaves no gaps.
    groups : int
        The number of groups that channels and kernels are split into, as in PyTorch; the kernels
        of a group see only its channels. groups == c is a depthwise convolution.
    pad_mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What the padding holds, with the names and meanings of `numpy.pad`; "constant" is
        `pad_value`. Images without a pixel to repeat are padded with zeros in the other modes.
    pad_value : number
        What the padding holds if `pad_mode` is "constant": a number that the images' type holds.
    dtype : dtype, optional
        Type of the result. By default integers give int64, exactly, and floats give
        ``np.result_type(images, kernels)``; float16 is summed in float32. For integers another
        type is refused if it cannot hold every sum that these kernels can make of such images;
        floats are rounded to it. Only sums of 64-bit integers can wrap around: they are taken in
        int64, as `numpy.sum` takes them, or in uint64 if that is the images' or the kernels' type
        and the other's is unsigned or bool; then uint64 is the result's type as well. Integers in
        nested lists count as unsigned unless one is negative.
    overflow : {"refuse", "saturate"}
        What becomes of results that `dtype`, an integer type, does not hold. "refuse": the call is
        refused if there can be any. "saturate": sums that are taken in the type they would have
        without `dtype`, exactly for integers, are rounded to the nearest integer, half to even, and
        clipped to the type's smallest and largest number, as OpenCV's are; NaN gives 0.
    where : array_like of bool or "finite", optional
        Which pixels take part; the others are as if they were 0, whatever they hold. An array has
        the images' shape, or is broadcast to it as NumPy does; with fewer axes than the images it
        is of pixels, for all channels. "finite" leaves out NaN and inf, of a `pad_value` too. Cells
        of padding that repeat a pixel that takes no part take none. Images may then be a masked
        array: what it masks takes no part either, `where` may be True if that is all, and the
        result is a masked array, masked where no pixel is left under the kernel's numbers but 0.
        For Dask arrays it can only be "finite".
    renormalize : bool
        Divide each result by the sum of the kernel's numbers that lay on pixels that took part, or
        on padding: a weighted mean of what is there, as in `astropy.convolution`. It needs `where`,
        and kernels that do not sum to 0. Where no weight is left the result is NaN. Integers give
        float64.
    out : numpy.ndarray, optional
        Where to write the result: an array of its shape and type that shares no memory with the
        inputs. It cannot be given for Dask arrays.
    method : {"auto", "compiled", "numpy"}
        The engine. "auto" takes the compiled one if it is installed and takes the types, unless
        images are so small that NumPy's is faster; `plan_convolve` tells which, and why.
    space : {1, 2, 3}
        The number of spatial axes: 1 for signals, 2 for images, 3 for volumes.

    Returns
    -------
    numpy.ndarray, dask.array.Array or xarray.DataArray
        `out`, or a new array. An image's result is the same to the last bit whatever else is in
        the batch, and whatever chunks a Dask array has. NaN and inf reach only the outputs whose
        window covers them. Sums over no channels, or over padding alone, are 0 (or NaN, if a kernel
        has NaN or inf there).

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument has a wrong value, shapes do not match, or the result is too large.
    MemoryError
        If there is no memory for the result.

    Warns
    -----
    ChannelsWarning
        If images look like one that has channels, as (h, w, 3) does, but are taken for many.

    See Also
    --------
    plan_convolve : the same call, explained instead of computed.
    convlens.filters : kernels by name.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> digits = np.full((2, 28, 28), 200, dtype=np.uint8)
    >>> sums = convlens.convolve(digits, np.ones((3, 3), dtype=np.uint8), padding="valid", stride=2)
    >>> sums.shape, sums.dtype, sums.max()
    ((2, 13, 13), dtype('int64'), np.int64(1800))

    Sixteen kernels over three channels, and the same blur on each channel of a photograph:

    >>> photographs = np.ones((8, 32, 32, 3), dtype=np.float32)
    >>> convlens.convolve(photographs, np.ones((3, 3, 3, 16), dtype=np.float32)).shape
    (8, 32, 32, 16)
    >>> convlens.convolve(photographs, convlens.filters.gaussian(2), pad_mode="reflect").shape
    (8, 32, 32, 3)

    The mean of every three samples of a signal, and of every cube of 27 cells of a volume:

    >>> convlens.convolve([3.0, 6.0, 9.0, 6.0, 3.0], np.full(3, 1 / 3), "valid", space=1)
    array([6., 7., 6.])
    >>> convlens.convolve(np.ones((64, 64, 64)), np.full((3, 3, 3), 1 / 27), space=3).shape
    (64, 64, 64)

    The mean of what is there, of numbers of which some are missing:

    >>> gaps = [[2.0, np.nan, 4.0, 8.0]]
    >>> convlens.convolve(gaps, np.ones((1, 3)), "valid", where="finite", renormalize=True)
    array([[3., 6.]])
    """
    options = arguments.ConvolveOptions(
        padding,
        stride,
        dilation,
        groups,
        pad_mode,
        pad_value,
        dtype,
        space,
        overflow,
        renormalize=renormalize,
    )
    key = repeats.key(options, method, images, kernels, out) if where is None else None
    known = CALLS.find(key, kernels)
    if known is not None:
        return known(cast("Array", images), cast("Array", kernels), out)
    given = images
    with arguments.refusing("convolve"):
        images, pixels = arguments_where.of_call(images, where)
        images = arguments.array("images", images)
        kernels = arguments.kernels_for(images.dtype, kernels)
    plan = _plan_convolution(images, kernels, options._replace(where=pixels.word), method)
    result = execute(plan, images, kernels, out, pixels)
    CALLS.keep(key, plan, images, kernels, result)
    return labels.like(given, plan.problem, result)


@explains(arguments.CONVOLVE_WORDS)
def plan_convolve(
    images: npt.ArrayLike | Shape,
    kernels: npt.ArrayLike | Shape,
    padding: Padding = "same",
    stride: Numbers = 1,
    *,
    dilation: Numbers = 1,
    groups: int = 1,
    pad_mode: PadMode = "constant",
    pad_value: complex = 0,
    dtype: npt.DTypeLike | None = None,
    overflow: Overflow = "refuse",
    where: npt.ArrayLike | None = None,
    renormalize: bool = False,
    method: Method = "auto",
    space: int = 2,
) -> Plan:
    """Say what `convolve` would compute with these arguments, how, and at what cost.

    Parameters
    ----------
    images, kernels : array_like or tuple of int
        Arrays, or bare shapes, which stand for float64 numbers. Images that are a Dask array are
        not computed.
    padding, stride, dilation, groups, pad_mode, pad_value, dtype, overflow, where, renormalize
        As in `convolve`; an array of `where` stands for any other.
    method, space
        As in `convolve`.

    Returns
    -------
    Plan
        Print it to read it, call it to run it.

    Raises
    ------
    TypeError, ValueError
        As `convolve` does.

    Examples
    --------
    >>> import convlens
    >>> print(convlens.plan_convolve((50000, 28, 28), (3, 3), stride=2, method="numpy"))
    convolve  50,000 images of 28 x 28, one 3 x 3 kernel
    input     (50000, 28, 28) float64, kernels (3, 3) float64
    output    (50000, 14, 14) float64
    rows      (h + top + bottom - kh) // sh + 1 = (28 + 0 + 1 - 3) // 2 + 1 = 14
    columns   (w + left + right - kw) // sw + 1 = (28 + 0 + 1 - 3) // 2 + 1 = 14
    padding   same: 0 above, 1 below, 0 left, 1 right, holding zeros
    windows   50,000 x 14 x 14 = 9,800,000, each of 3 x 3 = 9 taps
    work      88.2 million multiply-adds
    memory    reads 314 MB, writes 78.4 MB
    method    numpy, as asked
    """
    with arguments.refusing("convolve"):
        word = arguments_where.word(where)
    options = arguments.ConvolveOptions(
        padding,
        stride,
        dilation,
        groups,
        pad_mode,
        pad_value,
        dtype,
        space,
        overflow,
        word,
        renormalize,
    )
    return _plan_convolution(images, kernels, options, method)


def _plan_convolution(
    images: npt.ArrayLike | Shape,
    kernels: npt.ArrayLike | Shape,
    options: arguments.ConvolveOptions,
    method: str,
) -> Plan:
    with arguments.refusing("convolve"):
        of_images = arguments.spec("images", images)
        numbers = None
        if not arguments.is_shape(kernels):
            numbers = arguments.kernels_for(of_images.dtype, kernels)
        of_kernels = arguments.spec("kernels", kernels if numbers is None else numbers)
        problem = arguments.convolve_problem(of_images, of_kernels, options)
        if numbers is not None:
            arguments.check_sums_fit(problem, numbers)
        plan = choose(problem, arguments.method(method), numbers)
    arguments.warn_of_channels(problem)
    return plan


@explains(arguments.POOL_WORDS)
def pool(
    images: npt.ArrayLike,
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
    dtype: npt.DTypeLike | None = None,
    overflow: Overflow = "refuse",
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
    method: Method = "auto",
    space: int = 2,
) -> Array:
    """Slide a window over images; keep the largest, smallest or middle number, mean or sum.

    Every channel is pooled by itself.

    Parameters
    ----------
    images : array_like
        (m, h, w, c), (m, h, w) or (h, w); numbers of any type. Three axes are always (m, h, w): one
        photograph (h, w, c) needs its m, as in ``photograph[np.newaxis]``. With `space` of 1 or 3,
        every h, w becomes one size or three: signals are (m, w, c), (m, w) or (w,), and volumes
        (m, d, h, w, c), (m, d, h, w) or (d, h, w). Or a Dask array of such a shape, in any chunks;
        the result is then one too, not yet computed. DataArrays are taken as in `convolve`.
    kernel_shape : int or tuple of int
        The window: its size along all axes, or along each, down and across.
    stride : int or tuple of int, optional
        Pixels from one window to the next; by default windows lie side by side.
    mode : {"max", "min", "avg", "sum", "median"}
        What is kept of the pixels under a window. A "median" is the number in the middle of them,
        so it needs an odd number of pixels that all count: odd windows, no `where`, and a
        `pad_mode` where there is padding. NaN under a window makes NaN, as in `numpy.median`.
    padding : {"valid", "same", "full"}, int, (ph, pw) or ((top, bottom), (left, right))
        Cells added around the images, as in `convolve`. By default they hold nothing: they are
        never the largest or smallest, and an average does not count them.
    dilation : int or tuple of int
        Pixels from one tap of the window to the next.
    pad_mode : {"constant", "edge", "reflect", "symmetric", "wrap"}, optional
        What the padding holds, as in `convolve`; then its cells count like pixels.
    pad_value : number
        What the padding holds if `pad_mode` is "constant": a number that the images' type holds.
    count_padding : bool
        Whether an average counts padded cells that hold nothing, as zeros.
    partial : bool
        Keep the windows that start on the image and hang over the far edge; they use the pixels
        that they cover. Other libraries call this ceil mode. It cannot be combined with `pad_mode`.
    dtype : dtype, optional
        Type of the result of "avg" and "sum"; see Returns for the default. Sums of integers are
        refused another type that cannot hold every one; floats are rounded to it.
    overflow : {"refuse", "saturate"}
        As in `convolve`: with "saturate", averages and sums are rounded half to even, and clipped,
        into any integer `dtype`.
    where : array_like of bool or "finite", optional
        As in `convolve`: which pixels take part. An average is of those under a window that do; so
        are the largest and the smallest. Where there are none, they are NaN, or the call is refused
        if the result is of integers; a sum is 0, and the result of masked arrays is masked.
    out : numpy.ndarray, optional
        Where to write the result: an array of its shape and type that shares no memory with the
        images. It cannot be given for Dask arrays.
    method : {"auto", "compiled", "numpy"}
        The engine. "auto" takes the compiled one if it is installed and takes the types, unless
        images are so small that NumPy's is faster; `plan_pool` tells which, and why.
    space : {1, 2, 3}
        The number of spatial axes: 1 for signals, 2 for images, 3 for volumes.

    Returns
    -------
    numpy.ndarray, dask.array.Array or xarray.DataArray
        (m, oh, ow, c), (m, oh, ow) or (oh, ow), or as many axes as the images have. "max",
        "min" and "median" keep the images' type; "avg" gives floats (float64 for integers); "sum"
        gives int64 for integers (uint64 for uint64), where only sums of 64-bit integers can wrap
        around. NaN reaches just those outputs whose window covers it.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument has a wrong value, a window would see padding alone, or the result is too
        large.
    MemoryError
        If there is no memory for the result.

    Warns
    -----
    ChannelsWarning
        If images look like one that has channels, as (h, w, 3) does, but are taken for many.

    See Also
    --------
    plan_pool : the same call, explained instead of computed.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> images = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    >>> convlens.pool(images, 2)
    array([[[ 5,  7],
            [13, 15]]], dtype=uint8)
    >>> convlens.pool(images, 2, mode="avg")
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    >>> spots = np.array([3, 3, 255, 4, 4, 0, 5], np.uint8)
    >>> convlens.pool(spots, 3, 1, "median", padding="same", pad_mode="edge", space=1)
    array([3, 3, 4, 4, 4, 4, 5], dtype=uint8)
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
        dtype,
        overflow,
    )
    key = repeats.key(options, method, images, None, out) if where is None else None
    known = CALLS.find(key)
    if known is not None:
        return known(cast("Array", images), None, out)
    given = images
    with arguments.refusing("pool"):
        images, pixels = arguments_where.of_call(images, where)
        images = arguments.array("images", images)
    plan = _plan_pooling(images, options._replace(where=pixels.word), method)
    result = execute(plan, images, None, out, pixels)
    CALLS.keep(key, plan, images, None, result)
    return labels.like(given, plan.problem, result)


@explains(arguments.POOL_WORDS)
def plan_pool(
    images: npt.ArrayLike | Shape,
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
    dtype: npt.DTypeLike | None = None,
    overflow: Overflow = "refuse",
    where: npt.ArrayLike | None = None,
    method: Method = "auto",
    space: int = 2,
) -> Plan:
    """Say what `pool` would compute with these arguments, how, and at what cost.

    Parameters
    ----------
    images : array_like or tuple of int
        An array, or a bare shape, which stands for float64 numbers. A Dask array is not computed.
    kernel_shape, stride, mode, padding, dilation, pad_mode, pad_value
        As in `pool`.
    count_padding, partial, dtype, overflow
        As in `pool`.
    where
        As in `pool`; an array stands for any other.
    method, space
        As in `pool`.

    Returns
    -------
    Plan
        Print it to read it, call it to run it.

    Raises
    ------
    TypeError, ValueError
        As `pool` does.

    Examples
    --------
    >>> import convlens
    >>> convlens.plan_pool((10000, 32, 32, 3), 2).output_shape
    (10000, 16, 16, 3)
    """
    with arguments.refusing("pool"):
        word = arguments_where.word(where)
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
        dtype,
        overflow,
        word,
    )
    return _plan_pooling(images, options, method)


def _plan_pooling(
    images: npt.ArrayLike | Shape, options: arguments.PoolOptions, method: str
) -> Plan:
    with arguments.refusing("pool"):
        problem = arguments.pool_problem(arguments.spec("images", images), options)
        plan = choose(problem, arguments.method(method))
    arguments.warn_of_channels(problem)
    return plan
