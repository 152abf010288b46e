"""xarray's DataArrays: their numbers, and whatever of their labels is still true."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from strategies import random_convolution, random_pooling

import convlens

xr = pytest.importorskip("xarray")

DAYS = np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D")


@pytest.fixture
def images():
    """Images (m, h, w, c) with coordinates of every kind."""
    values = np.random.default_rng(0).random((3, 6, 8, 2), np.float32)
    lat, lon = np.linspace(50, 45, 6), np.arange(8, dtype=np.uint8) * 10
    return xr.DataArray(
        values,
        coords={
            "time": DAYS,
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon[::-1]),
            "band": ["red", "green"],
            "row": ("lat", list("abcdef")),
            "area": (("lat", "lon"), np.outer(lat, lon)),
            "sensor": "A",
        },
        dims=("time", "lat", "lon", "band"),
        name="reflectance",
        attrs={"units": "1"},
    )


def test_labels_are_kept(images):
    """A result of the images' size loses labels, or has other numbers."""
    result = convlens.convolve(images, convlens.filters.gaussian(1), pad_mode="edge")
    expected = convlens.convolve(images.data, convlens.filters.gaussian(1), pad_mode="edge")
    xr.testing.assert_identical(result, images.copy(data=expected))


def test_coordinates_of_pixels(images):
    """Where the middle of each window is a pixel, an output has other coordinates than that."""
    result = convlens.convolve(images, np.ones((3, 5)), "valid", (2, 1))
    expected = convlens.convolve(images.data, np.ones((3, 5)), "valid", (2, 1))
    within = images.isel(lat=[1, 3], lon=slice(2, 6))
    xr.testing.assert_identical(result, within.copy(data=expected))


def test_coordinates_between_pixels(images):
    """Where it is halfway between two, an output has not the mean of their coordinates."""
    result = convlens.pool(images, 2, mode="avg")
    halves = images.drop_vars("row").coarsen(lat=2, lon=2).mean(keep_attrs=True)
    assert result.dims == images.dims
    np.testing.assert_allclose(result, halves, rtol=1e-6)
    assert set(result.coords) == set(images.coords) - {"row"}
    for name in ("time", "lat", "lon", "band", "sensor"):
        np.testing.assert_array_equal(result[name], halves[name])
    np.testing.assert_allclose(result.area, halves.area)
    assert (result.attrs, result.name, result.lat.attrs) == (
        images.attrs,
        images.name,
        images.lat.attrs,
    )


def test_times_and_volumes():
    """The middle of two times is no time."""
    values = xr.DataArray(np.arange(9.0).reshape(3, 3), {"time": DAYS}, ("x", "time"))
    result = convlens.pool(values, 2, 1, "avg", space=1)
    assert list(result.time.data) == list(DAYS[:2] + np.timedelta64(12, "h"))
    volume = xr.DataArray(np.ones((3, 4, 5)), {"time": DAYS, "x": range(5)}, ("time", "y", "x"))
    result = convlens.convolve(volume, np.ones((3, 3, 3)), (0, 1, 1), space=3)
    assert result.dims == ("time", "y", "x")
    assert (list(result.time.data), list(result.x.data)) == ([DAYS[1]], [*range(5)])


@pytest.mark.parametrize("padding", ["full", 3, ((2, 0), (0, 2))])
def test_coordinates_that_are_no_longer_true(images, padding):
    """An output whose window has its middle outside the images gets coordinates nevertheless."""
    result = convlens.convolve(images, np.ones((3, 3)), padding)
    assert set(result.coords) == {"time", "band", "sensor"}
    assert result.dims == images.dims


def test_channels(images):
    """Channels keep their names where they are others, or lose them where they are the same."""
    kernels = np.ones((3, 3, 2, 5))
    assert convlens.convolve(images, kernels[..., 0]).dims == ("time", "lat", "lon")
    several = convlens.convolve(images, kernels)
    assert several.dims == images.dims
    assert "band" not in several.coords
    assert "band" in convlens.convolve(images, kernels[:, :, :1, :2], groups=2).coords
    assert "band" not in convlens.convolve(images, kernels[:, :, :, :2]).coords
    assert "band" not in convlens.convolve(images, kernels[:, :, :1, :4], groups=2).coords


def test_dask(images):
    """Images backed by Dask are computed at once, or give other numbers."""
    lazy = images.chunk(lat=4, lon=3)
    for call in (
        lambda given: convlens.convolve(given, convlens.filters.box(3), where="finite"),
        lambda given: convlens.pool(given, 3, 2, padding="same"),
    ):
        result = call(lazy)
        assert isinstance(result.data, da.Array)
        xr.testing.assert_identical(result.compute(), call(images))
    with pytest.raises(TypeError, match=r"must be in memory; got a Dask array"):
        convlens.pool_indices(lazy, 2)


def test_other_arguments(images):
    """Kernels, masks and plans take no DataArrays, or a plan's result has no labels."""
    kernel = xr.DataArray(np.ones((3, 3)), dims=("y", "x"))
    there = images.isel(band=0) > 0.3
    result = convlens.convolve(images, kernel, where=there, renormalize=True)
    expected = convlens.convolve(
        images.data, kernel.data, where=there.data, renormalize=True, pad_mode="constant"
    )
    np.testing.assert_array_equal(result, expected)
    plan = convlens.plan_convolve(images, kernel, stride=2)
    assert plan.output_shape == (3, 3, 4, 2)
    xr.testing.assert_identical(plan(images, kernel), convlens.convolve(images, kernel, stride=2))
    out = np.empty(plan.output_shape, np.float64)
    assert convlens.convolve(images, kernel, stride=2, out=out).data is out
    with pytest.raises(TypeError, match=r"images must be an array of numbers; got dtype <U1"):
        convlens.convolve(images.row, np.ones(3), space=1)


@pytest.mark.parametrize("verb", ["convolve", "pool"])
def test_every_call(verb):
    """Some call fails, or an output's coordinate is not the middle of its window."""
    function = getattr(convlens, verb)
    draw = random_convolution if verb == "convolve" else random_pooling
    for seed in range(80):
        case = draw(np.random.default_rng([13, seed]))
        values, argument = np.asarray(case.arguments[0]), case.arguments[1]
        dims = [f"axis {number}" for number in range(values.ndim)]
        places = {name: np.arange(size) for name, size in zip(dims, values.shape, strict=True)}
        try:
            expected = function(values, argument, **case.options)
        except ValueError as error:
            assert "cover no pixel" in str(error)  # noqa: PT017
            continue
        result = function(xr.DataArray(values, places, dims), argument, **case.options)
        np.testing.assert_array_equal(result.data, expected)
        plan = getattr(convlens, f"plan_{verb}")(values, argument, **case.options)
        spatial = plan.problem.spatial
        letters = [each for each in plan.problem.layout.images if each in "dhw"]
        for letter, axis in zip(letters, spatial, strict=True):
            name = dims[plan.problem.layout.images.index(letter)]
            ends = [axis.pixels(output) for output in range(axis.outputs)]
            middles = [(window[0] + window[-1]) / 2 for window in ends]
            if all(0 <= middle <= axis.size - 1 for middle in middles):
                assert result[name].data.tolist() == middles
            else:
                assert name not in result.coords


def test_xarray_is_not_imported():
    """A call imports xarray, although it has none of its arrays."""
    code = "import sys, numpy, convlens; convlens.pool(numpy.ones((2, 2)), 2); import xarray"
    code = code.replace("import xarray", "assert 'xarray' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
