"""Importing the package: what it exports, and one clear error wherever it cannot work."""

import ast
import graphlib
import inspect
import json
import pathlib
import shutil

import keras
import pytest

import hungarian_loss
import hungarian_loss.recipes
import oracle
from hungarian_loss import detection, monitor

PACKAGE = pathlib.Path(hungarian_loss.__file__).parent
DOCUMENTED = [
    "Assignment",
    "AssignmentPairs",
    "Explanation",
    "HungarianLoss",
    "Matcher",
    "Matching",
    "TensorLike",
    "assignment_mask",
    "assignment_pairs",
    "compute_euclidean_distance",
    "explain",
    "explain_assignment",
    "hungarian_loss",
    "linear_assignment",
    "op_library_path",
]
DETECTION = [
    "Detections",
    "DetrLoss",
    "SetPredictionModel",
    "box_iou",
    "complete_iou",
    "dice_cost",
    "distance_iou",
    "focal_class_cost",
    "generalized_iou",
    "giou_cost",
    "l1_cost",
    "mask_cost",
    "softmax_class_cost",
]
# The modules that users import from, and what they find there.
MODULES = {
    hungarian_loss: DOCUMENTED,
    detection: DETECTION,
    monitor: ["AssignmentMonitor"],
    hungarian_loss.recipes: ["ClusteringAccuracy", "PermutationInvariantLoss", "gated_assignment"],
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_exports_what_is_documented(module):
    assert sorted(module.__all__) == MODULES[module]
    if not hasattr(module, "__path__"):
        return  # The namespace of a module that is a single file also holds what it imports.
    public = [name for name, value in vars(module).items() if not name.startswith("_")]
    assert sorted(name for name in public if not inspect.ismodule(getattr(module, name))) == MODULES[module]


def test_no_module_imports_one_that_imports_it():
    """Imports within functions, and for types only, count too."""
    files = {module_name(file): file for file in PACKAGE.rglob("*.py")}
    graph = {}
    for module, file in files.items():
        found = [
            node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        assert not any(node.level for node in found), f"{file.name}: imports are written from the package"
        # What is imported from a package may be a module of it.
        names = [(node.module, f"{node.module}.{alias.name}") for node in found for alias in node.names]
        graph[module] = {name if name in files else of for of, name in names} & files.keys()
    assert "hungarian_loss._assignment" in graph["hungarian_loss._losses"]
    graphlib.TopologicalSorter(graph).prepare()  # raises a CycleError that names a circle


def module_name(file):
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def public_callables():
    for module, names in MODULES.items():
        yield module.__name__, module
        for name in names:
            value = getattr(module, name)
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
        assert "return" in value.__annotations__, f"{name}: what it returns"


def test_the_version_is_that_of_the_project():
    version, root = hungarian_loss.__version__, PACKAGE.parents[1]
    assert f'\nversion = "{version}"\n' in (root / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{version}"\n' in (root / "Cargo.toml").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{version}]" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_version_of_what_was_installed(tmp_path):
    """Without a pyproject.toml beside it: what pip recorded."""
    copy_of_the_package(tmp_path)
    installed = tmp_path / "hungarian_loss-7.8.9.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: hungarian-loss\nVersion: 7.8.9\n", encoding="utf-8"
    )
    code = "import json, hungarian_loss; print(json.dumps([hungarian_loss.__file__, hungarian_loss.__version__]))"
    file, version = oracle.run_json(code, env={"PYTHONPATH": str(tmp_path)})
    assert (pathlib.Path(file).parent, version) == (tmp_path / "hungarian_loss", "7.8.9")


def test_the_version_is_no_reason_to_refuse_a_copy_of_the_folder(tmp_path):
    copy_of_the_package(tmp_path)
    said = oracle.run_json(
        """
        import importlib.metadata, json, sys
        sys.path.insert(0, sys.argv[1])
        found = importlib.metadata.distribution
        def absent(name):
            if name.replace("_", "-") == "hungarian-loss":
                raise importlib.metadata.PackageNotFoundError(name)
            return found(name)
        importlib.metadata.distribution = absent
        import hungarian_loss
        print(json.dumps([hungarian_loss.__file__.startswith(sys.argv[1]), hungarian_loss.__version__]))
        """,
        tmp_path,
    )
    assert said == [True, "unknown"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """What a fresh process says: of models that it loads after `import hungarian_loss` alone, then of importing anew."""
    folder = tmp_path_factory.mktemp("models")
    image = keras.Input([3, 4])
    outputs = {"boxes": keras.layers.Dense(4)(image), "logits": keras.layers.Dense(3)(image)}
    detector = detection.SetPredictionModel(image, outputs)
    detector.compile(loss=detection.DetrLoss(2, box_cost=3.0))
    separator = keras.Sequential([image, keras.layers.Dense(2)])
    separator.compile(
        loss=hungarian_loss.recipes.PermutationInvariantLoss("mae"),
        metrics=[hungarian_loss.recipes.ClusteringAccuracy(3)],
    )
    slices = keras.Sequential([image, keras.layers.Dense(2)])
    slices.compile(loss=hungarian_loss.HungarianLoss([2]))
    plain = keras.Sequential([image, keras.layers.Dense(2)])
    plain.compile(loss=hungarian_loss.hungarian_loss)
    for name, model in {"detector": detector, "separator": separator, "slices": slices, "plain": plain}.items():
        model.save(folder / f"{name}.keras")
    return oracle.run_json(
        """
        import importlib, json, os, sys, warnings
        import keras
        import hungarian_loss

        loaded = {}
        for file in os.listdir(sys.argv[1]):
            model = keras.saving.load_model(os.path.join(sys.argv[1], file))
            metrics = model.get_compile_config()["metrics"] or []
            names = [type(model).__name__, getattr(model.loss, "__name__", type(model.loss).__name__)]
            metrics = [type(keras.saving.deserialize_keras_object(metric)).__name__ for metric in metrics]
            loaded[file] = names + metrics

        import tensorflow as tf
        warnings.simplefilter("error")

        def used(package):
            cost = tf.constant([[[3.0, 1.0], [1.0, 5.0]]])
            found = []
            for call in (package.linear_assignment, lambda c: tf.vectorized_map(package.linear_assignment, c)):
                with tf.GradientTape() as tape:
                    tape.watch(cost)
                    total = call(cost).total_cost
                found += [total.numpy().tolist(), tf.convert_to_tensor(tape.gradient(total, cost)).numpy().tolist()]
            loss = package.HungarianLoss([2])
            again = type(loss).from_config(loss.get_config())
            return [*found, float(again([[[1.0, 2.0]]], [[[1.0, 4.0]]]))]

        def names():
            return sorted(name for name in sys.modules if name.split(".")[0] == "hungarian_loss")

        results = [used(hungarian_loss)]
        for _ in range(2):
            for name in names():
                del sys.modules[name]
            import hungarian_loss
            results.append(used(hungarian_loss))
        for name in names():
            importlib.reload(sys.modules[name])
        results.append(used(importlib.reload(hungarian_loss)))
        print(json.dumps({"loaded": loaded, "results": results}))
        """,
        folder,
    )


def test_saved_models_load_after_import_of_the_package_alone(fresh):
    assert fresh["loaded"] == {
        "detector.keras": ["SetPredictionModel", "DetrLoss"],
        "separator.keras": ["Sequential", "PermutationInvariantLoss", "ClusteringAccuracy"],
        "slices.keras": ["Sequential", "HungarianLoss"],
        "plain.keras": ["Sequential", "hungarian_loss"],
    }


def test_importing_anew(fresh):
    """After sys.modules was cleared, and by importlib.reload, of the package and of each of its modules."""
    right = [[2.0], [[[0.0, 1.0], [1.0, 0.0]]], [2.0], [[[0.0, 1.0], [1.0, 0.0]]], 2.0]
    assert fresh["results"] == [right] * 4


def test_a_keras_of_another_name():
    """Release candidates of TensorFlow bring keras-nightly."""
    said = oracle.run_json(
        """
        import importlib.metadata, json
        installed = importlib.metadata.version

        def version(name):
            if name == "keras":
                raise importlib.metadata.PackageNotFoundError(name)
            return "3.16.0.dev2026102704" if name == "keras-nightly" else installed(name)

        importlib.metadata.version = version
        from hungarian_loss import hungarian_loss
        print(json.dumps(hungarian_loss([[[1.0, 2.0]]], [[[1.0, 4.0]]]).numpy().tolist()))
        """
    )
    assert said == [2.0]


# Without the Keras that the losses need.

NEEDS_KERAS = ["adapters.keras_hub", "monitor"]

NO_KERAS = {
    "legacy Keras": ({"TF_USE_LEGACY_KERAS": "1"}, "", "Keras 3.8 or newer.*TF_USE_LEGACY_KERAS=1.*unset"),
    "jax": ({"KERAS_BACKEND": "jax"}, "", "tensorflow backend, got 'jax'.*KERAS_BACKEND=tensorflow"),
    "torch in keras.json": ({}, "", "tensorflow backend.*keras.json"),
    "not installed": ({}, "hidden", "Keras 3.8 or newer, and keras is not installed.*pip install"),
    "too old": ({}, "old", "Keras 3.8 or newer, got Keras 3.7.0.*pip install --upgrade"),
    "broken": ({}, "broken", "keras cannot be imported: it is broken.*KERAS_BACKEND"),
}


@pytest.mark.parametrize(("environment", "hidden", "message"), NO_KERAS.values(), ids=NO_KERAS)
def test_assignment_and_costs_need_no_keras_and_the_losses_say_what_they_need(
    environment, hidden, message, tmp_path, request
):
    if "keras.json" in request.node.name:
        settings = {"backend": "torch", "floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
        (tmp_path / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
        environment = {"KERAS_HOME": str(tmp_path)}
    if hidden == "broken":
        (tmp_path / "keras").mkdir()
        (tmp_path / "keras" / "__init__.py").write_text("raise ImportError('it is broken')", encoding="utf-8")
        hidden = tmp_path
    said = oracle.run_json(
        """
        import importlib, importlib.machinery, importlib.metadata, json, sys
        installed = importlib.metadata.version

        find = importlib.machinery.PathFinder.find_spec

        class Hide:
            def find_spec(name, *rest):
                return None if name.split(".")[0] == "keras" else find(name, *rest)

        def version(name):
            if name == "keras" and sys.argv[1] == "old":
                return "3.7.0"
            if name.split("-")[0] == "keras":
                raise importlib.metadata.PackageNotFoundError(name)
            return installed(name)

        if sys.argv[1] in ("hidden", "old"):
            importlib.metadata.version = version
            if sys.argv[1] == "hidden":
                sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Hide
        elif sys.argv[1]:
            sys.path.insert(0, sys.argv[1])
        import tensorflow
        before = {name for name in sys.modules if "keras" in name}
        import hungarian_loss
        from hungarian_loss import recipes
        losses = ["HungarianLoss", "Matcher", "Matching", "explain", "hungarian_loss"]
        said = {}
        for name in losses:
            try:
                exec(f"from hungarian_loss import {name}")
            except BaseException as error:
                said[name] = [type(error).__name__, str(error)]
        for name in ["detection.Detections", "detection.DetrLoss", "detection.SetPredictionModel", "recipes.ClusteringAccuracy",
                     "recipes.PermutationInvariantLoss"]:
            try:
                exec("from hungarian_loss.{} import {}".format(*name.split(".")))
            except BaseException as error:
                said[name] = [type(error).__name__, str(error)]
        for name in sys.argv[2:]:
            try:
                importlib.import_module(f"hungarian_loss.{name}")
            except BaseException as error:
                said[name] = [type(error).__name__, str(error)]
        from hungarian_loss import *
        from hungarian_loss.detection import *
        from hungarian_loss.recipes import *
        costs = compute_euclidean_distance([[0.0, 0.0]], [[3.0, 4.0]]), box_iou([0.5, 0.5, 1, 1], [0.5, 0.5, 1, 0.5])
        solved = linear_assignment([[3, 1], [1, 5]], num_rows=2)
        pairs = assignment_pairs(solved.row_to_col).col_index.numpy().tolist()
        print(json.dumps({
            "said": said,
            "pairs": pairs,
            "costs": [cost.numpy().item() for cost in costs],
            "gated": gated_assignment([[3, 1], [1, 5]], 2).row_to_col.numpy().tolist(),
            "mask": assignment_mask(solved.row_to_col, 2).numpy().tolist(),
            "explained": explain_assignment([[3, 1], [1, 5]]).rise.tolist(),
            "path": op_library_path(),
            "imported": sorted({name for name in sys.modules if "keras" in name} - before - {"hungarian_loss._keras"}),
            "shown": [name for name in [*dir(hungarian_loss), *hungarian_loss.__all__] if name in losses],
            "recipes": [name for name in dir(recipes) if not name.startswith("_")],
            "other": hasattr(hungarian_loss, "no_such_name") or hasattr(recipes, "no_such_name"),
        }))
        """,
        hidden,
        *NEEDS_KERAS,
        env=environment,
    )
    refused = [name for name in DOCUMENTED if name in said["said"]]
    assert len(refused) == 5
    of_modules = ["detection.Detections", "detection.DetrLoss", "detection.SetPredictionModel", *NEEDS_KERAS]
    of_modules += ["recipes.ClusteringAccuracy", "recipes.PermutationInvariantLoss"]
    assert sorted(said["said"]) == sorted([*refused, *of_modules])
    for kind, text in said["said"].values():
        assert kind == "ImportError" and oracle.matches(message, text), text
    assert (said["pairs"], said["mask"]) == ([1, 0], [[False, True], [True, False]])
    assert (said["gated"], said["recipes"]) == ([1, 0], ["gated_assignment"])
    assert (said["costs"], said["explained"]) == ([5.0, 0.5], [6.0, 6.0])
    assert said["path"] == hungarian_loss.op_library_path()
    assert (said["imported"], said["shown"], said["other"]) == ([], [], False)


# Where it cannot work.


def copy_of_the_package(folder):
    """A copy of the package, for tests to spoil."""
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

# README.md says the same.
FROM_SOURCE = (
    rf"`pip install --no-build-isolation \.` in a clone or a source.*hungarian-loss {hungarian_loss.__version__}"
)
# The last one loads the library for good, so it is the last.
REASONS = {
    "a another TensorFlow": f"built for TensorFlow 2.19 and this is TensorFlow 2.*{FROM_SOURCE}",
    "b no library": f"has not been built.*_hungarian.so.*make build.*{FROM_SOURCE}",
    "c no version": "has not been built.*make build",
    "d not a library": "cannot load its op from .*_hungarian.so",
    "e an empty version": "built for TensorFlow",
    "f a wheel for others": "built for TensorFlow 2.18 and 2.19 and this is TensorFlow 2",
    "y a wheel with ours": "cannot load its op from .*_builds/2.99.1/_hungarian.so",
    "z loaded by another name": "loaded before under another name.*_hungarian.so",
}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """What a fresh process says about each spoilt copy."""
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
    # The folder's name does not count; the version file in it says what the library was built for.
    as_in_a_wheel(copies["y a wheel with ours"], {"2.18.1": "2.18.1", "2.99.1": ours})
    return oracle.run_json(SPOILT, folder)


def as_in_a_wheel(package, versions):
    """Replaces the package's own library by fake ones in folders, built for what `versions` says."""
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
