"""Time the layers of well-known networks, and write LAYERS.md: see `run_layers.py --help`."""

from machine import limit_threads

limit_threads()  # first: most libraries read their limits once, when they are imported

from layers import main  # noqa: E402

if __name__ == "__main__":
    main()
