#!/usr/bin/env python3
"""Channels: one kernel, three layers deep, sharpens a colour photograph."""
import numpy as np

import pictures

course = __import__('4-convolve_channels')


def main():
    """Print the shapes before and after, show the first image of each."""
    save = pictures.options(__doc__)
    images = pictures.load('animals_1.npz', 'data')
    print(images.shape)
    sharpen = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    kernel = np.stack([sharpen] * 3, axis=-1)  # one layer per colour
    sharp = course.convolve_channels(images, kernel, padding='valid')
    print(sharp.shape)
    pictures.show(images[0], sharp[0], save=save)


if __name__ == '__main__':
    main()
