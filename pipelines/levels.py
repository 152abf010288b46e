"""The processors that pipelines are compiled for, and what a schedule needs to know of them."""

from __future__ import annotations

from dataclasses import dataclass

import halide as hl


@dataclass(frozen=True)
class Level:
    """What the processors of one level have in common.

    Attributes
    ----------
    name : str
    features : tuple of str
        Halide's names of the instruction sets.
    vector : int
        Bits of a vector register.
    fused : bool
        Whether it multiplies and adds in one instruction.
    """

    name: str
    features: tuple[str, ...]
    vector: int
    fused: bool = True

    def lanes(self, numbers: hl.Type) -> int:
        """Numbers in a vector."""
        return self.vector // numbers.bits()


AVX2 = ("sse41", "avx", "f16c", "fma", "avx2")
LEVELS = {
    "x86-64": (
        Level("avx512", (*AVX2, "avx512", "avx512_skylake"), 512),
        Level("avx2", AVX2, 256),
        Level("baseline", (), 128, fused=False),
    ),
    "arm-64": (Level("neon", (), 128),),
}  # fmt: skip


@dataclass(frozen=True)
class Pipeline:
    """A pipeline, ready to be compiled.

    Attributes
    ----------
    func : halide.Func
        What it computes.
    arguments : list
        What it is called with.
    strict : bool
        Whether NaN and infinity must be compared as they are, at the cost of fused multiply-adds.
    """

    func: hl.Func
    arguments: list[hl.Argument]
    strict: bool = False
