"""For all tests: what they start can be interrupted, even where they run in the background."""

import signal

# A shell has what it runs in the background ignore Ctrl-C, and with it all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
