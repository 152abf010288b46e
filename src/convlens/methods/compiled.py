"""The compiled method: pipelines of the shared library, for all types that they take."""

from __future__ import annotations

from dataclasses import dataclass

from convlens.compiled import choice, holes, moving, ways, work
from convlens.core.problem import Array, Problem
from convlens.methods.medians import Moving


class Compiled:
    """The method "compiled"."""

    holes = holes

    def refuses(self, problem: Problem) -> str | None:
        """Why there is no pipeline for this problem."""
        missing = choice.missing(problem)
        if missing is None and _by_histogram(problem) and not Moving.serves(problem):
            return (
                f"its medians are of the commonest windows, one pixel apart along a row, and of "
                f"those of {moving.LEAST} to {moving.MOST} pixels"
            )
        return missing

    def is_slow_at(self, problem: Problem) -> str | None:
        """Say so if NumPy is faster, because there is next to nothing to compute."""
        if _by_histogram(problem):
            return None
        tiny = ways.suited(problem).tiny
        return "which is the faster one where there is so little to do" if tiny else None

    def weighs(self, problem: Problem) -> bool:
        """Whether there are pipelines that leave out pixels and divide by weights."""
        return choice.weighs(problem)

    def prepare(self, problem: Problem, kernels: Array | None) -> CompiledProgram | Moving:
        """Settle what the kernels' numbers decide."""
        if _by_histogram(problem):
            return Moving(problem)
        bare = problem.kernels is not None and kernels is None
        return CompiledProgram(problem, None if bare else ways.settle(problem, kernels))


def _by_histogram(problem: Problem) -> bool:
    """Whether this is a median that there is no pipeline for."""
    return problem.mode == "median" and not ways.has_pipeline(problem)


@dataclass(frozen=True, slots=True)
class CompiledProgram:
    """How pipelines compute a problem.

    Attributes
    ----------
    problem : Problem
    way : Way or None
        None leaves open what depends on the kernels' numbers.
    """

    problem: Problem
    way: ways.Way | None

    @property
    def for_any_numbers(self) -> bool:
        """Whether neither the type of the sums nor passes depend on the kernels' numbers."""
        return self.way is not None and ways.is_for_any_numbers(self.problem)

    def grain(self, problem: Problem) -> tuple[int, ...]:
        """Transforms are rounded tile by tile, so that cuts must lie between their tiles."""
        return ways.grain(problem, self.way)

    def describe(self) -> str:
        """Name the level of the processor, the family of the pipelines and their numbers."""
        return ways.describe(self.problem, self.way)

    def run(
        self,
        problem: Problem,
        images: Array,
        kernels: Array | None,
        out: Array,
        where: Array | None = None,
    ) -> None:
        """Compute the problem, or a part of it, into `out`."""
        assert self.way is not None, "a plan of bare shapes is settled before it is run"
        work.compute(problem, self.way, images, kernels, out, where)
