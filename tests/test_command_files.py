"""Standard input and output, pipes, folders, names of any bytes, and what `--force` keeps."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image

import convlens
from convlens import filters

NOISE = np.random.default_rng(8).integers(0, 256, (20, 30, 3), np.uint8)
POSIX = pytest.mark.skipif(os.name != "posix", reason="files as POSIX has them")
BLURRED = np.rint(convlens.convolve(NOISE[np.newaxis], filters.box(3), pad_mode="edge")[0])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, with a picture and an array."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(NOISE).save("a.png")
    np.save("x.npy", NOISE[..., 0])
    return tmp_path


def process(*words, **options):
    """Run the command in a process of its own, on bytes."""
    command = [sys.executable, "-m", "convlens", *words]
    return subprocess.run(command, capture_output=True, check=False, **options)


# ------------------------------------------------------------- standard input and output


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_through_pipes(here, suffix):
    """A picture that goes through pipes has other pixels or another format."""
    data = (here / "a.png").read_bytes()
    done = process("apply", "box:3", "-", "-o", "-", "--format", suffix, input=data)
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(io.BytesIO(done.stdout)) as made:
        assert made.format == {"png": "PNG", "tif": "TIFF", "webp": "WEBP"}[suffix]
        np.testing.assert_array_equal(made, BLURRED)


def test_the_format_of_a_stream(here):
    """Without --format, the input's is not taken; or an array does not go through."""
    data = io.BytesIO()
    Image.fromarray(NOISE).save(data, "TIFF")
    done = process("apply", "box", "-", "-o", "-", input=data.getvalue())
    assert done.stdout[:4] in (b"II*\0", b"MM\0*")
    done = process("pool", "2", "-", "-o", "-", input=(here / "x.npy").read_bytes())
    np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)), convlens.pool(NOISE[..., 0], 2))
    done = process("apply", "box:3", "a.png", "-o", "-", cwd=here)
    with Image.open(io.BytesIO(done.stdout)) as made:
        np.testing.assert_array_equal(made, BLURRED)
    done = process(
        "apply", "box:3", "-", "-o", "b.png", input=(here / "a.png").read_bytes(), cwd=here
    )
    assert done.stdout.startswith(b"b.png: (20, 30, 3) uint8")


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("apply huge.npy a.png -o o.png", 2, "Unable to allocate"),
        ("apply box - a.png -o out", 2, "standard input and output, -, take one picture"),
        ("apply box a.png x.npy -o -", 2, "standard input and output, -, take one picture"),
        ("apply box - -o out", 2, "standard input needs a file's name to be written to; got out"),
        ("apply box /dev/zero -o o.png", 1, "/dev/zero: it is a device or a socket, not a file"),
        ("apply box a.png -o /dev/full --force", 2, "/dev/full is a device or a pipe, not a file"),
        ("apply box a.png -o full.png --force", 2, "full.png is a device or a pipe, not a file"),
        ("apply box loop.png -o o.png", 1, "loop.png: Too many levels of symbolic links"),
        ("apply box a.png -o loop.png", 2, "loop.png is a symbolic link that leads back to"),
        ("apply box k.npz -o o.npy", 2, "k.npz holds several arrays"),
        ("apply k.npz a.png -o o.png", 2, "k.npz holds several arrays"),
        (
            "apply box:3 long.npy -o o.npy",
            1,
            "long.npy: the file ends early: 128 bytes of 295,147,905,179,352,825,984",
        ),
        ("apply box:3 a.png -o o.png --padding 99999999999", 1, "pixels, too many for a picture"),
        ("apply box:3 a.png -o o.png --stride 9" + "9" * 20, 1, "stride must be at most"),
        ("apply comma.txt a.png -o o.png", 2, "seems to have decimal commas: write points"),
    ],
)
@POSIX
def test_refused(here, typed, line, code, words):
    """What cannot be read or written is refused at once, in one sentence that says why."""
    (here / "loop.png").symlink_to("loop.png")
    (here / "full.png").symlink_to("/dev/full")
    np.savez(here / "k.npz", np.ones(3))
    (here / "comma.txt").write_text("0,25 0,5 0,25\n")
    with open(here / "huge.npy", "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**45, 3)}
        np.lib.format.write_array_header_1_0(file, header)
    with open(here / "long.npy", "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**62, 2**3)}
        np.lib.format.write_array_header_1_0(file, header)
    before = sorted(os.listdir(here))
    returned, out, err = typed(line)
    assert (returned, out, err.count("\n")) == (code, "", 1)
    assert words in err
    assert sorted(os.listdir(here)) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output(here):
    """A full disk behind standard output is not named, or looks like a wrong command."""
    for words in (("apply", "box", "a.png", "-o", "-"), ("filters",)):
        with open("/dev/full", "wb") as full:
            command = [sys.executable, "-m", "convlens", *words]
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=here
            )
        assert done.returncode == 1
        assert done.stderr.endswith("standard output: No space left on device\n")
        assert done.stderr.count("\n") == 1


def test_files_of_spreadsheets(here, typed):
    """A mark of the byte order, or semicolons, make a file of numbers unreadable."""
    (here / "k.csv").write_bytes(b"\xef\xbb\xbf0.25;0.5;0.25\r\n")
    assert typed("apply k.csv x.npy -o o.npy")[::2] == (0, "")
    expected = convlens.convolve(NOISE[..., 0], np.array([[0.25, 0.5, 0.25]]))
    np.testing.assert_array_equal(np.load("o.npy"), expected)


def test_nan(here, typed):
    """NaN in kernels gives advice that does not help."""
    (here / "k.txt").write_text("1 nan 1\n")
    code, _, err = typed("apply k.txt a.png -o o.png")
    assert (code, err.count("\n")) == (1, 1)
    assert "NaN or inf, which pixels of uint8 cannot be: are they in the kernels?" in err


@POSIX
def test_a_pipe_with_a_name(here):
    """A FIFO is not read, or one that nobody writes to cannot be interrupted."""
    os.mkfifo(here / "pipe.png")
    command = [sys.executable, "-m", "convlens", "apply", "box:3", "pipe.png", "-o", "o.png"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as reading:
        (here / "pipe.png").write_bytes((here / "a.png").read_bytes())
        assert reading.wait(30) == 0
    with Image.open("o.png") as made:
        np.testing.assert_array_equal(made, BLURRED)
    copies = here / "copies"
    copies.mkdir()
    options = {"stderr": subprocess.PIPE, "env": os.environ | {"TMPDIR": str(copies)}}
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with subprocess.Popen([*command, "--force"], **options) as waiting:
            deadline = time.monotonic() + 60
            while not list(copies.glob("*/copy.png")):  # made just before the pipe is opened
                assert time.monotonic() < deadline
                time.sleep(0.05)
            waiting.send_signal(number)
            waiting.communicate(timeout=30)
            assert waiting.returncode == code
            assert not list(copies.iterdir())


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_while_it_encodes(here, number):
    """A signal waits for libvips to encode a picture, or a part of it stays."""
    noise = np.random.default_rng(1).integers(0, 256, (4000, 4000, 3), np.uint8)
    Image.fromarray(noise).save("large.png", compress_level=0)
    command = [sys.executable, "-m", "convlens", "apply", "identity", "large.png", "-o", "o.webp"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as working:
        deadline = time.monotonic() + 60
        size = noise.nbytes
        while time.monotonic() < deadline:
            scratch = [path.stat().st_size for path in here.glob(".convlens-*")]
            if max(scratch, default=0) >= size:  # all pixels are there, and libvips encodes them
                break
            time.sleep(0.01)
        time.sleep(0.3)
        began = time.monotonic()
        working.send_signal(number)
        working.communicate(timeout=60)
        assert time.monotonic() - began < 5
    assert working.returncode in (130, 143)
    assert sorted(os.listdir(here)) == ["a.png", "large.png", "x.npy"]


def test_arrays_stored_column_by_column(here, typed):
    """An array in Fortran order is refused, or gives other bits than in C order."""
    values = np.random.default_rng(2).random((4, 30, 20, 3), np.float32)
    np.save(here / "c.npy", values)
    np.save(here / "f.npy", np.asfortranarray(values))
    assert typed("apply gaussian:sigma=1 c.npy -o c2.npy")[0] == 0
    assert typed("apply gaussian:sigma=1 f.npy -o f2.npy")[0] == 0
    assert (here / "c2.npy").read_bytes() == (here / "f2.npy").read_bytes()
    assert typed("explain pool 2 f.npy") == typed("explain pool 2 c.npy")


# ---------------------------------------------------------------------------- --force


@POSIX
def test_permissions_are_kept(here, typed):
    """A file that is replaced gets other permissions, or a new one others than the umask's."""
    (here / "o.png").write_text("old")
    (here / "o.npy").write_text("old")
    for mode in (0o600, 0o640, 0o664):
        for source, target in (("a.png", "o.png"), ("x.npy", "o.npy")):
            (here / target).chmod(mode)
            assert typed(f"apply box {source} -o {target} --force")[0] == 0
            assert stat.S_IMODE((here / target).stat().st_mode) == mode
    before = os.umask(0o027)
    try:
        assert typed("apply box a.png -o new.png")[0] == 0
        assert typed("apply box x.npy -o new.npy")[0] == 0
    finally:
        os.umask(before)
    assert {stat.S_IMODE((here / f"new.{kind}").stat().st_mode) for kind in ("png", "npy")} == {
        0o640
    }


@POSIX
def test_owners_are_kept(here, typed):
    """Root replaces a user's file by one of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    (here / "o.png").write_text("old")
    os.chown(here / "o.png", 1234, 2345)
    assert typed("apply box a.png -o o.png --force")[0] == 0
    status = (here / "o.png").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


@POSIX
def test_what_may_not_be_written_is_not_replaced(typed, monkeypatch):
    """A read-only file is replaced, as its folder may be written to."""
    with TemporaryDirectory() as folder:  # which other users may enter, unlike tmp_path
        monkeypatch.chdir(folder)
        Path(folder).chmod(0o777)
        Image.fromarray(NOISE).save("a.png")
        Path("o.png").write_text("precious")
        Path("o.png").chmod(0o444)
        root = os.geteuid() == 0
        if root:
            os.seteuid(1234)
        try:
            code, _, err = typed("apply box a.png -o o.png --force")
        finally:
            if root:
                os.seteuid(0)
        assert (code, err) == (2, "convlens: o.png may not be written to: it is read-only\n")
        assert Path("o.png").read_text() == "precious"
        monkeypatch.undo()


# -------------------------------------------------------------------- folders and names


def test_folders(here, typed):
    """What a folder's work leaves out is not said, or subfolders are never taken."""
    for name in ("b.png", "deep/c.png", "deep/deeper/d.png"):
        path = here / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(NOISE).save(path)
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    frames[0].save(here / "in" / "moves.gif", save_all=True, append_images=frames[1:])
    (here / "in" / "IMG_1.HEIC").write_text("a photo")
    (here / "in" / "notes.txt").write_text("a word")
    code, out, err = typed("apply box:3 in -o out")
    assert code == 1
    assert out.startswith("out: 1 of 2 files")
    assert err.splitlines() == [
        "convlens: in: skipped IMG_1.HEIC, notes.txt, 1 subfolder (--recursive takes them)",
        f"convlens: {Path('in/moves.gif')}: the file holds 2 pictures: give --page N for one of "
        "them, or --page all",
    ]
    (here / "in" / "moves.gif").unlink()
    code, out, err = typed("apply box:3 in -o out2 --recursive")
    assert code == 0
    assert err == "convlens: in: skipped IMG_1.HEIC, notes.txt\n"
    with Image.open(here / "out2" / "deep" / "deeper" / "d.png") as made:
        np.testing.assert_array_equal(made, BLURRED)


def test_results_are_no_inputs(here, typed):
    """With the output's folder inside the input's, a second run takes the results of the first."""
    for _ in range(2):
        assert typed("apply box:3 . -o out --recursive --force")[0] == 0
        assert sorted(os.listdir(here / "out")) == ["a.png", "x.npy"]


def test_one_input_into_a_new_folder(here, typed):
    """One file cannot be written into a folder that is not there yet."""
    for folder in ("new", "other/", "with.dot/"):
        assert typed(f"apply box:3 a.png -o {folder}")[::2] == (0, "")
        with Image.open(here / folder / "a.png") as made:
            np.testing.assert_array_equal(made, BLURRED)


def test_a_folder_into_another_format(here, typed):
    """--format writes one format under the name of another."""
    assert typed("apply box:3 . -o out --format webp")[0] == 0
    assert sorted(os.listdir(here / "out")) == ["a.webp", "x.npy"]
    with Image.open("out/a.webp") as made:
        assert made.format == "WEBP"
    code, _, err = typed("apply box:3 a.png -o o.tif --format png")
    assert (code, err) == (1, "convlens: a.png: o.tif is the name of a TIFF; got --format png\n")
    code, _, err = typed("apply box:3 a.png -o - --json")
    assert (code, err[:36]) == (2, "convlens: --json would be mixed with")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes, as Linux has them")
def test_names_that_are_not_utf8(here):
    """A file or folder whose name is no UTF-8 cannot be read, written, or told of."""
    folder = os.fsencode(here) + b"/caf\xe9"
    os.mkdir(folder)
    for name, kind in ((b"\xff.png", "a.png"), (b"\xfe.npy", "x.npy")):
        with open(folder + b"/" + name, "wb") as file:
            file.write((here / kind).read_bytes())
    done = process("apply", "box:3", folder, "-o", os.fsencode(here) + b"/\xe9\xe9", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(json.loads(done.stdout)["done"]) == 2
    with open(os.fsencode(here) + b"/\xe9\xe9/\xff.png", "rb") as file, Image.open(file) as made:
        np.testing.assert_array_equal(made, BLURRED)
    done = process("apply", "box", folder + b"/none\xff.png", "-o", "o.png", cwd=here)
    assert done.returncode == 1
    assert b"No such file or directory" in done.stderr


# ------------------------------------------------------------------------------ defaults


@pytest.mark.usefixtures("here")
def test_a_hint_to_the_mean(typed):
    """Who halves a picture is not told that the default brightens it."""
    code, _, err = typed("pool 2 a.png -o o.png")
    assert (code, err.count("\n")) == (0, 1)
    assert "which brightens a picture; --mode avg" in err
    for line in ("pool 2 a.png -o p.png --mode max", "pool 2 x.npy -o o.npy"):
        assert typed(line)[2] == ""


@pytest.mark.usefixtures("here")
def test_borders_and_signs(typed):
    """Pictures get a dark frame, arrays get another than the library's, or edges lose a half."""
    assert typed("apply sobel_x a.png -o o.png")[0] == 0
    edges = convlens.convolve(NOISE[np.newaxis], filters.sobel_x(), pad_mode="edge")[0]
    with Image.open("o.png") as made:
        np.testing.assert_array_equal(made, abs(edges).clip(0, 255))
    assert typed("apply sobel_x a.png -o p.png --map clip --pad-mode constant")[0] == 0
    edges = convlens.convolve(NOISE[np.newaxis], filters.sobel_x())[0]
    with Image.open("p.png") as made:
        np.testing.assert_array_equal(made, edges.clip(0, 255))
    assert typed("apply box:3 x.npy -o o.npy")[0] == 0
    np.testing.assert_array_equal(
        np.load("o.npy"), convlens.convolve(NOISE[..., 0], filters.box(3))
    )
    assert typed("apply emboss a.png -o q.png")[0] == 0
    relief = convlens.convolve(NOISE[np.newaxis], filters.emboss(), pad_mode="edge")[0]
    with Image.open("q.png") as made:
        np.testing.assert_array_equal(made, relief.clip(0, 255))
