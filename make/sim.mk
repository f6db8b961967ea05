##@ CUDA kernels on a simulated GPU (cuda/sim; needs no GPU)

SIM_TARGETS := sim-check sim-time sim-profile test-sim test-sim-cycles record-sim-cycles
.PHONY: $(SIM_TARGETS)

SIM := build/sim
SIM_DRIVER := $(SIM)/lib/libcuda.so.1
SIM_OBJECTS := $(patsubst cuda/sim/%.cc,$(SIM)/%.o,$(wildcard cuda/sim/*.cc))

# nvdisasm comes from PyPI, as ptxas does (cuda.mk). Where pip cannot install them the checks say SKIPPED, and that is no failure.
SIM_TOOLS := $(SIM)/tools
SIM_PINS := nvidia-cuda-nvdisasm==13.5.37
SIM_FETCH_TOOLS = -@$(MAKE) --silent --no-print-directory $(CUDA_TOOLS)/.complete $(SIM_TOOLS)/.complete

$(SIM_TARGETS): export SIM_PTXAS := $(abspath $(CUDA_TOOLS)/nvidia/cuda_nvcc/bin/ptxas)
$(SIM_TARGETS): export SIM_NVDISASM := $(abspath $(SIM_TOOLS)/nvidia/cu13/bin/nvdisasm)
$(SIM_TARGETS): export SIM_CACHE := $(abspath $(SIM)/cache)
$(SIM_TARGETS): export HUNGARIAN_SIM_DRIVER := $(abspath $(SIM_DRIVER))
$(SIM_TARGETS): export HUNGARIAN_GPU_CHECK := $(abspath $(GPU_CHECK))
$(SIM_TARGETS): export HUNGARIAN_GPU_BATCH := $(abspath $(GPU_BATCH))
$(SIM_TARGETS): export HUNGARIAN_CUDA_TOOLS := $(abspath $(CUDA_TOOLS))

# a100 or h100, or both; problems x rows x columns. KERNELS names an edited copy of cuda/: nothing but the kernels is compiled again.
# ARGUMENTS may have --seed and --type.
GPU ?= a100
BATCHES ?= 32x100x100 208x300x100 208x300x300 208x300x600 4096x16x16
KERNELS ?=
SIM_KERNELS = $(if $(KERNELS),--kernels $(KERNELS))

sim-check: $(SIM_DRIVER) $(GPU_CHECK) ## run all kernels on a simulated A100 and H100, and compare with the CPU
	$(SIM_FETCH_TOOLS)
	@$(PYTHON) cuda/sim/run.py check $(SIM_KERNELS)

sim-time: $(SIM_DRIVER) $(GPU_BATCH) ## print simulated times; GPU=h100, BATCHES="32x100x100 4096x16x16", KERNELS=folder
	$(SIM_FETCH_TOOLS)
	@$(PYTHON) cuda/sim/run.py time $(SIM_KERNELS) --gpu $(GPU) --batch $(BATCHES) $(ARGUMENTS)

sim-profile: BATCHES := 32x100x100
sim-profile: $(SIM_DRIVER) $(GPU_BATCH) ## print simulated cycles by function of the source; GPU, BATCHES and KERNELS as above
	$(SIM_FETCH_TOOLS)
	@$(PYTHON) cuda/sim/run.py profile $(SIM_KERNELS) --gpu $(GPU) --batch $(BATCHES) $(ARGUMENTS)

test-sim: $(SIM_DRIVER) $(GPU_BATCH) $(VENV)/.complete ## test the simulator itself
	$(SIM_FETCH_TOOLS)
	$(BIN)/python -m pytest tests/sim

test-sim-cycles: $(SIM_DRIVER) $(GPU_BATCH) ## compare simulated cycles with those on record
	$(SIM_FETCH_TOOLS)
	@$(PYTHON) cuda/sim/cycles.py

record-sim-cycles: $(SIM_DRIVER) $(GPU_BATCH) ## write the present cycles to the record
	$(SIM_FETCH_TOOLS)
	@$(PYTHON) cuda/sim/cycles.py --record

$(SIM_TOOLS)/.complete: $(VENV)/.complete
	rm -rf $(SIM_TOOLS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	  --target $(SIM_TOOLS) $(SIM_PINS)
	touch $@

# Products and sums are rounded one by one, as they are on the GPU.
$(SIM)/%.o: cuda/sim/%.cc $(wildcard cuda/sim/*.h)
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O3 -ffp-contract=off -Wall -Wextra -Werror -fPIC -fvisibility=hidden -pthread -c $< -o $@

$(SIM_DRIVER): $(SIM_OBJECTS)
	@mkdir -p $(@D)
	$(CXX) -shared -pthread -Wl,-soname,libcuda.so.1 -Wl,-z,defs $^ -o $@
