"""The page "Training on NumPy": its programs run, print what it says, and find right gradients."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")


def run(heading, capsys):
    """Run the programs of a section; returns their names, what they printed, and what it says."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    names = {}
    for program in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(compile(program, heading, "exec"), names)
    rest = re.sub(r"```python\n.*?```", "", section, flags=re.DOTALL)
    (expected,) = re.findall(r"```\n(.*?)```", rest, re.DOTALL)
    return names, capsys.readouterr().out, expected


def slope(loss, kernels, direction):
    """How fast the loss grows in a direction, by differences."""
    return (loss(kernels + 1e-6 * direction) - loss(kernels - 1e-6 * direction)) / 2e-6


def test_autograd(capsys):
    """The gradient by the kernels is not that of the loss."""
    pytest.importorskip("autograd")
    names, printed, expected = run("autograd", capsys)
    assert printed == expected
    kernels, direction = names["kernels"], np.random.default_rng(1).standard_normal((5, 5, 1, 6))
    expected = slope(names["loss"], kernels, direction)
    np.testing.assert_allclose((names["gradient"] * direction).sum(), expected, 1e-4)
    images = names["images"]

    def mirrored(kernels):
        features = names["convolve"](images, kernels, pad_mode="reflect", dilation=2)
        means = names["pool"](features, 3, mode="avg", padding=1, pad_mode="edge")
        return names["np"].sum(means**2)

    expected = slope(mirrored, kernels, direction)
    np.testing.assert_allclose((names["grad"](mirrored)(kernels) * direction).sum(), expected, 1e-6)
    by_images = names["grad"](
        lambda images: names["np"].sum(names["convolve"](images, kernels, "valid", 2) ** 2)
    )(images)
    assert by_images.shape == images.shape


def test_torch(capsys):
    """The gradients are not PyTorch's own."""
    torch = pytest.importorskip("torch")
    names, printed, expected = run("PyTorch", capsys)
    assert printed == expected
    images = names["images"].clone().requires_grad_()
    options = {"padding": "valid", "stride": 2}
    mirrored = {"pad_mode": "symmetric", "dilation": 2}
    assert torch.autograd.gradcheck(
        lambda kernels: names["Convolve"].apply(images[:1, :7, :7], kernels, mirrored),
        names["kernels"].detach()[:3, :3].clone().requires_grad_(),
    )
    names["Convolve"].apply(images, names["kernels"], options).square().mean().backward()
    ours = images.grad.clone()
    images.grad = None
    layers = images.permute(0, 3, 1, 2), names["kernels"].permute(3, 2, 0, 1)
    torch.nn.functional.conv2d(*layers, stride=2).square().mean().backward()
    torch.testing.assert_close(ours, images.grad)


def test_jax(capsys):
    """The gradients are not JAX's own."""
    jax = pytest.importorskip("jax")
    names, printed, expected = run("JAX", capsys)
    assert printed == expected

    def loss(images, kernels):
        window = jax.lax.conv_general_dilated(
            images, kernels, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return (window**2).mean()

    def ours(images, kernels):
        return (names["convolve"](images, kernels, (("stride", 2),)) ** 2).mean()

    arrays = names["images"], names["kernels"]
    for one, other in zip(
        jax.grad(ours, (0, 1))(*arrays), jax.grad(loss, (0, 1))(*arrays), strict=True
    ):
        np.testing.assert_allclose(one, other, 1e-4, 1e-5)
