"""Where windows lie: the integer arithmetic of one axis, using the standard library alone.

A window of `window` taps, `dilation` pixels apart, slides over `size` pixels and the padding
`before` and `after` them, moving by `stride` pixels from one output to the next. Tap t of output o
lies on pixel ``o * stride + t * dilation - before``; pixels below 0, or from `size` on, are
padding. A signal has one such axis, an image two and a volume three, independent of each other.

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning",
arXiv:1603.07285, sections 2 and 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple


class Border(NamedTuple):
    """What the cells of padding hold.

    Attributes
    ----------
    mode : {"constant", "edge", "reflect", "symmetric", "wrap", "nothing"}
        The names of `numpy.pad`, or "nothing": then the cells take no part in a pooling.
    value : number
        What they hold if the mode is "constant", or if there is no pixel to repeat.
    """

    mode: str = "constant"
    value: Any = 0

    @property
    def repeats(self) -> bool:
        """Whether the cells take their values from pixels."""
        return self.mode not in ("constant", "nothing")


ZEROS = Border()


@dataclass(frozen=True, slots=True)
class Axis:
    """How a window slides along one axis of an image; all lengths are counted in pixels.

    Parameters
    ----------
    size : int
        The number of pixels of the image.
    window : int
        The number of taps of the window.
    stride, dilation : int
        Pixels from one window to the next, and from one tap to the next.
    before, after : int
        The numbers of cells of padding before the first pixel and after the last. In a part of an
        axis they may be negative: then windows leave out so many pixels.
    partial : bool
        Whether windows that hang over the far edge are kept.
    border : Border
        What the padding holds.

    Examples
    --------
    >>> axis = Axis(size=28, window=3, stride=2, dilation=1, before=0, after=1)
    >>> axis.outputs
    14
    >>> axis.pixels(13)
    range(26, 29)
    """

    size: int
    window: int
    stride: int
    dilation: int
    before: int
    after: int
    partial: bool = False
    border: Border = ZEROS

    @property
    def reach(self) -> int:
        """Pixels from the first tap of a window to its last, both included."""
        return (self.window - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        """The number of pixels and cells of padding together."""
        return self.before + self.size + self.after

    @property
    def hangs_over(self) -> bool:
        """Whether the last window is partial: it hangs over the far edge, but starts on a pixel."""
        whole, rest = divmod(self.padded - self.reach, self.stride)
        return self.partial and rest > 0 and (whole + 1) * self.stride < self.before + self.size

    @property
    def outputs(self) -> int:
        """The number of windows; 0 or less if not even one fits."""
        return (self.padded - self.reach) // self.stride + 1 + self.hangs_over

    def pixels(self, output: int) -> range:
        """The pixels under the taps of one window; those outside 0 … size - 1 are padding."""
        first = output * self.stride - self.before
        return range(first, first + self.reach, self.dilation)

    def on_image(self, tap: int) -> range:
        """The outputs for which this tap lies on a pixel and not on padding.

        Examples
        --------
        >>> Axis(size=5, window=3, stride=1, dilation=1, before=1, after=1).on_image(0)
        range(1, 5)
        """
        first = tap * self.dilation - self.before
        return _steps_between(first, self.stride, self.outputs, 0, self.size)

    @property
    def inside(self) -> range:
        """The outputs whose windows lie entirely on pixels.

        Examples
        --------
        >>> Axis(size=5, window=3, stride=1, dilation=1, before=1, after=1).inside
        range(1, 4)
        """
        start, stop = self.on_image(0).start, self.on_image(self.window - 1).stop
        return range(start, max(start, stop))

    def without_pixels(self) -> int | None:
        """The first output whose window lies entirely on padding, if there is one.

        It is computed without looking at every output, because there may be billions.

        Examples
        --------
        >>> Axis(size=5, window=3, stride=1, dilation=1, before=1, after=9).without_pixels()
        6
        """
        if self.reach <= self.before:
            return 0 if self.outputs > 0 else None
        candidates = [-(-(self.size + self.before) // self.stride)]  # the first window behind it
        if self.size < self.dilation:
            # The image may also lie between two taps. Every window that reaches it has one tap on
            # 0 … dilation - 1, namely on (output * stride - before) % dilation, and that tap may
            # lie behind the last pixel.
            low, high = self.size + self.before, self.dilation - 1 + self.before
            between = _first_multiple(self.stride, self.dilation, low, high)
            candidates += [] if between is None else [between]
        first = min(candidates)
        return first if first < self.outputs else None

    @property
    def taps_on_pixels(self) -> range:
        """The taps from the first to the last that lie on a pixel for some output.

        Examples
        --------
        >>> Axis(size=5, window=99, stride=1, dilation=1, before=49, after=49).taps_on_pixels
        range(45, 54)
        """
        last = (self.outputs - 1) * self.stride  # the pixel of the last window's first tap
        start = max(0, -(-(self.before - last) // self.dilation))
        stop = min(self.window, -(-(self.before + self.size) // self.dilation))
        return range(start, max(start, stop))

    def part(self, outputs: range, taps: range) -> Axis:
        """The axis for these taps and these outputs alone, over the same pixels.

        Its padding may be negative, which means that its windows leave out so many pixels at that
        end. None of its windows is partial: where one would hang over, there is padding instead.

        Examples
        --------
        >>> axis = Axis(size=9, window=5, stride=2, dilation=1, before=2, after=2)
        >>> part = axis.part(range(1, 3), range(3, 5))
        >>> part.outputs, part.pixels(0) == axis.pixels(1)[3:5]
        (2, True)
        """
        before = self.before - outputs.start * self.stride - taps.start * self.dilation
        reach = (len(taps) - 1) * self.dilation + 1
        after = (len(outputs) - 1) * self.stride + reach - self.size - before
        return replace(self, window=len(taps), before=before, after=after, partial=False)


def sparse(axis: Axis, outputs: int) -> bool:
    """Whether most cells from the first of so many windows to the last lie under no tap."""
    return (outputs - 1) * axis.stride + axis.reach > 8 * axis.window * outputs


def _first_multiple(step: int, modulus: int, low: int, high: int) -> int | None:
    """The least k >= 0 for which low <= k * step + n * modulus <= high with some integer n.

    This works like Euclid's algorithm: if no multiple of the step lies in between, it remains to
    ask which multiple of the modulus does, modulo the step.
    """
    step, low, high = step % modulus, low % modulus, low % modulus + high - low
    if low == 0 or high >= modulus:
        return 0
    if step == 0:
        return None
    if 2 * step > modulus:  # In the other direction the steps are shorter.
        step, low, high = modulus - step, modulus - high, modulus - low
    k = -(-low // step)
    if k * step <= high:
        return k
    n = _first_multiple(-modulus % step, step, low % step, high % step)
    return None if n is None else -(-(low + n * modulus) // step)


def _steps_between(first: int, step: int, count: int, low: int, high: int) -> range:
    """The numbers k of 0 … count - 1 for which first + k * step lies in low … high - 1."""
    start = max(0, min(count, -((first - low) // step)))  # -(a // b) rounds -a / b up
    stop = min(count, -((first - high) // step))
    return range(start, max(start, stop))


def resolve_padding(
    padding: str | Sequence[int], size: int, window: int, stride: int, dilation: int
) -> tuple[int, int]:
    """Cells of padding before and after an axis, for a padding word or a pair of numbers.

    Parameters
    ----------
    padding : {"valid", "same", "full"} or (before, after)
        "valid" adds no cells. "same" adds as many as make ceil(size / stride) outputs, an odd one
        after the image. "full" adds as many as let a window touch the image with a single tap.
    size, window, stride, dilation : int
        As in `Axis`.

    Examples
    --------
    >>> resolve_padding("same", size=28, window=3, stride=2, dilation=1)
    (0, 1)
    >>> resolve_padding("full", size=28, window=3, stride=1, dilation=2)
    (4, 4)
    """
    reach = (window - 1) * dilation + 1
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return reach - 1, reach - 1
    if padding == "same":
        outputs = -(-size // stride)
        total = max(0, (outputs - 1) * stride + reach - size)
        return total // 2, total - total // 2
    before, after = map(int, padding)
    return before, after
