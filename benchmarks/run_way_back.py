"""Time gradients and transposes, and write a part of RESULTS.md: see `run_way_back.py --help`."""

from machine import limit_threads

limit_threads()  # first: most libraries read their limits once, when they are imported

from way_back import main  # noqa: E402

if __name__ == "__main__":
    main()
