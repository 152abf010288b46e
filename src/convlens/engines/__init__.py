"""How a plan is carried out: every engine has a `convolve` and a `pool`, with one meaning."""
