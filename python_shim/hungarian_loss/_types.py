"""Names for what the public functions take and give."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy.typing as npt
import tensorflow as tf

Tensor: TypeAlias = tf.Tensor
TensorLike: TypeAlias = tf.Tensor | tf.Variable | npt.ArrayLike
# [batch, objects, features]; in a RaggedTensor samples may hold different numbers of objects.
Objects: TypeAlias = TensorLike | tf.RaggedTensor
CostFunction: TypeAlias = Callable[[Tensor, Tensor], TensorLike]
# By its name in keras.losses, as a Keras loss that does not reduce, or any function.
SliceLoss: TypeAlias = str | keras.losses.Loss | Callable[[Tensor, Tensor], TensorLike]
UnmatchedLoss: TypeAlias = Callable[[Tensor], TensorLike]
MaskFunction: TypeAlias = Callable[[Tensor], TensorLike]
# Features of a slice, the same on both sides or (true, predicted).
Size: TypeAlias = int | Sequence[int]
# A variable is followed while it is trained.
Weight: TypeAlias = float | tf.Variable | keras.Variable
