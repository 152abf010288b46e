"""The site: the code on its pages runs, its warnings are errors, and its links lead somewhere."""

import doctest
import re
import runpy
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import convlens

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/*.md"))
WITH_CODE = [page for page in PAGES if ">>>" in page.read_text(encoding="utf-8")]
NEEDS = {"from-pytorch": "torch"}  # heavy; others that pages need are installed with the tests


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_code(page, monkeypatch, tmp_path):
    """Every example on a page gives what the page shows."""
    pytest.importorskip(NEEDS.get(page.stem, "numpy"))
    monkeypatch.chdir(tmp_path)  # examples may write files
    results = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert results.attempted
    assert not results.failed


def tables_of(page):
    """The rows of a page's tables, as (their call, our call)."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    rows = "".join(re.findall(r"^\|---\|---\|\n((?:\|.*\n)+)", text, re.M)).splitlines()
    return [re.fullmatch(r"\| `(.*)` \| `(.*)` \|", row).groups() for row in rows]


def names_of(page):
    """Run the code of a page; returns the names that it defines."""
    names = {}
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, names, page, None, 0)
    doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
    return test.globs


WINDOWS = [(3, 5), (2, 4), (4, 3), (1, 6), (7, 2)]
SIGMAS = [0.8, 1, 2, 3.7]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("page", ["from-opencv", "from-scipy"])
def test_equivalences(page, dtype, window):
    """Both calls of each line give the same numbers, at even and odd sizes, on each type."""
    rng = np.random.default_rng(0)
    names = names_of(page)
    names |= {"image": (256 * rng.random((40, 47))).astype(dtype), "k": rng.random(window)}
    names |= dict(zip(("kh", "kw"), window, strict=True))
    names |= {
        "samples": (256 * rng.random(99)).astype(dtype),
        "line": rng.random(window[1]),
        "volume": (256 * rng.random((9, 11, 13))).astype(dtype),
        "cube": rng.random((3, *window)),
        "box": (3, *window),
    }
    names["depth"] = names["cv2"].CV_64F if "cv2" in names and dtype == np.uint8 else -1
    for theirs, ours in tables_of(page):
        for names["sigma"] in SIGMAS if "sigma" in ours else SIGMAS[:1]:
            expected, result = eval(theirs, names), eval(ours, names)
            assert result.shape == expected.shape, ours
            # OpenCV computes means of uint8 in 8 or 16 bits, and rounds them.
            rounded = expected.dtype == np.uint8 and result.dtype == np.float64
            eps = np.finfo(np.float32 if np.float32 in (dtype, expected.dtype) else float).eps
            atol = 2 if rounded else 300 * eps * np.abs(result).max()
            np.testing.assert_allclose(result, expected.astype(float), 0, atol, err_msg=ours)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equivalences_with_pytorch(dtype, window):
    """Both calls of each line give the same numbers, at even and odd sizes."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    names = names_of("from-pytorch") | dict(zip(("kh", "kw"), window, strict=True))
    names["kd"] = 3
    for ours, shape, theirs in (
        ("images", (2, 20, 23, 3), "x"),
        ("signals", (2, 40, 3), "x1"),
        ("volumes", (2, 9, 11, 13, 3), "x3"),
    ):
        names[ours] = rng.random(shape, dtype)
        names[theirs] = torch.from_numpy(names[ours]).movedim(-1, 1)
    for ours, shape, theirs in (
        ("kernels", (*window, 3, 4), "weights"),
        ("depthwise", (*window, 1, 6), "deep"),
        ("lines", (window[1], 3, 4), "weights1"),
        ("cubes", (3, *window, 3, 4), "weights3"),
    ):
        names[ours] = rng.random(shape, dtype)
        names[theirs] = torch.from_numpy(names[ours]).movedim((-1, -2), (0, 1))
    for theirs, ours in tables_of("from-pytorch"):
        expected, result = eval(theirs, names).movedim(1, -1).numpy(), eval(ours, names)
        assert result.shape == expected.shape, ours
        assert result.dtype == expected.dtype, ours
        atol = 20 * np.finfo(dtype).eps * np.abs(result).max()
        np.testing.assert_allclose(result, expected, 0, atol, err_msg=ours)


def test_tables():
    """Every row of the tables is found and has code in both columns."""
    assert [len(tables_of(f"from-{who}")) for who in WHOM] == [28, 43, 18]


def test_pages_with_code():
    """The list of pages with code is not missing one."""
    names = {page.stem for page in WITH_CODE}
    assert {"guide", "how-to", "clusters", *(f"from-{who}" for who in WHOM)} <= names


WHOM = ("pytorch", "scipy", "opencv")


def test_a_blur_is_taken_off():
    """The how-to's program does not bring the photograph nearer to the scene, or not at edges."""
    program = runpy.run_path(str(ROOT / "docs" / "deblur.py"))
    scene = np.load(str(resources.files("convlens.explorer") / "cat.npy"))
    photograph = program["taken"](scene)
    found = program["deblurred"](photograph)

    def error(picture):
        off = np.abs(picture.astype(float) - scene)
        return np.array([off.mean(), *(np.rot90(off, turns)[:4].mean() for turns in range(4))])

    assert found.dtype == np.uint8
    whole, *edges = error(found) / error(photograph)
    assert whole < 0.7
    assert max(edges) < 0.9


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built from a copy in the way that `make docs` builds it."""
    root = tmp_path_factory.mktemp("repository")
    for folder in ("docs", "benchmarks", "math"):
        ignored = shutil.ignore_patterns("_build", "made", "__pycache__", "*.npz")
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    for page in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / page, root)
    rule = re.search(r"^docs:.*\n\t\S*(sphinx-build.*)$", (ROOT / "Makefile").read_text(), re.M)
    command = [sys.executable, "-m", *rule[1].replace("sphinx-build", "sphinx").split()]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root / "docs" / "_build"


def test_site(site):
    """The site has every page, every public name, and the course's files."""

    def text(page):
        return re.sub("<[^>]*>", "", (site / page).read_text(encoding="utf-8"))

    for page in PAGES:
        assert (site / page.name).with_suffix(".html").exists()
    modules = ("filters", "ndimage")
    members = [f"{each}.{name}" for each in modules for name in getattr(convlens, each).__all__]
    for name in (*convlens.__all__, *members):
        if name not in modules:
            module = f"-{name.partition('.')[0]}" if "." in name else ""
            # A function and a class are followed by their arguments, a warning by nothing.
            assert re.search(rf"convlens\.{re.escape(name)}[(¶]", text(f"reference{module}.html"))
    assert "def convolve_channels(images, kernel" in text("made/course.html")
    assert "Next to the best peer" in text("made/benchmark.html")


def test_the_explorer_is_where_it_explains(site):
    """Pages frame the complete explorer, opened on what they explain, once it is scrolled to."""
    whole = convlens.explore().html
    for page in ("explorer", "guide", "made/course", "made/training-a-network"):
        text = (site / f"{page}.html").read_text("utf-8")
        frames = re.findall(r'<iframe [^>]*src="([^"#]+)[^>]* loading="lazy"', text)
        assert frames
        for frame in frames:
            assert (site / page).parent.joinpath(frame).read_text("utf-8") == whole


def test_the_gallery_shows_every_filter(site):
    """The gallery has a picture and a link for each filter; the reference has a table of them."""
    gallery = (site / "made" / "gallery.html").read_text("utf-8")
    reference = (site / "reference-filters.html").read_text("utf-8")
    for name in convlens.filters.__all__:
        for picture in (f"{name}.png", f"kernel-{name}.svg"):
            assert f"/{picture}" in gallery
            assert (site / "_images" / picture).exists()
        assert f'href="../reference-filters.html#convlens.filters.{name}"' in gallery
        assert f'href="#convlens.filters.{name}"' in reference.partition("what it finds")[2]
    assert gallery.count('href="../explore.html#op=convolve') == len(convlens.filters.__all__)


def test_names_and_shapes(site):
    """Names of NumPy's, SciPy's and our functions are links; shapes do not wrap."""
    text = "".join((site / f"reference{page}.html").read_text("utf-8") for page in ("", "-ndimage"))
    assert 'href="https://numpy.org/doc/stable/reference/generated/numpy.pad.html"' in text
    assert 'href="#convlens.plan_convolve"' in text
    assert 'href="#convlens.ndimage.binary_erosion"' in text
    assert '<span class="shape">(m, h, w, c)</span>' in text


def test_code_has_no_blank_last_line(site):
    """The blank line that doctest wants at the end of an example is not on the site."""
    for page in site.rglob("*.html"):
        assert not re.search(r"\n\n(</span>)?</pre>", page.read_text("utf-8")), page


def test_nothing_comes_from_elsewhere(site):
    """No page needs the network: formulas are MathML, and no script or picture is fetched."""
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not re.findall(
            r'<(?:script|img|iframe|link)[^>]*(?:src|href)="(?:https?:)?//', text
        ), page
    assert "<mtext>result</mtext>" in (site / "made" / "course.html").read_text("utf-8")


def test_links(site):
    """Every link inside the site leads to a file."""
    seen = 0
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src)="([^"#?:]+)["#?]', text):
            seen += 1
            assert (page.parent / target).exists(), f"{page.name} refers to {target}"
    assert seen > 100
