"""Docstrings as the site shows them: references become links."""

import re
from typing import Any

import griffe

PUBLIC = ["hungarian_loss", "hungarian_loss.detection", "hungarian_loss.recipes", "hungarian_loss.monitor"]


class References(griffe.Extension):
    """Turns :func:`name` into a link to where the reference documents it, and the double colon before an example into a
    single one."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called when the package is loaded."""
        places = {}
        for path in PUBLIC:
            module = pkg if path == pkg.path else pkg[path.removeprefix(f"{pkg.path}.")]
            for name in module.exports or module.members:
                if not str(name).startswith("_"):
                    places.setdefault(str(name), f"{path}.{name}")
        self._rewrite(pkg, places)

    def _rewrite(self, thing: Any, places: dict[str, str]) -> None:
        if thing.docstring is not None:
            text = re.sub(
                r":(?:func|class|meth):`(?:[\w.]+\.)?(\w+)`",
                lambda match: _link(match[1], places),
                thing.docstring.value,
            )
            thing.docstring.value = re.sub(r"::$", ":", text, flags=re.MULTILINE)
        for member in list(thing.members.values()):
            if not member.is_alias:
                self._rewrite(member, places)


def _link(name: str, places: dict[str, str]) -> str:
    return f"[`{name}`][{places[name]}]" if name in places else f"`{name}`"
