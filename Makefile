# The commands of the README. Each needs an environment, .venv, which is made once.
# Halide compiles the fast engine, and is published for CPython 3.11 to 3.13 with the GIL only. So
# the environment is made from such a Python where there is one: python3 if it is, another on the
# path, or one of pyenv's. Elsewhere it is made from python3.
HALIDE_SERVES := import ensurepip, sys, sysconfig, venv; sys.exit(not ( \
	sys.implementation.name == "cpython" and (3, 11) <= sys.version_info < (3, 14) \
	and not sysconfig.get_config_var("Py_GIL_DISABLED")))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 \
	$(HOME)/.pyenv/versions/3.13*/bin/python3 $(HOME)/.pyenv/versions/3.1[12]*/bin/python3; do \
	"$$python" -c '$(HALIDE_SERVES)' 2>/dev/null && echo "$$python" && exit; done; echo python3)
.DEFAULT_GOAL := help
COURSE := math/convolutions_and_pooling

TARGETS := x86-64-linux arm-64-linux arm-64-osx x86-64-windows
# The Pythons that `make test-wheels` tries: pyenv's, or else those on the path.
WHEEL_PYTHONS ?= $(or $(wildcard $(HOME)/.pyenv/versions/3.1[1-9]*/bin/python3), \
	$(shell for minor in 11 12 13 14; do command -v python3.$$minor; done))
# The tests that need only the library. The others look at what lies beside it in a checkout.
LIBRARY_TESTS := $(filter-out tests/test_benchmark.py tests/test_build.py tests/test_docs.py \
	tests/test_course_python39.py tests/test_edges.py tests/test_makefile.py tests/test_training.py \
	tests/test_wheels.py,\
	$(wildcard tests/test_*.py))
PIP_NEW := build/new/bin/python -m pip install --quiet --disable-pip-version-check
PIP_AARCH64 := .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
	--platform manylinux_2_17_aarch64 --python-version 3.11 --target build/aarch64/packages

# Printed by the commands that newcomers start with, if there is no compiled engine: it says what is
# missed, and how to get it.
MISSED = .venv/bin/python -c 'import sys; from convlens.compiled.library import load; \
	sys.exit(isinstance(load(), str) and "NOTE: the compiled engine is not here, so NumPy does \
all the work, several times slower. To have it, install CPython 3.11, 3.12 or \
3.13 (not free-threaded), remove .venv, and run this again. Or run `make wheels` on another machine \
and install its wheel here, which works on any CPython from 3.11 on.")' || true

help:  ## list the commands
	@sed -n 's/^\([a-z0-9-]*\):.*##/make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: .venv/demo  ## run the seven course mains on real images and show their pictures
	@$(MISSED)
	@cd $(COURSE) && $(CURDIR)/.venv/bin/python demo.py $(CURDIR)/demo

train: .venv/demo  ## train a small network on real digits, in twenty seconds, and draw it
	@$(MISSED)
	@cd math/training_a_network && $(CURDIR)/.venv/bin/python train.py $(CURDIR)/demo/training

test: .venv/test .venv/group-pipelines  ## check style and types, and run every test
	@$(MISSED)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# `make test` runs this too, and looks at how many of SciPy's tests reach our functions.
test-scipy: .venv/test  ## have SciPy's own tests judge convlens.ndimage
	PYTHONPATH=tests/judge .venv/bin/python -m pytest -c tests/judge/pytest.ini -p scipy_judge \
		--pyargs scipy.ndimage.tests.test_filters scipy.ndimage.tests.test_morphology

# The tests of the peers that `make test` does not install come first: times of wrong results would
# be worth nothing.
bench: .venv/bench  ## compare with PyTorch, JAX and astropy, then time everything; writes benchmarks/RESULTS.md
	.venv/bin/python -m pytest -k "torch or jax or astropy" tests/test_peers.py tests/test_where.py tests/test_docs.py tests/test_training_page.py tests/test_keras_page.py
	.venv/bin/python benchmarks/run.py
	.venv/bin/python benchmarks/run_filters.py
	.venv/bin/python benchmarks/run_way_back.py

bench-layers: .venv/bench  ## time the layers of well-known networks; writes benchmarks/LAYERS.md
	.venv/bin/python benchmarks/run_layers.py

bench-filters: .venv/bench  ## time SciPy's filters next to SciPy and OpenCV; a part of RESULTS.md
	.venv/bin/python benchmarks/run_filters.py

bench-back: .venv/bench  ## time gradients and transposes next to PyTorch, autograd and PyLops; a part of RESULTS.md
	.venv/bin/python benchmarks/run_way_back.py

docs: .venv/docs  ## build the site in docs/_build; warnings are errors
	.venv/bin/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build

screenshot: .venv/test  ## draw the README's picture of the explorer anew; needs chromium
	.venv/bin/python docs/screenshot.py docs/explorer.png

pipelines: .venv/test .venv/group-pipelines  ## compile the pipelines again, if they were edited
	.venv/bin/python pipelines/build.py src/convlens/compiled

wheels: .venv/group-wheels  ## build a wheel for each platform into dist/, and look into them
	rm -rf dist
	@set -e; for target in $(TARGETS); do \
		echo "== $$target"; \
		CONVLENS_TARGET=$$target .venv/bin/python -m pip wheel --disable-pip-version-check \
			--no-deps --wheel-dir dist .; \
	done
	.venv/bin/python -m pytest tests/test_wheels.py

# This takes dist/ as it is. It needs no Halide, and checks that there is none, because a wheel that
# needs it would otherwise seem to work. `make test` tries the edges of what is declared more quickly:
# tests/test_edges.py.
test-wheels:  ## run the library's tests on the wheel for this machine, in new environments
	@set -e; for python in $(WHEEL_PYTHONS); do \
		echo "== $$python"; \
		"$$python" -m venv --clear build/new; \
		$(PIP_NEW) --no-index --find-links dist --no-deps convlens; \
		$(PIP_NEW) 'convlens[test]'; \
		build/new/bin/python tests/smoke.py --without-halide; \
		build/new/bin/python -m pytest -c pyproject.toml --pyargs convlens $(LIBRARY_TESTS); \
	done

# This takes dist/ as it is, too, and runs it on Debian's Python.
smoke-aarch64: build/aarch64/usr/bin/python3.11 | .venv/bin/python  ## try the wheel for Linux aarch64, under qemu
	rm -rf build/aarch64/packages
	$(PIP_AARCH64) --platform manylinux_2_28_aarch64 numpy
	$(PIP_AARCH64) --no-index --find-links dist --no-deps convlens
	PYTHONPATH=build/aarch64/packages qemu-aarch64-static -L build/aarch64 $< \
		tests/smoke.py --without-halide

build/aarch64/usr/bin/python3.11:
	@command -v mmdebstrap >/dev/null && command -v qemu-aarch64-static >/dev/null || { echo \
		"NOT RUN: on Debian or Ubuntu, apt-get install mmdebstrap qemu-user-static" >&2; exit 1; }
	rm -rf build/aarch64
	mmdebstrap --quiet --variant=extract --architectures=arm64 \
		--include=python3-minimal,libpython3-stdlib,libstdc++6 bookworm build/aarch64

clean:  ## remove the environments, what was built, the data, the pictures and the site
	rm -rf .venv .venv39 build dist demo docs/_build docs/made $(COURSE)/*.npz

# Installs a dependency group of pyproject.toml: tools that are no part of the package.
.venv/group-%: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --group $*
	@touch $@

.venv/bin/python:
	@set -e; python="$(PYTHON)"; \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"convlens needs Python 3.11 or newer: make PYTHON=python3.11 ...")'; \
	echo "$$python -m venv .venv"; "$$python" -m venv .venv

# Installs the package with an extra of pyproject.toml, and again only when that file has changed.
.venv/%: pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

.PHONY: help demo train test test-scipy bench bench-layers bench-filters bench-back docs screenshot pipelines wheels \
	test-wheels smoke-aarch64 clean
