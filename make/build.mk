# The files that `make build` makes, and tensorflow.pc.

# The virtual environment: TensorFlow, the tools, and the package in place.
$(VENV)/.complete: $(REQUIREMENTS) pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	$(INSTALL_PACKAGE)
	touch $@

# The TensorFlow in .venv, which a later `pip install` may have changed.
INSTALLED_TENSORFLOW := $(wildcard $(VENV)/lib/python3*/site-packages/tensorflow/__init__.py)

# The shared object, and the static library that it is linked from: solver, bridge and TensorFlow shim.
$(OP): Cargo.toml Cargo.lock build.rs $(RUST_SOURCES) $(wildcard cuda/*.ptx) $(OP_SOURCES) $(wildcard tf_op/*.map tf_op/*.txt) \
  tf_op/flags.py tf_op/build_op.py $(VENV)/.complete $(INSTALLED_TENSORFLOW)
	$(BIN)/python tf_op/build_op.py $@ --target-dir $(TARGET) --features $(FEATURES) $(BUILD_OPTIONS)

$(ARCHIVE): $(OP)

# Where pkg-config finds TensorFlow, for the Rust programs that link to it.
$(LINKING)/tensorflow.pc: $(VENV)/.complete examples/serving/link_tensorflow.py
	$(BIN)/python examples/serving/link_tensorflow.py $(LINKING)
	touch $@
