"""How pip builds the package: as setuptools does, after the op is built. A wheel without an op is never made.

`make wheel` puts an op for each TensorFlow into ``_builds`` beforehand; then the wheel gets these. Otherwise the op is built for the TensorFlow of
the environment, which pip hides from a build unless it is told ``--no-build-isolation``.
"""

import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import setuptools
from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401 - pip asks this module for them
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

import build_op

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python_shim" / "hungarian_loss"
BUILDS = PACKAGE / "_builds"

# pip installs a version that is new enough, unless it is told --no-build-isolation.
(EXPECTED,) = re.findall(r'"setuptools>=(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
if int(setuptools.__version__.split(".")[0]) < int(EXPECTED):
    sys.exit(
        f"error: got setuptools {setuptools.__version__} to build with, expected {EXPECTED} or later: "
        f"run `pip install 'setuptools>={EXPECTED}'`, then this again"
    )


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """A wheel with the ops that ``_builds`` holds, or with one for the TensorFlow that is here."""
    # setuptools would pack what an earlier build left there, too. What else is in that folder is make's.
    for pattern in ("lib", "lib.*", "bdist.*"):
        for left in (ROOT / "build").glob(pattern):
            shutil.rmtree(left)
    if BUILDS.exists():
        return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))
    try:
        _build_op(BUILDS / "here")
        return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))
    finally:
        # So that the next wheel, perhaps beside another TensorFlow, gets its own.
        shutil.rmtree(BUILDS, ignore_errors=True)


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """The package in place, with an op for the TensorFlow that is here; with the setting ``op=later`` `make build` builds that."""
    if (config_settings or {}).get("op") != "later":
        _build_op(PACKAGE)
    return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))


def _build_op(folder: pathlib.Path) -> None:
    try:
        build_op.build(folder / "_hungarian.so")
    except build_op.CannotBuildError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error.cmd[0]} failed, as it says above")
