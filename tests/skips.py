"""Says that a check was skipped, since the machine lacks what it needs.

`make test` names a file in HUNGARIAN_SKIPPED, and pytest, which is its last step, shows what is in there, so that no
line is lost in half an hour's output. tests/common/mod.rs and tests/cpp/run.sh write to it in the same way.
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


def noted() -> list[str]:
    """What is noted there, each once."""
    path = os.environ.get("HUNGARIAN_SKIPPED")
    if not path or not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return sorted(set(file.read().splitlines()))
