"""The page stays right when something else happens before an action has ended."""

import numpy as np
import pytest

from .screen import COLOURS, EDGE, OTHER, file_of, follow, opened, output, state, stroke, until


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
