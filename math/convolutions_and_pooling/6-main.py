#!/usr/bin/env python3
"""Average pooling: four pixels become one, their mean."""
import pictures

course = __import__('6-pool')


def main():
    """Print the shapes before and after, show the first image of each."""
    save = pictures.options(__doc__)
    images = pictures.load('animals_1.npz', 'data')
    print(images.shape)
    means = course.pool(images, (2, 2), (2, 2), mode='avg')
    print(means.shape)
    # Matplotlib takes colours as whole numbers to 255 or fractions to 1.
    pictures.show(images[0], means[0] / 255, save=save)


if __name__ == '__main__':
    main()
