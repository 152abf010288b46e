"""The tour explains one thing after another, and leaves the page as it was."""

import re

import numpy as np
import pytest

from .screen import COLOURS, OTHER, file_of, follow, marked, opened, output, state, until

TOUR = (
    *("Picture", "Window", "Kernel", "Multiply", "Add up", "Output", "Convolution", "Size"),
    *("Padding", "An edge that is not there", "Stride", "Channels", "Layers"),
    *(
        "Several kernels",
        "Pooling",
        "Operations in a row",
        "Signal",
        "The way back",
        "Transposed convolution",
        "Learning",
        "Your turn",
    ),
)
LATER = {  # what a step does not show yet, because no step has explained it
    "#kernel-panel": 2,
    ".worked": 3,
    ".equals": 4,
    "#output-panel": 5,
    ".size-section": 7,
}


def test_tour(visit):
    """Each step sets the page up, says one true thing in a sentence, and hides what is later."""
    page = visit()
    page.select_option("#speed", "slow")  # It still plays when a slow machine looks.
    page.click("#tour-open")
    seen, hidden = {}, None
    for number, title in enumerate(TOUR):
        assert page.inner_text("#tour-title") == title
        text = page.inner_text("#tour-sentence")
        assert text.count(".") == 1
        assert text.endswith(".")
        for part, step in LATER.items():
            assert page.locator(part).first.is_visible() == (number >= step), (title, part)
        now = state(page)
        seen[title] = (now, output(page))
        if title == "Convolution":
            until(page, "explorer.state.at.join() !== '0,0'")
            hidden = marked(page, "output")
        elif title == "Padding":
            assert marked(page, "output") < hidden / 4  # all of the output is seen again
        elif said := re.search(r"here (−?\d+)", text):
            value = int(said[1].replace("−", "-"))
            assert title == "Picture" or seen[title][1][*now["at"], 0] == value
        page.press("#tour-next", "Enter")
    assert page.is_hidden("#tour")
    shapes = {title: result.shape for title, (_, result) in seen.items()}
    assert shapes["Size"] == (6, 6, 1)  # smaller than 8 x 8
    assert shapes["Padding"] == (8, 8, 1)
    assert shapes["Stride"] == (4, 4, 1)  # half the rows, half the columns
    assert shapes["Layers"][2] == 1
    assert len(seen["Layers"][0]["layers"]) == 3
    assert shapes["Pooling"] == (8, 8, 1)  # a quarter of 16 x 16
    assert shapes["Signal"] == (1, 60, 1)
    assert seen["The way back"][0]["pin"] == ["input", 4, 3]
    assert shapes["Transposed convolution"] == (8, 8, 1)  # of 16 x 16
    assert seen["Learning"][0]["goal"] is not None


def test_the_learning_step_teaches(visit):
    """During the step on learning its button can be pressed, and the kernel comes closer."""
    page = visit()
    page.click("#tour-open")
    for _ in range(TOUR.index("Learning")):
        page.press("#tour-next", "Enter")
    page.click("#learn-step")
    assert "after 1 step" in page.inner_text("#learn-loss")
    assert page.is_visible("#tour")


@pytest.mark.parametrize("way", ["Escape", "button", "Done"])
def test_after_the_tour_all_is_as_before(visit, way):
    """However the tour ends, the user has picture and settings again."""
    page = visit("#k=1,2&p=full&s=2,3&pic=count")
    page.set_input_files("#file", file_of(COLOURS))
    opened(page)
    before, seen = state(page), output(page)
    page.click("#tour-open")
    for _ in range(len(TOUR) if way == "Done" else 4):
        page.press("#tour-next", "Enter")
    if way == "Escape":
        page.keyboard.press("Escape")
    elif way == "button":
        page.click("#tour-close")
    assert page.is_hidden("#tour")
    assert state(page) == before
    np.testing.assert_array_equal(output(page), seen)
    assert page.evaluate("document.activeElement.id") == "tour-open"
    assert page.is_visible("#output-panel")


def test_what_is_chosen_during_the_tour_stays(visit):
    """A picture that is opened, or a link that is followed, is not taken away by the tour's end."""
    page = visit("#pic=count&k=1&p=valid")
    page.click("#tour-open")
    page.set_input_files("#file", file_of(COLOURS))
    opened(page)
    page.keyboard.press("Escape")
    assert state(page)["picture"] == "own"
    page.click("#tour-open")
    follow(page, OTHER)
    assert page.is_hidden("#tour")
    assert state(page)["operation"] == "max"


def test_the_tour_does_not_play_with_reduced_motion(visit):
    """Nothing moves by itself, and the whole output is seen."""
    page = visit(reduced_motion="reduce")
    page.click("#tour-open")
    for _ in range(TOUR.index("Convolution")):
        page.click("#tour-next")
    page.wait_for_timeout(900)
    assert state(page)["at"] == [0, 0]
    assert page.inner_text("#play") == "Play"


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_tour_covers_no_focus(visit, width):
    """The card hides neither what a step is about nor what the Tab key reaches (WCAG 2.4.11)."""
    page = visit(viewport={"width": width, "height": 844}, reduced_motion="reduce")
    page.click("#tour-open")
    covered = """(part) => {
      const [card, box] = [document.querySelector("#tour"), part]
        .map((e) => e.getBoundingClientRect());
      return Math.min(card.bottom, box.bottom) - Math.max(card.top, box.top);
    }"""
    for title in TOUR[:-1]:
        part = page.query_selector(".toured")
        if part.bounding_box()["height"] < 500:
            assert page.evaluate(covered, part) <= 0, title
        if width == 1280:  # the card stays at the top, so that its buttons stay near the mouse
            assert page.locator("#tour").bounding_box()["y"] < 30, title
        page.click("#tour-next")
    for _ in range(60):
        page.keyboard.press("Tab")
        where, hidden = page.evaluate(
            f"""() => {{
              const part = document.activeElement;
              if (part === document.body) return ["end", null];
              const onCard = part.closest("#tour") !== null;
              return ["", !onCard && ({covered})(part) > 0 ? part.outerHTML : null];
            }}"""
        )
        assert hidden is None
        if where == "end":
            break
    else:
        pytest.fail("The Tab key does not come to the page's end.")


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_fast_clicks_take_every_step(visit, width):
    """The next button stays under the mouse, whatever a step shows and however the page scrolls."""
    page = visit(viewport={"width": width, "height": 900})
    page.click("#tour-open")
    box = page.locator("#tour-next").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 3)
    for title in TOUR[1:]:
        page.mouse.down()
        page.mouse.up()
        assert page.inner_text("#tour-title") == title
