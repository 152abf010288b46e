"""Tests of the seven course files; they run on Python 3.9 with numpy 1.25.2, too."""
