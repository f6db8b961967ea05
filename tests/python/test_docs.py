"""The code in the documents runs as it stands there."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))


def python_blocks(document: pathlib.Path) -> str:
    """All python blocks of a document as one program, on the lines where they stand."""
    lines, inside = [], False
    for line in document.read_text(encoding="utf-8").splitlines():
        if re.match(r"```", line):
            inside = line == "```python"
            lines.append("")
        else:
            lines.append(line if inside else "")
    return "\n".join(lines)


def test_there_is_something_to_run() -> None:
    """A glob that finds nothing would pass every other test here."""
    assert any(python_blocks(document).strip() for document in DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_document_runs(document: pathlib.Path) -> None:
    """Errors point at the line in the document."""
    exec(compile(python_blocks(document), str(document), "exec"), {"__name__": "document"})  # noqa: S102 - our own documents
