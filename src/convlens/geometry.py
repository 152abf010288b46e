"""The old place; it goes when the engines have moved."""

# ruff: noqa
from convlens.core.axis import *
