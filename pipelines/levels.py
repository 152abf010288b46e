"""The levels of processors that pipelines are compiled for, with what schedules depend on."""

from __future__ import annotations

from dataclasses import dataclass

import halide as hl


@dataclass(frozen=True)
class Level:
    """The instruction sets that the processors of one level have in common.

    Attributes
    ----------
    name : str
    features : tuple of str
        Halide's names of the instruction sets.
    vector : int
        The number of bits of a vector register.
    fused : bool
        Whether one instruction multiplies and adds.
    """

    name: str
    features: tuple[str, ...]
    vector: int
    fused: bool = True

    def converted(self, number: hl.Expr, to: hl.Type) -> hl.Expr:
        """A number in another type. Where no instruction converts float16, Halide loses its NaN."""
        native, half = "f16c" in self.features, hl.Float(16)
        result = hl.cast(to, number)
        if native or number.type() == to:
            return result
        if number.type() == half:
            is_nan = (hl.reinterpret(hl.UInt(16), number) & 0x7FFF) > 0x7C00
            return hl.select(is_nan, hl.f32(float("nan")), result)
        if to == half:
            quiet = hl.reinterpret(half, hl.cast(hl.UInt(16), 0x7E00))
            return hl.select(hl.is_nan(number), quiet, result)
        return result

    def lanes(self, numbers: hl.Type) -> int:
        """The number of numbers of this type in a vector."""
        return int(self.vector // numbers.bits())


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
    """A pipeline that is ready to be compiled.

    Attributes
    ----------
    func : halide.Func or None
        The output, as it is defined and scheduled; None if it is written in C.
    arguments : list
        The arguments that it is called with.
    strict : bool
        Whether the compiler must keep comparisons exact for NaN and infinity, which also forbids it
        to fuse multiplications with additions.
    """

    func: hl.Func | None
    arguments: list[hl.Argument]
    strict: bool = False
