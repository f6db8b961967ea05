##@ Searches for bugs

.PHONY: test-instructions record-instructions test-asan test-boundary test-share test-faults fuzz fuzz-smoke soak mutants

# Instructions per problem, which no noise disturbs, against those on record.
INSTRUCTIONS = $(BIN)/python tests/instructions/check.py $(TARGET)/release/hungarian-core-bench
COMMA := ,
# With the op's features, and the version of TensorFlow that its build script reads, it links to the library that `make build` has compiled.
BUILD_CORE_BENCH = CARGO_TARGET_DIR=$(TARGET) HUNGARIAN_TENSORFLOW_VERSION=$$(cat $(BUILT_FOR)) \
  cargo build --release --locked --quiet --package hungarian-core-bench \
  --features hungarian-loss/$(subst $(COMMA),$(COMMA)hungarian-loss/,$(FEATURES))

test-instructions: build ## count instructions per problem under callgrind and compare with the record
	$(BUILD_CORE_BENCH)
	$(INSTRUCTIONS)

record-instructions: build ## write the present counts of instructions to the record
	$(BUILD_CORE_BENCH)
	$(INSTRUCTIONS) --record

# The stable toolchain has AddressSanitizer's runtime; RUSTC_BOOTSTRAP lets it take the flag. Naming the target keeps
# flags away from build scripts and macros, so that all builds here share those.
HOST := $(shell rustc --version --verbose | sed -n 's/^host: //p')
INSTRUMENTED := build/instrumented
INSTRUMENT := RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$(INSTRUMENTED)
SANITIZE := $(INSTRUMENT) CARGO_PROFILE_TEST_OPT_LEVEL=1 RUSTFLAGS=-Zsanitizer=address TARGET_CXXFLAGS=-fsanitize=address
SANITIZED_ARCHIVE := $(INSTRUMENTED)/$(HOST)/debug/libhungarian_loss.a

# Two stack frames of each allocation are recorded: more would take an eighth of the time.
test-asan: ## run the Rust tests under AddressSanitizer
	HUNGARIAN_PROBLEMS=5000 ASAN_OPTIONS=malloc_context_size=2 $(SANITIZE) cargo test --locked --tests --target $(HOST)

# The bridge from C++: the archive that ships, as it is and under valgrind; an instrumented archive under sanitizers.
BOUNDARY := build/boundary
COMPILE_BOUNDARY = @mkdir -p $(BOUNDARY) && $(CXX) -std=c++17 -g -O1 -Wall -Wextra -Werror tests/cpp/boundary.cc

test-boundary: $(BOUNDARY)/plain $(BOUNDARY)/sanitized test-share ## test the calls from C++ into Rust, also under valgrind and sanitizers; runs test-share
	tests/cpp/run.sh $(BOUNDARY)/plain $(BOUNDARY)/sanitized

$(BOUNDARY)/plain: tests/cpp/boundary.cc $(ARCHIVE)
	$(COMPILE_BOUNDARY) -I$(TARGET)/cxxbridge $(ARCHIVE) -o $@ -pthread -ldl -lm

$(BOUNDARY)/sanitized: tests/cpp/boundary.cc $(SANITIZED_ARCHIVE)
	$(COMPILE_BOUNDARY) -fsanitize=address,undefined -fno-sanitize-recover=all \
	  -I$(INSTRUMENTED)/$(HOST)/cxxbridge $(SANITIZED_ARCHIVE) -o $@ -pthread -ldl -lm

# How parts of a batch are shared among threads, under ThreadSanitizer, which needs addresses that are not randomised.
test-share: $(BOUNDARY)/share ## test how threads share a batch, under ThreadSanitizer
	setarch -R $<

$(BOUNDARY)/share: tests/cpp/share.cc $(filter %.h,$(OP_SOURCES)) $(VENV)/.complete
	@mkdir -p $(BOUNDARY)
	folder=$$($(BIN)/python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("tensorflow").origin))') && \
	$(CXX) -std=c++17 -g -O1 -fsanitize=thread -Wall -Wextra -Werror -I. -isystem "$$folder/include" $< -o $@ \
	  -L"$$folder" -l:libtensorflow_framework.so.2 -Wl,-rpath,"$$folder" -pthread

$(SANITIZED_ARCHIVE): Cargo.toml Cargo.lock build.rs $(RUST_SOURCES)
	$(SANITIZE) cargo build --locked --profile test --target $(HOST)
	touch $@

# The op with faults on demand, in a shared object of its own. Its speed does not matter, so it is compiled quickly, with plain arrays only
# in place of the processors' vector instructions. What ships has no such hooks, which is tested too.
FAULTS := build/faults
FAULTY_OP := $(FAULTS)/_hungarian_with_faults.so

test-faults: build ## test what the op does after a panic, refused memory or an exception
	mkdir -p $(FAULTS)
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  RUSTFLAGS="--cfg arrays_only" \
	  $(MAKE) FEATURES=tensorflow-op,fault-injection PACKAGE=$(FAULTS) TARGET=$(FAULTS)/target OP=$(FAULTY_OP) $(FAULTY_OP)
	HUNGARIAN_FAULTY_OP=$(abspath $(FAULTY_OP)) $(BIN)/python -m pytest tests/faults

# Coverage-guided fuzzing. Both targets start from what is kept in tests/fuzz/corpus, which is replayed first; `fuzz` also from what earlier
# searches found. Optimised less than other tests: a third less to compile, for a fifth fewer inputs tried in a second.
FUZZ_SECONDS ?= 600
FUZZ := build/fuzz
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing

fuzz: ## search for a crash or a wrong answer; FUZZ_SECONDS=600 says how long
	$(INSTRUMENT) CARGO_PROFILE_TEST_OPT_LEVEL=1 RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --locked --profile test --package hungarian-fuzz --target $(HOST)
	tests/fuzz/run.sh $(INSTRUMENTED)/$(HOST)/debug/fuzz $(FUZZ) $(FUZZ_SECONDS)

fuzz-smoke: ## do the same for 25 seconds
	$(MAKE) fuzz FUZZ_SECONDS=25 FUZZ=build/fuzz-smoke

soak: ## check a million random problems against an independent solver
	HUNGARIAN_PROBLEMS=1000000 cargo test --locked --test random_problems -- --nocapture

# No part of `make test`. `make mutants ARGUMENTS="--shard 3/40"` tries a part, `ARGUMENTS=--list` names them.
CARGO_TOOLS := build/cargo-tools
CARGO_MUTANTS := $(CARGO_TOOLS)/bin/cargo-mutants
CARGO_MUTANTS_VERSION := 27.1.0

mutants: $(CARGO_MUTANTS) ## put small faults into the core and check that a test notices each; hours
	CARGO_TARGET_DIR=$(abspath build/mutants/target) \
	  $(PYTHON) tests/mutants/run.py $(abspath $(CARGO_MUTANTS)) build/mutants $(ARGUMENTS)

# Not optimised, as it waits for the compiler most of the time.
$(CARGO_MUTANTS):
	CARGO_TARGET_DIR=$(CARGO_TOOLS)/target cargo install --locked --debug --quiet --root $(CARGO_TOOLS) \
	  cargo-mutants@$(CARGO_MUTANTS_VERSION)
