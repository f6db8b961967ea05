##@ Wheel

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

wheel: $(WHEEL_BUILDS) $(WHEEL_TOOLS)/.complete ## build one wheel in build/wheel/dist, with an op for each supported TensorFlow
	rm -rf $(WHEEL_STAGE) $(WHEEL)/unrepaired $(WHEEL)/dist
	mkdir -p $(WHEEL_STAGE)/$(PACKAGE)/_builds
	cp --parents -t $(WHEEL_STAGE) LICENSE README.md pyproject.toml setup.py tf_op/backend.py tf_op/build_op.py \
	  $$(find $(PACKAGE) -name '*.py' -o -name py.typed)
	cp -r $(WHEEL_TENSORFLOWS:%=$(WHEEL)/builds/%) $(WHEEL_STAGE)/$(PACKAGE)/_builds
	$(WHEEL_TOOLS)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir $(WHEEL)/unrepaired $(WHEEL_STAGE)
	PATH=$(abspath $(WHEEL_TOOLS)/bin):$$PATH auditwheel repair --strip --exclude 'libtensorflow*' \
	  --wheel-dir $(WHEEL)/dist $(WHEEL)/unrepaired/*.whl
	$(WHEEL_TOOLS)/bin/python tests/wheel/report.py $(WHEEL)/dist/*.whl

# By the rules of build.mk: from an environment with that TensorFlow and no more, in folders of its own.
$(WHEEL_BUILDS): wheel-build-%: $(WHEEL)/tensorflow-%.txt ## build the op for one TensorFlow, such as wheel-build-2.21.0
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

wheel-test: wheel $(WHEEL_TESTS) wheel-test-other ## install the wheel beside each TensorFlow and try it; runs the targets below

$(WHEEL_TESTS): wheel-test-%: wheel $(LINKING)/tensorflow.pc ## do so beside one TensorFlow, such as wheel-test-2.21.0
	cargo build --quiet --locked --package hungarian-fit-points
	$(call INSTALL_WHEEL,$*)
	$(WHEEL)/test-$*/bin/python -I tests/wheel/smoke.py $* target/debug/fit_points

wheel-test-other: wheel ## check what the wheel says beside a TensorFlow that it does not support
	$(call INSTALL_WHEEL,$(OTHER_TENSORFLOW))
	$(WHEEL)/test-$(OTHER_TENSORFLOW)/bin/python -I tests/wheel/refusal.py $(OTHER_TENSORFLOW) $(WHEEL_TENSORFLOWS)

define INSTALL_WHEEL
rm -rf $(WHEEL)/test-$(1)
$(PYTHON) -m venv $(WHEEL)/test-$(1)
$(WHEEL)/test-$(1)/bin/python -m pip install --quiet --disable-pip-version-check tensorflow-cpu==$(1) $(WHEEL)/dist/*.whl
endef
