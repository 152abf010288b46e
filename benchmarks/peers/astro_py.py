"""astropy: convolution with pixels that are not numbers, on one thread."""

from functools import partial
from warnings import catch_warnings

import numpy as np
from astropy.convolution import convolve
from contenders import Array, Contender, Task

HOLES = True  # it leaves out NaN, and divides by the weight that was there


def contenders(task: Task) -> list[Contender]:
    """A kernel on a single image with holes: other calls have nothing of its own."""
    if not task.holed or task.pixels.shape[0] != 1 or task.channels != 1:
        return []
    image, kernel = task.pixels[0, ..., 0], np.flip(task.taps[..., 0, 0])
    call = partial(convolve, image, kernel, boundary="fill", nan_treatment="interpolate")

    def without_warnings() -> Array:
        with catch_warnings(action="ignore"):  # where nothing is left
            result: Array = call()
            return result

    return [Contender("astropy", without_warnings, lambda result: result[np.newaxis, ..., None])]
