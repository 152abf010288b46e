"""One axis: signals as bars, causal padding, numbers from files, drawing, programs, links."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from convlens import convolve, convolve_transpose, pool

from . import screen
from .programs import MODULES, run, runnable, written

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def random_signal(rng):
    """(state, samples): a state of the page on one axis, and the signal (w,) in it."""
    operation = "convolve" if rng.random() < 0.7 else ("max", "avg", "min")[rng.integers(3)]
    ends = [[0, 0], [int(n) for n in rng.integers(0, 5, 2)]]
    words = ("valid", "same", "full", "causal", ends)
    window = int(rng.integers(1, 8))
    state = {
        "operation": operation,
        "layers": [[rng.standard_normal(window).tolist()]],
        "flip": operation == "convolve" and bool(rng.random() < 0.3),
        "window": [1, window],
        "stride": [1, int(rng.integers(1, 4))],
        "dilation": [1, int(rng.integers(1, 4))],
        "padding": words[rng.integers(5)],
        "padMode": PAD_MODES[rng.integers(5)],
        "countPadding": bool(rng.integers(2)),
        "partial": bool(rng.integers(2)),
        "colour": "gray",
        "layer": "all",
        "at": None,
        "pin": None,
    }
    return state, np.round(rng.standard_normal(int(rng.integers(1, 30))) * 10, 3)


def as_signal(samples):
    """A signal (w,) as the page reads it."""
    data = base64.b64encode(samples.astype("<f8").tobytes()).decode()
    return {"shape": [1, samples.size, 1], "type": "f8", "data": data, "signal": True}


def options_of(state):
    """What `convolve` and `pool` both take: a causal padding is given as numbers."""
    padding, dilation = state["padding"], state["dilation"][1]
    window = state["window"][1]
    if padding == "causal":
        padding = ((window - 1) * dilation, 0)
    elif not isinstance(padding, str):
        padding = tuple(padding[1])
    return {"padding": padding, "dilation": dilation, "stride": state["stride"][1], "space": 1}


def kernel_of(state):
    """The kernel (kw,) as it is used."""
    kernel = np.array(state["layers"][0][0])
    return kernel[::-1] if state["flip"] else kernel


def by_convlens(state, samples):
    """The output of `convlens`, (ow,), or None if it refuses."""
    options = options_of(state)
    try:
        if state["operation"] != "convolve":
            flags = {"count_padding": state["countPadding"], "partial": state["partial"]}
            return pool(samples, state["window"][1], mode=state["operation"], **flags, **options)
        return convolve(samples, kernel_of(state), pad_mode=state["padMode"], **options)
    except ValueError:
        return None


@pytest.fixture(scope="module")
def signals(browser, page_file):
    """For 200 random signals: state, samples, the page's output or reason, and its programs."""
    rng = np.random.default_rng(31)
    cases = [random_signal(rng) for _ in range(200)]
    found = written(browser, page_file, [[state, as_signal(samples)] for state, samples in cases])
    return [(*case, result) for case, result in zip(cases, found, strict=True)]


def test_random_signals(signals):
    """Outputs equal the library's with space=1; what it refuses is explained."""
    compared = 0
    for state, samples, result in signals:
        expected = by_convlens(state, samples)
        if expected is None:
            assert result["reason"], state
            continue
        np.testing.assert_allclose(result["data"], expected, rtol=1e-9, atol=1e-9)
        compared += 1
    assert compared >= 130


@pytest.mark.parametrize("library", MODULES)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_programs_for_signals(signals, library, monkeypatch):
    """Each program that the page writes for a signal gives the output that the page shows."""
    runnable(library, monkeypatch)
    executed = 0
    for _, samples, result in signals:
        if result["reason"]:
            continue
        program = result["programs"][library]
        if program["code"] is None:
            assert program["note"]
            continue
        names = run(program["code"], library, samples=samples)
        loose = 1e-3 if library == "JAX" else 1e-9
        np.testing.assert_allclose(
            names["output"], result["data"], rtol=loose, atol=loose, err_msg=program["code"]
        )
        executed += 1
    assert executed >= (100 if library != "Course files" else 60)


def test_the_way_back_of_a_signal(visit):
    """What a sample gets back is what `convolve_transpose` gives it; the program has its call."""
    rng = np.random.default_rng(8)
    cases = []
    for state, samples in (random_signal(rng) for _ in range(45)):
        if state["operation"] == "convolve" and by_convlens(state, samples) is not None:
            at = int(rng.integers(samples.size))
            cases.append((state | {"pin": ["input", 0, at]}, samples, at))
    assert len(cases) >= 18
    results = visit().evaluate(
        """(cases) => cases.map(([state, picture, at]) => {
          explorer.set(state, picture);
          const [{ result }] = explorer.back(0, at).channels;
          return [result, explorer.sent, explorer.program("convlens").code];
        })""",
        [[state, as_signal(samples), at] for state, samples, at in cases],
    )
    for (state, samples, at), (back, sent, code) in zip(cases, results, strict=True):
        names = run(code, "convlens", samples=samples)
        options = options_of(state) | {"pad_mode": state["padMode"]}
        output = by_convlens(state, samples)
        expected = convolve_transpose(output, kernel_of(state), samples.size, **options)
        np.testing.assert_allclose(names["back"], expected, rtol=1e-12)
        np.testing.assert_allclose(back, expected[at], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(sent, expected, rtol=1e-9, atol=1e-9)


def output(page):
    """The output on the page: (ow,)."""
    return page.evaluate("[...explorer.output.data]")


def test_a_signal_is_chosen(visit):
    """A signal has one axis, its own kernel and its own words; the picture's kernel comes back."""
    page = visit()
    before = screen.state(page)["layers"]
    page.click("[aria-label='Two heartbeats']")
    assert screen.state(page)["layers"] == [[[1 / 3] * 3]]
    assert page.inner_text("#input-size") == "60 samples, padded 62"
    assert not page.is_visible("#window-0")
    assert not page.is_visible("#stride-0")
    assert page.inner_text("#worked-sentence").startswith(
        "Output 12 (counted from 0), with its window over samples 11 to 13, is "
    )
    assert page.inner_text(".size-section .note").startswith("w: the samples")
    assert "pixel" not in page.inner_text(".work") + page.inner_text(".controls")
    page.select_option("#preset", label="difference")
    assert screen.state(page)["layers"] == [[[-1, 1]]]
    page.click("[aria-label='A five, drawn by hand']")
    assert screen.state(page)["layers"] == before
    page.click("[aria-label='A step']")
    assert screen.state(page)["layers"] == [[[-1, 1]]]


OUTPUTS = {  # what a link's output is called
    "k=1,1,1&p=valid&s=1,2&at=0,2": "Output 2 (counted from 0), with its window over samples 4 to",
    "k=1,1,1&p=valid&d=1,2&at=0,2": "window over samples 2 to 6, every 2nd,",
    "k=1,1&p=valid&s=1,2&at=0,2": "window over samples 4 and 5,",
    "k=1,1,1&p=full&s=1,1&at=0,2": "window over samples 0 to 2,",
    "k=1,1,1,1&p=full&s=1,1&at=0,0": "with its window over sample 0,",
    "k=1&p=0,0,3,0&s=1,1&at=0,2": "with its window over padding alone,",
}


def test_an_output_is_named_with_its_samples(visit):
    """The number of an output is not taken for that of a sample, and both are said."""
    page = visit()
    for fragment, words in OUTPUTS.items():
        assert screen.follow(page, f"#pic=own&signal=1,2,3,4,5,6,7,8,9&{fragment}") == ""
        assert words in page.inner_text("#worked-sentence")
        number = fragment[-1]
        assert page.get_attribute("#position", "aria-valuetext") == f"output {number}"


def test_causal_padding(visit):
    """With causal padding an output sees no later sample; its window ends below its own sample."""
    page = visit("#pic=own&signal=1,2,3,4,5&k=1,10,100&p=causal")
    assert output(page) == [100, 210, 321, 432, 543]
    page.goto(page.url.replace("3,4,5", "3,4,9"))
    assert output(page)[:4] == [100, 210, 321, 432]
    assert "never the future" in page.inner_text("#padding-hint")
    assert "padding=(2, 0), space=1" in page.inner_text("#code")
    boxes = [
        page.locator(f"#{name}-canvas canvas >> nth=0").bounding_box()
        for name in ("input", "output")
    ]
    cell = (boxes[0]["width"] - 4) / 7
    assert boxes[1]["x"] - boxes[0]["x"] == pytest.approx(2 * cell, abs=1)
    page.keyboard.press("Escape")
    page.click("[aria-label='Bright left, dark right']")
    assert screen.state(page)["padding"] == "same"
    assert not page.is_visible("#padding [data-value=causal]")


def test_causal_padding_by_the_mouse_and_keys(visit):
    """The choice is there for signals, for the mouse and for keys."""
    page = visit("#pic=step&k=1,1&p=valid")
    page.click("#padding [data-value=causal]")
    assert output(page) == [0] * 8 + [1] + [2] * 7
    page.keyboard.press("ArrowRight")
    assert screen.state(page)["padding"] == "valid"
    page.keyboard.press("ArrowLeft")
    assert screen.state(page)["padding"] == "causal"


FILES = {
    "1, 2.5\t-3 4e1,5": [1, 2.5, -3, 40, 5],
    "1,5; -2": [1.5, -2],
    "1\n2\n3\n": [1, 2, 3],
    "day,close\n2024-01-02,10.5\n2024-01-03,11\n": [10.5, 11],
    '"a";"b";"name"\n1;2;x\n3;4;y\n': [2, 4],
}


def test_numbers_from_a_file(visit):
    """A list of numbers or the last column of numbers of a CSV file becomes the signal."""
    page = visit()
    for text, numbers in FILES.items():
        page.set_input_files(
            "#file", {"name": "a.csv", "mimeType": "text/csv", "buffer": text.encode()}
        )
        screen.until(page, f"explorer.image.data.join() === '{','.join(map(str, numbers))}'")
        assert page.evaluate("explorer.image.signal")


def test_files_that_hold_no_numbers(visit):
    """The page says what it takes, and keeps what it had."""
    page = visit()
    for text in ("", "one\ntwo", "1,x\ny,2", "1e300"):
        file = {"name": "a.csv", "mimeType": "text/csv", "buffer": text.encode()}
        page.set_input_files("#file", file)
        page.wait_for_timeout(100)
        assert "has no column of numbers" in page.inner_text("#notice")
        assert screen.state(page)["picture"] == "digit"


def test_long_files_are_cut_and_say_so(visit):
    """The first 256 numbers of a longer file are shown."""
    page = visit()
    text = "\n".join(map(str, range(1000)))
    page.set_input_files(
        "#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": text.encode()}
    )
    page.wait_for_timeout(150)
    assert page.inner_text("#picture-note") == "These are the first 256 of 1000 numbers."
    assert page.inner_text("#input-size").startswith("256 samples")


def test_drawing_a_signal(visit):
    """A stroke of the mouse, and keys, become a signal, which the link keeps."""
    page = visit("#pic=step&k=1&p=valid")
    page.click("#draw-open")
    box = page.locator("#sketch-canvas").bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 1)
    assert screen.state(page)["picture"] == "step"  # until the first stroke ends
    page.mouse.up()
    assert output(page) == [1] * 32
    page.focus("#sketch-canvas")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    assert output(page)[:3] == [1, 0.8, 1]
    assert page.inner_text("#sketch-note") == "Sample 1 is 0.8."
    page.wait_for_timeout(400)
    again = visit(page.evaluate("location.hash"))
    assert output(again) == output(page)
    page.click("#sketch-clear")
    assert output(page) == [0] * 32
    page.click("#sketch-close")
    assert page.evaluate("document.activeElement.id") == "draw-open"


def test_links_with_wrong_signals(visit):
    """A signal that is no list of numbers, or too long, is left out, and the page says so."""
    for wrong in ("1,x", "1e99", ",".join(["1"] * 300)):
        page = visit(f"#signal={wrong}&p=valid")
        assert "left out: signal" in page.inner_text("#notice")
        assert screen.state(page)["picture"] == "digit"


def test_what_can_be_taken_along(visit):
    """The output's picture and the animation have the signal's shape; the numbers can be copied."""
    page = visit(
        "#pic=step&p=causal&k=1,1,1&s=1,2", permissions=["clipboard-read", "clipboard-write"]
    )
    for button, frames in (("output", 1), ("animation", 8)):
        with page.expect_download() as download:
            page.click(f"#save-{button}")
        image = Image.open(io.BytesIO(download.value.path().read_bytes()))
        assert image.width > image.height / 1.5
        assert getattr(image, "n_frames", 1) == frames
        assert (np.asarray(image.convert("RGB")) == (238, 166, 98)).all(axis=-1).any()  # a bar
    page.click("#image-copy")
    page.wait_for_timeout(100)
    names = {}
    exec(page.evaluate("navigator.clipboard.readText()"), names)
    assert names["samples"].tolist() == [0] * 8 + [1] * 8


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_nothing_is_cut_off(visit, width):
    """On a phone, a tablet and a desk the longest signal fits, and a touch finds its sample."""
    page = visit("#pic=sound&p=full&k=1,1,1,1,1,1,1", viewport={"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#input-canvas canvas >> nth=1").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    cell = (box["width"] - 4) / 76
    page.mouse.click(box["x"] + 2 + 16.5 * cell, box["y"] + box["height"] / 2)
    assert screen.state(page)["pin"] == ["input", 0, 10]
    assert "One sample of the input" in page.inner_text("#worked-title")
