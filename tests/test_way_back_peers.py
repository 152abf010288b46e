"""Transposes and gradients are what other libraries compute, for calls that these can express."""

import warnings

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from test_peers import channels_first, draw_layer, integers

from convlens import (
    convolve,
    convolve_transpose,
    kernel_gradient,
    pool,
    pool_gradient,
    pool_indices,
)


def check(ours, theirs, terms):
    """Fail unless two float64 sums of so many terms agree to rounding."""
    assert ours.shape == theirs.shape
    largest = max(1, np.abs(theirs).max(initial=0))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=(terms + 9) * 1e-15 * largest)


def layer(rng, space):
    """Images, kernels, outputs and options of a random layer; the padding is in numbers."""
    while True:
        of_images, of_kernels, options = draw_layer(rng, space)
        if options["padding"] == "same":
            options["padding"] = ((0, 1),) * space
        if options["padding"] == "valid":
            options["padding"] = ((0, 0),) * space
        images, kernels = rng.standard_normal(of_images), rng.standard_normal(of_kernels)
        try:
            outputs = rng.standard_normal(convolve(images, kernels, **options, space=space).shape)
        except ValueError:  # (0, 1) may be too little for the window
            continue
        return images, kernels, outputs, options


# ------------------------------------------------------------------------------ PyTorch


@pytest.mark.parametrize("space", [1, 2, 3])
def test_gradients_of_pytorch(space):
    """PyTorch's gradients of its convolution are others."""
    torch = pytest.importorskip("torch")
    function = {1: "conv1d", 2: "conv2d", 3: "conv3d"}[space]
    for seed in range(60):
        x, k, y, options = layer(np.random.default_rng([seed, space]), space)
        images = torch.from_numpy(x).movedim(-1, 1).requires_grad_()
        weights = torch.from_numpy(np.moveaxis(k, (-1, -2), (0, 1)).copy()).requires_grad_()
        sides = [cells for pair in reversed(options["padding"]) for cells in pair]
        made = getattr(torch.nn.functional, function)(
            torch.nn.functional.pad(images, sides),
            weights,
            stride=options["stride"],
            dilation=options["dilation"],
            groups=options["groups"],
        )
        made.backward(torch.from_numpy(y).movedim(-1, 1))
        ours = convolve_transpose(y, k, x.shape[1:-1], **options, space=space)
        check(ours, images.grad.movedim(1, -1).numpy(), k[..., 0, :].size)
        ours = kernel_gradient(x, y, k.shape, **options, space=space)
        check(ours, weights.grad.movedim((0, 1), (-1, -2)).numpy(), y[..., 0].size)


@pytest.mark.parametrize("space", [1, 2, 3])
def test_transposed_convolutions_of_pytorch(space):
    """PyTorch's transposed convolutions are others, with `output_padding` or without."""
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, f"conv_transpose{space}d")
    for seed in range(60):
        rng = np.random.default_rng([seed, space])
        stride, dilation = integers(rng, 1, 3, space), integers(rng, 1, 3, space)
        groups, channels, kernels = integers(rng, 1, 3, 3)
        window = integers(rng, 1, 4, space)
        padding = tuple(int(rng.integers(0, min(n, 3))) for n in window)
        more = tuple(int(rng.integers(max(s, d))) for s, d in zip(stride, dilation))  # noqa: B905
        y = rng.standard_normal((2, *integers(rng, 5, 7, space), groups * kernels))
        k = rng.standard_normal((*window, channels, groups * kernels))
        options = {"stride": stride, "dilation": dilation, "groups": groups}
        theirs = function(
            torch.from_numpy(y).movedim(-1, 1),
            torch.from_numpy(k).movedim((-1, -2), (0, 1)),
            padding=padding,
            output_padding=more,
            **options,
        )
        theirs = theirs.movedim(1, -1).numpy()
        options |= {"padding": padding, "space": space}
        if all(m < s for m, s in zip(more, stride)):  # noqa: B905
            check(
                convolve_transpose(y, k, theirs.shape[1:-1], **options), theirs, k[..., 0, :].size
            )
        if not any(more):
            check(convolve_transpose(y, k, **options), theirs, k[..., 0, :].size)


@pytest.mark.parametrize("mode", ["max", "avg"])
@pytest.mark.parametrize("space", [1, 2, 3])
def test_poolings_of_pytorch(space, mode):
    """PyTorch gives back to other pixels, of equal ones or of NaN too."""
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, f"{mode}_pool{space}d")
    for seed in range(60):
        rng = np.random.default_rng([seed, space])
        window, ceil = integers(rng, 1, 3, space), bool(rng.integers(2))
        stride = integers(rng, 1, 3, space)
        padding = tuple(int(rng.integers(0, n // 2 + 1)) for n in window)
        shape = (2, *integers(rng, 5, 9, space), 3)
        x = rng.integers(-2, 3, shape).astype(float)
        if mode == "max":
            x[rng.random(x.shape) < 0.1] = np.nan
        images = torch.from_numpy(x).movedim(-1, 1).requires_grad_()
        options = {"stride": stride, "padding": padding}
        more = {"return_indices": True} if mode == "max" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own, about names of dimensions
            made = function(images, window, ceil_mode=ceil, **options, **more)
        made, places = made if mode == "max" else (made, None)
        back = rng.standard_normal(made.shape)
        made.backward(torch.from_numpy(back))
        options |= {"mode": mode, "partial": ceil, "space": space}
        if mode == "avg":
            options["count_padding"] = True
        ours = pool_gradient(x, np.moveaxis(back, 1, -1), window, **options)
        check(ours, images.grad.movedim(1, -1).numpy(), 30)
        if mode == "max":
            ours = pool_indices(x, window, **options)
            np.testing.assert_array_equal(ours, places.movedim(1, -1).numpy())


# --------------------------------------------------------------------------------- ONNX


def evaluate(name, inputs, outputs=1, **attributes):
    """Evaluate an operator of ONNX by its reference implementation."""
    names = [f"x{n}" for n in range(len(inputs))], [f"y{n}" for n in range(outputs)]
    node = onnx.helper.make_node(name, *names, **attributes)
    kinds = {np.dtype(np.int64): onnx.TensorProto.INT64}
    infos = [
        onnx.helper.make_tensor_value_info(
            each, kinds.get(value.dtype, onnx.TensorProto.DOUBLE), value.shape
        )
        for each, value in zip(names[0], inputs, strict=True)
    ]
    made = [
        onnx.helper.make_tensor_value_info(
            each, onnx.TensorProto.INT64 if n else onnx.TensorProto.DOUBLE, None
        )
        for n, each in enumerate(names[1])
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "graph", infos, made))
    return ReferenceEvaluator(model).run(None, dict(zip(names[0], inputs, strict=True)))


@pytest.mark.parametrize("space", [1, 2])
def test_onnx_conv_transpose(space):
    """ONNX's ConvTranspose is another."""
    for seed in range(40):
        rng = np.random.default_rng([seed, space])
        window, stride = integers(rng, 1, 3, space), integers(rng, 1, 3, space)
        cells = integers(rng, 0, 1, 2 * space)
        y = rng.standard_normal((2, *integers(rng, 4, 6, space), 3))
        k = rng.standard_normal((*window, 2, 3))
        (theirs,) = evaluate(
            "ConvTranspose",
            [channels_first(y), np.moveaxis(k, (-1, -2), (0, 1))],
            strides=stride,
            pads=cells,
        )
        padding = tuple(zip(cells[:space], cells[space:], strict=True))
        ours = convolve_transpose(y, k, padding=padding, stride=stride, space=space)
        check(ours, np.moveaxis(theirs, 1, -1), k[..., 0, :].size)


def test_onnx_indices_and_unpooling():
    """ONNX's MaxPool finds other places, or its MaxUnpool puts pixels elsewhere."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        window = integers(rng, 1, 3, 2)
        x = rng.integers(-9, 9, (2, *integers(rng, 5, 8, 2), 3)).astype(float)
        _, places = evaluate("MaxPool", [channels_first(x)], 2, kernel_shape=window, strides=window)
        # The evaluator counts through the whole array, but for some windows through each plane.
        places = np.moveaxis(places, 1, -1) % x[0, ..., 0].size
        np.testing.assert_array_equal(pool_indices(x, window), places)
        whole = x[:, : x.shape[1] // window[0] * window[0], : x.shape[2] // window[1] * window[1]]
        # MaxUnpool counts places through the whole array (m, c, h, w).
        where, largest = pool_indices(whole, window), channels_first(pool(whole, window))
        of_planes = (np.arange(2)[:, None, None, None] * 3 + np.arange(3)) * whole[0, ..., 0].size
        (theirs,) = evaluate(
            "MaxUnpool",
            [largest, channels_first(where + of_planes)],
            kernel_shape=window,
            strides=window,
        )
        unpooled = np.zeros(whole.shape)
        lines = [each.reshape(2, -1, 3) for each in (unpooled, where, pool(whole, window))]
        np.put_along_axis(*lines, axis=1)
        np.testing.assert_array_equal(unpooled, np.moveaxis(theirs, 1, -1))
