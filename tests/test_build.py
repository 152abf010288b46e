"""How the package is built: for which machine, from what, and by which linker.

Compiling every pipeline takes minutes, so these tests compile one.
"""

import ctypes
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("hatchling", reason="hatchling builds the package: make test installs it")

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

NO_HALIDE_HERE = "no Halide here: make test installs it where it is published"
ROOT = Path(__file__).parents[1]


def module(path):
    """Import a file that is not part of the package."""
    spec = importlib.util.spec_from_file_location(f"convlens_{path.stem}", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


hook = module(ROOT / "hatch_build.py")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    """Take away the environment variables that change what is built."""
    for name in ("CONVLENS_TARGET", "CONVLENS_COMPILE", "CC"):
        monkeypatch.delenv(name, raising=False)


# ------------------------------------------------------------------------------ the hook


def test_the_tag_for_this_machine_can_be_installed_here():
    """Pip refuses the wheel that was built on this machine."""
    (tag,) = parse_wheel_filename(f"convlens-0.1.0-{hook.tag(None)}.whl")[3]
    assert tag in set(sys_tags())


@pytest.mark.parametrize("target", hook.TARGETS)
def test_the_tags_of_the_targets(target):
    """A wheel asks for one version of Python, or names a processor that is not its target's."""
    (tag,) = parse_wheel_filename(f"convlens-0.1.0-{hook.tag(target)}.whl")[3]
    assert (tag.interpreter, tag.abi) == ("py3", "none")
    processors = {"x86-64": ("x86_64", "amd64"), "arm-64": ("aarch64", "arm64")}
    assert tag.platform.endswith(processors[target.rsplit("-", 1)[0]])


def test_make_wheels_builds_for_every_target():
    """The Makefile leaves out a target of the hook, or names one that it does not know."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^TARGETS := (.*)$", makefile, re.MULTILINE)[1].split() == list(hook.TARGETS)


@pytest.mark.parametrize(
    ("compiler", "expected"),
    [
        (sys.executable, False),
        (f"{sys.executable} -m64", False),
        ("/nonexistent/cc", True),
    ],
)
def test_zig_links_where_there_is_no_c_compiler(monkeypatch, compiler, expected):
    """Options in CC hide the compiler, or one that does not exist is taken."""
    monkeypatch.setenv("CC", compiler)
    assert hook.needs_zig() is expected


def test_zig_links_where_the_path_has_no_c_compiler(monkeypatch, tmp_path):
    """Without CC something other than cc on the path decides."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hook.needs_zig()
    (tmp_path / "cc").write_text("#!/bin/sh\n")
    (tmp_path / "cc").chmod(0o755)
    assert not hook.needs_zig()


def test_zig_links_for_other_machines(monkeypatch):
    """The C compiler of this machine would link a library for another one."""
    monkeypatch.setenv("CC", sys.executable)
    monkeypatch.setenv("CONVLENS_TARGET", "arm-64-osx")
    assert hook.needs_zig()


@pytest.mark.parametrize(
    ("expected", "system"),
    [
        (True, {}),
        (True, {"python_version": "3.13"}),
        (False, {"python_version": "3.14"}),
        (False, {"implementation_name": "pypy"}),
        (False, {"platform_machine": "aarch64"}),
        (True, {"sys_platform": "darwin", "platform_machine": "arm64"}),
        (True, {"sys_platform": "win32", "platform_machine": "AMD64"}),
        (False, {"sys_platform": "win32", "platform_machine": "ARM64"}),
    ],
)
def test_where_halide_is_published(expected, system):
    """Pip would look for Halide where PyPI has none, or leave it out where it has one."""
    usual = {
        "implementation_name": "cpython",
        "python_version": "3.11",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    assert Requirement(hook.halide()).marker.evaluate(usual | system) is expected


def test_where_halide_is_installed_it_is_published():
    """The marker says that the Halide which is installed here does not exist."""
    pytest.importorskip("halide", reason=NO_HALIDE_HERE)
    assert hook.halide_exists()
    assert hook.obstacle() is None or "C compiler" in hook.obstacle()
    assert Requirement(hook.halide()).specifier.contains(importlib.metadata.version("halide"))


# -------------------------------------------------------------------------- real builds


def build_wheel(folder, code="", **settings):
    """Build a wheel of this checkout, as any frontend would; the wheels, and what was printed."""
    code += "\nimport hatchling.cli; hatchling.cli.hatchling()"
    done = subprocess.run(
        [sys.executable, "-c", code, "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return list(folder.glob("*.whl")), done.stdout + done.stderr


NO_HALIDE = "import sys; sys.modules['halide'] = None"  # importing it then fails


@pytest.mark.parametrize(
    ("code", "settings", "why"),
    [
        ("", {"CONVLENS_COMPILE": "0"}, "CONVLENS_COMPILE=0 asks for that"),
        (NO_HALIDE, {}, "halide is not installed, or not published for this Python"),
    ],
)
def test_without_halide_the_package_is_built_and_says_so(tmp_path, code, settings, why):
    """The build fails, keeps quiet, or ships a library that was lying around."""
    wheels, said = build_wheel(tmp_path, code, **settings)
    assert f"building WITHOUT the compiled engine: {why}; NumPy will do all the work" in said
    assert hook.REMEDY in said
    assert [wheel.name.split("-", 2)[2] for wheel in wheels] == ["py3-none-any.whl"], said
    with ZipFile(wheels[0]) as archive:
        names = archive.namelist()
    assert "convlens/compiled/library.py" in names
    assert not any("pipelines" in name for name in names)


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        (
            "",
            "mips-32-linux",
            "CONVLENS_TARGET must be one of x86-64-linux, .*; got 'mips-32-linux'",
        ),
        (NO_HALIDE, "arm-64-osx", "cannot compile for arm-64-osx: halide is not installed"),
    ],
)
def test_a_wheel_for_a_target_is_compiled_or_refused(tmp_path, code, target, message):
    """A wheel for another machine is built without the engine that it is built for."""
    wheels, said = build_wheel(tmp_path, code, CONVLENS_TARGET=target)
    assert not wheels
    assert re.search(message, said), said


# ------------------------------------------------------------------------- the pipelines


@pytest.fixture(scope="module")
def build():
    """Import pipelines/build.py."""
    pytest.importorskip("halide", reason=NO_HALIDE_HERE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "pipelines"))
        yield module(ROOT / "pipelines" / "build.py")


@pytest.fixture(scope="module")
def variants(build):
    """The module pipelines/variants.py."""
    return sys.modules[build.table.__module__]


def test_the_table_of_pipelines(build):
    """Two pipelines have one name, or a name is not one that C can have."""
    names = [variant.name for variant in build.table()]
    assert len(names) > 20
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]\w+", name) for name in names)


def variant(variants, preference=0, types=("f32",) * 3, **requires):
    """A variant that requires these ranges."""
    return variants.Variant("planes", types, requires, lambda _: None, preference)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({"taps": (3, 3)}, {"taps": (3, None)}),
        ({"taps": (3, 3)}, {"stride": (1, 1)}),
        ({"taps": (3, 3), "groups": (4, None)}, {"groups": (1, 4), "stride": (1, 1)}),
    ],
)
def test_two_variants_that_nothing_decides_between(variants, one, other):
    """A problem could meet both, and either might be taken."""
    pair = [variant(variants, **one), variant(variants, **other)]
    with pytest.raises(ValueError, match="nothing decides between planes_f32_f32_f32"):
        variants.check(pair)
    variants.check([variant(variants, **one), variant(variants, preference=1, **other)])
    variants.check([variant(variants, **one), variant(variants, types=("u8",) * 3, **other)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"taps": (3, 3)}),  # the one that requires more is taken
        ({"taps": (3, 3)}, {"taps": (5, 5)}),
        ({"groups": (4, None)}, {"groups": (1, 3)}),
    ],
)
def test_two_variants_that_are_told_apart(variants, one, other):
    """A pair is refused though a problem meets one of them, or one requires more."""
    variants.check([variant(variants, **one), variant(variants, **other)])


def test_zig_can_link_every_target(build):
    """Zig has no name for a target of the wheels, or for this machine."""
    assert set(build.ZIG_TARGETS) >= {*hook.TARGETS, build.host()}


@pytest.mark.parametrize("target", hook.TARGETS)
def test_the_levels_of_a_target(build, target):
    """A processor may have a better level but no worse one, or not even the last."""
    levels = build.levels_of(target)
    features = [set(level.features) for level in levels]
    assert features[-1] == set()
    assert all(better > worse for better, worse in pairwise(features))
    assert build.features_of(levels[-1]) == [0, 0]
    bits = [sum(word.bit_count() for word in build.features_of(level)) for level in levels]
    assert bits == [len(each) for each in features]


def test_what_convlens_calls_is_exported(build):
    """A function of Halide's runtime is called but not exported, or exported for nobody."""
    engine = (ROOT / "src/convlens/compiled/library.py").read_text(encoding="utf-8")
    called = set(
        re.findall(r"_library\.((?:halide|pool|ranks|moving|winners|few|shares)_\w+)", engine)
    )
    assert called == set(build.RUNTIME)


def test_the_fingerprint_tells_an_edit(build, tmp_path):
    """After an edit of any file the old library would be taken for up to date."""
    edited = [("levels.py", "# an edit\n")]
    edited += [(f"runtime/{name}", "/* an edit */\n") for name in ("pool.c", "winners.h")]
    copy = shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")

    def fingerprint():
        code = "import build; print(build.fingerprint())"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    prints = [build.fingerprint(), fingerprint()]
    for name, edit in edited:
        with (copy / name).open("a") as file:
            file.write(edit)
        prints.append(fingerprint())
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def test_an_unchanged_library_is_not_built_again(build, tmp_path):
    """Everything is compiled again though nothing has changed."""
    target = build.host()
    library = tmp_path / f"pipelines{build.SUFFIXES[target.rsplit('-', 1)[1]]}"
    library.write_bytes(b"as it was")
    listed = {"target": target, "made_from": build.fingerprint()}
    (tmp_path / "pipelines.json").write_text(json.dumps(listed))
    assert build.build(tmp_path, target) == library
    assert library.read_bytes() == b"as it was"


@pytest.mark.skipif(shutil.which("cc") is None, reason="NO C COMPILER HERE, so none links")
def test_compiling_and_linking(build, tmp_path):
    """A pipeline does not compile, the library does not load, or it exports too much."""
    target = build.host()
    level = build.levels_of(target)[-1]
    name = build.table()[0].name
    _, arguments = build.compile_one((name, target, level.name, tmp_path))
    assert {"images", "padding", "rows", "kernels", "out"} <= set(arguments)
    build.hl.compile_standalone_runtime(str(tmp_path / "runtime.o"), build.hl.Target(target))
    path = tmp_path / "pipelines.so"
    build.link(sorted(tmp_path.glob("*.o")), path, target, zig=False)
    library = ctypes.CDLL(str(path))
    words = build.features_of(level)
    assert library.halide_can_use_target_features(2, (ctypes.c_uint64 * 2)(*words)) == 1
    for function in (*build.RUNTIME, f"{name}_{level.name}_argv"):
        assert getattr(library, function)
    if target.endswith("linux"):  # so that two libraries with Halide in them do not meet
        assert not hasattr(library, "halide_malloc")


def test_pyproject_names_what_is_needed():
    """The build would not get Halide or a linker, or each build might get another version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = [Requirement(each) for each in (hook.halide(), *hook.group("linker"))]
    assert [each.name for each in pinned] == ["halide", "ziglang"]
    assert all(str(each.specifier).startswith("==") for each in pinned)
    assert hook.group("linker") == project["dependency-groups"]["linker"]
    assert "custom" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
