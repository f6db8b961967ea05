# Only delegates: cargo builds and tests Rust and C++, pip installs and pytest tests Python. Everyday targets are here; all others are in
# make/, a file for each subject. `make help` lists them with the text that follows `##`.

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
include make/names.mk make/build.mk make/bench.mk make/nuclei.mk make/tracking.mk make/hosts.mk make/hygiene.mk make/cuda.mk make/sim.mk make/wheel.mk make/arm64.mk make/docs.mk

##@ Every day

.PHONY: help build demo test test-core test-clients bench lint lint-quick format clean

help: ## list all targets
	@awk '/^##@ / { print "\n" substr($$0, 5) } \
	  /^[^\t #].*: .*## / { name = $$1 ~ /^\$$/ ? $$2 : $$1; sub(/:$$/, "", name); sub(/^.*## /, ""); printf "  %-20s %s\n", name, $$0 }' \
	  $(MAKEFILE_LIST)

build: $(VENV)/.complete $(OP) ## make .venv with TensorFlow, install the package in place, build the op (the default)

# oneDNN saves about a third of the training time; elsewhere it would only add a note to the output.
demo: export TF_ENABLE_ONEDNN_OPTS := 1
demo: build $(NUCLEI)/.complete $(LINKING)/tensorflow.pc ## learn to find and count cell nuclei, draw, export, and serve the model from Rust
	$(BIN)/python examples/nuclei/demo.py --output $(DEMO)
	cargo run --quiet --locked --package hungarian-serving --bin serve -- --library $(OP) \
	  --model $(DEMO)/saved_model --tiles $(DEMO)/tiles.npy --objects $(DEMO)/objects.npy

# Quick tests first: style, and the solver, which needs no TensorFlow and so does not wait for .venv; its instruction counts; then calls
# from C++, sanitizers, a short fuzzing run and the op through the C API; then the CUDA kernels; then Python, so that pytest's summary is
# the last line. Tests that often keep only one core busy run beside others.
SIDE_BY_SIDE := --jobs 2 --output-sync=target
# Where a check that is skipped, since the machine lacks what it needs, leaves a line; pytest's summary has them all (tests/conftest.py).
SKIPPED := build/skipped.txt
test: export HUNGARIAN_SKIPPED := $(abspath $(SKIPPED))
test: ## run lint-quick and all tests; CI runs this
	@mkdir -p $(dir $(SKIPPED)) && rm -f $(SKIPPED)
	$(MAKE) $(SIDE_BY_SIDE) lint-quick test-core build $(NUCLEI)/.complete $(LINKING)/tensorflow.pc
	$(MAKE) $(SIDE_BY_SIDE) test-instructions test-boundary
	$(MAKE) $(SIDE_BY_SIDE) test-asan test-faults
	$(MAKE) $(SIDE_BY_SIDE) fuzz-smoke test-clients
	$(MAKE) test-twin
	$(MAKE) test-gpu-path
	$(MAKE) sim-check
	$(MAKE) $(SIDE_BY_SIDE) test-sim test-sim-cycles test-ptx test-tracking
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# With the feature that the programs for CUDA need, so that they link to what is compiled here. It gives way (nice) to .venv and the
# op, which `make test` builds beside it and which take longer.
test-core: ## test the solver, which needs no TensorFlow
	nice cargo test --locked --features cuda

# These tests mostly wait for the op and the compiler, so they are built without optimisation.
test-clients: build $(LINKING)/tensorflow.pc ## test the op through the C API: its definition and sentences, serving, a gradient
	$(BIN)/python examples/serving/tests/make_model.py $(SERVING_MODEL)
	CARGO_PROFILE_TEST_OPT_LEVEL=0 cargo test --locked --package hungarian-serving --package hungarian-op-interface --package hungarian-fit-points

# Ratios to other solvers, with all instruction sets and without AVX-512, from one interleaved run each. Times by size. Then what matching
# adds to a training step, on one thread and on as many as TensorFlow chooses; types, masks and threads; criteria of detectors.
bench: build $(PEERS)/.complete $(HOSTS)/.complete ## compare the speed with other solvers; more than an hour
	$(BIN)/python bench/against_peers.py --peers $(PEERS) --picture build/bench.png
	HUNGARIAN_LOSS_MAX_ISA=avx2 $(BIN)/python bench/against_peers.py --peers $(PEERS) --picture build/bench_avx2.png
	$(BIN)/python bench/by_size.py --peers $(PEERS) --picture build/by_size.png
	$(BIN)/python bench/training_step.py --threads 1
	$(BIN)/python bench/training_step.py
	$(BIN)/python bench/variants.py
	HUNGARIAN_LOSS_MAX_ISA=avx2 $(BIN)/python bench/variants.py
	$(BIN)/python bench/detection.py --hosts $(HOSTS)

lint: lint-quick build $(LINKING)/tensorflow.pc ## run lint-quick, then clippy, links between docs, and clang-tidy; CI runs this
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	$(BIN)/python tf_op/tidy.py

lint-quick: $(VENV)/.complete ## check formatting, ruff's rules and types; seconds, needs no built op
	cargo fmt --all --check
	$(BIN)/clang-format --dry-run --Werror $(CPP_SOURCES)
	$(BIN)/ruff check $(PYTHON_SOURCES)
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	$(BIN)/mypy python_shim/hungarian_loss

format: ## let the formatters rewrite the sources
	cargo fmt --all
	$(BIN)/clang-format -i $(CPP_SOURCES)
	$(BIN)/ruff check --fix $(PYTHON_SOURCES)
	$(BIN)/ruff format $(PYTHON_SOURCES)

clean: ## remove everything that was built, .venv too
	rm -rf $(VENV) target build $(OP) $(BUILT_FOR) python_shim/*.egg-info
