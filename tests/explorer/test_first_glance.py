"""The page opens on a place where something happens, readable on any screen."""

import pytest

from .screen import output, sentence, state, until


@pytest.mark.parametrize("picture", ["digit", "edge", "count", "cat"])
def test_a_picture_opens_where_something_happens(visit, picture):
    """The output that is worked out first is the largest one of windows that see no padding."""
    page = visit()
    page.click(f"#samples button[data-value={picture}]")
    inner = abs(output(page)[1:-1, 1:-1, 0])
    y, x = state(page)["at"]
    assert abs(output(page)[y, x, 0]) == inner.max() > 0


def test_the_first_glance(visit):
    """The page opens on a large number, and at every size its window's numbers can be read."""
    for width in (1440, 768, 390, 320):
        page = visit(viewport={"width": width, "height": 844})
        assert "is 36: the window times the kernel" in sentence(page)
        cells = page.evaluate(
            """() => ["input", "output"].map((panel) =>
              document.querySelector(`#${panel}-canvas canvas`).clientWidth
                / explorer.axes[1][panel === "input" ? "cells" : "outputs"])"""
        )
        assert min(cells) >= 15, width  # CSS pixels, enough for numbers


@pytest.mark.parametrize("width", [390, 320])
@pytest.mark.parametrize("picture", ["digit", "cat&side=16&c=summed"])
def test_nothing_is_cut_off_on_a_phone(visit, width, picture):
    """All of a worked-out output is within the screen: windows, kernels, products and sums."""
    page = visit(
        f"#k=-1,0,1;-2,0,2;-1,0,1&p=valid&pic={picture}", viewport={"width": width, "height": 844}
    )
    parts = page.locator(".terms table, .terms .equals, .sum, #worked-total:visible").all()
    assert len(parts) >= 5
    for part in parts:
        box = part.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_messages_are_in_view(visit):
    """A message about a file is on the screen wherever the page is scrolled, until dismissed."""
    page = visit(viewport={"width": 390, "height": 844})
    page.locator("#open").scroll_into_view_if_needed()
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"none"})
    until(page, "document.getElementById('notice').textContent !== ''")
    box = page.locator("#notice").bounding_box()
    assert 0 <= box["y"] < 100
    page.click("#notice-close")
    assert page.inner_text("#notice") == ""
