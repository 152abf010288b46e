"""The peers: in each module `contenders(task)` gives a library's ways to do a task."""
