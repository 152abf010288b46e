#!/usr/bin/env python3
"""What the seven mains share: their option, their data, their pictures."""
import argparse
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

# Saved pictures are enlarged: 28 pixels would be a stamp on most screens.
ENLARGED = 16
# Matplotlib's backends that write files and open no windows.
WINDOWLESS = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')


def options(description):
    """Read the command line.

    description: str, what --help says
    Returns: pathlib.Path, the folder after --save, or None without it
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--save', metavar='FOLDER', type=Path,
                        help='write the pictures there instead of showing')
    return parser.parse_args().save


def load(file, name):
    """Load one array from an .npz file in the current folder.

    file: str, the file
    name: str, the array in it
    Returns: numpy.ndarray
    """
    try:
        with np.load(file) as data:
            return data[name]
    except FileNotFoundError:
        maker = Path(__file__).with_name('make_data.py')
        sys.exit(f'{file} is not in the current folder; '
                 f'{maker} makes a stand-in for it.')


def show(*images, cmap=None, save=None):
    """Show pictures one after the other, or save them.

    images: numpy.ndarray, each (h, w) or (h, w, 3)
    cmap: str, the colour map of those without colours
    save: pathlib.Path, where to write them as PNG files; None shows them
    """
    script = Path(sys.argv[0])
    if save:
        os.makedirs(save, exist_ok=True)
        for n, image in enumerate(images, 1):
            large = image.repeat(ENLARGED, 0).repeat(ENLARGED, 1)
            plt.imsave(save / f'{script.stem}-{n}.png', large, cmap=cmap)
    elif plt.get_backend().lower() in WINDOWLESS:
        print(f'{script.name}: no screen to show the pictures on; '
              f'--save FOLDER writes them as PNG files.', file=sys.stderr)
    else:
        for image in images:
            plt.imshow(image, cmap=cmap)
            plt.show()
