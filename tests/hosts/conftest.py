"""Runs under `make test-hosts`: the real packages, from the folder that it fills, behind what the environment has itself."""

import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(HERE.parent / "python"))
sys.path += [str(HERE), os.environ["HUNGARIAN_HOSTS"], str(HERE / "stand_ins")]
pytest.register_assert_rewrite("oracle", "host_costs")
