"""The race of the way back: gradients and transposes, next to PyTorch, autograd and PyLops."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from layers import geometric_mean
from machine import THREADS, facts
from networks import Layer, resnet_50
from race import LONG, Result, race
from report import markdown, milliseconds, ratio, write_part

import convlens

HERE = Path(__file__).parent
PEERS = {"PyTorch": "torch", "autograd": "autograd", "PyLops": "pylops"}  # and their modules
LAYER = Layer(56, 64, 64)
SIDE = 1024  # of the image that PyLops is given
# The sides and channels of images that are pooled, and the windows and strides.
POOLINGS = ((112, 64, 3, 2), (56, 64, 3, 1), (112, 64, 2, 2), (24, 6, 2, 2))
STEP = 50  # images of a step of training
Call = Callable[[], Any]
By = Literal["images", "kernels"]
BY: tuple[By, ...] = ("images", "kernels")

ABOUT = f"""\
*Ahead* is the time of the fastest peer over that of convlens, both medians of calls in turns, each
with a new output; calls that take over {LONG} seconds are made once. convlens and PyTorch run on
{THREADS} threads. Everyone's answer is checked first, to 1e-4 of the largest number in float32 and
1e-10 in float64: against PyTorch in float64, or against the peer if it computes in float64 itself.
PyTorch has both of its layouts, made before the time starts. In the rows "next to the way forward"
the peer is `convolve` with as many multiply-adds as each of the calls.
"""


@dataclass
class Row:
    """What is timed.

    Attributes
    ----------
    name : str
    wanted : float
        What the fastest peer's time over ours should be at the least.
    ours : callable
    peers : dict of str to callable
    right : numpy.ndarray or None
        The answer that all should give; None if the peers' calls are other ones, on purpose.
    """

    name: str
    wanted: float
    ours: Call
    peers: dict[str, Call]
    right: np.ndarray | None

    def race(self, budget: float) -> list[Result]:
        """Check everyone and time those whose answer is right; ours comes first."""
        results: list[Result] = []
        for name, call in {"convlens": self.ours, **self.peers}.items():
            result = Result(name, "peer" if results else "ours", {"fresh": call})
            began = perf_counter()
            answer = call()
            result.times["fresh"] = [perf_counter() - began]
            if self.right is not None:
                bound = 1e-4 if answer.dtype == np.float32 else 1e-10
                apart = np.abs(answer - self.right).max() / np.abs(self.right).max()
                result.fault = "" if apart <= bound else f"off by {apart:.2g} of the largest"
            results.append(result)
        race([each for each in results if each.times["fresh"][0] < LONG], budget, 9, inf)
        return results


def rows(batch: int, most: int, found: set[str]) -> Iterator[Callable[[], Row]]:
    """What makes the rows, with sides of `most` pixels at the most."""
    wide = replace(LAYER, side=min(LAYER.side, most))
    yield partial(_forward_and_back, wide, batch)
    yield partial(_upsampling, wide, batch)
    convolutions = [each for each in dict.fromkeys(resnet_50()) if each.kernels]
    for layer in dict.fromkeys(replace(each, side=min(each.side, most)) for each in convolutions):
        for by in BY if "PyTorch" in found else ():
            yield partial(_layer, layer, batch, by)
    if "PyTorch" in found:
        for side, channels, window, stride in POOLINGS:
            for mode in ("max", "avg"):
                yield partial(_pooling, min(side, most), channels, window, stride, batch, mode)
        yield _training
    for by in BY if "autograd" in found else ():
        yield partial(_autograd, wide, by)
    for taps in (3, 5, 9, 15, 31) if "PyLops" in found else ():
        for method in ("direct", "fft"):
            yield partial(_pylops, min(SIDE, most), taps, method)


def _arrays(layer: Layer, batch: int, dtype: Any = np.float32) -> tuple[np.ndarray, ...]:
    """Images, kernels, and what comes back to the outputs of a layer."""
    rng = np.random.default_rng(0)
    shapes = (
        (batch, layer.side, layer.side, layer.channels),
        (layer.window, layer.window, layer.channels, layer.kernels),
        (batch, layer.outputs, layer.outputs, layer.kernels),
    )
    images, kernels, back = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return images, kernels, back


def _gradient(layer: Layer, by: By, images: Any, kernels: Any, back: Any) -> np.ndarray:
    """The gradient of a layer, by convlens."""
    options = layer.padding, layer.stride
    if by == "kernels":
        return convlens.kernel_gradient(images, back, kernels.shape, *options)
    return convlens.convolve_transpose(back, kernels, images.shape[1:3], *options)


def _title(layer: Layer, batch: int) -> str:
    return layer.case("", batch).name.removeprefix(": ")


def _forward_and_back(layer: Layer, batch: int) -> Row:
    """The forward call and both gradients, which are to take 3.2 times the forward call."""
    images, kernels, back = _arrays(layer, batch)

    def forward() -> np.ndarray:
        return convlens.convolve(images, kernels, layer.padding, layer.stride)

    def everything() -> None:
        forward()
        for by in BY:
            _gradient(layer, by, images, kernels, back)

    name = f"{_title(layer, batch)}: forward and both gradients, next to the way forward"
    return Row(name, 1 / 3.2, everything, {"convolve": forward}, None)


def _upsampling(layer: Layer, batch: int) -> Row:
    """A transpose at stride 2, which is to take 1.3 times a forward call of the same work."""
    half = replace(layer, stride=2)
    images, kernels, back = _arrays(half, batch)
    ours = partial(_gradient, half, "images", images, kernels, back)
    forward = partial(convlens.convolve, images, kernels, half.padding, half.stride)
    name = f"{_title(half, batch)}: transpose, next to the way forward"
    return Row(name, 1 / 1.3, ours, {"convolve": forward}, None)


def _layer(layer: Layer, batch: int, by: By) -> Row:
    """A gradient of a layer next to PyTorch."""
    import torch  # noqa: PLC0415  # it may not be installed

    torch.set_num_threads(THREADS)
    arrays = _arrays(layer, batch)
    index = BY.index(by)

    def peer(layout: Any, dtype: torch.dtype) -> Call:
        images, kernels, back = (torch.from_numpy(each).to(dtype) for each in arrays)
        images, kernels, back = (
            each.contiguous(memory_format=layout)
            for each in (
                images.permute(0, 3, 1, 2),
                kernels.permute(3, 2, 0, 1),
                back.permute(0, 3, 1, 2),
            )
        )
        mask = [number == index for number in range(3)]
        sides = [[layer.stride] * 2, [layer.padding] * 2, [1, 1], False, [0, 0], 1]

        def call() -> np.ndarray:
            made = torch.ops.aten.convolution_backward(back, images, kernels, None, *sides, mask)
            order = (2, 3, 1, 0) if by == "kernels" else (0, 2, 3, 1)
            result: np.ndarray = made[index].permute(*order).numpy()
            return result

        return call

    layouts = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}
    peers = {f"PyTorch, {name}": peer(each, torch.float32) for name, each in layouts.items()}
    right = peer(torch.contiguous_format, torch.float64)()
    name = f"ResNet-50: {_title(layer, batch)}: by the {by}"
    return Row(name, 1, partial(_gradient, layer, by, *arrays), peers, right)


def _pooling(side: int, channels: int, window: int, stride: int, batch: int, mode: Any) -> Row:
    """The gradient of a pooling next to PyTorch, which remembers its largest pixels."""
    import torch  # noqa: PLC0415  # it may not be installed

    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(True)  # which is off for those that are timed on the way forward
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, side, side, channels)).astype(np.float32)
    outputs = (side - window) // stride + 1
    back = rng.standard_normal((batch, outputs, outputs, channels)).astype(np.float32)
    pool = getattr(torch.nn.functional, f"{mode}_pool2d")

    def peer(layout: Any, dtype: torch.dtype) -> Call:
        x, y = (
            torch.from_numpy(each).to(dtype).permute(0, 3, 1, 2).contiguous(memory_format=layout)
            for each in (images, back)
        )
        made = pool(x.requires_grad_(), window, stride)

        def call() -> np.ndarray:
            (gradient,) = torch.autograd.grad(made, x, y, retain_graph=True)
            result: np.ndarray = gradient.permute(0, 2, 3, 1).numpy()
            return result

        return call

    layouts = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}
    return Row(
        f"{batch} x {side} x {side} x {channels}, {mode} of {window}x{window}, stride {stride}: "
        "by the images",
        1,
        lambda: convlens.pool_gradient(images, back, window, stride, mode),
        {f"PyTorch, {name}": peer(each, torch.float32) for name, each in layouts.items()},
        peer(torch.contiguous_format, torch.float64)(),
    )


def _training() -> Row:
    """The way forward and back through the course's LeNet, next to the same one in PyTorch."""
    import torch  # noqa: PLC0415  # it may not be installed

    sys.path.insert(0, str(HERE.parent / "math" / "training_a_network"))
    lenet = import_module("lenet")
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(True)
    rng = np.random.default_rng(0)
    layers = lenet.lenet(rng)
    images = rng.random((STEP, 28, 28, 1), dtype=np.float32)
    labels = rng.integers(0, 10, STEP)

    def ours() -> np.ndarray:
        _, back = lenet.loss_and_gradient(lenet.forward(layers, images), labels)
        kernels: np.ndarray = lenet.backward(layers, back)[0][0]
        return kernels

    def peer(dtype: torch.dtype) -> Call:
        weights = [[torch.from_numpy(w).to(dtype) for w in layer.weights] for layer in layers]
        weights = [pair for pair in weights if pair]
        for pair in weights[:2]:  # a convolution's kernels (kh, kw, c, n)
            pair[0] = pair[0].permute(3, 2, 0, 1).contiguous()
        every = [each.requires_grad_() for pair in weights for each in pair]
        given, right = torch.from_numpy(images).to(dtype), torch.from_numpy(labels)
        functional = torch.nn.functional

        def call() -> np.ndarray:
            x = given.permute(0, 3, 1, 2)
            for (kernels, bias), padding in zip(weights[:2], (2, 0), strict=True):
                x = functional.conv2d(x, kernels, bias, padding=padding)
                x = functional.max_pool2d(functional.relu(x), 2)
            x = x.permute(0, 2, 3, 1).flatten(1)
            for number, (matrix, bias) in enumerate(weights[2:]):
                x = (functional.relu(x) if number else x) @ matrix + bias
            made = torch.autograd.grad(functional.cross_entropy(x, right), every)
            result: np.ndarray = made[0].permute(2, 3, 1, 0).numpy()
            return result

        return call

    name = f"LeNet, {STEP} digits: forward, and back to all weights"
    return Row(name, 1, ours, {"PyTorch": peer(torch.float32)}, peer(torch.float64)())


def _autograd(layer: Layer, by: By) -> Row:
    """A gradient of a single image next to autograd's, which knows no padding and no stride."""
    from autograd import make_vjp  # noqa: PLC0415  # it may not be installed
    from autograd.scipy.signal import convolve  # noqa: PLC0415

    layer = replace(layer, padding=0)
    images, kernels, back = _arrays(layer, 1, np.float64)
    options = {"axes": ([1, 2], [0, 1]), "dot_axes": ([3], [2]), "mode": "valid"}
    if by == "kernels":
        vjp, _ = make_vjp(lambda k: convolve(images, k[::-1, ::-1], **options))(kernels)
    else:
        vjp, _ = make_vjp(lambda x: convolve(x, kernels[::-1, ::-1], **options))(images)
    given = np.ascontiguousarray(back.transpose(0, 3, 1, 2))  # it puts the kernels' axis first
    ours = partial(_gradient, layer, by, images, kernels, back)
    name = f"{_title(layer, 1)}, valid, float64: by the {by}"
    return Row(name, 30, ours, {"autograd": lambda: vjp(given)}, vjp(given))


def _pylops(side: int, taps: int, method: str) -> Row:
    """The transpose of a blur as a linear operator, next to that of PyLops."""
    from pylops.signalprocessing import Convolve2D  # noqa: PLC0415  # it may not be installed

    rng = np.random.default_rng(0)
    kernel, vector = rng.standard_normal((taps, taps)), rng.standard_normal(side * side)
    ours = convlens.linear_operator((side, side), kernel[::-1, ::-1])
    theirs = Convolve2D((side, side), kernel, offset=(taps // 2, taps // 2), method=method)
    return Row(
        f"{side} x {side}, {taps}x{taps}, float64: transposed operator, next to PyLops' {method}",
        20 if method == "direct" else 1,
        lambda: ours.rmatvec(vector),
        {f"PyLops, {method}": lambda: theirs.rmatvec(vector)},
        theirs.rmatvec(vector),
    )


def main() -> None:
    """Race the rows that the command line asks for, and write or print the page."""
    parser = argparse.ArgumentParser(description="Time gradients; write a part of RESULTS.md.")
    parser.add_argument("--only", metavar="PATTERN", default="", help="just these, and print them")
    parser.add_argument("--budget", metavar="SECONDS", type=float, default=1.5, help="for each row")
    parser.add_argument("--batch", type=int, default=8, help="images of the layers")
    parser.add_argument("--side", type=int, help="the largest side, for a quick try")
    options = parser.parse_args()
    started = perf_counter()
    convlens.set_threads(THREADS)
    found = {name for name, module in PEERS.items() if find_spec(module)}
    lines: list[tuple[str, ...]] = []
    layers: dict[str, list[float]] = {"images": [], "kernels": []}
    faults = []
    for make in rows(options.batch, options.side or 10**9, found):
        row = make()
        if not re.search(options.only, row.name, re.IGNORECASE):
            continue
        ours, *peers = row.race(options.budget)
        faults += [
            f"- {row.name}: {each.name}: {each.fault}" for each in (ours, *peers) if each.fault
        ]
        right = [each for each in peers if not each.fault]
        best = min(right, key=lambda each: each.seconds("fresh"), default=None)
        ahead = None
        if best is not None and not ours.fault:
            ahead = best.seconds("fresh") / ours.seconds("fresh")
            if row.name.startswith("ResNet-50"):
                layers[row.name.rpartition(" ")[2]].append(ahead)
        lines.append(
            (
                row.name,
                ratio(ahead),
                f"{row.wanted:.2g}x",
                milliseconds(ours.seconds("fresh")),
                f"{milliseconds(best.seconds('fresh'))} {best.name}" if best else "nobody",
            )
        )
        print(f"{perf_counter() - started:5.0f} s  {' | '.join(lines[-1])}", flush=True)
    parts = ["# How fast, the way back\n", "Made by `make bench-back`.\n", *facts(), "", ABOUT]
    missing = [name for name in PEERS if name not in found]
    parts += [f"Not installed, so left out: {', '.join(missing)}.\n"] if missing else []
    parts += [
        f"**ResNet-50, by the {by}: {geometric_mean(values):.2f}x of PyTorch over {len(values)} "
        "layers (geometric mean; 1x wanted).**\n"
        for by, values in layers.items()
        if values
    ]
    head = ("row", "ahead", "wanted", "convlens, ms", "fastest peer, ms")
    parts += [markdown(head, lines), *faults]
    text = "\n".join(parts).rstrip() + "\n"
    if options.only or options.side:
        print(f"\n{text}")
        return
    write_part(HERE / "RESULTS.md", text)
