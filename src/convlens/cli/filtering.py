"""What an operation makes of a page of a picture, strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, lcm, prod
from typing import Any

import numpy as np

from convlens import pictures
from convlens.cli.operation import Operation
from convlens.core.problem import Array, Spec
from convlens.execute.rows import rolling, strips
from convlens.pictures import Picture
from convlens.plan import Plan, for_parts

# Kernels whose sum is smaller, next to the sum of their magnitudes, make no opacity: it is kept.
_NEARLY_0 = 0.01
_HELD = 2**24  # bytes of a picture that may be held between two passes
ALPHAS = ("weigh", "keep", "ignore")


@dataclass(frozen=True, slots=True)
class Choices:
    """How pictures are taken, and how results become pixels.

    Attributes
    ----------
    how : str or None
        One of `pictures.MAPS`; None for what suits the kernels.
    alpha : str
        One of `ALPHAS`.
    page : int, "all" or None
    """

    how: str | None = None
    alpha: str = "weigh"
    page: int | str | None = None


class Filtered:
    """The result of an operation on one page.

    Parameters
    ----------
    operation : Operation
    picture : Picture
    choices : Choices
    whole : bool
        Whether it is one of all pages of the file.
    advance : callable
        Called with the share of the picture that was processed since the last call.

    Attributes
    ----------
    plan : Plan
        For the colours.
    """

    def __init__(
        self,
        operation: Operation,
        picture: Picture,
        choices: Choices,
        whole: bool = True,
        advance: Callable[[float], object] = lambda _: None,
    ) -> None:
        operation = operation.on_pictures()
        self._picture, self._advance, spec = picture, advance, picture.spec
        self._whole = whole
        self._held: Array | None = None
        self._opacity = choices.alpha if picture.alpha else "ignore"
        self._weights: Plan | None = None
        self._how = choices.how or default_map(operation, picture.dtype)
        if self._opacity == "weigh":
            dtype = pictures.weighed_dtype(picture.dtype)
            full = pictures.weight(white(picture.dtype))
            of_weights, self._total = operation.of_weights(full)
            self._weigher, operation = of_weights, operation.of_colours(full)
            self._cancels = bool(
                of_weights.numbers is not None
                and abs(self._total) <= _NEARLY_0 * float(np.abs(of_weights.numbers).sum())
            )
            self._weights = of_weights.planned(Spec(spec.shape[:3], dtype))
            spec = Spec(spec.shape, dtype)
        self._operation, self._spec = operation, operation.layout(spec)
        self.plan = operation.planned(self._spec)
        shape = self.plan.output_shape
        self._channels = shape[3] if len(shape) == 4 else 1

    def result(self) -> pictures.Result:
        """The page to write, whose pixels are computed as they are written."""
        problem, alpha = self.plan.problem, self._opacity != "ignore"
        return pictures.Result(
            *(self._picture, problem.rows, problem.columns, self._channels, alpha),
            *(self._picture.dtype, self._whole, self._pixels()),
        )

    def _pixels(self) -> Iterator[Array]:
        """The result's rows (n, w, samples), from top to bottom."""
        extent, passes = None, 2 if self._how == "stretch" else 1
        if passes == 2:
            extent = self._extent(1 / passes)
        dtype = self._picture.dtype
        for colours, alpha in self._results(1 / passes):
            pixels = pictures.to_pixels(colours, dtype, self._how, extent)
            if alpha is not None:
                opacity = pictures.to_pixels(alpha, dtype, "clip")
                pixels = np.concatenate([pixels, opacity[:, :, np.newaxis]], axis=2)
            yield pixels

    def _rows(self) -> Callable[[int, int], Array]:
        """What reads rows of the picture. If it is read twice and is small, it is held instead."""
        picture = self._picture
        nbytes = prod(picture.shape) * picture.samples * picture.dtype.itemsize
        if self._how != "stretch" or nbytes > _HELD:
            return picture.rows()
        if self._held is None:
            self._held = picture.rows()(0, picture.shape[0])
        held = self._held
        return lambda start, stop: held[start:stop]

    def _extent(self, share: float) -> tuple[float, float]:
        """The smallest and the largest result that can be seen."""
        low, high = inf, -inf
        for colours, alpha in self._results(share):
            seen = colours if alpha is None else colours[np.rint(alpha) > 0]
            if seen.size:
                least, most = pictures.extent_of(seen)
                low, high = min(low, least), max(high, most)
        return (low, high) if low <= high else (0, 0)

    def _results(self, share: float) -> Iterator[tuple[Array, Array | None]]:
        """Colours (n, w, c) before they become pixels, and opacity (n, w), strip by strip."""
        picture, problem = self._picture, self.plan.problem
        run, grain = for_parts(self.plan, self._operation.numbers)
        run_weights = None
        if self._weights is not None:
            run_weights, other = for_parts(self._weights, self._weigher.numbers)
            grain = tuple(map(lcm, grain, other))
        h, w = picture.shape
        row_bytes = w * picture.samples * max(4, self._spec.dtype.itemsize)
        row_bytes += problem.columns.outputs * self._channels * problem.output_dtype.itemsize
        cuts = strips(problem.rows, row_bytes, grain[-2])
        rows, columns = pictures.middles(problem.rows), pictures.middles(problem.columns)
        needs = [np.union1d(cut.rows, rows[cut.outputs.start : cut.outputs.stop]) for cut in cuts]
        for cut, take in zip(cuts, rolling(self._rows(), h, needs), strict=True):
            values = take(cut.rows)
            colours, weights = values[:, :, : picture.colours], None
            if self._opacity == "weigh":
                colours, weights = pictures.weigh(colours, values[:, :, -1])
            part = cut.of(problem)
            images = np.ascontiguousarray(colours).reshape(part.images.shape)
            sums = run(part, images, self._operation.numbers).reshape(
                len(cut.outputs), problem.columns.outputs, self._channels
            )
            alpha = None
            if self._opacity != "ignore":
                alpha = take(rows[cut.outputs.start : cut.outputs.stop])[:, columns, -1]
            if weights is not None:
                assert run_weights is not None
                assert self._weights is not None
                if self._cancels:
                    filtered = pictures.weight(alpha)
                else:
                    part = cut.of(self._weights.problem)
                    filtered = run_weights(part, weights[np.newaxis], self._weigher.numbers)[0]
                    filtered = filtered / self._total
                sums, alpha = pictures.unweigh(sums, filtered, white(picture.dtype))
            yield sums, alpha
            self._advance(share * len(cut.outputs) / problem.rows.outputs)


def white(dtype: np.dtype[Any]) -> float:
    """The number of full opacity."""
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def default_map(operation: Operation, dtype: np.dtype[Any]) -> str:
    """How results become pixels unless told: edges would lose their negative half to "clip"."""
    return "absolute" if operation.cancels and dtype.kind in "bu" else "clip"


class Volume:
    """The result of an operation on the pages of a stack, taken as one volume, in memory."""

    def __init__(self, operation: Operation, pages: Sequence[Picture], choices: Choices) -> None:
        first = pages[0]
        if any((page.spec, page.alpha) != (first.spec, first.alpha) for page in pages):
            raise ValueError("the pages differ in size or type, so they make no volume")
        if first.alpha and choices.alpha != "ignore":
            raise ValueError("a volume has no transparency: give --alpha ignore to leave it out")
        self._operation, self._pages = operation.on_pictures(), pages
        shape = (1, len(pages), *first.spec.shape[1:])  # (1, d, h, w) or (1, d, h, w, c)
        self._spec = self._operation.layout(Spec(shape, first.dtype))
        self._how = choices.how or default_map(self._operation, first.dtype)
        self.plan = self._operation.planned(self._spec)

    def results(self) -> Iterator[pictures.Result]:
        """The pages to write."""
        images = np.empty(self._spec.shape, self._spec.dtype)
        for page, slab in zip(self._pages, images[0], strict=True):
            slab[...] = page.rows()(0, page.shape[0])[:, :, : page.colours].reshape(slab.shape)
        values = self.plan(images, self._operation.numbers)
        pixels = pictures.to_pixels(values, self._spec.dtype, self._how)
        problem = self.plan.problem
        deep = pictures.middles(problem.axes[0])
        for number, flat in zip(deep, pixels[0], strict=True):
            slab = flat.reshape(*flat.shape[:2], -1)  # (h, w, c)
            yield pictures.Result(
                *(self._pages[number], problem.rows, problem.columns, slab.shape[2], False),
                *(self._spec.dtype, len(deep) == len(self._pages), [slab]),
            )
