"""Several kernels at once: each makes a channel, from all channels or from those of its group."""

import numpy as np
import pytest

from convlens import convolve

from . import screen
from .configurations import picture_of, random_configuration
from .programs import MODULES, run, runnable

CAT = "#pic=cat&side=16&c=several&p=valid&k=1,0;0,-1"


def random_bank(rng):
    """(state, picture, image): four kernels, and the picture without and with its brightness."""
    while True:
        state, image = random_configuration(rng)
        if state["operation"] == "convolve" and image.shape[2] == 3:
            break
    groups = (1, 2, 4)[rng.integers(3)]
    size = np.shape(state["layers"])[1:]
    kernels = [
        rng.integers(-5, 6, (rng.choice((1, 4 // groups)), *size)).tolist() for _ in range(4)
    ]
    shown = int(rng.integers(4))
    state |= {"colour": "several", "kernels": kernels, "kernel": shown, "groups": groups}
    state |= {"layers": kernels[shown]}
    bright = image @ [0.299, 0.587, 0.114]
    bright = np.floor(bright + 0.5 + 1e-9) if image.dtype == np.uint8 else bright
    return state, image, np.concatenate([image, bright[..., np.newaxis]], axis=-1)


def by_convlens(state, image):
    """The output of `convlens`, (oh, ow, 4), or None if it refuses."""
    count = 4 // state["groups"]
    kernels = [np.broadcast_to(k, (count, *np.shape(k)[1:])) for k in state["kernels"]]
    kernels = np.transpose(kernels, (2, 3, 1, 0))  # (kh, kw, c, nc)
    padding = state["padding"]
    try:
        return convolve(
            image[np.newaxis],
            kernels[::-1, ::-1] if state["flip"] else kernels,
            padding=padding if isinstance(padding, str) else tuple(map(tuple, padding)),
            stride=tuple(state["stride"]),
            dilation=tuple(state["dilation"]),
            pad_mode=state["padMode"],
            groups=state["groups"],
        )[0]
    except ValueError:
        return None


@pytest.fixture(scope="module")
def banks(browser, page_file):
    """For 40 random banks: state, image, the library's output, and what the page has."""
    rng = np.random.default_rng(33)
    cases = []
    while len(cases) < 40:
        state, picture, image = random_bank(rng)
        expected = by_convlens(state, image)
        if expected is not None:
            cases.append((state, picture, image, expected))
    context = browser.new_context()
    page = context.new_page()
    page.goto(page_file.as_uri())
    found = page.evaluate(
        """([cases, names]) => cases.map(([state, picture]) => {
          explorer.set(state, picture);
          const write = (name) => [name, explorer.program(name)];
          return {
            outputs: explorer.outputs, output: [...explorer.output.data],
            programs: Object.fromEntries(names.map(write)),
          };
        })""",
        [[[state, picture_of(picture)] for state, picture, _, _ in cases], list(MODULES)],
    )
    context.close()
    return [
        (state, image, expected, each)
        for (state, _, image, expected), each in zip(cases, found, strict=True)
    ]


def test_outputs_are_the_librarys(banks):
    """All four outputs are the library's channels, and the large one is that of its kernel."""
    for state, _, expected, found in banks:
        outputs = np.array(found["outputs"]).T.reshape(expected.shape)
        np.testing.assert_allclose(outputs, expected, 1e-9, 1e-6, err_msg=str(state))
        assert found["output"] == found["outputs"][state["kernel"]]


@pytest.mark.parametrize("library", MODULES)
def test_programs(banks, library, monkeypatch):
    """Each library's program gives all four channels."""
    runnable(library, monkeypatch)
    for _, image, expected, found in banks:
        code = found["programs"][library]["code"]
        names = run(code, library, image=image)
        tolerance = 1e-4 if library == "JAX" else 1e-9
        np.testing.assert_allclose(
            names["output"],
            expected,
            tolerance,
            tolerance * max(1, np.abs(expected).max()),
            err_msg=code,
        )


def said(page):
    """The sentence about what meets."""
    return page.inner_text("#bank-sentence")


def test_who_meets_whom(visit):
    """Lines join what meets, those of the output that is shown or pointed at are lit up."""
    page = visit(CAT)
    for groups, lines, lit in (("Dense", 16, 4), ("2 groups", 8, 2), ("Depthwise", 4, 1)):
        page.click(f"#groups >> text={groups}")
        assert page.locator("#bank-lines line").count() == lines
        assert page.locator("#bank-lines .lit").count() == lit
        assert page.locator("#bank-inputs .apart").count() == 4 - lit
        assert page.evaluate("explorer.image.c") == lit
    assert said(page) == (
        "Output 1 meets red: its kernel has one layer. All kernels together have 16 numbers; "
        "dense, they would have 64."
    )
    page.click("#groups >> text=2 groups")
    page.hover("#bank-outputs button >> nth=3")
    assert said(page).startswith("Output 4 meets blue and brightness: its kernel has 2 layers")
    page.hover("#bank-inputs canvas >> nth=1")
    assert said(page) == "Green goes into 2 outputs."
    assert page.locator("#bank-lines .lit").count() == 2
    page.hover("#bank-title")
    assert said(page).startswith("Output 1 meets red and green")


def test_choosing_with_keys(visit):
    """Arrow keys choose the groups and the kernel, whose numbers and arithmetic are shown."""
    page = visit(CAT)
    page.focus("#groups [aria-checked=true]")
    page.keyboard.press("ArrowRight")
    assert screen.state(page)["groups"] == 2
    page.focus("#bank-outputs [aria-checked=true]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert screen.state(page)["kernel"] == 2
    assert page.inner_text("#kernel-title") == "Kernel 3"
    assert page.locator(".channel h3").all_inner_texts() == ["Blue", "Brightness"]
    total = page.inner_text("#worked-total").replace("−", "-")
    y, x = screen.state(page)["at"]
    assert total.endswith(f" = {screen.output(page)[y, x, 0]:g}")


def test_editing_a_kernel_leaves_the_others(visit):
    """A number of one layer is changed alone; the size is changed of all kernels."""
    page = visit(CAT)
    before = screen.state(page)["kernels"]
    page.click("#bank-outputs button >> nth=1")
    page.click("#layer-choice >> text=Brightness")
    page.fill("#kernel-grid input >> nth=0", "7")
    after = screen.state(page)["kernels"]
    assert [after[n] for n in (0, 2, 3)] == [before[n] for n in (0, 2, 3)]
    assert [layer[0][0] for layer in after[1]] == [before[1][0][0][0]] * 3 + [7]
    page.fill("#window-1", "3")
    assert {np.shape(layer) for each in screen.state(page)["kernels"] for layer in each} == {(2, 3)}
    page.click("#groups >> text=Depthwise")
    assert [len(each) for each in screen.state(page)["kernels"]] == [1] * 4


def test_links_lead_back(visit):
    """A link restores the kernels, the groups and which is shown; wrong parts of it are named."""
    page = visit(CAT)
    page.click("#groups >> text=2 groups")
    page.click("#bank-outputs button >> nth=2")
    page.click("#layer-choice >> text=Blue")
    page.fill("#kernel-grid input >> nth=0", "0.5")
    screen.until(page, "location.hash.includes('0.5')")
    again = visit(page.evaluate("location.hash"))
    assert screen.state(again) == screen.state(page)
    np.testing.assert_array_equal(screen.output(again), screen.output(page))
    for wrong in ("g=3", "n=4", "ks=1_2_3", "ks=1_2_3_x", f"ks={screen.HOSTILE}"):
        said = screen.follow(page, f"#pic=cat&c=several&{wrong}")
        assert said.endswith(f" left out: {wrong.partition('=')[0]}."), wrong
    assert page.locator("img, main script").count() == 0


def test_where_there_are_no_several_kernels(visit):
    """A gray picture, a pooling and operations in a row have none, and say why."""
    page = visit(CAT)
    assert page.is_disabled("#chain-start")
    assert "one kernel each: first choose" in page.inner_text("#chain-hint")
    screen.point(page, "input", 5, 5)
    assert "the way back of one is shown under" in page.inner_text("#worked-back")
    page.click("#operation >> text=Max pool")
    assert page.is_hidden("#bank")
    several = "#colour [data-value=several]"
    assert page.get_attribute(several, "title") == "Pooling treats every channel by itself."
    page.click("#operation >> text=Convolve")
    page.click("#chain-start")
    assert page.is_disabled(several)
    assert "for one operation alone" in page.inner_text("#colour-hint")
    page = visit("#c=several")
    assert page.get_attribute(several, "title") == "This picture is gray."
    assert screen.state(page)["colour"] == "gray"


def test_one_of_several_kernels_is_learned(visit):
    """A lesson is about the kernel that is shown, and ends when another is chosen."""
    page = visit(CAT + "&g=2")
    page.click("#learn-start")
    assert np.shape(screen.state(page)["goal"]) == (2, 2, 2)
    page.click("#learn-ten")
    again = visit(page.evaluate("location.hash"))
    assert page.is_visible("#learn-step")
    assert again.inner_text("#notice") == ""
    page.click("#bank-outputs button >> nth=2")
    assert screen.state(page)["goal"] is None


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1440, "dark")])
def test_axe(visit, width, scheme):
    """axe-core finds nothing wrong with several kernels, and nothing is cut off."""
    page = visit(CAT + "&g=2", color_scheme=scheme, viewport={"width": width, "height": 800})
    assert screen.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
