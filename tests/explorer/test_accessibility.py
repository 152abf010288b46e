"""The page for those who see, hear or move differently: axe-core's rules, and keys alone."""

import pytest

from .screen import state, violations

STATES = {
    "first": "",
    "pooling": "#op=avg&pic=count&w=2,2&p=1,1,1,1",
    "colours": "#pic=cat&side=16&c=summed&k=1,2|0,1|3,4&p=full&b=wrap",
    "wide": "#pic=cat&side=128&k=" + ";".join([",".join("1" * 11)] * 11),
    "nothing": "#pic=count&p=valid&k=1,1,1&d=1,4",
}


@pytest.mark.parametrize("name", STATES)
def test_axe(visit, name):
    """No rule is violated in any kind of state, in dark and light, on a desk and on a phone."""
    page = visit(
        STATES[name], reduced_motion="reduce"
    )  # colours do not fade, so they can be read at once

    def in_both_schemes():
        for scheme in ("dark", "light"):  # in the end it is light, as in the beginning
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == [], scheme

    in_both_schemes()
    page.click("#draw-open")
    page.fill("#window-0", "99")
    page.click("#tour-open")
    page.set_viewport_size({"width": 320, "height": 700})
    in_both_schemes()


def test_axe_finds_what_is_wrong(visit):
    """The check is alive: a button without a name is found."""
    page = visit()
    page.evaluate("document.getElementById('play').textContent = ''")
    assert [rule for rule, _, _ in violations(page)] == ["button-name"]


def tab_to(page, wanted):
    """Press Tab until an element with this id, or inside of it, has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        here = "[document.activeElement, ...document.querySelectorAll(':has(:focus)')]"
        if page.evaluate(f"{here}.some((e) => e.id === '{wanted}')"):
            seen = page.evaluate("document.activeElement.matches(':focus-visible')")
            assert seen, f"{wanted} has no visible focus"
            return
    pytest.fail(f"Tab does not reach {wanted}")


KEYS = {  # for a link the controls, the keys that change each, and what has changed then
    "": {
        "input-canvas": (["ArrowRight", "Enter"], "state.pin?.join() === 'input,0,1'"),
        "preset": (["End"], "state.layers[0].length > 3"),
        "window-0": (["ArrowUp"], "axes[0].window === 4"),
        "window-1": (["ArrowDown"], "axes[1].window === 2"),
        "kernel-grid": (["8"], "state.layers[0][0][0] === 8"),
        "output-canvas": (["ArrowDown", "Enter"], "state.pin?.[0] === 'output'"),
        "step-back": (["Enter"], "state.at.join() === '3,3'"),
        "step-on": (["Enter"], "state.at.join() === '3,5'"),
        "position": (["Home"], "state.at.join() === '0,0'"),
        "samples": (["ArrowRight"], "state.picture === 'edge'"),
        "operation": (["ArrowRight"], "state.operation === 'max'"),
        "flip": (["Space"], "state.flip"),
        "chain-start": (["Enter"], "state.before.length === 1"),
        "stride-0": (["ArrowUp"], "state.stride[0] === 2"),
        "stride-1": (["ArrowUp"], "state.stride[1] === 2"),
        "padding": (["ArrowRight"], "state.padding === 'full'"),
        "border": (["ArrowDown"], "state.padMode === 'edge'"),
        "dilation-0": (["ArrowUp"], "state.dilation[0] === 2"),
        "dilation-1": (["ArrowUp"], "state.dilation[1] === 2"),
    },
    "#pic=cat&c=each&p=valid&k=1": {
        "layer-choice": (["ArrowRight"], "state.layer === 0"),
        "side": (["ArrowUp"], "state.side === 16"),
        "fit": (["ArrowDown"], "state.fit === 'region'"),
        "colour": (["ArrowUp"], "state.colour === 'summed'"),
    },
    "#pic=cat&fit=region&p=valid&k=1": {
        "corner-0": (["ArrowRight"], "state.corner[0] === 1"),
        "corner-1": (["ArrowRight"], "state.corner[1] === 1"),
    },
    "#pic=cat&side=16&c=several&k=1": {
        "groups": (["ArrowRight"], "state.groups === 2"),
        "bank-outputs": (["ArrowRight"], "state.kernel === 1"),
    },
    "#of=2,2&1.op=max": {
        "chain-choice": (["ArrowLeft"], "state.operation === 'max'"),
        "chain-add": (["Enter"], "state.before.length === 2"),
        "chain-remove": (["Enter"], "state.before.length === 0"),
    },
    "#op=avg&w=2,2&p=1,1,1,1&pic=count": {
        "pad-0-0": (["ArrowUp"], "state.padding[0][0] === 2"),
        "pad-1-1": (["ArrowUp"], "state.padding[1][1] === 2"),
        "count": (["Space"], "state.countPadding"),
        "partial": (["Space"], "state.partial"),
    },
}


@pytest.mark.parametrize("fragment", KEYS)
def test_keys_alone_change_everything(visit, fragment):
    """Every control is reached by Tab, shows that it has the focus, and is changed by keys."""
    page = visit(fragment)
    before = state(page)
    for name, (keys, changed) in KEYS[fragment].items():
        tab_to(page, name)
        assert not page.evaluate(f"explorer.{changed}"), name
        for key in keys:
            page.keyboard.press(key)
        assert page.evaluate(f"explorer.{changed}"), name
        page.evaluate("(state) => explorer.set(state)", before)


def test_keys_alone_press_everything(visit):
    """Buttons work by keys: play, tabs of programs, copies, files, saving, the tour."""
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    tab_to(page, "play")
    page.keyboard.press("Enter")
    assert page.inner_text("#play") == "Pause"
    page.keyboard.press("Enter")
    tab_to(page, "speed")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#speed") == "24"
    tab_to(page, "open")
    page.evaluate("document.getElementById('file').onclick = () => { globalThis.asked = true; }")
    page.keyboard.press("Enter")
    assert page.evaluate("globalThis.asked")  # the browser shows its window of files
    tab_to(page, "libraries")
    page.keyboard.press("ArrowRight")
    assert "course" in page.inner_text("#code")
    tab_to(page, "code-copy")
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert "course" in page.evaluate("navigator.clipboard.readText()")
    for button in ("save-output", "save-animation"):
        tab_to(page, button)
        with page.expect_download():
            page.keyboard.press("Enter")
    tab_to(page, "tour-open")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # the focus is on Next
    assert page.inner_text("#tour-title") == "Window"
