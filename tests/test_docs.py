"""The site: the code on its pages runs, its warnings are errors, and its links lead somewhere."""

import doctest
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import convlens

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/*.md"))
WITH_CODE = [page for page in PAGES if ">>>" in page.read_text(encoding="utf-8")]
NEEDS = {"from-pytorch": "torch"}  # heavy; others that pages need are installed with the tests


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_code(page, monkeypatch, tmp_path):
    """Every example gives what the page says."""
    pytest.importorskip(NEEDS.get(page.stem, "numpy"))
    monkeypatch.chdir(tmp_path)  # examples may write files
    results = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert results.attempted
    assert not results.failed


def test_pages_with_code():
    """The list above has found them."""
    names = {page.stem for page in WITH_CODE}
    assert {"guide", "how-to", "clusters", *(f"from-{who}" for who in WHOM)} <= names


WHOM = ("pytorch", "scipy", "opencv")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built from a copy, as `make docs` builds it."""
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
    """Every page is there, with every public name and the course's files."""

    def text(page):
        return re.sub("<[^>]*>", "", (site / page).read_text(encoding="utf-8"))

    for page in PAGES:
        assert (site / page.name).with_suffix(".html").exists()
    for name in (*convlens.__all__, *(f"filters.{name}" for name in convlens.filters.__all__)):
        if name != "filters":  # a module
            assert f"convlens.{name}(" in text("reference.html")
    assert "def convolve_channels(images, kernel" in text("made/course.html")
    assert "Next to the best peer" in text("made/benchmark.html")


def test_the_explorer_is_on_its_page(site):
    """In a frame, and whole."""
    (frame,) = re.findall(r'<iframe src="([^"]+)"', (site / "explorer.html").read_text("utf-8"))
    assert (site / frame).read_text("utf-8") == convlens.explore().html


def test_links(site):
    """What a page refers to inside the site is there."""
    seen = 0
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src)="([^"#?:]+)["#?]', text):
            seen += 1
            assert (page.parent / target).exists(), f"{page.name} refers to {target}"
    assert seen > 100
