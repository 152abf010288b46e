"""What a caller may pass to the calls that go the way back: transposes and gradients.

Each of these calls belongs to a convolution or a pooling, so `arguments` makes the problem of that
and refuses what is wrong with it. Here is what the way back adds.
"""

from __future__ import annotations

from typing import Any

from convlens import arguments
from convlens.arguments import CONVOLVE_WORDS, SPACES, ConvolveOptions, PoolOptions, Space
from convlens.core.problem import Array, Layout, Problem, Spec


def in_memory(name: str, value: Any) -> Array:
    """Convert nested lists to an array of numbers, and refuse Dask arrays."""
    if arguments.is_dask(value):
        raise TypeError(
            f"{name} must be in memory; got a Dask array: pass {name}.compute(), or some of its "
            "images at a time"
        )
    return arguments.array(name, value)


def spec(name: str, value: Any) -> Spec:
    """The shape and type of an array in memory, or of a bare shape."""
    if not arguments.is_shape(value):
        value = in_memory(name, value)
    return arguments.spec(name, value)


# --------------------------------------------------------------------------- transposes


def transposed_problem(
    outputs: Spec, kernels: Spec, size: object, options: ConvolveOptions
) -> Problem:
    """The problem of the convolution whose transpose is taken; its images are the result."""
    space = arguments.spatial_axes(options.space)
    form = SPACES[space]
    layout = _layout(outputs, kernels, form)
    window = kernels.shape[:space]
    if 0 in window:
        raise ValueError(f"kernels must have at least one tap; kernels.shape={kernels.shape}")
    if "n" in layout.kernels and outputs.shape[-1] != kernels.shape[-1]:
        raise ValueError(
            f"outputs have {outputs.shape[-1]} channels, but there are {kernels.shape[-1]} "
            f"kernels, each of which makes one; {_shapes(outputs, kernels)}"
        )
    sizes = dict(zip(layout.output, outputs.shape, strict=True))
    made = tuple(sizes[letter] for letter in form.images)
    given = _natural_size(made, window, options, space)
    if size is not None:
        given = arguments.numbers(
            "size", size, space, 0, f"None, {form.numbers}", words=CONVOLVE_WORDS
        )
    groups = max(1, arguments.integer("groups", options.groups))
    channels = kernels.shape[space] * groups if "c" in layout.kernels else sizes.get("n", 1)
    sizes |= dict(zip(form.images, given, strict=True)) | {"c": channels}
    images = Spec(tuple(sizes[letter] for letter in layout.images), outputs.dtype)
    problem = arguments.convolve_problem(images, kernels, options)
    if problem.output_shape != outputs.shape:
        raise ValueError(
            f"outputs must have shape {problem.output_shape}, as `convolve` makes them of images "
            f"{images.shape}; got {outputs.shape}: pass the size that the images had, without "
            "m and channels"
        )
    return problem


def _layout(outputs: Spec, kernels: Spec, form: Space) -> Layout:
    """The layout of the convolution that makes outputs of so many axes."""
    layouts = {
        (len(each.output), len(each.kernels)): each for each in form.convolve_layouts.values()
    }
    layout = layouts.get((len(outputs.shape), len(kernels.shape)))
    if layout is None:
        kinds = ((True, False), (True, True), (False, False), (False, True))
        *shapes, last = (form.shape_of_images(batch=m, channels=n) for m, n in kinds)
        raise ValueError(
            f"outputs must be {', '.join(shapes)} or {last}, with kernels "
            f"{form.shape_of_kernels()}, {form.shape_of_kernels('c')} or "
            f"{form.shape_of_kernels('c // groups', 'nc')} to match; {_shapes(outputs, kernels)}"
        )
    return layout


def _shapes(outputs: Spec, kernels: Spec) -> str:
    return f"outputs.shape={outputs.shape}, kernels.shape={kernels.shape}"


def _natural_size(
    made: tuple[int, ...], window: tuple[int, ...], options: ConvolveOptions, space: int
) -> tuple[int, ...]:
    """The size of images that PyTorch and Keras give back where none is asked for."""
    padding = arguments.padding(options.padding, space, CONVOLVE_WORDS)
    strides = arguments.numbers("stride", options.stride, space, words=CONVOLVE_WORDS)
    dilations = arguments.numbers("dilation", options.dilation, space, words=CONVOLVE_WORDS)
    sizes = []
    for count, taps, step, gap, cells in zip(
        made, window, strides, dilations, padding[1], strict=True
    ):
        reach = (taps - 1) * gap + 1
        if cells == "same":
            sizes.append(count * step)
            continue
        around = {"valid": 0, "full": 2 * (reach - 1)}[cells] if type(cells) is str else sum(cells)
        sizes.append(max(0, (count - 1) * step + reach - around))
    return tuple(sizes)


# ---------------------------------------------------------------------------- gradients


def kernel_problem(
    images: Spec, outputs: Spec, kernel_shape: object, options: ConvolveOptions
) -> Problem:
    """The problem of the convolution whose kernels are asked for, which have the outputs' type."""
    if not arguments.is_shape(kernel_shape):
        raise TypeError(
            "kernel_shape must be the shape of the kernels, a tuple of integers such as "
            f"(3, 3, 16, 32); got {kernel_shape!r}"
        )
    shape = arguments.spec("kernel_shape", kernel_shape).shape
    problem = arguments.convolve_problem(images, Spec(shape, outputs.dtype), options)
    _check_outputs(problem, outputs, "convolve")
    return problem


def pool_problem(images: Spec, outputs: Spec, options: PoolOptions) -> tuple[Problem, Problem]:
    """The problem of the pooling, and the same pooling of numbers of the outputs' type.

    The types of the second are those in which gradients are summed.
    """
    problem = arguments.pool_problem(images, options)
    if problem.mode == "median":
        raise ValueError(
            "mode='median' has no gradient here: it must be one of 'max', 'min', 'avg', 'sum'"
        )
    _check_outputs(problem, outputs, "pool")
    mode = "avg" if problem.mode == "avg" else "sum"
    of_outputs = options._replace(mode=mode, pad_value=0)
    return problem, arguments.pool_problem(Spec(images.shape, outputs.dtype), of_outputs)


def choosing_problem(images: Spec, options: PoolOptions) -> Problem:
    """The problem of a pooling that chooses pixels."""
    problem = arguments.pool_problem(images, options)
    if problem.mode not in ("max", "min"):
        raise ValueError(
            f"mode must be one of 'max', 'min', which choose a pixel; got {problem.mode!r}"
        )
    return problem


def _check_outputs(problem: Problem, outputs: Spec, verb: str) -> None:
    """Refuse outputs that have another shape than the call makes."""
    if problem.output_shape != outputs.shape:
        raise ValueError(
            f"outputs must have shape {problem.output_shape}, as `{verb}` makes them of images "
            f"{problem.images.shape}; got {outputs.shape}"
        )
