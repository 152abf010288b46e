"""What people do with the page works: they point, touch, type, open, paste, draw, play, share."""

import base64
import io
import json
import re
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

import convlens

EDGE = "#pic=edge&k=1,0,-1;1,0,-1;1,0,-1&p=valid"  # 8 x 8 pixels, 6 x 6 outputs
SAME = EDGE.replace("valid", "same")


def state(page):
    """The state of the page."""
    return page.evaluate("explorer.state")


def output(page):
    """The output on the page: (oh, ow, c)."""
    found = page.evaluate("(({h, w, c, data}) => [[h, w, c], [...data]])(explorer.output)")
    return np.array(found[1]).reshape(found[0])


def until(page, condition):
    """Wait until a condition holds, as the page's policy forbids Playwright's own way to."""
    end = time.monotonic() + 10
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def sentence(page):
    """What the page says about what is pointed at."""
    return page.inner_text("#worked-sentence")


def cell_of(page, panel, row, column):
    """The middle of a pixel, on the screen; the padding's rows and columns are below 0."""
    return page.evaluate(
        """([panel, row, column]) => {
          const [rows, columns] = explorer.axes;
          const out = panel === "output";
          const [before, cells] = out ? [[0, 0], [rows.outputs, columns.outputs]]
            : [[rows.before, columns.before], [rows.cells, columns.cells]];
          const box = document.querySelector(`#${panel}-canvas canvas`).getBoundingClientRect();
          const at = (start, length, n, all) => start + 2 + ((n + 0.5) * (length - 4)) / all;
          return [at(box.left, box.width, column + before[1], cells[1]),
            at(box.top, box.height, row + before[0], cells[0])];
        }""",
        [panel, row, column],
    )


def point(page, panel, row, column):
    """Move the mouse to a pixel."""
    page.mouse.move(*cell_of(page, panel, row, column))


def marked(page, panel):
    """The number of bytes of a panel's upper canvas that are covered by marks."""
    return page.evaluate(
        """(panel) => {
          const canvas = document.querySelectorAll(`#${panel}-canvas canvas`)[1];
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((_, n) => n % 4 === 3 && data[n] > 0).length;
        }""",
        panel,
    )


# ------------------------------------------------------------------------------ pointing


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
    assert "transposed convolution" in page.inner_text("#worked-back")


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


# ------------------------------------------------------------------------- keys, playing


def test_keys(visit):
    """Arrow keys move the window or the input's pixel, Enter pins it, and Space plays."""
    page = visit(EDGE + "&at=2,2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert state(page)["at"] == [3, 3]
    page.focus("#output-canvas")
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    assert state(page)["at"] == [0, 3]
    page.keyboard.press("Enter")
    assert state(page)["pin"] == ["output", 0, 3]
    page.focus("#input-canvas")
    page.keyboard.press("ArrowRight")
    assert "The pixel at row 0, column 1" in sentence(page)
    page.focus("#output-canvas")
    page.keyboard.press("Space")
    assert page.inner_text("#play") == "Pause"
    page.keyboard.press("Space")
    assert page.inner_text("#play") == "Play"


def test_every_control_is_reached_by_tab(visit):
    """The Tab key reaches every control, and each has a name for screen readers."""
    page = visit("#op=avg&pic=cat&p=1,1,1,1")
    names = []
    for _ in range(70):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate(
                """() => {
                  const e = document.activeElement;
                  const label = e.labels?.[0]?.innerText;
                  return [e.id || e.parentElement?.id || e.tagName,
                    e.getAttribute("aria-label") || label || e.textContent.trim()];
                }"""
            )
        )
        if names[-1][0] == "BODY":
            break
    reached = {name for name, _ in names}
    wanted = {"tour-open", "link-copy", "input-canvas", "output-canvas", "window-0", "window-1"}
    wanted |= {"play", "step-back", "step-on", "position", "speed", "samples", "open", "draw-open"}
    wanted |= {"operation", "stride-0", "stride-1", "padding", "pad-0-0", "pad-1-1", "count"}
    wanted |= {"partial", "dilation-0", "colour", "libraries", "snippet", "save-output"}
    assert wanted <= reached
    assert all(label for name, label in names if name not in ("BODY", "snippet"))


def test_playing(visit):
    """Playing moves the window to the end; the step buttons and the slider move it as well."""
    page = visit(EDGE + "&at=4,4")
    page.select_option("#speed", "24")
    page.click("#play")
    until(page, "explorer.state.at.join() === '5,5'")
    until(page, "document.getElementById('play').textContent === 'Play'")
    page.click("#step-on")
    assert state(page)["at"] == [0, 0]
    page.click("#step-back")
    assert state(page)["at"] == [5, 5]
    page.fill("#position", "7")
    assert state(page)["at"] == [1, 1]
    page.click("#play")
    until(page, "explorer.state.at.join() !== '1,1'")
    page.click("#play")
    stopped = state(page)["at"]
    page.wait_for_timeout(300)
    assert state(page)["at"] == stopped


def test_reduced_motion(visit):
    """Nothing fades, and the window moves at most twice a second."""
    page = visit(EDGE + "&at=0,0", reduced_motion="reduce")
    assert page.evaluate(
        "getComputedStyle(document.getElementById('play')).transitionDuration"
    ) in (
        "0s",
        "",
    )
    page.select_option("#speed", "24")
    seconds, at = page.evaluate(
        """async () => {
          const start = performance.now();
          document.getElementById("play").click();
          await new Promise((done) => setTimeout(done, 1300));
          return [(performance.now() - start) / 1000, explorer.state.at];
        }"""
    )
    assert 1 <= at[0] * 6 + at[1] <= 2 * seconds + 1


# ------------------------------------------------------------------------------ settings


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


# ------------------------------------------------------------------------------ pictures


def file_of(image, kind="PNG", name=None):
    """A picture as a file to upload."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, kind)
    return {
        "name": name or f"picture.{kind.lower()}",
        "mimeType": f"image/{kind.lower()}",
        "buffer": data.getvalue(),
    }


def opened(page):
    """Wait until the page shows an opened picture."""
    until(page, "explorer.state.picture === 'own'")


COLOURS = np.random.default_rng(3).integers(0, 256, (12, 10, 3), np.uint8)


def test_opening_a_png(visit):
    """The pixels of an opened PNG arrive unchanged."""
    page = visit("#k=1&p=valid")
    page.set_input_files("#file", file_of(COLOURS))
    opened(page)
    page.click("#colour >> text=Each")
    np.testing.assert_array_equal(output(page), COLOURS)


def test_opening_a_jpeg_that_is_large(visit):
    """A large picture is scaled or shown in part, and the page says which."""
    photo = np.full((600, 900, 3), (200, 100, 50), np.uint8)
    page = visit("#k=1&p=valid")
    page.set_input_files("#file", file_of(photo, "JPEG"))
    opened(page)
    assert page.inner_text("#input-note") == "Scaled from 341 × 512 pixels."
    assert page.inner_text("#picture-note") == (
        "Opened at 341 × 512; the file has 600 × 900 pixels. "
        "It has colours; Channels says how they are used."
    )
    assert output(page).shape == (21, 32, 1)
    page.select_option("#fit", "region")
    page.select_option("#side", "16")
    page.fill("#corner-1", "100")
    assert page.inner_text("#fit-note").endswith("You see 16 × 16 of its 341 × 512 pixels.")
    assert abs(output(page) - 124).max() < 3  # the brightness of that orange


@pytest.mark.parametrize("name", ["notes.png", "<img src=x onerror=alert(1)>.png"])
def test_a_file_that_is_no_picture(visit, name):
    """The file is refused in a sentence that shows its name as text, whatever the name is."""
    page = visit(EDGE)
    file = {"name": name, "mimeType": "image/png", "buffer": b"no picture at all"}
    page.set_input_files("#file", file)
    until(page, "document.getElementById('notice').textContent !== ''")
    assert page.inner_text("#notice") == (
        f"“{name}” could not be read as a picture; PNG, JPEG, GIF, WebP and BMP work."
    )
    assert page.locator("#notice *").count() == 0
    assert state(page)["picture"] == "edge"


def test_a_huge_file(visit):
    """100 million pixels in 100 kilobytes are refused before they are unpacked."""
    side = 10_000

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    squeezed = zlib.compressobj(9)
    line = b"\0" * (1 + side // 8)
    pixels = b"".join(squeezed.compress(line) for _ in range(side)) + squeezed.flush()
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    png += chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    page = visit(EDGE)
    page.set_input_files("#file", {"name": "huge.png", "mimeType": "image/png", "buffer": png})
    until(page, "document.getElementById('notice').textContent !== ''")
    assert page.inner_text("#notice") == (
        "“huge.png” is 10000 × 10000 pixels; the page takes up to 64 million."
    )
    assert state(page)["picture"] == "edge"


TRANSFER = """([target, kind, text]) => {
  const data = new DataTransfer();
  if (text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], "brought.png", { type: "image/png" }));
  } else data.setData("text/plain", "words");
  const options = { bubbles: true, cancelable: true };
  document.querySelector(target).dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: data })
    : new DragEvent(kind, { ...options, dataTransfer: data }));
}"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_bringing_a_picture(visit, kind):
    """A picture can be pasted or dropped; pasted text is refused in a sentence."""
    page = visit("#k=1&p=valid")
    page.evaluate(TRANSFER, ["body", kind, None])
    assert page.inner_text("#notice").startswith(f"What was {kind}{'p' if kind == 'drop' else ''}")
    gray = COLOURS[..., 0]
    data = base64.b64encode(file_of(gray)["buffer"]).decode()
    page.evaluate(TRANSFER, ["body", kind, data])
    opened(page)
    np.testing.assert_array_equal(output(page)[..., 0], gray)
    assert page.inner_text("#notice") == ""


def test_what_a_browser_leaves_out_is_said(visit):
    """Bits, frames and transparency that are lost, and colours that are not used, are named."""
    page = visit("#k=1&p=valid")

    def note_of(file):
        page.set_input_files("#file", file)
        until(
            page, f"document.querySelector('#samples button:last-child').title === '{file['name']}'"
        )
        return page.inner_text("#picture-note")

    deep = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert note_of(file_of(deep, name="deep.png")) == (
        "The file has 16 bits for each number, 0 to 65535; browsers keep 8, so the page has 0 to "
        "255."
    )
    clear = np.full((4, 4, 4), (0, 0, 0, 128), np.uint8)
    assert note_of(file_of(clear, name="clear.png")) == "What is transparent in it is white here."
    assert output(page).max() == 127
    assert note_of(file_of(clear[..., 0], name="plain.png")) == ""
    frames = [Image.fromarray(np.full((5, 5), 90 * n, np.uint8)) for n in range(3)]
    for kind in ("GIF", "PNG", "WEBP"):
        for count in (1, 3):
            data = io.BytesIO()
            frames[0].save(data, kind, save_all=True, append_images=frames[1:count])
            name = f"{count}.{kind}"
            file = {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": data.getvalue()}
            expected = "The file is an animation; this is its first frame." if count > 1 else ""
            assert note_of(file) == expected, name


def stroke(page, *points):
    """Open the canvas if need be, and draw a line through points, in its pixels."""
    if page.is_hidden("#drawing"):
        page.click("#draw-open")
    page.locator("#drawing-canvas").scroll_into_view_if_needed()
    box = page.locator("#drawing-canvas").bounding_box()
    for n, (x, y) in enumerate(points):
        page.mouse.move(
            box["x"] + box["width"] * x / 16, box["y"] + box["height"] * y / 16, steps=5
        )
        if n == 0:
            page.mouse.down()
    page.mouse.up()


def test_drawing(visit):
    """Strokes of the mouse become ink, and the drawing is a picture like any other."""
    page = visit("#k=1&p=valid&pic=count")
    page.click("#draw-open")
    assert state(page)["picture"] == "count"  # until the first stroke
    stroke(page, (8, 3), (8, 13))
    drawn = output(page)[..., 0]
    assert drawn.shape == (16, 16)
    assert drawn.max() == 9
    assert (drawn[4:12, 7:9] == 9).all()
    assert drawn[:, :5].max() == 0
    page.click("#draw-clear")
    assert output(page).max() == 0
    page.click("#draw-close")
    assert page.evaluate("document.activeElement.id") == "draw-open"


def test_drawing_by_keys(visit):
    """Arrows move the pen, and Space puts it down and lifts it."""
    page = visit("#k=1&p=valid&pic=count")
    page.focus("#draw-open")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "drawing-canvas"
    page.keyboard.press("ArrowUp")
    assert state(page)["picture"] == "count"
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#drawing-note") == "The pen is up at row 8, column 11."
    drawn = output(page)[..., 0]
    assert (drawn[7, 8:12] == 9).all()
    assert drawn[10:].max() == 0


# ------------------------------------------------------------------------------ the link


def test_links_lead_back(visit):
    """A link restores every setting, and the picture that was opened."""
    page = visit("#pic=count&p=valid")
    page.set_input_files("#file", file_of(COLOURS))
    opened(page)
    page.click("#colour >> text=summed")
    page.fill("#kernel-grid input >> nth=0", "0.25")
    page.fill("#stride-1", "2")
    page.click("#padding >> text=Full")
    page.select_option("#border", "wrap")
    page.mouse.click(*cell_of(page, "output", 2, 1))
    until(page, "location.hash.includes('pin=output,2,1')")
    fragment = page.evaluate("location.hash")
    again = visit(fragment)
    assert state(again) == state(page)
    np.testing.assert_array_equal(output(again), output(page))
    again.evaluate("location.hash = '#op=max&w=3,3&pic=dot&p=valid'")
    until(again, "explorer.state.operation === 'max'")
    assert output(again).shape == (5, 5, 1)


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def follow(page, fragment):
    """Follow another link on the same page; returns what the page says of it."""
    page.evaluate("(hash) => { location.hash = hash; }", fragment)
    page.evaluate("new Promise((done) => setTimeout(done, 30))")
    return page.inner_text("#notice")


def test_hostile_links(visit):
    """Values in a link are validated, and never become elements of the page."""
    page = visit()
    for key in ("op", "k", "s", "p", "b", "c", "l", "pic", "own", "at", "pin", "side", "corner"):
        said = follow(page, f"#{key}={HOSTILE}")
        assert said == f"Part of the link makes no sense and was left out: {key}."
        assert page.locator("img, main script").count() == 0
        assert page.evaluate("explorer.output !== null")


def test_links_with_wrong_numbers(visit):
    """Parts of a link with wrong numbers are left out, and the page names them."""
    page = visit()
    for fragment in (
        *("k=1,2;3", "k=1e9", "k=1|2", "s=0,1", "s=1,17", "w=12,1", "p=1,2,3", "p=99,0,0,0"),
        *("d=0,0", "own=2,2,1,9,AAAA", "own=2,2,1,9,*", "own=2,2,2,9,AAAAAAAAAAA", "at=1"),
    ):
        assert follow(page, f"#{fragment}").endswith(f" {fragment.partition('=')[0]}."), fragment


def test_hostile_names(visit):
    """The name of a file, or in a link, is shown as text."""
    page = visit()
    page.set_input_files("#file", file_of(COLOURS, name=HOSTILE.replace("/", "") + ".png"))
    opened(page)
    until(page, "location.hash.includes('own=')")
    assert page.locator("img, main script").count() == 0
    again = visit(page.evaluate("location.hash"))
    assert again.locator("img, main script").count() == 0
    label = again.locator("#samples button").last.get_attribute("aria-label")
    assert label.startswith("<img src=x")


# ------------------------------------------------------------- things that happen meanwhile

OTHER = "#op=max&w=3,3&pic=dot&p=valid"


def test_a_link_that_is_followed_while_the_page_is_busy(visit):
    """The page does not write its own address, by then overdue, over a link that was followed."""
    page = visit(EDGE)
    page.evaluate(
        """(link) => {
          setTimeout(() => { location.hash = link; }, 100);
          explorer.set({ stride: [2, 2] }); // its address is due 250 ms later
          const end = performance.now() + 400;
          while (performance.now() < end); // both are overdue when this is over, in this order
        }""",
        OTHER,
    )
    until(page, "explorer.state.operation === 'max'")
    assert state(page)["picture"] == "dot"
    until(page, "location.hash.startsWith('#op=max&w=3,3&p=valid')")


def test_copying_the_link_while_another_is_followed(visit):
    """The copied link is that of what the page shows, not the one that is still to be read."""
    page = visit(EDGE, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """(link) => {
          explorer.set({ stride: [2, 2] });
          location.hash = link;
          document.getElementById("link-copy").click();
        }""",
        OTHER,
    )
    until(page, "document.getElementById('link-copy').textContent === 'Copied'")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert state(page)["picture"] == "dot"
    again = visit(f"#{copied.partition('#')[2]}")
    assert (state(again)["picture"], state(again)["stride"]) == ("edge", [2, 2])


# Decoding an image waits for the test, which lets each one go on when it wants.
SLOW_DECODING = """() => {
  const decode = HTMLImageElement.prototype.decode;
  globalThis.waiting = [];
  HTMLImageElement.prototype.decode = function () {
    return new Promise((go) => waiting.push(go)).then(() => decode.call(this));
  };
}"""


def release(page, n):
    """Let the decoding that began as number n continue to its end."""
    page.evaluate("(n) => waiting[n]()", n)
    page.wait_for_timeout(200)


NEWER_CHOICES = {
    "link": lambda page: follow(page, OTHER),
    "sample": lambda page: page.click("#samples button[data-value=dot]"),
    "drawing": lambda page: stroke(page, (8, 3), (8, 13)),
    "tour": lambda page: page.click("#tour-open"),
    "console": lambda page: page.evaluate(
        "explorer.set({}, { shape: [1, 2, 1], type: 'u1', data: 'AQI=' })"
    ),
}


@pytest.mark.parametrize("newer", NEWER_CHOICES)
def test_a_file_that_is_decoded_after_a_newer_choice(visit, newer):
    """A file that is decoded late does not replace a picture that was chosen meanwhile."""
    page = visit("#k=1&p=valid&pic=count")
    page.evaluate(SLOW_DECODING)
    page.set_input_files("#file", file_of(COLOURS))
    until(page, "waiting.length === 1")
    NEWER_CHOICES[newer](page)
    chosen, seen = state(page), output(page)
    assert chosen["picture"] != "count"
    release(page, 0)
    assert state(page) == chosen
    np.testing.assert_array_equal(output(page), seen)


def test_files_that_are_decoded_in_another_order(visit):
    """The file opened last is shown, even if others, or their errors, are ready after it."""
    page = visit("#k=1&p=valid&pic=count")
    page.evaluate(SLOW_DECODING)
    broken = {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture at all"}
    page.set_input_files("#file", file_of(COLOURS[:5]))
    page.set_input_files("#file", broken)
    page.set_input_files("#file", file_of(COLOURS))
    until(page, "waiting.length === 3")
    release(page, 2)
    opened(page)
    assert output(page).shape == (12, 10, 1)
    release(page, 0)
    release(page, 1)
    assert output(page).shape == (12, 10, 1)
    assert page.inner_text("#notice") == ""


def test_other_settings_do_not_stop_a_file(visit):
    """A file is shown once it is decoded, though other settings were changed meanwhile."""
    page = visit("#k=1&p=valid&pic=count")
    page.evaluate(SLOW_DECODING)
    page.set_input_files("#file", file_of(COLOURS))
    until(page, "waiting.length === 1")
    page.fill("#stride-0", "2")
    release(page, 0)
    opened(page)
    assert output(page).shape == (6, 10, 1)


def test_playing_until_there_is_no_output(visit):
    """Playing stops without an error when a change leaves no output, and can start again."""
    page = visit("#pic=count&k=1,1,1&p=valid")
    page.select_option("#speed", "24")
    page.click("#play")
    until(page, "explorer.state.at.join() !== '0,0'")
    page.fill("#dilation-1", "4")
    assert page.inner_text("#obstacle") != ""
    until(page, "document.getElementById('play').textContent === 'Play'")
    page.fill("#dilation-1", "1")
    page.select_option("#speed", "2")
    page.click("#play")
    until(page, "document.getElementById('play').textContent === 'Pause'")


def test_playing_over_an_output_that_shrinks(visit):
    """Playing ends at the last place of the output that is there now."""
    page = visit("#pic=edge&k=1&p=valid&at=0,0")  # 8 x 8 outputs
    page.select_option("#speed", "24")
    page.click("#play")
    until(page, "explorer.state.at[0] >= 1")
    page.fill("#stride-0", "4")  # 2 x 8 outputs
    until(page, "document.getElementById('play').textContent === 'Play'")
    assert state(page)["at"] == [1, 7]


def test_saving_an_animation_of_what_changes_meanwhile(visit, tmp_path):
    """The frames show what was on the page at the click, and the button works again."""
    page = visit("#pic=count&k=1,1;1,1&p=valid")
    with page.expect_download() as download:
        page.evaluate(
            """() => {
              document.getElementById("save-animation").click(); // which draws one frame at once
              explorer.set({ dilation: [8, 8] }); // no output
            }"""
        )
    assert page.inner_text("#obstacle") != ""
    download.value.save_as(tmp_path / "changed.png")
    until(page, "document.getElementById('keep-note').textContent.startsWith('Saved 25 frames.')")
    assert page.is_disabled("#save-animation")  # there is no output to save
    page.evaluate("explorer.set({ dilation: [1, 1] })")
    with page.expect_download() as download:
        page.click("#save-animation")
    download.value.save_as(tmp_path / "same.png")
    assert (tmp_path / "changed.png").read_bytes() == (tmp_path / "same.png").read_bytes()


def test_a_link_that_is_followed_while_a_number_is_typed(visit):
    """A field that a link removes leaves the page's message alone; one that stays is updated."""
    page = visit(EDGE)
    page.focus("#kernel-grid input >> nth=8")
    said = follow(page, "#k=5&p=valid&pic=edge&at=nowhere")
    assert state(page)["layers"] == [[[5]]]
    assert said == "Part of the link makes no sense and was left out: at."
    page.focus("#kernel-grid input")
    follow(page, "#k=6&p=valid&pic=edge")
    assert page.input_value("#kernel-grid input") == "6"


def test_a_label_that_says_copied_twice(visit):
    """A second click shows "Copied" for its full time, whenever the first one's is over."""
    page = visit(EDGE, permissions=["clipboard-read", "clipboard-write"])
    seen = page.evaluate(
        """async () => {
          const button = document.getElementById("code-copy");
          const wait = (ms) => new Promise((done) => setTimeout(done, ms));
          button.click();
          await wait(1000);
          button.click();
          await wait(900); // the first label is due before, the second after
          return button.textContent;
        }"""
    )
    assert seen == "Copied"
    until(page, "document.getElementById('code-copy').textContent !== 'Copied'")


def test_the_policy_forbids_the_network_and_foreign_scripts(browser, page_file):
    """The browser blocks requests and scripts of anything that gets into the page."""
    page = browser.new_page()
    page.goto(page_file.as_uri())
    refused = page.evaluate(
        """async () => {
          const refused = [];
          addEventListener("securitypolicyviolation", (e) => refused.push(e.effectiveDirective));
          await fetch("https://example.org").catch(() => {});
          const script = document.createElement("script");
          script.textContent = "globalThis.foreign = 1";
          document.body.append(script);
          const image = new Image();
          image.src = "https://example.org/x.png";
          const bold = "<b onclick='foreign = 1' style='color: red'>x</b>";
          document.body.insertAdjacentHTML("beforeend", bold);
          document.body.lastElementChild.click();
          await new Promise((resolve) => setTimeout(resolve, 200));
          return [refused.sort(), globalThis.foreign];
        }"""
    )
    page.close()
    names, foreign = refused
    assert {"connect-src", "img-src", "script-src-elem", "style-src-attr"} <= set(names)
    assert {name for name in names if name.startswith("script-src")}
    assert foreign is None


# ------------------------------------------------------------------------- keeping, tour


def chunks(png):
    """The chunks of a PNG, as (name, data), each with a checksum that is right."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            name + data
        )
        yield name, data
        at += 12 + length


def test_saving_the_output(visit, tmp_path):
    """The output is saved as a PNG in the colours of the page."""
    page = visit(EDGE)
    with page.expect_download() as download:
        page.click("#save-output")
    download.value.save_as(tmp_path / "output.png")
    image = np.asarray(Image.open(tmp_path / "output.png").convert("RGB"))
    assert image.shape == (510, 510, 3)
    zero = image[40, 400]
    assert tuple(zero) == (243, 240, 233)


def test_saving_the_animation(visit, tmp_path):
    """The animated PNG has a frame for each place of the window, and all of them differ."""
    page = visit("#pic=count&k=1,1;1,1&p=valid")
    with page.expect_download() as download:
        page.click("#save-animation")
    download.value.save_as(tmp_path / "animation.png")
    names = [name for name, _ in chunks((tmp_path / "animation.png").read_bytes())]
    assert names.count(b"fcTL") == 25
    with Image.open(tmp_path / "animation.png") as image:
        assert image.n_frames == 25
        frames = []
        for n in range(25):
            image.seek(n)
            frames.append(np.asarray(image.convert("RGB")).tobytes())
    assert len(set(frames)) == 25
    assert "25 frames" in page.inner_text("#keep-note")


def test_copying(visit):
    """The program, the picture as NumPy code and the link can be copied, and the code runs."""
    page = visit(EDGE, permissions=["clipboard-read", "clipboard-write"])
    names = {}
    page.click("#image-copy")
    until(page, "document.getElementById('image-copy').textContent === 'Copied'")
    exec(page.evaluate("navigator.clipboard.readText()"), names)
    page.click("#code-copy")
    until(page, "document.getElementById('code-copy').textContent === 'Copied'")
    exec(page.evaluate("navigator.clipboard.readText()"), names)
    np.testing.assert_array_equal(names["output"], output(page)[..., 0])
    page.click("#link-copy")
    until(page, "document.getElementById('link-copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == page.evaluate("location.href")
    page.click("#libraries >> text=SciPy")
    assert "from scipy import signal" in page.inner_text("#code")
    page = visit("#op=avg&w=2,2&d=2,2&pic=count&p=valid")
    page.click("#libraries >> text=PyTorch")
    assert page.inner_text("#code") == "# PyTorch has no call for this."
    assert page.is_hidden("#code-copy")


TOUR = (
    *("Picture", "Window", "Kernel", "Multiply", "Add up", "Output", "Convolution", "Size"),
    *("Padding", "An edge that is not there", "Stride", "Channels", "Layers", "Pooling"),
    "Your turn",
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
            until(page, "explorer.state.at.join() === '0,3'")
            hidden = marked(page, "output")
        elif title == "Padding":
            assert marked(page, "output") < hidden / 4  # all of the output is seen again
        elif said := re.search(r"here (−?\d+)", text):
            value = int(said[1].replace("−", "-"))
            assert title == "Picture" or seen[title][1][*now["at"], 0] == value
        page.click("#tour-next")
    assert page.is_hidden("#tour")
    shapes = {title: result.shape for title, (_, result) in seen.items()}
    assert shapes["Size"] == (6, 6, 1)  # smaller than 8 x 8
    assert shapes["Padding"] == (8, 8, 1)
    assert shapes["Stride"] == (4, 4, 1)  # half the rows, half the columns
    assert shapes["Layers"][2] == 1
    assert len(seen["Layers"][0]["layers"]) == 3
    assert shapes["Pooling"] == (8, 8, 1)  # a quarter of 16 x 16


@pytest.mark.parametrize("way", ["Escape", "button", "Done"])
def test_after_the_tour_all_is_as_before(visit, way):
    """However the tour ends, the user has picture and settings again."""
    page = visit("#k=1,2&p=full&s=2,3&pic=count")
    page.set_input_files("#file", file_of(COLOURS))
    opened(page)
    before, seen = state(page), output(page)
    page.click("#tour-open")
    for _ in range(len(TOUR) if way == "Done" else 4):
        page.click("#tour-next")
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
        page.click("#tour-next")
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate_handle("document.activeElement").as_element()
        if focused.evaluate("(e) => e === document.body"):
            break
        if not focused.evaluate("(e) => e.closest('#tour') !== null"):
            assert page.evaluate(covered, focused) <= 0, focused.evaluate("(e) => e.outerHTML")


# --------------------------------------------------------------------- the first glance


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


# ------------------------------------------------------------------------- speed and looks


def test_redraws_within_a_frame(visit):
    """128 x 128 pixels under a 7 x 7 kernel are computed and drawn in 16 ms of processor time."""
    kernel = ";".join([",".join(["1"] * 7)] * 7)
    page = visit(f"#pic=cat&side=128&p=same&k={kernel}")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used():
        """Milliseconds of processor time that the page's thread has used for what tests run."""
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * {m["name"]: m["value"] for m in metrics}["DevToolsCommandDuration"]

    times = []
    for n in range(15):
        before = used()
        page.evaluate(
            """(n) => {
              const layers = explorer.state.layers;
              layers[0][3][3] = n;
              explorer.set({ layers });
              document.body.offsetHeight; // the layout, too
            }""",
            n,
        )
        times.append(used() - before)
    assert page.evaluate("explorer.axes.map((axis) => axis.outputs)") == [128, 128]
    assert 0 < min(times) < 16, times


def luminance(colour):
    """WCAG's relative luminance."""
    parts = np.array(colour) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_looks(visit, scheme, width):
    """Text has the contrast of WCAG AA, nothing overflows the screen, and both themes work."""
    page = visit(EDGE, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.fill("#window-0", "11")
    page.fill("#window-1", "11")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.set_viewport_size({"width": width, "height": 900})
    pairs = page.evaluate(
        """() => {
          const rgb = (text) => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d");
            canvas.fillStyle = text;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
          };
          const backdrop = (element) => {
            while (element) {
              const colour = getComputedStyle(element).backgroundColor;
              if (!/, 0\\)$|transparent/.test(colour)) return colour;
              element = element.parentElement;
            }
          };
          const speaks = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
          return [...document.querySelectorAll("body *")]
            .filter((e) => e.checkVisibility() && !e.disabled && speaks(e))
            .map((e) => [rgb(getComputedStyle(e).color), rgb(backdrop(e)), e.textContent]);
        }"""
    )
    assert len(pairs) > 60
    for ink, paper, *where in pairs:
        light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (where, ink, paper)
    body = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance([int(n) for n in re.findall(r"\d+", body)][:3]) > 0.5) == (scheme == "light")


def test_in_a_notebook(browser, tmp_path):
    """The page works in the sandboxed frame that notebooks show."""
    frame = convlens.explore()._repr_html_()
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><body>{frame}", encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "notebook.html").as_uri())
    inside = page.frame_locator("iframe")
    inside.locator("text=Max pool").click()
    assert inside.locator("#output-size").inner_text() == "8 × 8"
    page.close()


def test_the_data_are_data(page_file):
    """The page is under 300 kB without pictures, and no data can end their script element."""
    text = page_file.read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="data">(.*)</script>\n', text)[1]
    assert "<" not in data
    pictures = json.loads(data)["photographs"]
    assert len(text.encode()) - sum(len(picture["data"]) for picture in pictures) < 300_000


def test_colours_of_results(visit):
    """Results of three channels are a photograph if brightness is kept, else shown around gray."""
    page = visit("#pic=cat&side=16&c=each&p=valid&k=0,-1,0;-1,5,-1;0,-1,0")
    assert page.inner_text("#output-note") == (
        "Shown as a photograph: below 0 is black, above 255 white."
    )
    page.select_option("#preset", label="outline")
    assert page.inner_text("#output-note") == "Grey is zero in every channel."
    page.click("#layer-choice >> text=Blue")
    assert page.inner_text("#output-note") == "Orange is above zero, blue below."
    low, high = page.inner_text("#legend-low"), page.inner_text("#legend-high")
    assert low == f"−{high}"
    assert int(high) == abs(output(page)).max()
