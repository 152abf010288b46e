"""The command: what it reads, writes, prints and refuses, and with which exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convlens
from convlens import cli, filters, spelling
from convlens.compiled.library import load

ROOT = Path(__file__).parents[1]
NOISE = np.random.default_rng(8).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, with two pictures, an array, and a file that is no picture."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(NOISE).save("a.png")
    Image.fromarray(NOISE).save("b.tif")
    np.save("x.npy", NOISE[..., 0][np.newaxis].repeat(3, axis=0))
    (tmp_path / "bad.png").write_text("no picture")
    return tmp_path


def names(folder):
    """The paths of everything in a folder, at any depth."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def process(*words, **options):
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "convlens", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# ------------------------------------------------------------------- apply and pool


@pytest.mark.usefixtures("here")
def test_apply_to_an_array(typed):
    """Every option of `apply` means what the library's argument means."""
    kernels = np.random.default_rng(9).standard_normal((3, 2, 1, 4), np.float32)
    images = np.random.default_rng(9).standard_normal((4, 9, 8, 2), np.float32)
    np.save("k.npy", kernels)
    np.save("i.npy", images)
    code, out, err = typed(
        "apply k.npy i.npy -o o.npy --padding 0,1,2,3 --stride 2,1 --dilation 1x2 "
        "--pad-mode wrap --groups 2 --dtype float64"
    )
    assert (code, err) == (0, "")
    assert re.fullmatch(r"o\.npy: \(4, 4, 11, 4\) float64, in \d+\.\d\d s\n", out)
    expected = convlens.convolve(
        *(images, kernels, ((0, 1), (2, 3)), (2, 1)),
        dilation=(1, 2),
        pad_mode="wrap",
        groups=2,
        dtype="f8",
    )
    np.testing.assert_array_equal(np.load("o.npy"), expected)


@pytest.mark.usefixtures("here")
def test_pool_an_array(typed):
    """Every option of `pool` means what the library's argument means."""
    code, _, err = typed(
        "pool 3,2 x.npy -o o.npy --mode avg --stride 2 --padding 1 --dilation 2 "
        "--count-padding --partial"
    )
    assert (code, err) == (0, "")
    options = {"padding": 1, "dilation": 2, "count_padding": True, "partial": True}
    expected = convlens.pool(np.load("x.npy"), (3, 2), 2, "avg", **options)
    np.testing.assert_array_equal(np.load("o.npy"), expected)


@pytest.mark.usefixtures("here")
def test_signals(typed):
    """Signals, with kernels of any kind and from any file, differ from the library's."""
    rng = np.random.default_rng(9)
    signals = rng.standard_normal((4, 50, 2), np.float32)
    np.save("i.npy", signals)
    Path("row.txt").write_text("1 2 3\n")
    Path("column.csv").write_text("1\n2\n3\n")
    np.save("k.npy", kernels := rng.standard_normal((5, 2, 3), np.float32))
    for name, kernel in (("row.txt", [1, 2, 3]), ("column.csv", [1, 2, 3]), ("k.npy", kernels)):
        options = "--space 1 --padding 1,4 --stride 2 --dilation 3 --pad-value 0.5 --force"
        assert typed(f"apply {name} i.npy -o o.npy {options}")[::2] == (0, "")
        expected = convlens.convolve(
            *(signals, np.asarray(kernel), ((1, 4),), 2), dilation=3, pad_value=0.5, space=1
        )
        np.testing.assert_array_equal(np.load("o.npy"), expected)
    assert typed("pool 7 i.npy -o p.npy --space 1 --mode avg --stride 1")[::2] == (0, "")
    np.testing.assert_array_equal(np.load("p.npy"), convlens.pool(signals, 7, 1, "avg", space=1))


@pytest.mark.usefixtures("here")
def test_volumes(typed):
    """Volumes, with a number for each axis and two for its sides, differ from the library's."""
    rng = np.random.default_rng(9)
    volume, kernel = rng.standard_normal((9, 8, 7)), rng.standard_normal((3, 2, 4))
    np.save("v.npy", volume)
    np.save("k.npy", kernel)
    options = "--padding 0,1,2,3,4,5 --stride 2,1,3 --dilation 1x2x1 --pad-mode reflect"
    assert typed(f"apply k.npy v.npy -o o.npy --space 3 {options}")[::2] == (0, "")
    padding, stride, dilation = ((0, 1), (2, 3), (4, 5)), (2, 1, 3), (1, 2, 1)
    expected = convlens.convolve(
        *(volume, kernel, padding, stride), dilation=dilation, pad_mode="reflect", space=3
    )
    np.testing.assert_array_equal(np.load("o.npy"), expected)
    options = "--padding 1,2,0 --pad-mode constant --pad-value 3 --mode sum"
    assert typed(f"pool 2,3,1 v.npy -o p.npy {options} --space 3")[::2] == (0, "")
    border = {"pad_mode": "constant", "pad_value": 3}
    expected = convlens.pool(volume, (2, 3, 1), None, "sum", padding=(1, 2, 0), **border, space=3)
    np.testing.assert_array_equal(np.load("p.npy"), expected)


@pytest.mark.usefixtures("here")
def test_pool_a_picture(typed):
    """The windows of a pooling lie side by side by default."""
    assert typed("pool 2 a.png -o o.png --mode avg")[0] == 0
    expected = np.rint(convlens.pool(NOISE[np.newaxis], 2, mode="avg")[0])
    with Image.open("o.png") as made:
        np.testing.assert_array_equal(made, expected)


def test_several_files_one_of_them_bad(here, typed):
    """Bad files do not stop the others, and are reported at the end."""
    code, out, err = typed("apply box:5 a.png bad.png none.png b.tif x.npy -o new/er")
    assert code == 1
    assert names(here / "new") == ["er", "er/a.png", "er/b.tif", "er/x.npy"]
    assert re.fullmatch(r"new/er: 3 of 5 files, in \d+\.\d\d s\n", out)
    assert err.splitlines() == [
        "convlens: bad.png: not a PNG, JPEG, TIFF, WebP or GIF picture, or a damaged one",
        "convlens: none.png: No such file or directory",
    ]


def test_a_folder(here, typed):
    """A folder stands for the pictures and arrays directly in it; others are ignored."""
    (here / "in" / "deeper").mkdir(parents=True)
    for name in ("c.PNG", "d.webp", ".hidden.png", "notes.txt", "deeper/e.png"):
        if not name.endswith("txt"):
            Image.fromarray(NOISE).save(here / "in" / name)
    (here / "in" / "notes.txt").write_text("a word")
    code, out, _ = typed("apply box in -o out")
    assert code == 0
    assert out.startswith("out: 2 of 2 files")
    assert names(here / "out") == ["c.PNG", "d.webp"]
    (here / "empty").mkdir()
    code, _, err = typed("apply box empty -o out2")
    assert (code, err.split(":")[1]) == (2, " there is no picture and no array in empty")


@pytest.mark.usefixtures("here")
def test_json(typed):
    """--json reports every file that was done, and every one that failed."""
    code, out, err = typed("apply sobel_x a.png bad.png -o out --json")
    told = json.loads(out)
    assert code == 1
    assert [(each["input"], each["output"]) for each in told["done"]] == [("a.png", "out/a.png")]
    assert told["done"][0]["shape"] == [20, 30, 3]
    assert told["done"][0]["dtype"] == "uint8"
    assert told["done"][0]["seconds"] > 0
    assert [each["input"] for each in told["failed"]] == ["bad.png"]
    assert err == f"convlens: bad.png: {told['failed'][0]['error']}\n"
    code, out, _ = typed("pool 2 x.npy -o o.npy --json")
    assert code == 0
    (done,) = json.loads(out)["done"]
    assert (done["output"], done["shape"], done["dtype"]) == ("o.npy", [3, 10, 15], "uint8")


@pytest.mark.skipif(os.name != "posix", reason="terminals as POSIX has them")
@pytest.mark.usefixtures("here")
def test_progress():
    """A terminal shows a bar in bytes, which is erased at the end; a pipe gets nothing."""
    import pty  # noqa: PLC0415
    import termios  # noqa: PLC0415

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    command = [sys.executable, "-m", "convlens", "apply", "box", "a.png", "x.npy", "-o", "out"]
    done = subprocess.run(command, stderr=theirs, stdout=subprocess.PIPE, text=True, check=True)
    os.set_blocking(ours, False)
    shown = os.read(ours, 10**5).decode()
    os.close(theirs)
    os.close(ours)
    size = sum(Path(name).stat().st_size for name in ("a.png", "x.npy"))
    assert f"/{size / 1000:.2f}k" in shown
    assert "x.npy: " in shown
    assert re.search(r"\r +\r$", shown)
    assert done.stdout.startswith("out: 2 of 2 files")
    assert process("apply", "box", "a.png", "-o", "c.png").stderr == ""


# -------------------------------------------------------------- what is never harmed


def test_outputs_that_exist(here, typed):
    """One output that exists refuses the whole command before any work, without --force."""
    (here / "out").mkdir()
    (here / "out" / "b.tif").write_text("precious")
    assert typed("apply box a.png b.tif -o out") == (
        *(2, ""),
        f"convlens: {Path('out/b.tif')} exists; --force overwrites it\n",
    )
    assert names(here / "out") == ["b.tif"]
    assert typed("apply box a.png b.tif -o out --force")[0] == 0
    with Image.open("out/b.tif") as made:
        assert made.size == (30, 20)


@pytest.mark.parametrize(
    "line",
    [
        "apply box a.png -o a.png --force",
        "apply box a.png -o ./sub/../a.png --force",
        "apply box a.png -o symbolic.png --force",
        "apply box a.png -o hard.png --force",
        "apply box a.png b.tif -o . --force",
        "pool 2 x.npy -o x.npy --force",
        "apply k.npy x.npy -o k.npy --force",
    ],
)
def test_inputs_are_never_written_to(here, typed, line):
    """No input, nor the kernels' file, is overwritten, by whatever name it is given."""
    (here / "sub").mkdir()
    np.save("k.npy", np.ones((3, 3)))
    (here / "symbolic.png").symlink_to("a.png")
    (here / "hard.png").hardlink_to("a.png")
    before = {name: (here / name).read_bytes() for name in ("a.png", "b.tif", "x.npy", "k.npy")}
    code, out, err = typed(line)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"convlens: \S+ is read from; write to another file\n", err)
    assert before == {name: (here / name).read_bytes() for name in before}


def test_a_link_is_followed(here, typed):
    """An output that is a link replaces the file that it leads to, not the link."""
    (here / "kept").mkdir()
    (here / "kept" / "o.png").write_text("old")
    (here / "o.png").symlink_to("kept/o.png")
    assert typed("apply box a.png -o o.png --force")[0] == 0
    assert (here / "o.png").is_symlink()
    assert names(here / "kept") == ["o.png"]
    with Image.open("kept/o.png") as made:
        assert made.size == (30, 20)


def test_a_folder_without_permission(here):
    """A folder that cannot be written to is reported in one sentence."""
    if os.name != "posix" or os.geteuid() == 0:
        target = "/proc/o.png"  # where not even root can write
        if not Path("/proc").is_dir():
            pytest.skip("no folder that refuses")
    else:
        (here / "locked").mkdir(mode=0o500)
        target = "locked/o.png"
    done = process("apply", "box", "a.png", "-o", target)
    assert done.returncode == 1
    assert re.fullmatch(r"convlens: a\.png: \S+o\.png: [^\n]+\n", done.stderr)


# ---------------------------------------------------------------------------- refusals

REFUSED = {
    "appli box a.png -o o.png": "No such command 'appli'.",
    "apply box a.png": "Missing option '-o' / '--output'.",
    "apply box": "Missing argument 'INPUT...'.",
    "apply gausian a.png -o o.png": "there is no filter 'gausian': did you mean gaussian?",
    "apply xyz a.png -o o.png": "there is no filter 'xyz': `convlens filters` lists them",
    "apply __all__ a.png -o o.png": "there is no filter '__all__'",
    "apply gaussian:sgima=2 a.png -o o.png": "the filter is gaussian:sigma=1.0,size=auto,dtype",
    "apply gaussian:sigma=1,sigma=2 a.png -o o.png": "sigma=1,sigma=2: sigma is given twice",
    "apply gaussian:sigma=100000 a.png -o o.png": "gaussian: sigma must make a kernel of at most",
    "apply gaussian:sigma=1e999 a.png -o o.png": "gaussian: sigma must be finite; got inf",
    "apply gaussian:dtype=float16 a.png -o o.png": "dtype must be float64 or float32; got 'flo",
    "apply box:100000x100000 a.png -o o.png": "box: size must make a kernel of at most 16,777,216",
    "apply box:99999999999999999999 a.png -o o.png": "box: size must be at most",
    "apply sharpen:amount=99999999999999999999 a.png -o o.png": "sharpen: amount must be between",
    "apply motion_blur:99999 a.png -o o.png": "motion_blur: length must make a kernel of at most",
    "apply huge.txt a.png -o o.png": "huge.txt holds integers of more than 64 bits",
    "apply digits.txt a.png -o o.png": "digits.txt must hold rows of numbers: 9999999999999999999",
    "explain pool 2 99999999999999999999x8x8:uint8": "no array is as large as 9999999999999999999",
    "explain pool 2 9999999999x9999999999x9999999999": "no array is as large as 9999999999x9999",
    "apply gaussian:sigma=-1 a.png -o o.png": "sigma must be greater than 0; got -1",
    "apply gaussian:sigma=big a.png -o o.png": "sigma must be a number; got 'big'",
    "apply sobel_x:3 a.png -o o.png": "sobel_x:3: too many positional arguments",
    "apply none.npy a.png -o o.png": "none.npy: No such file or directory",
    "apply words.txt a.png -o o.png": "words.txt must hold rows of numbers",
    "apply uneven.csv a.png -o o.png": "uneven.csv must hold rows of numbers, all of the same",
    "apply empty.txt a.png -o o.png": "empty.txt must hold rows of numbers",
    "apply fake.npy a.png -o o.png": "fake.npy is no .npy file of numbers",
    "apply box a.png -o o.bmp": "the output's name must end in .png, .jpg,",
    "apply box a.png -o o.npy": "a.png is a picture, and o.npy would not be",
    "apply box x.npy -o o.png": "x.npy is an array (.npy), and o.png would not be",
    "apply box a.png -o none/o.png": "there is no folder none to write o.png in",
    "apply box a.png b.tif -o o.png": "several inputs need a folder to be written to; o.png is",
    "apply box a.png b.tif -o words.txt": "several inputs need a folder to be written to",
    "apply box a.png sub/a.png -o out": "would both be written to",
    "apply box a.png -o o.png --stride 1,2,3": "'--stride': expected a number, or two: down,across",
    "apply box x.npy -o o.npy --space 4": "'--space': 4 is not in the range 1<=x<=3.",
    "apply box x.npy -o o.npy --space 1": "box is a filter for images: give kernels for --space 1",
    "apply sobel_x x.npy -o o.npy --space 3": "give kernels for --space 3 in a .npy file",
    "explain apply box 9x9x9 --space 3": "box is a filter for images: give kernels for --space 3",
    "apply square.txt x.npy -o o.npy --space 1": "for --space 1; got 2 rows of 2",
    "apply square.txt x.npy -o o.npy --space 3": "square.txt holds rows of numbers, not slabs",
    "pool 2 a.png -o o.png --space 3": "a.png is a picture, which has two spatial axes; got --spa",
    "explain pool 2 a.png --space 1": "leave it out, or give signals as .npy arrays",
    "pool 2,2 x.npy -o o.npy --space 1": "'WINDOW': expected a number, as signals have one axis",
    "pool 2,2 x.npy -o o.npy --space 3": "'WINDOW': expected a number, or three: along the depth",
    "pool 2 x.npy -o o.npy --padding 1,2,3 --space 1": "one or two numbers: both sides or before,",
    "pool 2 x.npy -o o.npy --padding 1,2 --space 3": "one, three or six numbers: all, depth,vert",
    "pool 2 x.npy -o o.npy --pad-value much": "'--pad-value': expected a number; got 'much'",
    "apply box a.png -o o.png --padding some": "'--padding': expected same, valid, full, or one",
    "apply box a.png -o o.png --padding 1,2,3": "'--padding': expected same, valid, full, or one",
    "apply box a.png -o o.png --pad-mode zero": "'--pad-mode': 'zero' is not one of 'constant'",
    "apply box a.png -o o.png --map loud": "'--map': 'loud' is not one of 'clip'",
    "apply box a.png -o o.png --dtype float31": "'--dtype': expected a NumPy dtype",
    "pool two a.png -o o.png": "'WINDOW': expected a number, or two: down,across (each",
    "pool 2 a.png -o o.png --mode mean": "'--mode': 'mean' is not one of 'max'",
    "explain apply box 3x28x28:float31": "float31",
    "explain apply box 28": "28: No such file or directory",
    "explain apply box bad.png": "not a PNG, JPEG, TIFF, WebP or GIF picture",
    "explain apply 3x3x4 5x6x6x3": "convolve: kernels expect 4 channels, images have 3",
    "explain pool 0 5x6x6": "'WINDOW': expected a number, or two: down,across (each at least 1)",
    "pool 0 a.png -o o.png": "'WINDOW': expected a number, or two: down,across (each at least 1)",
    "pool 2 a.png -o o.png --stride 0": "'--stride': expected a number, or two",
    "apply box a.png -o o.png --dilation 1,0": "'--dilation': expected a number, or two",
    "apply box a.png -o o.png --groups 0": "'--groups': 0 is not in the range x>=1.",
    "apply box a.png -o o.png --page 0": "'--page': expected a page's number, from 1 on, or all",
    "filters sobel": "there is no filter 'sobel': try sobel_x or sobel_y",
    "apply blur a.png -o o.png": "there is no filter 'blur': try gaussian:sigma=2 or box:5",
    "apply edges a.png -o o.png": "there is no filter 'edges': try sobel_x, sobel_y, laplacian or",
    "apply mean a.png -o o.png": "there is no filter 'mean': try box:3",
    "filters k4.npy": "only finite kernels (kh, kw) can be shown; got (3, 3, 1, 2) float64",
    "explore a.png -o page.png": "the page's name must end in .html; got page.png",
    "explore a.png -o page.html": "page.html exists; --force overwrites it",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(here, typed, line):
    """A wrong command gives one sentence and exit code 2, and writes nothing."""
    (here / "sub").mkdir()
    Image.fromarray(NOISE).save("sub/a.png")
    contents = {"words.txt": "a b\n", "uneven.csv": "1,2\n3\n", "empty.txt": "\n"}
    contents |= {"square.txt": "1 2\n3 4\n", "huge.txt": f"1 {10**20}\n", "digits.txt": "9" * 5000}
    contents |= {"fake.npy": "x", "page.html": "precious"}
    for name, text in contents.items():
        (here / name).write_text(text)
    np.save("k4.npy", np.ones((3, 3, 1, 2)))
    before = names(here)
    code, out, err = typed(line)
    assert (code, out) == (2, "")
    assert re.match(rf"convlens: .*{re.escape(REFUSED[line])}", err)
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert names(here) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("apply box:50 x.npy -o o.npy --padding valid", "x.npy: convolve: the kernel is larger"),
        (
            "apply sobel_x x.npy -o o.npy --dtype int8",
            "dtype=int8 cannot hold every result exactly",
        ),
        ("apply k4.npy a.png -o o.png", "a.png: convolve: kernels expect 1 channel, images have 3"),
    ],
)
def test_files_that_do_not_suit(here, typed, line, words):
    """A file that the library refuses gives the library's sentence and exit code 1."""
    np.save("k4.npy", np.ones((3, 3, 1, 2)))
    before = names(here)
    code, out, err = typed(line)
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert names(here) == before


def test_without_the_extra():
    """Without an optional package, the command says which one it needs."""
    code = "import sys; sys.modules[{!r}] = None; from convlens.__main__ import main; exit(main())"
    for name in ("click", "tqdm", "pyvips"):
        command = [sys.executable, "-c", code.format(name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr == f"convlens: the command needs {name}: pip install 'convlens[cli]'\n"


def test_a_reader_that_goes_away():
    """A closed pipe, as in `convlens filters | head -1`, gives no error message."""
    with subprocess.Popen(
        [sys.executable, "-m", "convlens", "filters", *["gaussian:sigma=20"] * 30],
        **dict.fromkeys(("stdout", "stderr"), subprocess.PIPE),
    ) as shown:
        shown.stdout.readline()
        shown.stdout.close()
        assert shown.stderr.read() == b""


@pytest.mark.usefixtures("here")
def test_a_terminal_of_few_letters():
    """Characters that the terminal's encoding lacks are replaced."""
    done = process("filters", "sobel_x", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "-2  0  2" in done.stdout


# ------------------------------------------------------------------- what is explained


@pytest.mark.usefixtures("here")
def test_explain(typed):
    """`explain` prints the plan that the library makes for the shape or the file."""
    for line, plan in {
        "apply 3x3x3x64 1000x32x32x3:float32 --stride 2": convlens.plan_convolve(
            np.broadcast_to(np.float32(0), (1000, 32, 32, 3)), (3, 3, 3, 64), stride=2
        ),
        "apply sobel_x x.npy": convlens.plan_convolve(np.load("x.npy"), filters.sobel_x()),
        "apply box a.png": convlens.plan_convolve(
            NOISE[np.newaxis], filters.box(), pad_mode="edge"
        ),
        "pool 2 50000x28x28": convlens.plan_pool((50000, 28, 28), 2),
        "pool 2 10000 --space 1": convlens.plan_pool((10000,), 2, space=1),
        "apply 31 9x10000 --space 1": convlens.plan_convolve((9, 10000), (31,), space=1),
        "apply 3x3x3 90x80x70 --space 3": convlens.plan_convolve((90, 80, 70), (3, 3, 3), space=3),
        "pool 2 b.tif --mode avg": convlens.plan_pool(NOISE[np.newaxis], 2, mode="avg"),
    }.items():
        assert typed(f"explain {line}") == (0, f"{plan}\n", "")


def test_explain_tells_of_long_calls(typed):
    """A call of hours looks like one of a moment, or one of a moment is said to be long."""
    shown = typed("explain apply 9x9x512x512 100x500x500x512:float32")[1]
    assert re.search(r"\ntime      long: about \d+ hours on two cores, at a guess\n$", shown)
    assert "time " not in typed("explain apply 3x3 1000x28x28")[1]
    shown = typed("explain apply 99x99 5000x5000:complex64")[1]
    assert re.search(r"about \d+ (minutes|hours) on two cores", shown)


@pytest.mark.skipif(isinstance(load(), str), reason="without pipelines NumPy takes its own time")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("apply gaussian:sigma=50 80000x80000:float32", "in two passes"),
        ("apply wide.npy 40000x40000:float32", "Fourier transforms"),
        ("pool 31 20000x20000:uint16 --mode median --stride 1", "by a histogram"),
    ],
)
def test_explain_tells_of_long_calls_of_every_kind(typed, tmp_path, monkeypatch, line, words):
    """Passes, transforms or histograms are taken to be as fast as memory."""
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.random.default_rng(0).random((31, 31), np.float32))
    shown = typed(f"explain {line}")[1]
    assert words in shown
    assert re.search(r"\ntime      long: about \d+ (seconds|minutes?) on two cores", shown)
    smaller = line.replace("0000", "00")
    assert "time " not in typed(f"explain {smaller}")[1]


def test_explain_as_json(typed):
    """`explain --json` gives the plan's numbers."""
    code, out, _ = typed("explain apply 3x3 50000x28x28:uint8 --stride 2 --json")
    plan = json.loads(out)
    assert code == 0
    assert plan["input_shape"] == [50000, 28, 28]
    assert plan["output_shape"] == [50000, 14, 14]
    assert (plan["input_dtype"], plan["output_dtype"]) == ("uint8", "float64")
    assert plan["multiply_adds"] == 88_200_000
    assert plan["padding"] == [[0, 1], [0, 1]]
    plan = json.loads(typed("explain pool 2 50000x28x28 --json")[1])
    assert (plan["operation"], plan["output_shape"]) == ("pool", [50000, 14, 14])


def test_filters(typed):
    """`filters` lists every filter in a form that can be typed again, and its numbers."""
    code, out, _ = typed("filters")
    assert code == 0
    for name in filters.__all__:
        typed_so = spelling.described(name)
        assert f"\n{typed_so}\n" in f"\n{out}"
        np.testing.assert_array_equal(spelling.kernel(typed_so), getattr(filters, name)())
    kernels = json.loads(typed("filters --json")[1])
    assert [each["filter"] for each in kernels] == filters.__all__
    for each in kernels:
        np.testing.assert_array_equal(each["kernel"], getattr(filters, each["filter"])())


def test_a_filter_drawn():
    """A filter is drawn with its smallest number darkest and its largest lightest."""
    assert cli.drawn(filters.laplacian()) == [
        "▓▓████▓▓    0  1  0".replace("▓▓████▓▓", "▓▓██▓▓"),
        "██  ██    1 -4  1",
        "▓▓██▓▓    0  1  0",
    ]
    assert cli.drawn(filters.box(2)) == ["████   0.250 0.250"] * 2


# ------------------------------------------------------------------------- the explorer


def test_explore(here, typed):
    """`explore` writes a page with the picture in it, or refuses a file that is none."""
    pytest.importorskip("convlens.explorer")
    code, out, err = typed("explore a.png --filter laplacian -o page.html")
    assert (code, out, err) == (0, "page.html\n", "")
    assert "Your picture" in (here / "page.html").read_text(encoding="utf-8")
    assert typed("explore x.npy -o page.html --force")[0] == 0
    code, _, err = typed("explore bad.png -o page.html --force")
    assert (code, err.split(":")[1]) == (
        2,
        " not a PNG, JPEG, TIFF, WebP or GIF picture, or a damaged one\n",
    )


def test_explore_opens_a_browser(here):
    """Without -o, the browser is called with the address of the page."""
    pytest.importorskip("convlens.explorer")
    browser = here / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > "$(dirname "$0")/address"\n')
    browser.chmod(0o755)
    done = process("explore", "a.png", env=os.environ | {"BROWSER": f"{browser} %s"})
    assert done.returncode == 0
    address = (here / "address").read_text().strip()
    assert address == Path(done.stdout.strip()).as_uri()
    assert Path(done.stdout.strip()).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
