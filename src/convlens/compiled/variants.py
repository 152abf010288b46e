"""What the compiled pipelines are for, as the build wrote it down, and the choice among them.

The build lists a *variant* for every pipeline: its family, its types, the names of its arguments,
and what it requires of a problem. The engine describes a problem by numbers, its *facts*; a variant
fits if each fact that it names lies in the range that it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Facts = Mapping[str, int]
Types = tuple[str, ...]  # of pixels, numbers and results; a pooling's mode comes before them


class Variant(NamedTuple):
    """One compiled pipeline.

    Attributes
    ----------
    name : str
        The pipeline's name, without its level.
    family : str
        The way in which it computes, such as "planes".
    types : tuple of str
    requires : dict
        For each fact that matters, the least and the greatest number; None is no limit.
    preference : int
        Of two variants that fit, the preferred one is taken, or else the one that requires more.
    arguments : dict
        For each argument, in their order: "array", or the type of a scalar, such as "int32".
    """

    name: str
    family: str
    types: Types
    requires: dict[str, tuple[int, int | None]]
    preference: int
    arguments: dict[str, str]

    def fits(self, facts: Facts) -> bool:
        """Whether the facts of a problem are what the pipeline requires."""
        return all(
            low <= facts[fact] and (high is None or facts[fact] <= high)
            for fact, (low, high) in self.requires.items()
        )


class Variants:
    """All variants of a library.

    Parameters
    ----------
    listed : list of dict
        What the build wrote.
    """

    def __init__(self, listed: Iterable[dict[str, Any]]) -> None:
        made = [Variant(**{**each, "types": tuple(each["types"])}) for each in listed]
        self.by_name = {variant.name: variant for variant in made}
        self._by_types: dict[Types, list[Variant]] = {}
        for variant in made:
            self._by_types.setdefault(variant.types, []).append(variant)

    def of(self, types: Types) -> list[Variant]:
        """All variants for these types."""
        return self._by_types.get(types, [])

    def choose(self, facts: Facts, types: Iterable[Types]) -> Variant:
        """The variant for these facts that is preferred, for one of these types.

        Of equally preferred ones, the one for the first of the types is taken.

        Raises
        ------
        LookupError
            If none fits.
        """
        fitting = [
            (variant.preference, len(variant.requires), -place, variant)
            for place, each in enumerate(types)
            for variant in self._by_types.get(each, ())
            if variant.fits(facts)
        ]
        if not fitting:
            raise LookupError(f"no pipeline for {facts} in one of the types {list(types)}")
        return max(fitting, key=lambda each: each[:3])[-1]
