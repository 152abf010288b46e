"""The shared library of compiled pipelines: what is in it, which is taken, and how it is called."""
