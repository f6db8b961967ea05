# Only delegates: cargo builds and tests Rust and C++, pip and pytest do Python.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGE := python_shim/hungarian_loss
OP := $(PACKAGE)/_hungarian.so
ARCHIVE := target/release/libhungarian_loss.a
SERVE := target/release/serve
LINKING := build/tensorflow
REQUIREMENTS := python_shim/requirements.txt

export HUNGARIAN_PYTHON := $(abspath $(BIN)/python)
export PKG_CONFIG := $(abspath $(BIN)/pkgconf)
export PKG_CONFIG_PATH := $(abspath $(LINKING))
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: build demo test lint format clean
.DELETE_ON_ERROR:

build: $(VENV)/.complete $(OP)

# The virtual environment: TensorFlow, the tools, and the package in place.
$(VENV)/.complete: $(REQUIREMENTS) python_shim/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable python_shim
	touch $@

# The static library: solver, bridge and TensorFlow shim.
$(ARCHIVE): Cargo.toml Cargo.lock build.rs $(wildcard src/*.rs tf_op/*.cc tf_op/*.h) $(VENV)/.complete
	cargo build --release --locked --features tensorflow-op
	touch $@

# The shared object. TensorFlow brings its two libraries when it loads it; all else must be inside (-z defs).
$(OP): $(ARCHIVE) tf_op/exports.map
	folder=$$($(BIN)/python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("tensorflow").origin))') && \
	$(CXX) -shared -o $@ -Wl,--whole-archive $(ARCHIVE) -Wl,--no-whole-archive \
	  -L"$$folder" -l:libtensorflow_framework.so.2 -l:libtensorflow_cc.so.2 \
	  -Wl,-z,defs -Wl,--gc-sections -Wl,--version-script=tf_op/exports.map
	$(BIN)/python -c 'import tensorflow as tf; print(tf.__version__)' > $(PACKAGE)/_tensorflow_version.txt

test: build
	cargo test --locked
