##@ CUDA (only gpu-check and test-on-gpu need a GPU)

.PHONY: ptx test-ptx test-twin twin-sample twin-parity twin-races twin-bounds twin-mutants twin-steps test-gpu-path test-on-gpu gpu-check gpu-package

# A CUDA toolkit is not needed: NVRTC and ptxas come from PyPI when they are first asked for.
CUDA_TOOLS := build/cuda-tools
CUDA_PINS := nvidia-cuda-nvrtc-cu12==12.0.76 nvidia-cuda-nvcc-cu12==12.9.86

ptx: $(CUDA_TOOLS)/.complete ## compile cuda/ into the checked-in PTX and its table of resources
	$(BIN)/python cuda/ptx.py $(CUDA_TOOLS)

test-ptx: $(CUDA_TOOLS)/.complete ## check that the checked-in PTX is what cuda/ compiles to
	$(BIN)/python cuda/ptx.py $(CUDA_TOOLS) --check

$(CUDA_TOOLS)/.complete: $(VENV)/.complete
	rm -rf $(CUDA_TOOLS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	  --target $(CUDA_TOOLS) $(CUDA_PINS)
	touch $@

# The kernels' own source, compiled for the host: compared with the CPU's solver, as older and as newer devices run it; under sanitizers;
# and with faults of all kinds put into it, which must be noticed.
TWIN := build/twin
TWIN_SOURCES := $(wildcard cuda/*.cu cuda/*.h cuda/twin/*)
TWIN_PROGRAM := target/debug/hungarian-twin
# With the feature it links to the library that gpu-check and the solver's tests link to.
BUILD_TWIN_PROGRAM = CARGO_TARGET_DIR=target cargo build --locked --quiet --profile test --package hungarian-twin \
  --features hungarian-loss/cuda
# ThreadSanitizer needs addresses that are not randomised.
UNDER = setarch -R env LD_PRELOAD=$$($(CXX) -print-file-name=lib$(1).so) TSAN_OPTIONS=halt_on_error=1 \
  ASAN_OPTIONS=detect_leaks=0

# Each run has one thread, except that of the mutants.
test-twin: ## run the CUDA kernels' source on the CPU: results, races, bounds, mutants
	$(BUILD_TWIN_PROGRAM)
	$(MAKE) $(SIDE_BY_SIDE) twin-parity twin-sample twin-races twin-bounds twin-mutants

twin-sample: $(TWIN)/libtwin-70.so ## the part of test-twin that runs kernels as older devices do
	$(TWIN_PROGRAM) $< sample

twin-parity: $(TWIN)/libtwin-80.so ## the part that compares newer devices' answers with the CPU's
	$(TWIN_PROGRAM) $< parity

twin-races: $(TWIN)/libtwin-tsan.so ## the part under ThreadSanitizer
	$(call UNDER,tsan) $(TWIN_PROGRAM) $< sample

twin-bounds: $(TWIN)/libtwin-asan.so ## the part under AddressSanitizer
	$(call UNDER,asan) $(TWIN_PROGRAM) $< sample

twin-mutants: ## the part that puts faults into the kernels, each of which must be noticed
	$(PYTHON) cuda/twin/mutants.py $(TWIN_PROGRAM)

twin-steps: $(TWIN)/libtwin-80.so ## count the steps that the kernels take for some shapes
	$(BUILD_TWIN_PROGRAM)
	$(TWIN_PROGRAM) $(TWIN)/libtwin-80.so steps

$(TWIN)/libtwin-70.so: TWIN_FLAGS := -D__CUDA_ARCH__=700
$(TWIN)/libtwin-80.so: TWIN_FLAGS := -D__CUDA_ARCH__=800
$(TWIN)/libtwin-tsan.so: TWIN_FLAGS := -D__CUDA_ARCH__=800 -O1 -fsanitize=thread
$(TWIN)/libtwin-asan.so: TWIN_FLAGS := -D__CUDA_ARCH__=800 -O1 -fsanitize=address
$(TWIN)/%.so: $(TWIN_SOURCES)
	mkdir -p $(TWIN)
	cuda/twin/build.sh $@ $(TWIN_FLAGS)

# The path to a GPU on machines that have none: TensorFlow's kernel, the launch, and the kernels' host twin behind a
# libcuda.so.1 of our own. All of it stays in this folder; no package has it.
GPU_PATH := build/gpu_path
# The host twin for compute capability 8.0, which that driver's device has.
DRIVER_TWIN := $(TWIN)/libtwin-80.so
STAND_IN_DRIVER := $(GPU_PATH)/driver/libcuda.so.1
HOST_DEVICE := $(GPU_PATH)/host_device.so
XLA_RUNTIME := $(GPU_PATH)/xla_runtime.so
GPU_CHECK := build/gpu_check/gpu-check
GPU_BATCH := build/gpu_check/gpu-batch
# The crate with the CUDA path and no TensorFlow, for C++ to link; its headers are beside it.
GPU_ARCHIVE := build/gpu_check/libhungarian_loss.a
GPU_PACKAGE := build/gpu_package.tar.gz
# A package whose Triton kernel is timed beside ours; this version is Python alone.
PEER := torch-linear-assignment==0.1.0
# JAX, in which the shim of bench/gpu_check/on_gpu is tested on the stand-in driver; JAX's dependencies are in .venv.
JAX := build/jax
JAX_PINS := jax==0.10.2 jaxlib==0.10.2
# A library with the driver's name that is no driver, and a driver with a single function.
NO_DRIVER := $(GPU_PATH)/no_driver/libcuda.so.1
OLD_DRIVER := $(GPU_PATH)/old_driver/libcuda.so.1
COMPILE_STAND_IN = mkdir -p $(@D) && $(CXX) -std=c++17 -g -O2 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -shared

test-gpu-path: build $(STAND_IN_DRIVER) $(HOST_DEVICE) $(XLA_RUNTIME) $(NO_DRIVER) $(OLD_DRIVER) $(GPU_PACKAGE) $(JAX)/.complete ## test the way from TensorFlow to the kernels, with a stand-in for the driver
	LD_LIBRARY_PATH=$(abspath $(dir $(STAND_IN_DRIVER))) HUNGARIAN_STAND_IN_CUDA=1 HUNGARIAN_GPU_PATH=$(abspath $(GPU_PATH)) \
	  HUNGARIAN_GPU_CHECK=$(abspath $(GPU_CHECK)) HUNGARIAN_GPU_PACKAGE=$(abspath $(GPU_PACKAGE)) HUNGARIAN_JAX=$(abspath $(JAX)) \
	  $(BIN)/python -m pytest --numprocesses 2 --dist worksteal tests/gpu

# TensorFlow's CUDA build with NVIDIA's libraries, some gigabytes, in an environment of its own. The op is the same.
ON_GPU := build/on_gpu
test-on-gpu: build $(ON_GPU)/.complete ## run the op's tests in TensorFlow on a real GPU; says SKIPPED where there is none
	PYTHONPATH=$(abspath python_shim) TF_FORCE_GPU_ALLOW_GROWTH=true $(ON_GPU)/bin/python -m pytest --numprocesses 4 --dist worksteal \
	  tests/gpu/test_gpu_kernel.py tests/python/test_parity.py

$(ON_GPU)/.complete: $(REQUIREMENTS)
	rm -rf $(ON_GPU)
	$(PYTHON) -m venv $(ON_GPU)
	sed 's/^tensorflow-cpu==/tensorflow[and-cuda]==/' $(REQUIREMENTS) > $(ON_GPU)/requirements.txt
	$(ON_GPU)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(ON_GPU)/requirements.txt
	touch $@

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

$(JAX)/.complete: $(VENV)/.complete
	rm -rf $(JAX)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --target $(JAX) $(JAX_PINS)
	touch $@

# On a machine with a GPU: is every kernel right there, and how fast? Needs cargo and a driver, no TensorFlow. The program
# can also be copied to such a machine: it is all that is needed there.
gpu-check: $(GPU_CHECK) ## check and time every kernel on a real GPU; exits with 77 where there is none
	$(GPU_CHECK)

# The program, and the archive of the same build. Other builds write an archive of that name to the same place, so it is copied at once.
$(GPU_CHECK) $(GPU_ARCHIVE) &: Cargo.toml Cargo.lock build.rs $(RUST_SOURCES) $(wildcard cuda/*.ptx bench/gpu_check/src/*.rs tests/twin/src/*.rs)
	CARGO_TARGET_DIR=target cargo build --locked --profile test --package hungarian-gpu-check --package hungarian-loss \
	  --features hungarian-loss/cuda
	@mkdir -p $(dir $(GPU_CHECK))include
	objcopy --strip-debug target/debug/libhungarian_loss.a $(GPU_ARCHIVE)
	cd target/cxxbridge && cp --dereference --parents rust/cxx.h $(addprefix hungarian-loss/src/,op/bridge.rs.h cuda/bridge.rs.h) \
	  $(abspath $(dir $(GPU_CHECK))include)
	objcopy --strip-debug target/debug/gpu-check $(GPU_CHECK)

# One batch on whichever GPU there is; the simulator's commands run it.
$(GPU_BATCH): $(GPU_CHECK)
	objcopy --strip-debug target/debug/gpu-batch $@

# Half an hour on a machine that has a GPU and no Rust: unpack it there, and start run_on_gpu.py.
gpu-package: $(GPU_PACKAGE) ## make one archive of what a machine with a GPU needs for checks, times, profiles and JAX

$(GPU_PACKAGE): $(GPU_CHECK) $(GPU_ARCHIVE) $(wildcard bench/gpu_check/on_gpu/*.*) $(VENV)/.complete
	rm -rf build/gpu_package
	mkdir -p build/gpu_package/peer
	cp -r $(GPU_CHECK) $(GPU_ARCHIVE) $(dir $(GPU_CHECK))include $(wildcard bench/gpu_check/on_gpu/*.*) build/gpu_package
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-binary :all: \
	  --dest build/gpu_package $(PEER)
	tar --extract --gzip --strip-components=1 --directory build/gpu_package/peer --file build/gpu_package/torch_linear_assignment-*.tar.gz
	rm build/gpu_package/torch_linear_assignment-*.tar.gz
	tar --create --gzip --file $@ --directory build gpu_package
