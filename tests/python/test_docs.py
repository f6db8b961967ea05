"""The Python code in README.md and docs/ runs as it stands there, and shows what it is said to show.

Sybil finds the blocks marked ```python, runs those of a file in order in one namespace, and compares what stands below `>>>`.
"""

import pathlib

import pytest
from sybil import Document, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYBIL = Sybil(parsers=[PythonCodeBlockParser()])
DOCUMENTS = [SYBIL.parse(path) for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]]
WITH_CODE = [document for document in DOCUMENTS if list(document.examples())]


def name(document: Document) -> str:
    return str(pathlib.Path(document.path).relative_to(ROOT))


def test_there_is_something_to_run() -> None:
    """A search that finds nothing would pass the other test."""
    assert {"README.md", "docs/detection.md"} <= set(map(name, WITH_CODE))


@pytest.mark.parametrize("document", WITH_CODE, ids=name)
def test_document_runs(document: Document) -> None:
    """Errors point at the line in the document."""
    for example in document.examples():
        example.evaluate()
