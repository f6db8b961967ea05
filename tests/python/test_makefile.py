"""`make help` lists every target, and every target that a document names exists."""

import importlib.util
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make(*arguments: str) -> str:
    """What make prints, also if the test itself runs under make."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def targets() -> set[str]:
    """All phony targets, as make itself knows them."""
    database = make("--print-data-base", "--dry-run", "help")
    return set(re.search(r"^\.PHONY:(.*)$", database, re.MULTILINE)[1].split())


def test_help_lists_every_target() -> None:
    """A target that exists for each TensorFlow is listed once."""
    listed = re.findall(r"^  (\S+) +\S", make("help"), re.MULTILINE)
    assert sorted(listed) == sorted({re.sub(r"-\d[\d.rc]*$", "-%", target) for target in targets()})


def test_another_tensorflow_in_the_environment_has_the_op_built() -> None:
    """Also one that was installed by pip, without make."""
    tensorflow = importlib.util.find_spec("tensorflow").origin
    assert pathlib.Path(tensorflow).is_relative_to(ROOT / ".venv")
    planned = make("--dry-run", "--what-if", os.path.relpath(tensorflow, ROOT), "build")
    assert "tf_op/build_op.py" in planned


def test_documents_name_targets_that_exist() -> None:
    """In code spans, and at the beginning of a line of a block."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/**/*.md")]
    text = "\n".join(document.read_text(encoding="utf-8") for document in documents)
    named = {
        target
        for line in re.findall(r"(?:^|`)make((?: +[a-z][a-z0-9-]*)+)", text, re.MULTILINE)
        for target in line.split()
    }
    assert "test" in named
    assert named - targets() == set()
