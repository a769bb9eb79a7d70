# `make` installs Python packages into .venv, and other tools into .local (see local/tools.py). Git ignores both.

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check --no-input
PIP_FAILED = { echo 'pip failed; see above. Check that the package registry is reachable, then try again.'; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo start check-speech test soak bench lint clean

help:
	@echo 'make demo               transcribe a sample recording on this machine'
	@echo 'make demo AUDIO=path    transcribe a recording of yours'
	@echo 'make start              run the whole stack until Ctrl-C: upload recordings, read transcripts'
	@echo 'make check-speech       compare the real Speech service with what is assumed here; YES=1 does not ask'
	@echo 'make test               run all tests'
	@echo 'make soak               run the reliability tests at full size, in about 40 minutes (docs/reliability.md)'
	@echo 'make bench              measure speed, memory and cost, in several minutes (docs/performance.md)'
	@echo 'make lint               run ruff and mypy'
	@echo 'make clean              delete everything installed, and the uploads and transcripts of make start'
	@echo
	@echo 'Set PYTHON=path to use another Python (3.11 or later), PYTHON313=path for the Python 3.13 of the worker.'

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

check-speech: .venv/run
	@$(PY) infra/check_speech.py --save .local/check-speech.json $${YES:+--yes}

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

# Each stamp is written last. So an interrupted installation has none, and is repeated.
.venv/run: requirements.txt local/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is not Python 3.11 or later. Name one that is, for example: make PYTHON=python3.12 …"; exit 1; }
	@echo 'Installing the Python packages into .venv (about half a minute, once) …'
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) -r requirements.txt -r local/requirements.txt || $(PIP_FAILED)
	@touch $@

.venv/test: .venv/run tests/requirements.txt
	@echo 'Installing the test tools (a few seconds, once) …'
	@$(PIP) -r tests/requirements.txt || $(PIP_FAILED)
	@touch $@

.venv/bench: .venv/test bench/requirements.txt
	@echo 'Installing the packages that the benchmark compares with (100 MB, once) …'
	@$(PIP) -r bench/requirements.txt || $(PIP_FAILED)
	@touch $@
