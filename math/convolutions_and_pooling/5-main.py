#!/usr/bin/env python3
"""Several kernels: three at once make three pictures of one photograph."""
import numpy as np

import pictures

course = __import__('5-convolve')


def main():
    """Print the shapes before and after, show the first image of each."""
    save = pictures.options(__doc__)
    images = pictures.load('animals_1.npz', 'data')
    print(images.shape)
    sharpen = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    upright = [[1, 0, -1], [1, 0, -1], [1, 0, -1]]
    level = [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    three = np.stack([sharpen, upright, level], axis=-1)
    kernels = np.stack([three] * 3, axis=2)  # one layer per colour
    results = course.convolve(images, kernels, padding='valid')
    print(results.shape)
    pictures.show(images[0], results[0, :, :, 0], results[0, :, :, 1],
                  results[0, :, :, 2], save=save)


if __name__ == '__main__':
    main()
