"""Who takes part: convlens, the course files and the peers, each with the calls that are timed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from cases import Case

import convlens

Array = npt.NDArray[Any]
Role = Literal["peer", "trick", "course", "ours"]
COURSE = Path(__file__).parents[1] / "math" / "convolutions_and_pooling"
PEERS = {  # the modules of `peers`, by the name of what they compare with
    "PyTorch": "pytorch",
    "ONNX Runtime": "onnx_runtime",
    "OpenCV": "open_cv",
    "SciPy": "sci_py",
    "NumPy": "num_py",
    "JAX": "xla",
    "astropy": "astro_py",
}


class Task:
    """A case with its numbers; peers read the full forms, which have every axis.

    Attributes
    ----------
    case : Case
    images, kernels : numpy.ndarray
        As convlens takes them; a pooling has no kernels.
    plan : convlens.Plan
    space : {1, 2, 3}
        The number of spatial axes.
    pixels : numpy.ndarray
        The images, (m, *space, c): signals are (m, w, c), volumes are (m, d, h, w, c).
    taps : numpy.ndarray
        The kernels of a convolution, (*taps, c // groups, nc).
    mode : {"sum", "max", "avg"}
        "sum" is a convolution.
    border : str
        What the padding holds: "constant" is zeros, "nothing" takes no part in a pooling, and the
        others are modes of `numpy.pad`.
    real : numpy.dtype
        The floating type in which peers compute.
    """

    def __init__(self, case: Case, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.case = case
        self.images = _random(rng, case.images, case.dtype)
        if self.holed:
            self.images[rng.random(case.images) < 0.2] = np.nan
        pooling = case.operation == "pool"
        self.kernels: Array | None = None
        if not pooling:
            numbers = isinstance(case.kernels, np.ndarray)
            self.kernels = case.kernels if numbers else _normal(rng, case.kernels, case.dtype)
        self.arguments = (self.images, case.kernels if pooling else self.kernels)
        self.options = case.options | {"space": case.space}
        self.plan: convlens.Plan = getattr(convlens, f"plan_{case.operation}")(
            *self.arguments, **self.options
        )
        problem = self.plan.problem
        self.space, self.mode, self.border = problem.space, problem.mode, problem.pad_mode
        self.count_padding, self.channels = problem.count_padding, problem.channels
        self.real: np.dtype[Any] = np.dtype("float64" if case.dtype == "float64" else "float32")

    def run(self, out: Array | None = None) -> Array:
        """Compute the task with convlens, called as a user calls it."""
        result: Array = getattr(convlens, self.case.operation)(
            *self.arguments, **self.options, out=out
        )
        return result

    @cached_property
    def pixels(self) -> Array:
        """The images with all axes."""
        images = self.plan.problem.full_images(self.images)
        return images[:, 0] if self.space == 1 else images  # convlens: an image of one row

    @cached_property
    def taps(self) -> Array:
        """The kernels with all axes."""
        assert self.kernels is not None, "a pooling has none"
        kernels = self.plan.problem.full_kernels(self.kernels)
        return kernels[0] if self.space == 1 else kernels

    def full_output(self, output: Array) -> Array:
        """A result of the caller's form with all axes: (m, *outputs, nc)."""
        output = self.plan.problem.full_output(output)
        return output[:, 0] if self.space == 1 else output

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(m, *outputs, nc)."""
        m, *outputs, nc = self.plan.problem.full_output_shape
        return m, *outputs[-self.space :], nc

    @property
    def pads(self) -> bool:
        """Whether there is padding at all."""
        return any(map(any, self.plan.padding))

    @property
    def pads_zeros(self) -> bool:
        """Whether padding, if there is any, is what all peers know: zeros, or left out of a max."""
        return not self.pads or self.border in ("constant", "nothing")

    @property
    def exact(self) -> bool:
        """Whether nothing is rounded, because the answer is integers or some of the pixels."""
        return self.mode == "max" or self.plan.output_dtype.kind in "iu"

    @property
    def clipped(self) -> bool:
        """Whether results are rounded and clipped, which few peers do."""
        return self.plan.problem.overflow == "saturate"

    @property
    def holed(self) -> bool:
        """Whether NaN takes no part, and sums are divided by the weight that was there."""
        return bool(self.case.options.get("renormalize", False))

    @property
    def same_kernel(self) -> Array | None:
        """The kernel (*taps) that is applied to each channel, if that is what is asked for."""
        if self.mode != "sum" or self.plan.groups != self.channels or self.taps.shape[-2] != 1:
            return None
        kernel = self.taps[..., 0, 0]
        return kernel if (self.taps[..., 0, :] == kernel[..., np.newaxis]).all() else None

    @property
    def lines(self) -> list[Array]:
        """A line of taps along each axis, of which a gaussian is the product, as it sums to 1."""
        kernel, axes = self.taps[..., 0, 0].astype(float), range(self.space)
        return [kernel.sum(tuple(other for other in axes if other != axis)) for axis in axes]


@dataclass(frozen=True)
class Contender:
    """One way to do a task.

    Attributes
    ----------
    name : str
        The library, and after a comma its layout or function.
    fresh : callable
        Computes the task into a new array, and returns that.
    answer : callable
        Turns a result into a NumPy array (m, *outputs, nc).
    into : callable, optional
        Computes the task into an array made before.
    role : {"peer", "trick", "course", "ours"}
        A trick treats the data as something they are not, which the peer's manual would suggest to
        nobody; it is timed and shown, but is never called the best peer.
    """

    name: str
    fresh: Callable[[], Any]
    answer: Callable[[Any], Array]
    into: Callable[[], Any] | None = None
    role: Role = "peer"


def find_peers(names: Iterable[str] = tuple(PEERS)) -> tuple[dict[str, Any], list[str]]:
    """The peers that are installed, imported, and the names of those that are not."""
    found, missing = {}, []
    for name in filter(PEERS.get, names):
        try:
            found[name] = import_module(f"peers.{PEERS[name]}")
        except ImportError:
            missing.append(name)
    return found, missing


def contenders(task: Task, peers: dict[str, Any]) -> list[Contender]:
    """Everyone who can express a task, convlens first."""
    found = [_convlens(task)]
    if task.case.course:
        found.append(_course(task))
    for peer in peers.values():
        if task.clipped and not hasattr(peer, "CLIPS"):
            continue
        if task.holed and not hasattr(peer, "HOLES"):
            continue
        found += peer.contenders(task)
    return found


def _convlens(task: Task) -> Contender:
    out = np.empty(task.plan.output_shape, task.plan.output_dtype)
    return Contender("convlens", task.run, task.full_output, partial(task.run, out), role="ours")


def _course(task: Task) -> Contender:
    assert task.case.course is not None
    file, name, arguments = task.case.course
    sys.path.insert(0, str(COURSE))
    try:
        function = getattr(import_module(file), name)
    finally:
        sys.path.remove(str(COURSE))
    call = partial(function, *task.arguments, *arguments)
    return Contender("the course file", call, task.full_output, role="course")


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    return rng.random(shape, np.dtype(dtype).type)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    return rng.standard_normal(shape).astype(dtype)
