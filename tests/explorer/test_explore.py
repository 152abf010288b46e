"""`convlens.explore`: what it takes, refuses and writes; that it need not be waited for."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convlens
from convlens import explore, explorer

GRAY, COLOUR = np.ones((5, 6)), np.ones((5, 6, 3))
TRANSPOSE = convlens.plan_convolve_transpose((7, 5), (4, 3), stride=2)


def data_of(page):
    """What Python wrote into the page."""
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', page.html)
    return json.loads(found[1])


def picture_of(page, number=0):
    """A picture as it was written: (h, w, c)."""
    written = data_of(page)["pictures"][number]
    kind = {"u1": np.uint8, "f8": "<f8"}[written["type"]]
    numbers = np.frombuffer(base64.b64decode(written["data"]), kind)
    return numbers.reshape(written["shape"])


def test_the_arguments_reach_the_page():
    """Each argument becomes the part of the page's state that it stands for."""
    page = explore(
        GRAY,
        [[1, 2], [3, 4]],
        padding=((1, 2), (3, 4)),
        stride=(2, 3),
        dilation=2,
        pad_mode="wrap",
    )
    start = data_of(page)["start"]
    assert start["layers"] == [[[1, 2], [3, 4]]]
    assert start["padding"] == [[1, 2], [3, 4]]
    assert (start["stride"], start["dilation"], start["padMode"]) == ([2, 3], [2, 2], "wrap")
    assert (start["operation"], start["colour"], start["picture"]) == (
        "convolve",
        "gray",
        "given-0",
    )
    page = explore(COLOUR, operation="avg", kernel_shape=(2, 3), count_padding=True)
    start = data_of(page)["start"]
    assert (start["window"], start["stride"], start["colour"]) == ([2, 3], [2, 3], "each")
    assert (start["operation"], start["padding"], start["countPadding"]) == ("avg", "same", True)


@pytest.mark.parametrize(
    ("shape", "kernels", "expected"),
    [
        ((5, 6), None, (5, 6, 1)),
        ((4, 5, 6), None, (5, 6, 1)),
        ((5, 6, 3), None, (5, 6, 3)),
        ((4, 5, 6, 1), None, (5, 6, 1)),
        ((4, 5, 6, 3), np.ones((2, 2, 3)), (5, 6, 3)),
        ((4, 5, 6, 3), np.ones((2, 2, 3, 7)), (5, 6, 3)),
    ],
)
def test_images(shape, kernels, expected):
    """Every accepted shape of images is written as pictures (h, w, c) with the same numbers."""
    images = np.random.default_rng(1).standard_normal(shape)
    page = explore(images, kernels)
    written = picture_of(page)
    assert written.shape == expected
    first = images if images.size == written.size else images[0]
    np.testing.assert_array_equal(written, first.reshape(expected))
    if kernels is not None:
        assert data_of(page)["start"]["colour"] == "summed"
        names = [preset["name"] for preset in data_of(page)["presets"]]
        assert names[: kernels.size // 12] == (
            ["your kernel"] if kernels.ndim == 3 else [f"your kernel {n}" for n in range(1, 8)]
        )


def test_signals():
    """With space=1 a signal is written as a picture of one row, and its arguments on one axis."""
    signals = np.random.default_rng(1).standard_normal((4, 50))
    page = explore(
        signals, [1, 2, 3], padding=(2, 0), stride=3, dilation=2, pad_mode="edge", space=1
    )
    data, start = data_of(page), data_of(page)["start"]
    assert [picture["signal"] for picture in data["pictures"]] == [True] * 4
    np.testing.assert_array_equal(picture_of(page, 3), signals[3].reshape(1, 50, 1))
    assert start["layers"] == [[[1, 2, 3]]]
    assert (start["stride"], start["dilation"], start["padMode"]) == ([1, 3], [1, 2], "edge")
    assert start["padding"] == [[0, 0], [2, 0]]
    start = data_of(explore(operation="max", kernel_shape=5, space=1))["start"]
    assert (start["window"], start["stride"]) == ([1, 5], [1, 5])
    assert start["picture"] == "heartbeat"
    assert data_of(explore(signals[0], space=1))["start"]["padding"] == "same"


@pytest.mark.parametrize(
    "options",
    [{"padding": (2, 0)}, {"padding": "full", "stride": 2, "pad_mode": "wrap"}, {"dilation": 3}],
)
def test_the_page_of_a_signal(visit, tmp_path, options):
    """The page opens on the signal, and shows what the library computes of it."""
    signal, kernel = np.random.default_rng(2).standard_normal(40), [1, 0.5, -2]
    page = visit(file=explore(signal, kernel, space=1, **options).save(tmp_path / "signal.html"))
    assert page.evaluate("explorer.axes[0].outputs") == 1
    shown = page.evaluate("[...explorer.output.data]")
    np.testing.assert_allclose(shown, convlens.convolve(signal, kernel, space=1, **options))


PLANS = [
    (((7, 5), (4, 3)), {"stride": 2}),
    (((9, 4), (3, 5)), {"stride": (1, 3), "padding": "full", "dilation": (2, 1)}),
    (((6, 6), (3, 3)), {"padding": ((2, 0), (1, 1)), "pad_mode": "edge"}),
    (((3, 10, 10, 8), (3, 3, 4, 8)), {"padding": "valid"}),
    (((12,), (3,)), {"stride": 2, "padding": (2, 0), "space": 1}),
]


@pytest.mark.parametrize(("shapes", "options"), PLANS)
def test_a_plan_of_a_transpose(visit, tmp_path, shapes, options):
    """The page opens on the way back to a pixel, with sizes and settings of the plan."""
    plan = convlens.plan_convolve_transpose(*shapes, **options)
    space = options.get("space", 2)
    kernel = np.random.default_rng(5).integers(-3, 4, plan.window)
    page = visit(file=explore(plan, kernel).save(tmp_path / "plan.html"))
    assert page.evaluate("explorer.pointed[0]") == "input"
    assert "transposed convolution" in page.inner_text("#sent-text")
    shape = [axis.outputs for axis in plan.problem.spatial]
    output = np.array(page.evaluate("[...explorer.output.data]")).reshape(shape)
    size = tuple(axis.size for axis in plan.problem.spatial)
    expected = convlens.convolve_transpose(output, kernel, size, **options)
    np.testing.assert_allclose(page.evaluate("explorer.sent"), np.ravel(expected), rtol=1e-12)
    row, column = page.evaluate("explorer.pointed.slice(1)")
    found = page.evaluate("explorer.back(...explorer.pointed.slice(1)).channels[0].result")
    assert found == expected[(row, column)[2 - space :]]
    many = "The page shows one channel and one kernel of the plan."
    assert page.inner_text("#notice") == (many if len(shapes[0]) == 4 else "")


def test_a_large_plan():
    """A plan without a kernel's numbers has ones; one of large images has a smaller picture."""
    data = data_of(explore(convlens.plan_convolve_transpose((300, 20), (2, 3))))
    assert data["start"]["layers"] == [[[1, 1, 1], [1, 1, 1]]]
    assert data["pictures"][0]["shape"] == [128, 20, 1]
    assert data["pictures"][0]["name"] == "Rings"
    assert data["pictures"][0]["high"] == 9  # white, so that all of its numbers can be seen
    assert data["notice"] == "Its images are larger than this picture."


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float16, np.float64])
def test_types(dtype):
    """Whole numbers up to 255 are written as bytes and all others as floats, both exactly."""
    image = np.arange(12).reshape(3, 4).astype(dtype)
    written = picture_of(explore(image))
    assert written.dtype == (np.uint8 if np.dtype(dtype).kind in "biu" else np.float64)
    np.testing.assert_array_equal(written[..., 0], image)
    negative = -np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(picture_of(explore(negative))[..., 0], negative)
    read_only = np.asfortranarray(image[::-1])
    read_only.flags.writeable = False
    np.testing.assert_array_equal(picture_of(explore(read_only))[..., 0], read_only)


def test_large_and_many():
    """Large pictures are scaled and only the first of many shown, and the page says so."""
    large = np.zeros((1030, 600), np.uint8)
    written = data_of(explore(large))["pictures"][0]
    assert written["shape"] == [344, 200, 1]
    assert written["note"] == "Scaled from 1030 × 600 to 344 × 200 by convlens."
    data = data_of(explore(np.zeros((30, 4, 4)), np.zeros((3, 3, 1, 70))))
    assert len(data["pictures"]) == 24
    assert data["notice"] == (
        "The page offers the first 64 of 70 kernels. The page shows the first 24 of 30 images."
    )


REFUSALS = [
    ({"images": np.ones(3)}, ValueError, "images must be (h, w), (m, h, w), (h, w, 3)"),
    ({"images": np.ones((2, 5, 6, 4))}, ValueError, "images.shape=(2, 5, 6, 4)"),
    ({"images": np.ones((0, 4))}, ValueError, "images must not be empty; images.shape=(0, 4)"),
    ({"images": GRAY * np.nan}, ValueError, "images must be finite"),
    ({"images": GRAY * 1j}, TypeError, "images must be real numbers; got dtype complex128"),
    ({"images": GRAY * 1e17}, ValueError, "images must lie between"),
    ({"images": "cat.png"}, TypeError, "images must be an array of numbers; got 'cat.png'"),
    ({"kernels": np.ones(3)}, ValueError, "kernels must be (kh, kw), (kh, kw, c)"),
    ({"kernels": np.ones((0, 3))}, ValueError, "not empty; kernels.shape=(0, 3)"),
    ({"kernels": np.ones((3, 3, 3))}, ValueError, "kernels expect 3 channels, images have 1"),
    ({"kernels": np.ones((12, 3))}, ValueError, "the page shows a window of at most 11; got 12"),
    ({"kernels": GRAY * np.inf}, ValueError, "kernels must be finite"),
    ({"kernels": GRAY * 1e7}, ValueError, "kernels must lie between -1000000 and 1000000"),
    ({"stride": 17}, ValueError, "the page shows a stride of at most 16; got 17"),
    ({"stride": 0}, ValueError, "stride must be at least 1; got 0"),
    ({"dilation": 9}, ValueError, "the page shows a dilation of at most 8; got 9"),
    ({"padding": 33}, ValueError, "the page shows a padding of at most 32; got 33"),
    ({"padding": "sane"}, ValueError, "did you mean 'same'?"),
    ({"pad_mode": "mirror"}, ValueError, "did you mean 'reflect'?"),
    ({"operation": "mean"}, ValueError, "operation must be one of 'convolve', 'max', 'avg', 'min'"),
    ({"operation": 1}, TypeError, "operation must be one of"),
    ({"operation": "max", "kernels": GRAY}, ValueError, "takes no kernels; give the window"),
    ({"operation": "max", "pad_mode": "edge"}, ValueError, "pad_mode='edge' is for convolution"),
    ({"operation": "max", "kernel_shape": 12}, ValueError, "a window of at most 11; got 12"),
    ({"operation": "max", "channels": "summed", "images": COLOUR}, ValueError, "keeps channels"),
    ({"channels": "each"}, ValueError, "needs images of three channels; they have one"),
    ({"channels": "grey"}, ValueError, "channels must be one of 'gray', 'summed', 'each'"),
    ({"partial": True}, ValueError, "partial=True is for pooling"),
    ({"space": 3}, ValueError, "the page shows signals (space=1) and images (space=2), but no"),
    ({"space": 1, "images": COLOUR}, ValueError, "signals must be (w,) or (m, w); images.shape="),
    ({"space": 1, "images": np.ones(257)}, ValueError, "at most 256 samples; images.shape=(257,)"),
    ({"space": 1, "kernels": GRAY}, ValueError, "kernels of signals must be (kw,)"),
    ({"space": 1, "stride": (2, 2)}, ValueError, "stride must be"),
    ({"space": 1, "kernels": np.ones(12)}, ValueError, "a window of at most 11; got 12"),
    ({"images": TRANSPOSE, "stride": 2}, ValueError, "stride=2 is given beside a plan, which has"),
    ({"images": TRANSPOSE, "space": 1}, ValueError, "space=1 is given beside a plan, which has"),
    (
        {"images": TRANSPOSE, "kernels": GRAY},
        ValueError,
        "must have the plan's window (4, 3); kern",
    ),
    (
        {"images": convlens.plan_kernel_gradient((8, 8), (8, 8), (3, 3))},
        ValueError,
        "the page shows plans of plan_convolve_transpose, not of kernel_gradient; give images",
    ),
    (
        {"images": convlens.plan_convolve_transpose((4, 4, 4), (2, 2, 2), space=3)},
        ValueError,
        "the page shows signals (space=1) and images (space=2), but no volumes",
    ),
    (
        {"images": convlens.plan_convolve_transpose((8, 8), (12, 3))},
        ValueError,
        "the page shows a window of at most 11; got 12",
    ),
    ({"count_padding": 1}, TypeError, "count_padding must be True or False; got 1"),
    (
        {"images": COLOUR, "kernels": np.ones((3, 3, 3)), "channels": "gray"},
        ValueError,
        "needs kernels (kh, kw); these have 3 channels",
    ),
    (
        {"images": GRAY, "kernels": np.ones((7, 3)), "padding": "valid"},
        ValueError,
        "the kernel is larger than the padded images along the height",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "words"), REFUSALS)
def test_refusals(arguments, error, words):
    """Wrong arguments are refused with what was expected and what was given."""
    with pytest.raises(error, match=rf"^explore: .*{re.escape(words)}"):
        explore(**arguments)


def test_saving(tmp_path):
    """The page is written completely or not at all, and returns its path."""
    page = explore()
    path = page.save(tmp_path / "page.html")
    assert path == tmp_path / "page.html"
    assert path.read_text(encoding="utf-8") == page.html
    assert page.save(str(path)) == path
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OSError, match=r"folder\.html"):
        page.save(tmp_path / "folder.html")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder.html", "page.html"]


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions here")
@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_permissions(tmp_path, umask, mode):
    """The file, which holds the user's picture, has the permissions that the umask allows."""
    before = os.umask(umask)
    try:
        path = explore(GRAY).save(tmp_path / "page.html")
        again = explore(GRAY).save(tmp_path / "page.html")  # replaces it
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
    assert again.stat().st_mode & 0o777 == mode


def test_saving_where_a_link_leads(tmp_path):
    """Saving to a symbolic link replaces the file that it leads to, not the link."""
    (tmp_path / "real.html").write_text("before")
    (tmp_path / "link.html").symlink_to("real.html")
    page = explore()
    page.save(tmp_path / "link.html")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text(encoding="utf-8") == page.html


def test_opening(monkeypatch):
    """The browser is opened on the address of a file that holds the page."""
    opened = []
    monkeypatch.setattr(explorer.webbrowser, "open", opened.append)
    page = explore()
    path = page.open()
    assert opened == [path.as_uri()]
    assert path.read_text(encoding="utf-8") == page.html
    assert repr(page) == "<Explorer: .open() it, .save(path) it, or show it in a notebook>"


def test_importing_convlens_does_not_load_the_explorer():
    """The explorer is imported on first use, since it reads files and few need it."""
    code = (
        "import sys, convlens; print('convlens.explorer' in sys.modules); "
        "convlens.explore; print('convlens.explorer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match=r"module 'convlens' has no attribute 'explorre'"):
        _ = convlens.explorre


def test_limits_are_those_of_the_page():
    """The limits in Python equal those in JavaScript."""
    source = (Path(explorer.__file__).parent / "state.js").read_text(encoding="utf-8")
    limits = re.search(r"LIMITS = \{(.*)\}", source)[1]
    found = {name: int(high) for name, high in re.findall(r"(\w+): \[\d, (\d+)\]", limits)}
    assert found == explorer.LIMITS
    source = (Path(explorer.__file__).parent / "pictures.js").read_text(encoding="utf-8")
    assert f"SIDES = {list(explorer.SIDES)};" in source
    assert f"KEPT = {explorer.KEPT};" in source
    source = (Path(explorer.__file__).parent / "signals.js").read_text(encoding="utf-8")
    assert f"MOST_SAMPLES = {explorer.MOST_SAMPLES};" in source


def test_every_module_is_inlined():
    """Every module is in the page, after those that it imports names from."""
    folder = Path(explorer.__file__).parent
    assert {path.stem for path in folder.glob("*.js")} == set(explorer.MODULES)
    for place, name in enumerate(explorer.MODULES):
        source = (folder / f"{name}.js").read_text(encoding="utf-8")
        for names, other in re.findall(r'^import \{([^}]*)\} from "\./(\w+)\.js"', source, re.M):
            assert other in explorer.MODULES[:place]
            exported = (folder / f"{other}.js").read_text(encoding="utf-8")
            for each in filter(None, (part.strip() for part in names.split(","))):
                kinds = "const|let|class|function|async function"
                assert re.search(rf"^export (?:{kinds}) {re.escape(each)}(?!\w)", exported, re.M), (
                    each
                )
        assert "</script" not in source
