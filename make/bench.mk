##@ Speed

.PHONY: bench-core

# The other solvers come from PyPI, without their dependencies.
PEERS := build/peers
PUBLISHED := hungarian-loss==1.0.3
PEER_PINS := laprust==1.0.0 lapcpp==1.0.0 lapx==0.11.1 fastlap==0.4.0 tf-models-official==2.20.0 tf-keras==2.21.0

# A solver that cannot be installed is shown as missing. The published package has a module of the same name as ours, and so a folder of its
# own.
INSTALL_PEER := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --target

$(PEERS)/.complete: make/bench.mk
	rm -rf $(PEERS)
	for pin in $(PEER_PINS); do $(INSTALL_PEER) $(PEERS) $$pin || true; done
	$(INSTALL_PEER) $(PEERS)/published $(PUBLISHED) || true
	mkdir -p $(PEERS) && touch $@

# `make bench-core ARGUMENTS=100x100` for one shape, `ARGUMENTS="--save-baseline before"` to compare later.
bench-core: ## time the solver alone with criterion; ARGUMENTS=100x100 picks a shape
	cargo bench --locked --package hungarian-core-bench --bench solve -- $(ARGUMENTS)
