##@ arm64, built and run on x86-64 (CONTRIBUTING.md says what has to be installed)

.PHONY: test-arm64 wheel-arm64 wheel-arm64-test arm64-tools

# No part of `make build` and `make test`: it takes a cross compiler, an emulator, and Rust's standard library for arm64.
ARM64 := build/arm64
ARM64_TARGET := aarch64-unknown-linux-gnu
# Where Debian's cross compiler has its C library and its tools.
ARM64_LIBC := /usr/aarch64-linux-gnu
ARM64_CARGO := CARGO_TARGET_DIR=$(ARM64)/target CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L $(ARM64_LIBC)" TARGET_CXX=aarch64-linux-gnu-g++ cargo
ARM64_BUILDS := $(TENSORFLOWS:%=arm64-build-%)
.PHONY: $(ARM64_BUILDS)

arm64-tools: ## check that what the other arm64 targets need is installed
	@for tool in aarch64-linux-gnu-g++:g++-aarch64-linux-gnu qemu-aarch64:qemu-user; do \
	  command -v $${tool%%:*} > /dev/null || { \
	    echo "error: arm64 needs $${tool%%:*}, which is not on PATH; Debian's package $${tool##*:} brings it" >&2; exit 1; }; done
	@test -d "$$($${RUSTC:-rustc} --print target-libdir --target $(ARM64_TARGET))" || { \
	  echo "error: arm64 needs Rust's standard library for $(ARM64_TARGET), which $${RUSTC:-rustc} does not have; CONTRIBUTING.md says where from" >&2; \
	  exit 1; }

# All Rust tests, then the digests of many answers, which must equal those of this machine's processor.
ARM64_PROBLEMS ?= 20000
SHOWN := -- --nocapture --test-threads 1

test-arm64: arm64-tools ## run the Rust tests for arm64 under qemu, and compare digests of answers with this processor's; half an hour
	mkdir -p $(ARM64)
	HUNGARIAN_PROBLEMS=$(ARM64_PROBLEMS) $(ARM64_CARGO) test --locked --tests --target $(ARM64_TARGET) $(SHOWN) > $(ARM64)/tests.txt \
	  || { cat $(ARM64)/tests.txt; exit 1; }
	cargo test --locked --test levels $(SHOWN) > $(ARM64)/levels_here.txt || { cat $(ARM64)/levels_here.txt; exit 1; }
	grep -e '^test result' -e SKIPPED $(ARM64)/tests.txt | sort | uniq --count
	grep '^digest' $(ARM64)/tests.txt > $(ARM64)/digests.txt
	grep '^digest' $(ARM64)/levels_here.txt | diff - $(ARM64)/digests.txt

wheel-arm64: $(ARM64_BUILDS) $(WHEEL_TOOLS)/.complete ## build the wheel for arm64 in build/arm64/dist; TENSORFLOWS=2.21.0 for one TensorFlow
	$(call PACK_WHEEL,$(ARM64),_PYTHON_HOST_PLATFORM=linux-aarch64,$(ARM64_LIBC)/bin:)

# By the rules of build.mk, as in wheel.mk; the compiler flags come from the TensorFlow that runs here.
$(ARM64_BUILDS): arm64-build-%: arm64-tools $(WHEEL)/tensorflow-%.txt $(ARM64)/tensorflow-%/.complete ## build its op for one TensorFlow, such as arm64-build-2.21.0
	$(call CHECK_PYTHON,$*)
	mkdir -p $(ARM64)/builds/$*
	flock $(WHEEL)/lock $(MAKE) VENV=$(WHEEL)/tensorflow-$* REQUIREMENTS=$(WHEEL)/tensorflow-$*.txt INSTALL_PACKAGE= \
	  TARGET=$(ARM64)/target BUILD_OPTIONS="--arm64 $(ARM64)/tensorflow-$*" \
	  PACKAGE=$(ARM64)/builds/$* OP=$(ARM64)/builds/$*/_hungarian.so $(ARM64)/builds/$*/_hungarian.so

# All platform tags of the wheels of TensorFlow and of its dependencies.
ARM64_PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check --only-binary=:all: --python-version 3.11 \
  $(foreach glibc,2_28 2_27 2_26 2_17,--platform manylinux_$(glibc)_aarch64) --platform manylinux2014_aarch64

.PRECIOUS: $(ARM64)/tensorflow-%/.complete
$(ARM64)/tensorflow-%/.complete:
	rm -rf $(@D)
	$(ARM64_PIP) --no-deps --target $(@D) tensorflow==$*
	touch $@

# A Python for arm64 from Debian 12's packages, unpacked, not installed, with one TensorFlow and the wheel in it. The script `python` starts
# it under qemu, and gives its own path as the program's name, so that this Python starts others by the script, too. The script `fit_points`
# starts that program.
ARM64_SYSTEM := $(ARM64)/system
ARM64_SITE := $(ARM64_SYSTEM)/usr/local/lib/python3.11/dist-packages
ARM64_DEBS := python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 libbz2-1.0 libcrypt1 libexpat1 \
  libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g
ARM64_TENSORFLOW = $(lastword $(filter-out %rc0,$(TENSORFLOWS)))
# Makes $(1) a script that starts the arm64 program $(2).
START_ARM64 = printf '\#!/bin/sh\nexec qemu-aarch64 -L %s -0 "$$0" %s "$$@"\n' $(abspath $(ARM64_SYSTEM)) $(abspath $(2)) > $(1) && chmod +x $(1)

wheel-arm64-test: wheel-arm64 $(ARM64_SYSTEM)/.complete $(VENV)/.complete ## try that wheel beside one TensorFlow, ARM64_TENSORFLOW, under qemu; minutes
	rm -rf $(ARM64_SITE) && mkdir -p $(ARM64_SITE)
	$(ARM64_PIP) --target $(ARM64_SITE) tensorflow==$(ARM64_TENSORFLOW)
	$(ARM64_PIP) --no-deps --target $(ARM64_SITE) $(ARM64)/dist/*.whl
	PYTHONPATH=$(ARM64_SITE) $(BIN)/python examples/serving/link_tensorflow.py $(ARM64)/linking
	PKG_CONFIG_PATH=$(abspath $(ARM64)/linking) PKG_CONFIG_ALLOW_CROSS=1 \
	  $(ARM64_CARGO) build --quiet --locked --target $(ARM64_TARGET) --package hungarian-fit-points
	$(call START_ARM64,$(ARM64)/fit_points,$(ARM64)/target/$(ARM64_TARGET)/debug/fit_points)
	$(abspath $(ARM64_SYSTEM)/usr/bin/python) -I tests/wheel/smoke.py $(ARM64_TENSORFLOW) $(abspath $(ARM64)/fit_points)

$(ARM64_SYSTEM)/.complete:
	rm -rf $(ARM64_SYSTEM) $(ARM64)/debs && mkdir -p $(ARM64_SYSTEM) $(ARM64)/debs
	cd $(ARM64)/debs && apt-get download --quiet $(ARM64_DEBS:%=%:arm64)
	for package in $(ARM64)/debs/*.deb; do dpkg -x $$package $(ARM64_SYSTEM) || exit 1; done
	$(call START_ARM64,$(ARM64_SYSTEM)/usr/bin/python,$(ARM64_SYSTEM)/usr/bin/python3.11)
	touch $@
