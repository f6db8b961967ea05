"""The version: from pyproject.toml where the package is in its repository, else from the installed metadata."""

import importlib.metadata
import pathlib
import re


def _version() -> str:
    try:
        project = (pathlib.Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        project = ""
    if re.search(r'^name = "hungarian-loss"$', project, re.MULTILINE):
        found = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
        if found:
            return found[1]
    try:
        return importlib.metadata.version("hungarian-loss")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"  # A copy of the folder alone works all the same.


__version__ = _version()
