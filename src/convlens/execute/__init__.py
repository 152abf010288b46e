"""Where calls run that are divided: on the chunks of a Dask array, and on files tile by tile."""
