# Everything a checkout can do. Needs make and Python 3.11 or newer; the rest is installed into .venv.
# pip takes its options (index, proxy, certificates) from the user's own configuration and environment.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCK_TOOL := build/lock-tool

# Where `make e2e` keeps the model servers it installs (about 1.2 GB).
export SIDECAR_CACHE ?= $(HOME)/.cache/sidecar-e2e
# Options for `make demo`, such as DEMO="--seconds 20 --json".
DEMO ?=
# Further options for pytest, such as PYTEST="-k split -x".
PYTEST ?=

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: $(VENV)/.demo ## Install, then watch a canary and a shadow under real requests
	@$(BIN)/sidecar demo $(DEMO)

.PHONY: test
test: lint ## Install, then lint, type-check and run all tests that need nothing else
	$(BIN)/pytest -n 2 --dist loadfile tests/unit tests/property tests/integration $(PYTEST)

.PHONY: e2e
e2e: $(VENV)/.dev ## Test against real model servers, clients and Prometheus (installed into a cache)
	$(BIN)/pytest -m e2e tests/e2e $(PYTEST)

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types and the order of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## Rewrite the code in the house format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: coverage
coverage: $(VENV)/.dev ## Measure branch coverage, kernels included
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests --ignore tests/e2e --ignore tests/integration/test_install.py
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -q tests/unit/sketch tests/unit/board
	$(BIN)/coverage combine
	$(BIN)/coverage report --show-missing --skip-covered

.PHONY: bench
bench: $(VENV)/.dev ## Compare with nginx, HAProxy and Envoy on this machine (takes long)
	$(BIN)/python -m loadtests

.PHONY: lock
lock: $(LOCK_TOOL)/bin/uv ## Resolve the dependencies anew and write requirements/*.lock
	$(LOCK) pyproject.toml --output-file requirements/core.lock
	$(LOCK) pyproject.toml --constraint requirements/core.lock --extra demo --output-file requirements/demo.lock
	$(LOCK) pyproject.toml --constraint requirements/demo.lock --extra demo --extra dev --extra e2e \
	    --output-file requirements/dev.lock
	$(BIN_PYTHON) -c "$$BUILD_REQUIREMENTS" | $(LOCK) - --constraint requirements/dev.lock \
	    --output-file requirements/build.lock

.PHONY: clean
clean: ## Remove what make and the tools made here (not the cache of make e2e)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache .coverage* htmlcov state log
	find sidecar tests loadtests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- how the environments are made ---------------------------------------------------------------

# The first of these that is new enough. PYTHON=/path/to/python chooses another.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
    $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
    done)
BIN_PYTHON = $(or $(PYTHON),$(error Python 3.11 or newer is needed: install it, or run make PYTHON=/path/to/python))

LOCK = $(LOCK_TOOL)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

# What builds the package, and what hatchling needs besides for an editable install.
define BUILD_REQUIREMENTS
import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "editables", sep="\n")
endef
export BUILD_REQUIREMENTS

$(BIN)/python:
	$(BIN_PYTHON) -m venv $(VENV)

# A stamp is older than the lock it was made from when the lock changed: install again.
$(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: requirements/%.lock requirements/build.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --no-deps -r requirements/build.lock -r requirements/$*.lock
	$(PIP) install --no-build-isolation --no-deps --editable .
	touch $@

$(LOCK_TOOL)/bin/uv:
	$(BIN_PYTHON) -m venv $(LOCK_TOOL)
	$(LOCK_TOOL)/bin/python -m pip install --quiet 'uv>=0.9,<1'
