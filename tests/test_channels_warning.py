"""One photograph (h, w, 3) that is taken for h images is warned of, and nothing else is."""

import json
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
