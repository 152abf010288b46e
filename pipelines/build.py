"""Compile every pipeline for every level of a processor, and link them into one shared library.

    python pipelines/build.py src/convlens/compiled

This writes the library into that folder, and beside it ``pipelines.json``, which lists its content.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import halide as hl
from levels import LEVELS, Level, Pipeline
from medians import NETWORKS
from variants import table

SUFFIXES = {"linux": ".so", "osx": ".dylib", "windows": ".dll"}
ZIG_TARGETS = {
    "x86-64-linux": "x86_64-linux-gnu.2.17",
    "arm-64-linux": "aarch64-linux-gnu.2.17",
    "arm-64-osx": "aarch64-macos.11.0",
    "x86-64-osx": "x86_64-macos.11.0",
    "x86-64-windows": "x86_64-windows-gnu",
}
SOURCES = sorted((Path(__file__).parent / "runtime").glob("*.c"))
# The functions of Halide's runtime, and of these sources, that convlens calls.
RUNTIME = (
    "halide_can_use_target_features",
    "halide_set_error_handler",
    "halide_set_custom_do_par_for",
    "pool_run",
    "pool_set_threads",
    "ranks_run",
    "moving_run",
    "winners_find",
    "winners_give",
    "few_run",
    "shares_give",
)


def compile_one(job: tuple[str, str, str, Path]) -> tuple[str, dict[str, str]]:
    """Compile one variant for one level into an object file; returns its name and arguments.

    Those that are written in C are compiled when all is linked.
    """
    name, base, level_name, folder = job
    level = next(level for level in levels_of(base) if level.name == level_name)
    pipeline = next(each for each in table() if each.name == name).make(level)
    target = target_of(base, level, strict=pipeline.strict or not level.fused)
    function = f"{name}_{level.name}"
    outputs = {hl.OutputFileType.object: str(folder / f"{function}.o")}
    if pipeline.func is not None:
        pipeline.func.compile_to(outputs, pipeline.arguments, function, target)
    return name, arguments_of(pipeline)


def arguments_of(pipeline: Pipeline) -> dict[str, str]:
    """The names of a pipeline's arguments in their order, each an "array" or a type of scalar."""
    kinds = {
        each.name(): "array" if isinstance(each, hl.ImageParam) else str(each.type())
        for each in pipeline.arguments
    }
    return kinds | {"out": "array"}


def levels_of(base: str) -> tuple[Level, ...]:
    """The levels of a target such as "x86-64-linux"."""
    return next(levels for start, levels in LEVELS.items() if base.startswith(start))


def target_of(base: str, level: Level, *, strict: bool = False) -> hl.Target:
    """Halide's target for a level, without Halide's runtime, which is linked in once."""
    features = ["no_runtime", *level.features, *(["strict_float"] if strict else [])]
    return hl.Target("-".join([base, *features]))


def features_of(level: Level) -> list[int]:
    """The instruction sets of a level, as bits that Halide's runtime can check a processor for."""
    bits = 0
    for name, feature in hl.TargetFeature.__members__.items():
        if name.lower() in level.features:
            bits |= 1 << int(feature.value)
    return [bits & (2**64 - 1), bits >> 64]


def link(objects: list[Path], library: Path, base: str, *, zig: bool) -> None:
    """Link them and SOURCES, with the system's C compiler or zig's, which knows every target.

    The library exports only the functions that convlens calls, and contains only the part of
    Halide's runtime that it needs.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if zig:
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", ZIG_TARGETS[base]]
    functions = [
        *RUNTIME,
        *(f"{each.name}_{level.name}_argv" for each in table() for level in levels_of(base)),
    ]
    exports = library.with_suffix(".def")
    inputs = [path.as_posix() for path in (*SOURCES, *objects)]
    options = ["-shared", "-fPIC", "-O2"]
    if "linux" in base:
        exports.write_text(f"{{ global: {'; '.join(functions)}; local: *; }};\n")
        options += [f"-Wl,--version-script={exports}", "-Wl,--gc-sections", "-s"]
        options += ["-lpthread", "-ldl", "-lm"]
    if "osx" in base:
        options += [f"-Wl,-install_name,@rpath/{library.name}"]
    if "windows" in base:
        exports.write_text("\n".join(["EXPORTS", *functions, ""]))
        symbol = library.with_name("fltused.c")  # Microsoft's compilers define it for floats
        symbol.write_text("int _fltused = 0;\n")
        inputs += [exports.as_posix(), symbol.as_posix()]
        options += ["-s"]
    listing = library.with_suffix(".objects")  # They are too many for a command line.
    listing.write_text("\n".join(inputs))
    subprocess.run([*compiler, f"@{listing}", *options, "-o", str(library)], check=True)


def host() -> str:
    """The target of the machine that runs this, as Halide names it."""
    system = {"Linux": "linux", "Darwin": "osx", "Windows": "windows"}[platform.system()]
    arm = platform.machine().lower() in ("aarch64", "arm64")
    return f"{'arm-64' if arm else 'x86-64'}-{system}"


def fingerprint() -> str:
    """A hash of all that a library is made from: these files, and Halide's version."""
    digest = hashlib.sha256(version("halide").encode())
    headers = sorted(SOURCES[0].parent.glob("*.h"))
    for path in (*sorted(Path(__file__).parent.glob("*.py")), NETWORKS, *SOURCES, *headers):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build(folder: Path, base: str, *, zig: bool = False) -> Path:
    """Compile and link everything; the library and its list appear in `folder`, or nothing does."""
    library = folder / f"pipelines{SUFFIXES[base.rsplit('-', 1)[1]]}"
    listing = folder / "pipelines.json"
    if library.exists() and listing.exists():
        made = json.loads(listing.read_text(encoding="utf-8"))
        if (made["made_from"], made["target"]) == (fingerprint(), base):
            return library
    folder.mkdir(parents=True, exist_ok=True)
    levels, variants = levels_of(base), table()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        objects = Path(scratch)
        jobs = [(each.name, base, level.name, objects) for each in variants for level in levels]
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            arguments = dict(pool.map(compile_one, jobs))
        hl.compile_standalone_runtime(str(objects / "runtime.o"), hl.Target(base))
        link(sorted(objects.glob("*.o")), objects / library.name, base, zig=zig)
        listed = {
            "target": base,
            "halide": version("halide"),
            "made_from": fingerprint(),
            "bytes": (objects / library.name).stat().st_size,
            "levels": {level.name: features_of(level) for level in levels},
            "variants": [each.described(arguments[each.name]) for each in variants],
        }
        (objects / listing.name).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
        (objects / library.name).replace(library)
        (objects / listing.name).replace(listing)
    return library


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="where to put the library")
    parser.add_argument("--target", choices=ZIG_TARGETS, default=host())
    parser.add_argument("--zig", action="store_true", help="link with ziglang's compiler")
    options = parser.parse_args()
    print(build(options.folder.resolve(), options.target, zig=options.zig))
