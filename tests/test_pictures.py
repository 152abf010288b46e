"""Pictures go in and out without loss, and what cannot be kept is refused."""

import io
import re
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from convlens import convolve, filters, pictures
from convlens.cli import run

KINDS = {  # the shape behind (h, w), the bits, and whether the last channel is alpha
    "gray8": ((), np.uint8, False),
    "gray16": ((), np.uint16, False),
    "gray8-alpha": ((2,), np.uint8, True),
    "gray16-alpha": ((2,), np.uint16, True),
    "colour8": ((3,), np.uint8, False),
    "colour16": ((3,), np.uint16, False),
    "colour8-alpha": ((4,), np.uint8, True),
    "colour16-alpha": ((4,), np.uint16, True),
}
HOLDS = {
    ".png": set(KINDS) - {"gray16-alpha"},  # no other library here writes those: see below
    ".tif": set(KINDS),
    ".webp": {"colour8", "colour8-alpha"},  # it has no gray; and JPEG loses something of each
}


def numbers(kind, shape=(23, 31)):
    """Random pixels of a kind."""
    channels, dtype, _ = KINDS[kind]
    return np.random.default_rng(7).integers(
        0, np.iinfo(dtype).max, (*shape, *channels), dtype, True
    )


def pixels(path):
    """The samples (h, w, samples) of a file of one page, read in strips of uneven heights."""
    (page,) = pictures.pages(path)
    h, rows = page.shape[0], page.rows()
    return np.concatenate([rows(y, min(y + 7, h)) for y in range(0, h, 7)])


def opened(path):
    """A picture as Pillow reads it, completely."""
    with Image.open(path) as image:
        image.load()
        return image


def write(path, values):
    """Write a file with another library: OpenCV where it can, since it keeps 16 bits."""
    bands = values.shape[2] if values.ndim == 3 else 1
    if path.suffix == ".tif":
        extra = {"extrasamples": ["unassalpha"]} if bands in (2, 4) else {}
        photometric = "rgb" if bands > 2 else "minisblack"
        tifffile.imwrite(path, values, photometric=photometric, planarconfig="contig", **extra)
    elif path.suffix == ".webp":
        Image.fromarray(values).save(path, lossless=True, exact=True)
    elif bands == 2 and values.dtype == np.uint8:
        Image.fromarray(values).save(path)
    else:
        order = {1: slice(None), 3: [2, 1, 0], 4: [2, 1, 0, 3]}[bands]
        assert cv2.imwrite(str(path), values if bands == 1 else values[..., order])


def read(path):
    """Read a file with another library, as (h, w) or (h, w, bands)."""
    if path.suffix == ".tif":
        return tifffile.imread(path)
    if path.suffix == ".webp" or opened(path).mode in ("LA", "L"):
        return np.asarray(opened(path))
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    bands = values.shape[2] if values.ndim == 3 else 1
    return values if bands == 1 else values[..., {3: [2, 1, 0], 4: [2, 1, 0, 3]}[bands]]


CASES = [(suffix, kind) for suffix, kinds in HOLDS.items() for kind in sorted(kinds)]


@pytest.mark.parametrize(("suffix", "kind"), CASES)
def test_read(tmp_path, suffix, kind):
    """Every bit that another library has written is read."""
    values, path = numbers(kind), tmp_path / f"x{suffix}"
    write(path, values)
    (page,) = pictures.pages(path)
    channels, dtype, alpha = KINDS[kind]
    colours = (channels or (1,))[0] - alpha
    assert page.spec == ((1, 23, 31, 3) if colours == 3 else (1, 23, 31), dtype)
    assert page.alpha == alpha
    np.testing.assert_array_equal(pixels(path), values.reshape(23, 31, -1))


@pytest.mark.parametrize(("suffix", "kind"), CASES)
def test_the_identity_keeps_every_bit(tmp_path, suffix, kind):
    """The identity filter, through the command, changes no bit of a picture."""
    values, path, target = numbers(kind), tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    write(path, values)
    assert run(["apply", "identity", str(path), "-o", str(target)]) == 0
    np.testing.assert_array_equal(read(target), values)


def test_gray_with_alpha_of_16_bits(tmp_path):
    """Gray of 16 bits with alpha survives the way through TIFF and PNG."""
    values = numbers("gray16-alpha")
    write(tmp_path / "x.tif", values)
    for source, target in (("x.tif", "y.png"), ("y.png", "z.tif")):
        command = ["apply", "identity", str(tmp_path / source), "-o", str(tmp_path / target)]
        assert run(command) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "z.tif"), values)


@pytest.mark.parametrize("quality", [60, 95])
def test_jpeg(tmp_path, quality):
    """A JPEG is decoded as other libraries do, and written with little loss."""
    smooth = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
    photograph = np.dstack([smooth, 200 - smooth, smooth // 2])
    Image.fromarray(photograph).save(tmp_path / "x.jpg", quality=quality)
    decoded = np.asarray(opened(tmp_path / "x.jpg")).astype(int)
    assert abs(pixels(tmp_path / "x.jpg") - decoded).max() <= 3
    assert run(["apply", "identity", str(tmp_path / "x.jpg"), "-o", str(tmp_path / "y.jpg")]) == 0
    assert abs(np.asarray(opened(tmp_path / "y.jpg")) - decoded).mean() < 1


def test_few_colours(tmp_path):
    """Pictures with palettes, transparent or not, or of 1 bit become the colours they show."""
    colours = Image.fromarray(numbers("colour8")).quantize(8)
    transparent = Image.fromarray(numbers("colour8-alpha")).quantize(8)
    black = Image.fromarray(numbers("gray8")).convert("1")
    for image, mode in ((colours, "RGB"), (transparent, "RGBA"), (black, "L")):
        image.save(tmp_path / "x.png")
        shown = np.asarray(image.convert(mode))
        np.testing.assert_array_equal(pixels(tmp_path / "x.png"), shown.reshape(23, 31, -1))


# --------------------------------------------------------------------- beside the pixels


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path, suffix, orientation):
    """A picture is turned as its EXIF says, and the result is not turned a second time."""
    values = np.kron(np.arange(1, 7).reshape(2, 3, 1) * 40, np.ones((16, 16, 3))).astype(np.uint8)
    image = Image.fromarray(values)
    exif = Image.Exif()
    exif[0x112] = orientation
    lossless = {"lossless": True} if suffix == ".webp" else {}
    image.save(tmp_path / f"x{suffix}", exif=exif, **lossless)
    upright = np.asarray(ImageOps.exif_transpose(opened(tmp_path / f"x{suffix}"))).astype(int)
    assert abs(pixels(tmp_path / f"x{suffix}") - upright).max() <= 3
    target = tmp_path / f"y{suffix}"
    assert run(["apply", "identity", str(tmp_path / f"x{suffix}"), "-o", str(target)]) == 0
    made = ImageOps.exif_transpose(opened(target))
    assert abs(np.asarray(made) - upright).max() <= 4


def test_profile_and_description(tmp_path):
    """Colour profile and EXIF are kept, except a profile of colours in a gray result."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x10F], exif[0x112] = "A camera", 6
    source = tmp_path / "x.jpg"
    Image.fromarray(numbers("colour8")).save(source, icc_profile=profile, exif=exif)
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        target = tmp_path / f"y{suffix}"
        assert run(["apply", "box", str(source), "-o", str(target)]) == 0
        made = opened(target)
        assert made.info["icc_profile"] == profile
        if suffix != ".tif":  # libvips writes no EXIF there
            assert made.getexif()[0x10F] == "A camera"
        assert made.getexif().get(0x112, 1) == 1
    np.save(tmp_path / "k.npy", np.ones((3, 3, 3)) / 27)
    command = ["apply", str(tmp_path / "k.npy"), str(source), "-o", str(tmp_path / "z.png")]
    assert run(command) == 0
    made = opened(tmp_path / "z.png")
    assert made.mode == "L"
    assert "icc_profile" not in made.info


WINDOWS = [
    (["box:3"], (0, 1, 0)),  # the first middle, the step, and the pixels lost at the end
    (["box:4"], (0, 1, 0)),
    (["box:5", "--padding", "valid"], (2, 1, 2)),
    (["box:3", "--stride", "2", "--padding", "1"], (0, 2, 0)),
]


@pytest.mark.parametrize(("words", "middles"), WINDOWS)
def test_alpha_is_kept_aside(tmp_path, words, middles):
    """With --alpha keep, opacity is that of the pixel in the middle of the window."""
    first, step, lost = middles
    values = numbers("colour8-alpha")
    Image.fromarray(values).save(tmp_path / "x.png")
    target = tmp_path / "y.png"
    assert (
        run(["apply", *words, str(tmp_path / "x.png"), "-o", str(target), "--alpha", "keep"]) == 0
    )
    made = np.asarray(opened(target))
    kept = values[first : 23 - lost : step, first : 31 - lost : step, 3]
    np.testing.assert_array_equal(made[..., 3], kept)
    Image.fromarray(values[..., :3].copy()).save(tmp_path / "opaque.png")
    opaque = tmp_path / "z.png"
    assert run(["apply", *words, str(tmp_path / "opaque.png"), "-o", str(opaque)]) == 0
    np.testing.assert_array_equal(made[..., :3], np.asarray(opened(opaque)))


# ------------------------------------------------------------------- numbers into pixels


@pytest.mark.parametrize("kind", ["gray8", "gray16", "colour8", "colour16"])
@pytest.mark.parametrize("how", pictures.MAPS)
def test_maps(tmp_path, how, kind):
    """Results become pixels by clipping, stretching or without signs, as computed here."""
    values = numbers(kind)
    largest = np.iinfo(values.dtype).max
    source, target = tmp_path / "x.png", tmp_path / "y.png"
    write(source, values)
    words = ["apply", "sobel_x", str(source), "-o", str(target), "--map", how]
    assert run([*words, "--pad-mode", "reflect"]) == 0
    exact = convolve(values[np.newaxis], filters.sobel_x(), pad_mode="reflect")[0]
    if how == "absolute":
        exact = abs(exact)
    if how == "stretch":
        exact = (exact - exact.min()) / (exact.max() - exact.min()) * largest
    made = read(target)
    assert made.dtype == values.dtype
    assert abs(made - exact.clip(0, largest)).max() <= 0.5 + 1e-9
    if how == "stretch":
        assert (made.min(), made.max()) == (0, largest)


def test_flat_results_are_black():
    """A flat result, which has no range to stretch, becomes black."""
    made = pictures.to_pixels(np.full((2, 2), 7.5), np.dtype(np.uint8), "stretch")
    assert not made.any()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([1, np.nan]), "NaN or inf"),
        (np.array([1, -np.inf]), "NaN or inf"),
        (np.array([1j]), "complex results make no picture"),
    ],
)
def test_what_makes_no_pixels(values, words):
    """NaN, inf and complex numbers are refused."""
    with pytest.raises(ValueError, match=words):
        pictures.to_pixels(values, np.dtype(np.uint8), "clip")


def test_channels(tmp_path, capsys):
    """Kernels of channels make pictures of one or three channels; other counts are refused."""
    colour, gray, target = (str(tmp_path / name) for name in ("c.png", "g.png", "y.png"))
    Image.fromarray(numbers("colour8")).save(colour)
    Image.fromarray(numbers("gray8")).save(gray)
    kernels = str(tmp_path / "k.npy")
    for shape, source, mode in (
        ((3, 3, 3), colour, "L"),
        ((3, 3, 3, 1), colour, "L"),
        ((3, 3, 3, 3), colour, "RGB"),
        ((3, 3, 1, 3), gray, "RGB"),
        ((3, 3, 1), gray, "L"),
    ):
        np.save(kernels, np.full(shape, 0.03))
        assert run(["apply", kernels, source, "-o", target, "--force"]) == 0
        assert opened(target).mode == mode
    np.save(kernels, np.ones((3, 3, 3, 2)))
    assert run(["apply", kernels, colour, "-o", target, "--force"]) == 1
    assert "PNG holds 1 or 3 channels, gray or RGB, not 2; write .tif" in capsys.readouterr().err


# ------------------------------------------------------------------------------ refusals


def saved(image, **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


RGB = Image.fromarray(numbers("colour8", (200, 200)))
REFUSED = {
    "no picture": ("x.png", b"text", "not a PNG, JPEG, TIFF, WebP or GIF picture"),
    "empty": ("x.jpg", b"", "not a PNG, JPEG, TIFF, WebP or GIF picture"),
    "BMP": ("x.png", saved(RGB, format="BMP"), "not a PNG, JPEG, TIFF, WebP or GIF picture"),
    "half a PNG": ("x.png", saved(RGB, format="PNG")[:9000], "damaged or cut short"),
    "a third of a large PNG": (
        "x.png",
        saved(RGB.resize((500, 500), Image.Resampling.BICUBIC), format="PNG")[:100_000],
        "damaged or cut short",
    ),
    "half a JPEG": ("x.jpg", saved(RGB, format="JPEG")[:9000], "damaged or cut short"),
    "half a WebP": ("x.webp", saved(RGB, format="WebP")[:9000], "or a damaged one"),
    "half a TIFF": ("x.tif", saved(RGB, format="TIFF")[:9000], "damaged"),
    "CMYK": (
        "x.jpg",
        saved(RGB.convert("CMYK"), format="JPEG"),
        "cmyk .* convert it to gray or RGB",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    """What cannot be read as one whole picture is refused with the reason."""
    name, content, words = REFUSED[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        pixels(tmp_path / name)


def test_one_sentence(tmp_path):
    """Each damaged picture gives one sentence, and libvips prints none of its own."""
    sources = []
    for name, content, _ in REFUSED.values():
        sources.append(tmp_path / f"{len(sources)}-{name}")
        sources[-1].write_bytes(content)
    command = [sys.executable, "-m", "convlens", "apply", "box", *sources, "-o", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [
        ["convlens", str(source)] for source in sources
    ]


@pytest.mark.parametrize(
    ("kind", "suffix", "words"),
    [
        ("gray16", ".jpg", "JPEG cannot hold 16 bits; write .png or .tif"),
        ("colour16", ".webp", "WebP cannot hold 16 bits"),
        ("colour8-alpha", ".jpeg", "JPEG cannot hold transparency"),
    ],
)
def test_formats_that_would_lose_something(tmp_path, capsys, kind, suffix, words):
    """A format that cannot hold the picture is refused, and nothing is written."""
    write(tmp_path / "x.png", numbers(kind))
    target = tmp_path / f"y{suffix}"
    assert run(["apply", "box", str(tmp_path / "x.png"), "-o", str(target)]) == 1
    assert words in capsys.readouterr().err
    assert not target.exists()


def test_too_large_for_the_format(tmp_path, capsys):
    """A picture beyond WebP's 16,383 pixels is refused."""
    Image.fromarray(np.zeros((2, 17_000), np.uint8)).save(tmp_path / "x.png")
    target = tmp_path / "y.webp"
    assert run(["apply", "box", str(tmp_path / "x.png"), "-o", str(target)]) == 1
    assert "the picture cannot be written as WebP" in capsys.readouterr().err
    assert not target.exists()


# ------------------------------------------------------------------- what pictures carry


def run_on(source, target, *words):
    """Blur a file into another, in its folder."""
    return run(["apply", "box:3", str(source), "-o", str(target), *words])


def test_texts_and_resolution_of_png(tmp_path, capsys):
    """Texts of a PNG are lost or garbled, or a resolution is invented or lost."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "A walk")
    texts.add_itxt("Comment", "über grüne Hügel")
    texts.add_text("Long", "word " * 1000, zip=True)
    image = Image.fromarray(numbers("colour8"))
    image.save(tmp_path / "x.png", pnginfo=texts, dpi=(300, 300))
    assert run_on(tmp_path / "x.png", tmp_path / "y.png") == 0
    made = opened(tmp_path / "y.png")
    assert made.text == {"Title": "A walk", "Comment": "über grüne Hügel", "Long": "word " * 1000}
    assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert "exif" not in made.info
    assert capsys.readouterr().err == ""
    assert run_on(tmp_path / "x.png", tmp_path / "y.jpg") == 0
    assert opened(tmp_path / "y.jpg").info["dpi"] == (300, 300)
    assert capsys.readouterr().err.endswith("y.jpg: leaves out 3 texts of x.png\n")
    words = ["pool", "3", str(tmp_path / "x.png"), "-o", str(tmp_path / "z.png"), "--mode", "avg"]
    assert run(words) == 0
    assert opened(tmp_path / "z.png").info["dpi"] == pytest.approx((100, 100), abs=0.1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_no_resolution_is_invented(tmp_path, suffix):
    """A picture without a resolution gets one."""
    Image.fromarray(numbers("colour8")).save(tmp_path / "x.png")
    assert run_on(tmp_path / "x.png", tmp_path / f"y{suffix}") == 0
    made = opened(tmp_path / f"y{suffix}")
    assert made.info.get("jfif_unit", 0) == 0
    assert "dpi" not in made.info or made.info["dpi"] == (1, 1)  # Pillow's word for no unit
    assert "exif" not in made.info
    assert not made.getexif().get(0x11A) or suffix == ".tif"


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("source", [".png", ".jpg", ".webp"])
def test_no_resolution_is_invented_in_exif(tmp_path, source, suffix, order):
    """EXIF that tells of no resolution does so afterwards, or loses something else."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010E], exif.get_ifd(0x8825)[1] = "a walk", "N"
    Image.fromarray(numbers("colour8")).save(tmp_path / f"x{source}", exif=exif)
    assert run_on(tmp_path / f"x{source}", tmp_path / f"y{suffix}") == 0
    kept = opened(tmp_path / f"y{suffix}").getexif()
    assert kept[0x010E] == "a walk"
    assert kept.get_ifd(0x8825)[1] == "N"
    assert not {0x11A, 0x11B, 0x128} & set(kept)


@pytest.mark.parametrize("suffix", [".jpg", ".gif"])
def test_comments(tmp_path, capsys, suffix):
    """A comment, which libvips does not read, is lost without a word."""
    Image.fromarray(numbers("gray8")).save(tmp_path / f"x{suffix}", comment=b"a walk")
    assert run_on(tmp_path / f"x{suffix}", tmp_path / "y.png") == 0
    assert capsys.readouterr().err.endswith(f"leaves out the comment of x{suffix}\n")


def test_what_formats_do_not_take(tmp_path, capsys):
    """What a format cannot carry is lost without a word."""
    exif = Image.Exif()
    exif[0x10F] = "A camera"
    Image.fromarray(numbers("colour8")).save(tmp_path / "x.jpg", exif=exif)
    kinds = {".png": "", ".webp": "", ".jpg": "", ".tif": "EXIF", ".gif": "EXIF"}
    for suffix, words in kinds.items():
        assert run_on(tmp_path / "x.jpg", tmp_path / f"y{suffix}") == 0
        err = capsys.readouterr().err
        assert err.endswith(f"leaves out {words} of x.jpg\n" if words else "")
        assert bool(err) == bool(words)


# ------------------------------------------------------------------------------ animations

FRAMES = [np.full((20, 30, 3), shade, np.uint8) for shade in (10, 100, 200)]


@pytest.fixture(params=[".gif", ".webp", ".png", ".jpg"])
def moving(request, tmp_path):
    """A file of three frames, or of three pictures in a JPEG."""
    first, *others = (Image.fromarray(frame) for frame in FRAMES)
    path = tmp_path / f"x{request.param}"
    options = {} if request.param == ".jpg" else {"duration": [70, 80, 90], "loop": 3}
    options |= {"lossless": True} if request.param == ".webp" else {}
    kind = {"format": "MPO"} if request.param == ".jpg" else {}
    first.save(path, save_all=True, append_images=others, **options, **kind)
    return path


def test_animations_are_not_cut(moving, capsys):
    """An animation, or an MPO, becomes its first frame without a word."""
    target = moving.with_name(f"y{moving.suffix}")
    assert run_on(moving, target) == 1
    assert "holds 3 pictures: give --page N for one of them" in capsys.readouterr().err
    assert run(["explain", "apply", "box", str(moving)]) == 2
    words = f"convlens: {moving}: the file holds 3 pictures: give --page N for one of them"
    assert capsys.readouterr().err.startswith(words)
    assert run(["explain", "apply", "box", str(moving), "--page", "all"]) == 0
    assert capsys.readouterr().out.endswith("\npages     3, each by itself\n")
    for page, shade in ((1, 10), (2, 100), (3, 200)):
        assert run_on(moving, target.with_suffix(".png"), "--page", str(page), "--force") == 0
        made = np.asarray(opened(target.with_suffix(".png")).convert("RGB")).astype(int)
        assert abs(made - shade).max() <= 2
    assert run_on(moving, target, "--page", "4", "--force") == 1
    assert "there is no page 4: the file holds 3" in capsys.readouterr().err


def test_damaged_frames(moving, capsys):
    """A file whose later frames are cut off gives no sentence."""
    moving.write_bytes(moving.read_bytes()[:-200])
    target = moving.with_name("y.tif")
    assert run_on(moving, target, "--page", "all") == 1
    err = capsys.readouterr().err
    assert (err.count("\n"), target.exists()) == (1, False)
    assert re.search("damaged|holds 3 pictures|fewer pictures", err)


def test_a_false_number_of_frames(tmp_path, capsys):
    """A damaged number of frames takes the memory and time of so many."""
    first, *others = (Image.fromarray(frame) for frame in FRAMES)
    data = saved(first, format="PNG", save_all=True, append_images=others)
    place = data.index(b"acTL") + 4
    (tmp_path / "x.png").write_bytes(data[:place] + b"\x7f\xff\xff\xff" + data[place + 4 :])
    assert run_on(tmp_path / "x.png", tmp_path / "y.png", "--page", "all") == 1
    assert "damaged: it tells of 2,147,483,647 pictures" in capsys.readouterr().err


def test_all_frames(moving, capsys):
    """Frames are lost, or shown for other times; or a format that cannot hold them is taken."""
    target = moving.with_name(f"y{moving.suffix}")
    code = run_on(moving, target, "--page", "all")
    if moving.suffix == ".jpg":
        assert code == 1
        assert "JPEG holds one picture, not 3; write .tif, .gif" in capsys.readouterr().err
        target = target.with_suffix(".tif")
        code = run_on(moving, target, "--page", "all")
    assert code == 0
    with Image.open(target) as made:
        assert made.n_frames == 3
        for number, frame in enumerate(FRAMES):
            made.seek(number)
            made.load()
            assert abs(np.asarray(made.convert("RGB")).astype(int) - frame).max() <= 2
            if moving.suffix != ".jpg":
                assert made.info["duration"] == 70 + 10 * number
        if moving.suffix != ".jpg":
            assert made.info["loop"] == 3


# ---------------------------------------------------------------------------------- memory

PEAK = """
import sys
import zlib
from convlens import cli

code = cli.run(sys.argv[1:])
status = open("/proc/self/status").read().split()
print("peak", int(status[status.index("VmHWM:") + 1]) * 1024)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory as Linux tells it")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_pictures_take_little_memory(tmp_path, suffix):
    """A picture of 12 megapixels, or a TIFF of 144, takes more than 150 MB."""
    source, target = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    if suffix == ".tif":
        strip = zlib.compress(bytes(range(250)) * 48 * 100)
        options = {"rowsperstrip": 100, "compression": "zlib", "photometric": "minisblack"}
        shape = {"shape": (12_000, 12_000), "dtype": np.uint8}
        tifffile.imwrite(source, (strip for _ in range(120)), **shape, **options)
    else:
        shades = (np.add.outer(np.arange(3000), np.arange(4000)) // 30).astype(np.uint8)
        Image.fromarray(np.dstack([shades, 255 - shades, shades // 2])).save(source)
    command = [sys.executable, "-c", PEAK, "apply", "gaussian:sigma=2", source, "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 150_000_000
    assert pictures.pages(target)[0].shape == pictures.pages(source)[0].shape
