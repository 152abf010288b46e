"""The explorer: one page on which any convolution or pooling can be watched, number by number.

The page is one self-contained file: `page.html`, into which the stylesheet, the ES modules of this
folder and the data are written. It computes everything itself, in the browser; its `geometry.js`
repeats what `convlens.core.axis` defines, and the tests compare the two. A content security policy
in the page forbids any use of the network, and any script or style but those written into it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from convlens import arguments, files, filters
from convlens.core.problem import Array, Problem, Spec
from convlens.plan.back import BackPlan

__all__ = ["Explorer", "explore"]

OPERATIONS = ("convolve", "max", "avg", "min")
CHANNELS = ("gray", "summed", "each")
SIDES = (16, 32, 64, 128)  # how large the page shows a picture; its `pictures.js` has the same
KEPT = 512  # pixels: larger pictures are scaled to this before they are written into the page
MOST_IMAGES, MOST_KERNELS = 24, 64
LIMITS = {"window": 11, "stride": 16, "dilation": 8, "padding": 32}  # those of `state.js`
MOST_SAMPLES = 256  # of a signal; the page's `signals.js` has the same
LARGEST = 2**53  # beyond it the browser's numbers are not exact

# The modules are written into the page as a single one, because a browser lets no module import
# another from file://. A module must come after those that it imports from.
MODULES = (
    *("geometry", "operation", "colours", "pictures", "signals", "bars", "panels", "state"),
    *("lines", "libraries", "code", "png", "controls", "store", "text", "grids", "back"),
    *("arithmetic", "size", "kernel", "settings", "learning", "sketch", "import", "navigation"),
    *("export", "chain", "bank", "tour", "page"),
)


class Explorer:
    """A page that shows a convolution or pooling; made by `explore`.

    A notebook displays it in a sandboxed frame, which may run the page's script and nothing else.

    Parameters
    ----------
    html : str
        The whole page.

    Examples
    --------
    >>> import convlens
    >>> page = convlens.explore()
    >>> page.html.startswith("<!DOCTYPE html>")
    True
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, completely or not at all.

        Parameters
        ----------
        path : str or os.PathLike
            The file; an existing one is replaced.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import convlens, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     convlens.explore().save(f"{folder}/explorer.html").name
        'explorer.html'
        """
        target = Path(path)
        with files.replacing(target) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
        return target

    def open(self) -> Path:
        """Write the page to a temporary file and show it in the browser.

        Returns
        -------
        pathlib.Path
            The file, which is not removed afterwards.
        """
        page = self.save(Path(tempfile.mkdtemp(prefix="convlens-")) / "explorer.html")
        webbrowser.open(page.as_uri())
        return page

    def __repr__(self) -> str:
        return "<Explorer: .open() it, .save(path) it, or show it in a notebook>"

    def _repr_html_(self) -> str:
        return (
            '<iframe title="convlens explorer" sandbox="allow-scripts allow-downloads" '
            'style="width: 100%; height: 900px; border: 0; border-radius: 6px" '
            f'srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )


def explore(
    images: npt.ArrayLike | BackPlan | None = None,
    kernels: npt.ArrayLike | None = None,
    *,
    padding: str | int | tuple[Any, Any] = "same",
    stride: int | tuple[int, int] | None = None,
    dilation: int | tuple[int, int] = 1,
    operation: str = "convolve",
    kernel_shape: int | tuple[int, int] = 2,
    pad_mode: str = "constant",
    count_padding: bool = False,
    partial: bool = False,
    channels: str | None = None,
    space: int = 2,
) -> Explorer:
    """Make a page on which a convolution or pooling can be watched, number by number.

    The arguments have the meaning that they have in `convlens.convolve` and `convlens.pool`. All
    of them can be changed on the page.

    Parameters
    ----------
    images : array_like or BackPlan, optional
        One picture or several, gray or of three colours: (h, w), (m, h, w), (h, w, 3) or
        (m, h, w, 3), also with 1 instead of 3. Their numbers must be real and finite. By default
        the page has its own pictures, among them a digit and a photograph. A picture of more than
        128 pixels a side is shown scaled or in part, and the page says so; one of more than 512 is
        scaled down to 512 before. With `space=1` signals, (w,) or (m, w), of up to 256 samples.
        A plan, as `convlens.plan_convolve_transpose` makes it, opens the page on the way back to a
        pixel, with the plan's settings, on a picture of its size. Then `kernels` may give the
        numbers of a kernel as large as the plan's, which are ones otherwise, and all other
        arguments are the plan's.
    kernels : array_like, optional
        (kh, kw), (kh, kw, c) or (kh, kw, c, nc), up to 11 taps high and wide; by default
        `filters.sobel_x`. The page shows the first of several kernels and offers the others. With
        `space=1` (kw,), up to 11 taps.
    padding
        As in `convlens.convolve` and `convlens.pool`.
    stride : int or (int, int), optional
        By default 1, and for a pooling the window's size.
    dilation
        As in `convlens.convolve` and `convlens.pool`.
    operation : {"convolve", "max", "avg", "min"}
        A convolution, or the mode of a pooling.
    kernel_shape : int or (int, int)
        The window of a pooling.
    pad_mode, count_padding, partial
        As in `convlens.convolve` and `convlens.pool`.
    channels : {"gray", "summed", "each"}, optional
        How three colours are used: as one brightness, summed by a kernel with three layers, or each
        by itself. By default "summed" if the kernels have channels, else "each".
    space : {1, 2}
        The number of spatial axes: 1 for signals, 2 for images.

    Returns
    -------
    Explorer
        It holds the page as `.html` and has `.save(path)` and `.open()`. A notebook displays it.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If an argument has a wrong value, or one that the page cannot show.

    Examples
    --------
    >>> import numpy as np, convlens
    >>> page = convlens.explore(np.eye(9), convlens.filters.sharpen(), stride=2)
    >>> len(page.html) < 400_000
    True

    A signal, and what came just before each of its samples:

    >>> prices = [50.0, 51.5, 49.0, 52.5, 55.0, 54.0]
    >>> page = convlens.explore(prices, [1 / 3, 1 / 3, 1 / 3], padding=(2, 0), space=1)

    What a layer that doubles sizes, a transposed convolution, does:

    >>> page = convlens.explore(convlens.plan_convolve_transpose((14, 14), (4, 4), stride=2))
    """
    with arguments.refusing("explore"):
        plan = None
        if isinstance(images, BackPlan):
            plan = images
            _no_others_beside_a_plan(
                *(padding, stride, dilation, operation, kernel_shape, pad_mode),
                *(count_padding, partial, channels, space),
            )
            images, kernels = _of_a_plan(plan, kernels)
            space, pad_mode = plan.problem.space, plan.problem.pad_mode
            word = plan.problem.padding_word
            padding = _settings(plan.padding) if word == "given" else word
            stride, dilation = _settings(plan.stride), _settings(plan.dilation)
        operation = _one_of("operation", operation, OPERATIONS)
        pooling = operation != "convolve"
        if pooling and kernels is not None:
            raise ValueError(
                f"operation={operation!r} takes no kernels; give the window as kernel_shape"
            )
        if arguments.spatial_axes(space) != 2:
            images, kernels = _of_a_signal(space, images, kernels)
            stride = None if stride is None else _on_one_axis("stride", stride)
            dilation = _on_one_axis("dilation", dilation)
            kernel_shape = _on_one_axis("kernel_shape", kernel_shape)
            word, sides = arguments.padding(padding, 1, arguments.CONVOLVE_WORDS)
            padding = ((0, 0), *sides) if word == "given" else word
        pictures = [] if images is None else list(_pictures(images))
        shape = pictures[0].shape if pictures else (16, 16, 1)  # (h, w, c)
        bank = None if kernels is None else _kernels(kernels, shape[2])  # (kh, kw, layers, nc)
        colour = _colour(channels, shape[2], pooling, 1 if bank is None else bank.shape[2])
        window = arguments.numbers("kernel_shape", kernel_shape)
        steps = (window if pooling else 1) if stride is None else stride
        spec = Spec((1, *shape), np.dtype(np.float64))
        if pooling:
            _only_for("convolution", operation, pad_mode=(pad_mode, "constant"))
            call = arguments.pool_problem(
                spec,
                arguments.PoolOptions(
                    window,
                    steps,
                    operation,
                    padding,
                    dilation,
                    count_padding=count_padding,
                    partial=partial,
                ),
            )
        else:
            flags = {"count_padding": count_padding, "partial": partial}
            for name, value in flags.items():
                _only_for("pooling", operation, **{name: (arguments.flag(name, value), False)})
            kernel = Spec((3, 3) if bank is None else bank.shape[:2], np.dtype(np.float64))
            call = arguments.convolve_problem(
                spec,
                kernel,
                arguments.ConvolveOptions(padding, steps, dilation, pad_mode=pad_mode),
            )
        start = _start(call, operation) | {"colour": colour, "window": window}

    if space == 1:
        start["picture"] = "heartbeat"  # if there is no other
    notes, presets = [], list(_presets())
    if plan is not None:
        start["pin"] = ("input", shape[0] // 2, shape[1] // 2)
        notes.append(_about_the_plan(plan, shape[:2]))
    if bank is not None:
        yours = list(_yours(bank))
        presets, start["layers"] = [*yours, *presets], yours[0]["layers"]
        if len(yours) < bank.shape[3]:
            notes.append(f"The page offers the first {len(yours)} of {bank.shape[3]} kernels.")
    if pictures:
        longest, count = max(shape[:2]), _count_of(images)
        start["picture"] = "given-0"
        start["side"] = next((side for side in SIDES if side >= longest), 64)
        if count > len(pictures):
            notes.append(f"The page shows the first {len(pictures)} of {count} images.")
    notice = " ".join(filter(None, notes))
    name = "Rings" if plan is not None else "Your signal" if space == 1 else "Your picture"
    return Explorer(_page(start, presets, pictures, notice, name, signals=space == 1))


def _start(call: Problem, operation: str) -> dict[str, Any]:
    """The page's state for a call; a call that the page cannot show is refused."""
    axes = call.rows, call.columns
    sides = tuple((axis.before, axis.after) for axis in axes)
    given = call.padding_word == "given"
    strides = tuple(axis.stride for axis in axes)
    dilations = tuple(axis.dilation for axis in axes)
    _check_limit("window", tuple(axis.window for axis in axes))
    _check_limit("stride", strides)
    _check_limit("dilation", dilations)
    if given:
        _check_limit("padding", (*sides[0], *sides[1]))
    return {
        "operation": operation,
        "stride": strides,
        "dilation": dilations,
        "padding": sides if given else call.padding_word,
        "padMode": "constant" if operation != "convolve" else call.pad_mode,
        "countPadding": operation != "convolve" and call.count_padding,
        "partial": call.rows.partial,
    }


# ----------------------------------------------------------------------- what is given


def _count_of(images: Any) -> int:
    shape = np.shape(images)
    return shape[0] if len(shape) == 4 or (len(shape) == 3 and shape[2] != 3) else 1


def _of_a_signal(
    space: int, images: npt.ArrayLike | None, kernels: npt.ArrayLike | None
) -> tuple[Array | None, Array | None]:
    """Signals and their kernel as pictures of one row, which is how the page takes them."""
    if space == 3:
        raise ValueError("the page shows signals (space=1) and images (space=2), but no volumes")
    if kernels is not None:
        kernels = arguments.array("kernels", kernels)
        if kernels.ndim != 1:
            raise ValueError(f"kernels of signals must be (kw,); kernels.shape={kernels.shape}")
        kernels = kernels[np.newaxis]
    if images is not None:
        images = arguments.array("images", images)
        if images.ndim not in (1, 2):
            raise ValueError(f"signals must be (w,) or (m, w); images.shape={images.shape}")
        if images.shape[-1] > MOST_SAMPLES:
            raise ValueError(
                f"the page shows signals of at most {MOST_SAMPLES} samples; images.shape="
                f"{images.shape}: give it a part, as in images[..., :{MOST_SAMPLES}]"
            )
        images = images.reshape(-1, 1, images.shape[-1], 1)  # (m, 1, w, 1)
    return images, kernels


def _no_others_beside_a_plan(*given: object) -> None:
    """Refuse arguments that are not at their defaults, since a plan has its own."""
    defaults = (explore.__kwdefaults__ or {}).items()
    for (name, usual), value in zip(defaults, given, strict=True):
        if value != usual:
            raise ValueError(
                f"{name}={value!r} is given beside a plan, which has its own: leave it out"
            )


def _of_a_plan(plan: BackPlan, kernels: npt.ArrayLike | None) -> tuple[Array, Array]:
    """A picture as large as the plan's images, or as the page can show, and a kernel for it."""
    if plan.operation != "convolve_transpose":
        raise ValueError(
            f"the page shows plans of plan_convolve_transpose, not of {plan.operation}; give images"
        )
    if plan.problem.space == 3:
        raise ValueError("the page shows signals (space=1) and images (space=2), but no volumes")
    kernel = np.ones(plan.window) if kernels is None else arguments.array("kernels", kernels)
    if kernel.shape != plan.window:
        raise ValueError(
            f"kernels must have the plan's window {plan.window}; kernels.shape={kernel.shape}"
        )
    most = SIDES[-1] if plan.problem.space == 2 else MOST_SAMPLES
    sizes = [min(axis.size, most) for axis in plan.problem.spatial]
    middle = np.meshgrid(*(np.arange(size) - size // 2 for size in sizes), indexing="ij")
    distance = np.sqrt(sum(along**2 for along in middle))
    rings = np.rint(4.5 + 4.5 * np.cos(distance))  # from 0, black, to 9, white
    return rings.astype(np.int64), kernel


def _settings(along: tuple[Any, ...]) -> Any:
    """A plan's numbers for each axis, as `explore` takes them: a pair, or one for a signal."""
    return along if len(along) == 2 else along[0]


def _about_the_plan(plan: BackPlan, shown: tuple[int, ...]) -> str:
    """What the page leaves out of a plan, in words."""
    problem, notes = plan.problem, []
    if problem.channels * problem.output_channels > 1:
        notes.append("The page shows one channel and one kernel of the plan.")
    if any(
        axis.size > size for axis, size in zip(problem.spatial[::-1], shown[::-1], strict=False)
    ):
        notes.append("Its images are larger than this picture.")
    return " ".join(notes)


def _on_one_axis(name: str, value: object) -> tuple[int, int]:
    """A number for the samples of a signal, as one of a picture of one row."""
    (number,) = arguments.numbers(name, value, 1)
    return 1, number


def _pictures(images: npt.ArrayLike) -> Iterator[Array]:
    """The images that the page shows, each as (h, w, c)."""
    values = arguments.array("images", images)
    shape = values.shape
    if len(shape) == 2:
        values = values[np.newaxis, ..., np.newaxis]
    elif len(shape) == 3:
        values = values[np.newaxis] if shape[2] == 3 else values[..., np.newaxis]
    if values.ndim != 4 or values.shape[3] not in (1, 3):
        raise ValueError(
            "images must be (h, w), (m, h, w), (h, w, 3) or (m, h, w, 3), or have 1 channel; "
            f"images.shape={shape}"
        )
    if values.size == 0:
        raise ValueError(f"images must not be empty; images.shape={shape}")
    for image in values[:MOST_IMAGES]:
        _check_numbers("images", image, LARGEST)
        yield image


def _kernels(kernels: npt.ArrayLike, channels: int) -> Array:
    """The kernels as (kh, kw, layers, nc), with one layer for all channels or one for each."""
    values = arguments.array("kernels", kernels)
    if values.ndim not in (2, 3, 4) or 0 in values.shape:
        raise ValueError(
            "kernels must be (kh, kw), (kh, kw, c) or (kh, kw, c, nc), and not empty; "
            f"kernels.shape={values.shape}"
        )
    bank = values.reshape(*values.shape, *(1,) * (4 - values.ndim))
    if values.ndim > 2 and bank.shape[2] != channels:
        plural = "" if bank.shape[2] == 1 else "s"
        raise ValueError(
            f"kernels expect {bank.shape[2]} channel{plural}, images have {channels}; "
            f"kernels.shape={values.shape}"
        )
    _check_limit("window", bank.shape[:2])
    _check_numbers("kernels", bank, 10**6)
    return bank


def _colour(channels: str | None, count: int, pooling: bool, layers: int) -> str:
    """How the page uses channels: as asked for, or the default; contradictions are refused."""
    if channels is not None:
        _one_of("channels", channels, CHANNELS)
    if count == 1:
        if channels in ("summed", "each"):
            raise ValueError(f"channels={channels!r} needs images of three channels; they have one")
        return "gray"
    if pooling and channels == "summed":
        raise ValueError("channels='summed' is for convolution; pooling keeps channels apart")
    if layers > 1 and channels in ("gray", "each"):
        raise ValueError(
            f"channels={channels!r} needs kernels (kh, kw); these have {layers} channels"
        )
    return channels or ("summed" if layers > 1 else "each")


def _one_of(name: str, value: object, words: tuple[str, ...]) -> str:
    expected = f"{name} must be one of {', '.join(map(repr, words))}; got {value!r}"
    if not isinstance(value, str):
        raise TypeError(expected)
    if value not in words:
        raise ValueError(expected)
    return value


def _only_for(purpose: str, operation: str, **given: tuple[object, object]) -> None:
    """Refuse an argument that has no meaning for the operation, unless it is at its default."""
    for name, (value, default) in given.items():
        if value != default:
            raise ValueError(f"{name}={value!r} is for {purpose}; operation is {operation!r}")


def _check_limit(name: str, values: tuple[int, ...]) -> None:
    if max(values) > LIMITS[name]:
        raise ValueError(f"the page shows a {name} of at most {LIMITS[name]}; got {max(values)}")


def _check_numbers(name: str, values: Array, largest: int) -> None:
    if values.dtype.kind == "c":
        raise TypeError(f"{name} must be real numbers; got dtype {values.dtype}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite; the page has no colour for NaN or inf")
    if values.size and max(abs(float(values.min())), abs(float(values.max()))) > largest:
        raise ValueError(f"{name} must lie between {-largest} and {largest}")


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name} {n + 1}" for n in range(count)]


# ---------------------------------------------------------------------------- the page


def _presets() -> Iterator[dict[str, Any]]:
    """The filters of `convlens.filters` whose kernels are small enough for the page."""
    named: tuple[tuple[str, Callable[..., Array], dict[str, Any]], ...] = (
        ("sobel x", filters.sobel_x, {}),
        ("sobel y", filters.sobel_y, {}),
        ("identity", filters.identity, {}),
        ("box 3 × 3", filters.box, {"size": 3}),
        ("box 5 × 5", filters.box, {"size": 5}),
        ("gaussian, σ = ½", filters.gaussian, {"sigma": 0.5}),
        ("gaussian, σ = 1", filters.gaussian, {"sigma": 1}),
        ("sharpen", filters.sharpen, {}),
        ("unsharp", filters.unsharp, {"sigma": 1}),
        ("outline", filters.outline, {}),
        ("emboss", filters.emboss, {}),
        ("laplacian", filters.laplacian, {}),
        ("laplacian with diagonals", filters.laplacian, {"diagonals": True}),
        ("laplacian of gaussian", filters.laplacian_of_gaussian, {"sigma": 1}),
        ("prewitt x", filters.prewitt_x, {}),
        ("prewitt y", filters.prewitt_y, {}),
        ("scharr x", filters.scharr_x, {}),
        ("scharr y", filters.scharr_y, {}),
        ("motion blur", filters.motion_blur, {"length": 9}),
        ("motion blur, 45°", filters.motion_blur, {"length": 9, "angle": 45}),
    )
    for name, make, options in named:
        about = (make.__doc__ or "").partition("\n")[0].replace("`", "")
        yield {"name": name, "layers": [make(**options).tolist()], "about": about}


def _yours(bank: Array) -> Iterator[dict[str, Any]]:
    """The user's kernels as presets, up to the number that the page offers."""
    count = min(bank.shape[3], MOST_KERNELS)
    for n, name in enumerate(_numbered("your kernel", count)):
        yield {"name": name, "layers": bank[..., n].transpose(2, 0, 1).tolist()}


def _written(name: str, label: str, image: Array) -> dict[str, Any]:
    """A picture in the form that the page reads: bytes or 64-bit floats, in base64."""
    note, (h, w) = "", image.shape[:2]
    if max(h, w) > KEPT:
        from convlens.operations import pool  # noqa: PLC0415  # needed for large pictures only

        shrink = -(-max(h, w) // KEPT)
        mean = pool(image[np.newaxis], shrink, mode="avg", partial=True)[0]
        image = np.rint(mean).astype(image.dtype) if image.dtype.kind in "iu" else mean
        note = f"Scaled from {h} × {w} to {image.shape[0]} × {image.shape[1]} by convlens."
    whole = image.dtype.kind in "biu" and image.min() >= 0 and image.max() <= 255
    high = 255.0 if image.dtype == np.uint8 else float(image.max()) or 1.0
    numbers = image.astype(np.uint8 if whole else "<f8", order="C")
    return {
        "id": name,
        "name": label,
        "shape": image.shape,
        "type": "u1" if whole else "f8",
        "high": high if high > 0 else 1.0,
        "data": base64.b64encode(numbers.tobytes()).decode(),
        "note": note,
    }


def _page(
    start: dict[str, Any],
    presets: list[dict[str, Any]],
    pictures: list[Array],
    notice: str,
    name: str,
    *,
    signals: bool,
) -> str:
    cat = np.load(str(resources.files(__package__) / "cat.npy"))
    names = _numbered(name, len(pictures))
    given = [_written(f"given-{n}", names[n], image) for n, image in enumerate(pictures)]
    data = {
        "start": start,
        "presets": presets,
        "pictures": [each | {"signal": signals} for each in given],
        "photographs": [_written("cat", "A photograph of a cat", cat)],
        "notice": notice,
        "about": (
            "Made with convlens. The cat is Chelsea, photographed by Stefan van der Walt, "
            "who gave the picture to the public domain (CC0)."
        ),
    }
    style, script = _source("style.css"), _script()
    policy = (
        f"default-src 'none'; script-src '{_sha256(script)}'; style-src '{_sha256(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    # Inside a script element only a "<" can end the data, so none is written as it is.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return Template(_source("page.html")).substitute(
        policy=policy, style=style, script=script, data=text
    )


def _source(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    """All modules as a single one, without their imports and exports."""
    return "\n".join(
        re.sub(r"^export (?=const|let|class|function|async)", "", without_imports, flags=re.M)
        for without_imports in (
            re.sub(r"^import [^;]*;\n", "", _source(f"{name}.js"), flags=re.M) for name in MODULES
        )
    )


def _sha256(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
