#!/usr/bin/env python3
"""Draw the README's pictures into images/, by running the course files.

One unit of length is one cell of a grid. Blue is what the window sees,
orange the kernel, green the result, in every picture.
"""
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from matplotlib.patches import FancyArrowPatch, Rectangle
from skimage import data

valid = __import__('0-convolve_grayscale_valid').convolve_grayscale_valid
same = __import__('1-convolve_grayscale_same').convolve_grayscale_same
strided = __import__('3-convolve_grayscale').convolve_grayscale
channels = __import__('4-convolve_channels').convolve_channels
pool = __import__('6-pool').pool

FOLDER = Path(__file__).with_name('images')
INK, SOFT, LINE, PAPER = '#1f2328', '#656d76', '#b9c0c8', '#ffffff'
BLUE, ORANGE, GREEN = '#0072b2', '#c96b00', '#00805d'
SEEN, KERNEL, RESULT = '#d3e7f5', '#fbe3bf', '#c9ebde'

# Bright on the left, dark on the right.
IMAGE = np.array([[8, 8, 7, 1, 0],
                  [8, 9, 7, 1, 1],
                  [9, 8, 8, 0, 1],
                  [8, 8, 7, 1, 0],
                  [9, 9, 8, 1, 1]])
UPRIGHT = np.array([[1, 0, -1]] * 3)


def canvas(width, height):
    """Open an empty picture; y grows downwards, as rows do."""
    figure = plt.figure(figsize=(width / 2, height / 2), dpi=140,
                        facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis('off')
    return axes


def save(axes, name):
    """Write the picture, the same bytes each time."""
    FOLDER.mkdir(exist_ok=True)
    axes.figure.canvas.draw()
    pixels = np.asarray(axes.figure.canvas.buffer_rgba())[:, :, :3]
    Image.fromarray(pixels).save(FOLDER / name, optimize=True)
    plt.close(axes.figure)


def number(value):
    """Write a number the short way, with a real minus sign."""
    return f'{value:.4g}'.replace('-', '\u2212')


def write(axes, x, y, text, size=12, color=INK, **more):
    """Write words centred on a point."""
    more = {'ha': 'center', 'va': 'center', **more}
    axes.text(x, y, text, size=size, color=color, **more)


def grid(axes, x, y, values, fill=PAPER, color=INK, cell=1., size=14):
    """Draw a grid of numbers; colours are for all cells, or one for each."""
    values = np.asarray(values)
    fill = np.broadcast_to(fill, values.shape)
    color = np.broadcast_to(color, values.shape)
    for i, j in np.ndindex(values.shape):
        axes.add_patch(Rectangle((x + j * cell, y + i * cell), cell, cell,
                                 facecolor=fill[i, j], edgecolor=LINE, lw=1))
        write(axes, x + (j + .5) * cell, y + (i + .52) * cell,
              number(values[i, j]), size, color[i, j])


def frame(axes, x, y, width, height, color, **more):
    """Draw a strong outline."""
    axes.add_patch(Rectangle((x, y), width, height, fill=False,
                             **{'edgecolor': color, 'lw': 2.5, **more}))


def arrow(axes, start, end):
    """Draw an arrow."""
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle='-|>', lw=1.5,
                                   mutation_scale=14, color=SOFT,
                                   shrinkA=0, shrinkB=0))


def picture(axes, x, y, side, image, low=0, high=255):
    """Draw a photograph, a square of the given side."""
    axes.imshow(image, extent=(x, x + side, y + side, y), cmap='gray',
                vmin=low, vmax=high, interpolation='nearest')


def part(shape, y, x, height, width, color, rest=PAPER):
    """Return the colours of a grid, one for a part of it, one elsewhere."""
    fill = np.full(shape, rest)
    fill[y:y + height, x:x + width] = color
    return fill


def convolution():
    """One window, from the image to the result."""
    result = valid(IMAGE[np.newaxis], UPRIGHT)[0]
    i, j = 1, 2
    axes = canvas(19, 6.6)
    for x, word in (3, 'image'), (8.1, 'kernel'), (12.2, 'products'), \
            (16.9, 'result'):
        write(axes, x, .55, word, 13, SOFT)
    grid(axes, .5, 1.1, IMAGE, part((5, 5), i, j, 3, 3, SEEN))
    frame(axes, .5 + j, 1.1 + i, 3, 3, BLUE)
    write(axes, 6.05, 3.6, '×', 18)
    grid(axes, 6.6, 2.1, UPRIGHT, KERNEL)
    write(axes, 10.15, 3.6, '=', 18)
    grid(axes, 10.7, 2.1, IMAGE[i:i + 3, j:j + 3] * UPRIGHT)
    arrow(axes, (13.9, 3.6), (15.2, 3.6))
    write(axes, 14.55, 3.2, 'add up', 11, SOFT)
    grid(axes, 15.4, 2.1, result, part((3, 3), i, j, 1, 1, RESULT))
    frame(axes, 15.4 + j, 2.1 + i, 1, 1, GREEN)
    save(axes, 'convolution.png')


def kernels(face):
    """The cat seen through six kernels."""
    gray = face.mean(axis=2)
    shown = (
        ('leave as it is', [[0, 0, 0], [0, 1, 0], [0, 0, 0]], 1),
        ('blur', np.ones((3, 3)), 9),
        ('sharpen', [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], 1),
        ('upright edges', UPRIGHT, 1),
        ('level edges', UPRIGHT.T, 1),
        ('all edges', [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 1),
    )
    axes = canvas(19, 16.4)
    for n, (name, kernel, share) in enumerate(shown):
        x, y = .5 + n % 3 * 6.2, .5 + n // 3 * 8
        result = valid(gray[np.newaxis], np.asarray(kernel) / share)[0]
        # Kernels that add up to 0 find differences: grey stands for none.
        limits = (-255, 255) if np.sum(kernel) == 0 else (0, 255)
        grid(axes, x, y, kernel, KERNEL, cell=.5, size=8)
        write(axes, x + 1.8, y + .75, name, 14, ha='left')
        if share > 1:
            write(axes, x + 5.6, y + .75, f'sum ÷ {share}', 12, SOFT,
                  ha='right')
        picture(axes, x, y + 1.75, 5.6, result, *limits)
    save(axes, 'kernels.png')


def padding():
    """Valid beside same: what a ring of zeros does."""
    axes = canvas(25.4, 9)
    for x, ring, convolve, title in (
            (.5, 0, valid, 'valid: only where the kernel fits'),
            (11.3, 1, same, 'same: a ring of zeros first')):
        image = np.pad(IMAGE, ring)
        result = convolve(IMAGE[np.newaxis], UPRIGHT)[0]
        k, n, y = len(image), len(result), 2 - ring
        # The zeros fainter, for they are not pixels of the image.
        grid(axes, x, y, image, part((k, k), 0, 0, 3, 3, SEEN),
             part((k, k), ring, ring, 5, 5, INK, LINE))
        frame(axes, x + ring, 2, 5, 5, INK, lw=1.5)
        frame(axes, x, y, 3, 3, BLUE)
        arrow(axes, (x + k + .3, 4.5), (x + k + 1.3, 4.5))
        grid(axes, x + k + 1.6, 4.5 - n / 2, result,
             part((n, n), 0, 0, 1, 1, RESULT))
        frame(axes, x + k + 1.6, 4.5 - n / 2, 1, 1, GREEN)
        write(axes, x, .5, title, 14, ha='left')
        write(axes, x, 8.5, f'5 × 5 \u2192 {n} × {n}', 13, SOFT, ha='left')
    save(axes, 'padding.png')


def stride():
    """The windows that strides of 1, 2 and 3 visit."""
    axes = canvas(24, 9)
    image = np.zeros((1, 7, 7))
    for n, s in enumerate((1, 2, 3)):
        x, y = .5 + n * 8, 1
        oh, ow = strided(image, UPRIGHT, 'valid', (s, s))[0].shape
        for i, j in np.ndindex(7, 7):
            axes.add_patch(Rectangle((x + j, y + i), 1, 1, facecolor=PAPER,
                                     edgecolor=LINE, lw=1))
        axes.add_patch(Rectangle((x, y), 3, 3, facecolor=SEEN, lw=0,
                                 alpha=.75))
        frame(axes, x + s, y, 3, 3, BLUE, ls=(0, (3, 2)), lw=2)
        frame(axes, x, y, 3, 3, BLUE)
        for i, j in np.ndindex(oh, ow):
            axes.plot(x + j * s + 1.5, y + i * s + 1.5, 'o', ms=11,
                      color=GREEN)
        write(axes, x, .5, f'stride {s}', 14, ha='left')
        write(axes, x, 8.5, f'7 × 7 \u2192 {oh} × {ow}', 13, SOFT, ha='left')
    save(axes, 'stride.png')


def colours(face):
    """The cat and its three channels."""
    axes = canvas(24, 6.9)
    for n, name in enumerate(('photograph', 'red', 'green', 'blue')):
        x = .5 + n * 5.85
        shown = face if n == 0 else face[:, :, n - 1]
        picture(axes, x, 1.1, 5.45, shown)
        write(axes, x, .6, name, 14, ha='left')
    save(axes, 'colours.png')


def layers():
    """One window of a colour image under a kernel with three layers."""
    window = np.array([[[2, 1, 7], [3, 1, 6], [8, 2, 0]],
                       [[2, 0, 7], [2, 1, 6], [9, 1, 1]],
                       [[1, 1, 8], [3, 0, 7], [8, 2, 1]]])
    kernel = np.stack([-UPRIGHT, np.zeros((3, 3), int), UPRIGHT], axis=-1)
    total = channels(window[np.newaxis], kernel, 'valid').item()
    axes = canvas(17.4, 10.3)
    write(axes, .5, 2.6, 'window', 13, SOFT, ha='left')
    write(axes, .5, 6.4, 'kernel', 13, SOFT, ha='left')
    write(axes, .5, 9.2, 'add up', 13, SOFT, ha='left')
    for n, name in enumerate(('red', 'green', 'blue')):
        x = 3 + n * 4
        write(axes, x + 1.5, .55, name, 13, SOFT)
        grid(axes, x, 1.1, window[:, :, n], SEEN)
        write(axes, x + 1.5, 4.5, '×', 16)
        grid(axes, x, 4.9, kernel[:, :, n], KERNEL)
        arrow(axes, (x + 1.5, 8.05), (x + 1.5, 8.6))
        grid(axes, x + 1, 8.7, [[(window * kernel)[:, :, n].sum()]])
        write(axes, x + 3.5, 9.2, '=' if n == 2 else '+', 18)
    grid(axes, 15.5, 8.7, [[total]], RESULT)
    frame(axes, 15.5, 8.7, 1, 1, GREEN)
    save(axes, 'layers.png')


def pooling():
    """Four windows, their largest numbers and their means."""
    image = np.array([[1, 3, 2, 9], [7, 5, 4, 1], [8, 6, 0, 2],
                      [4, 2, 6, 4]])
    batch = image[np.newaxis, :, :, np.newaxis]
    fill = np.array([[SEEN, PAPER], [PAPER, SEEN]])
    axes = canvas(19, 5.4)
    write(axes, 4.5, .5, 'image', 13, SOFT)
    grid(axes, 2.5, 1, image, fill.repeat(2, 0).repeat(2, 1))
    arrow(axes, (7, 3), (9, 3))
    for x, mode, word in (9.7, 'max', 'largest'), (14.5, 'avg', 'mean'):
        result = pool(batch, (2, 2), (2, 2), mode)[0, :, :, 0]
        grid(axes, x, 2, result, RESULT)
        write(axes, x + 1, 1.5, word, 13, SOFT)
    write(axes, 13.1, 3, 'or', 13, SOFT)
    save(axes, 'pooling.png')


def pooled_cat(face):
    """The cat, pooled both ways."""
    axes = canvas(19, 7)
    batch = face[np.newaxis]
    for n, (name, shown) in enumerate((
            ('photograph', face),
            ('max pooling', pool(batch, (4, 4), (4, 4), 'max')[0] / 255),
            ('average pooling', pool(batch, (4, 4), (4, 4), 'avg')[0] / 255),
    )):
        x = .5 + n * 6.2
        picture(axes, x, 1.1, 5.6, shown)
        write(axes, x, .6, name, 14, ha='left')
        write(axes, x + 5.6, .6, '{} × {}'.format(*shown.shape), 12, SOFT,
              ha='right')
    save(axes, 'pooled-cat.png')


def taps():
    """A convolution as the sum of shifted images."""
    image = np.array([[1, 2, 0, 3], [4, 1, 1, 0], [0, 2, 5, 1],
                      [3, 0, 1, 2]])
    kernel = np.array([[1, 2], [0, -1]])
    result = valid(image[np.newaxis], kernel)[0]
    axes = canvas(24.6, 10.3)
    for n, (i, j) in enumerate(np.ndindex(2, 2)):
        x = .5 + n * 5
        write(axes, x + 2, .5, f'tap ({i}, {j})', 13, SOFT)
        grid(axes, x, 1, image, part((4, 4), i, j, 3, 3, SEEN))
        frame(axes, x + j, 1 + i, 3, 3, BLUE)
        write(axes, x + 1.2, 5.75, '×', 16)
        grid(axes, x + 1.7, 5.25, [[kernel[i, j]]], KERNEL)
        grid(axes, x + .5, 6.8, image[i:i + 3, j:j + 3] * kernel[i, j])
        write(axes, x + 4.5, 8.3, '=' if n == 3 else '+', 18)
    write(axes, 22.5, 6.3, 'result', 13, SOFT)
    grid(axes, 21, 6.8, result, RESULT)
    frame(axes, 21, 6.8, 3, 3, GREEN)
    save(axes, 'taps.png')


def two_sames():
    """A row of 5 at stride 2: the two things that "same" can mean."""
    row = np.array([[1, 2, 3, 4, 5]])
    kernel = np.ones((1, 3))
    axes = canvas(24.4, 9.4)
    for x, before, after, padding, title in (
            (.5, 3, 3, 'same', 'these files: one output per pixel'),
            (15.1, 1, 1, (0, 1), 'TensorFlow, JAX: one per step')):
        result = strided(row[np.newaxis], kernel, padding, (1, 2))[0, 0]
        write(axes, x, .5, title, 14, ha='left')
        padded = np.pad(row, ((0, 0), (before, after)))
        k = padded.size
        color = part((1, k), 0, before, 1, 5, INK, LINE)
        grid(axes, x, 1.2, padded, color=color)
        frame(axes, x + before, 1.2, 5, 1, INK, lw=1.5)
        for n, value in enumerate(result):
            j, y = 2 * n, 2.6 + n * 1.3
            grid(axes, x + j, y, padded[:, j:j + 3], SEEN, color[:, j:j + 3])
            frame(axes, x + j, y, 3, 1, BLUE)
            if j + 3 < k:
                axes.plot([x + j + 3.2, x + k + .1], [y + .5] * 2, ':',
                          color=LINE, lw=1.5)
            grid(axes, x + k + .3, y, [[value]], RESULT)
    save(axes, 'same.png')


def main():
    """Draw them all."""
    # A square with both eyes in it, shrunk so that pixels can be seen.
    face = data.chelsea()[np.newaxis, :288, 104:392]
    face = pool(face, (3, 3), (3, 3), 'avg')[0].round().astype(np.uint8)
    convolution()
    kernels(face)
    padding()
    stride()
    colours(face)
    layers()
    pooling()
    pooled_cat(face)
    taps()
    two_sames()


if __name__ == '__main__':
    main()
