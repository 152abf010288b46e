"""The page works in Firefox as it does in Chromium, where all other tests run it."""

import json
import shutil

import numpy as np
import pytest

from .configurations import by_convlens, picture_of, random_configuration
from .screen import EDGE

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
ARROW_RIGHT = "\ue014"


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    """A Firefox, if there is one."""
    if FIREFOX is None:
        pytest.skip("THE EXPLORER IS NOT TRIED IN FIREFOX: apt-get install firefox-esr")
    from .firefox import started  # noqa: PLC0415  # needs websockets, which is useless without it

    with started(FIREFOX, tmp_path_factory.mktemp("profile")) as firefox:
        yield firefox


def test_the_window_moves(firefox, page_file):
    """Pointing at an output works it out, an arrow key moves the window, and nothing complains."""
    firefox.open(page_file.as_uri() + EDGE + "&at=2,1")
    sentence = "document.getElementById('worked-sentence').textContent"
    assert firefox.evaluate(sentence).startswith("The output at row 2, column 1")
    firefox.act(
        "key",
        {"type": "keyDown", "value": ARROW_RIGHT},
        {"type": "keyUp", "value": ARROW_RIGHT},
    )
    assert firefox.evaluate("explorer.state.at") == [2, 2]
    box = "document.querySelector('#output-canvas canvas').getBoundingClientRect()"
    x, y, width, height = firefox.evaluate(
        f"(({{x, y, width, height}}) => [x, y, width, height])({box})"
    )
    place = {"x": round(x + width * 4.5 / 6), "y": round(y + height * 0.5 / 6)}  # of 6 x 6 outputs
    firefox.act("pointer", {"type": "pointerMove", **place}, parameters={"pointerType": "mouse"})
    assert firefox.evaluate(sentence).startswith("The output at row 0, column 4")
    assert firefox.complaints == []


def test_values(firefox, page_file):
    """Outputs of random configurations are the library's."""
    rng = np.random.default_rng(23)
    firefox.open(page_file.as_uri())
    compared = 0
    for _ in range(40):
        state, image = random_configuration(rng)
        expected = by_convlens(state, image)
        if expected is None:
            continue
        given = f"{json.dumps(state)}, {json.dumps(picture_of(image))}"
        firefox.evaluate(f"explorer.set({given}) ?? null")
        h, w, c, *numbers = firefox.evaluate(
            "(({ h, w, c, data }) => [h, w, c, ...data])(explorer.output)"
        )
        np.testing.assert_allclose(
            np.reshape(numbers, (h, w, c)), expected, rtol=1e-9, atol=1e-6, err_msg=str(state)
        )
        compared += 1
    assert compared >= 20
    assert firefox.complaints == []
