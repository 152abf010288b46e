"""The variants of every pipeline: for which types, and for which problems, each is compiled.

A variant requires something of a problem: every *fact* that it names must lie in a range. The facts
are what `facts_of_convolution` and `facts_of_pooling` in the engine find out about a problem; the
engine takes the first variant of which all requirements hold. Variants that are preferred come
first, and then those that require more. `check` refuses two variants that neither order tells apart
though one problem could meet both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, product
from typing import Any

import halide as hl
import winograd
from cut import cut
from deep import deep
from dense import dense
from depthwise import depthwise
from doubling import doubling
from exchange import exchanged
from footprints import cut_sums, footprints
from fourier import fourier, spectrum
from grouped import grouped
from holes import filled, quotients
from kernel_gradients import products
from levels import Level, Pipeline
from lines import lines
from means import means
from medians import medians
from nines import nines
from ordered import ordered
from planes import planes
from separable import separable
from squares import MANY, apart, squares
from tiles import tiles
from windows import windows

TYPES = {
    "u8": hl.UInt(8),
    "i16": hl.Int(16),
    "u16": hl.UInt(16),
    "i32": hl.Int(32),
    "u32": hl.UInt(32),
    "i64": hl.Int(64),
    "u64": hl.UInt(64),
    "f16": hl.Float(16),
    "f32": hl.Float(32),
    "f64": hl.Float(64),
}

WEIGHED = {"finite": 1, "given": 2}  # the fact "weighed": which pixels take part; 0 for all

Range = tuple[int, int | None]  # the least and the greatest number; None is no limit


@dataclass(frozen=True)
class Variant:
    """One pipeline, as it is compiled.

    Attributes
    ----------
    family : str
        The function that makes it, such as "planes".
    types : tuple of str
        The types of pixels, numbers and results; a pooling's mode comes before them.
    requires : dict
        For each fact that matters, the range in which it must lie.
    make : callable
        Makes the pipeline for a level of processors.
    preference : int
        Of two variants that a problem meets, the one with the larger number is taken. Small windows
        on many channels one by one (8) come before all that treat channels one by one (7), many
        numbers under the windows of few kernels (6; 7 for single taps that are read in place) and
        vectors along the kernels (2; 3 for a single vector; 2 more for single taps); these before
        vectors along the rows, and of these a fixed number of taps (1) before tiles of several
        rows. Of poolings, tiles (3) come before doubling (2), this before squares (1), and these
        before the taps one by one.
    in_c : str
        The name in `runtime/` of a pipeline that is written in C, and not made by Halide.
    """

    family: str
    types: tuple[str, ...]
    requires: dict[str, Range]
    make: Callable[[Level], Pipeline] = field(compare=False)
    preference: int = 0
    in_c: str = ""

    @property
    def name(self) -> str:
        """A name that C can have, which no other variant has."""
        if self.in_c:
            return self.in_c
        words = [self.family, *self.types]
        for fact, (low, high) in self.requires.items():
            if high == low == 1:
                words.append(fact)
            elif high is None:
                words.append(f"{fact}_from{low}")
            elif low < high:
                words.append(f"{fact}_to{high}")
            elif high:
                words.append(f"{fact}{low}")
        return "_".join(words)

    def described(self, arguments: dict[str, str]) -> dict[str, Any]:
        """The variant as the engine reads it, with the kinds of its arguments in their order."""
        return {
            "name": self.name,
            "family": self.family,
            "types": self.types,
            "requires": self.requires,
            "preference": self.preference,
            "arguments": arguments,
        }


def exactly(**facts: int) -> dict[str, Range]:
    """Requirements that these facts are these numbers."""
    return {fact: (number, number) for fact, number in facts.items()}


def table() -> list[Variant]:
    """Every variant, in the order in which the engine tries them."""
    plain = [*_planes(), *_dense(), *_deep(), *_depthwise(), *_grouped(), *_separable()]
    variants = [replace(each, requires=each.requires | exactly(weighed=0)) for each in plain]
    variants += [
        *_weighed(),
        *_holes(),
        *_fourier(),
        *_winograd(),
        *_kernel_gradients(),
        *_exchanged(),
        *_poolings(),
        *_medians(),
        *_ordered(),
    ]
    check(variants)
    return sorted(variants, key=lambda each: (-each.preference, -len(each.requires)))


def check(variants: list[Variant]) -> None:
    """Refuse two variants for the same types that a problem may meet, but no order tells apart."""
    for one, other in combinations(variants, 2):
        if one.types != other.types or one.preference != other.preference:
            continue
        shared = one.requires.keys() & other.requires.keys()
        apart = any(_apart(one.requires[fact], other.requires[fact]) for fact in shared)
        if not apart and len(one.requires) == len(other.requires):
            raise ValueError(f"nothing decides between {one.name} and {other.name}")


def _apart(one: Range, other: Range) -> bool:
    """Whether no number lies in both ranges."""
    return any(
        high is not None and high < low for (_, high), (low, _) in ((one, other), (other, one))
    )


# ----------------------------------------------------------------------------- convolution

# Integers are added up in floats if these are exact, which is much faster. Other types are
# converted into these, block by block.
SUMS = ("f32_f32_f32", "u8_f32_f32", "f64_f64_f64", "u8_f32_i64", "i64_i64_i64")
FLOATS = SUMS[:3]  # These sums are rounded, so long ones are taken in blocks.
# Sums that are rounded and clipped into bytes as they are written; 16 bits hold those of small
# integers, with twice as many in a vector.
BYTES = ("u8_f32_u8", "u8_i16_u8")
# Tiles of dense layers, as vectors of 512 bits along the kernels, and pixels.
TILES = ((1, 8), (1, 10), (1, 12), (2, 4), (2, 5), (2, 6), (2, 7), (2, 8), (3, 7))
KINDS = tuple((volume, long) for volume in (0, 1) for long in (0, 1))


def _types(names: str) -> tuple[hl.Type, hl.Type, hl.Type]:
    pixels, numbers, results = (TYPES[name] for name in names.split("_"))
    return pixels, numbers, results


def _planes() -> Iterator[Variant]:
    """Vectors along the rows. The common sizes are fixed; for all others they are arguments."""
    common = {"channels": 1, "stride": 1, "kernels": 1}
    cubes = {**common, "taps": 3}
    for names in (*SUMS, *BYTES):
        of_floats, wide = names in FLOATS, names == "f64_f64_f64"
        kinds = KINDS if of_floats else ((0, 0),) if names in BYTES else ((0, 0), (1, 0))
        for volume, long in kinds:
            yield _plane(names, {}, volume=volume, long=long)
            if names == "i64_i64_i64":
                continue
            if not volume:
                yield _plane(names, common, volume=volume, long=long)
                yield _plane(names, common, long=long, line=True)
            if not (volume and long):
                yield _plane(names, common, volume=volume, long=long, tall=True)
            if volume and not long:
                yield _plane(names, cubes, volume=volume)
        if names == "i64_i64_i64" or wide:
            continue
        for sizes in (
            cubes,
            {**common, "stride": 2, "taps": 3},
            {**common, "taps": 5},
            {**common, "channels": 3, "taps": 3},
            {**common, "channels": 3, "taps": 3, "kernels": 3},
        ):
            yield _plane(names, sizes)
        yield _plane(names, cubes, padded=False)  # the commonest call


def _plane(
    names: str,
    sizes: dict[str, int],
    *,
    volume: int = 0,
    long: int = 0,
    tall: bool = False,
    line: bool = False,
    padded: bool = True,
    weighed: str = "",
) -> Variant:
    """A variant of `planes`. With `tall`, or a fixed number of taps, a tile has several rows."""
    requires = exactly(separable=0, volume=volume, long=long)
    fixed: dict[str, Any] = dict(sizes)
    if sizes:
        requires |= exactly(groups=1, depth=sizes["channels"], stride=sizes["stride"])
        requires |= exactly(kernels=sizes["kernels"])
    if "taps" in sizes or tall:
        fixed["rows"] = 4 if sizes["kernels"] == 1 else 2
        requires |= exactly(dilation_down=1)
    if "taps" in sizes:
        requires |= exactly(taps=sizes["taps"])
        if sizes["stride"] > 1:
            requires |= exactly(dilation_across=1)
    if tall:
        requires |= exactly(tall=1)
    if line:
        requires |= exactly(line=1, tall=0, dilation_across=1)
    if not padded:
        requires |= exactly(unpadded=1)
    if weighed:
        requires |= exactly(weighed=WEIGHED[weighed])
    return Variant(
        "planes",
        tuple(names.split("_")),
        requires,
        partial(
            planes,
            types=_types(names),
            **fixed,
            padded=padded,
            blocks=bool(long),
            volume=bool(volume),
            weighed=weighed,
            line=line,
        ),
        preference=1 if "taps" in sizes else 0,
    )


def _weighed() -> Iterator[Variant]:
    """Means of the pixels that take part, for calls with `renormalize`."""
    for names, weighed in product(("f32_f32_f32", "f64_f64_f64"), WEIGHED):
        common = {"channels": 1, "stride": 1, "kernels": 1}
        for sizes, tall in (({}, False), (common, False), (common, True)):
            yield _plane(names, sizes, tall=tall, weighed=weighed)
        if names == "f32_f32_f32":
            for taps in (3, 5):
                yield _plane(names, {**common, "taps": taps}, weighed=weighed)
        yield Variant(
            "separable",
            tuple(names.split("_")),
            exactly(separable=1, volume=0, weighed=WEIGHED[weighed]),
            partial(separable, types=_types(names), weighed=weighed),
        )


def _holes() -> Iterator[Variant]:
    """What a call needs beside its pipeline, where pixels take no part that it does not weigh."""
    for weighed, bits in product(WEIGHED, (8, 16, 32, 64)):
        if (weighed, bits) != ("finite", 8):
            made = partial(filled, bits=bits, given=weighed == "given")
            yield Variant("filled", (weighed, f"u{bits}"), {}, made)
    for numbers, results in (("f32", "f32"), ("f64", "f64"), ("i64", "f64")):
        for weights in {numbers: None, "u8": None, "i64": None}:
            names = numbers, weights, results
            types = tuple(TYPES[each] for each in names)
            yield Variant("quotients", ("means", *names), {}, partial(quotients, types=types))


def _dense() -> Iterator[Variant]:
    """Vectors along the kernels: tiles of one to three vectors of them, in several widths."""
    for names in ("f32_f32_f32", "f64_f64_f64"):
        # Of doubles half a vector is four, and fewer than five kernels have vectors along them for
        # single pixels alone.
        lanes, half = (16, 8) if names.startswith("f32") else (8, 0)
        # Single taps on pixels alone are read in place, from images at least a tile wide.
        kinds = [*((*kind, False) for kind in KINDS), *((0, long, True) for long in (0, 1))]
        for (vectors, pixels), (volume, long, pointwise) in product(TILES, kinds):
            counts: list[Range] = [(lanes + 1, None)]  # of kernels
            if vectors == 1:
                counts = [(half + 1, lanes), *([(1, half)] if half else [])]
            for count in counts:
                yield Variant(
                    "dense",
                    tuple(names.split("_")),
                    exactly(separable=0, volume=volume, long=long, along_kernels=1)
                    | exactly(vectors=vectors, pixels=pixels)
                    | {"kernels": count}
                    | ({"pointwise": (pixels, None)} if pointwise else {}),
                    partial(
                        dense,
                        types=_types(names),
                        vectors=vectors,
                        pixels=pixels,
                        half=count == (1, half),
                        blocks=bool(long),
                        volume=bool(volume),
                        pointwise=pointwise,
                    ),
                    preference=(3 if vectors == 1 else 2) + 2 * pointwise,
                )


def _deep() -> Iterator[Variant]:
    """Vectors along the channels under a window, whose parts are added up at the end."""
    for names in ("f32_f32_f32", "u8_f32_f32", "u8_f32_i64", "f64_f64_f64"):
        most = 8 if names.startswith("f64") else 12  # more fill vectors along them
        kinds = [(whole, *kind, 0) for whole in (0, 1) for kind in KINDS]
        for kernels, kind in product((1, 2, 3, 4), (*kinds, (1, 0, 0, 1))):
            whole, volume, blocks, pointwise = kind
            requires: dict[str, Range] = exactly(
                separable=0, volume=volume, deep=1 + blocks, whole=whole
            )
            # Windows that exceed the first cache are better loaded for more kernels at once.
            limit = 8 if volume and blocks and names.startswith("f") else most
            count = (kernels, limit if kernels == 4 else kernels)
            yield Variant(
                "deep",
                tuple(names.split("_")),
                requires | {"kernels": count} | ({"pointwise": (1, None)} if pointwise else {}),
                partial(
                    deep,
                    types=_types(names),
                    kernels=kernels,
                    whole=bool(whole),
                    blocks=bool(blocks),
                    volume=bool(volume),
                    pointwise=bool(pointwise),
                ),
                preference=6 + pointwise,
            )


def _depthwise() -> Iterator[Variant]:
    """Vectors along the channels, for small windows on many of them."""
    for names in ("f32_f32_f32", "f64_f64_f64"):
        many: dict[str, Range] = exactly(separable=0, depth=1, kernels=1, volume=0, long=0)
        many |= exactly(dilation_down=1, dilation_across=1)
        many |= {"groups": (512 // TYPES[names[:3]].bits(), None)}
        # Under large windows, cells are worth filling for a few channels at a time. Small ones read
        # the image itself.
        for taps, stride, large in (
            (3, 1, False),
            (3, 2, False),
            (5, 1, False),
            (5, 1, True),
            (5, 2, True),
            (7, 1, True),
        ):
            yield Variant(
                "depthwise",
                tuple(names.split("_")),
                many | exactly(taps=taps, stride=stride, **({} if large else {"constant": 1})),
                partial(depthwise, types=_types(names), taps=taps, stride=stride, large=large),
                preference=8,
            )


def _grouped() -> Iterator[Variant]:
    """Vectors along the outputs of all groups, and of several pixels."""
    for names, (volume, long) in product(FLOATS, KINDS):
        yield Variant(
            "grouped",
            tuple(names.split("_")),
            exactly(separable=0, grouped=1, volume=volume, long=long),
            partial(grouped, types=_types(names), volume=bool(volume)),
            preference=7,
            in_c="_".join(["grouped", names, *["volume"] * volume, *["long"] * long]),
        )


def _separable() -> Iterator[Variant]:
    """A pass along each axis."""
    for names in (*SUMS[:4], BYTES[0]):
        for volume in (0, 1) if names not in BYTES else (0,):
            yield Variant(
                "separable",
                tuple(names.split("_")),
                exactly(separable=1, volume=volume),
                partial(separable, types=_types(names), volume=bool(volume)),
            )


def _fourier() -> Iterator[Variant]:
    """Transforms of tiles of a few sizes, and of kernels."""
    for size in (128, 256, 512):
        for names in ("f32_f64_f32", "f32_f64_i64"):
            yield Variant(
                "fourier",
                ("products", *names.split("_")),
                exactly(size=size),
                partial(fourier, types=_types(names), size=size),
            )
        yield Variant(
            "spectrum", ("kernel", "f64"), exactly(size=size), partial(spectrum, size=size)
        )


def _winograd() -> Iterator[Variant]:
    """Kernels of 3 x 3 taps, with fewer multiplications: the taps, and then the tiles of images."""
    for names in ("f32_f32_f32", "f64_f64_f64"):
        numbers = names[:3]
        yield Variant("taps", ("taps", numbers), {}, partial(winograd.taps, types=_types(names)))
        yield Variant(
            "winograd", ("tiles", numbers), {}, partial(winograd.winograd, types=_types(names))
        )


def _kernel_gradients() -> Iterator[Variant]:
    """Gradients by kernels: pixel by pixel, and by Winograd's method; of few numbers, and wide."""
    for names, side, wide in product(("f32_f32_f32", "f64_f64_f64"), (1, 2), (False, True)):
        make = partial(products, types=_types(names), side=side, wide=wide)
        facts = exactly(side=side) | exactly(wide=int(wide))
        yield Variant("products", ("products", names[:3]), facts, make)


def _exchanged() -> Iterator[Variant]:
    """Copies of kernels whose channels are exchanged with their number."""
    for bits in (32, 64):
        types = "exchanged", f"u{bits}"
        yield Variant("exchanged", types, {}, partial(exchanged, bits=bits))


# --------------------------------------------------------------------------------- pooling


TILED = ("u8", "i16", "u16", "i32", "f32", "f64")  # the types of extremes in tiles


def _poolings() -> Iterator[Variant]:
    """Every mode of pooling, for the types that it is computed in."""
    of_one_type = ("u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64")
    for mode, names in (
        *((mode, f"{t}_{t}_{t}") for mode in ("max", "min") for t in of_one_type),
        *(("avg", f"{t}_{t}_{t}") for t in ("f32", "f64")),
        *((mode, "f16_f32_f16") for mode in ("max", "min", "avg")),
        ("avg", "u8_i32_f64"),
        ("sum", "u8_i32_i64"),
        *((mode, "u8_i32_u8") for mode in ("avg", "sum")),
        ("sum", "i64_i64_i64"),
    ):
        types = (mode, *names.split("_"))
        rounded = mode == "avg" and names in (*FLOATS, "f16_f32_f16")
        volumes = (0,) if names == "u8_i32_u8" else (0, 1)
        for volume, long in KINDS if rounded else [(volume, 0) for volume in volumes]:
            for channels in (None, 1):
                yield Variant(
                    "windows",
                    types,
                    exactly(volume=volume, long=long) | (exactly(channels=1) if channels else {}),
                    partial(
                        windows,
                        types=_types(names),
                        mode=mode,
                        channels=channels,
                        blocks=bool(long),
                        volume=bool(volume),
                    ),
                )
        for volume in volumes:
            yield Variant(
                "doubling",
                types,
                exactly(volume=volume, doubled=1),
                partial(doubling, types=_types(names), mode=mode, volume=bool(volume)),
                preference=2,
            )
        if mode in ("max", "min") and names.split("_")[0] in TILED:
            for volume, wide, kw in (0, False, (1, 7)), (0, True, (8, None)), (1, False, (1, 15)):
                yield Variant(
                    "tiles",
                    types,
                    exactly(volume=volume, tiled=1) | {"kw": kw},
                    partial(tiles, types=_types(names), mode=mode, wide=wide, volume=bool(volume)),
                    preference=3,
                )
        if names == "f32_f32_f32":
            yield Variant(
                "squares",
                types,
                {**exactly(volume=0, long=0), "side": (3, None), "channels": (MANY, None)},
                partial(apart, types=_types(names), mode=mode),
                preference=1,
            )
        if names in ("u8_u8_u8", "f16_f32_f16", "f32_f32_f32", "u8_i32_f64", "u8_i32_u8"):
            vector = 512 // TYPES[names.split("_")[1]].bits()
            few: list[tuple[int | None, Range]] = [(1, (1, 1)), (3, (3, 3))]
            many: tuple[int | None, Range] = None, (vector, None)
            kinds = [(0, each) for each in (*few, many)] + [
                (volume, many) for volume in volumes[1:]
            ]
            for volume, (channels, needed) in kinds:
                yield Variant(
                    "squares",
                    types,
                    exactly(side=2, volume=volume) | {"channels": needed},
                    partial(
                        squares,
                        types=_types(names),
                        mode=mode,
                        channels=channels,
                        side=2,
                        volume=bool(volume),
                    ),
                    preference=1,
                )


def _medians() -> Iterator[Variant]:
    """Networks for windows of a few fixed sizes; with each its transpose, for turned images."""
    for name in ("u8", "i16", "u16", "f32", "f64"):
        for window in (
            (1, 3),
            (3, 1),
            (3, 3),
            (1, 5),
            (5, 1),
            (5, 5),
            (7, 7),
            (9, 9),
            (3, 3, 3),
            (5, 5, 5),
        ):
            *deep, kh, kw = window
            yield Variant(
                "medians",
                ("median", name, name, name),
                exactly(stride=1, volume=len(deep), kd=deep[0] if deep else 1, kh=kh, kw=kw),
                partial(medians, types=(TYPES[name],) * 3, window=window),
            )
        three = exactly(stride=1, volume=0, kd=1, kh=3, kw=3, dilation_down=1)
        yield Variant(
            "medians",
            ("median", name, name, name),
            three | exactly(in_place=1),
            partial(nines, types=(TYPES[name],) * 3),
        )


# ------------------------------------------------------------------------ SciPy's filters


def _ordered() -> Iterator[Variant]:
    """Sums in the order of their terms: no problem asks for them, and `ndimage` names them."""
    yield Variant("ordered", ("terms", "f64", "f64", "f64"), {}, ordered)
    for name in ("u8", "i16", "u16"):
        names = f"{name}_f32_{name}"
        types = ("passes", *names.split("_"))
        yield Variant("cut", types, {}, partial(cut, types=_types(names)))
    types = "passes", "u8", "u16", "u8"
    high, wide = (((False, (1, most)), (True, (most + 1, None))) for most in (7, 11))
    for (down, kh), (across, kw) in product(high, wide):
        made = partial(means, types=_types("u8_u16_u8"), high=down, wide=across)
        yield Variant("means", types, {"kh": kh, "kw": kw}, made)
    yield from _footprints()
    for mode in ("max", "min"):
        for name in ("u8", "i16", "u16", "f32", "f64"):
            types = (f"lines_{mode}", name, name, name)
            made = partial(lines, types=(TYPES[name],) * 3, mode=mode)
            yield Variant("lines", types, {}, made)


def _footprints() -> Iterator[Variant]:
    """Extremes under flat footprints, under raised ones of floats, and sums of floats and bytes."""
    flat = [(f"flat_{mode}", n) for mode in ("max", "min") for n in ("u8", "i16", "u16")]
    floats = ("flat_max", "flat_min", "raised_max", "raised_min", "raised_sum")
    every = [*flat, *product(floats, ("f32", "f64"))]
    for (kind, name), volume in product(every, (0, 1)):
        height, mode = kind.split("_")
        made = partial(
            footprints,
            types=(TYPES[name],) * 3,
            mode=mode,
            volume=bool(volume),
            raised=height == "raised",
        )
        yield Variant("footprints", (kind, name, name, name), exactly(volume=volume), made)
    names = "u8_f32_u8"
    for volume in (0, 1):
        made = partial(cut_sums, types=_types(names), volume=bool(volume))
        yield Variant(
            "footprints", ("truncated_sum", *names.split("_")), exactly(volume=volume), made
        )
