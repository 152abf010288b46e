"""One photograph (h, w, 3), recording or film taken for many is warned of, and nothing else is."""

import json
import re
import warnings
from itertools import product

import dask.array as da
import numpy as np
import pytest

import convlens
from convlens import ChannelsWarning, convolve, plan_convolve, plan_pool, pool
from convlens.cli import run

PHOTOGRAPH = np.random.default_rng(0).random((48, 64, 3))
BLUR = np.full((3, 3), 1 / 9)
WORDS = (
    r"images \(48, 64, 3\) are taken for 48 images of 64 x 3: pass images\[np.newaxis\] if they "
    r"are one picture with 3 channels, or images\[..., np.newaxis\] if they are 48 images$"
)
CALLS = {
    "convolve": lambda images: convolve(images, BLUR),
    "pool": lambda images: pool(images, 2),
    "plan_convolve": lambda images: plan_convolve(images, BLUR),
    "plan_pool": lambda images: plan_pool(images, 2),
}
FORMS = {
    "array": PHOTOGRAPH,
    "dask": da.from_array(PHOTOGRAPH, chunks=(20, 30, 3)),
    "list": PHOTOGRAPH.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CALLS)
def test_photographs_without_an_m(name, form):
    """Each call warns once, at the line that made it, and goes on."""
    operation = name.removeprefix("plan_")
    with pytest.warns(ChannelsWarning, match=f"^{operation}: {WORDS}") as caught:
        result = CALLS[name](FORMS[form])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert (result.output_shape if "plan" in name else result.shape)[0] == 48


def test_bare_shapes():
    """A plan of a shape warns as well, and says so in its last line."""
    with pytest.warns(ChannelsWarning, match=f"^pool: {WORDS}"):
        plan = plan_pool((48, 64, 3), 2)
    assert str(plan).splitlines()[-1] == f"note      {plan.note}"
    assert plan.note.startswith("images (48, 64, 3) are taken for 48 images of 64 x 3: ")
    right = plan_pool((1, 48, 64, 3), 2)
    assert right.note is None
    assert "note" not in str(right)


def test_a_plan_that_is_called_does_not_warn_again():
    """Who has the plan has had the warning."""
    with pytest.warns(ChannelsWarning):
        plan = plan_pool(PHOTOGRAPH, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plan(PHOTOGRAPH).shape == (48, 32, 1)


def test_the_warning_as_an_error():
    """Who turns it into an error gets it before any work."""
    out = np.full((48, 32, 1), 7.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ChannelsWarning, match=f"^pool: {WORDS}"):
            pool(PHOTOGRAPH, 2, out=out)
    np.testing.assert_array_equal(out, 7.0)


@pytest.mark.filterwarnings("error")
def test_both_ways_out():
    """Either meaning can be said, and neither is warned of."""
    one = convolve(PHOTOGRAPH[np.newaxis], BLUR)[0]
    for channel in range(3):
        np.testing.assert_array_equal(
            one[..., channel], convolve(PHOTOGRAPH[..., channel], BLUR)
        )  # (48, 64)
    many = convolve(PHOTOGRAPH[..., np.newaxis], BLUR)[..., 0]
    for image in range(48):
        np.testing.assert_array_equal(many[image], convolve(PHOTOGRAPH[image], BLUR))  # (64, 3)
    assert pool(PHOTOGRAPH[np.newaxis], 2).shape == (1, 24, 32, 3)
    assert pool(PHOTOGRAPH[..., np.newaxis], 2).shape == (48, 32, 1, 1)


def test_just_these_shapes():
    """Three or four channels behind two sizes of at least 16, of three axes and no others."""
    for shape in product((1, 15, 16, 500), (15, 16, 500), (1, 2, 3, 4, 5, 16)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan_convolve(shape, (1, 1))
            plan_pool(shape, 1)
        assert len(caught) == 2 * (min(shape[:2]) >= 16 and shape[2] in (3, 4)), shape


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kernels", [(3, 3, 3), (3, 3, 3, 8)])
def test_kernels_with_channels(kernels):
    """Under kernels with channels three axes are one picture already."""
    assert plan_convolve((48, 64, 3), kernels).note is None


# ------------------------------------------------------------------- signals and volumes

OTHERS = [  # images, the number of spatial axes, and the warning
    (
        (1000, 2),
        1,
        "images (1000, 2) are taken for 1000 signals of 2: pass images[np.newaxis] if they are one "
        "signal with 2 channels, or images[..., np.newaxis] if they are 1000 signals",
    ),
    (
        (44100, 1),
        1,
        "images (44100, 1) are taken for 44100 signals of 1: pass images[np.newaxis] if they are "
        "one signal with 1 channel, or images[..., np.newaxis] if they are 44100 signals",
    ),
    (
        (25, 48, 64, 3),
        3,
        "images (25, 48, 64, 3) are taken for 25 volumes of 48 x 64 x 3: pass images[np.newaxis] "
        "if they are one volume with 3 channels, or images[..., np.newaxis] if they are 25 volumes",
    ),
]


@pytest.mark.parametrize(("shape", "space", "words"), OTHERS)
def test_recordings_and_films_without_an_m(shape, space, words):
    """Recordings (w, c) and films or volumes (d, h, w, c) are warned of, in words of their own."""
    for operation, call in (
        ("convolve", lambda: plan_convolve(shape, (1,) * space, space=space)),
        ("pool", lambda: plan_pool(shape, 1, space=space)),
    ):
        with pytest.warns(ChannelsWarning, match=f"^{operation}: {re.escape(words)}$") as caught:
            plan = call()
        assert len(caught) == 1
        assert plan.note == words
        assert str(plan).endswith(f"\nnote      {words}")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("shape", "space", "words"), OTHERS)
def test_both_ways_out_of_recordings_and_films(shape, space, words):
    """What the warning says to pass is what it says, and is not warned of."""
    noun = "signal" if space == 1 else "volume"
    one = plan_pool((1, *shape), 1, space=space)
    assert one.note is None
    assert str(one).startswith(f"pool      one {noun} of ")
    assert f" with {shape[-1]} channels" in str(one)
    many = plan_pool((*shape, 1), 1, space=space)
    assert many.note is None
    assert str(many).startswith(f"pool      {shape[0]:,} {noun}s of ")
    assert words.startswith(f"images {shape} are taken for {shape[0]} {noun}s")


def test_just_these_signals_and_volumes():
    """Up to four numbers are no signal; three or four are channels of a volume, as of an image."""

    def warns(shape, space):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plan_convolve(shape, (1,) * space, space=space)
            plan_pool(shape, 1, space=space)
        return len(caught) == 2

    for m, w in product((1, 15, 16, 500), (1, 2, 3, 4, 5, 16)):
        assert warns((m, w), 1) == (m >= 16 and w <= 4), (m, w)
    for shape in product((15, 16), (15, 16, 40), (15, 16), (1, 2, 3, 4, 5, 16)):
        assert warns(shape, 3) == (min(shape[:3]) >= 16 and shape[3] in (3, 4)), shape


@pytest.mark.filterwarnings("error")
def test_shapes_that_mean_something_else_elsewhere():
    """What is warned of as images is right as a volume, and a kernel with channels says enough."""
    assert plan_pool((48, 64, 3), 1, space=3).note is None
    assert plan_convolve((48, 64, 3), (3, 3), space=1).note is None  # (m, w, c) and (kw, c)
    assert plan_convolve((1000, 2), (9, 2), space=1).note is None
    assert plan_convolve((1000, 2), (9, 2, 8), space=1).note is None
    assert plan_convolve((25, 48, 64, 3), (3, 3, 3, 3), space=3).note is None


# ---------------------------------------------------------------------- the command


@pytest.fixture
def scans(tmp_path):
    """A file with an array that looks like a photograph."""
    path = tmp_path / "scans.npy"
    np.save(path, PHOTOGRAPH)
    return path


def test_the_command_says_it_too(scans, capsys):
    """The result is written, and the sentence is on standard error, after the file's name."""
    target = scans.with_name("out.npy")
    assert run(["pool", "2", str(scans), "-o", str(target)]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"convlens: {scans}: pool: images (48, 64, 3) are taken for 48 images")
    with pytest.warns(ChannelsWarning):
        expected = pool(PHOTOGRAPH, 2)
    np.testing.assert_array_equal(np.load(target), expected)


def test_explain_says_it_in_the_plan(scans, capsys):
    """Once, in the note, in words and in JSON."""
    assert run(["explain", "pool", "2", str(scans)]) == 0
    told = capsys.readouterr()
    assert "note      images (48, 64, 3) are taken for 48 images" in told.out
    assert told.err == ""
    assert run(["explain", "apply", "box", "48x64x3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["note"].startswith("images (48, 64, 3) are taken")


@pytest.mark.filterwarnings("error")
def test_the_explorer_takes_it_for_a_picture():
    """`explore` shows one picture in colour, as its own documentation says."""
    assert "given-0" in convlens.explore(PHOTOGRAPH).html
