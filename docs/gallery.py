"""The gallery and the table of filters: every filter of `convlens.filters`, run on a photograph."""

from fractions import Fraction

import numpy as np
from PIL import Image

import convlens
from convlens import filters

BLUE, PALE, ORANGE = (20, 62, 125), (243, 240, 233), (191, 98, 20)  # the explorer's colours
SIDE = 28  # pixels of a kernel's cell
KINDS = {
    True: ("Filters that find changes", "Their numbers add up to zero. Grey is zero in what they "
           "make, brighter is above it, darker below."),
    False: ("Filters that keep the brightness", "Their numbers add up to one."),
}  # fmt: skip


def as_bytes(numbers, signed=False):
    """Numbers as bytes to look at: from black to white, or around a grey that stands for zero."""
    if signed:
        numbers = 127.5 + numbers * (127.5 / np.quantile(np.abs(numbers), 0.998))
    return np.clip(numbers, 0, 255).round().astype(np.uint8)


def kernel_svg(kernel):
    """A kernel as a drawing: orange above zero, blue below, with its numbers if they are short."""
    parts, limit = [], np.abs(kernel).max()
    short = all(Fraction(number).limit_denominator(99) == number for number in kernel.flat)
    for (y, x), number in np.ndenumerate(kernel):
        end, share = (ORANGE if number > 0 else BLUE), abs(number) / limit
        colour = [round(p + (e - p) * share) for p, e in zip(PALE, end, strict=True)]
        place = f'x="{SIDE * x + 1}" y="{SIDE * y + 1}" width="{SIDE - 2}" height="{SIDE - 2}"'
        parts.append(f'<rect {place} rx="2" fill="rgb{tuple(colour)}"/>')
        if short:
            at = f'x="{SIDE * (x + 0.5)}" y="{SIDE * (y + 0.5) + 5}" text-anchor="middle"'
            ink = "#fff" if share > 0.6 else "#1f2328"
            text = f"{number:g}".replace("-", "−")
            parts.append(f'<text {at} fill="{ink}">{text}</text>')
    h, w = (SIDE * length for length in kernel.shape)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}"'
    return f'{head} font-family="sans-serif" font-size="14">{"".join(parts)}</svg>\n'


def explorer_link(kernel):
    """The explorer's address for a kernel on the photograph."""
    numbers = ";".join(",".join(f"{number:.6g}" for number in row) for row in kernel)
    return f"../explore.html#op=convolve&k={numbers}&p=same&b=reflect&pic=cat&side=64"


def card(name, kernel, about):
    """One filter: its kernel, the photograph before and after, what it does, a link to try it."""
    return f"""
````{{container}} card
```{{container}} card-head
{{func}}`~convlens.filters.{name}`

![The kernel of {name}, {kernel.shape[0]} by {kernel.shape[1]}](gallery/kernel-{name}.svg)
```

![Before](gallery/before.png) ![After {name}](gallery/{name}.png)

{about} <a href="{explorer_link(kernel)}">Try it in the explorer</a>
````
"""


def write(made, gray, introduction):
    """Run every filter on a picture; write the gallery, and the reference's table of filters."""
    folder = made / "gallery"
    cards, table = {True: [], False: []}, []
    for name in filters.__all__:
        kernel = getattr(filters, name)()
        signed = abs(kernel.sum()) < 1e-9
        after = convlens.convolve(gray, kernel, pad_mode="reflect")
        Image.fromarray(as_bytes(after, signed)).save(folder / f"{name}.png")
        (folder / f"kernel-{name}.svg").write_text(kernel_svg(kernel), encoding="utf-8")
        about = getattr(filters, name).__doc__.partition("\n")[0].replace("`", "")
        cards[signed].append(card(name, kernel, about))
        size = f"`{kernel.shape[0]} × {kernel.shape[1]}`"
        total = 0 if signed else round(kernel.sum(), 3)
        table.append(f"| {{func}}`~convlens.filters.{name}` | {size} | {total:g} | {about} |\n")
    text = introduction
    for signed, (title, explanation) in KINDS.items():
        inside = "".join(cards[signed])
        text += f"\n## {title}\n\n{explanation}\n\n`````{{container}} cards\n{inside}`````\n"
    (made / "gallery.md").write_text(text, encoding="utf-8")
    head = "| filter | size | sum | what it finds |\n|---|---|---|---|\n"
    (made / "filters.txt").write_text(head + "".join(table), encoding="utf-8")
