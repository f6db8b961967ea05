"""Exact matching for other packages' detectors: one module for each package, named as it is."""
