"""Operations in a row: each takes what the one before it made, and an output sees a field."""

import numpy as np
import pytest

from . import screen
from .configurations import by_convlens, picture_of, random_configuration
from .programs import MODULES, run, runnable, written

OWN = (
    *("operation", "layers", "flip", "window", "stride", "dilation", "padding", "padMode"),
    *("countPadding", "partial", "colour"),
)
ROW = "#pic=digit&k=1,0,-1;1,0,-1;1,0,-1&p=valid"  # 16 x 16 pixels
THREE = ROW + "&of=3,3&1.op=convolve&1.k=1,0,-1;1,0,-1;1,0,-1&1.p=valid&2.op=max&2.w=2,2&2.s=2,2"


def random_chain(rng):
    """(state, image, output): two or three operations with an output, the last one is shown."""
    while True:
        state, image = random_configuration(rng)
        chain, made = [state], by_convlens(state, image)
        for _ in range(rng.integers(1, 3)):
            if made is None:
                break
            state, _ = random_configuration(rng)
            one = made.shape[2] == 1
            summed = not one and state["operation"] == "convolve" and rng.random() < 0.5
            state["colour"] = "gray" if one else "summed" if summed else "each"
            state["layers"] = state["layers"][: 3 if summed else 1]
            chain.append(state)
            made = by_convlens(state, made)
        if made is not None and len(chain) > 1:
            before = [{name: each[name] for name in OWN} for each in chain[:-1]]
            return chain[-1] | {"before": before, "after": []}, image, made


@pytest.fixture(scope="module")
def chains(browser, page_file):
    """For 60 random chains: state, image, the library's output, and what the page has."""
    rng = np.random.default_rng(21)
    cases = [random_chain(rng) for _ in range(60)]
    states = [[state, picture_of(image)] for state, image, _ in cases]
    found = written(browser, page_file, states)
    return [(*case, result) for case, result in zip(cases, found, strict=True)]


def test_outputs_are_the_librarys(chains):
    """What comes out at the end is what the library's calls give, one after another."""
    for state, _, expected, result in chains:
        assert result["reason"] is None, state
        output = np.array(result["data"]).reshape(result["shape"])
        largest = np.abs(expected).max()
        np.testing.assert_allclose(output, expected, 1e-9, 1e-9 * largest, err_msg=str(state))


@pytest.mark.parametrize("library", MODULES)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_programs(chains, library, monkeypatch):
    """Each library's program makes the whole chain."""
    runnable(library, monkeypatch)
    executed = 0
    for _, image, expected, result in chains:
        program = result["programs"][library]
        if program["code"] is None:
            assert program["note"]
            continue
        gray = image.shape[2] == 1
        names = run(program["code"], library, image=image[..., 0] if gray else image)
        output = np.reshape(names["output"], expected.shape)
        largest = np.abs(expected).max()
        tolerance = 1e-4 if library == "JAX" else 1e-9
        np.testing.assert_allclose(
            output, expected, tolerance, tolerance * largest, err_msg=program["code"]
        )
        executed += 1
    assert executed >= (25 if library != "Course files" else 6)


def test_fields_are_what_outputs_depend_on(visit):
    """A field holds the pixels that change its output, found by one bright pixel after another."""
    rng = np.random.default_rng(8)
    cases, changes = [], []
    for _ in range(25):
        state, image, _ = random_chain(rng)
        h, w, _ = image.shape
        bright = np.eye(h * w).reshape(h, w, h * w)  # each channel has one bright pixel
        for one in (*state["before"], state):
            ones = {"layers": np.ones_like(one["layers"][:1]).tolist(), "colour": "each"}
            shows = "max" if one["operation"] == "min" else one["operation"]
            bright = by_convlens(one | ones | {"operation": shows}, bright)
        at = [int(rng.integers(n)) for n in bright.shape[:2]]
        cases.append([state, picture_of(image), at])
        changes.append(bright[*at].reshape(h, w) > 0)
    fields = visit().evaluate(
        """(cases) => cases.map(([state, picture, at]) => {
          explorer.set(state, picture);
          return explorer.seen(...at)[0];
        })""",
        cases,
    )
    for (state, *_), expected, (rows, columns) in zip(cases, changes, fields, strict=True):
        found = np.zeros_like(expected)
        found[np.ix_(np.array(rows, int), np.array(columns, int))] = True
        np.testing.assert_array_equal(found, expected, err_msg=str(state))


def said(page):
    """The sentence about the field."""
    return page.inner_text("#chain-sentence")


def test_the_field_in_words(visit):
    """Size and step are said, what lies beyond the edge, and gaps; marks go back to the picture."""
    page = visit(THREE + "&at=1,2")
    assert said(page) == (
        "The output of operation 3 at row 1, column 2 sees 8 × 8 pixels of the picture, lit up: "
        "its field. The field of the number next to it lies 2 pixels further on."
    )
    covered = page.evaluate(
        """[...document.querySelectorAll("#chain .small canvas:nth-child(2)")].map((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((_, n) => n % 4 === 3 && data[n]).length / (data.length / 4);
        })"""
    )
    assert all(0 < part < 0.5 for part in covered)
    page.fill("#dilation-1", "2")
    page.fill("#stride-0", "2")
    assert "sees 8 × 12 pixels of the picture, lit up" in said(page)
    assert "lies 4 pixels further down, or 2 pixels further across" in said(page)
    page = visit(THREE.replace("&p=valid", "&p=same") + "&at=0,0")
    assert "Here 6 × 6 of these are on the picture, and the others lie beyond" in said(page)
    page = visit("#pic=heartbeat&k=1,1&d=1,4&p=valid&of=2,2&at=0,3&1.op=avg&1.w=1,2&1.s=1,2")
    assert said(page) == (
        "Output 3 of operation 2 sees 10 samples of the signal, lit up: its field, "
        "of which it uses 4, with gaps between. The field of the number next to it lies 2 samples "
        "further on."
    )


def test_pointing_at_small_pictures(visit):
    """A number of any small picture shows its field, and so does a pixel of the large input."""
    page = visit(THREE)
    before = said(page)
    page.hover("#chain .small >> nth=2", position={"x": 30, "y": 30})
    assert "The output of operation 2" in said(page)
    assert "sees 4 × 4 pixels" in said(page)
    page.hover("#chain .small >> nth=0")
    assert said(page) == "This is a pixel of the picture itself."
    page.hover("#chain-title")
    assert said(page) == before
    screen.point(page, "input", 3, 3)
    assert "operation 2 at row 3, column 3 sees 4 × 4 pixels" in said(page)


def sizes(page):
    """The sizes of what the operations make."""
    return page.locator("#chain-choice .size").all_inner_texts()


def test_adding_choosing_and_removing_with_keys(visit):
    """Enter adds an operation, arrows choose which is shown, and the last one brings back one."""
    page = visit(ROW)
    assert page.is_hidden("#chain")
    page.focus("#chain-start")
    page.keyboard.press("Enter")
    assert screen.state(page)["operation"] == "max"
    assert screen.output(page).shape == (7, 7, 1)
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "Operation 2: Max pool 2 × 2, 7 × 7"
    page.focus("#chain-add")
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "Operation 3: Convolve 3 × 3, 5 × 5"
    assert page.is_disabled("#chain-add")
    assert "# for operation 3: (7, 7)" in page.inner_text("#code")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert screen.state(page)["operation"] == "convolve"
    assert screen.output(page).shape == (14, 14, 1)
    page.click("#operation >> text=Average pool")
    assert sizes(page) == ["8 × 8", "4 × 4", "2 × 2"]
    for count in (2, 1):
        page.focus("#chain-remove")
        page.keyboard.press("Enter")
        assert len(screen.state(page)["before"] + screen.state(page)["after"]) == count - 1
    assert page.is_hidden("#chain")
    assert page.evaluate("document.activeElement.id") == "chain-start"


def test_an_operation_without_an_output(visit):
    """What takes nothing shows nothing, and where an output is missing is what is shown then."""
    page = visit(THREE)
    page.click("#chain-choice button >> nth=1")
    page.fill("#window-0", "9")
    page.fill("#window-1", "9")
    assert sizes(page) == ["14 × 14", "3 × 3", "1 × 1"]
    page.fill("#window-0", "11")
    assert sizes(page) == ["14 × 14", "2 × 3", "no output"]
    page.click("#chain-choice button >> nth=2")
    assert "reaches over 3 rows, but its input has only 2." in page.inner_text("#obstacle")
    page.click("#samples [data-value=dot]")
    assert len(screen.state(page)["before"]) == 1  # the pooling has no room any more
    assert "The window reaches over 11 rows" in page.inner_text("#obstacle")


def test_links_lead_back(visit):
    """A link restores every operation, and which is shown; wrong parts of it are named."""
    page = visit("#pic=cat&side=16&c=each&p=full&k=1,2&s=2,1")
    page.click("#chain-start")
    page.click("#operation >> text=Convolve")
    page.click("#colour >> text=summed")
    page.select_option("#preset", label="sharpen")
    page.click("#chain-add")
    page.click("#chain-choice button >> nth=1")
    page.fill("#dilation-0", "2")
    screen.until(page, "location.hash.includes('d=2,1')")
    again = visit(page.evaluate("location.hash"))
    assert screen.state(again) == screen.state(page)
    np.testing.assert_array_equal(screen.output(again), screen.output(page))
    for wrong in ("of=3,2", "of=1,9", "of=2", f"of={screen.HOSTILE}"):
        assert screen.follow(page, f"#{wrong}").endswith(" left out: of."), wrong
    said = screen.follow(page, f"#of=2,2&1.k={screen.HOSTILE}&1.s=0,9")
    assert said.endswith(" left out: 1.k, 1.s.")
    assert page.locator("img, main script").count() == 0


def test_the_code_is_one_program(visit):
    """The program imports once, and each operation takes the output of the one before."""
    page = visit(ROW)
    convolution = page.evaluate("explorer.program('convlens').code").partition("(16, 16)\n")[2]
    assert convolution.startswith("kernel = ")
    page = visit(THREE)
    assert page.evaluate("explorer.program('convlens').code") == (
        "import numpy as np\n\nimport convlens\n\n"
        "# image: (16, 16)\n"
        f"{convolution}\n"
        "image = output  # for operation 2: (14, 14)\n"
        "output = convlens.pool(image, 2)\n\n"
        "image = output  # for operation 3: (7, 7)\n"
        f"{convolution}"
    )


@pytest.mark.parametrize(
    ("fragment", "width", "scheme"),
    [(THREE, 320, "light"), ("#pic=heartbeat&k=1,1&of=2,2&1.op=avg&1.w=1,2", 1440, "dark")],
)
def test_axe(visit, fragment, width, scheme):
    """axe-core finds nothing wrong with operations in a row, and nothing is cut off."""
    page = visit(fragment, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert screen.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
