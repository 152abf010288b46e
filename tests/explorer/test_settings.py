"""Every control changes what it says, and refuses in words what cannot be."""

import re

import numpy as np

import convlens

from .screen import EDGE, cell_of, output, point, state, until


def test_kernel_cells(visit):
    """Each number is edited in place, may be a fraction, and is refused if it is no number."""
    page = visit(EDGE)
    page.fill("#kernel-grid input >> nth=4", "1/2")
    assert state(page)["layers"][0][1] == [1, 0.5, -1]
    page.fill("#kernel-grid input >> nth=4", "1,5")
    assert state(page)["layers"][0][1] == [1, 1.5, -1]
    for wrong in ("<b>x</b>", "1,000", "1e9", "1/0"):
        page.fill("#kernel-grid input >> nth=4", wrong)
        assert page.get_attribute("#kernel-grid input >> nth=4", "aria-invalid") == "true"
        assert "A kernel holds numbers" in page.inner_text("#remark")
        assert state(page)["layers"][0][1] == [1, 1.5, -1]
    page.fill("#kernel-grid input >> nth=4", "-3")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#remark") == ""
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == (
        "Kernel: Row 3 of 3, column 2 of 3"
    )


def test_numbers_that_are_begun(visit):
    """What may become a number is no error, nothing moves, and leaving it there is explained."""
    page = visit(EDGE)
    cell = page.locator("#kernel-grid input >> nth=4")
    cell.focus()
    places = "[...document.querySelectorAll('button')].map((e) => e.getBoundingClientRect().top)"
    before = page.evaluate(places)
    for begun in ("", "-", ".", "-.", "1/", "1e", "1e-", "1,", "−"):
        cell.fill(begun)
        assert cell.get_attribute("aria-invalid") == "false"
        assert page.inner_text("#remark") == ""
        assert page.evaluate(places) == before
    cell.fill("x")
    assert page.evaluate(places) == before
    assert page.inner_text("#remark").startswith("A kernel holds numbers")
    remark, field = page.locator("#remark").bounding_box(), cell.bounding_box()
    assert 0 <= remark["y"] - field["y"] - field["height"] < 12  # right below the field
    cell.fill("-")
    page.keyboard.press("Tab")
    assert page.inner_text("#remark").startswith("It is 0 still.")
    assert cell.input_value() == "0"


def test_escape_in_a_kernel_cell(visit):
    """Escape brings the number back that the field had, and keeps pin and tour."""
    page = visit(EDGE + "&pin=output,1,1")
    page.click("#tour-open")
    for _ in range(2):
        page.click("#tour-next")
    page.focus("#kernel-grid input >> nth=0")
    page.keyboard.type("75")
    assert state(page)["layers"][0][0][0] == 75
    page.keyboard.press("Escape")
    assert state(page)["layers"][0][0][0] == 1
    assert page.is_visible("#tour")


def test_limits_are_said(visit):
    """Every field for whole numbers has its limits in its label, and refuses others in words."""
    page = visit("#pic=count&p=1,1,1,1&k=1")
    labels = page.locator("label:has(input[type=number])").all_inner_texts()
    limits = [re.search(r"(\d+) to (\d+)", label).groups() for label in labels]
    assert limits == [("1", "11")] * 2 + [("1", "16")] * 2 + [("0", "32")] * 4 + [("1", "8")] * 2
    page.fill("#pad-0-0", "33")
    assert page.inner_text("#remark") == "This takes whole numbers from 0 to 32."
    page.keyboard.press("Tab")
    assert page.inner_text("#remark").startswith("It is 1 still")
    assert page.input_value("#pad-0-0") == "1"


def test_kernel_sizes(visit):
    """Kernels have 1 to 11 rows and columns; resizing keeps their numbers around the middle."""
    page = visit(EDGE + "&p=full")
    page.fill("#window-0", "11")
    page.fill("#window-1", "2")
    layer = state(page)["layers"][0]
    assert (len(layer), len(layer[0])) == (11, 2)
    assert page.locator("#kernel-grid input").count() == 22
    page.fill("#window-0", "12")
    assert page.get_attribute("#window-0", "aria-invalid") == "true"
    assert len(state(page)["layers"][0]) == 11
    page.press("#window-0", "Tab")
    assert page.input_value("#window-0") == "11"


def test_presets_are_the_filters(visit):
    """The presets hold the numbers of the filters of the same name."""
    page = visit()
    names = page.locator("#preset option").all_inner_texts()
    assert names[0] == "your own numbers"
    for name, kernel in {
        "emboss": convlens.filters.emboss(),
        "gaussian, σ = 1": convlens.filters.gaussian(1),
        "motion blur, 45°": convlens.filters.motion_blur(9, 45),
    }.items():
        page.select_option("#preset", label=name)
        np.testing.assert_array_equal(state(page)["layers"][0], kernel)


def test_layers(visit):
    """In a picture whose channels are summed, each channel's layer can be edited by itself."""
    page = visit("#pic=cat&side=16&c=summed&k=1,2,3&p=valid")
    page.click("#layer-choice >> text=Green")
    page.fill("#kernel-grid input >> nth=0", "7")
    assert state(page)["layers"] == [[[1, 2, 3]], [[7, 2, 3]], [[1, 2, 3]]]
    assert page.inner_text("#kernel-title") == "Kernel, green"
    page.click("#colour >> text=Gray")
    assert state(page)["layers"] == [[[1, 2, 3]]]


def test_what_cannot_be_is_explained(visit):
    """The page explains why a kernel does not fit, a window has no pixel, or a choice is off."""
    page = visit("#pic=count&p=valid&k=1,1,1&d=1,4")
    assert page.inner_text("#obstacle") == (
        "The kernel reaches over 9 columns, but the picture has only 6. "
        "Make its width or its dilation smaller, or add padding."
    )
    assert page.is_disabled("#play")
    assert page.is_disabled("#save-output")
    assert page.is_hidden("#output-canvas")
    page.fill("#dilation-1", "2")
    assert page.inner_text("#obstacle") == ""
    assert page.is_visible("#output-canvas")
    page = visit("#op=max&pic=count&w=2,2&p=4,4,0,0")
    assert "see padding alone" in page.inner_text("#obstacle")
    assert page.is_disabled("#colour >> text=summed")
    assert "This picture is gray" in page.inner_text("#colour-hint")
    assert "padded cells never win" in page.inner_text("#border-hint")


def test_settings(visit):
    """Operation, stride, dilation, padding and border change the output as in the library."""
    page = visit("#pic=count&k=1,1;1,1&p=valid")
    image = np.arange(1, 37).reshape(6, 6)
    kernel = np.ones((2, 2), int)
    page.fill("#stride-0", "2")
    page.fill("#dilation-1", "3")
    page.click("#padding >> text=Your own")
    page.fill("#pad-0-1", "3")
    page.select_option("#border", "symmetric")
    expected = convlens.convolve(
        image, kernel, ((0, 3), (0, 0)), (2, 1), dilation=(1, 3), pad_mode="symmetric"
    )
    np.testing.assert_array_equal(output(page)[..., 0], expected)
    page.click("text=Min pool")
    page.click("#padding >> text=Same")
    page.check("#partial")
    expected = convlens.pool(image, 2, 2, "min", padding="same", dilation=(1, 3), partial=True)
    np.testing.assert_array_equal(output(page)[..., 0], expected)


def test_turning_the_kernel(visit):
    """The switch makes it a mathematical convolution: numbers, words, taps, link and programs."""
    page = visit("#pic=dot&k=1,2,3;4,5,6;7,8,9&p=same")
    assert output(page)[2:5, 2:5, 0].tolist() == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]
    assert "cross-correlation" in page.inner_text("#flip-hint")
    page.check("#flip")
    assert output(page)[2:5, 2:5, 0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert "as mathematics" in page.inner_text("#flip-hint")
    point(page, "output", 3, 3)
    assert page.locator(".terms td").all_inner_texts()[9:18] == list("987654321")
    assert "kernel[::-1, ::-1]" in page.inner_text("#code")
    until(page, "location.hash.includes('flip=1')")
    assert state(visit(page.evaluate("location.hash"))) == state(page)
    page.hover("#kernel-grid input >> nth=0")  # the 1 lies on the window's last pixel
    covered = """([x, y]) => {
      const canvas = document.querySelectorAll("#input-canvas canvas")[1];
      const { left, top, width } = canvas.getBoundingClientRect();
      const at = [x - left, y - top].map((n) => Math.round((n * canvas.width) / width));
      return canvas.getContext("2d").getImageData(...at, 1, 1).data[3] > 0;
    }"""
    assert page.evaluate(covered, cell_of(page, "input", 7, 7))
    assert not page.evaluate(covered, cell_of(page, "input", -1, -1))
    page.click("text=Max pool")
    assert page.is_hidden("#flip")


def test_the_size_is_explained(visit):
    """The formula of the output's size is shown with its numbers."""
    page = visit("#pic=edge&k=1,1,1;1,1,1;1,1,1&p=same&s=2,1&d=2,1")
    rows = page.inner_text("#formula")
    assert "(kh − 1) × dilation + 1 = (3 − 1) × 2 + 1 = 5" in rows
    assert "⌈h ÷ sh⌉ = ⌈8 ÷ 2⌉ = 4, so it pads 1 top, 2 bottom" in rows
    assert "⌊(h + top + bottom − reach) ÷ sh⌋ + 1 = ⌊(8 + 1 + 2 − 5) ÷ 2⌋ + 1 = 4" in rows
    assert page.inner_text("#places") == (
        "8 high, padded to 11, window 3 that reaches over 5: 7 places, "
        "of which every 2nd is taken: 4. "
        "8 wide, padded to 10, window 3: 8 places."
    )
    assert page.locator("#places-picture .pixel").count() == 8
    assert page.locator("#places-picture .padding").count() == 2
    assert page.locator("#places-picture .place").count() == 8 * 3
    page = visit(EDGE)
    assert page.inner_text("#places") == "8 wide, window 3: 6 places. The same downwards: 6 × 6."
