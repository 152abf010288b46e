"""The layers of well-known networks, as cases: every convolution and pooling that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cases import Case


@dataclass(frozen=True)
class Layer:
    """A layer on square images.

    Attributes
    ----------
    side, channels : int
        Of the images.
    kernels : int
        How many; 0 is a pooling.
    window, stride, padding : int
        Along both axes.
    groups : int
    mode : {"max", "avg"}
        Of a pooling.
    """

    side: int
    channels: int
    kernels: int
    window: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1
    mode: str = "max"

    @property
    def outputs(self) -> int:
        """The side of the output."""
        return (self.side + 2 * self.padding - self.window) // self.stride + 1

    def case(self, network: str, batch: int) -> Case:
        """The layer as a case, which has no mark of its own."""
        options = {"stride": self.stride, "padding": self.padding}
        name = f"{network}: {batch} x {self.side} x {self.side} x {self.channels}"
        window = f"{self.window}x{self.window}" + f", stride {self.stride}" * (self.stride > 1)
        images = (batch, self.side, self.side, self.channels)
        size = (self.window, self.window)
        if not self.kernels:
            return Case(
                f"{name}, {window} {self.mode}",
                images,
                size,
                1,
                operation="pool",
                options=options | {"mode": self.mode},
            )
        grouped = f", groups {self.groups}" * (self.groups > 1)
        return Case(
            f"{name} to {self.kernels}, {window}{grouped}",
            images,
            (*size, self.channels // self.groups, self.kernels),
            1,
            options=options | {"groups": self.groups},
        )


def _one(side: int, channels: int, kernels: int, stride: int = 1) -> Layer:
    """A 1 x 1 convolution."""
    return Layer(side, channels, kernels, 1, stride, 0)


def _max(side: int, channels: int) -> Layer:
    """The pooling that halves a side."""
    return Layer(side, channels, 0, 2, 2, 0)


def resnet_50() -> Iterator[Layer]:
    """ResNet-50, with the stride in the first layer of a block."""
    yield Layer(224, 3, 64, 7, 2, 3)
    yield Layer(112, 64, 0, 3, 2, 1)
    side, channels = 56, 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 and width > 64 else 1
            yield _one(side, channels, width, stride)
            if block == 0:
                yield _one(side, channels, 4 * width, stride)  # the shortcut
            side //= stride
            yield Layer(side, width, width)
            yield _one(side, width, 4 * width)
            channels = 4 * width
    yield Layer(7, 2048, 0, 7, 1, 0, mode="avg")


def _inverted(
    side: int, channels: int, stages: list[tuple[int, int, int, int, int]]
) -> Iterator[Layer]:
    """Stages of inverted residuals: (expansion, window, kernels, blocks, first stride)."""
    for expansion, window, kernels, blocks, first in stages:
        for block in range(blocks):
            stride, wide = first if block == 0 else 1, expansion * channels
            if expansion > 1:
                yield _one(side, channels, wide)
            yield Layer(side, wide, wide, window, stride, window // 2, wide)
            side //= stride
            yield _one(side, wide, kernels)
            channels = kernels


def mobilenet_v2() -> Iterator[Layer]:
    """MobileNetV2."""
    yield Layer(224, 3, 32, 3, 2)
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]
    stages += [(6, 160, 3, 2), (6, 320, 1, 1)]
    yield from _inverted(112, 32, [(t, 3, c, n, s) for t, c, n, s in stages])
    yield _one(7, 320, 1280)
    yield Layer(7, 1280, 0, 7, 1, 0, mode="avg")


def efficientnet_b0() -> Iterator[Layer]:
    """EfficientNet-B0, without the layers on single pixels, which its table does not list."""
    yield Layer(224, 3, 32, 3, 2)
    stages = [(1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)]
    stages += [(6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)]
    yield from _inverted(112, 32, stages)
    yield _one(7, 320, 1280)
    yield Layer(7, 1280, 0, 7, 1, 0, mode="avg")


def vgg_16() -> Iterator[Layer]:
    """VGG-16."""
    side, channels = 224, 3
    for kernels, layers in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(layers):
            yield Layer(side, channels, kernels)
            channels = kernels
        yield _max(side, kernels)
        side //= 2


def _u_net(side: int, channels: int, padding: int, classes: int) -> Iterator[Layer]:
    def twice(kernels: int) -> Iterator[Layer]:
        nonlocal side, channels
        for _ in range(2):
            yield Layer(side, channels, kernels, padding=padding)
            side, channels = side - 2 + 2 * padding, kernels

    for kernels in (64, 128, 256, 512):
        yield from twice(kernels)
        yield _max(side, kernels)
        side //= 2
    yield from twice(1024)
    for kernels in (512, 256, 128, 64):
        side, channels = 2 * side, 2 * kernels  # of the layer below, and of the one to the left
        yield from twice(kernels)
    yield _one(side, 64, classes)


def u_net_572() -> Iterator[Layer]:
    """The U-Net of the paper, without padding."""
    return _u_net(572, 1, 0, 2)


def u_net_256() -> Iterator[Layer]:
    """A U-Net with padding, on colour images."""
    return _u_net(256, 3, 1, 1)


def yolo_v3_tiny() -> Iterator[Layer]:
    """The small YOLO, version 3."""
    side, channels = 416, 3
    for kernels in (16, 32, 64, 128, 256):
        yield Layer(side, channels, kernels)
        yield _max(side, kernels)
        side, channels = side // 2, kernels
    yield Layer(13, 256, 512)
    yield Layer(13, 512, 1024)
    yield _one(13, 1024, 256)
    yield Layer(13, 256, 512)
    yield _one(13, 512, 255)
    yield _one(13, 256, 128)
    yield Layer(26, 384, 256)
    yield _one(26, 256, 255)


@dataclass(frozen=True)
class Network:
    """The layers of a network.

    Attributes
    ----------
    layers : callable
        Lists them, repeated ones too.
    source : str
        Where the table of its layers stands.
    batches : tuple of int
    """

    layers: Callable[[], Iterator[Layer]]
    source: str
    batches: tuple[int, ...] = (1, 8)


NETWORKS = {
    "ResNet-50": Network(
        resnet_50, "He et al., Deep Residual Learning for Image Recognition, 2015, table 1"
    ),
    "MobileNetV2": Network(
        mobilenet_v2, "Sandler et al., Inverted Residuals and Linear Bottlenecks, 2018, table 2"
    ),
    "EfficientNet-B0": Network(
        efficientnet_b0,
        "Tan and Le, Rethinking Model Scaling for Convolutional Neural Networks, 2019, table 1",
    ),
    "VGG-16": Network(
        vgg_16,
        "Simonyan and Zisserman, Very Deep Convolutional Networks, 2014, table 1, column D",
    ),
    # Eight images of this size would take gigabytes.
    "U-Net 572": Network(
        u_net_572, "Ronneberger, Fischer and Brox, U-Net, 2015, figure 1", batches=(1,)
    ),
    "U-Net 256": Network(u_net_256, "the same with padding, on colour images"),
    "YOLOv3-tiny": Network(
        yolo_v3_tiny, "Redmon and Farhadi, YOLOv3, 2018; yolov3-tiny.cfg of darknet"
    ),
}


def cases() -> dict[tuple[str, int], list[Case]]:
    """The distinct layers of each network and batch."""
    return {
        (name, batch): [layer.case(name, batch) for layer in dict.fromkeys(network.layers())]
        for name, network in NETWORKS.items()
        for batch in network.batches
    }
