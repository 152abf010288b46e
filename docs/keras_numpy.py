"""Convolutions and poolings of convlens in the NumPy backend of Keras, instead of JAX's.

Keras's backend for NumPy imports JAX for its convolutions and poolings alone. `plug_in` puts these
functions in their place; layers and `keras.ops` then call them. Programs need the environment
variable KERAS_BACKEND=numpy.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras.src.backend.common import backend_utils
from keras.src.backend.numpy import nn

import convlens

Array = npt.NDArray[Any]
Numbers = int | tuple[int, ...]


def _channels_last(images: Any, data_format: str | None) -> Array:
    """The images as (m, *space, c)."""
    images = keras.ops.convert_to_numpy(images)
    return np.moveaxis(images, 1, -1) if _first(data_format) else images


def _back(result: Array, data_format: str | None) -> Array:
    """A result (m, *space, nc) in the caller's format."""
    return np.ascontiguousarray(np.moveaxis(result, -1, 1)) if _first(data_format) else result


def _first(data_format: str | None) -> bool:
    """Whether channels come before space."""
    return (data_format or keras.config.image_data_format()) == "channels_first"


def conv(
    inputs: Any,
    kernel: Any,
    strides: Numbers = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Numbers = 1,
) -> Array:
    """A convolution: Keras's kernels (*taps, c // groups, nc) are those of convlens."""
    images, kernels = _channels_last(inputs, data_format), keras.ops.convert_to_numpy(kernel)
    result = convlens.convolve(
        images,
        kernels,
        padding.lower(),
        strides,
        dilation=dilation_rate,
        groups=images.shape[-1] // kernels.shape[-2],
        space=images.ndim - 2,
    )
    return _back(result, data_format)


def depthwise_conv(inputs: Any, kernel: Any, *args: Any, **options: Any) -> Array:
    """Kernels (*taps, c, multiplier), some for each channel: as many groups as channels."""
    kernels = keras.ops.convert_to_numpy(kernel)
    return conv(inputs, kernels.reshape(*kernels.shape[:-2], 1, -1), *args, **options)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Numbers = 1,
    padding: str = "valid",
    output_padding: Numbers | None = None,
    data_format: str | None = None,
    dilation_rate: Numbers = 1,
) -> Array:
    """A transposed convolution: Keras says how much JAX would pad, and so how large images are."""
    outputs, kernels = _channels_last(inputs, data_format), keras.ops.convert_to_numpy(kernel)
    space = outputs.ndim - 2
    cells = backend_utils.compute_conv_transpose_padding_args_for_jax(
        outputs.shape, kernels.shape, strides, padding, output_padding, dilation_rate
    )
    sizes, sides = [], []
    for axis, (before, after) in enumerate(cells):
        stride, dilation = (
            each if isinstance(each, int) else each[axis] for each in (strides, dilation_rate)
        )
        reach = (kernels.shape[axis] - 1) * dilation + 1
        sizes.append((outputs.shape[axis + 1] - 1) * stride + before + after + 2 - reach)
        # JAX pads the outputs; convlens is told of the padding that the images had.
        sides.append((reach - 1 - before, max(0, reach - 1 - after)))
    result = convlens.convolve_transpose(
        outputs,
        kernels,
        tuple(sizes),
        tuple(sides),
        strides,
        dilation=dilation_rate,
        space=space,
    )
    return _back(result, data_format)


def max_pool(
    inputs: Any,
    pool_size: Numbers,
    strides: Numbers | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """The largest number under each window."""
    return _pool("max", inputs, pool_size, strides, padding, data_format)


def average_pool(
    inputs: Any,
    pool_size: Numbers,
    strides: Numbers | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """The mean of the pixels under each window."""
    return _pool("avg", inputs, pool_size, strides, padding, data_format)


def _pool(
    mode: Any,
    inputs: Any,
    pool_size: Numbers,
    strides: Numbers | None,
    padding: str,
    data_format: str | None,
) -> Array:
    images = _channels_last(inputs, data_format)
    options: Any = {"padding": padding.lower(), "space": images.ndim - 2}
    return _back(convlens.pool(images, pool_size, strides, mode, **options), data_format)


def plug_in() -> None:
    """Put the functions above in the place of Keras's own."""
    for function in (conv, depthwise_conv, conv_transpose, max_pool, average_pool):
        setattr(nn, function.__name__, function)
