"""Names for what the losses take."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import tensorflow as tf

from hungarian_loss._types import Tensor, TensorLike

# [batch, objects, features]; in a RaggedTensor samples may hold different numbers of objects.
Objects: TypeAlias = TensorLike | tf.RaggedTensor
CostFunction: TypeAlias = Callable[[Tensor, Tensor], TensorLike]
# A name in keras.losses, a Keras loss that does not reduce, or any function.
SliceLoss: TypeAlias = str | keras.losses.Loss | Callable[[Tensor, Tensor], TensorLike]
UnmatchedLoss: TypeAlias = Callable[[Tensor], TensorLike]
MaskFunction: TypeAlias = Callable[[Tensor], TensorLike]
# Features of a slice, the same on both sides or (true, predicted).
Size: TypeAlias = int | Sequence[int]
# A variable is read at each call, and so may be trained.
Weight: TypeAlias = float | tf.Variable | keras.Variable
