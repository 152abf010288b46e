"""Where the course files are, what each must define, and how to load one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "math" / "convolutions_and_pooling"


class CourseFile(NamedTuple):
    """What the brief asks of one file."""

    name: str
    signature: str
    loops: int = 2

    @property
    def path(self):
        """The file itself."""
        return FOLDER / f"{self.name}.py"

    @property
    def function_name(self):
        """The signature's first word."""
        return self.signature.partition("(")[0]

    def load(self):
        """The function that the file defines."""
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, self.function_name)


STRIDED = "padding='same', stride=(1, 1)"
FILES = [
    CourseFile("0-convolve_grayscale_valid", "convolve_grayscale_valid(images, kernel)"),
    CourseFile("1-convolve_grayscale_same", "convolve_grayscale_same(images, kernel)"),
    CourseFile(
        "2-convolve_grayscale_padding", "convolve_grayscale_padding(images, kernel, padding)"
    ),
    CourseFile("3-convolve_grayscale", f"convolve_grayscale(images, kernel, {STRIDED})"),
    CourseFile("4-convolve_channels", f"convolve_channels(images, kernel, {STRIDED})"),
    CourseFile("5-convolve", f"convolve(images, kernels, {STRIDED})", loops=3),
    CourseFile("6-pool", "pool(images, kernel_shape, stride, mode='max')"),
]
FUNCTIONS = [file.load() for file in FILES]
