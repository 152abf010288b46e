"""The wheels in dist/, as `make wheels` leaves them: each library is what its file name says."""

import json
import re
from pathlib import Path
from zipfile import ZipFile

import pytest

lief = pytest.importorskip("lief", reason="lief looks into libraries: make wheels installs it")

DIST = Path(__file__).parents[1] / "dist"
WHEELS = sorted(DIST.glob("*.whl"))
RUNTIME = {
    "halide_can_use_target_features",
    "halide_set_error_handler",
    "halide_set_custom_do_par_for",
    "pool_run",
    "pool_set_threads",
}

if not WHEELS:
    pytest.skip("NO WHEELS IN dist/: make wheels", allow_module_level=True)


@pytest.fixture(params=WHEELS, ids=lambda path: path.stem.split("-", 2)[2])
def wheel(request):
    """The path of each wheel in turn."""
    return request.param


@pytest.fixture
def contents(wheel):
    """The files of a wheel, by name, as bytes."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def listed(contents):
    """What the wheel's list says of its library."""
    return json.loads(contents["convlens/compiled/pipelines.json"])


@pytest.fixture
def library(contents):
    """The library of the wheel, parsed by lief."""
    names = [n for n in contents if re.fullmatch(r"convlens/compiled/pipelines\.[sd]\w+", n)]
    assert len(names) == 1, names
    return lief.parse(contents[names[0]])


def test_the_wheel_is_small(wheel):
    """Something large was packed by mistake: a wheel takes 1 to 4 MB."""
    assert wheel.stat().st_size < 10e6


def test_the_wheel_is_for_any_python_3(wheel, contents):
    """Pip would refuse it on some Python, or its name differs from what is written inside."""
    python, abi, platform = wheel.stem.split("-")[2:]
    assert (python, abi) == ("py3", "none")
    notes = next(text for name, text in contents.items() if name.endswith("dist-info/WHEEL"))
    assert f"Tag: py3-none-{platform}\n" in notes.decode()
    assert "Root-Is-Purelib: false\n" in notes.decode()


def test_nothing_else_is_in_it(contents):
    """It ships what the build leaves behind, or paths of the machine that built it."""
    assert {name.split("/")[0].split("-")[0] for name in contents} == {"convlens"}
    assert "convlens/py.typed" in contents
    assert not any(name.endswith((".o", ".c", ".def", ".objects", ".lib")) for name in contents)
    assert not any(str(DIST.parent).encode() in data for data in contents.values())


def test_every_pipeline_is_there_for_every_level(library, listed):
    """Calling a pipeline of the list would fail, for it is not in the library."""
    exported = {function.name.removeprefix("_") for function in library.exported_functions}
    wanted = {f"{name}_{level}_argv" for name in listed["pipelines"] for level in listed["levels"]}
    assert len(wanted) >= 50
    assert wanted | RUNTIME <= exported
    if "osx" not in listed["target"]:  # where zig's linker exports everything
        assert exported == wanted | RUNTIME


def test_the_levels(listed):
    """A level is missing, or the last one does not run on every such processor."""
    x86 = listed["target"].startswith("x86-64")
    assert list(listed["levels"]) == (["avx512", "avx2", "baseline"] if x86 else ["neon"])
    assert not any(list(listed["levels"].values())[-1])


def test_the_library_is_for_the_platform(wheel, library, listed):
    """It is for another processor or system, or needs what not every such system has."""
    platform = wheel.stem.split("-")[-1]
    check = {"manylinux": linux, "macosx": macos, "win": windows}[platform.split("_")[0]]
    check(platform, library)
    targets = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm-64", "arm64": "arm-64"}
    processor = next(name for end, name in targets.items() if platform.endswith(end))
    assert listed["target"].startswith(processor)


def linux(platform, library):
    """Check for a Linux library: glibc's own libraries, no newer than the wheel's name says."""
    _, major, minor, machine = platform.split("_", 3)
    assert library.header.machine_type.name == {"x86_64": "X86_64", "aarch64": "AARCH64"}[machine]
    assert {name.split(".so")[0] for name in library.libraries} <= {
        "libc",
        "libm",
        "libdl",
        "libpthread",
    }
    needed = [
        version.name
        for requirement in library.symbols_version_requirement
        for version in requirement.get_auxiliary_symbols()
    ]
    assert needed
    for name in needed:
        assert tuple(map(int, name.removeprefix("GLIBC_").split("."))) <= (int(major), int(minor))


def macos(platform, library):
    """Check for macOS: the system's own library, the version in the wheel's name, signed."""
    _, major, minor, machine = platform.split("_", 3)
    assert machine == "arm64"
    assert library.header.cpu_type.name == "ARM64"
    assert library.build_version.minos[:2] == [int(major), int(minor)]
    own, *needed = [each.name for each in library.libraries]
    assert (own, needed) == ("@rpath/pipelines.dylib", ["/usr/lib/libSystem.B.dylib"])
    assert library.has_code_signature


def windows(_platform, library):
    """Check for Windows: the system's own libraries, as the C runtime is one since Windows 10."""
    assert library.header.machine.name == "AMD64"
    needed = {name.lower() for name in library.libraries}
    assert {name for name in needed if not name.startswith("api-ms-win-crt-")} == {"kernel32.dll"}
