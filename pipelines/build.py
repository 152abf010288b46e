"""Compile every pipeline for every level of a processor, and link them into one shared library.

    python pipelines/build.py src/convlens/engines

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
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import convolution
import halide as hl
import pooling
from levels import LEVELS, Level, Pipeline

TYPES = {
    "u8": hl.UInt(8),
    "i16": hl.Int(16),
    "u16": hl.UInt(16),
    "i32": hl.Int(32),
    "u32": hl.UInt(32),
    "i64": hl.Int(64),
    "u64": hl.UInt(64),
    "f16": hl.Float(16),
    "f32": hl.Float(32),
    "f64": hl.Float(64),
}
SUFFIXES = {"linux": ".so", "osx": ".dylib", "windows": ".dll"}
ZIG_TARGETS = {
    "x86-64-linux": "x86_64-linux-gnu.2.17",
    "arm-64-linux": "aarch64-linux-gnu.2.17",
    "arm-64-osx": "aarch64-macos.11.0",
    "x86-64-osx": "x86_64-macos.11.0",
    "x86-64-windows": "x86_64-windows-gnu",
}
# The functions of Halide's runtime that convlens calls.
RUNTIME = (
    "halide_can_use_target_features",
    "halide_set_error_handler",
    "halide_set_num_threads",
    "halide_shutdown_thread_pool",
)

# The sizes of the commonest call, one 3 x 3 kernel over one channel. Without padding it can read
# the images in place, without cells.
UNPADDED = {"channels": 1, "stride": 1, "taps": 3, "kernels": 1, "rows": 4}

# The sizes that are fixed for volumes: any, one kernel on one channel, and that of 3 x 3 x 3.
VOLUMES: tuple[dict[str, int], ...] = (
    {},
    {"channels": 1, "stride": 1, "kernels": 1, "rows": 4},
    {"channels": 1, "stride": 1, "taps": 3, "kernels": 1, "rows": 4},
)

Make = Callable[[Level], Pipeline]


def table() -> Iterator[tuple[str, Make]]:
    """Yield every pipeline's name, and the function that makes it."""

    def types(names: str) -> tuple[hl.Type, ...]:
        return tuple(TYPES[name] for name in names.split("_"))

    # The types of the images, the sums and the results. Integers are summed in floats if these are
    # exact, which is much faster. Other types are converted into these, block by block.
    sums = ("f32_f32_f32", "u8_f32_f32", "f64_f64_f64", "u8_f32_i64", "i64_i64_i64")
    floats = sums[:3]  # These sums are rounded, so long ones are taken in blocks.
    for names in sums:
        yield f"planes_{names}", lambda level, t=names: convolution.planes(level, types(t))
    for names in sums[:4]:
        for sizes in (  # The common sizes are fixed; for all others they are arguments.
            {"channels": 1, "stride": 1, "kernels": 1},
            {"channels": 1, "stride": 1, "kernels": 1, "rows": 4},
            {"channels": 1, "stride": 1, "taps": 3, "kernels": 1, "rows": 4},
            {"channels": 1, "stride": 2, "taps": 3, "kernels": 1, "rows": 4},
            {"channels": 1, "stride": 1, "taps": 5, "kernels": 1, "rows": 4},
            {"channels": 3, "stride": 1, "taps": 3, "kernels": 1, "rows": 4},
            {"channels": 3, "stride": 1, "taps": 3, "kernels": 3, "rows": 2},
        ):
            if names == "f64_f64_f64" and "taps" in sizes:
                continue
            yield (
                _name(f"planes_{names}", sizes),
                lambda level, t=names, s=sizes: convolution.planes(level, types(t), **s),
            )
            if sizes == UNPADDED:
                yield (
                    _name(f"planes_{names}", sizes) + "_unpadded",
                    lambda level, t=names, s=sizes: convolution.planes(
                        level, types(t), **s, padded=False
                    ),
                )
        yield f"separable_{names}", lambda level, t=names: convolution.separable(level, types(t))
    for names in floats:
        for sizes in (
            {},
            {"channels": 1, "stride": 1, "kernels": 1},
            {"channels": 1, "stride": 1, "kernels": 1, "rows": 4},
        ):
            yield (
                _name(f"planes_{names}", sizes) + "_blocks",
                lambda level, t=names, s=sizes: convolution.planes(
                    level, types(t), **s, blocks=True
                ),
            )
    for names in ("f32_f32_f32", "f64_f64_f64"):
        for sizes in ({}, {"taps": 3}):
            yield (
                _name(f"depthwise_{names}", sizes),
                lambda level, t=names, s=sizes: convolution.depthwise(level, types(t), **s),
            )
        yield (
            f"depthwise_{names}_blocks",
            lambda level, t=names: convolution.depthwise(level, types(t), blocks=True),
        )
        for tile in ("eight", "few", "fours", "sevens"):
            if (tile, names) == ("eight", "f64_f64_f64"):  # "few" serves these as well.
                continue
            for blocks in (False, True):
                yield (
                    f"dense_{names}_{tile}" + "_blocks" * blocks,
                    lambda level, t=names, s=tile, b=blocks: convolution.dense(
                        level, types(t), tile=s, blocks=b
                    ),
                )

    # Volumes: the same families, with a window of three axes.
    for names in sums:
        for sizes in VOLUMES:
            if sizes and names == "i64_i64_i64":
                continue
            yield (
                _name(f"planes_{names}_volume", sizes),
                lambda level, t=names, s=sizes: convolution.planes(
                    level, types(t), **s, volume=True
                ),
            )
    for names in sums[:4]:
        yield (
            f"separable_{names}_volume",
            lambda level, t=names: convolution.separable(level, types(t), volume=True),
        )
    for names in floats:
        yield (
            f"planes_{names}_volume_blocks",
            lambda level, t=names: convolution.planes(level, types(t), blocks=True, volume=True),
        )
    for names in ("f32_f32_f32", "f64_f64_f64"):
        for blocks in (False, True):
            yield (
                f"depthwise_{names}_volume" + "_blocks" * blocks,
                lambda level, t=names, b=blocks: convolution.depthwise(
                    level, types(t), blocks=b, volume=True
                ),
            )
            for tile in ("eight", "few", "fours", "sevens"):
                if (tile, names) != ("eight", "f64_f64_f64"):
                    yield (
                        f"dense_{names}_volume_{tile}" + "_blocks" * blocks,
                        lambda level, t=names, s=tile, b=blocks: convolution.dense(
                            level, types(t), tile=s, blocks=b, volume=True
                        ),
                    )

    for mode, names in (
        *(
            (mode, f"{t}_{t}_{t}")
            for mode in ("max", "min")
            for t in ("u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64")
        ),
        *(("avg", f"{t}_{t}_{t}") for t in ("f32", "f64")),
        *((mode, "f16_f32_f16") for mode in ("max", "min", "avg")),
        ("avg", "u8_i32_f64"),
        ("sum", "u8_i32_i64"),
        ("sum", "i64_i64_i64"),
    ):
        common = {"types": types(names), "mode": mode}
        for sizes in ({}, {"channels": 1}):
            yield (
                _name(f"windows_{mode}_{names}", sizes),
                lambda level, c=common, s=sizes: pooling.windows(level, **c, **s),
            )
            if mode == "avg" and names in (*floats, "f16_f32_f16"):
                yield (
                    _name(f"windows_{mode}_{names}", sizes) + "_blocks",
                    lambda level, c=common, s=sizes: pooling.windows(level, **c, **s, blocks=True),
                )
        if names in ("u8_u8_u8", "f16_f32_f16", "f32_f32_f32", "u8_i32_f64"):
            for channels in (1, 3):
                sizes = {"channels": channels, "side": 2}
                yield (
                    _name(f"squares_{mode}_{names}", sizes),
                    lambda level, c=common, s=sizes: pooling.squares(level, **c, **s),
                )
        for kind, volume in (("", False), ("_volume", True)):
            yield (
                f"doubling_{mode}_{names}{kind}",
                lambda level, c=common, v=volume: pooling.doubling(level, **c, volume=v),
            )
        for sizes in ({}, {"channels": 1}):
            blocked = mode == "avg" and names in (*floats, "f16_f32_f16")
            for blocks in (False, True) if blocked else (False,):
                yield (
                    _name(f"windows_{mode}_{names}_volume", sizes) + "_blocks" * blocks,
                    lambda level, c=common, s=sizes, b=blocks: pooling.windows(
                        level, **c, **s, blocks=b, volume=True
                    ),
                )


def _name(start: str, sizes: dict[str, int]) -> str:
    return "_".join([start, *(f"{name}{size}" for name, size in sizes.items())])


def compile_one(job: tuple[str, str, str, Path]) -> tuple[str, list[str]]:
    """Compile one pipeline for one level into an object file; returns its arguments' names."""
    name, base, level_name, folder = job
    level = next(level for level in levels_of(base) if level.name == level_name)
    pipeline = dict(table())[name](level)
    target = target_of(base, level, strict=pipeline.strict or not level.fused)
    function = f"{name}_{level.name}"
    outputs = {hl.OutputFileType.object: str(folder / f"{function}.o")}
    pipeline.func.compile_to(outputs, pipeline.arguments, function, target)
    return name, [*(argument.name() for argument in pipeline.arguments), "out"]


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
    """Link with the system's C compiler, or with zig's, which can link for every target.

    The library exports only the functions that convlens calls, and contains only the part of
    Halide's runtime that it needs.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if zig:
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", ZIG_TARGETS[base]]
    functions = [*RUNTIME, *(path.stem for path in objects if path.stem != "runtime")]
    exports = library.with_suffix(".def")
    inputs, options = [path.as_posix() for path in objects], ["-shared"]
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
    for path in sorted(Path(__file__).parent.glob("*.py")):
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
    levels, names = levels_of(base), [name for name, _ in table()]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        objects = Path(scratch)
        jobs = [(name, base, level.name, objects) for name in names for level in levels]
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
            "pipelines": {name: arguments[name] for name in names},
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
