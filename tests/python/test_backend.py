"""What the build backend says where it cannot build the package, what it compiles again, and with which compiler."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
import tensorflow as tf

FOLDER = pathlib.Path(__file__).parents[2] / "tf_op"


@pytest.fixture
def build_op():
    spec = importlib.util.spec_from_file_location("build_op", FOLDER / "build_op.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(monkeypatch):
    """Each command that would be run, and its environment."""
    seen = []
    monkeypatch.setattr(subprocess, "run", lambda command, env=None, **_: seen.append((command, env)))
    return seen


def test_another_tensorflow_has_all_compiled_again(build_op, commands, monkeypatch, tmp_path):
    """One that replaced the other in place: Python and folders are named as before."""
    for version in ("2.20.0", "2.21.0"):
        monkeypatch.setattr(tf, "__version__", version)
        build_op.build(tmp_path / "_hungarian.so", tmp_path)
    script = (FOLDER.parent / "build.rs").read_text(encoding="utf-8")
    names = dict(re.findall(r'const (\w+): &str = "(\w+)";', script))
    watched = [names[name] for name in re.findall(r"rerun-if-env-changed=\{(\w+)\}", script)]
    (_, older), _, (_, newer), _ = commands
    assert [name for name in watched if older.get(name) != newer.get(name)] == ["HUNGARIAN_TENSORFLOW_VERSION"]


@pytest.mark.parametrize(
    ("given", "linked_with"),
    [
        ("", ["g++"]),
        (" g++ ", ["g++"]),
        ("g++ -m64", ["g++", "-m64"]),
        ("env g++ -m64", ["env", "g++", "-m64"]),
        ("{folder}/a compiler", ["{folder}/a compiler"]),
    ],
)
def test_a_compiler_of_several_words(build_op, commands, monkeypatch, tmp_path, given, linked_with):
    """CXX may have several words for the linker, as for cargo's build script."""
    compiler = tmp_path / "a compiler"
    compiler.touch(mode=0o700)
    monkeypatch.setenv("CXX", given.format(folder=tmp_path))
    build_op.build(tmp_path / "_hungarian.so", tmp_path)
    (_, (command, _)) = commands
    assert command[: command.index("-shared")] == [word.format(folder=tmp_path) for word in linked_with]


def test_a_compiler_that_is_not_there_is_named(build_op, commands, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler -m64")
    with pytest.raises(build_op.CannotBuildError, match="needs no-such-compiler, which is not on PATH"):
        build_op.build(tmp_path / "_hungarian.so", tmp_path)
    assert commands == []


def test_a_wheel_holds_nothing_of_an_earlier_build(monkeypatch, tmp_path):
    """setuptools keeps the folder from which it packs; files that are gone since would be packed again."""
    monkeypatch.syspath_prepend(FOLDER)
    backend = importlib.import_module("backend")
    for folder in ("lib", "lib.linux-x86_64-cpython-311/hungarian_loss", "bdist.linux-x86_64", "wheel/dist", "peers"):
        (tmp_path / "build" / folder).mkdir(parents=True)
    monkeypatch.setattr(backend, "ROOT", tmp_path)
    monkeypatch.setattr(backend, "BUILDS", tmp_path)
    left = []
    monkeypatch.setattr(
        backend.build_meta, "build_wheel", lambda *_: left.extend(each.name for each in (tmp_path / "build").iterdir())
    )
    backend.build_wheel("here")
    assert sorted(left) == ["peers", "wheel"]


@pytest.mark.parametrize(
    "version, is_refused", [("65.5.0", True), ("76.1.0", True), ("77.0.1", False), ("100.0.0", False)]
)
def test_a_setuptools_that_is_too_old_is_refused_with_a_sentence(version, is_refused):
    """With --no-build-isolation pip uses the one that is installed; an old one would end with a traceback."""
    code = (
        "import sys, setuptools; setuptools.__version__ = sys.argv[1]; sys.path.insert(0, sys.argv[2]); import backend"
    )
    command = [sys.executable, "-c", code, version, str(FOLDER)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (ended.returncode != 0) == is_refused, ended.stderr
    expected = (
        f"error: got setuptools {version} to build with, expected 77 or later: run `pip install 'setuptools>=77'`"
    )
    assert ended.stderr.startswith(expected) == is_refused and "Traceback" not in ended.stderr
