"""Colours are weighed by opacity, so that what cannot be seen does not bleed into what can."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from convlens import filters
from convlens.cli import run

RNG = np.random.default_rng(11)


def filtered(folder, values, *words, suffix=".png"):
    """What the command makes of a picture of 8 bits with opacity."""
    source, target = folder / "x.png", folder / f"y{suffix}"
    Image.fromarray(values).save(source)
    assert run([*words[:2], str(source), "-o", str(target), "--force", *words[2:]]) == 0
    with Image.open(target) as image:
        return np.asarray(image)


def weighed(values, kernel):
    """The definition: premultiply, filter, divide; beyond the border, the nearest pixel repeats."""
    kh, kw = kernel.shape
    alpha = values[..., 3].astype(float) / 255
    layers = np.dstack([values[..., :3] * alpha[..., None], alpha])
    top, left = (kh - 1) // 2, (kw - 1) // 2
    padded = np.pad(layers, ((top, kh - 1 - top), (left, kw - 1 - left), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), (0, 1))
    sums = np.einsum("hwcyx,yx->hwc", windows, kernel)
    return sums[..., :3], sums[..., 3]


def test_a_white_corner_stays_white(tmp_path):
    """Invisible red colours the edge of a white patch."""
    values = np.zeros((40, 40, 4), np.uint8)
    values[..., 0] = 255
    values[:20, :20] = 255
    for line in ("apply gaussian:sigma=2", "apply box:9", "pool 2 --mode avg"):
        words = line.split()
        made = filtered(tmp_path, values, *words)
        assert (made[made[..., 3] > 0][:, :3] == 255).all()
        assert len(np.unique(made[..., 3])) > (1 if words[0] == "pool" else 5)


@pytest.mark.parametrize("name", ["gaussian:sigma=2", "box:5", "sharpen", "box:4x7"])
def test_the_definition(tmp_path, name):
    """A result differs from premultiplying, filtering and dividing, where it can be seen."""
    values = RNG.integers(0, 256, (50, 60, 4), np.uint8)
    values[10:30, 10:40, 3] = 0
    values[30:, 30:, 3] = 255
    made = filtered(tmp_path, values, "apply", name).astype(float)
    text, _, parameter = name.partition(":")
    arguments = {"sigma=2": (2,), "5": (5,), "": (), "4x7": ((4, 7),)}[parameter]
    sums, alpha = weighed(values, getattr(filters, text)(*arguments))
    assert abs(made[..., 3] - np.clip(alpha * 255, 0, 255)).max() <= 1
    seen = alpha * 255 > 40
    colours = (sums[seen] / alpha[seen][:, None]).clip(0, 255)
    assert abs(made[seen][:, :3] - colours).max() <= 1.1


def test_opacity_is_reported(tmp_path, capsys):
    """The shape that is told of a picture seems to have lost its opacity."""
    filtered(tmp_path, np.zeros((4, 5, 4), np.uint8), "apply", "box")
    assert ": (4, 5, 4) uint8, in " in capsys.readouterr().out


def test_opaque_pictures_are_filtered_as_without_opacity(tmp_path):
    """Where all is opaque, weights change a pixel."""
    values = RNG.integers(0, 256, (50, 60, 4), np.uint8)
    values[..., 3] = 255
    for name in ("gaussian:sigma=2", "sobel_x", "laplacian", "emboss"):
        made = filtered(tmp_path, values, "apply", name)
        bare = filtered(tmp_path, values[..., :3].copy(), "apply", name)
        assert (made[..., 3] == 255).all()
        assert abs(made[..., :3].astype(int) - bare).max() <= (name == "gaussian:sigma=2")


def test_explained(tmp_path, capsys):
    """`explain` plans something else than what weighing computes, or does not tell of it."""
    Image.fromarray(RNG.integers(0, 256, (20, 30, 4), np.uint8)).save(tmp_path / "x.png")
    assert run(["explain", "apply", "box:3", str(tmp_path / "x.png")]) == 0
    out = capsys.readouterr().out
    assert "input     (1, 20, 30, 3) uint32" in out
    assert out.endswith("opacity   weighs the colours, and is filtered as they are\n")
    assert run(["explain", "apply", "box:3", str(tmp_path / "x.png"), "--alpha", "keep"]) == 0
    assert "opacity" not in capsys.readouterr().out


def test_ignore(tmp_path):
    """--alpha ignore keeps some opacity, or does not filter colours as they are."""
    values = RNG.integers(0, 256, (20, 30, 4), np.uint8)
    made = filtered(tmp_path, values, "apply", "box:3", "--alpha", "ignore")
    assert made.shape == (20, 30, 3)
    np.testing.assert_array_equal(
        made, filtered(tmp_path, values[..., :3].copy(), "apply", "box:3")
    )
    assert filtered(tmp_path, values, "apply", "box", "--alpha", "ignore", suffix=".jpg").ndim == 3


def test_padding_is_empty(tmp_path):
    """Zeros around a picture darken its border, where they should fade it; a number is opaque."""
    values = np.full((20, 30, 4), 200, np.uint8)
    values[..., 3] = 255
    made = filtered(tmp_path, values, "apply", "box:3", "--pad-mode", "constant")
    assert (made[..., :3] == 200).all()
    assert made[0, 5, 3] == 170
    words = ("apply", "box:3", "--pad-mode", "constant", "--pad-value", "50")
    made = filtered(tmp_path, values, *words)
    assert tuple(made[0, 5]) == (150, 150, 150, 255)


@pytest.mark.parametrize("mode", ["max", "min", "sum"])
def test_other_poolings(tmp_path, mode):
    """Invisible colours win a pooling."""
    values = np.full((20, 30, 4), 100, np.uint8)
    values[..., 3] = 255
    values[::2, ::2] = (255 if mode != "min" else 0, 0, 0, 0)
    made = filtered(tmp_path, values, "pool", "2", "--mode", mode)
    expected = 255 if mode == "sum" else 100
    if mode != "min":  # the least opacity of each window is 0
        assert (made[..., :3] == expected).all()
    assert (made[..., 3] == {"max": 255, "min": 0, "sum": 191}[mode]).all()


def test_sixteen_bits(tmp_path):
    """Opacity of 16 bits is not exact."""
    values = RNG.integers(0, 65536, (20, 30, 4), np.uint16)
    values[..., 3] |= 1 << 14
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    words = ["apply", "box:3", str(tmp_path / "x.tif"), "-o", str(tmp_path / "y.tif")]
    assert run([*words, "--padding", "valid"]) == 0
    made = tifffile.imread(tmp_path / "y.tif").astype(float)
    exact = values.astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(exact, (3, 3), (0, 1))
    alpha = windows[:, :, 3].mean((-1, -2))
    colours = (windows[:, :, :3] * windows[:, :, 3:]).mean((-1, -2)) / alpha[..., None]
    assert abs(made[..., 3] - alpha).max() <= 0.51
    assert abs(made[..., :3] - colours).max() <= 0.52


def test_the_choice_of_strips_changes_nothing(tmp_path, monkeypatch):
    """A result depends on how many rows are computed at a time."""
    from convlens.execute import rows  # noqa: PLC0415

    values = RNG.integers(0, 256, (200, 60, 4), np.uint8)
    for line in (
        "apply gaussian:sigma=2",
        "apply box:5 --pad-mode wrap --stride 2",
        "apply sobel_x --pad-mode reflect --map stretch",
        "apply motion_blur:21 --pad-mode symmetric --dilation 3 --alpha keep",
        "pool 3 --mode avg --partial",
    ):
        words = line.split()
        whole = filtered(tmp_path, values, *words)
        for size in (1, 20_000, 100_000):
            with monkeypatch.context() as patch:
                patch.setattr(rows, "TILE_BYTES", size)
                patch.setattr(rows, "LARGEST_TILE", size)
                np.testing.assert_array_equal(filtered(tmp_path, values, *words), whole)
