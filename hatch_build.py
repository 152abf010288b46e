"""Compiles the pipelines when the package is built, by running pipelines/build.py.

Where Halide, which compiles them, is not published, the package is built without the compiled
engine. A wheel has no such limit: `make wheels`, on a machine that Halide serves, makes wheels that
work on any CPython from 3.11 on, because ctypes loads the library, which knows nothing of Python.

Three environment variables matter. CONVLENS_COMPILE=0 builds without the compiled engine.
CONVLENS_TARGET names another machine to compile for, as `make wheels` does. CC is the C compiler
that links.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
TARGETS = {  # Halide's names of the machines that wheels are made for, and the wheels' own
    "x86-64-linux": "manylinux_2_17_x86_64",
    "arm-64-linux": "manylinux_2_17_aarch64",
    "arm-64-osx": "macosx_11_0_arm64",
    "x86-64-windows": "win_amd64",
}
REMEDY = (
    "To have the engine, install with CPython 3.11, 3.12 or 3.13 (not free-threaded), or install a "
    "wheel that `make wheels` made on another machine: it works on any CPython from 3.11 on."
)


class CompiledPipelines(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's hook that compiles the shared library and puts it into the package."""

    def dependencies(self) -> list[str]:
        """What the build needs: Halide where it is published, zig if it must link."""
        if not wanted() or not halide_exists():
            return []
        return [halide(), *(group("linker") if needs_zig() else [])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library, add it to the wheel, and name the machine that the wheel is for.

        If it cannot be compiled, a wheel for a named target is refused, because it would be useless
        there; any other is built without it, with a warning.
        """
        target = os.environ.get("CONVLENS_TARGET")
        if target and target not in TARGETS:
            raise ValueError(f"CONVLENS_TARGET must be one of {', '.join(TARGETS)}; got {target!r}")
        why_not = obstacle()
        if why_not:
            if target:
                raise RuntimeError(f"convlens: cannot compile for {target}: {why_not}")
            self.app.display_warning(
                f"convlens: building WITHOUT the compiled engine: {why_not}; NumPy will do all the "
                f"work, several times slower. {REMEDY}"
            )
            return
        # For this machine the library is built where a checkout looks for it, so that a wheel and
        # an editable install share it and it is compiled once.
        folder = ROOT / (f"build/{target}" if target else "src/convlens/compiled")
        command = [sys.executable, str(ROOT / "pipelines" / "build.py"), str(folder)]
        if target:
            command += ["--target", target]
        if needs_zig():
            command += ["--zig"]
        self.app.display_info("convlens: compiling the pipelines; this takes a minute or two")
        subprocess.run(command, check=True)
        if version != "editable":  # which finds it in the checkout
            for path in folder.glob("pipelines.*"):
                build_data["force_include"][str(path)] = f"convlens/compiled/{path.name}"
        build_data["pure_python"] = False
        build_data["tag"] = tag(target)


def wanted() -> bool:
    """Whether the compiled engine is asked for, as it is by default."""
    return os.environ.get("CONVLENS_COMPILE") != "0"


def obstacle() -> str | None:
    """Why the pipelines cannot be compiled, in words; None if they can."""
    if not wanted():
        return "CONVLENS_COMPILE=0 asks for that"
    if find_spec("halide") is None:
        return f"{Requirement(halide()).name} is not installed, or not published for this Python"
    if needs_zig() and find_spec("ziglang") is None:
        return "there is no C compiler, and ziglang is not installed"
    return None


def needs_zig() -> bool:
    """Whether zig must link: for other machines, and where there is no C compiler."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    return bool(os.environ.get("CONVLENS_TARGET")) or which(compiler[0]) is None


def tag(target: str | None) -> str:
    """The wheel's tag: any Python 3 and any ABI, on this machine or on the target."""
    here = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"py3-none-{TARGETS[target] if target else here}"


def group(name: str) -> list[str]:
    """The requirements of one of pyproject.toml's dependency groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["dependency-groups"][name])


def halide() -> str:
    """The requirement of Halide; its marker names the Pythons and machines it is published for."""
    return next(each for each in group("pipelines") if each.startswith("halide"))


def halide_exists() -> bool:
    """Whether Halide is published for this Python on this machine.

    A marker cannot tell glibc from musl, nor a free-threaded Python from others, so these are
    looked at here.
    """
    marker = Requirement(halide()).marker
    libc, release = platform.libc_ver()
    glibc = libc == "glibc" and tuple(map(int, release.split(".")[:2])) >= (2, 27)
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return (
        (marker is None or marker.evaluate())
        and (platform.system() != "Linux" or glibc)
        and not free_threaded
    )
