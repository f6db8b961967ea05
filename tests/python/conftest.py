"""For all tests: a quiet TensorFlow, and helper modules that can be imported and whose assertions pytest explains."""

import os
import pathlib
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).parent))
pytest.register_assert_rewrite("oracle")
