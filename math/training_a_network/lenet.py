#!/usr/bin/env python3
"""A small LeNet that learns to read digits, in NumPy and convlens alone.

Every layer has three methods. forward(x) computes its output.
weight_gradients(back) and input_gradient(back) are its part of the way
back: they are given the gradient of the loss by the layer's output, and
return the gradient by its weights and by its input.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning
applied to document recognition", 1998. Its sizes are kept; ReLU, max pooling
and softmax took the place of what it had, as in most networks since.
"""
import numpy as np

import convlens


class Convolution:
    """A bank of kernels, and a number that is added to each one's result."""

    def __init__(self, rng, kernel_shape, padding):
        """Start with random kernels.

        rng: numpy.random.Generator
        kernel_shape: tuple (kh, kw, c, nc)
        padding: str, 'same' or 'valid'
        """
        self.weights = [start(rng, kernel_shape),
                        np.zeros(kernel_shape[-1], np.float32)]
        self.padding = padding

    def forward(self, x):
        """Turn images (m, h, w, c) into images (m, oh, ow, nc)."""
        self.x = x
        kernels, bias = self.weights
        return convlens.convolve(x, kernels, self.padding) + bias

    def weight_gradients(self, back):
        """Return the gradients by the kernels and by what is added."""
        kernels, _ = self.weights
        # Whole images are added first: 20 times as fast as all at once.
        return [convlens.kernel_gradient(self.x, back, kernels.shape,
                                         self.padding),
                back.sum(axis=0).sum(axis=(0, 1))]

    def input_gradient(self, back):
        """Return the gradient by the images."""
        kernels, _ = self.weights
        return convlens.convolve_transpose(back, kernels, self.x.shape[1:3],
                                           self.padding)


class MaxPool:
    """The largest number of each 2 x 2 window."""

    weights = []

    def forward(self, x):
        """Turn images (m, h, w, c) into images (m, h / 2, w / 2, c)."""
        self.x = x
        return convlens.pool(x, 2)

    def weight_gradients(self, back):
        """Return nothing: there are no weights."""
        return []

    def input_gradient(self, back):
        """Return the gradient by the images: the largest gets it all."""
        return convlens.pool_gradient(self.x, back, 2)


class Relu:
    """Negative numbers become 0."""

    weights = []

    def forward(self, x):
        """Replace the negative numbers of an array of any shape."""
        self.x = x
        return np.maximum(x, 0)

    def weight_gradients(self, back):
        """Return nothing: there are no weights."""
        return []

    def input_gradient(self, back):
        """Return the gradient by the input: 0 where the output was cut."""
        return back * (self.x > 0)


class Dense:
    """Each output is a weighted sum of all inputs, and one number more."""

    def __init__(self, rng, inputs, outputs):
        """Start with random weights.

        rng: numpy.random.Generator
        inputs: int, how many numbers go in
        outputs: int, how many come out
        """
        self.weights = [start(rng, (inputs, outputs)),
                        np.zeros(outputs, np.float32)]

    def forward(self, x):
        """Turn numbers in any shape (m, ...) into (m, outputs)."""
        self.x = x
        weights, bias = self.weights
        return x.reshape(len(x), -1) @ weights + bias

    def weight_gradients(self, back):
        """Return the gradients by the weights and by what is added."""
        return [self.x.reshape(len(back), -1).T @ back, back.sum(axis=0)]

    def input_gradient(self, back):
        """Return the gradient by the input, in the input's shape."""
        weights, _ = self.weights
        return (back @ weights.T).reshape(self.x.shape)


def start(rng, shape):
    """Draw weights, smaller where more of them are added up.

    rng: numpy.random.Generator
    shape: tuple, whose last number counts the outputs
    Returns: numpy.ndarray of this shape, float32
    """
    scale = np.sqrt(2 / np.prod(shape[:-1]))
    return rng.normal(0, scale, shape).astype(np.float32)


def lenet(rng):
    """Make the network, from images (m, 28, 28, 1) to scores (m, 10).

    rng: numpy.random.Generator
    Returns: list of layers
    """
    return [
        Convolution(rng, (5, 5, 1, 6), 'same'), Relu(), MaxPool(),
        Convolution(rng, (5, 5, 6, 16), 'valid'), Relu(), MaxPool(),
        Dense(rng, 400, 120), Relu(),
        Dense(rng, 120, 84), Relu(),
        Dense(rng, 84, 10),
    ]


def forward(layers, x):
    """Send images through all layers.

    layers: list of layers
    x: numpy.ndarray (m, 28, 28, 1)
    Returns: numpy.ndarray (m, 10), the scores of the ten digits
    """
    for layer in layers:
        x = layer.forward(x)
    return x


def loss_and_gradient(scores, labels):
    """Turn scores into probabilities, and say how wrong these are.

    scores: numpy.ndarray (m, 10)
    labels: numpy.ndarray (m,) of the right digits
    Returns: the mean of -log(probability of the right digit), and its
        gradient by the scores, numpy.ndarray (m, 10)
    """
    m = np.arange(len(scores))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances = powers / powers.sum(axis=1, keepdims=True)
    loss = -np.log(chances[m, labels] + 1e-12).mean()
    chances[m, labels] -= 1
    return loss, chances / len(scores)


def backward(layers, back):
    """Send the gradient back through all layers.

    layers: list of layers, which have just run forward
    back: numpy.ndarray, the gradient of the loss by the scores
    Returns: list, for each layer the gradients by its weights
    """
    gradients = []
    for layer in reversed(layers):
        gradients.append(layer.weight_gradients(back))
        if layer is not layers[0]:  # nothing can change the image
            back = layer.input_gradient(back)
    return gradients[::-1]


def moved(images, rng):
    """Turn, stretch and shift images a little, all in the same way.

    images: numpy.ndarray (m, h, w, 1)
    rng: numpy.random.Generator
    Returns: numpy.ndarray (m, h, w, 1)
    """
    h, w = images.shape[1:3]
    middle = np.array([[(h - 1) / 2], [(w - 1) / 2]])
    turn = np.eye(2) + rng.normal(0, .1, (2, 2))
    shift = rng.uniform(-2, 2, (2, 1))
    places = np.indices((h, w)).reshape(2, -1) - middle
    rows, columns = np.rint(turn @ places + middle + shift).astype(int)
    rows, columns = rows.clip(0, h - 1), columns.clip(0, w - 1)
    return images[:, rows, columns].reshape(images.shape)


def train(layers, images, labels, rng, epochs=20, batch=50, rate=.03):
    """Learn from some images, epoch by epoch.

    layers: list of layers, which are changed
    images: numpy.ndarray (m, 28, 28, 1) of float32 from 0 to 1
    labels: numpy.ndarray (m,) of the right digits
    rng: numpy.random.Generator
    epochs: int, how often to go through all images
    batch: int, images for one step
    rate: float, the length of the first steps; they become shorter
    Yields: float, the mean loss of each epoch
    """
    speeds = [[np.zeros_like(w) for w in layer.weights] for layer in layers]
    steps = len(images) // batch
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        total = 0
        for step in range(steps):
            chosen = order[step * batch:(step + 1) * batch]
            scores = forward(layers, moved(images[chosen], rng))
            loss, back = loss_and_gradient(scores, labels[chosen])
            gradients = backward(layers, back)
            done = (epoch + step / steps) / epochs
            length = rate * (1 + np.cos(np.pi * done)) / 2
            for layer, speed, gradient in zip(layers, speeds, gradients):
                for w, v, g in zip(layer.weights, speed, gradient):
                    v *= .9         # most of the last step,
                    v -= length * g   # and a little downhill
                    w += v
            total += loss
        yield total / steps


def read(layers, images):
    """Say which digits are on some images.

    layers: list of layers
    images: numpy.ndarray (m, 28, 28, 1)
    Returns: numpy.ndarray (m,) of int
    """
    return forward(layers, images).argmax(axis=1)
