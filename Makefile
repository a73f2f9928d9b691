# make demo    the whole way on synthetic people, from nothing: makes .venv, installs, runs
# make test    the tests            make lint    style, formatting and types
# make docs    site/ from docs/     make setup   only .venv
# make clean   remove what make and the tests made (not your data)

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.ds2f-installed
DEMO_STAMP := $(VENV)/.ds2f-demo-installed
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs clean

help:
	@sed -n 's/^# //p' Makefile

setup: $(STAMP)

# What the demo needs; nothing of it is compiled.
# torch goes first and alone: it is the largest download, and a failure there should be seen as one.
$(DEMO_STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "ds2f needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Install one and name it, for example: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make virtual environments; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt -e '.[demo]'
	@touch $@

# With what the tests need; one of their packages, webrtcvad, is compiled by gcc.
$(STAMP): $(DEMO_STAMP)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(DEMO_STAMP)
	$(BIN)/ds2f demo

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 src
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) site demo-out build dist .pytest_cache .ruff_cache .mypy_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
