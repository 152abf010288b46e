"""Time convlens next to what people use today, and write RESULTS.md: see `run.py --help`."""

from machine import limit_threads

limit_threads()  # first: most libraries read their limits once, when they are imported

from benchmark import main  # noqa: E402

if __name__ == "__main__":
    main()
