#!/usr/bin/env python3
"""Draw how a network learns, by running it. train.py calls this.

The pictures are made like those of the first part. Blue is an image or a
part of it, orange the weights, green what a layer makes of the image, and
purple what comes back from the loss.
"""
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

import convlens
import lenet

PART_ONE = Path(__file__).parents[1] / 'convolutions_and_pooling'
sys.path.append(str(PART_ONE))
from figures import (BLUE, GREEN, INK, KERNEL, LINE, ORANGE,  # noqa: E402
                     PAPER, SEEN, SOFT, arrow, canvas, frame, grid, part,
                     write)

PURPLE, BACK = '#6f42a5', '#e4d8f3'
# Negative weights are blue, positive ones orange, and 0 is white.
SIGNED = LinearSegmentedColormap.from_list('signed', [BLUE, PAPER, ORANGE])

IMAGE = np.array([[1, 3, 2, 0],
                  [4, 1, 0, 2],
                  [2, 0, 5, 1],
                  [0, 1, 3, 2]])
CAME_BACK = np.array([[1, 0, -1],
                      [3, 2, 0],
                      [-1, 1, 2]])


def save(figure, path):
    """Write a picture.

    figure: matplotlib.figure.Figure
    path: pathlib.Path
    """
    figure.savefig(path, facecolor=PAPER)
    plt.close(figure)


def gray(axes, x, y, side, image):
    """Draw a plane of numbers from white, for 0, to black."""
    axes.imshow(image, extent=(x, x + side, y + side, y), cmap='gray_r',
                vmin=0, vmax=max(image.max(), 1e-9),
                interpolation='nearest')
    axes.add_patch(Rectangle((x, y), side, side, fill=False,
                             edgecolor=LINE, lw=1))


def two_ways(path):
    """The layers, the way forward and the way back."""
    axes = canvas(23.6, 5.8)
    names = ('convolution', 'ReLU', 'max pooling', 'dense', 'loss')
    for n, name in enumerate(names):
        x = 3.2 + n * 4.2
        has_weights = name in ('convolution', 'dense')
        axes.add_patch(Rectangle((x, 1.3), 2.8, 1.9, lw=1.5, edgecolor=LINE,
                                 facecolor=KERNEL if has_weights else PAPER))
        write(axes, x + 1.4, 2.25, name, 12)
        arrow(axes, (x - 1.3, 1.75), (x - .1, 1.75))
        if n:
            arrow_back(axes, (x - .1, 2.75), (x - 1.3, 2.75))
        if has_weights:
            arrow_back(axes, (x + 1.4, 3.3), (x + 1.4, 4.4))
            write(axes, x + 1.4, 5, 'gradient by its weights', 11, PURPLE)
    write(axes, 1.8, 1.75, 'image', 12, ha='right')
    write(axes, 10.9, .65, 'forward: what does the network say?', 12, SOFT)
    write(axes, 10.9, 3.75, 'back: gradients by the input', 12, PURPLE)
    save(axes.figure, path)


def arrow_back(axes, start, end):
    """Draw an arrow for what comes back."""
    arrow(axes, start, end)
    axes.patches[-1].set_color(PURPLE)


def kernel_gradient(path):
    """One number of the gradient by a kernel."""
    i, j = 0, 1
    result = convlens.kernel_gradient(IMAGE, CAME_BACK, (2, 2), 'valid')
    under = IMAGE[i:i + 3, j:j + 3]
    axes = canvas(21.4, 6)
    for x, word, color in ((2.5, 'image', SOFT), (7.7, 'came back', PURPLE),
                           (12.2, 'products', SOFT),
                           (18.2, 'gradient by the kernel', SOFT)):
        write(axes, x, .55, word, 13, color)
    grid(axes, .5, 1.1, IMAGE, part((4, 4), i, j, 3, 3, SEEN))
    frame(axes, .5 + j, 1.1 + i, 3, 3, BLUE)
    write(axes, 5.35, 3.1, '×', 18)
    grid(axes, 6.2, 1.6, CAME_BACK, BACK)
    write(axes, 9.95, 3.1, '=', 18)
    grid(axes, 10.7, 1.6, under * CAME_BACK)
    arrow(axes, (14.1, 3.1), (16.8, 3.1))
    write(axes, 15.4, 2.65, 'add up', 11, SOFT)
    grid(axes, 17.2, 2.1, result, part((2, 2), i, j, 1, 1, KERNEL))
    frame(axes, 17.2 + j, 2.1 + i, 1, 1, ORANGE)
    save(axes.figure, path)


def input_gradient(path):
    """Every output gives to its window; the pixels add up what they get."""
    kernel = np.array([[1, 2], [0, 3]])
    i, j = 1, 1
    only = np.zeros_like(CAME_BACK)
    only[i, j] = CAME_BACK[i, j]
    gives, total = (convlens.convolve_transpose(back, kernel,
                                                padding='valid')
                    for back in (only, CAME_BACK))
    axes = canvas(22, 6)
    for x, word, color in ((2, 'came back', PURPLE), (6.1, 'kernel', SOFT),
                           (11, 'it gives to its window', SOFT),
                           (19, 'gradient by the image', SOFT)):
        write(axes, x, .55, word, 13, color)
    grid(axes, .5, 1.6, CAME_BACK, part((3, 3), i, j, 1, 1, BACK))
    frame(axes, .5 + j, 1.6 + i, 1, 1, PURPLE)
    write(axes, 4.3, 3.1, '×', 18)
    grid(axes, 5.1, 2.1, kernel, KERNEL)
    write(axes, 8, 3.1, '=', 18)
    inside = part((4, 4), i, j, 2, 2, SEEN)
    grid(axes, 9, 1.1, gives, inside, np.where(inside == SEEN, INK, PAPER))
    frame(axes, 9 + j, 1.1 + i, 2, 2, BLUE)
    arrow(axes, (13.4, 3.1), (16.6, 3.1))
    write(axes, 15, 2.65, 'and all others', 11, SOFT)
    grid(axes, 17, 1.1, total, SEEN)
    save(axes.figure, path)


def pool_gradient(path):
    """What a pooling gives back."""
    came_back = np.array([[5, 1], [2, 8]])
    axes = canvas(24.4, 6)
    largest = convlens.pool_gradient(IMAGE, came_back, 2)
    winners = np.zeros_like(IMAGE)
    winners[np.unravel_index(convlens.pool_indices(IMAGE, 2),
                             IMAGE.shape)] = 1
    write(axes, 2.5, .55, 'image', 13, SOFT)
    grid(axes, .5, 1.1, IMAGE, np.where(winners, SEEN, PAPER))
    write(axes, 7.5, .55, 'came back', 13, PURPLE)
    grid(axes, 6.5, 2.1, came_back, BACK)
    arrow(axes, (9.2, 3.1), (11.2, 3.1))
    write(axes, 13.9, .55, 'to the largest', 13, SOFT)
    grid(axes, 11.9, 1.1, largest, np.where(winners, BACK, PAPER),
         np.where(winners, INK, LINE))
    write(axes, 17.5, 3.1, 'or', 13, SOFT)
    write(axes, 21.1, .55, 'in equal shares', 13, SOFT)
    shares = convlens.pool_gradient(IMAGE, came_back, 2, mode='avg')
    grid(axes, 19.1, 1.1, shares, BACK, size=12)
    for x in .5, 11.9, 19.1:
        for n in 0, 2:
            for m in 0, 2:
                frame(axes, x + m, 1.1 + n, 2, 2, SOFT, lw=1.2)
    save(axes.figure, path)


def on_the_way(network, image, path):
    """One held-out digit on its way through the network."""
    seen, x = [image[np.newaxis]], image[np.newaxis]
    for layer in network:
        x = layer.forward(x)
        seen.append(x)
    chances = np.exp(seen[-1][0] - seen[-1].max())
    chances /= chances.sum()
    axes = canvas(29.4, 9.6)
    for x, word, planes, side, across in (
            (.5, 'image', seen[0], 3.6, 1),
            (5.3, 'convolution, ReLU', seen[2], 2.2, 2),
            (11.2, 'pooling', seen[3], 2.2, 2),
            (17.1, 'convolution, ReLU', seen[5], 1.2, 4),
            (23.3, 'pooling', seen[6], .7, 4)):
        planes = np.moveaxis(planes[0], -1, 0)      # (c, h, w)
        gap = side * .1
        down = -(-len(planes) // across)
        top = 4.8 - (down * (side + gap) - gap) / 2
        write(axes, x, .55, word, 12, SOFT, ha='left')
        size = ' × '.join(map(str, planes.shape[1:] + planes.shape[:1]))
        write(axes, x, 9.1, size, 11, SOFT, ha='left')
        for n, plane in enumerate(planes):
            gray(axes, x + n % across * (side + gap),
                 top + n // across * (side + gap), side, plane)
    write(axes, 27.4, .55, 'dense', 12, SOFT, ha='left')
    for digit, chance in enumerate(chances):
        y = 1.5 + digit * .7
        write(axes, 27.6, y, str(digit), 12,
              INK if digit == chances.argmax() else SOFT)
        axes.add_patch(Rectangle((28, y - .22), max(.04, chance), .44,
                                 facecolor=GREEN))
    save(axes.figure, path)


def kernels(network, fresh, image, path):
    """The first layer's kernels before and after, and what they find."""
    axes = canvas(24.6, 11.2)
    both = [layers[0].weights[0] for layers in (fresh, network)]
    found = convlens.convolve(image[np.newaxis], both[1])[0]  # (h, w, 6)
    for y, word in (1.8, 'at the start'), (5.1, 'learned'), \
            (8, 'what they find in'):
        write(axes, .5, y, word, 12, SOFT, ha='left')
    gray(axes, .5, 8.5, 1.9, image[..., 0])
    most, strongest = np.abs(both).max(), np.abs(found).max()
    for n in range(6):
        x = 4.6 + n * 3.35
        for y, bank in zip((.5, 3.8), both):
            signed(axes, x + .2, y, 2.6, bank[:, :, 0, n], most)
        signed(axes, x, 7.4, 3, found[..., n], strongest)
    save(axes.figure, path)


def signed(axes, x, y, side, image, most):
    """Draw numbers of both signs: blue is negative, orange positive."""
    axes.imshow(image, extent=(x, x + side, y + side, y), cmap=SIGNED,
                vmin=-most, vmax=most, interpolation='nearest')
    axes.add_patch(Rectangle((x, y), side, side, fill=False,
                             edgecolor=LINE, lw=1))


def learning_curve(history, path):
    """The loss, and the share of held-out digits misread, by epochs."""
    losses, wrong = np.array(history).T
    epochs = np.arange(1, len(history) + 1)
    figure, panels = plt.subplots(1, 2, figsize=(12, 4), dpi=140)
    for axes, values, color, title in (
            (panels[0], losses, PURPLE,
             'loss on the digits that it learns from'),
            (panels[1], 100 * wrong, GREEN,
             'held-out digits misread, per cent')):
        axes.plot(epochs, values, 'o-', color=color, lw=2, ms=5)
        axes.set_title(title, loc='left', color=INK, size=13, pad=12)
        axes.set(yscale='log', xlim=(.5, len(history) + .5))
        axes.set_xlabel('epoch', color=SOFT, size=12)
        axes.xaxis.set_major_locator(plt.MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(plt.FormatStrFormatter('%g'))
        axes.yaxis.set_minor_formatter(plt.NullFormatter())
        axes.grid(axis='y', color=LINE, alpha=.5)
        axes.tick_params(colors=SOFT, labelsize=11, length=0, which='both')
        axes.spines[['top', 'right', 'left']].set_visible(False)
        axes.spines['bottom'].set_color(LINE)
        axes.annotate(f'{values[-1]:#.2g}', (epochs[-1], values[-1]),
                      (9, 0), textcoords='offset points', va='center',
                      color=color, size=12)
    figure.tight_layout(w_pad=4)
    save(figure, path)


def mistakes(network, images, labels, path):
    """The held-out digits that were misread."""
    said = lenet.read(network, images)
    wrong = np.flatnonzero(said != labels)
    across = 10
    down = max(1, -(-len(wrong) // across))
    axes = canvas(1 + across * 2.4, .4 + down * 3.2)
    for n, m in enumerate(wrong):
        x, y = .6 + n % across * 2.4, .4 + n // across * 3.2
        gray(axes, x, y, 2, images[m, ..., 0])
        write(axes, x, y + 2.45, f'read {said[m]}, is {labels[m]}', 9, SOFT,
              ha='left')
    save(axes.figure, path)


def everything(network, fresh, history, data, folder):
    """Draw all pictures.

    network, fresh, history: what train.learn returns
    data: what train.digits returns
    folder: pathlib.Path
    """
    _, _, images, labels = data
    folder.mkdir(parents=True, exist_ok=True)
    two_ways(folder / 'two-ways.png')
    kernel_gradient(folder / 'kernel-gradient.png')
    input_gradient(folder / 'input-gradient.png')
    pool_gradient(folder / 'pool-gradient.png')
    five = images[labels == 5][0]
    on_the_way(network, five, folder / 'network.png')
    kernels(network, fresh, five, folder / 'kernels.png')
    learning_curve(history, folder / 'learning-curve.png')
    mistakes(network, images, labels, folder / 'mistakes.png')
