"""Time SciPy's filters, and write a part of RESULTS.md: see `run_filters.py --help`."""

from machine import limit_threads

limit_threads()  # first: most libraries read their limits once, when they are imported

from filters_of_scipy import main  # noqa: E402

if __name__ == "__main__":
    main()
