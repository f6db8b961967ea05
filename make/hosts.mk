##@ Other packages' detectors

.PHONY: test-hosts

# KerasHub and TF Models, from PyPI, without their dependencies.
HOSTS := build/hosts

test-hosts: build $(HOSTS)/.complete ## test the adapters and DetrLoss against the real KerasHub and TF Models, which it downloads; minutes
	HUNGARIAN_HOSTS=$(abspath $(HOSTS)) $(BIN)/python -m pytest tests/hosts

$(HOSTS)/.complete: tests/hosts/requirements.txt $(VENV)/.complete
	rm -rf $(HOSTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --target $(HOSTS) --requirement $<
	touch $@
