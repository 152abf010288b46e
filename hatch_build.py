"""Compiles the pipelines when the package is built: see pipelines/build.py.

Environment variables: with CONVLENS_COMPILE=0, as where there is no Halide, the package is built
without the compiled engine; with CONVLENS_TARGET, as in `make wheels`, for another machine; CC is
the C compiler that links.
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
TARGETS = {  # of Halide, and the wheels' names for them
    "x86-64-linux": "manylinux_2_17_x86_64",
    "arm-64-linux": "manylinux_2_17_aarch64",
    "arm-64-osx": "macosx_11_0_arm64",
    "x86-64-windows": "win_amd64",
}


class CompiledPipelines(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the shared library and puts it into the package."""

    def dependencies(self) -> list[str]:
        """Halide, where it can be had; and a linker, where there is none or not for the target."""
        if not wanted() or not halide_exists():
            return []
        return [halide(), *(group("linker") if needs_zig() else [])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name what the wheel is for."""
        target = os.environ.get("CONVLENS_TARGET")
        if target and target not in TARGETS:
            raise ValueError(f"CONVLENS_TARGET must be one of {', '.join(TARGETS)}; got {target!r}")
        why_not = obstacle()
        if why_not:
            if target:
                raise RuntimeError(f"convlens: cannot compile for {target}: {why_not}")
            self.app.display_warning(
                f"convlens: building WITHOUT the compiled engine: {why_not}; "
                "NumPy will do all the work"
            )
            return
        editable = version == "editable"
        folder = ROOT / ("src/convlens/engines" if editable else f"build/{target or 'here'}")
        command = [sys.executable, str(ROOT / "pipelines" / "build.py"), str(folder)]
        if target:
            command += ["--target", target]
        if needs_zig():
            command += ["--zig"]
        self.app.display_info("convlens: compiling the pipelines; this takes a minute or two")
        subprocess.run(command, check=True)
        for path in folder.glob("pipelines.*") if not editable else ():
            build_data["force_include"][str(path)] = f"convlens/engines/{path.name}"
        build_data["pure_python"] = False
        build_data["tag"] = tag(target)


def wanted() -> bool:
    """Whether the compiled engine is asked for, as it is by default."""
    return os.environ.get("CONVLENS_COMPILE") != "0"


def obstacle() -> str | None:
    """Why the pipelines cannot be compiled, or None."""
    if not wanted():
        return "CONVLENS_COMPILE=0 asks for that"
    if find_spec("halide") is None:
        return f"{Requirement(halide()).name} is not installed, or not published for this Python"
    if needs_zig() and find_spec("ziglang") is None:
        return "there is no C compiler, and ziglang is not installed"
    return None


def needs_zig() -> bool:
    """Whether to link with zig: for other machines, and where there is no C compiler."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    return bool(os.environ.get("CONVLENS_TARGET")) or which(compiler[0]) is None


def tag(target: str | None) -> str:
    """Any Python 3, no matter which ABI, on this machine or on the target's."""
    here = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"py3-none-{TARGETS[target] if target else here}"


def group(name: str) -> list[str]:
    """A dependency group of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["dependency-groups"][name])


def halide() -> str:
    """The requirement, which names the Pythons and the machines that Halide is published for."""
    return next(each for each in group("pipelines") if each.startswith("halide"))


def halide_exists() -> bool:
    """Whether Halide is published for this Python on this machine."""
    marker = Requirement(halide()).marker
    libc, release = platform.libc_ver()
    glibc = libc == "glibc" and tuple(map(int, release.split(".")[:2])) >= (2, 27)
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return (
        (marker is None or marker.evaluate())
        and (platform.system() != "Linux" or glibc)
        and not free_threaded
    )
