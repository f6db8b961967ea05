##@ Tracking

.PHONY: track test-tracking

# The videos' boxes and what scores the tracks, in a folder of their own: nothing else may depend on them.
TRACKING := build/tracking
TRACKING_PACKAGES := $(TRACKING)/packages
TRACKING_PYTHON := PYTHONPATH=$(abspath $(TRACKING_PACKAGES)) $(BIN)/python

track: build $(TRACKING_PACKAGES)/.complete ## follow people in two videos, score the tracks with motmetrics, draw them; seconds
	$(TRACKING_PYTHON) examples/tracking/track.py --output $(TRACKING)/tracks.png

test-tracking: build $(TRACKING_PACKAGES)/.complete ## test the tracker, and all frames of the videos against SciPy
	$(TRACKING_PYTHON) -m pytest examples/tracking

$(TRACKING_PACKAGES)/.complete: examples/tracking/requirements.txt $(VENV)/.complete
	rm -rf $(TRACKING_PACKAGES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	  --target $(TRACKING_PACKAGES) --requirement $<
	touch $@
