# Everything that people and CI do with this repository. `make help` lists it.
#
# Each target does its own set-up: the virtual environment is build/venv, nothing is installed
# outside of the repository but distribution packages (see `tools`), and only where that is allowed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
CARGO ?= cargo
VENV := build/venv
BIN := $(VENV)/bin
WHEELS := build/wheels
# Pinned, so that a new release of a tool does not turn the build red.
PYTHON_TOOLS := maturin==1.9.4 pytest==8.4.2 mypy==1.18.2 ruff==0.14.1

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: install-python ## create a token and exchange it for a session, on a local Kaltura
	$(BIN)/kaltura-app-token demo

.PHONY: test
test: lint test-rust test-c test-python ## everything that CI checks

$(BIN)/.tools: Makefile
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  rm -rf $(VENV); \
	  $(PYTHON) -m pip install --quiet --target build/virtualenv virtualenv; \
	  PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv --quiet $(VENV); }
	$(BIN)/python -m pip install --quiet $(PYTHON_TOOLS)
	@touch $@

.PHONY: install-python
install-python: $(BIN)/.tools ## build the Python package (unoptimised) and install it into build/venv
	rm -rf $(WHEELS)/dev
	$(BIN)/maturin build --quiet --profile dev --auditwheel skip --out $(WHEELS)/dev
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/dev/*.whl

.PHONY: test-rust
test-rust: ## the core, the sandbox and the two against each other
	$(CARGO) test --quiet

.PHONY: test-python
test-python: install-python ## the Python package and both commands
	$(BIN)/python -m pytest -q
