"""The compiled convolutions of volumes, each called by itself on arrays of its own.

Here no engine decides which slabs, rows and columns lie under a window: the tables are drawn at
random, so the pipelines are held to all that their arguments can say. Numbers are small integers,
whose sums are exact in every type and every order.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from strategies import built

from convlens.compiled.library import LEVEL, Run, buffer, load

pytestmark = built

LIBRARY = load()
LEVELS = [] if isinstance(LIBRARY, str) else LIBRARY.levels
FAMILIES = {"planes", "dense", "deep", "grouped", "separable"}
TYPES = {"u8": "u1", "i64": "i8", "f32": "f4", "f64": "f8"}
SPARE = 64  # entries behind the last row, which the last tile may ask for


def convolutions():
    """The variants for convolutions of volumes."""
    every = load().variants.by_name.values()
    return [each for each in every if each.family in FAMILIES and each.requires["volume"] == [1, 1]]


def number(rng, variant, fact, low, high):
    """A number that the variant takes for this fact, drawn from a range where it takes any."""
    least, most = variant.requires.get(fact, (low, high))
    return int(rng.integers(least, (max(high, least + 5) if most is None else most) + 1))


def table(rng, size, shape):
    """Places among so many, or -1 for padding."""
    return rng.integers(-1, size, shape).astype(np.int32)


def check(variant, rng):
    """Compare a variant with plain loops over the taps."""
    pixels, numbers, results = (np.dtype(TYPES[each]) for each in variant.types)
    fixed = variant.family == "separable"  # each channel is then a part of x
    groups, depth, count = (
        1 if fixed else number(rng, variant, fact, 1, 3) for fact in ("groups", "depth", "kernels")
    )
    if variant.family == "deep":
        lanes = 64 // numbers.itemsize
        whole = variant.requires["whole"][0]
        depth = lanes * int(rng.integers(1, 4)) - (0 if whole else int(rng.integers(1, lanes)))
    if variant.family == "grouped":  # whose vectors hold all of them, and perhaps more pixels
        groups, count = (int(each) for each in rng.integers(1, 30, 2))
    if variant.family in ("planes", "deep") and "groups" not in variant.requires:
        groups = int(rng.integers(1, 3))
    sx = 1 if fixed else number(rng, variant, "stride", 1, 2)
    sy = sx if "taps" in variant.requires else int(rng.integers(1, 4))
    dx = 1 if "taps" in variant.requires else int(rng.integers(1, 3))
    dx = 1 if sx > 1 else dx
    dy = number(rng, variant, "dilation_down", 1, 2)
    kd, kh, kw = (number(rng, variant, "taps", 1, 4) for _ in range(3))
    if "taps" in variant.requires:
        kd = kh = kw = variant.requires["taps"][0]
    channels = groups * depth
    n, oh, ow = (int(size) for size in rng.integers((1, 4, 1), (6, 20, 90)))
    down, across = (oh - 1) * sy + (kh - 1) * dy + 1, (ow - 1) * sx + (kw - 1) * dx + 1
    slabs, height = int(rng.integers(1, 5)), int(rng.integers(1, 9))
    width = int(rng.integers(1, across + 1))

    images = rng.integers(0, 9, (slabs, height, width * channels)).astype(pixels)
    under, rows = table(rng, slabs, (n, kd)), np.full(4 * down + SPARE, -1, np.int32)
    rows[:down] = table(rng, height, down)
    first = int(rng.integers(0, width + 1))  # The row's pixels from here on lie in the middle.
    left = int(rng.integers(0, across - min(width - first, across) + 1))
    inner = min(width - first, across - left)
    columns = table(rng, width, across)
    columns[left : left + inner] = range(first, first + inner)
    if rng.random() < 0.5:  # There is nothing but padding beside it.
        columns[:left] = columns[left + inner :] = -1
    padding = int(rng.choice([0, 0, 3]))

    # The cells, by slab of the output, tap along the depth, row and column.
    cells = images.reshape(slabs, height, width, channels)[
        under[:, :, None, None], rows[:down, None], columns
    ]
    absent = (under < 0)[:, :, None, None] | (rows[:down] < 0)[:, None] | (columns < 0)
    cells = np.where(absent[..., None], padding, cells.astype(np.int64))
    cells = cells.reshape(n, kd, down, across, groups, depth)

    lines = [rng.integers(-3, 4, size) for size in (kd, kh, kw)]
    kernels = rng.integers(-4, 5, (kd, kh, kw, depth, groups, count))
    if fixed:
        kernels[..., 0, 0, 0] = 2 * np.multiply.outer(np.multiply.outer(*lines[:2]), lines[2])
    if not fixed and results.kind == "f" and rng.random() < 0.5:
        kernels = kernels.astype(float)
        kernels[-1, 0, -1, 0, 0, 0] = np.inf  # On padding with zeros this makes NaN.
    expected = np.zeros((n, oh, ow, groups, count), kernels.dtype)
    for z, y, x in np.ndindex(kd, kh, kw):
        seen = cells[:, z, y * dy :, x * dx :]
        seen = seen[:, : (oh - 1) * sy + 1 : sy, : (ow - 1) * sx + 1 : sx]
        for c in range(depth):
            with np.errstate(invalid="ignore"):
                expected += seen[..., c, None] * kernels[z, y, x, c]

    places = np.where(columns[:, None] < 0, -1, columns[:, None] * channels + np.arange(channels))
    # Of the kernels of a group, there may be more, which another run takes.
    others = int(rng.integers(0, 3)) if variant.family == "grouped" else 0
    out = np.full((*expected.shape[:-1], count + others), 77, results)[..., :count]
    arguments = {
        "images": images,
        "padding": padding,
        "rows": rows,
        "before": places[:left].ravel().astype(np.int32),
        "after": places[left + inner :].ravel().astype(np.int32),
        "left": left * channels,
        "right": (left + inner) * channels,
        "first": first * channels if inner else 0,
        "blank": int((columns[:left] < 0).all() and (columns[left + inner :] < 0).all()),
        "slabs": under,
        "C": channels,
        "sx": sx,
        "sy": sy,
        "dx": dx,
        "dy": dy,
        "oh": oh,
        "ow": ow,
        "strip": int(rng.integers(1, oh + 1)),
        "chunk": int(rng.integers(1, n + 1)),
        "out": out,
    }
    if fixed:
        arguments |= dict(
            zip(("along", "down", "across"), (a.astype(numbers) for a in lines), strict=True)
        )
        arguments["scale"] = np.full(1, 2, numbers)
    else:
        whole = np.full((*kernels.shape[:-1], count + others), 77, kernels.dtype)
        whole[..., :count] = kernels
        arguments["kernels"] = whole.astype(numbers)[..., :count]
    if "share" in variant.arguments:
        arguments |= {name: int(rng.integers(1, count + 1)) for name in ("share", "together")}
        arguments["skips"] = int(padding == 0 and rng.random() < 0.5)
    described = {
        name: buffer(value) if isinstance(value, np.ndarray) else value
        for name, value in arguments.items()
    }
    Run(load(), variant, described, [])()
    np.testing.assert_array_equal(out, expected, err_msg=f"{variant.name} {arguments}")


def check_level():
    """Check every variant on one level, in a process of its own."""
    variants = convolutions()
    for place, variant in enumerate(variants):
        for seed in range(8):
            check(variant, np.random.default_rng([place, seed]))
    print(load().level, len(variants))


@pytest.mark.parametrize("level", LEVELS)
def test_convolutions_of_volumes(level):
    """A pipeline takes a cell that the tables do not name, or skips one that counts."""
    done = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {LEVEL: level},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [level, str(len(convolutions()))]
    assert {each.family for each in convolutions()} == FAMILIES


if __name__ == "__main__":
    check_level()
