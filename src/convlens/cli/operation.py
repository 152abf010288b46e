"""What `apply` and `pool` do to a file: how to plan it for arrays, for pictures and for opacity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlens.core.problem import Array, Spec
from convlens.operations import plan_convolve, plan_pool
from convlens.plan import Plan


@dataclass(frozen=True, slots=True)
class Operation:
    """A convolution or a pooling, with its options.

    Attributes
    ----------
    kernels : numpy.ndarray, tuple of int or None
        The kernels, or their shape where only that is known; None for pooling.
    options : mapping
        The arguments of `plan_convolve` or `plan_pool` after images and kernels.
    """

    kernels: Array | tuple[int, ...] | None
    options: Mapping[str, Any]

    @property
    def numbers(self) -> Array | None:
        """The kernels' numbers, if there are any and they are known."""
        return self.kernels if isinstance(self.kernels, np.ndarray) else None

    def planned(self, spec: Spec) -> Plan:
        """The plan for images of this shape and type, made without their numbers."""
        if spec.nbytes >= 2**63:
            size = "x".join(map(str, spec.shape))
            raise ValueError(
                f"no array is as large as {size} {spec.dtype}: {spec.nbytes:.3g} bytes"
            )
        images = np.broadcast_to(np.zeros((), spec.dtype), spec.shape)
        if self.kernels is None:
            return plan_pool(images, **self.options)
        options = dict(self.options)
        if options.get("pad_mode") is None:
            options["pad_mode"] = "constant"
        return plan_convolve(images, self.kernels, **options)

    def on_pictures(self) -> Operation:
        """The same with what is the default for pictures: borders that do not go dark."""
        unset = self.kernels is not None and self.options.get("pad_mode") is None
        if not unset or self.options.get("pad_value", 0) != 0:
            return self
        return replace(self, options={**self.options, "pad_mode": "edge"})

    def layout(self, spec: Spec) -> Spec:
        """A picture's shape for the call: gray gets a channel axis if the kernels have channels."""
        taps = self.options.get("space", 2)
        kernels = self.kernels.shape if isinstance(self.kernels, np.ndarray) else self.kernels
        gray = len(spec.shape) == taps + 1
        return Spec((*spec.shape, 1), spec.dtype) if gray and len(kernels or ()) > taps else spec

    @property
    def cancels(self) -> bool:
        """Whether every kernel sums to 0, as those that find edges do."""
        kernels = self.numbers
        if kernels is None or kernels.dtype.kind not in "iuf" or not np.isfinite(kernels).all():
            return False
        taps = tuple(range(min(kernels.ndim, 2 if kernels.ndim < 4 else 3)))
        sums, sizes = kernels.sum(axis=taps), np.abs(kernels).sum(axis=taps)
        return bool(sizes.any() and (np.abs(sums) <= 1e-9 * sizes).all())

    def of_colours(self, full: float) -> Operation:
        """The operation on colours that opacity weighs: `full` is the weight of opaque pixels.

        Their sums need a type of their own. A number that the padding holds is opaque.
        """
        value = self.options.get("pad_value", 0)
        options = {**self.options, "pad_value": value * full}
        return Operation(
            self.kernels, options if self.kernels is None else {**options, "dtype": None}
        )

    def of_weights(self, full: float) -> tuple[Operation, float]:
        """The operation on the weights, and the number by which its results are divided.

        Weights are filtered as colours are. Kernels of several channels are merged into one.
        """
        value = full if self.options.get("pad_value", 0) else 0
        options = {**self.options, "pad_value": value}
        if self.kernels is None:
            mode = self.options["mode"]
            return Operation(None, {**options, "mode": "avg" if mode == "sum" else mode}), 1.0
        kernel = np.asarray(self.kernels)
        while kernel.ndim > 2:
            kernel = kernel.sum(axis=2)
        return Operation(kernel, {**options, "groups": 1, "dtype": None}), float(kernel.sum())
