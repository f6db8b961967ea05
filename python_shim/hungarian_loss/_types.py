"""Names for what public functions take and return."""

from typing import TypeAlias

import tensorflow as tf

# What TensorFlow makes a tensor of: tensors, variables, NumPy arrays, Python numbers, and lists of these.
TensorLike: TypeAlias = tf.types.experimental.TensorLike
Tensor: TypeAlias = tf.Tensor
