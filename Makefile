# Only delegates: cargo builds and tests Rust and C++, pip and pytest do Python.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGE := python_shim/hungarian_loss
OP := $(PACKAGE)/_hungarian.so
# A folder of its own: a plain `cargo build --release` makes an archive of the same name without the op.
TARGET := target/op
ARCHIVE = $(TARGET)/release/libhungarian_loss.a
FEATURES := tensorflow-op,cuda
LINKING := build/tensorflow
DEMO := build/demo
SERVING_MODEL := build/serving_model
PYTHON_SOURCES := python_shim tf_op tests examples bench cuda
REQUIREMENTS := python_shim/requirements.txt
INSTALL_PACKAGE = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable python_shim
CUDA_SOURCES := cuda/*.cu cuda/*.h cuda/twin/*.cc cuda/twin/*.h

export HUNGARIAN_PYTHON := $(abspath $(BIN)/python)
export PKG_CONFIG := $(abspath $(BIN)/pkgconf)
export PKG_CONFIG_PATH := $(abspath $(LINKING))
export HUNGARIAN_OP_LIBRARY := $(abspath $(OP))
export HUNGARIAN_SERVING_MODEL := $(abspath $(SERVING_MODEL))
# TensorFlow's chatter, and a note of its that no user of ours needs.
export TF_CPP_MIN_LOG_LEVEL ?= 2
export TF_ENABLE_ONEDNN_OPTS ?= 0
# A snapshot that differs is a failure, never an update.
export INSTA_UPDATE := no

.PHONY: build demo test bench bench-core soak lint format clean
.DELETE_ON_ERROR:

build: $(VENV)/.complete $(OP)

# The virtual environment: TensorFlow, the tools, and the package in place.
$(VENV)/.complete: $(REQUIREMENTS) python_shim/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	$(INSTALL_PACKAGE)
	touch $@

# The static library: solver, bridge and TensorFlow shim.
$(ARCHIVE): Cargo.toml Cargo.lock build.rs $(shell find src -name "*.rs") $(wildcard cuda/*.ptx tf_op/*.cc tf_op/*.h) tf_op/flags.py $(VENV)/.complete
	CARGO_TARGET_DIR=$(TARGET) cargo build --release --locked --features $(FEATURES)
	touch $@

# The shared object. TensorFlow brings its two libraries when it loads it; all else must be inside (-z defs).
$(OP): $(ARCHIVE) tf_op/exports.map
	folder=$$($(BIN)/python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("tensorflow").origin))') && \
	$(CXX) -shared -o $@ -Wl,--whole-archive $(ARCHIVE) -Wl,--no-whole-archive \
	  -L"$$folder" -l:libtensorflow_framework.so.2 -l:libtensorflow_cc.so.2 \
	  -Wl,-z,defs -Wl,--gc-sections -Wl,--version-script=tf_op/exports.map
	$(BIN)/python -c 'import tensorflow as tf; print(tf.__version__)' > $(PACKAGE)/_tensorflow_version.txt

# Where pkg-config finds TensorFlow, for the Rust programs that link to it.
$(LINKING)/tensorflow.pc: $(VENV)/.complete examples/serving/link_tensorflow.py
	$(BIN)/python examples/serving/link_tensorflow.py $(LINKING)
	touch $@

# oneDNN saves about a third of the training time; elsewhere it would only add a note to the output.
demo: export TF_ENABLE_ONEDNN_OPTS := 1
# The main job: train on scanned digits, picture, export, serve from Rust.
demo: build $(LINKING)/tensorflow.pc
	$(BIN)/python examples/digits/demo.py --output $(DEMO)
	cargo run --quiet --locked --package hungarian-serving --bin serve -- --library $(OP) \
	  --model $(DEMO)/saved_model --canvases $(DEMO)/canvases.npy --objects $(DEMO)/objects.npy

# Quick tests first: the solver, which needs no TensorFlow, and what it costs; then the boundary, sanitizers and a short search for crashes; then
# the op through the C API; then Python, whose closing line is the last.
test: build $(LINKING)/tensorflow.pc
	cargo test --locked
	$(MAKE) test-instructions
	$(MAKE) test-boundary
	$(MAKE) test-asan
	$(MAKE) fuzz-smoke
	$(BIN)/python examples/serving/tests/make_model.py $(SERVING_MODEL)
	cargo test --locked --package hungarian-serving --package hungarian-op-interface --package hungarian-fit-points
	$(MAKE) test-faults
	$(MAKE) test-ptx
	$(MAKE) test-twin
	$(MAKE) test-gpu-path
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# How much faster than others: ratios from one interleaved run. The others come from PyPI, without what they depend on.
PEERS := build/peers
PUBLISHED := hungarian-loss==1.0.3
PEER_PINS := laprust==1.0.0 lapx==0.11.1 fastlap==0.4.0 tf-models-official==2.20.0 tf-keras==2.21.0

# Then what matching adds to a training step, on one thread and on TensorFlow's own choice; types, masks and threads.
bench: build $(PEERS)/.complete
	$(BIN)/python bench/against_peers.py --peers $(PEERS) --picture build/bench.png
	$(BIN)/python bench/training_step.py --threads 1
	$(BIN)/python bench/training_step.py
	$(BIN)/python bench/variants.py

# The core alone: `make bench-core ARGUMENTS=100x100` for one shape, `ARGUMENTS="--save-baseline before"` to compare later.
bench-core:
	cargo bench --locked --package hungarian-core-bench --bench solve -- $(ARGUMENTS)

# One that cannot be installed is shown as missing. The published package has a module of our name, and so a folder of its own.
INSTALL_PEER := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --target

$(PEERS)/.complete: Makefile
	rm -rf $(PEERS)
	for pin in $(PEER_PINS); do $(INSTALL_PEER) $(PEERS) $$pin || true; done
	$(INSTALL_PEER) $(PEERS)/published $(PUBLISHED) || true
	mkdir -p $(PEERS) && touch $@

# A million random problems against an independent solver.
soak:
	HUNGARIAN_PROBLEMS=1000000 cargo test --locked --test random_problems -- --nocapture

lint: build $(LINKING)/tensorflow.pc
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(BIN)/clang-format --dry-run --Werror tf_op/*.cc tf_op/*.h tests/cpp/*.cc tests/gpu/*.cc $(CUDA_SOURCES)
	$(BIN)/python tf_op/tidy.py
	$(BIN)/ruff check $(PYTHON_SOURCES)
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	cd python_shim && ../$(BIN)/mypy hungarian_loss

format:
	cargo fmt --all
	$(BIN)/clang-format -i tf_op/*.cc tf_op/*.h tests/cpp/*.cc tests/gpu/*.cc $(CUDA_SOURCES)
	$(BIN)/ruff check --fix $(PYTHON_SOURCES)
	$(BIN)/ruff format $(PYTHON_SOURCES)

clean:
	rm -rf $(VENV) target build $(OP) $(PACKAGE)/_tensorflow_version.txt python_shim/*.egg-info

# ---- Hygiene that finds bugs ----

.PHONY: test-asan test-boundary test-share test-faults test-instructions record-instructions fuzz fuzz-smoke

# Instructions per problem, which no noise disturbs, against those on record.
INSTRUCTIONS = $(BIN)/python tests/instructions/check.py $(TARGET)/release/hungarian-core-bench
COMMA := ,
# With the op's features it links to the library that `make build` has compiled.
BUILD_CORE_BENCH = CARGO_TARGET_DIR=$(TARGET) cargo build --release --locked --quiet --package hungarian-core-bench \
  --features hungarian-loss/$(subst $(COMMA),$(COMMA)hungarian-loss/,$(FEATURES))

test-instructions: $(VENV)/.complete
	$(BUILD_CORE_BENCH)
	$(INSTRUCTIONS)

record-instructions: $(VENV)/.complete
	$(BUILD_CORE_BENCH)
	$(INSTRUCTIONS) --record

# The stable toolchain has AddressSanitizer's runtime; RUSTC_BOOTSTRAP lets it take the flag. Naming the target keeps
# flags away from build scripts and macros, so that all builds here share those.
HOST := $(shell rustc --version --verbose | sed -n 's/^host: //p')
INSTRUMENTED := build/instrumented
INSTRUMENT := RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$(INSTRUMENTED)
SANITIZE := $(INSTRUMENT) CARGO_PROFILE_TEST_OPT_LEVEL=1 RUSTFLAGS=-Zsanitizer=address TARGET_CXXFLAGS=-fsanitize=address
SANITIZED_ARCHIVE := $(INSTRUMENTED)/$(HOST)/debug/libhungarian_loss.a

# The Rust tests, the C++ glue that they link to included.
test-asan:
	HUNGARIAN_PROBLEMS=5000 $(SANITIZE) cargo test --locked --tests --target $(HOST)

# The bridge from C++: the archive that ships, plainly and under valgrind; one of its own under sanitizers.
BOUNDARY := build/boundary
COMPILE_BOUNDARY = @mkdir -p $(BOUNDARY) && $(CXX) -std=c++17 -g -O1 -Wall -Wextra -Werror tests/cpp/boundary.cc

test-boundary: $(BOUNDARY)/plain $(BOUNDARY)/sanitized test-share
	tests/cpp/run.sh $(BOUNDARY)/plain $(BOUNDARY)/sanitized

$(BOUNDARY)/plain: tests/cpp/boundary.cc $(ARCHIVE)
	$(COMPILE_BOUNDARY) -I$(TARGET)/cxxbridge $(ARCHIVE) -o $@ -pthread -ldl -lm

$(BOUNDARY)/sanitized: tests/cpp/boundary.cc $(SANITIZED_ARCHIVE)
	$(COMPILE_BOUNDARY) -fsanitize=address,undefined -fno-sanitize-recover=all \
	  -I$(INSTRUMENTED)/$(HOST)/cxxbridge $(SANITIZED_ARCHIVE) -o $@ -pthread -ldl -lm

# How parts of a batch are shared among threads, under ThreadSanitizer, which wants addresses where it expects them.
test-share: $(BOUNDARY)/share
	setarch -R $<

$(BOUNDARY)/share: tests/cpp/share.cc tf_op/share.h tf_op/without_exceptions.h $(VENV)/.complete
	@mkdir -p $(BOUNDARY)
	folder=$$($(BIN)/python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("tensorflow").origin))') && \
	$(CXX) -std=c++17 -g -O1 -fsanitize=thread -Wall -Wextra -Werror -I. -isystem "$$folder/include" $< -o $@ \
	  -L"$$folder" -l:libtensorflow_framework.so.2 -Wl,-rpath,"$$folder" -pthread

$(SANITIZED_ARCHIVE): Cargo.toml Cargo.lock build.rs $(shell find src -name "*.rs")
	$(SANITIZE) cargo build --locked --profile test --target $(HOST)
	touch $@

# The op with faults to order, in a shared object of its own, compiled quickly: nobody waits for what it solves. What ships
# has no such hooks, which is tested too.
FAULTS := build/faults
FAULTY_OP := $(FAULTS)/_hungarian_with_faults.so

test-faults: build
	mkdir -p $(FAULTS)
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  $(MAKE) FEATURES=tensorflow-op,fault-injection PACKAGE=$(FAULTS) TARGET=$(FAULTS)/target OP=$(FAULTY_OP) $(FAULTY_OP)
	HUNGARIAN_FAULTY_OP=$(abspath $(FAULTY_OP)) $(BIN)/python -m pytest tests/faults

# Coverage-guided fuzzing. Both start from what is kept in tests/fuzz/corpus, which is replayed first; the long search
# also from what earlier ones found.
FUZZ_SECONDS ?= 600
FUZZ := build/fuzz
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing

fuzz:
	$(INSTRUMENT) RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --locked --profile test --package hungarian-fuzz --target $(HOST)
	tests/fuzz/run.sh $(INSTRUMENTED)/$(HOST)/debug/fuzz $(FUZZ) $(FUZZ_SECONDS)

fuzz-smoke:
	$(MAKE) fuzz FUZZ_SECONDS=20 FUZZ=build/fuzz-smoke

# Small faults in the files that decide, one at a time, each of which a test must notice. Takes hours, and is no part of `make test`;
# `make mutants ARGUMENTS="--shard 3/40"` tries a part, `ARGUMENTS=--list` names them.
.PHONY: mutants
CARGO_TOOLS := build/cargo-tools
CARGO_MUTANTS := $(CARGO_TOOLS)/bin/cargo-mutants
CARGO_MUTANTS_VERSION := 27.1.0

mutants: $(CARGO_MUTANTS)
	CARGO_TARGET_DIR=$(abspath build/mutants/target) \
	  $(PYTHON) tests/mutants/run.py $(abspath $(CARGO_MUTANTS)) build/mutants $(ARGUMENTS)

# Not optimised, as it waits for the compiler most of the time.
$(CARGO_MUTANTS):
	CARGO_TARGET_DIR=$(CARGO_TOOLS)/target cargo install --locked --debug --quiet --root $(CARGO_TOOLS) \
	  cargo-mutants@$(CARGO_MUTANTS_VERSION)

# ---- CUDA ----

# Neither a GPU nor a CUDA toolkit is needed: NVRTC and ptxas come from PyPI when they are first asked for.
CUDA_TOOLS := build/cuda-tools
CUDA_PINS := nvidia-cuda-nvrtc-cu12==12.0.76 nvidia-cuda-nvcc-cu12==12.9.86

.PHONY: ptx test-ptx test-twin twin-steps

# The checked-in PTX, and the table of what kernels take.
ptx: $(CUDA_TOOLS)/.complete
	$(BIN)/python cuda/ptx.py $(CUDA_TOOLS)

test-ptx: $(CUDA_TOOLS)/.complete
	$(BIN)/python cuda/ptx.py $(CUDA_TOOLS) --check

$(CUDA_TOOLS)/.complete: $(VENV)/.complete
	rm -rf $(CUDA_TOOLS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	  --target $(CUDA_TOOLS) $(CUDA_PINS)
	touch $@

# The kernels' own source on the host: against the CPU's solver, as older and as newer devices run it; with sanitizers; and
# faults of all kinds put into it, which must be noticed.
TWIN := build/twin
TWIN_SOURCES := $(wildcard cuda/*.cu cuda/*.h cuda/twin/*)
TWIN_PROGRAM := target/debug/hungarian-twin
BUILD_TWIN_PROGRAM = CARGO_TARGET_DIR=target cargo build --locked --quiet --profile test --package hungarian-twin
# ThreadSanitizer wants addresses where it expects them.
UNDER = setarch -R env LD_PRELOAD=$$($(CXX) -print-file-name=lib$(1).so) TSAN_OPTIONS=halt_on_error=1 \
  ASAN_OPTIONS=detect_leaks=0

test-twin: $(TWIN)/libtwin-70.so $(TWIN)/libtwin-80.so $(TWIN)/libtwin-tsan.so $(TWIN)/libtwin-asan.so
	$(BUILD_TWIN_PROGRAM)
	$(TWIN_PROGRAM) $(TWIN)/libtwin-70.so sample
	$(TWIN_PROGRAM) $(TWIN)/libtwin-80.so parity
	$(call UNDER,tsan) $(TWIN_PROGRAM) $(TWIN)/libtwin-tsan.so sample
	$(call UNDER,asan) $(TWIN_PROGRAM) $(TWIN)/libtwin-asan.so sample
	$(PYTHON) cuda/twin/mutants.py $(TWIN_PROGRAM)

# How many steps problems of some shapes take.
twin-steps: $(TWIN)/libtwin-80.so
	$(BUILD_TWIN_PROGRAM)
	$(TWIN_PROGRAM) $(TWIN)/libtwin-80.so steps

$(TWIN)/libtwin-70.so: TWIN_FLAGS := -D__CUDA_ARCH__=700
$(TWIN)/libtwin-80.so: TWIN_FLAGS := -D__CUDA_ARCH__=800
$(TWIN)/libtwin-tsan.so: TWIN_FLAGS := -O1 -fsanitize=thread
$(TWIN)/libtwin-asan.so: TWIN_FLAGS := -O1 -fsanitize=address
$(TWIN)/%.so: $(TWIN_SOURCES)
	mkdir -p $(TWIN)
	cuda/twin/build.sh $@ $(TWIN_FLAGS)

# ---- CUDA path ----

.PHONY: test-gpu-path gpu-check

# The path to a GPU on machines that have none: TensorFlow's kernel, the launch, and the kernels' host twin behind a
# libcuda.so.1 of our own. All of it stays in this folder; no package has it.
GPU_PATH := build/gpu_path
# As the device of that driver, of compute capability 8.0, runs the kernels.
DRIVER_TWIN := $(TWIN)/libtwin-80.so
STAND_IN_DRIVER := $(GPU_PATH)/driver/libcuda.so.1
HOST_DEVICE := $(GPU_PATH)/host_device.so
XLA_RUNTIME := $(GPU_PATH)/xla_runtime.so
GPU_CHECK := build/gpu_check/gpu-check
# A library of that name which is no driver, and a driver that knows next to nothing.
NO_DRIVER := $(GPU_PATH)/no_driver/libcuda.so.1
OLD_DRIVER := $(GPU_PATH)/old_driver/libcuda.so.1
COMPILE_STAND_IN = mkdir -p $(@D) && $(CXX) -std=c++17 -g -O2 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -shared

test-gpu-path: build $(STAND_IN_DRIVER) $(HOST_DEVICE) $(XLA_RUNTIME) $(NO_DRIVER) $(OLD_DRIVER) $(GPU_CHECK)
	LD_LIBRARY_PATH=$(abspath $(dir $(STAND_IN_DRIVER))) HUNGARIAN_STAND_IN_CUDA=1 HUNGARIAN_GPU_PATH=$(abspath $(GPU_PATH)) \
	  HUNGARIAN_GPU_CHECK=$(abspath $(GPU_CHECK)) $(BIN)/python -m pytest tests/gpu

$(STAND_IN_DRIVER): tests/gpu/stand_in_driver.cc $(DRIVER_TWIN)
	$(COMPILE_STAND_IN) -I. $< -o $@ -Wl,-soname,libcuda.so.1 -Wl,-z,defs \
	  -L$(dir $(DRIVER_TWIN)) -l:$(notdir $(DRIVER_TWIN)) -Wl,-rpath,'$$ORIGIN/../../twin'

$(NO_DRIVER):
	@mkdir -p $(@D)
	echo 'int nothing;' | $(CXX) -shared -fPIC -x c++ - -o $@

$(OLD_DRIVER):
	@mkdir -p $(@D)
	echo 'extern "C" int cuDriverGetVersion(int* version) { return *version = 11040, 0; }' | $(CXX) -shared -fPIC -x c++ - -o $@

$(HOST_DEVICE): tests/gpu/host_device.cc $(VENV)/.complete
	folder=$$($(BIN)/python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("tensorflow").origin))') && \
	$(COMPILE_STAND_IN) -isystem "$$folder/include" $< -o $@ -L"$$folder" -l:libtensorflow_framework.so.2 -Wl,-z,defs

$(XLA_RUNTIME): tests/gpu/xla_runtime.cc $(VENV)/.complete
	folder=$$($(BIN)/python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("tensorflow").origin))') && \
	$(COMPILE_STAND_IN) -isystem "$$folder/include" $< -o $@ -L"$$folder" -l:libtensorflow_framework.so.2 -l:libtensorflow_cc.so.2 -Wl,-z,defs

# On a machine with a GPU: is every kernel right there, and how fast? Needs cargo and a driver, no TensorFlow. The program
# can also be copied to such a machine: it is all that is needed there.
gpu-check: $(GPU_CHECK)
	$(GPU_CHECK)

$(GPU_CHECK): Cargo.toml Cargo.lock $(shell find src -name "*.rs") $(wildcard cuda/*.ptx bench/gpu_check/src/*.rs tests/twin/src/*.rs)
	CARGO_TARGET_DIR=target cargo build --locked --profile test --package hungarian-gpu-check
	@mkdir -p $(@D)
	objcopy --strip-debug target/debug/gpu-check $@

# ---- Wheel ----

# A C++ op works with the minor version of TensorFlow that it was built for, so the wheel holds a build for each, and
# the package takes the one that fits.
WHEEL_TENSORFLOWS := 2.20.0 2.21.0
# One that the wheel has no build for, to see what it says there.
OTHER_TENSORFLOW := 2.19.1
WHEEL := build/wheel
WHEEL_BUILDS := $(WHEEL_TENSORFLOWS:%=wheel-build-%)
WHEEL_TESTS := $(WHEEL_TENSORFLOWS:%=wheel-test-%)
WHEEL_TOOLS := $(WHEEL)/tools
WHEEL_STAGE := $(WHEEL)/stage

.PHONY: wheel wheel-test wheel-test-other $(WHEEL_BUILDS) $(WHEEL_TESTS)

wheel: $(WHEEL_BUILDS) $(WHEEL_TOOLS)/.complete
	rm -rf $(WHEEL_STAGE) $(WHEEL)/unrepaired $(WHEEL)/dist
	mkdir -p $(WHEEL_STAGE)/hungarian_loss/_builds
	cp LICENSE python_shim/pyproject.toml python_shim/setup.py $(WHEEL_STAGE)
	cp $(PACKAGE)/*.py $(PACKAGE)/py.typed $(WHEEL_STAGE)/hungarian_loss
	cp -r $(WHEEL_TENSORFLOWS:%=$(WHEEL)/builds/%) $(WHEEL_STAGE)/hungarian_loss/_builds
	$(WHEEL_TOOLS)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir $(WHEEL)/unrepaired $(WHEEL_STAGE)
	PATH=$(abspath $(WHEEL_TOOLS)/bin):$$PATH auditwheel repair --strip --exclude 'libtensorflow*' \
	  --wheel-dir $(WHEEL)/dist $(WHEEL)/unrepaired/*.whl
	$(WHEEL_TOOLS)/bin/python tests/wheel/report.py $(WHEEL)/dist/*.whl

# The op for one TensorFlow, by the rules at the top: from an environment with that TensorFlow and no more, in folders
# of its own.
$(WHEEL_BUILDS): wheel-build-%: $(WHEEL)/tensorflow-%.txt
	mkdir -p $(WHEEL)/builds/$*
	$(MAKE) VENV=$(WHEEL)/tensorflow-$* REQUIREMENTS=$(WHEEL)/tensorflow-$*.txt INSTALL_PACKAGE= \
	  TARGET=$(WHEEL)/target-$* PACKAGE=$(WHEEL)/builds/$* OP=$(WHEEL)/builds/$*/_hungarian.so $(WHEEL)/builds/$*/_hungarian.so

.PRECIOUS: $(WHEEL)/tensorflow-%.txt
$(WHEEL)/tensorflow-%.txt:
	mkdir -p $(@D)
	echo tensorflow-cpu==$* > $@

$(WHEEL_TOOLS)/.complete: python_shim/wheel_requirements.txt
	$(PYTHON) -m venv $(WHEEL_TOOLS)
	$(WHEEL_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# Installs the wheel as a user would, beside each TensorFlow, and beside one that it does not know.
wheel-test: wheel $(WHEEL_TESTS) wheel-test-other

$(WHEEL_TESTS): wheel-test-%: wheel $(LINKING)/tensorflow.pc
	cargo build --quiet --locked --package hungarian-fit-points
	$(call INSTALL_WHEEL,$*)
	$(WHEEL)/test-$*/bin/python -I tests/wheel/smoke.py $* target/debug/fit_points

wheel-test-other: wheel
	$(call INSTALL_WHEEL,$(OTHER_TENSORFLOW))
	$(WHEEL)/test-$(OTHER_TENSORFLOW)/bin/python -I tests/wheel/refusal.py $(OTHER_TENSORFLOW) $(WHEEL_TENSORFLOWS)

define INSTALL_WHEEL
rm -rf $(WHEEL)/test-$(1)
$(PYTHON) -m venv $(WHEEL)/test-$(1)
$(WHEEL)/test-$(1)/bin/python -m pip install --quiet --disable-pip-version-check tensorflow-cpu==$(1) $(WHEEL)/dist/*.whl
endef
