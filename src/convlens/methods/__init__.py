"""The methods: ways to compute a problem. All of them have one meaning, that of `taps`.

A method that is registered in METHODS is what `method=` may name, and every test of meaning and of
promises is run with it.
"""

from __future__ import annotations

from typing import Any, Protocol

from convlens.core.problem import Array, Problem
from convlens.methods.compiled import Compiled
from convlens.methods.taps import Taps


class Program(Protocol):
    """How a method computes a problem: whatever could change a bit is settled.

    A problem may be cut into parts: into single images, along every axis between multiples of the
    grain, and between channels that are independent of each other. A program that was prepared for
    the whole gives every part the bits that it has in the whole.
    """

    @property
    def for_any_numbers(self) -> bool:
        """Whether it also serves other kernels of the same shape and type."""

    def grain(self, problem: Problem) -> tuple[int, ...]:
        """How many outputs stay together along each axis; 1 if cuts may be anywhere."""

    def describe(self) -> str:
        """Say what `run` will do."""

    def run(self, problem: Problem, images: Array, kernels: Array | None, out: Array, /) -> None:
        """Compute the problem that this was prepared for, or a part of it, into `out`."""


class Weigher(Program, Protocol):
    """The program of a problem that its method weighs."""

    def run(
        self,
        problem: Problem,
        images: Array,
        kernels: Array | None,
        out: Array,
        where: Array | None = None,
        /,
    ) -> None:
        """Compute the problem. `where` says which pixels take part, if an array does."""


class Holes(Protocol):
    """How pixels that take no part are left out, for methods that do not weigh: `holes.py`."""

    def fill(self, cells: Array, pixels: Array, where: Array | None, nothing: Any) -> None:
        """Copy the pixels that take part, and put a number in place of the others."""

    def weigh(self, cells: Array, pixels: Array, where: Array | None) -> None:
        """Write the weights of pixels: 1 for those that take part, 0 for the others."""

    def divide(self, sums: Array, weights: Array, out: Array) -> None:
        """Write sums divided by weights: NaN where there is no weight."""


class Method(Protocol):
    """A way to compute problems."""

    @property
    def holes(self) -> Holes:
        """How it leaves out pixels where it does not weigh."""

    def refuses(self, problem: Problem) -> str | None:
        """Why it cannot compute this problem; None if it can."""

    def is_slow_at(self, problem: Problem) -> str | None:
        """Why another method is faster; None if none is."""

    def weighs(self, problem: Problem) -> bool:
        """Whether it leaves out pixels itself; it is the same for all parts of a problem."""

    def prepare(self, problem: Problem, kernels: Array | None) -> Program:
        """Settle how to compute a problem; the kernels are None if only their shape is known."""


METHODS: dict[str, Method] = {"compiled": Compiled(), "numpy": Taps()}  # the fastest first
