"""Says that a check was skipped, since the machine lacks what it needs.

`make test` names a file in HUNGARIAN_SKIPPED, and ends with its lines, so that none is lost in half an hour's output.
tests/common/mod.rs and tests/cpp/run.sh write to it in the same way.
"""

import os


def say(what: str) -> None:
    """Prints it, and notes it for the end of `make test`."""
    print(f"SKIPPED: {what}", flush=True)
    note(what)


def note(what: str) -> None:
    """Notes it for the end of `make test`, if that is what runs."""
    path = os.environ.get("HUNGARIAN_SKIPPED")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"SKIPPED: {what}\n")
