"""Convolution and pooling on plain NumPy arrays, to read, to run and to see."""

__version__ = "0.1.0"
