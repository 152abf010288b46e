"""Settle how the compiled engine carries out a call, and describe it in words for the plan.

A call may be carried out in parts, which have other sizes than the whole. Everything that could
change a bit is therefore settled once for the whole call: what depends on the kernels' numbers, and
whether rows and columns are exchanged.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from convlens.call import Array, Call
from convlens.engines import large
from convlens.engines.library import loaded
from convlens.engines.methods import (
    F16,
    F32,
    I64,
    U8,
    DType,
    Factors,
    choose,
    rank_1,
    summing_type,
    two_passes_pay,
)


class Way(NamedTuple):
    """How the compiled engine carries out a call and all its parts.

    Attributes
    ----------
    turned : bool
        Whether rows and columns are exchanged.
    numbers : numpy.dtype or None
        The type that a convolution adds up in; None for pooling, whose types decide it alone.
    factors : Factors or None
        The factors of a kernel that is a column times a row, if it is computed in two passes.
    taps : Part or None
        The taps of a pooling's window that matter, if these are not all.
    """

    turned: bool
    numbers: DType | None
    factors: Factors | None
    taps: large.Part | None = None

    def part(self, down: range, across: range) -> Way:
        """The way for a part of the window: these taps down and across."""
        if self.factors is None:
            return self
        column, row, scale = self.factors
        column, row = column[down.start : down.stop], row[across.start : across.stop]
        return self._replace(factors=Factors(column, row, scale))


def settle(call: Call, kernels: Array | None) -> Way:
    """Settle how to carry out a call with these kernels, which are None for pooling."""
    turned = suited(call).turned
    if kernels is None:
        taps = large.taps_on_pixels(turn(call) if turned else call)
        return Way(turned, None, None, taps)
    kernels = call.full_kernels(kernels)
    numbers = summing_type(call, kernels)
    if turned:
        call, kernels = turn(call), kernels.swapaxes(0, 1)
    return Way(turned, numbers, rank_1(call, numbers, kernels) if kernels.size else None)


def turn(call: Call) -> Call:
    """The call for images, kernels and output whose rows and columns have been exchanged."""
    return replace(call, axes=call.axes[::-1])


def describe(call: Call, way: Way | None) -> str:
    """Describe in words how a call is carried out; without a way, say what that depends on too."""
    two_passes = way is not None and way.factors is not None
    # There is no way if the kernels are a bare shape, which stands for float64 numbers.
    numbers = way.numbers if way else call.sum_dtype
    turned = way.turned if way else suited(call).turned
    call = turn(call) if turned else call
    method = choose(call, numbers, two_passes)
    words = ["on images turned on their side"] if turned else []
    taps = way.taps if way else None
    if taps or large.is_large(call, method):
        parts = large.parts(call, method, taps)
        if len(parts) > 1:
            words.append(f"the window in {len(parts)} parts")
        else:
            words.append("the taps that meet a pixel" if taps else "channels apart")
        method = choose(
            large.call_on(call, parts[0], range(call.rows.outputs), range(call.columns.outputs)),
            numbers,
            two_passes,
        )
    words += [WORDS[method.pipeline.partition("_")[0]], f"in {method.numbers}"]
    if call.kernels is not None and call.sum_dtype.kind != "f" and call.images.dtype.itemsize < 8:
        words.append("the first of float32, float64, int64 that is exact with these kernels")
    if two_passes:
        words.append("as the kernel is a column times a row")
    elif way is None and two_passes_pay(call):
        words.append("or in two passes if the kernel is a column times a row")
    return f"for {loaded().level}, {', '.join(words)}"


WORDS = {
    "planes": "vectors along the rows",
    "dense": "vectors along the kernels",
    "depthwise": "vectors along the channels",
    "separable": "in two passes, down and then across",
    "windows": "tap by tap, down and then across",
    "squares": "squares side by side",
    "doubling": "by windows of twice the size at each step, down and then across",
}


# ------------------------------------------------------------------- thin and tiny images

# A pipeline has a fixed cost for every image and every row. Where rows are short, this may exceed
# the cost of exchanging rows and columns, or the time that NumPy takes, which computes all images
# at once. The choice can change bits, so it depends on the type and the sizes of an image alone,
# never on the batch, and is settled for a whole call. The times below are rough and for one thread,
# so NumPy's engine is taken only where it is clearly faster.
NARROW = 16  # rows of fewer outputs than this do not fill the vectors
FEW = 64  # steps in Python that take little time even for a single image
TINY = 4096  # numbers of an image and its output, at most, for which NumPy may be the faster


class Suited(NamedTuple):
    """How images of these sizes are computed fastest.

    Attributes
    ----------
    turned : bool
        Whether the compiled engine should exchange rows and columns.
    tiny : bool
        Whether there is so little work that NumPy's engine is faster.
    """

    turned: bool
    tiny: bool


def suited(call: Call) -> Suited:
    """How a call's images are computed fastest."""
    return _UPRIGHT if call.columns.outputs >= NARROW else _suited(call)


def _pixels(call: Call) -> DType:
    """The images' type as pipelines see it: in native byte order, and booleans as bytes."""
    return U8 if call.images.dtype.kind == "b" else call.images.dtype.newbyteorder("=")


_UPRIGHT = Suited(turned=False, tiny=False)


@lru_cache(maxsize=256)
def _suited(call: Call) -> Suited:
    """Compare the estimated nanoseconds for an image, without the arithmetic of the pipelines."""
    oh, ow, nc = call.full_output_shape[1:]
    if 0 in (oh, ow, nc):
        return _UPRIGHT
    numbers = call.rows.size * call.columns.size * call.channels + oh * ow * nc
    # A single column of pixels becomes a row without a copy; wider images are copied.
    turning = numbers * (0.5 if call.columns.size == ow == 1 else 2.2)
    upright, turned = _of_pipelines(call), turning + _of_pipelines(turn(call))
    numpy = _of_numpy_pooling(call) if call.kernels is None else _of_numpy_convolution(call)
    few = numbers <= TINY and _steps_of_numpy(call) <= FEW
    tiny = few and 1.5 * numpy < min(upright, turned)
    return Suited(turned < upright, tiny)


def _steps_of_numpy(call: Call) -> int:
    """How many steps NumPy's engine takes in Python, for which only many images make up."""
    rows, columns = call.rows, call.columns
    if call.kernels is not None:
        return rows.window * columns.window
    return min(rows.window, rows.size) + min(columns.window, columns.size)


def _of_numpy_convolution(call: Call) -> float:
    """Estimate the nanoseconds that NumPy takes for an image of a convolution."""
    oh, ow, nc = call.full_output_shape[1:]
    kh, kw, groups = call.rows.window, call.columns.window, max(1, call.groups)
    lines = kh * oh * call.columns.size * call.channels * (0.5 + _converting(call))
    floats = call.sum_dtype.kind == "f"
    if call.channels <= groups:  # NumPy's inner loop goes along the channels, or else the row.
        loops = ow if nc > 1 else 1 if ow > 1 else 0
        return lines + kh * kw * oh * ((1.1 if floats else 1.6) * ow * nc + 8 * loops)
    products = call.channels // groups * (nc // groups)  # for each tap of a group
    pixel = 4 + products * (0.3 if floats else 0.75)
    return lines + kh * kw * groups * oh * (40 + ow * pixel)


def _of_numpy_pooling(call: Call) -> float:
    """Estimate the nanoseconds that NumPy takes for an image of a pooling.

    It skips taps that lie on padding.
    """
    rows, columns, c = call.rows, call.columns, call.channels
    half = _pixels(call) == F16 and call.mode in ("max", "min")
    merge = 6 if half else max(0.2, 0.1 * call.sum_dtype.itemsize)  # nanoseconds for each number
    loop = 10 if rows.stride > 1 < columns.size else 0
    down = (merge + _converting(call)) * columns.size * c + loop
    across = columns.outputs * (merge * c + (8 if c > 1 else 0))
    mean = 5 + 3 * columns.outputs * c if call.mode == "avg" else 0
    kh, kw = min(rows.window, rows.size), min(columns.window, columns.size)
    return rows.outputs * (down * kh + across * kw + mean)


def _converting(call: Call) -> float:
    """Estimate the nanoseconds that NumPy takes to convert a number to the sums' type."""
    if _pixels(call) == call.sum_dtype:
        return 0
    return 4 if _pixels(call) == F16 else 1.5


def _of_pipelines(call: Call) -> float:
    """Estimate the nanoseconds that pipelines take for an image whose rows fill no vectors."""
    rows, columns, nc = call.rows, call.columns, call.output_channels
    numbers = call.sum_dtype
    if numbers.kind != "f":  # Under usual kernels, smaller integers are summed in float32.
        numbers = I64 if call.images.dtype.itemsize == 8 else F32
    method = choose(call, None if call.kernels is None else numbers, False)
    read = rows.size * columns.size * call.channels * (method.pixels != _pixels(call))
    written = rows.outputs * columns.outputs * nc * (method.results != call.output_dtype)
    row, taps = 65.0, rows.window * columns.window
    if call.kernels is None:
        row = 20 + 5 * (rows.window + columns.window)
    elif method.folded:
        row = taps * (2 if columns.outputs * call.channels >= 4 else 7)
    elif method.pipeline.startswith("planes"):  # All rows under windows are dealt out into planes.
        dealt = (rows.outputs - 1) * min(rows.stride, rows.window) + rows.window
        products = taps * nc * (call.channels // max(1, call.groups))
        row = 35 * call.channels * dealt / rows.outputs + 1.5 * products
        row += columns.size * call.channels * max(0, call.groups - 1)  # groups share no caches
    convert = 4 if _pixels(call) == F16 else 1.5
    return 50 + rows.outputs * (10 + row) + convert * (read + written)
