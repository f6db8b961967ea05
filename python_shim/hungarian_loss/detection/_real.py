"""In which type boxes, logits and masks are computed: half-precision has too few digits for sums and areas."""

from typing import Any

import tensorflow as tf

from hungarian_loss._types import TensorLike


def as_real(values: TensorLike) -> Any:
    """Float64 as it is, everything else in float32."""
    values = tf.convert_to_tensor(values)
    return values if values.dtype in (tf.float32, tf.float64) else tf.cast(values, tf.float32)


def of_one_type(*given: TensorLike) -> list[Any]:
    """All in float64 if a tensor among them is, else in float32. NumPy's arrays, which are of float64 unless told
    otherwise, count only where there is no tensor.
    """
    values = [as_real(one) for one in given]
    of_tensors = [value.dtype for one, value in zip(given, values, strict=True) if tf.is_tensor(one)]
    types = of_tensors or [value.dtype for value in values]
    return [tf.cast(value, tf.float64 if tf.float64 in types else tf.float32) for value in values]
