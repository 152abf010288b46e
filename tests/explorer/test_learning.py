"""A kernel is learned on the page: the loss, its gradient, the steps, the link, the program."""

import numpy as np
import pytest

from . import screen
from .configurations import by_convlens, picture_of, random_configuration

EDGE = "#pic=edge&k=1,0,-1;1,0,-1;1,0,-1&p=valid"


def lesson(page):
    """The page's loss, rate and gradient (layers, kh, kw)."""
    return page.evaluate("(({loss, rate, gradient}) => [loss, rate, gradient])(explorer.lesson)")


def test_gradients_equal_the_librarys(visit):
    """Loss and gradient are those of the page's program, which calls `kernel_gradient`."""
    rng = np.random.default_rng(4)
    cases = []
    for state, image in (random_configuration(rng) for _ in range(100)):
        if state["operation"] == "convolve" and by_convlens(state, image) is not None:
            if state["colour"] == "summed" and len(state["layers"]) == 1:
                state["layers"] *= 3
            state["goal"] = rng.integers(-5, 6, np.shape(state["layers"])).tolist()
            cases.append((state, image))
    assert len(cases) >= 35
    results = visit().evaluate(
        """(cases) => cases.map(([state, picture]) => {
          explorer.set(state, picture);
          const { loss, gradient } = explorer.lesson;
          return [{ loss, gradient }, explorer.program("convlens").code];
        })""",
        [[state, picture_of(image)] for state, image in cases],
    )
    for (_, image), (found, code) in zip(cases, results, strict=True):
        names = {"image": image[..., 0] if image.shape[2] == 1 else image}
        exec(compile(code, "convlens", "exec"), names)
        expected = names["gradient"]  # (kh, kw), or (kh, kw, c)
        layers = expected[np.newaxis] if expected.ndim == 2 else expected.transpose(2, 0, 1)
        largest = np.abs(layers).max()
        np.testing.assert_allclose(found["gradient"], layers, 1e-9, 1e-9 * largest, err_msg=code)
        np.testing.assert_allclose(found["loss"], names["loss"], rtol=1e-9)


def test_the_gradient_is_the_slope_of_the_loss(visit):
    """Moving one number a little changes the loss as the gradient says, and no step is better."""
    page = visit(EDGE + "&goal=1,2,0;0,1,0;3,0,-1&flip=1")
    loss, rate, gradient = lesson(page)
    layers = np.array(screen.state(page)["layers"], float)
    for i, j in np.ndindex(3, 3):
        moved = layers.copy()
        moved[0, i, j] += 1e-4
        page.evaluate("(layers) => explorer.set({ layers })", moved.tolist())
        assert (lesson(page)[0] - loss) / 1e-4 == pytest.approx(gradient[0][i][j], abs=0.1)
    losses = []
    for part in (0.9, 1, 1.1):
        after = layers - part * rate * np.array(gradient)
        page.evaluate("(layers) => explorer.set({ layers })", after.tolist())
        losses.append(lesson(page)[0])
    assert min(losses) == losses[1] < loss


@pytest.mark.parametrize(
    "fragment", [EDGE, "#pic=heartbeat&k=1,2,3&p=causal", "#pic=cat&side=16&c=summed&k=1,0;0,-1"]
)
def test_the_kernel_is_found_step_by_step(visit, fragment):
    """Each press lowers the loss and moves the kernel to what was shown; the end brings it back."""
    page = visit(fragment)
    before = screen.state(page)["layers"]
    page.click("#learn-start")
    assert np.count_nonzero(screen.state(page)["layers"]) == 0
    assert page.evaluate("document.activeElement.id") == "learn-step"
    losses = [lesson(page)[0]]
    for _ in range(6):
        _, rate, gradient = lesson(page)
        kernel = np.array(screen.state(page)["layers"])
        page.keyboard.press("Enter")
        after = kernel - rate * np.array(gradient)
        np.testing.assert_allclose(screen.state(page)["layers"], after, rtol=1e-12)
        losses.append(lesson(page)[0])
    assert (np.diff(losses) < 0).all()
    assert "after 6 steps" in page.inner_text("#learn-loss")
    for _ in range(5):
        page.click("#learn-ten")
    assert lesson(page)[0] < losses[0] / 100
    page.click("#learn-again")
    assert np.count_nonzero(screen.state(page)["layers"]) == 0
    assert "after" not in page.inner_text("#learn-loss")
    page.click("#learn-end")
    assert np.array_equal(
        np.broadcast_to(before, np.shape(screen.state(page)["layers"])),
        screen.state(page)["layers"],
    )
    assert screen.state(page)["goal"] is None


def test_the_pictures_have_the_colours_of_the_target(visit):
    """While the kernel is zeros, its output is gray, not black, beside a target in colours."""
    page = visit(EDGE + "&goal=1,0,-1;1,0,-1;1,0,-1")
    page.evaluate("explorer.set({ layers: [[[0, 0, 0], [0, 0, 0], [0, 0, 0]]] })")
    nothing, nowhere = page.evaluate(
        """["output", "error"].map((name) => {
          const canvas = document.getElementById(`learn-${name}`);
          const at = canvas.width - 4; // the target is 0 on the right, and so is the difference
          return [...canvas.getContext("2d").getImageData(at, 9, 1, 1).data];
        })"""
    )
    assert nothing == nowhere
    assert min(nothing) > 100


def test_the_link_keeps_the_lesson(visit):
    """A link opens the same kernel and target; what contradicts the kernel is left out."""
    page = visit(EDGE)
    page.click("#learn-start")
    page.click("#learn-step")
    page.wait_for_timeout(400)
    again = visit(page.evaluate("location.hash"))
    assert lesson(again) == lesson(page)
    assert again.is_visible("#learn-step")
    other = visit(EDGE + "&goal=1,2")
    assert not other.is_visible("#learn-step")


def test_what_ends_a_lesson(visit):
    """Another size of kernel ends it, and a pooling, which has nothing to learn and says so."""
    page = visit(EDGE)
    page.click("#learn-start")
    page.fill("#window-0", "2")
    assert screen.state(page)["goal"] is None
    page.click("#operation [data-value=max]")
    assert page.is_disabled("#learn-start")
    assert page.inner_text("#learn-sentence") == "A pooling has no numbers to learn."
    page = visit("#pic=count&p=valid&k=1,1,1&d=1,4")
    assert page.is_disabled("#learn-start")


def test_the_tour_begins_without_a_lesson_and_brings_it_back(visit):
    """The tour's steps have no target; the lesson goes on after it."""
    page = visit(EDGE + "&goal=1,0,-1;1,0,-1;1,0,0")
    page.click("#tour-open")
    assert screen.state(page)["goal"] is None
    page.keyboard.press("Escape")
    assert screen.state(page)["goal"] is not None


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1440, "dark")])
@pytest.mark.parametrize("fragment", ["&k=1,2,3&goal=0,1,2&p=causal", "&p=full&k=1"])
def test_axe(visit, fragment, width, scheme):
    """axe-core finds nothing wrong with a signal, its drawing and a lesson; nothing is cut off."""
    page = visit(
        f"#pic=heartbeat{fragment}",
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )
    page.click("#draw-open")
    assert screen.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
