# Sets up .venv by itself; what is no Python package goes into .local (see local/tools.py). Both are ignored by git.

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help demo start test soak bench lint clean

help:
	@echo 'make demo               a recording becomes a transcript, here on this machine; it ends by itself'
	@echo 'make demo AUDIO=path    the same with a file of yours'
	@echo 'make start              the whole stack, until Ctrl-C: upload recordings, read transcripts'
	@echo 'make test               all tests'
	@echo 'make soak               the reliability bars in full numbers (docs/reliability.md), in under 30 minutes'
	@echo 'make bench              how fast and how frugal it is, in one table (several minutes; docs/performance.md)'
	@echo 'make lint               ruff and mypy'
	@echo 'make clean              removes everything installed, and what make start keeps of your uploads'
	@echo
	@echo 'PYTHON=path names another Python (3.11 or later), PYTHON313=path the one for the worker.'

demo: .venv/run
	@$(PY) -m local demo $${AUDIO:+--audio "$$AUDIO"}

start: .venv/run
	@$(PY) -m local start

bench: .venv/bench
	@$(PY) -m local.tools
	@$(PY) -m bench

soak: .venv/test
	@$(PY) -m local.tools
	@$(PY) -m tests.soak

test: .venv/test
	@$(PY) -m local.tools
	@$(PY) -m tests.infra.tools
	@$(PY) -m pytest

lint: .venv/test
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

clean:
	@rm -rf .venv .local .pytest_cache .mypy_cache .ruff_cache

# The stamps are written last, so that an interrupted installation is done again.
.venv/run: requirements.txt local/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed, and $(PYTHON) is not. Name one: make PYTHON=python3.12 …"; exit 1; }
	@echo 'Installing the Python packages into .venv (about half a minute, once) …'
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) -r requirements.txt -r local/requirements.txt || \
		{ echo 'pip failed, see above. Is the package registry reachable? Run the same command again.'; exit 1; }
	@touch $@

.venv/test: .venv/run tests/requirements.txt
	@echo 'Installing the test tools (a few seconds, once) …'
	@$(PIP) -r tests/requirements.txt || \
		{ echo 'pip failed, see above. Is the package registry reachable? Run the same command again.'; exit 1; }
	@touch $@

.venv/bench: .venv/test bench/requirements.txt
	@echo 'Installing what the benchmark compares with (100 MB, once) …'
	@$(PIP) -r bench/requirements.txt || \
		{ echo 'pip failed, see above. Is the package registry reachable? Run the same command again.'; exit 1; }
	@touch $@
