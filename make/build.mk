# The files that `make build` makes, and tensorflow.pc.

# The virtual environment: TensorFlow, the tools, and the package in place.
$(VENV)/.complete: $(REQUIREMENTS) python_shim/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	$(INSTALL_PACKAGE)
	touch $@

# The static library: solver, bridge and TensorFlow shim.
$(ARCHIVE): Cargo.toml Cargo.lock build.rs $(RUST_SOURCES) $(wildcard cuda/*.ptx) $(OP_SOURCES) tf_op/flags.py $(VENV)/.complete
	CARGO_TARGET_DIR=$(TARGET) cargo build --release --locked --features $(FEATURES)
	touch $@

# The shared object. TensorFlow brings its two libraries when it loads it; all else must be inside (-z defs).
$(OP): $(ARCHIVE) tf_op/exports.map tf_op/old_systems.txt
	folder=$$($(BIN)/python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("tensorflow").origin))') && \
	$(CXX) -shared -o $@ -Wl,--whole-archive $(ARCHIVE) -Wl,--no-whole-archive \
	  -L"$$folder" -l:libtensorflow_framework.so.2 -l:libtensorflow_cc.so.2 \
	  -Wl,-z,defs -Wl,--gc-sections -Wl,--version-script=tf_op/exports.map @tf_op/old_systems.txt
	$(BIN)/python -c 'import tensorflow as tf; print(tf.__version__)' > $(PACKAGE)/_tensorflow_version.txt

# Where pkg-config finds TensorFlow, for the Rust programs that link to it.
$(LINKING)/tensorflow.pc: $(VENV)/.complete examples/serving/link_tensorflow.py
	$(BIN)/python examples/serving/link_tensorflow.py $(LINKING)
	touch $@
