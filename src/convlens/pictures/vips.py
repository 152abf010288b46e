"""libvips, set up to be quiet, and to see files that have changed."""

import os

os.environ["VIPS_WARNING"] = "off"  # any value stops libvips from printing warnings of its own
import pyvips

pyvips.cache_set_max(0)  # without the cache, a file that has changed is read again
pyvips._remove_log_handler()  # libvips would call Python to log, and a Ctrl-C there would be lost

__all__ = ["pyvips"]
