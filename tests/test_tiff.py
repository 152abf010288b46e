"""TIFFs: samples that are not alpha, floats, pages, volumes, and what they carry."""

import numpy as np
import pytest
import tifffile

from convlens import convolve, filters, pool
from convlens.cli import run

RNG = np.random.default_rng(12)
BOX = filters.box(3)
# GeoTIFF's tags: pixels of 30 by 20 metres, the first at (100, 200), and what stands for no data.
PLACES = (
    (33550, "d", 3, (30.0, 20.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 100.0, 200.0, 0.0), True),
    (34735, "H", 4, (1, 1, 0, 0), True),
    (42113, "s", 0, "-9999", True),
)


@pytest.fixture
def apply(tmp_path):
    """Write a TIFF, run a command on it, and return what the command makes."""

    def command(values, *words, target="y.tif", code=0, **options):
        source, made = tmp_path / "x.tif", tmp_path / target
        tifffile.imwrite(source, values, **options)
        assert run([*words[:2], str(source), "-o", str(made), "--force", *words[2:]]) == code
        return made

    return command


def blurred(values):
    """The mean of 3 x 3 pixels, with the nearest pixel repeated, for each of the channels."""
    channels = values.reshape(1, *values.shape[:2], -1)
    return convolve(channels, BOX, pad_mode="edge").reshape(values.shape)


@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (4, {"photometric": "minisblack", "extrasamples": ["unspecified"] * 3}),
        (4, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
        (2, {"photometric": "minisblack", "extrasamples": ["unspecified"]}),
        (7, {"photometric": "minisblack", "extrasamples": ["unspecified"] * 6}),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_samples_that_are_not_alpha(apply, channels, options, dtype):
    """A last channel that is not tagged as alpha is taken for it, and left as it was."""
    values = RNG.integers(0, 256, (40, 50, channels)).astype(dtype)
    made = apply(values, "apply", "box:3", planarconfig="contig", **options)
    exact = blurred(values)
    result = tifffile.imread(made)
    assert result.dtype == dtype
    assert abs(result - exact).max() <= (0.5 if dtype != np.float32 else 1e-4)
    with tifffile.TiffFile(made) as file:
        (page,) = file.pages
        assert page.photometric.name == options["photometric"].upper()
        assert [kind.name for kind in page.extrasamples] == ["UNSPECIFIED"] * (
            channels - (3 if options["photometric"] == "rgb" else 1)
        )


def test_planes(apply):
    """Channels that are stored plane by plane are taken for pictures of their own."""
    values = RNG.integers(0, 256, (4, 40, 50), np.uint8)
    options = {"photometric": "minisblack", "extrasamples": ["unspecified"] * 3}
    made = apply(values, "apply", "box:3", planarconfig="separate", **options)
    exact = blurred(np.moveaxis(values, 0, -1))
    assert abs(tifffile.imread(made) - exact).max() <= 0.5


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", ">f8", "i2", "u4", "i4", "i1"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_numbers(apply, capsys, dtype, channels):
    """Floats and other integers are refused, rounded or cut off, or `explain` refuses them."""
    values = RNG.normal(0, 90, (40, 50, *channels)).clip(-128, 127)
    values = abs(values).astype(dtype) if "u" in dtype else values.astype(dtype)
    if dtype in ("f4", ">f4", "f8", ">f8"):
        values[3, 4] = np.nan
    photometric = "rgb" if channels else "minisblack"
    made = apply(values, "apply", "box:3", photometric=photometric)
    result, exact = tifffile.imread(made), blurred(values.astype(float))
    assert result.dtype == np.dtype(dtype).newbyteorder("=")
    if np.dtype(dtype).kind == "f":
        np.testing.assert_allclose(result, exact, rtol=1e-5, atol=1e-4)
    else:
        assert abs(result - exact).max() <= 0.5
    capsys.readouterr()
    assert run(["explain", "apply", "box:3", str(made)]) == 0
    assert str(np.dtype(dtype).newbyteorder("=")) in capsys.readouterr().out


def test_negative_results_of_floats_are_kept(apply):
    """Floats lose their signs, or are cut off at 1."""
    values = RNG.normal(0, 9, (40, 50)).astype(np.float32)
    made = apply(values, "apply", "sobel_x")
    exact = convolve(values, filters.sobel_x(), pad_mode="edge")
    np.testing.assert_allclose(tifffile.imread(made), exact, rtol=1e-5, atol=1e-4)


def test_formats_that_hold_no_floats(apply, capsys):
    """Floats are written as PNG, or a wrong format is advised."""
    apply(np.ones((4, 5), np.float32), "apply", "box", target="y.png", code=1)
    assert "PNG cannot hold float32; write .tif" in capsys.readouterr().err


# ------------------------------------------------------------------------------- pages

STACK = RNG.integers(0, 65536, (7, 40, 50)).astype(np.uint16)


def test_stacks_are_not_cut(apply, capsys):
    """A stack of which no page was asked for is cut to its first page."""
    apply(STACK, "apply", "box:3", code=1)
    err = capsys.readouterr().err
    assert "holds 7 pictures: give --page N for one of them, or --page all, or --space 3" in err
    apply(STACK, "apply", "box:3", "--page", "8", code=1)
    assert "there is no page 8: the file holds 7" in capsys.readouterr().err


def test_one_page_and_all(apply):
    """--page takes another page, or not all."""
    exact = np.rint([blurred(page) for page in STACK])
    made = tifffile.imread(apply(STACK, "apply", "box:3", "--page", "3"))
    np.testing.assert_array_equal(made, exact[2])
    made = tifffile.imread(apply(STACK, "apply", "box:3", "--page", "all"))
    np.testing.assert_array_equal(made, exact)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_stack_as_a_volume(apply, tmp_path, channels):
    """With --space 3 the pages are not one volume."""
    values = RNG.integers(0, 256, (7, 40, 50, *channels), np.uint8)
    options = {"photometric": "rgb" if channels else "minisblack"}
    made = tifffile.imread(apply(values, "pool", "2", "--space", "3", "--mode", "avg", **options))
    exact = pool(values[np.newaxis], 2, mode="avg", space=3)[0]
    np.testing.assert_array_equal(made, np.rint(exact))
    kernel = RNG.random((3, 3, 3)) / 27
    np.save(tmp_path / "k.npy", kernel)
    made = apply(values, "apply", str(tmp_path / "k.npy"), "--space", "3", **options)
    exact = convolve(values[np.newaxis], kernel, pad_mode="edge", space=3)[0]
    assert abs(tifffile.imread(made) - exact).max() <= 0.5


def test_overviews_are_no_pages(tmp_path, capsys):
    """Smaller copies in the file count as pages, or are lost without a word."""
    source, target = tmp_path / "x.tif", tmp_path / "y.tif"
    with tifffile.TiffWriter(source) as file:
        file.write(STACK[0])
        file.write(STACK[0, ::2, ::2], subfiletype=1)
    assert run(["apply", "box:3", str(source), "-o", str(target)]) == 0
    assert f"{target}: leaves out overviews and masks of x.tif" in capsys.readouterr().err
    np.testing.assert_array_equal(tifffile.imread(target), np.rint(blurred(STACK[0])))


# ---------------------------------------------------------------------------- metadata


def tags_of(path):
    """The tags of the first page."""
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags}


@pytest.mark.parametrize("byteorder", "<>")
def test_places_on_earth(apply, capsys, byteorder):
    """GeoTIFF's tags are lost, or no longer say where pixels lie."""
    values = RNG.random((40, 50), np.float32)
    options = {"metadata": None, "extratags": PLACES, "byteorder": byteorder}
    tags = tags_of(apply(values, "apply", "box:3", **options))
    assert {code: tags[code] for code, *_ in PLACES} == {code: v for code, _, _, v, _ in PLACES}
    # The first window, of 4 x 4, becomes a pixel 4 times as wide, with the same corner.
    tags = tags_of(apply(values, "pool", "4", "--mode", "avg", **options))
    assert tags[33550] == (120, 80, 0)
    assert tags[33922] == (0, 0, 0, 100, 200, 0)
    # With "valid", the first pixel is what was the second in each direction.
    tags = tags_of(apply(values, "apply", "box:3", "--padding", "valid", **options))
    assert tags[33550] == (30, 20, 0)
    assert tags[33922] == (-1, -1, 0, 100, 200, 0)
    assert capsys.readouterr().err == ""
    apply(values.astype(np.uint8), "apply", "box:3", target="y.png", **options)
    assert capsys.readouterr().err.endswith("y.png: leaves out GeoTIFF's tags of x.tif\n")


def test_resolution(apply):
    """A resolution is lost or invented, or does not follow the stride."""
    values = STACK[0]
    made = apply(values, "apply", "box", resolution=(300, 150), resolutionunit="INCH")
    tags = tags_of(made)
    across, down = (tags[code][0] / tags[code][1] for code in (282, 283))
    assert tags[296].name == "CENTIMETER"
    assert (round(across * 2.54, 3), round(down * 2.54, 3)) == (300, 150)
    tags = tags_of(
        apply(values, "pool", "2,3", "--mode", "avg", resolution=(300, 150), resolutionunit=3)
    )
    assert [tags[code][0] / tags[code][1] for code in (282, 283)] == [100, 75]
    assert tags_of(apply(values, "apply", "box", metadata=None))[296].name == "NONE"
    options = {"resolution": (4, 6), "resolutionunit": 1}
    tags = tags_of(apply(values, "pool", "2,3", "--mode", "avg", **options))
    assert [tags[code][0] / tags[code][1] for code in (282, 283)] == [4 / 3, 3]
    assert tags[296].name == "NONE"


def test_descriptions(apply, tmp_path, capsys):
    """ImageJ's and OME's descriptions are lost though true, or kept though false."""
    spaced = {"spacing": 3.1, "unit": "um", "axes": "ZYX"}
    options = {"imagej": True, "metadata": spaced, "resolution": (2.5, 2.5)}
    with tifffile.TiffFile(apply(STACK, "apply", "box", "--page", "all", **options)) as file:
        assert file.imagej_metadata["spacing"] == 3.1
        assert file.imagej_metadata["images"] == 7
        resolution = [file.pages[0].tags[code].value for code in (282, 283, 296)]
        assert resolution == [(5, 2), (5, 2), 1]  # pixels in a micrometre
    assert capsys.readouterr().err == ""
    with tifffile.TiffFile(apply(STACK, "apply", "box", "--page", "2", **options)) as file:
        assert not file.is_imagej
    assert "leaves out the description of all pages of x.tif" in capsys.readouterr().err
    apply(STACK, "apply", "box", "--page", "1", **options)
    assert "leaves out the description, which is no longer true, of" in capsys.readouterr().err
    made = apply(STACK[0], "pool", "2", "--mode", "avg", description="Of a cell", metadata=None)
    assert tags_of(made)[270] == "Of a cell"
    source, target = tmp_path / "x.ome.tif", tmp_path / "y.ome.tif"
    tifffile.imwrite(source, STACK, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5})
    assert run(["apply", "box", str(source), "-o", str(target), "--page", "all"]) == 0
    with tifffile.TiffFile(target) as file:
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata


def test_many_pages(apply):
    """A stack of many pages takes a descriptor for each, or time that grows with their square."""
    resource = pytest.importorskip("resource")
    values = RNG.integers(0, 256, (400, 16, 16), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        made = tifffile.imread(apply(values, "apply", "box:3", "--page", "all"))
        one = tifffile.imread(apply(values, "apply", "box:3", "--page", "399"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    np.testing.assert_array_equal(made, np.rint([blurred(page) for page in values]))
    np.testing.assert_array_equal(one, made[398])
