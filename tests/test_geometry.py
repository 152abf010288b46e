"""The arithmetic of windows agrees with counting every cell; modules import only what they may."""

import ast
import math
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import convlens
from convlens.core.axis import Axis, Border, resolve_padding
from convlens.core.cells import arange, counts, needed, sources

SIZES, WINDOWS, STRIDES = range(8), range(1, 5), range(1, 5)
DILATIONS, PADDINGS = range(1, 4), range(5)


# ------------------------------------------------------------------------- the windows


def slide(axis):
    """The cells under the taps of every window, slid over the padded axis one by one.

    Cells are counted from the first pixel, so that padding lies below 0 and from `size` on.
    """
    end = axis.size + axis.after
    taps = [tap * axis.dilation for tap in range(axis.window)]
    windows, first = [], -axis.before
    while first + taps[-1] < end:
        windows.append([first + tap for tap in taps])
        first += axis.stride
    if axis.partial:
        # The previous window, whether it exists or not, ended before the padding's end.
        rest = first - axis.stride + taps[-1] + 1 < end
        if rest and first < axis.size:
            windows.append([first + tap for tap in taps])
    return windows


@pytest.fixture(params=product(WINDOWS, (False, True)), ids=lambda p: f"window{p[0]}-partial{p[1]}")
def axes(request):
    """Every small axis for this window, each with the windows that sliding finds."""
    window, partial = request.param
    rest = product(SIZES, STRIDES, DILATIONS, PADDINGS, PADDINGS)
    axes = [Axis(size, window, *others, partial) for size, *others in rest]
    return [(axis, slide(axis)) for axis in axes]


def test_outputs_and_their_pixels(axes):
    """`outputs` is not the number of windows, or `pixels` not the cells of a window."""
    for axis, windows in axes:
        assert max(0, axis.outputs) == len(windows), axis
        assert [list(axis.pixels(output)) for output in range(len(windows))] == windows, axis


def test_reach_and_padded_length(axes):
    """`reach` does not span the taps of a window, or `padded` the pixels and their padding."""
    for axis, _ in axes:
        taps = range(0, axis.window * axis.dilation, axis.dilation)
        assert axis.reach == taps[-1] - taps[0] + 1, axis
        assert axis.padded == len([*range(-axis.before, axis.size + axis.after)]), axis


def test_taps_on_the_image(axes):
    """`on_image` is not the range of outputs for which a tap lies on a pixel."""
    for axis, windows in axes:
        for tap in range(axis.window):
            on_image = [o for o, cells in enumerate(windows) if 0 <= cells[tap] < axis.size]
            assert list(axis.on_image(tap)) == on_image, (axis, tap)


def test_windows_on_pixels_alone(axes):
    """`inside` is not the range of outputs whose taps all lie on pixels."""
    for axis, windows in axes:
        inside = [o for o, cells in enumerate(windows) if cells[0] >= 0 and cells[-1] < axis.size]
        assert list(axis.inside) == inside, axis


def test_counts(axes):
    """`counts` misses a tap on a pixel, or on padding if asked, or counts one beyond padding."""
    for axis, windows in axes:
        first, end = -axis.before, axis.size + axis.after
        pixels = [sum(0 <= cell < axis.size for cell in cells) for cells in windows]
        cells = [sum(first <= cell < end for cell in cells) for cells in windows]
        assert counts(axis).tolist() == pixels, axis
        assert counts(axis, padding=True).tolist() == cells, axis


def test_windows_without_pixels(axes):
    """`without_pixels` is not the first output whose window lies entirely on padding."""
    for axis, windows in axes:
        bare = [
            output
            for output, cells in enumerate(windows)
            if not any(0 <= cell < axis.size for cell in cells)
        ]
        assert axis.without_pixels() == (bare[0] if bare else None), axis


def test_windows_without_pixels_between_taps():
    """`without_pixels` misses a window whose taps lie on both sides of a short image."""
    rng = np.random.default_rng(0)
    for _ in range(5000):
        size, window, stride, dilation = (int(n) for n in rng.integers(1, (9, 7, 30, 40)))
        axis = Axis(size, window, stride, dilation, *map(int, rng.integers(0, 90, 2)))
        taps = counts(axis).tolist() if axis.outputs > 0 else []
        assert axis.without_pixels() == (taps.index(0) if 0 in taps else None), axis


def test_partial_windows_are_added_to_the_others():
    """`partial` adds more than one window, or removes one."""
    for rest in product(SIZES, WINDOWS, STRIDES, DILATIONS, PADDINGS, PADDINGS):
        whole, partial = Axis(*rest), Axis(*rest, True)
        assert max(0, whole.outputs) <= max(0, partial.outputs) <= max(0, whole.outputs) + 1, rest


def test_lengths_beyond_counting():
    """Lengths that are far too large to be walked through are wrong, or take long."""
    axis = Axis(size=10**15, window=10**6, stride=7, dilation=3, before=1, after=1)
    assert axis.reach == 2_999_998
    assert axis.outputs == (10**15 + 2 - 2_999_998) // 7 + 1
    # The last window ends with the padding (the division above leaves no rest), and so the first
    # window and the last one are not inside.
    assert axis.inside == range(1, axis.outputs - 1)
    assert axis.on_image(0) == range(1, axis.outputs)
    assert counts(axis, range(3)).tolist() == [10**6 - 1, 10**6, 10**6]
    assert axis.without_pixels() is None


def test_windows_without_pixels_beyond_counting():
    """`without_pixels` goes through huge numbers of outputs or taps one by one, or is wrong."""
    half = 5 * 10**11
    assert Axis(10**12, 10**12 + 1, 1, 1, half, half).without_pixels() is None
    assert Axis(10**12, 10**12, 1, 1, half, 2 * 10**12).without_pixels() == 15 * 10**11
    # Both taps of the first window, 10**9 + 7 apart, lie before the only pixel.
    axis = Axis(1, 2, 10**4, 10**9 + 7, 10**15 + 1, 10**15)
    assert axis.without_pixels() == 0
    # A tap of the first window lies on pixel 0, one of the next on pixel 1, and so on to the last.
    before = (10**6 + 1) * (10**6 - 2)
    assert Axis(10**6, 10**6, 1, 10**6 + 1, before, 10**12).without_pixels() == 10**6
    assert counts(Axis(10, 2, 2**61, 2**62, 2**62, 2**62)).tolist() == [1, 0, 1]


# ------------------------------------------------------------------------- the padding


def tensorflow_same(size, window, stride, dilation):
    """The padding that https://www.tensorflow.org/api_docs/python/tf/nn defines as "SAME"."""
    reach = window + (window - 1) * (dilation - 1)
    total = max(reach - (size % stride or stride), 0)
    return total // 2, total - total // 2


GEOMETRIES = [*product(SIZES, WINDOWS, STRIDES, DILATIONS)]


def test_same_is_tensorflows():
    """The padding of "same" differs from TensorFlow's on some side."""
    for geometry in GEOMETRIES:
        assert resolve_padding("same", *geometry) == tensorflow_same(*geometry), geometry


def test_same_makes_one_output_for_every_step():
    """With "same" there is more padding than the outputs need, or an odd cell comes first."""
    for size, window, stride, dilation in GEOMETRIES:
        before, after = resolve_padding("same", size, window, stride, dilation)
        outputs = Axis(size, window, stride, dilation, before, after).outputs
        assert outputs == math.ceil(size / stride)
        assert after - before in (0, 1)
        if after:
            assert Axis(size, window, stride, dilation, before, after - 1).outputs < outputs or (
                size == 0  # There are no outputs then, however much padding there is.
            )


def test_full_touches_with_a_single_tap():
    """With "full" the first or the last window does not cover exactly one pixel."""
    for size, window, stride, dilation in GEOMETRIES:
        before, after = resolve_padding("full", size, window, stride, dilation)
        axis = Axis(size, window, 1, dilation, before, after)
        assert before == after
        assert axis.pixels(0)[-1] == 0
        assert axis.pixels(axis.outputs - 1)[0] == size - 1


def test_valid_and_given_paddings():
    """The word "valid" adds cells, or a pair does not add the given numbers."""
    assert resolve_padding("valid", 5, 3, 2, 1) == (0, 0)
    assert resolve_padding((2, 3), 5, 3, 2, 1) == (2, 3)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("size", range(1, 8))
def test_source_is_numpy_pads(size, mode):
    """Padded cells repeat other pixels than those that `numpy.pad` repeats, at some length.

    Each side is tried by itself, because NumPy before version 2 repeats long mirrors wrongly if
    both sides are padded.
    """
    pixels = np.arange(size)
    options = {"constant_values": -1} if mode == "constant" else {}
    for length in (0, 1, 2, size - 1, size, size + 1, 2 * size - 1, 3 * size, 40):
        for before, after in ((length, 0), (0, length)):
            expected = np.pad(pixels, (before, after), mode=mode, **options)
            cells = range(-before, size + after)
            assert sources(arange(cells), size, mode).tolist() == expected.tolist()
            far = 2**70 // (size * 2 * max(1, size - 1)) * (size * 2 * max(1, size - 1))
            if mode in ("reflect", "symmetric", "wrap") and not 0 <= cells[0] + far < size:
                # Whole periods away, the cells must hold the same pixels.
                moved = arange(range(cells.start - far, cells.stop - far))
                assert sources(moved, size, mode).tolist() == expected.tolist()


@pytest.mark.parametrize("mode", ["nothing", "constant", "edge", "reflect", "symmetric", "wrap"])
def test_what_outputs_need(mode):
    """On the pixels that `needed` names, windows cover other pixels, or count other cells."""
    rng = np.random.default_rng(0)
    for _ in range(5000):
        size, window, stride, dilation = (int(n) for n in rng.integers(1, (12, 5, 6, 9)))
        partial = mode == "nothing" and bool(rng.integers(2))
        cells = map(int, rng.integers(0, 20, 2))
        axis = Axis(size, window, stride, dilation, *cells, partial, Border(mode))
        if axis.outputs < 1:
            continue
        start = int(rng.integers(axis.outputs))
        outputs = range(start, int(rng.integers(start, axis.outputs)) + 1)
        part, before, inner, after = needed(axis, outputs)
        pixels = np.array([*before, *inner, *after])
        assert part.outputs == len(outputs), axis
        assert part.size == len(pixels) <= min(size, (len(outputs) - 1) * stride + axis.reach)
        for number, output in enumerate(outputs):
            under = sources(arange(part.pixels(number)), part.size, mode)
            expected = sources(arange(axis.pixels(output)), size, mode)
            assert np.where(under < 0, -1, pixels[under]).tolist() == expected.tolist(), axis
        if not axis.border.repeats:
            for padding in (False, True):
                counted = counts(part, padding=padding).tolist()
                assert counted == counts(axis, outputs, padding=padding).tolist(), axis


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_source_of_an_axis_without_pixels(mode):
    """Cells around no pixels do not hold zeros, although there is nothing to repeat."""
    assert sources(arange(range(-1, 2)), 0, mode).tolist() == [-1, -1, -1]


# ------------------------------------------------------------------------- the modules

PACKAGE = Path(convlens.__file__).parent

# What each module may import of the package: only modules that stand above it in this list.
MAY_IMPORT = {
    "core": set(),
    "files": set(),
    "compiled": {"core"},
    "methods": {"compiled", "core"},
    "hints": set(),
    "labels": {"core"},
    "arguments": {"core", "hints", "labels"},
    "arguments_back": {"arguments", "core"},
    "arguments_where": {"arguments", "core"},
    "execute": {"arguments", "core", "files", "methods"},
    "filters": {"arguments"},
    "ndimage": {"arguments", "compiled", "core", "hints"},
    "plan": {
        *("arguments", "arguments_back", "arguments_where", "core", "execute", "labels"),
        "methods",
    },
    "repeats": {"arguments", "compiled", "core", "methods", "plan"},
    "operations": {
        *("arguments", "arguments_where", "core", "hints", "labels", "plan", "repeats"),
    },
    "gradients": {
        *("arguments", "arguments_back", "core", "methods", "operations", "plan", "repeats"),
    },
    "linear": {"arguments", "core", "gradients", "operations"},
    "config": {"arguments", "compiled"},
    "pictures": {"core", "files"},
    "spelling": {"arguments", "core", "files", "filters"},
    "explorer": {"arguments", "core", "files", "filters", "operations", "plan"},
    "__init__": {
        *("arguments", "config", "explorer", "filters", "gradients", "linear", "ndimage"),
        *("operations", "plan"),
    },
}


def imports(path):
    """The modules that a file imports, anywhere in it, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            if node.module == "convlens":  # its submodules: from convlens import arguments
                yield from (f"convlens.{alias.name}" for alias in node.names)
            else:
                yield node.module


def module_of(path):
    """The module's name in the list above: a folder counts as one."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if module_of(path) in MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_arrows_point_one_way(path):
    """A module imports one that the list does not allow it."""
    name = module_of(path)
    known = {each.split(".")[1] for each in imports(path) if each.startswith("convlens.")}
    assert known - {name} <= MAY_IMPORT[name]


def test_the_list_of_arrows_has_no_circle():
    """The list allows imports of modules below, or lacks a module."""
    names = list(MAY_IMPORT)
    for place, name in enumerate(names):
        assert MAY_IMPORT[name] <= set(names[:place])
    assert {module_of(path) for path in MODULES} == set(names)


def test_every_module_has_its_place():
    """A new module is not in the list."""
    on_top = {module_of(path) for path in PACKAGE.rglob("*.py")} - set(MAY_IMPORT)
    assert on_top <= {"__main__", "cli"}


def test_axes_need_the_standard_library_alone():
    """core/axis.py imports more than the standard library."""
    tops = {name.split(".")[0] for name in imports(PACKAGE / "core" / "axis.py")}
    assert tops <= sys.stdlib_module_names


def test_importing_the_package_imports_numpy_alone():
    """`import convlens` loads a package other than NumPy."""
    code = (
        "import sys, numpy; before = set(sys.modules); import convlens; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "convlens" in loaded
    assert loaded - {"convlens", "numpy"} <= sys.stdlib_module_names
