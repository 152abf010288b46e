# The commands of the README. Each makes its own environment first, once: .venv
PYTHON ?= python3
.DEFAULT_GOAL := help
COURSE := math/convolutions_and_pooling

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*##/make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/demo  ## run the seven course mains on real images and show their pictures
	@cd $(COURSE) && $(CURDIR)/.venv/bin/python demo.py $(CURDIR)/demo

test: .venv/test  ## check style and types, and run every test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/python -m pytest

bench: .venv/bench  ## time everything next to its peers; writes benchmarks/RESULTS.md
	.venv/bin/python benchmarks/run.py

docs: .venv/docs  ## build the site in docs/_build; warnings are errors
	.venv/bin/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build

screenshot: .venv/test  ## draw the README's picture of the explorer anew; needs chromium
	.venv/bin/python docs/screenshot.py docs/explorer.png

clean:  ## remove the environments, the data, the pictures and the site
	rm -rf .venv .venv39 demo docs/_build docs/made $(COURSE)/*.npz

# An extra of pyproject.toml, installed; again only when that file has changed.
.venv/%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "convlens needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

.PHONY: help demo test bench docs screenshot clean
