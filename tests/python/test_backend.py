"""What pip is told where it cannot build the package."""

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "tf_op"


@pytest.mark.parametrize(
    "version, is_refused", [("65.5.0", True), ("76.1.0", True), ("77.0.1", False), ("100.0.0", False)]
)
def test_a_setuptools_that_is_too_old_is_refused_with_a_sentence(version, is_refused):
    """pip takes whichever is there when it is told --no-build-isolation, and an old one ended with a traceback."""
    code = (
        "import sys, setuptools; setuptools.__version__ = sys.argv[1]; sys.path.insert(0, sys.argv[2]); import backend"
    )
    command = [sys.executable, "-c", code, version, str(FOLDER)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (ended.returncode != 0) == is_refused, ended.stderr
    expected = (
        f"error: got setuptools {version} to build with, expected 77 or later: run `pip install 'setuptools>=77'`"
    )
    assert ended.stderr.startswith(expected) == is_refused and "Traceback" not in ended.stderr
