"""Pointing at an output, a pixel, or a tap shows the numbers that meet there, and why."""

import re

from .screen import EDGE, SAME, cell_of, follow, marked, output, point, sentence, state, until


def test_pointing_at_an_output(visit):
    """The window of the output is marked, and the arithmetic shown gives that output."""
    page = visit(EDGE)
    point(page, "output", 2, 1)
    assert sentence(page).startswith("The output at row 2, column 1 (counted from 0) is 23:")
    cells = page.locator(".terms td").all_inner_texts()
    assert cells[:9] == ["8", "8", "0", "8", "7", "1", "9", "8", "1"]
    assert cells[9:18] == ["1", "0", "−1"] * 3
    assert cells[18:] == ["8", "0", "0", "8", "0", "−1", "9", "0", "−1"]
    assert page.inner_text(".sum").startswith("8 × 1 + 8 × 0 + 0 × (−1) + 8 × 1")
    assert page.inner_text(".sum").endswith("= 23")
    assert marked(page, "input") > 0


def test_pointing_at_an_input_pixel(visit):
    """The page says how many outputs use a pixel: one in the corner, nine in the middle."""
    page = visit(EDGE)
    point(page, "input", 0, 0)
    assert sentence(page) == (
        "Its number is 8. The pixel at row 0, column 0 is used by 1 output, lit up in the output."
    )
    corner = marked(page, "output")
    point(page, "input", 4, 4)
    assert "used by 9 outputs" in sentence(page)
    assert marked(page, "output") > corner
    page = visit(f"{EDGE}&s=4,4")
    point(page, "input", 3, 3)
    assert "used by no output: the windows step over it" in sentence(page)


def test_the_way_back_is_written_out(visit):
    """A pixel shows the outputs that it feeds, their weights, and what they give back."""
    page = visit(EDGE + "&pin=input,4,4")
    assert page.locator(".terms span:not(.equals)").all_inner_texts() == [
        *("Outputs", "Weights", "Products")
    ]
    cells = page.locator(".terms td").all_inner_texts()
    assert cells[9:18] == ["−1", "0", "1"] * 3  # the kernel, turned around
    assert "the kernel turned by 180°" in page.inner_text("#worked-back")
    fed = output(page)[2:5, 2:5, 0]
    expected = f"{(fed * [-1, 0, 1]).sum():g}".replace("-", "−")
    assert page.inner_text(".equals") == f"→ {expected}"
    assert "back = convlens.convolve_transpose(output, kernel, (8, 8)" in page.inner_text("#code")
    point(page, "input", 0, 0)
    assert page.locator(".terms td").all_inner_texts() == ["3", "1", "3"]
    assert "180°" not in page.inner_text("#worked-back")
    point(page, "output", 0, 0)
    assert page.inner_text("#worked-back") == ""
    assert page.locator(".terms span:not(.equals)").all_inner_texts()[1] == "Kernel"
    page.keyboard.press("Escape")
    assert "back" not in page.inner_text("#code")
    page.focus("#input-canvas")
    page.keyboard.press("ArrowRight")  # keys show it as well
    assert "On the way back" in page.inner_text("#worked-back")


def test_what_the_way_back_makes_of_the_whole(visit):
    """Beside the output stands the picture that a transposed convolution makes of it."""
    page = visit("#pic=digit&p=same&s=2,2&k=1,2,1;2,4,2;1,2,1&pin=input,8,6")
    assert "this is a transposed convolution" in page.inner_text("#sent-text")
    sizes = page.locator(".sent-pictures .size").all_inner_texts()
    assert [size.replace("\N{NO-BREAK SPACE}", " ") for size in sizes] == ["8 × 8", "16 × 16"]
    widths = page.locator(".sent-pictures .small").evaluate_all(
        "(all) => all.map((each) => each.clientWidth)"
    )
    assert widths[1] > 1.8 * widths[0]  # both at the same scale
    point(page, "output", 0, 0)
    assert page.is_hidden("#sent")
    point(page, "input", 0, 0)
    assert page.is_visible("#sent")
    page.click("#operation >> text=Max pool")
    assert page.is_hidden("#sent")


def test_pointing_at_a_copied_pixel(visit):
    """With a wrapped border, a corner is also used by windows at the opposite end."""
    page = visit(SAME + "&b=wrap")
    point(page, "input", 0, 0)
    assert "used by 9 outputs" in sentence(page)
    point(page, "input", -1, -1)
    assert sentence(page).startswith(
        "It is padding, with the value of row 7, column 7. This padded cell is used by 1 output"
    )


def test_pointing_at_a_tap(visit):
    """Every pixel that the tap meets is marked."""
    page = visit(EDGE)
    page.hover("#kernel-grid input >> nth=2")
    assert "This one, 1 of 3 down and 3 of 3 across, meets the lit pixels" in sentence(page)
    assert sentence(page).endswith("and multiplies each by −1.")
    assert marked(page, "input") > 0


def test_padding_says_what_it_is(visit):
    """The page says whether padding holds zeros or a copied value, or is left out by pooling."""
    page = visit(SAME)
    point(page, "output", 0, 0)
    assert page.inner_text("#worked-padding") == (
        "5 cells of this window are padding: zeros, outside the picture."
    )
    page = visit(SAME + "&b=reflect")
    point(page, "output", 0, 0)
    assert "mirrored at the last pixel" in page.inner_text("#worked-padding")
    assert page.get_attribute(".terms td", "title") == "padding, with the value of row 1, column 1"
    page = visit("#op=max&pic=edge&w=3,3&p=same")
    point(page, "output", 0, 0)
    assert "which pooling leaves out" in page.inner_text("#worked-padding")
    assert page.inner_text(".terms td >> nth=0") == "·"


def test_pooling_names_the_winner(visit):
    """A max pooling names the largest pixel, an average pooling shows the sum and the count."""
    page = visit("#op=max&pic=count&w=2,2&s=2,2&p=valid")
    point(page, "output", 1, 1)
    assert page.inner_text(".sum") == "The largest is 22, at row 3, column 3."
    assert page.inner_text("td.winner") == "22"
    page.click("text=Average pool")
    point(page, "output", 1, 1)
    assert page.inner_text(".sum") == "Sum 74 ÷ 4 cells = 18.5"


def test_channels_are_added_up(visit):
    """The page shows a window and a kernel layer for each channel, and one sum of all three."""
    page = visit("#pic=cat&side=16&c=summed&p=valid&k=1,0|0,1|-1,0")
    point(page, "output", 3, 4)
    assert page.locator(".channel h3").all_inner_texts() == ["Red", "Green", "Blue"]
    value = output(page)[3, 4, 0]
    total = page.inner_text("#worked-total").replace("−", "-")
    assert total.endswith(f" = {value:g}")
    parts = [float(n) for n in re.findall(r"-?\d+", total.split("=")[0])]
    assert sum(parts) == value


def test_pins(visit):
    """A click pins a pixel; another click on it or Escape releases it."""
    page = visit(EDGE)
    page.mouse.click(*cell_of(page, "output", 3, 2))
    page.mouse.move(5, 5)
    assert state(page)["pin"] == ["output", 3, 2]
    assert "row 3, column 2" in sentence(page)
    assert "Pinned" in sentence(page)
    point(page, "output", 0, 0)
    assert "row 0, column 0" in sentence(page)
    page.mouse.move(5, 5)
    page.keyboard.press("Escape")
    assert state(page)["pin"] is None
    page.mouse.click(*cell_of(page, "input", 1, 1))
    assert state(page)["pin"] == ["input", 1, 1]
    page.mouse.click(*cell_of(page, "input", 1, 1))
    assert state(page)["pin"] is None


def test_pins_that_are_gone(visit):
    """A pin is dropped when its place no longer exists."""
    page = visit(EDGE + "&pin=output,5,5")
    assert state(page)["pin"] == ["output", 5, 5]
    page.fill("#stride-0", "2")
    assert state(page)["pin"] is None
    assert "row 0, column 1" in sentence(page)  # the largest
    for wrong in ("output,6,0", "input,8,0", "tap,3,3"):
        follow(page, f"{EDGE}&pin={wrong}")
        assert state(page)["pin"] is None


def test_touch(visit):
    """A tap pins a pixel; a finger that slides shows each pixel that it passes."""
    page = visit(EDGE, has_touch=True, viewport={"width": 390, "height": 844})
    page.touchscreen.tap(*cell_of(page, "output", 4, 3))
    assert state(page)["pin"] == ["output", 4, 3]
    assert "row 4, column 3" in sentence(page)
    devtools = page.context.new_cdp_session(page)
    for kind, place in (("touchStart", (0, 0)), ("touchMove", (1, 2)), ("touchMove", (5, 5))):
        x, y = cell_of(page, "output", *place)
        points = [{"x": x, "y": y}]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        until(page, f"explorer.pointed.join() === 'output,{place[0]},{place[1]}'")
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert state(page)["pin"] == ["output", 5, 5]
