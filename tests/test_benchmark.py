"""The benchmark, on small images: the page it writes, and who is timed."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_peers import PEERS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def harness(monkeypatch):
    """Import a module of the benchmark by its name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def run(*options):
    """Run the benchmark on small images, and return what it prints."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", *map(str, options)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_page_has_a_row_for_each_case(tmp_path):
    """A case is missing from the page, has no marks, or is not compared with its course file."""
    printed = run("--only", "^main [06]$", "--output", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["RESULTS.md"]
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    _, _, table = page.partition("## Next to the best peer")
    table, _, course = table.partition("## The mains' calls next to the course files")
    course, _, threads = course.partition("## One thread and two")
    for main in ("main 0", "main 6"):
        cells = re.search(rf"^\| {main} \|(.*)\|$", table, re.MULTILINE)[1].split("|")
        assert len(cells) == 7
        assert cells[1].strip() == "3x"
        assert cells[-1].strip() == "met" or cells[-1].startswith(" **missed**: ")
        assert f"{main}: " in printed
        assert f"| {main} | " in course
        assert re.search(rf"^\| {main} \| [\d.e-]+ → [\d.e-]+, [\d.e-]+x \|", threads, re.MULTILINE)
    assert "main 1" not in page
    assert "wrong answers" not in page


def test_without_a_place_for_the_page_it_is_printed():
    """A run of a few cases overwrites the page that a whole run has made."""
    before = sorted(BENCHMARKS.iterdir())
    assert "| colours, 2x2 max |" in run("--only", "colours, 2x2 max")
    assert sorted(BENCHMARKS.iterdir()) == before


def test_signals_and_volumes_are_rows_that_can_be_chosen():
    """A signal or a volume is not timed, or its row has no peer."""
    page = run("--only", "^signal of|^volume .* gaussian$")
    for name in ("signal of 10,000,000, 64 taps", "volume 128 x 256 x 256, 17x17x17 gaussian"):
        cells = re.search(rf"^\| {name} \|(.*)\|$", page, re.MULTILINE)[1]
        assert "nobody" not in cells
    assert "colours" not in page
    assert "wrong answers" not in page


def test_files(harness):
    """A file's times are missing, or its share is not of the slower of memory and disk."""
    page = run("--only", "^files$")
    _, _, table = page.partition("## Files larger than memory")
    for case in harness("files").FILE_CASES:
        cells = re.search(rf"^\| {re.escape(case.name)} \|(.*)\|$", table, re.MULTILINE)[1]
        _, streamed, memory, disk, share = cells.replace(",", "").split("|")
        expected = 100 * max(float(memory), float(disk)) / float(streamed)
        assert float(share.partition("%")[0]) == pytest.approx(expected, rel=0.02, abs=1)


@pytest.mark.parametrize("name", ["digits, 3x3", "main 0", "main 6", "2048 x 2048, 31x31 max"])
def test_a_wrong_contender_is_caught_and_not_timed(harness, name):
    """A wrong or failing contender is timed, or a right one is called wrong."""
    contenders, race = harness("contenders"), harness("race")
    case = next(case for case in harness("cases").CASES if case.name == name).small()
    task = contenders.Task(case)
    right, calls = task.run().astype(task.real), []

    def contender(spoil):
        def fresh():
            calls.append(spoil)
            values = right.copy()
            spoil(values)
            return values

        return contenders.Contender(spoil.__name__, fresh, task.full_output)

    def nothing(values):
        pass

    def one_number(values):
        values.flat[-1] += 1e-3 * abs(values.flat[-1]) + 1e-3

    def not_a_number(values):
        values.flat[0] = np.nan

    def sides_swapped(values):
        values[:] = values[..., ::-1].copy()

    def too_small(values):
        values.resize(values.size - 1, refcheck=False)

    def failing(_):
        raise RuntimeError("no such operator\nmore")

    spoilers = [one_number, not_a_number, sides_swapped, too_small, failing]
    results = race.check(map(contender, [nothing, *spoilers]), harness("reference").reference(task))
    assert [bool(result.fault) for result in results] == [False] + [True] * len(spoilers)
    assert results[-1].fault == "RuntimeError: no such operator"
    calls.clear()
    race.race(results, budget=0, most=3)
    assert {spoil.__name__ for spoil in calls} == {"nothing"}
    assert results[0].seconds("into") > 0


def test_the_slowest_is_called_a_few_times_only(harness):
    """A slow contender gets as many calls as a fast one, and a run takes an hour."""
    race, calls = harness("race"), {"fast": 0, "slow": 0}

    def result(name, work):
        def fresh():
            calls[name] += 1
            return np.arange(work).sum()

        return race.Result(name, "peer", {"fresh": fresh})

    results = [result("fast", 10), result("slow", 1_000_000)]
    race.race(results, budget=0.01)
    assert [result.outclassed for result in results] == [False, True]
    assert calls["slow"] == 3 < calls["fast"]


def test_every_reference_is_what_convlens_says(harness):
    """In some case convlens, or a course file, is called wrong."""
    contenders, race = harness("contenders"), harness("race")
    for case in harness("cases").CASES:
        task = contenders.Task(case.small())
        found = race.check(contenders.contenders(task, {}), harness("reference").reference(task))
        assert [result.fault for result in found] == [""] * (1 + bool(case.course)), case.name


def test_light_peers_are_right_on_signals_and_volumes(harness):
    """A peer is left out of a row that it can do, or is timed with something else."""
    contenders, race = harness("contenders"), harness("race")
    peers, missing = contenders.find_peers(["SciPy", "OpenCV", "NumPy"])
    assert not missing
    slabs = {"SciPy, ndimage", "OpenCV, slab by slab"}
    rows = {"SciPy, ndimage", "OpenCV"}
    fourier = {"SciPy, oaconvolve", "SciPy, fftconvolve"}
    loops = {"SciPy, lfilter", "SciPy, correlate in a loop", "NumPy, convolve in a loop"}
    expected = {
        "volume 128 x 256 x 256, 3x3x3": slabs | fourier,
        "volume 128 x 256 x 256, 17x17x17 gaussian": slabs,
        "volume 128 x 256 x 256, 5x5x5 max": slabs,
        "volume 128 x 256 x 256, 7x7x7 average": slabs,
        "volumes 16 x 16 x 56 x 56 x 32 to 32, 3x3x3": set(),
        "volumes 8 x 64 x 64 x 64 x 1 to 16, 3x3x3": set(),
        "volumes 8 x 64 x 64 x 64 x 16, 2x2x2 max": slabs,
        "signals 1,000 x 10,000, 31 taps": rows | fourier | loops,
        "signal of 10,000,000, 64 taps": rows | fourier | loops,
        "signals 64 x 4,000 x 64 to 64, 9 taps": set(),
        "signals 64 x 4,000 x 64 to 64, 9 taps, dilation 8": set(),
        "signals 100 x 100,000, 1,001 average": rows | {"NumPy, cumsum"},
        "signals 100 x 100,000, 1,001 max": rows,
    }
    cases = [case for case in harness("cases").CASES if case.space != 2]
    assert [case.name for case in cases] == list(expected)
    for case in cases:
        task = contenders.Task(case.small())
        answer = harness("reference").reference(task)
        found = race.check(contenders.contenders(task, peers), answer)
        assert {each.name for each in found} == {"convlens"} | expected[case.name], case.name
        assert {each.fault for each in found} == {""}, case.name


def test_gaussians_and_poolings_are_checked_as_their_whole_window_would_be(harness):
    """Pass by pass, the right answer is another than tap by tap."""
    cases, contenders = harness("cases"), harness("contenders")
    reference = harness("reference").reference
    (case,) = (case for case in cases.CASES if case.sigma and case.space == 3)
    case = dataclasses.replace(case, images=(10, 9, 11))
    passes, whole = (
        reference(contenders.Task(dataclasses.replace(case, sigma=sigma))).values
        for sigma in (case.sigma, None)
    )
    np.testing.assert_allclose(passes, whole, rtol=1e-6)
    for mode, reduced in (("max", np.max), ("avg", np.mean)):
        options = {"mode": mode, "stride": (1, 2, 3), "pad_mode": "wrap", "padding": (1, 0, 2)}
        case = cases.Case("", (2, 6, 7, 8), (3, 2, 4), 1, "pool", options, "float32", space=3)
        task = contenders.Task(case)
        padded = np.pad(task.images.astype(float), ((0, 0), (1, 1), (0, 0), (2, 2)), mode="wrap")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2, 4), (1, 2, 3))
        expected = reduced(windows[:, :, ::2, ::3], axis=(-3, -2, -1))
        np.testing.assert_allclose(reference(task).values[..., 0], expected, rtol=1e-14)


def test_make_bench_begins_with_the_tests_of_the_heavy_peers():
    """`make bench` times PyTorch, JAX or astropy without having compared results with them."""
    makefile = (BENCHMARKS.parent / "Makefile").read_text(encoding="utf-8")
    first, second = re.search(r"^bench:.*\n\t(.*)\n\t(.*)$", makefile, re.MULTILINE).groups()
    assert second.endswith("benchmarks/run.py")
    command = [sys.executable, *shlex.split(first)[1:], "--collect-only", "-q"]
    done = subprocess.run(
        command, cwd=BENCHMARKS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    heavy = {peer.name.replace(" ", ".") for peer in PEERS if peer.module != "numpy"}
    assert {peer.module for peer in PEERS} == {"numpy", "torch", "jax"}
    assert all(f"test_peer[{name}-f4]" in done.stdout for name in heavy)
    assert "test_code[from-pytorch]" in done.stdout
    assert "test_astropy_agrees" in done.stdout


def test_means_with_holes_are_right(harness):
    """The reference of a row whose pixels have holes is wrong, and so anyone may win it."""
    cases, contenders = harness("cases"), harness("contenders")
    (case,) = (each for each in cases.CASES if "holes" in each.name)
    task = contenders.Task(case.small())
    assert 0.1 < np.isnan(task.images).mean() < 0.3
    answer = harness("reference").reference(task)
    padded = np.pad(task.images, 4)
    there = np.isfinite(padded)
    windows, weights = (
        np.lib.stride_tricks.sliding_window_view(each, (9, 9))
        for each in (np.where(there, padded, 0), there)
    )
    expected = (windows * task.kernels).sum((-1, -2)) / (weights * task.kernels).sum((-1, -2))
    np.testing.assert_allclose(answer.values[0, ..., 0], expected, rtol=1e-13)
    assert harness("reference").fault(task.full_output(task.run()), answer) == ""


def test_the_page_is_replaced_only_when_it_is_whole(harness, tmp_path):
    """A run that fails halfway destroys the page that was there."""
    page = tmp_path / "RESULTS.md"
    page.write_text("as it was")

    def fails_halfway(path):
        path.write_text("half of")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        harness("report").write_whole(page, fails_halfway)
    assert page.read_text() == "as it was"


def test_a_part_of_the_page_is_replaced(harness, tmp_path):
    """A benchmark destroys what another one wrote, or its own old part stays."""
    page, write = tmp_path / "RESULTS.md", harness("report").write_part
    write(page, "# One\n\nold\n")
    write(page, "# One, of another kind\n\n## A section\n")
    write(page, "# One\n\nnew\n")
    assert page.read_text() == "# One\n\nnew\n\n# One, of another kind\n\n## A section\n"


@pytest.mark.parametrize(
    ("network", "billions"),
    [
        ("ResNet-50", 3.86),
        ("MobileNetV2", 0.299),
        ("EfficientNet-B0", 0.384),
        ("VGG-16", 15.35),
    ],
)
def test_networks_take_the_known_number_of_multiply_adds(harness, network, billions):
    """A layer is missing, or has another size than in the network."""
    networks, contenders = harness("networks"), harness("contenders")
    total = 0
    for layer in networks.NETWORKS[network].layers():
        if layer.kernels:
            window = layer.window**2 * layer.channels // layer.groups
            total += layer.outputs**2 * layer.kernels * window
    assert total / 1e9 == pytest.approx(billions, rel=0.01)
    assert all(
        contenders.Task(case).plan.output_shape[1] == layer.outputs
        for layer in list(networks.NETWORKS[network].layers())[-3:]
        for case in [layer.case(network, 1)]
    )


def test_the_page_of_layers_tells_the_slowest(harness, monkeypatch, capsys):
    """The page is not made at all, or leaves out who is behind."""
    layers = harness("layers")
    monkeypatch.setattr(sys, "argv", ["run_layers.py", "--only", "Net: 1 x 7 x 7 x 2048|7x7 avg"])
    layers.main()
    page = capsys.readouterr().out
    assert "over 6 layers" in page or "Not installed, so left out: PyTorch, ONNX Runtime." in page
    assert "## Every layer" in page


def test_the_page_of_filters_tells_how_far_ahead(harness, monkeypatch, capsys):
    """The page is not made at all, or times a wrong answer."""
    filters = harness("filters_of_scipy")
    command = [
        "run_filters.py",
        "--side",
        "24",
        "--budget",
        "0.01",
        "--only",
        "median.* [37],",
    ]
    monkeypatch.setattr(sys, "argv", command)
    filters.main()
    page = capsys.readouterr().out
    assert "Ahead of SciPy over 6 rows" in page
    assert "off by" not in page.partition("# How fast")[2].partition("|")[2]


def test_the_way_back(harness, monkeypatch, capsys):
    """A row of the way back has no time, or somebody's answer is wrong."""
    back = harness("way_back")
    command = ["run_way_back.py", "--side", "8", "--batch", "1", "--budget", "0.01"]
    monkeypatch.setattr(sys, "argv", [*command, "--only", "forward|autograd|valid|5x5|224|3x3$"])
    back.main()
    page = capsys.readouterr().out.partition("# How fast")[2]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| 1 x 8")]
    assert len(rows) == 2 + 2  # next to the way forward and to autograd, which tests install
    for _, ahead, wanted, ours, peer in rows:
        assert ahead.endswith("x")
        assert wanted.endswith("x")
        assert float(ours) > 0
        assert float(peer.split()[0]) > 0
    assert ": off by" not in page
