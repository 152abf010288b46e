"""Compiles the pipelines when the package is built: see pipelines/build.py.

Without Halide, or with CONVLENS_COMPILE=0, the package is built without the compiled engine. With
CONVLENS_TARGET, as in `make wheels`, it is built for another machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HALIDE = "halide==21.0.0"
PLATFORMS = {
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
        has_linker = which(os.environ.get("CC", "cc")) and "CONVLENS_TARGET" not in os.environ
        return [HALIDE] if has_linker else [HALIDE, "ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name what the wheel is for."""
        if not wanted() or find_spec("halide") is None:
            why = "as asked by CONVLENS_COMPILE=0" if not wanted() else f"there is no {HALIDE} here"
            self.app.display_warning(
                f"convlens: building without the compiled engine ({why}); NumPy does all the work"
            )
            return
        root, target = Path(self.root), os.environ.get("CONVLENS_TARGET")
        editable = version == "editable"
        folder = root / ("src/convlens/engines" if editable else f"build/{target or 'here'}")
        command = [sys.executable, str(root / "pipelines" / "build.py"), str(folder)]
        if target:
            command += ["--target", target]
        if find_spec("ziglang"):
            command += ["--zig"]
        self.app.display_info("convlens: compiling the pipelines; this takes a minute or two")
        subprocess.run(command, check=True)
        for path in folder.glob("pipelines.*") if not editable else ():
            build_data["force_include"][str(path)] = f"convlens/engines/{path.name}"
        here = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{PLATFORMS[target] if target else here}"


def wanted() -> bool:
    """Whether the compiled engine is asked for, as it is by default."""
    return os.environ.get("CONVLENS_COMPILE") != "0"


def halide_exists() -> bool:
    """Whether Halide is published for this Python on this machine."""
    libc, release = platform.libc_ver()
    glibc = libc == "glibc" and tuple(map(int, release.split(".")[:2])) >= (2, 28)
    machine = platform.machine().lower()
    published = {
        "Linux": glibc and machine == "x86_64",
        "Darwin": machine in ("arm64", "x86_64"),
        "Windows": machine == "amd64",
    }
    cpython = sys.implementation.name == "cpython" and sys.version_info < (3, 14)
    return cpython and published.get(platform.system(), False)
