"""Importing the package: what it exports, and one clear error wherever it cannot work."""

import inspect
import json
import pathlib
import shutil

import pytest

import hungarian_loss
import oracle

PACKAGE = pathlib.Path(hungarian_loss.__file__).parent
DOCUMENTED = [
    "Assignment",
    "Explanation",
    "HungarianLoss",
    "assignment_mask",
    "compute_euclidean_distance",
    "explain",
    "hungarian_loss",
    "linear_assignment",
    "op_library_path",
]


def test_exports_what_is_documented():
    assert sorted(hungarian_loss.__all__) == DOCUMENTED
    public = [name for name, value in vars(hungarian_loss).items() if not name.startswith("_")]
    assert sorted(name for name in public if not inspect.ismodule(getattr(hungarian_loss, name))) == DOCUMENTED


def test_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def public_callables():
    yield "hungarian_loss", hungarian_loss
    for name in DOCUMENTED:
        value = getattr(hungarian_loss, name)
        yield name, value
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
                    yield f"{name}.{attribute}", getattr(value, attribute)


@pytest.mark.parametrize(
    ("name", "value"), list(public_callables()), ids=lambda value: value if type(value) is str else ""
)
def test_everything_public_is_documented(name, value):
    text = value.__doc__
    assert text and text.strip(), f"{name} has no docstring"
    # A NamedTuple's made-up docstring is its signature.
    assert not text.startswith(name + "("), f"{name} has no docstring of its own"
    if inspect.isfunction(value):
        for parameter in inspect.signature(value).parameters.values():
            assert parameter.name == "self" or parameter.annotation is not parameter.empty, f"{name}: {parameter}"


# Where it cannot work.


@pytest.mark.parametrize(
    ("environment", "keras_json", "message"),
    [
        ({"TF_USE_LEGACY_KERAS": "1"}, None, "Keras 3.*TF_USE_LEGACY_KERAS=1.*unset"),
        ({"KERAS_BACKEND": "jax"}, None, "tensorflow backend, got 'jax'.*KERAS_BACKEND=tensorflow"),
        ({}, "torch", "tensorflow backend.*keras.json"),
    ],
    ids=["legacy Keras", "jax", "torch in keras.json"],
)
def test_another_keras(environment, keras_json, message, tmp_path):
    if keras_json is not None:
        settings = {"backend": keras_json, "floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
        (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
        environment = {**environment, "KERAS_HOME": str(tmp_path)}
    said = oracle.run_json(
        """
        import json
        try:
            import hungarian_loss
        except BaseException as error:
            print(json.dumps([type(error).__name__, str(error)]))
        else:
            print(json.dumps(["imported", ""]))
        """,
        env=environment,
    )
    assert said[0] == "ImportError", said
    assert oracle.matches(message, said[1]), said


def copy_of_the_package(folder):
    """A copy that can be spoilt."""
    copy = folder / "hungarian_loss"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


SPOILT = """
import json, os, sys
said = {}
for case in sorted(os.listdir(sys.argv[1])):
    sys.path.insert(0, os.path.join(sys.argv[1], case))
    os.chdir(sys.path[0])
    if case == "z loaded by another name":
        import tensorflow as tf
        tf.load_op_library("hungarian_loss/_hungarian.so")
    try:
        import hungarian_loss
        said[case] = ["imported", hungarian_loss.__file__]
    except BaseException as error:
        said[case] = [type(error).__name__, str(error)]
    sys.path.pop(0)
    for name in [name for name in sys.modules if name.startswith("hungarian_loss")]:
        del sys.modules[name]
print(json.dumps(said))
"""

# The last one loads the library for good, so it is the last.
REASONS = {
    "a another TensorFlow": "built for TensorFlow 2.19 and this is TensorFlow 2",
    "b no library": "has not been built.*_hungarian.so.*make build",
    "c no version": "has not been built.*make build",
    "d not a library": "cannot load its op from .*_hungarian.so",
    "e an empty version": "built for TensorFlow",
    "f a wheel for others": "built for TensorFlow 2.18 and 2.19 and this is TensorFlow 2",
    "y a wheel with ours": "cannot load its op from .*_builds/2.99.1/_hungarian.so",
    "z loaded by another name": "loaded before under another name.*_hungarian.so",
}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """What a fresh process says to each spoilt copy."""
    folder = tmp_path_factory.mktemp("copies")
    copies = {case: copy_of_the_package(folder / case) for case in REASONS}
    (copies["a another TensorFlow"] / "_tensorflow_version.txt").write_text("2.19.1\n", encoding="utf-8")
    (copies["b no library"] / "_hungarian.so").unlink()
    (copies["c no version"] / "_tensorflow_version.txt").unlink()
    (copies["d not a library"] / "_hungarian.so").write_text("not a library", encoding="utf-8")
    (copies["e an empty version"] / "_tensorflow_version.txt").write_text("", encoding="utf-8")
    # As a wheel is laid out: a folder for each TensorFlow.
    ours = (copies["f a wheel for others"] / "_tensorflow_version.txt").read_text(encoding="utf-8")
    as_in_a_wheel(copies["f a wheel for others"], {"2.18.1": "2.18.1", "2.19.0": "2.19.0"})
    # The name of the folder says nothing; the library there is told by what it says of itself.
    as_in_a_wheel(copies["y a wheel with ours"], {"2.18.1": "2.18.1", "2.99.1": ours})
    return oracle.run_json(SPOILT, folder)


def as_in_a_wheel(package, versions):
    """Puts libraries that are none into folders, built for what `versions` says, in place of the package's own."""
    (package / "_hungarian.so").unlink()
    (package / "_tensorflow_version.txt").unlink()
    for folder, version in versions.items():
        build = package / "_builds" / folder
        build.mkdir(parents=True)
        (build / "_hungarian.so").write_text("not a library", encoding="utf-8")
        (build / "_tensorflow_version.txt").write_text(version, encoding="utf-8")


@pytest.mark.parametrize("case", REASONS)
def test_a_spoilt_package(case, spoilt):
    kind, message = spoilt[case]
    assert kind == "ImportError", spoilt[case]
    assert oracle.matches(REASONS[case], message), message


def test_a_second_copy_costs_an_error_and_not_the_process(tmp_path):
    copy = shutil.copy(hungarian_loss.op_library_path(), tmp_path / "copy.so")
    said = oracle.run_json(
        """
        import json, sys
        import tensorflow as tf
        import hungarian_loss
        tf.load_op_library(sys.argv[1])
        try:
            hungarian_loss.linear_assignment([[3.0, 1.0], [1.0, 5.0]])
        except tf.errors.InvalidArgumentError as error:
            print(json.dumps(str(error)))
        """,
        copy,
    )
    assert oracle.matches("Multiple OpKernel registrations", said), said
