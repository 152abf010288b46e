"""Pure data and arithmetic: what a call means, and which of its numbers lie where."""
