"""`make help` lists every target, and every target that a document names exists."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


# Also if the test itself runs under make.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def make(*arguments: str) -> str:
    """What make prints."""
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout


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


@pytest.mark.parametrize(
    ("tensorflow", "python", "last"),
    [("2.15.1", 11, None), ("2.15.1", 12, 11), ("2.19.1", 12, None), ("2.19.1", 13, 12), ("2.21.0", 14, 13)],
)
def test_a_python_that_a_tensorflow_is_not_for_is_refused_with_a_sentence(
    tensorflow: str, python: int, last: int | None, tmp_path: pathlib.Path
) -> None:
    """Before anything is built."""
    program = tmp_path / "python"
    code = f"import sys; sys.version_info = (3, {python}); exec(sys.argv[1])"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -c "{code}" "$2"\n', encoding="utf-8")
    program.chmod(0o700)
    command = ["make", "wheel-test-python", f"PYTHON={program}", f"OTHER_TENSORFLOW={tensorflow}"]
    ended = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (ended.returncode == 0) == (last is None), ended.stderr
    if last is not None:
        expected = f"error: TensorFlow {tensorflow} needs Python 3.{last} or older, got 3.{python}: add PYTHON=python3.{last} to make"
        assert expected in ended.stderr.splitlines()


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
