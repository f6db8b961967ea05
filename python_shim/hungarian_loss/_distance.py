"""Cost matrices."""

from typing import Any

import tensorflow as tf

from hungarian_loss._shapes import summed
from hungarian_loss._types import Tensor, TensorLike

# Up to this many features it is faster to take one at a time: up to six times at two features, 1.0 to 3 times at eight.
_FEW = 8


def compute_euclidean_distance(a: TensorLike, b: TensorLike) -> Tensor:
    """Euclidean distance of every object of ``a`` from every object of ``b``.

    Differences are taken before they are squared, so near objects keep all their digits. The gradient is finite
    everywhere: 0 where two objects coincide.

    Args:
      a: ``[..., n, features]``, of any float type. Integers and bool are cast to the float type of the other argument,
        or to float32 if it has none. Floats of a NumPy array beside a tensor of a float type, and of a list beside
        either, are cast to the other's type, too. (An array that is passed to a ``tf.function`` is a tensor inside of
        it.)
      b: ``[..., m, features]``, of the same type. Leading dimensions broadcast, features do not.

    Returns:
      ``[..., n, m]``, in the units of the features, and of their type. Half-precision is computed in float32 and rounded
      once.

    Raises:
      TypeError: two tensors or two arrays of different float types, or a type that is not float, integer or bool.
      ValueError: a rank below 2, or unequal numbers of features, where this is known while tracing.
      tf.errors.InvalidArgumentError: the same, where it shows only when run.
    """
    a, b = _of_one_type(a, b)
    return tf.cast(_root(_squared(a, b)), a.dtype)


def undifferentiated_distances(a: Any, b: Any) -> Any:
    """What :func:`compute_euclidean_distance` returns, where no gradient is taken and so a plain root is enough."""
    a, b = _of_one_type(a, b)
    return tf.cast(tf.sqrt(_squared(a, b)), a.dtype)


def _squared(a: Any, b: Any) -> Any:
    """``[..., n, features]``, ``[..., m, features]`` of one type -> ``[..., n, m]`` of float32 or float64."""
    # Squares of half-precision numbers overflow, or are 0, where the distance itself is an ordinary number.
    real = tf.float64 if a.dtype == tf.float64 else tf.float32
    a, b = tf.cast(a, real), tf.cast(b, real)
    b = _with_equal_features(a, b)
    a, b = a[..., :, tf.newaxis, :], b[..., tf.newaxis, :, :]
    features = a.shape[-1] if a.shape.rank is not None and a.shape.rank == b.shape.rank else None
    few = features is not None and 1 <= features <= _FEW and b.shape[-1] == features
    if not few:
        return summed(tf.math.squared_difference(a, b), axis=-1)
    # One feature at a time: TensorFlow broadcasts and sums along a short last axis several times slower.
    pairs = zip(tf.unstack(a, axis=-1), tf.unstack(b, axis=-1), strict=True)
    return tf.add_n([tf.math.squared_difference(x, y) for x, y in pairs])


def _of_one_type(a: Any, b: Any) -> tuple[Any, Any]:
    """Both as tensors of one float type."""
    # Whose type counts: a tensor's before an array's, as float64 may be no more than NumPy's default; an array's before
    # that of a list, which has none of its own.
    firmness = [2 if tf.is_tensor(x) else int(hasattr(x, "dtype")) for x in (a, b)]
    if firmness[0] < firmness[1]:
        b, a = _of_one_type(b, a)
        return a, b
    a = tf.convert_to_tensor(a)
    follows = firmness[0] > firmness[1] and a.dtype.is_floating
    # Converted to that type directly: by way of float32 a list of numbers would lose digits.
    b = tf.convert_to_tensor(b, dtype_hint=a.dtype if follows else None)
    if follows and b.dtype.is_floating:
        b = tf.cast(b, a.dtype)
    types = [x.dtype for x in (a, b) if not x.dtype.is_integer and not x.dtype.is_bool] or [tf.float32]
    if types[0] != types[-1] or not types[0].is_floating:
        raise TypeError(f"a and b must be of one float type, got {a.dtype.name} and {b.dtype.name}; cast one of them")
    return tf.cast(a, types[0]), tf.cast(b, types[0])


def _with_equal_features(a: Any, b: Any) -> Any:
    """``b``, certain to have as many features as ``a``: a single feature would broadcast."""
    for name, objects in (("a", a), ("b", b)):
        if objects.shape.rank is not None and objects.shape.rank < 2:
            raise ValueError(f"{name} must be [..., objects, features], got shape {objects.shape}")
    sizes = [None if objects.shape.rank is None else objects.shape[-1] for objects in (a, b)]
    if None in sizes:
        # Not an assertion: XLA would drop it.
        with tf.name_scope("a_and_b_must_have_equally_many_features"):
            return tf.reshape(b, tf.concat([tf.shape(b)[:-1], tf.shape(a)[-1:]], axis=0))
    if sizes[0] != sizes[1]:
        raise ValueError(f"a and b must have equally many features, got shapes {a.shape} and {b.shape}")
    return b


def distance(a: Any, b: Any) -> Any:
    """Euclidean distance along the last axis, ``[..., features]`` twice (broadcast) -> ``[...]``."""
    return _root(summed(tf.math.squared_difference(a, b), axis=-1))


def _root(squared: Any) -> Any:
    # Root and derivative are taken where both exist: at 0 the root's slope is infinite, and inf · 0 is NaN.
    apart = squared > 0
    root = tf.sqrt(tf.where(apart, squared, tf.ones_like(squared)))
    # A NaN is not "apart" and must not turn into a distance of 0.
    return tf.where(apart, root, squared)
