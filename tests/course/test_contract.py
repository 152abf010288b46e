"""What the brief's "Requirements" say of the files, checked from their source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pycodestyle
import pytest

from . import rules
from .course import FILES, FOLDER

PROGRAMS = sorted(FOLDER.glob("*.py"))
the_seven = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
every_program = pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)


def test_the_seven_files_and_their_mains_are_there():
    """A file is missing, or has another name than in the brief."""
    names = {path.name for path in PROGRAMS}
    assert {file.path.name for file in FILES} <= names
    assert {f"{number}-main.py" for number in range(7)} <= names


@the_seven
def test_loops_imports_and_the_like(file):
    """A file has more loops than the brief allows, hides one, or imports more than NumPy."""
    assert rules.broken(file.path.read_text(), file.loops) == []


@the_seven
def test_signature(file):
    """A file defines another function, or its parameters or defaults are not the brief's."""
    assert rules.signature(file.path.read_text()) == [file.signature]


@the_seven
def test_import_and_documentation_as_the_brief_does_it(file):
    """Importing a file as the brief does fails, prints something, or finds no docstring."""
    module = f"__import__('{file.name}')"
    function = f"{module}.{file.function_name}"
    wanted = [f"{module}.__doc__", f"{function}.__doc__", f"str(inspect.signature({function}))"]
    code = f"import inspect, json; print(json.dumps([{', '.join(wanted)}]))"
    command = [sys.executable, "-W", "error", "-B", "-c", code]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    of_the_module, of_the_function, signature = json.loads(done.stdout)
    assert of_the_module.strip()
    assert of_the_function.strip()
    assert file.function_name + signature == file.signature


@the_seven
def test_running_a_file_does_nothing(file):
    """A file cannot be executed by itself, or prints something."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [file.path], cwd=FOLDER, env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@every_program
def test_first_line_and_last(path):
    """The first line is not the brief's, or not exactly one newline ends the file."""
    assert rules.badly_framed(path.read_bytes()) == []


@every_program
def test_everything_is_documented(path):
    """A module, class or function has no docstring."""
    assert rules.undocumented(path.read_text()) == []


@every_program
def test_executable(path):
    """A file lacks the permission to be executed."""
    assert os.access(path, os.X_OK)


def git_modes():
    """The mode that git keeps for each file of the folder; empty where there is no git."""
    command = ["git", "ls-files", "--stage", "--", "*.py"]
    try:
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {line.split("\t")[1]: line.split()[0] for line in done.stdout.splitlines()}


@pytest.mark.skipif(not git_modes(), reason="not in a git repository: no modes to look at")
def test_executable_in_git():
    """Git does not keep the permission, so that a clone could not execute a file."""
    modes = git_modes()
    assert {file.path.name for file in FILES} <= set(modes)
    assert {name for name, mode in modes.items() if mode != "100755"} == set()


DEFAULTS = "--max-line-length=79", "--ignore=E121,E123,E126,E226,E24,E704,W503,W504"


def style(*paths):
    """Complaints of pycodestyle with its own defaults, whatever a setup.cfg may say."""
    command = [sys.executable, "-m", "pycodestyle", *DEFAULTS, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_style():
    """Pycodestyle complains in the brief's version, or a line is exempt from it."""
    assert pycodestyle.__version__ == "2.11.1"
    assert style(*PROGRAMS) == ""
    assert [path.name for path in PROGRAMS if "noqa" in path.read_text()] == []


def test_style_is_checked(tmp_path):
    """The test above would pass whatever the style."""
    (tmp_path / "bad.py").write_text("x=1\n")
    assert "E225" in style(tmp_path / "bad.py")


# The rules themselves: what must pass, and what must not.

GOOD = '''
"""Adds."""
import numpy as np


def add(images):
    """Add."""
    for i, j in np.ndindex(2, 2):
        for n in range(0, 3):
            images = np.add(images, max(i, j, n))
    return images
'''


def test_a_good_source_passes():
    """The rules refuse a file that keeps all of them."""
    assert rules.broken(GOOD, loops=2) == []
    assert rules.undocumented(GOOD) == []
    assert rules.signature(GOOD) == ["add(images)"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("while images: pass", "a while loop"),
        ("for k in range(3): pass", "3 for statements"),
        ("images = [k for k in images]", "a list comprehension"),
        ("images = {k for k in images}", "a set comprehension"),
        ("images = {k: k for k in images}", "a dict comprehension"),
        ("images = sum(k for k in images)", "a generator expression"),
        ("images = [*map(abs, images)]", "a hidden loop: map"),
        ("images = list(filter(None, images))", "a hidden loop: filter"),
        ("images = functools.reduce(max, images)", "a hidden loop: reduce"),
        ("images = np.add.reduce(images)", "a hidden loop: reduce"),
        ("images = np.vectorize(abs)(images)", "a hidden loop: vectorize"),
        ("images = np.frompyfunc(abs, 1, 1)(images)", "a hidden loop: frompyfunc"),
        ("images = np.apply_along_axis(abs, 0, images)", "a hidden loop: apply_along_axis"),
        ("images = np.apply_over_axes(np.sum, images, 0)", "a hidden loop: apply_over_axes"),
        ("images = np.fromiter(images, float)", "a hidden loop: fromiter"),
        ("images = np.fromfunction(np.add, (2, 2))", "a hidden loop: fromfunction"),
        ("images = np.nditer(images)", "a hidden loop: nditer"),
        ("images = list(iter(images.pop, 0))", "a hidden loop: iter"),
        ("work = np.vectorize", "a hidden loop: vectorize"),
        ("exec('while True: pass')", "a hidden loop: exec"),
        ("getattr(np, 'vec' + 'torize')", "a hidden loop: getattr"),
        ("import os", "imports ['import numpy as np', 'import os']"),
        ("from numpy import pad", "imports ['import numpy as np', 'from numpy import pad']"),
        ("os = __import__('os')", "a hidden loop: __import__"),
        ("images = np.convolve(images, images)", "np.convolve"),
        ("slide = np.convolve", "np.convolve"),
        ("add(images[1:])", "calls itself: add"),
        ("again = add", "calls itself: add"),
        ("again = lambda: again()", "a lambda"),
        ("def again(): again()", "not one function at the top"),
        ("yield images", "a generator"),
        ("class Again: pass", "a class"),
    ],
)
def test_a_source_with_one_more_line_does_not_pass(line, words):
    """The rules miss a line that breaks one, in the function or at the top of the file."""
    inside = GOOD.replace("    return images", f"    {line}\n    return images")
    assert words in rules.broken(inside, loops=2)
    if "yield" not in line:
        assert words in rules.broken(GOOD + line + "\n", loops=2)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("import numpy as np", "import numpy", "imports ['import numpy']"),
        ("import numpy as np", "", "imports []"),
        ("def add", "@np.vectorize\ndef add", "a decorator"),
        ("def add", "async def add", "an async function"),
        (
            "return images",
            "return images\n\n\ndef more():\n    pass",
            "not one function at the top",
        ),
        ("        for n", "        async for n", "an async for loop"),
        ("for i, j in", "for k in images:\n        pass\n    for i, j in", "3 for statements"),
    ],
)
def test_a_source_with_one_change_does_not_pass(old, new, words):
    """The rules miss a change that breaks one of them."""
    source = GOOD.replace(old, new)
    if "async" in new:
        source = source.replace("def add", "async def add").replace("async async", "async")
    assert words in rules.broken(source, loops=2)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('"""Adds."""', "", "the module"),
        ('"""Adds."""', '"""  """', "the module"),
        ('"""Add."""', "", "add"),
        ('"""Add."""', '"""Add."""\n    def inner(): pass', "inner"),
        ('"""Add."""', '"""Add."""\n    class Inner: pass', "Inner"),
    ],
)
def test_a_missing_docstring_is_seen(old, new, name):
    """A docstring that is missing or empty is not noticed."""
    assert rules.undocumented(GOOD.replace(old, new)) == [name]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/usr/bin/env python3\nx\n", []),
        (b"#!/usr/bin/env python\nx\n", ["first line"]),
        (b"#!/usr/bin/env python3 \nx\n", ["first line"]),
        (b"\n#!/usr/bin/env python3\nx\n", ["first line"]),
        (b"#!/usr/bin/env python3\nx", ["final newline"]),
        (b"#!/usr/bin/env python3\nx\n\n", ["final newline"]),
        (b"#!/usr/bin/env python3\r\nx\r\n", ["first line", "carriage return or tab"]),
    ],
)
def test_first_and_last_lines_are_seen(content, words):
    """A wrong first line or a wrong end of a file is not noticed."""
    assert rules.badly_framed(content) == words


def test_a_different_signature_is_seen():
    """A parameter's name, place or default is not looked at."""
    assert rules.signature("def pool(images, mode='avg'): pass") == ["pool(images, mode='avg')"]
