"""The Python code in README.md and docs/ runs, and its results are those shown there; links within the repository are
valid.

Sybil finds the blocks marked ```python, runs those of a file in order in one namespace, and compares what stands below `>>>`.
"""

import pathlib
import re

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
    """A search that finds no code would pass the last test."""
    assert {"README.md", "docs/detection.md"} <= set(map(name, WITH_CODE))


# Neither build folders nor hidden ones.
FOLDERS = [one for one in ROOT.iterdir() if one.is_dir() and one.name[0] != "." and one.name not in ("build", "target")]
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in folder.rglob("*.md"))])


def prose(path: pathlib.Path) -> str:
    """The text without blocks of code and code within a line."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path: pathlib.Path) -> set[str]:
    """The names that GitHub gives to headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    """Only links within the repository are checked."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_there_are_links() -> None:
    """A search that finds no links would pass the test above."""
    links = [link for page in PAGES for link in re.findall(r"\]\((?!http)([^)\s]+)\)", prose(page))]
    assert len(links) > 20 and any("#" in link for link in links)


@pytest.mark.parametrize("document", WITH_CODE, ids=name)
def test_document_runs(document: Document) -> None:
    """Errors point at the line in the document."""
    for example in document.examples():
        example.evaluate()
