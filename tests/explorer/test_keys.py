"""Keys reach and move everything, and playing moves the window by itself."""

from .screen import EDGE, sentence, state, until


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
