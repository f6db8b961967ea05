"""Functions that users give to a loss: calling them and checking what they return, saving and loading them."""

import inspect
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from hungarian_loss._shapes import Dimension, known_size, with_shape

Function = Callable[..., Any]

# The class names under which Keras saves plain functions.
_FUNCTIONS = ("function", "__lambda__")

_CALLED_ONCE = ". It is called once on the whole batch: wrap a function of one sample in tf.vectorized_map"


class Caller:
    """Calls functions on a whole batch, and checks the shape of what they return.

    A function written for one sample may return the right shape by chance: on ``[n, n, f]`` it can take objects for
    samples. So where sizes are unknown, or the batch is as large as a set, the function is traced once more, for a
    batch of another size.
    """

    def __init__(self) -> None:
        self._told: set[Any] = set()

    def __call__(
        self, what: str, contract: str, function: Function, inputs: Sequence[Any], like: Sequence[Dimension]
    ) -> Any:
        """The function's value, certain to have the dimensions ``like``, the first of which is the batch.

        Raises:
          ValueError: it has other dimensions, or the function takes another dimension for the batch.
          tf.errors.InvalidArgumentError: it has other dimensions, and this shows only when run.
        """
        sentence = f"{what} must return {contract}"
        values = function(*inputs)
        try:
            values = tf.convert_to_tensor(values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{sentence}, a tensor; got {type(values).__name__}{_CALLED_ONCE}") from error
        checked = with_shape(values, like, sentence, _CALLED_ONCE)
        if _may_be_chance(values.shape, inputs[0].shape[0]):
            seen = id(function), *(tuple(x.shape) for x in inputs)
            if seen not in self._told:
                _try_another_batch(sentence, function, inputs, like)
                self._told.add(seen)
        return checked


# Autograph cannot convert a return within a try.
@tf.autograph.experimental.do_not_convert
def _try_another_batch(sentence: str, function: Function, inputs: Sequence[Any], like: Sequence[Dimension]) -> None:
    # A batch size that no input has. Other sizes change only where they are unknown, to one such size for each axis.
    batch = 2 + max((size for x in inputs for size in x.shape if size is not None), default=0)
    sizes = [[batch, *(size or batch + axis for axis, size in enumerate(x.shape[1:], 1))] for x in inputs]
    expected = [batch, *(known_size(dimension) or batch + dimension[1] for dimension in like[1:])]  # type: ignore[index]
    specs = [tf.TensorSpec(shape, x.dtype) for shape, x in zip(sizes, inputs, strict=True)]
    try:
        shape = tf.function(function, autograph=False).get_concrete_function(*specs).structured_outputs.shape
    except Exception:  # noqa: BLE001 - whatever keeps it from being traced, it worked on the batch itself
        return
    # A function that holds a tensor of the real batch's size returns that size again, which proves nothing.
    if shape.rank != 0 and shape[:1] == [batch] and not shape.is_compatible_with(expected):
        raise ValueError(
            f"{sentence}; for a batch of {batch} got shape {shape}, expected {tuple(expected)}{_CALLED_ONCE}"
        )


def _may_be_chance(shape: Any, batch: int | None) -> bool:
    if shape.rank is None or None in shape[1:]:
        return True
    return batch != 1 and batch in shape[1:]


def saved(argument: str, function: Function | None) -> Any:
    """A function as Keras saves it. If it cannot be found on loading, this warns; it can then be given under its
    argument's name."""
    if function is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            config = keras.saving.serialize_keras_object(function)
        # A lambda typed at a prompt has no source, which Keras wants for its warning.
        except (TypeError, ValueError, OSError):
            config = None
        # Keras leaves the type out. Where it is Keras's float type the loss follows that, as a loss made with no type does.
        if config is not None and isinstance(function, keras.losses.Loss) and _has_own_dtype(function):
            config["config"].setdefault("dtype", function.dtype)
        found = _found(config)
    if _same(function, found):
        return config
    warnings.warn(f"{argument} {function!r} will not be found again on loading: {_ways_out(argument)}", stacklevel=3)
    # Keras's form serves if nothing is found by it. It must not lead to another function of the same name.
    if found is None and config is not None and config["class_name"] in _FUNCTIONS:
        return config
    return {"module": "builtins", "class_name": "function", "config": argument, "registered_name": argument}


def takes_dtype(loss: keras.losses.Loss) -> bool:
    """Whether the class of a loss has the argument ``dtype``: Keras's own do, a user's may not."""
    return "dtype" in inspect.signature(type(loss)).parameters


def _has_own_dtype(loss: keras.losses.Loss) -> bool:
    return takes_dtype(loss) and loss.dtype != keras.config.floatx()


def loaded(argument: str, config: Any) -> Any:
    """The inverse of :func:`saved`. A function or the name of a Keras loss, in a config that was written by hand, stays
    as it is; so does what is neither, for the class to refuse.

    Raises:
      ValueError: the function cannot be found.
    """
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        return config
    given = keras.saving.get_registered_object(argument)
    if given is not None and config["class_name"] in _FUNCTIONS:
        return given
    try:
        return keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError) as error:
        name = config["config"] if isinstance(config["config"], str) else argument
        raise ValueError(f"{argument} was not found: {_ways_out(name)}. Keras says: {error}") from error


def _found(config: Any) -> Any:
    try:
        return keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError, AttributeError):
        return None


def _same(function: Any, found: Any) -> bool:
    """Whether ``found`` is ``function``: not another one of the same name, but the same one defined anew in a
    notebook."""
    if not isinstance(function, types.FunctionType):
        return type(function) is type(found)
    names = ("__module__", "__qualname__")
    return found is function or all(getattr(function, name) == getattr(found, name, None) for name in names)


def _ways_out(name: str) -> str:
    return (
        "use a named function registered with @keras.saving.register_keras_serializable() before saving, "
        f"or load with custom_objects={{{name!r}: the function}}, or with compile=False and compile anew"
    )
