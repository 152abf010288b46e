"""Random states of the page, and what `convlens` makes of them."""

from __future__ import annotations

import base64

import numpy as np

from convlens import convolve, pool

OPERATIONS = ("convolve", "max", "avg", "min")
PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def pair(rng, low, high):
    """Two integers, both included."""
    return [int(n) for n in rng.integers(low, high, 2, endpoint=True)]


def random_configuration(rng):
    """(state, image): a state of the page in all its parts, and the picture (h, w, c) in it."""
    operation = OPERATIONS[0] if rng.random() < 0.6 else OPERATIONS[rng.integers(1, 4)]
    h, w = pair(rng, 1, 12)
    colour = ("gray", "gray", "summed", "each")[rng.integers(4)]
    if operation != "convolve" and colour == "summed":
        colour = "each"
    channels = 1 if colour == "gray" else 3
    kh, kw = pair(rng, 1, 11) if rng.random() < 0.15 else pair(rng, 1, 5)
    layers = 3 if colour == "summed" and rng.random() < 0.6 else 1
    whole = rng.random() < 0.5
    if whole:
        image = rng.integers(0, 256, (h, w, channels), np.uint8)
        kernel = rng.integers(-9, 10, (layers, kh, kw)).tolist()
    else:
        image = rng.standard_normal((h, w, channels)) * 10
        kernel = rng.standard_normal((layers, kh, kw)).tolist()
    words = ("valid", "same", "full")
    padding = words[rng.integers(3)] if rng.random() < 0.6 else [pair(rng, 0, 5), pair(rng, 0, 5)]
    state = {
        "operation": operation,
        "layers": kernel if operation == "convolve" else [[[1]]],
        "flip": operation == "convolve" and bool(rng.random() < 0.3),
        "window": [kh, kw],
        "stride": pair(rng, 1, 4),
        "dilation": pair(rng, 1, 3) if rng.random() < 0.5 else [1, 1],
        "padding": padding,
        "padMode": PAD_MODES[rng.integers(5)],
        "countPadding": bool(rng.integers(2)),
        "partial": bool(rng.integers(2)),
        "colour": colour,
        "layer": "all",
        "side": 128,
        "at": [0, 0],
        "pin": None,
    }
    return state, image


def picture_of(image):
    """An image (h, w, c) as the page reads it."""
    kind = "u1" if image.dtype == np.uint8 else "f8"
    data = base64.b64encode(np.ascontiguousarray(image).tobytes()).decode()
    return {"shape": image.shape, "type": kind, "data": data}


def by_convlens(state, image):
    """The output of `convlens`, (oh, ow, c), or None if it refuses."""
    padding = state["padding"]
    padding = padding if isinstance(padding, str) else tuple(map(tuple, padding))
    options = {"padding": padding, "dilation": tuple(state["dilation"])}
    batch, stride = image[np.newaxis], tuple(state["stride"])
    try:
        if state["operation"] != "convolve":
            flags = {"count_padding": state["countPadding"], "partial": state["partial"]}
            window, mode = tuple(state["window"]), state["operation"]
            return pool(batch, window, stride, mode, **options, **flags)[0]
        kernel = np.array(state["layers"]).transpose(1, 2, 0)  # (kh, kw, layers)
        kernel = kernel[::-1, ::-1] if state["flip"] else kernel
        if state["colour"] == "summed":
            kernel = np.broadcast_to(kernel, (*kernel.shape[:2], image.shape[2]))[..., np.newaxis]
        else:
            kernel = kernel[..., 0]
        return convolve(batch, kernel, stride=stride, pad_mode=state["padMode"], **options)[0]
    except ValueError:
        return None
