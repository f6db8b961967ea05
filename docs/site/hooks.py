"""Links from the documents to files that the site does not hold become plain words; each file must be in the
repository."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by mkdocs for each page.

    Raises:
      FileNotFoundError: a link leads nowhere.
    """

    def words(link: re.Match[str]) -> str:
        path = link[2].split("#")[0]
        if not (ROOT / "docs" / path).exists():
            raise FileNotFoundError(f"{link[0]} leads to {path}, which is not there")
        return link[1]

    return re.sub(r"\[([^]]*)\]\((\.\./[^)]*|[^)/]*\.ipynb)\)", words, markdown)
