# Names that several files use, and the environment of what they run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGE := python_shim/hungarian_loss
OP := $(PACKAGE)/_hungarian.so
# The version of the TensorFlow that the op was built for; tf_op/build_op.py writes it.
BUILT_FOR := $(PACKAGE)/_tensorflow_version.txt
# A folder of its own: a plain `cargo build --release` makes an archive of the same name without the op.
TARGET := target/op
ARCHIVE = $(TARGET)/release/libhungarian_loss.a
# Read from the script that pip builds with, too.
FEATURES := $(shell sed -n 's/^FEATURES = "\(.*\)"/\1/p' tf_op/build_op.py)
LINKING := build/tensorflow
DEMO := build/demo
SERVING_MODEL := build/serving_model
REQUIREMENTS := python_shim/requirements.txt
INSTALL_PACKAGE = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --config-settings op=later --editable .

# What cargo's builds read; src/cuda/parameters.rs takes constants from the header.
RUST_SOURCES := $(sort $(shell find src -name '*.rs')) cuda/parameters.h
OP_SOURCES := $(sort $(shell find tf_op -name '*.cc' -o -name '*.h'))
# What formatters and linters read.
CPP_SOURCES := $(OP_SOURCES) tests/cpp/*.cc tests/gpu/*.cc bench/gpu_check/on_gpu/*.cc cuda/*.cu cuda/*.h cuda/twin/*.cc cuda/twin/*.h cuda/sim/*.cc cuda/sim/*.h
PYTHON_SOURCES := python_shim docs/site setup.py tf_op tests examples bench cuda

export HUNGARIAN_PYTHON := $(abspath $(BIN)/python)
export PKG_CONFIG := $(abspath $(BIN)/pkgconf)
export PKG_CONFIG_PATH := $(abspath $(LINKING))
export HUNGARIAN_OP_LIBRARY := $(abspath $(OP))
export HUNGARIAN_SERVING_MODEL := $(abspath $(SERVING_MODEL))
# Less of TensorFlow's log, and no oneDNN, with which it logs a note.
export TF_CPP_MIN_LOG_LEVEL ?= 2
export TF_ENABLE_ONEDNN_OPTS ?= 0
# A snapshot that differs is a failure, never an update.
export INSTA_UPDATE := no
