##@ Wheel

# A C++ op works with the minor version of TensorFlow that it was built for, so the wheel holds a build for each, and
# the package takes the one that fits.
TENSORFLOWS := 2.16.2 2.17.1 2.18.1 2.19.1 2.20.0 2.21.0 2.22.0rc0
# A TensorFlow that the wheel has no build for, to test the error there.
OTHER_TENSORFLOW := 2.15.1
WHEEL := build/wheel
WHEEL_BUILDS := $(TENSORFLOWS:%=wheel-build-%)
WHEEL_TOOLS := $(WHEEL)/tools

.PHONY: wheel sdist wheel-test wheel-test-python release $(WHEEL_BUILDS)

# The newest Python that pip has a TensorFlow for, the argument; an error names it where this one is newer.
define CHECK_PYTHON
@$(PYTHON) -c 'import sys; here, minor = sys.version_info[1], int("$(1)".split(".")[1]); \
  last = 11 if minor < 16 else 12 if minor < 20 else 13 if minor < 22 else 14; \
  here <= last or sys.exit(f"error: TensorFlow $(1) needs Python 3.{last} or older, got 3.{here}: add PYTHON=python3.{last} to make")'
endef

wheel: $(WHEEL_BUILDS) $(WHEEL_TOOLS)/.complete ## build one wheel in build/wheel/dist, with an op for each of TENSORFLOWS
	$(call PACK_WHEEL,$(WHEEL),,)

# The ops in the `builds` of a folder, the first argument, become a wheel in its `dist`. For another processor the second argument holds
# variables for pip, and the third the folder of that processor's `strip` and a colon.
define PACK_WHEEL
rm -rf $(1)/stage $(1)/unrepaired $(1)/dist
mkdir -p $(1)/stage/$(PACKAGE)/_builds
cp --parents -t $(1)/stage LICENSE README.md pyproject.toml setup.py tf_op/backend.py tf_op/build_op.py \
  $$(find $(PACKAGE) -name '*.py' -o -name py.typed)
cp -r $(TENSORFLOWS:%=$(1)/builds/%) $(1)/stage/$(PACKAGE)/_builds
$(2) $(WHEEL_TOOLS)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
  --wheel-dir $(1)/unrepaired $(1)/stage
PATH=$(abspath $(WHEEL_TOOLS)/bin):$(3)$$PATH auditwheel repair --strip --exclude 'libtensorflow*' \
  --wheel-dir $(1)/dist $(1)/unrepaired/*.whl
$(WHEEL_TOOLS)/bin/python tests/wheel/report.py $(1)/dist/*.whl
endef

# For a TensorFlow that the wheel has no build for. Made of a clean copy: no leftovers, and nothing that git does not hold. Packed anew,
# with the commit's time and no owner, so that the same versions of tar and gzip make the same bytes of a commit.
sdist: $(WHEEL_TOOLS)/.complete ## make a source distribution in build/wheel/sdist, of what is committed
	rm -rf $(WHEEL)/source $(WHEEL)/sdist $(WHEEL)/unpacked $(WHEEL)/unpacked.tar
	mkdir -p $(WHEEL)/source $(WHEEL)/unpacked
	git archive HEAD | tar -x -C $(WHEEL)/source
	$(WHEEL_TOOLS)/bin/python -m build --sdist --no-isolation --outdir $(WHEEL)/sdist $(WHEEL)/source > $(WHEEL)/sdist.log
	tar -xzf $(WHEEL)/sdist/*.tar.gz -C $(WHEEL)/unpacked
	for name in $$(ls $(WHEEL)/unpacked); do \
	  tar -C $(WHEEL)/unpacked --format=posix --pax-option=delete=atime,delete=ctime --sort=name --mtime=@$$(git log -1 --format=%ct) \
	    --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf $(WHEEL)/unpacked.tar $$name && \
	  gzip -n < $(WHEEL)/unpacked.tar > $(WHEEL)/sdist/$$name.tar.gz || exit 1; done

# By the rules of build.mk, from an environment with that TensorFlow and no more. They share cargo's folder, one at a time, so that what
# does not depend on TensorFlow is compiled once.
$(WHEEL_BUILDS): wheel-build-%: $(WHEEL)/tensorflow-%.txt ## build the op for one TensorFlow, such as wheel-build-2.21.0
	$(call CHECK_PYTHON,$*)
	mkdir -p $(WHEEL)/builds/$*
	flock $(WHEEL)/lock $(MAKE) VENV=$(WHEEL)/tensorflow-$* REQUIREMENTS=$(WHEEL)/tensorflow-$*.txt INSTALL_PACKAGE= \
	  TARGET=$(WHEEL)/target PACKAGE=$(WHEEL)/builds/$* OP=$(WHEEL)/builds/$*/_hungarian.so $(WHEEL)/builds/$*/_hungarian.so

.PRECIOUS: $(WHEEL)/tensorflow-%.txt
$(WHEEL)/tensorflow-%.txt:
	mkdir -p $(@D)
	echo tensorflow-cpu==$* > $@

$(WHEEL_TOOLS)/.complete: python_shim/wheel_requirements.txt
	$(PYTHON) -m venv $(WHEEL_TOOLS)
	$(WHEEL_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# A bare environment for each TensorFlow and each Python; this many at a time.
WHEEL_TEST_JOBS ?= 2

wheel-test-python: ## check that the Python of wheel-test can have the TensorFlow that the wheel has no build for
	$(call CHECK_PYTHON,$(OTHER_TENSORFLOW))

wheel-test: wheel-test-python wheel sdist $(LINKING)/tensorflow.pc ## install the wheel beside each TensorFlow and on each Python, try it, and print a table
	cargo build --quiet --locked --package hungarian-fit-points
	$(BIN)/python tests/wheel/matrix.py $(WHEEL)/dist/*.whl target/debug/fit_points $(WHEEL)/test $(TENSORFLOWS) \
	  --other $(OTHER_TENSORFLOW) --sdist $(WHEEL)/sdist/*.tar.gz --jobs $(WHEEL_TEST_JOBS)

release: wheel-test ## check that all versions agree, build and try everything, and print checksums; docs/releasing.md
	$(WHEEL_TOOLS)/bin/python tests/wheel/release.py $(WHEEL)/dist/*.whl $(WHEEL)/sdist/*.tar.gz
