"""The table of what is timed: each row is a call of `convlens.convolve` or `convlens.pool`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from convlens import filters


@dataclass(frozen=True)
class Case:
    """One row of the results.

    Attributes
    ----------
    name : str
    images : tuple of int
        (m, h, w, c), (m, h, w) or (h, w), or as many sizes as `space` has; they are filled with
        random numbers.
    kernels : tuple of int, or numpy.ndarray
        A convolution has a shape, to be filled with random numbers, or the numbers themselves. A
        pooling has its window here.
    wanted : float
        What the best peer's time over ours should be at the least: the row's mark.
    operation : {"convolve", "pool"}
    options : dict
        The call's other arguments.
    dtype : str
        The images' type, and that of random kernels.
    wanted_of_floor : float, optional
        What the floor's time over ours should be at the least.
    space : {1, 2, 3}
        The number of spatial axes.
    sigma : float, optional
        The kernel is a gaussian with this standard deviation, which peers may be told: they have
        functions of their own for it, or take it for a product of one line along each axis.
    course : tuple, optional
        The course's file, its function, and what it takes after images and kernel.
    note : str
        What the page says below the table: why the row falls short, and what was tried.
    """

    name: str
    images: tuple[int, ...]
    kernels: Any
    wanted: float
    operation: Literal["convolve", "pool"] = "convolve"
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    wanted_of_floor: float | None = None
    space: Literal[1, 2, 3] = 2
    sigma: float | None = None
    course: tuple[Any, ...] | None = None
    note: str = ""

    def small(self) -> Case:
        """The same case with few and small images, for a quick try."""
        batch = (3,) * (len(self.images) > self.space)
        side = {1: 1500, 2: 40, 3: 20}[self.space]
        most = (*batch, *(side,) * self.space, 10**9)  # of channels, if there are any
        sizes = zip(self.images, most, strict=False)
        return replace(self, images=tuple(min(pair) for pair in sizes))


WANTED_OF_COURSE = 5.0  # what the course file's time over ours should be at the least

VALID, SAME = {"padding": "valid"}, {"padding": "same"}
SLIDING = {"stride": 1, "padding": "same"}  # a pooling with an output for every pixel
CLIPPED = {"dtype": np.dtype("uint8"), "overflow": "saturate"}  # pixels in, pixels out
DIGITS, COLOURS = (50_000, 28, 28), (10_000, 32, 32, 3)
VOLUME = (128, 256, 256)
SPEECH = (64, 4_000, 64), (9, 64, 64)  # signals of 64 channels, and 64 kernels

# The kernels of the course's mains, under the names that they have there.
UPRIGHT = np.array([[1, 0, -1]] * 3)
LEVEL = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
THREE = np.stack([np.stack([SHARPEN, UPRIGHT, LEVEL], axis=-1)] * 3, axis=2)  # (3, 3, 3, 3)
SHARPEN_MORE = np.full((5, 5), -1)  # all 25 taps count: OpenCV skips those of 0
SHARPEN_MORE[2, 2] = 25
GAUSSIAN = filters.gaussian(sigma=5, size=31).astype(np.float32)


def _gaussian_of_volumes(sigma: float, radius: int) -> np.ndarray:
    """A product of three lines of the normal density, which sum to 1: (kd, kh, kw)."""
    line = np.exp(-((np.arange(-radius, radius + 1) / sigma) ** 2) / 2)
    line /= line.sum()
    kernel: np.ndarray = np.einsum("z,y,x->zyx", line, line, line)
    return kernel.astype(np.float32)


def _pool(mode: Literal["max", "avg"], **options: Any) -> dict[str, Any]:
    return {"operation": "pool", "options": {"mode": mode, **options}}


def _main(file: str, *arguments: Any, **more: Any) -> dict[str, Any]:
    """What the calls of the seven mains share: 8-bit pixels, and a course file to compare with."""
    function = file.split("-", 1)[1]
    return {"dtype": "uint8", "wanted": 3, "course": (file, function, arguments), **more}


def _layer(m: int, side: int, c: int, nc: int, size: int = 3, **more: Any) -> Case:
    """A layer of a neural network."""
    values: dict[str, Any] = {
        "wanted": 1.05,
        "wanted_of_floor": 0.9,
        "options": SAME,
        "dtype": "float32",
    } | more
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


def _signals(name: str, images: tuple[int, ...], kernels: Any, wanted: float, **more: Any) -> Case:
    return Case(name, images, kernels, wanted, space=1, **more)


def _volumes(name: str, images: tuple[int, ...], kernels: Any, wanted: float, **more: Any) -> Case:
    return Case(name, images, kernels, wanted, space=3, **more)


# Why rows fall short of their marks, and what was tried; times are in milliseconds.
NOTES = {
    "colours, three 3x3x3": (
        "in the cache it takes 9.3, of which the multiply-adds alone are 6.5: sums of 3 kernels "
        "meet 9 numbers of theirs for every 3 vectors loaded. Processor time, in tiles of "
        "vectors by rows: 2x2 11.5 to 12.0, 1x2 12.1, 1x3 12.0, 2x3 11.9, 1x5 12.5, 1x6 12.8, "
        "2x1 12.8; rows dealt out as they are needed 11.9 to 12.6; all 27 taps in one piece, "
        "for which there are not enough registers, 20 to 22."
    ),
    "colours, 32 kernels 3x3x3": (
        "the mark is below the floor, which the multiply-adds alone set. Processor time, in "
        "vectors of kernels by pixels: 2x14, which wastes 10 of 42, 23.9; 2x7 18.8, 2x8 18.0, 2x4 "
        "17.8, by two rows 19.9, 1x8 18.0, 1x16 28.5; channels unrolled 18.5."
    ),
    "main 2": (
        "ahead where the array is made before. With new arrays, seven of eight calls alone on the "
        "machine took 63 to 95, and one 206: the system's zeroing of 408 MB varies most of all."
    ),
    "colours, 2x2 max": (
        "the peer runs at the memory's speed already. Tried: rows first, then planes (7.1); "
        "places side by side, then those that count (6.8); all of it straight from the image "
        "(3.6 in the cache), which is what there is."
    ),
    "colours, 2x2 average": "as above: the mark is below the memory's floor.",
    "8 x 112 x 112 x 64, 3x3 max, stride 2": (
        "the mark is below the memory's floor. Processor time: one place at a time 1.9, two, "
        "four or eight at once 1.6; the rows under a window merged in registers first 2.5 to "
        "3.0."
    ),
    "8 x 112 x 112 x 64, 3x3 depthwise": (
        "memory sets 1.6. Processor time: each strip copied into the cache first 2.7; images read "
        "where they are, in tiles of 2x2 pixels 1.8, 4x2 2.1, 2x4 and 1x4 1.9; channels outermost "
        "3.6 to 5.9. All nine taps in one piece, as now, are up to 1.13 times as fast as tap by "
        "tap here and up to 2 times on smaller images; sums that the compiler does not know to "
        "begin with 0, and has to put into memory, are added up in the order of the taps."
    ),
    "4096 x 4096, 3x3": (
        "the mark is below the floor of reading and writing once. Processor time, in tiles of "
        "vectors by rows: 2x4 4.2, 3x4 4.2, 4x4 4.4, 4x3 4.6, 2x2 4.7; strips of 32 rows 4.3, "
        "of 16 4.6; cells filled as rows go by 4.2 to 4.7."
    ),
    "1080 x 1920 x 3, 5x5 each": (
        "processor time, in tiles of vectors by rows that share what they load: 2x4 2.2, 4x4 "
        "2.1, 3x4 2.1, 2x3 2.3; without sharing 3.1."
    ),
    "1080 x 1920, 31x31": (
        "by Fourier transforms in float64, tile by tile, as OpenCV does it. Tap by tap, in tiles "
        "of vectors by rows that share what they load, billion multiply-adds/s: 2x4 106, 3x4 104, "
        "4x4 104, 2x6 92, 2x2 91, 2x8 87, 1x8 78; without sharing 62 to 66."
    ),
    "1080 x 1920, 31x31 gaussian": (
        "processor time: both passes in registers, in tiles of 2 vectors by 4 rows 2.3, 4x2 "
        "2.4, 2x6 2.4, 2x2 2.9, 4x1 3.1; the first pass in memory 3.9."
    ),
    "2048 x 2048, 31x31 max": (
        "processor time: strip by strip, in columns of 8 vectors, 3.3 to 3.9, of 4 3.6, of 1 "
        "4.3; all rows down first and then all across 4.2."
    ),
    "2048 x 2048, 31x31 average": (
        "as above: strip by strip 4.0, with two arrays to double, all down and then across, 6.3."
    ),
    "volume 128 x 256 x 256, 3x3x3": (
        "the mark is below the memory's floor, 2.1. The cells of three slabs are filled anew for "
        "each slab of the output. Processor time 6.2; in tiles of 2 rows by 4 vectors 6% less, but "
        "more on short rows; read in place, and in strips of 16 to 256 rows, no less."
    ),
    "volume 128 x 256 x 256, 17x17x17 gaussian": (
        "the mark is below the floor, 4.2. Slabs merged in registers over 2, 4 and 8 vectors, or "
        "whole rows at a time, in chains of 4 and 8 slabs: no less than one slab after another."
    ),
    "volume 128 x 256 x 256, 5x5x5 max": (
        "the mark is below the memory's floor, 2.1. Slabs merged as above. Images alone take as "
        "long for a window of 1: half of the time goes into cells that are filled."
    ),
    "volume 128 x 256 x 256, 7x7x7 average": "as above: the mark is the memory's floor, 2.1.",
    "volumes 8 x 64 x 64 x 64 x 1 to 16, 3x3x3": (
        "the mark is below the floor, 8.9, which the multiply-adds set; a window of one tap, which "
        "writes as much, takes 7.2. Processor time, in tiles of vectors by pixels by rows: 1x8x1, "
        "as now, 21.8, 1x4x2 24.0, 1x12x1 23.2, 1x6x2 23.8, 1x4x4 24.6, 1x16x1 26.0, 1x8x2 27.3. "
        "The three taps of a row in one piece 20.6."
    ),
    "volumes 8 x 64 x 64 x 64 x 16, 2x2x2 max": (
        "the mark is below the memory's floor, 4.7. Cells of both slabs filled first: 6.8 of "
        "processor time; read in place, as now, 4.1."
    ),
    "signals 1,000 x 10,000, 31 taps": (
        "the mark is below the floor, 3.0. Taps that are a vector apart share what they load. "
        "Alone on the machine, in vectors of outputs by such taps: 8x2, as now, 4.7, 6x2 4.9, 8x4 "
        "4.9, 4x2 5.3, 4x4 5.7; without sharing 6.7."
    ),
    "signals 100 x 100,000, 1,001 average": (
        "a window of 11 takes 6.2 of processor time, one of 1,001 9.9: most is not in the steps, "
        "but in filling the cells and writing 40 MB that must be read first. In rows of 2,000 "
        "outputs 11.8, of 4,000 10.7, of 8,000 9.6, of 16,000 8.7, of 33,000 9.0."
    ),
    "signals 100 x 100,000, 1,001 max": (
        "as above: a window of 11 takes 6.9, one of 1,001 8.9; in rows of 2,000 outputs 11.3, of "
        "4,000 9.4, of 8,000 9.1, of 16,000 7.9, of 33,000 8.4."
    ),
    "signal of 10,000,000, 64 taps": (
        "cut into rows that share numbers, so that threads share the signal: 12.2 for 26.8. As "
        "above: 8x2, as now, 7.4, 8x4 7.3, 6x2 7.6, 4x4 7.2, 4x2 8.7."
    ),
}
# A loop on registers alone made 58.5 billion multiply-adds/s on each core of the machine measured.
LAYER_NOTE = (
    "by Winograd's method where it says 3x3 and nothing more. Tap by tap, PyTorch and convlens "
    "both make over 95% of the multiply-adds "
    "that a loop on registers alone makes (117 billion/s). Rows of taps on padding are left out "
    "(32.6 to 31.1 for 32 images of 14 x 14), columns are not. Processor time for these, in "
    "vectors of kernels by pixels: 2x7 32.6, 4x7 32.8, 2x14 33.5, 4x4 35.5, 2x4 35.7; to "
    "unroll channels by 2 or 4, to prefetch kernels or to have them innermost made no difference."
)

CASES = [
    Case("digits, 3x3", DIGITS, (3, 3), 8, options=VALID),
    Case("digits, 3x3, uint8", DIGITS, filters.sobel_x(), 8, options=VALID, dtype="uint8"),
    Case("digits, 3x3, bytes", DIGITS, filters.sobel_x(), 2, options=SAME | CLIPPED, dtype="uint8"),
    Case(
        "64 x 256 x 256 x 3, 5x5 each, bytes",
        (64, 256, 256, 3),
        SHARPEN_MORE,
        2,
        options=SAME | CLIPPED,
        dtype="uint8",
    ),
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
    Case("1080 x 1920, 31x31 gaussian", (1080, 1920), GAUSSIAN, 1, options=SAME, sigma=5),
    Case(
        "2048 x 2048, 31x31 max",
        (2048, 2048),
        (31, 31),
        1,
        **_pool("max", **SLIDING),
    ),
    Case(
        "2048 x 2048, 31x31 average",
        (2048, 2048),
        (31, 31),
        1,
        **_pool("avg", **SLIDING, count_padding=True),
    ),
    Case(
        "1024 x 1024 with holes, 9x9",
        (1024, 1024),
        np.random.default_rng(0).random((9, 9)),  # weights, which are not negative
        10,
        options=SAME | {"where": "finite", "renormalize": True},
        dtype="float64",
    ),
    _layer(8, 56, 64, 64, note=LAYER_NOTE),
    _layer(16, 28, 128, 128, note="as above."),
    _layer(32, 14, 256, 256, note="as above."),
    _layer(
        8,
        56,
        64,
        256,
        size=1,
        note="as above; a tenth of the time is memory's. Kernels innermost: 4.1 for 4.9.",
    ),
    _layer(8, 224, 3, 64, size=7, options={"padding": 3, "stride": 2}, note="as above."),
    _layer(8, 56, 64, 64, dtype="float64", wanted=1, wanted_of_floor=None),
    _layer(
        8,
        56,
        64,
        64,
        options=SAME | {"dilation": 2},
        wanted=1,
        wanted_of_floor=None,
        note="as above.",
    ),
    _layer(
        8,
        56,
        64,
        64,
        options=SAME | {"groups": 4},
        wanted=1,
        wanted_of_floor=None,
        note="as above, with one vector by 2 rows of 4 pixels: 2.3; 28 pixels 2.6, 14 2.6, 8 2.5.",
    ),
    # Volumes. Those of which memory is the limit have a mark for the floor, too.
    _volumes(
        "volume 128 x 256 x 256, 3x3x3", VOLUME, (3, 3, 3), 10, wanted_of_floor=0.5, options=SAME
    ),
    _volumes(
        "volume 128 x 256 x 256, 17x17x17 gaussian",
        VOLUME,
        _gaussian_of_volumes(sigma=2, radius=8),
        15,
        wanted_of_floor=0.5,
        options=SAME | {"pad_mode": "symmetric"},
        sigma=2,
    ),
    _volumes(
        "volume 128 x 256 x 256, 5x5x5 max",
        VOLUME,
        (5, 5, 5),
        15,
        wanted_of_floor=0.5,
        **_pool("max", **SLIDING),
    ),
    _volumes(
        "volume 128 x 256 x 256, 7x7x7 average",
        VOLUME,
        (7, 7, 7),
        15,
        wanted_of_floor=0.5,
        **_pool("avg", **SLIDING, count_padding=True),
    ),
    _volumes(
        "volumes 16 x 16 x 56 x 56 x 32 to 32, 3x3x3",
        (16, 16, 56, 56, 32),
        (3, 3, 3, 32, 32),
        1,
        options=SAME,
    ),
    _volumes(
        "volumes 8 x 64 x 64 x 64 x 1 to 16, 3x3x3",
        (8, 64, 64, 64, 1),
        (3, 3, 3, 1, 16),
        3,
        options=SAME,
    ),
    _volumes(
        "volumes 8 x 64 x 64 x 64 x 16, 2x2x2 max",
        (8, 64, 64, 64, 16),
        (2, 2, 2),
        2,
        wanted_of_floor=0.5,
        **_pool("max"),
    ),
    _signals("signals 1,000 x 10,000, 31 taps", (1_000, 10_000), (31,), 4, options=VALID),
    _signals("signal of 10,000,000, 64 taps", (10_000_000,), (64,), 2, options=VALID),
    _signals("signals 64 x 4,000 x 64 to 64, 9 taps", *SPEECH, 1, options=SAME),
    _signals(
        "signals 64 x 4,000 x 64 to 64, 9 taps, dilation 8",
        *SPEECH,
        1,
        options=SAME | {"dilation": 8},
    ),
    _signals(
        "signals 100 x 100,000, 1,001 average",
        (100, 100_000),
        1_001,
        5,
        wanted_of_floor=0.5,
        **_pool("avg", **SLIDING, count_padding=True),
    ),
    _signals(
        "signals 100 x 100,000, 1,001 max",
        (100, 100_000),
        1_001,
        5,
        wanted_of_floor=0.5,
        **_pool("max", **SLIDING),
    ),
]
CASES = [replace(case, note=case.note or NOTES.get(case.name, "")) for case in CASES]
