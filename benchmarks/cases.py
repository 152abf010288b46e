"""What is timed: one table. Times are of `convlens.convolve` or `convlens.pool` as called here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from convlens import filters


@dataclass(frozen=True)
class Case:
    """One row of the results.

    Attributes
    ----------
    name : str
    images : tuple of int
        (m, h, w, c), (m, h, w) or (h, w); they are filled with random numbers.
    kernels : tuple of int, or numpy.ndarray
        Of a convolution: a shape, to be filled with random numbers, or the numbers. Of a pooling:
        its window.
    wanted : float
        The best peer's time over ours, at least.
    operation : {"convolve", "pool"}
    options : dict
        The call's other arguments.
    dtype : str
        The images' type, and that of random kernels.
    wanted_of_floor : float, optional
        The floor's time over ours, at least.
    separable : bool
        Whether the kernel is a column times a row, which peers may be told.
    course : tuple, optional
        The course's file, its function, and what it takes after images and kernel.
    note : str
        What the results say of this row: where it falls short, the limit and what was tried.
    """

    name: str
    images: tuple[int, ...]
    kernels: Any
    wanted: float
    operation: str = "convolve"
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    wanted_of_floor: float | None = None
    separable: bool = False
    course: tuple[Any, ...] | None = None
    note: str = ""

    def small(self) -> Case:
        """The same with few and small images."""
        axes = {2: "hw", 3: "mhw", 4: "mhwc"}[len(self.images)]
        most = {"m": 3, "h": 40, "w": 40, "c": 10**9}
        sizes = zip(self.images, axes, strict=True)
        return replace(self, images=tuple(min(size, most[axis]) for size, axis in sizes))


WANTED_OF_COURSE = 5.0  # the course file's time over ours, at least

VALID, SAME = {"padding": "valid"}, {"padding": "same"}
DIGITS, COLOURS = (50_000, 28, 28), (10_000, 32, 32, 3)

# The mains' kernels, in their words.
UPRIGHT = np.array([[1, 0, -1]] * 3)
LEVEL = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
THREE = np.stack([np.stack([SHARPEN, UPRIGHT, LEVEL], axis=-1)] * 3, axis=2)  # (3, 3, 3, 3)
GAUSSIAN = filters.gaussian(sigma=5, size=31).astype(np.float32)


def _pool(mode: str, **options: Any) -> dict[str, Any]:
    return {"operation": "pool", "options": {"mode": mode, **options}}


def _main(file: str, *arguments: Any, **more: Any) -> dict[str, Any]:
    """What the seven mains' calls share: 8-bit pixels, and a course file to compare with."""
    function = file.split("-", 1)[1]
    return {"dtype": "uint8", "wanted": 3, "course": (file, function, arguments), **more}


def _layer(m: int, side: int, c: int, nc: int, size: int = 3, **more: Any) -> Case:
    """A layer of a neural network."""
    values = {"wanted": 1.05, "wanted_of_floor": 0.9, "options": SAME, "dtype": "float32"} | more
    name = f"{m} x {side} x {side} x {c} to {nc}, {size}x{size}"
    name += f", {values['dtype']}" * (values["dtype"] != "float32")
    name += "".join(f", {key} {value}" for key, value in values["options"].items())
    groups = values["options"].get("groups", 1)
    return Case(
        name.replace(", padding same", ""),
        (m, side, side, c),
        (size, size, c // groups, nc),
        **values,
    )


CASES = [
    Case("digits, 3x3", DIGITS, (3, 3), 8, options=VALID),
    Case("digits, 3x3, uint8", DIGITS, filters.sobel_x(), 8, options=VALID, dtype="uint8"),
    Case("colours, 3x3x3", COLOURS, (3, 3, 3), 6, options=VALID),
    Case("colours, three 3x3x3", COLOURS, (3, 3, 3, 3), 5, options=VALID),
    Case("colours, 32 kernels 3x3x3", (2_000, 32, 32, 3), (3, 3, 3, 32), 3, options=SAME),
    Case("main 0", DIGITS, UPRIGHT, options=VALID, **_main("0-convolve_grayscale_valid")),
    Case("main 1", DIGITS, UPRIGHT, options=SAME, **_main("1-convolve_grayscale_same")),
    Case(
        "main 2",
        DIGITS,
        UPRIGHT,
        options={"padding": (2, 4)},
        **_main("2-convolve_grayscale_padding", (2, 4)),
    ),
    Case(
        "main 3",
        DIGITS,
        UPRIGHT,
        options={"padding": "valid", "stride": 2},
        **_main("3-convolve_grayscale", "valid", (2, 2)),
    ),
    Case(
        "main 4",
        COLOURS,
        np.stack([SHARPEN] * 3, axis=-1),
        options=VALID,
        **_main("4-convolve_channels", "valid"),
    ),
    Case("main 5", COLOURS, THREE, options=VALID, **_main("5-convolve", "valid")),
    Case("main 6", COLOURS, (2, 2), **_main("6-pool", (2, 2), "avg", **_pool("avg"))),
    Case("colours, 2x2 max", COLOURS, (2, 2), 2.5, **_pool("max")),
    Case("colours, 2x2 average", COLOURS, (2, 2), 2, **_pool("avg")),
    Case(
        "8 x 112 x 112 x 64, 3x3 max, stride 2",
        (8, 112, 112, 64),
        (3, 3),
        2,
        **_pool("max", stride=2, padding=1),
    ),
    Case(
        "8 x 112 x 112 x 64, 3x3 depthwise",
        (8, 112, 112, 64),
        (3, 3, 1, 64),
        1.2,
        options={"padding": "same", "groups": 64},
    ),
    Case("4096 x 4096, 3x3", (4096, 4096), (3, 3), 2.5, options=SAME),
    Case("1080 x 1920 x 3, 5x5 each", (1, 1080, 1920, 3), (5, 5), 1.5, options=SAME),
    Case("1080 x 1920, 31x31", (1080, 1920), (31, 31), 1.4, options=SAME),
    Case("1080 x 1920, 31x31 gaussian", (1080, 1920), GAUSSIAN, 1, options=SAME, separable=True),
    Case(
        "2048 x 2048, 31x31 max",
        (2048, 2048),
        (31, 31),
        1,
        **_pool("max", stride=1, padding="same"),
    ),
    Case(
        "2048 x 2048, 31x31 average",
        (2048, 2048),
        (31, 31),
        1,
        **_pool("avg", stride=1, padding="same", count_padding=True),
    ),
    _layer(8, 56, 64, 64),
    _layer(16, 28, 128, 128),
    _layer(32, 14, 256, 256),
    _layer(8, 56, 64, 256, size=1),
    _layer(8, 224, 3, 64, size=7, options={"padding": 3, "stride": 2}),
    _layer(8, 56, 64, 64, dtype="float64", wanted=1, wanted_of_floor=None),
    _layer(8, 56, 64, 64, options=SAME | {"dilation": 2}, wanted=1, wanted_of_floor=None),
    _layer(8, 56, 64, 64, options=SAME | {"groups": 4}, wanted=1, wanted_of_floor=None),
]
