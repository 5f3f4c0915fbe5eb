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
# Pinned, so that a new release of a tool does not turn the build red. Building takes the first alone.
BUILD_TOOLS := maturin==1.16.0
TEST_TOOLS := pytest==9.2.0 mypy==2.4.1 ruff==0.17.6 pyright[nodejs]==1.1.414 uvloop==0.23.0 ziglang==0.17.1 \
  pydantic==2.14.4 fastapi==0.165.0 httpx==0.28.1
# What the official client needs to be imported, which its package does not say.
OFFICIAL_CLIENT := KalturaApiClient==23.10.0 lxml

RUST_NEEDED := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
CARGO_PROBLEM = $(shell have=$$($(CARGO) --version 2>/dev/null | cut -d ' ' -f 2) || true; \
  if [ -z "$$have" ]; then \
    echo "cargo is not installed: get Rust $(RUST_NEEDED) or later from https://rustup.rs"; \
  elif ! printf '%s\n' $(RUST_NEEDED) "$$have" | sort -C -V; then \
    echo "cargo $$have is older than $(RUST_NEEDED), which this needs: run rustup update, or see https://rustup.rs"; \
  fi)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.PHONY: demo
demo: install-python ## create a token and exchange it for a session, on a local Kaltura
	$(BIN)/kaltura-app-token demo

.PHONY: test
test: lint test-rust test-model test-c test-python test-interpreters test-wheel test-elsewhere ## everything that CI checks

# Before anything is downloaded or compiled.
.PHONY: cargo-is-new-enough
cargo-is-new-enough:
	@$(if $(CARGO_PROBLEM),$(error $(CARGO_PROBLEM)),:)

define make-venv
	@[ -x $(1)/bin/python ] || $(PYTHON) -m venv $(1) 2>/dev/null || { \
	  rm -rf $(1); \
	  $(PYTHON) -m pip install --quiet --target build/virtualenv virtualenv; \
	  PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv --quiet $(1); }
endef

$(VENV)/.build-tools: Makefile
	$(call make-venv,$(VENV))
	$(BIN)/python -m pip install --quiet $(BUILD_TOOLS)
	@touch $@

$(VENV)/.test-tools: $(VENV)/.build-tools
	$(BIN)/python -m pip install --quiet $(TEST_TOOLS)
	@touch $@

build/official/.ready: Makefile
	$(call make-venv,build/official)
	build/official/bin/python -m pip install --quiet $(OFFICIAL_CLIENT)
	@touch $@

.PHONY: install-python
install-python: cargo-is-new-enough $(VENV)/.build-tools ## build the Python package, unoptimised, and install it into build/venv
	rm -rf $(WHEELS)/dev
	$(BIN)/maturin build --quiet --profile dev --auditwheel skip --out $(WHEELS)/dev
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/dev/*.whl

.PHONY: lint
lint: install-python $(VENV)/.test-tools ## formatting, and lints as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --quiet --no-deps -p kaltura-app-token -p kaltura-sandbox
	$(BIN)/ruff format --check --quiet py tests kaltura_app_token_manager.py
	$(BIN)/ruff check --quiet py tests kaltura_app_token_manager.py
	$(BIN)/mypy --strict py/python tests/typing
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m mypy.stubtest kaltura_app_token._native kaltura_app_token.aio --mypy-config-file pyproject.toml

.PHONY: test-rust
test-rust: cargo-is-new-enough ## the core, the sandbox, and the two against each other
	$(CARGO) test --quiet

# Built apart, because the flag goes to every crate.
.PHONY: model
model: cargo-is-new-enough ## every order in which threads can share a fetch, by a model checker
	LOOM_MAX_PREEMPTIONS=$(or $(PREEMPTIONS),3) RUSTFLAGS="--cfg model" $(CARGO) test --quiet -p kaltura-app-token --lib \
	  --target-dir $(CARGO_TARGET)/model flight::model

# Its short form.
.PHONY: test-model
test-model:
	$(MAKE) --no-print-directory model PREEMPTIONS=2

# What the C tests want beside a compiler. As root they are installed from the distribution.
C_TOOLS := cmake openssl pkg-config strace valgrind
CARGO_TARGET := $(or $(CARGO_TARGET_DIR),target)

# For the flow with plain curl, and for the completions of each shell.
COMMAND_TOOLS := curl zsh fish

.PHONY: tools
tools: ## install the distribution packages that tests use, where that is allowed
	@for tool in $(C_TOOLS) $(COMMAND_TOOLS); do command -v $$tool >/dev/null || missing="$${missing:-} $$tool"; done; \
	[ -z "$${missing:-}" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
	  apt-get update -qq >/dev/null && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; } || \
	  echo "could not be installed:$$missing"

.PHONY: soak
soak: cargo-is-new-enough ## a day of sessions on a virtual clock, with faults
	KALTURA_SOAK_HOURS=24 $(CARGO) test --release -p kaltura-e2e --test soak -- --nocapture

# The injecting build is put aside: it must never be what is installed.
.PHONY: test-c
test-c: cargo-is-new-enough tools ## the C library and its C++ wrapper; KAT_TEST_SECONDS is how long the threaded test runs
	$(CARGO) test --quiet -p kaltura-app-token-c
	$(CARGO) build --quiet -p kaltura-app-token-c --features panic-injection
	install -D $(CARGO_TARGET)/debug/libkaltura_app_token.so build/c/injecting/libkaltura_app_token.so
	ln -sf libkaltura_app_token.so build/c/injecting/$$(objdump -p build/c/injecting/libkaltura_app_token.so \
	  | sed -n 's/ *SONAME *//p')
	$(CARGO) build --quiet -p kaltura-sandbox
	$(CARGO) build --quiet --release -p kaltura-app-token-c
	BUILT=$(CARGO_TARGET)/release INJECTING=$(CURDIR)/build/c/injecting OUT=build/c/out \
	  SANDBOX=$(CARGO_TARGET)/debug/kaltura-sandbox tests/c/run.sh

.PHONY: test-python
test-python: cargo-is-new-enough tools install-python $(VENV)/.test-tools build/official/.ready ## the Python package and both commands
	$(BIN)/python -m pytest -q

.PHONY: test-interpreters
test-interpreters: install-python ## the Python package in each CPython that is here, those of pyenv included
	WHEELS=$(WHEELS)/dev VENVS=build/interpreters PYTEST="$(filter pytest==%,$(TEST_TOOLS))" \
	  HAS=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])') tests/interpreters.sh

.PHONY: test-elsewhere
test-elsewhere: cargo-is-new-enough $(VENV)/.test-tools ## compile for systems other than this one, as far as that can be done here
	OUT=build/elsewhere PYTHON=$(CURDIR)/$(BIN)/python tests/elsewhere.sh

# With zig as the linker, which knows the interfaces of old C libraries: the wheel runs on systems that
# are much older than the one it is built on.
.PHONY: wheel
wheel: cargo-is-new-enough $(VENV)/.test-tools ## build the wheel for distribution and the source archive, into dist/
	rm -rf dist
	PATH=$(CURDIR)/$(BIN):$$PATH VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin build --quiet --release \
	  --zig --compatibility manylinux_2_17 --out dist
	$(BIN)/maturin sdist --out dist

.PHONY: test-wheel
test-wheel: wheel build/official/.ready ## install the wheel and the source archive as a user would
	$(BIN)/python -m pytest -q tests/packaging

.PHONY: install
install: cargo-is-new-enough ## install the C library: make install PREFIX=/usr/local LIBDIR= INCLUDEDIR= DESTDIR=
	$(CARGO) build --quiet --release -p kaltura-app-token-c
	BUILT=$(CARGO_TARGET)/release PREFIX=$(or $(PREFIX),/usr/local) LIBDIR=$(LIBDIR) INCLUDEDIR=$(INCLUDEDIR) \
	  DESTDIR=$(DESTDIR) ffi-c/install.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf build dist target
