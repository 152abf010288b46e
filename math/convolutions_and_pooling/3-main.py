#!/usr/bin/env python3
"""Strided convolution: only every second window, down and across."""
import numpy as np

import pictures

course = __import__('3-convolve_grayscale')


def main():
    """Print the shapes before and after, show the first image of each."""
    save = pictures.options(__doc__)
    images = pictures.load('MNIST.npz', 'X_train')
    print(images.shape)
    kernel = np.array([[1, 0, -1]] * 3)
    edges = course.convolve_grayscale(
        images, kernel, padding='valid', stride=(2, 2))
    print(edges.shape)
    pictures.show(images[0], edges[0], cmap='gray', save=save)


if __name__ == '__main__':
    main()
