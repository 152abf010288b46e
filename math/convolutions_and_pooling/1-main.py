#!/usr/bin/env python3
"""Same convolution: the same edges, and the pictures keep their size."""
import numpy as np

import pictures

course = __import__('1-convolve_grayscale_same')


def main():
    """Print the shapes before and after, show the first image of each."""
    save = pictures.options(__doc__)
    images = pictures.load('MNIST.npz', 'X_train')
    print(images.shape)
    kernel = np.array([[1, 0, -1]] * 3)
    edges = course.convolve_grayscale_same(images, kernel)
    print(edges.shape)
    pictures.show(images[0], edges[0], cmap='gray', save=save)


if __name__ == '__main__':
    main()
