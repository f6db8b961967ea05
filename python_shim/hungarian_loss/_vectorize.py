"""Lets ``tf.vectorized_map`` solve all its problems in one call of the op, which is batched already."""

from typing import Any

import tensorflow as tf

from hungarian_loss._library import ops
from hungarian_loss._placement import able_device
from hungarian_loss._types import Tensor


def register_converter() -> None:
    """Registers the conversion. TensorFlow has no public function for that; without the private one, vectorized_map
    uses a loop."""
    try:
        from tensorflow.python.ops.parallel_for.pfor import RegisterPFor
    except ImportError:
        return
    try:
        RegisterPFor("HungarianAssignment")(_convert)
    except AssertionError:
        pass  # Registered by an earlier import.


def _convert(pfor_input: Any) -> list[Any]:
    """One call of the op for all iterations of a loop. Inputs that vary in the loop's body have one more dimension, in
    front."""
    from tensorflow.python.ops.parallel_for.pfor import wrap

    pfor_input.stack_inputs([0])
    cost = pfor_input.stacked_input(0)
    shape = tf.shape(cost)
    rank_in_body = pfor_input.op.inputs[0].shape.rank

    def stacked(index: int, *sizes: Tensor) -> Tensor:
        tensor, varies, _ = pfor_input.input(index)
        rank = pfor_input.op.inputs[index].shape.rank
        if rank == 0 and not varies:
            return tensor
        if varies and rank is not None and rank_in_body is not None and rank == rank_in_body - 2 + len(sizes):
            return tensor
        target = tf.concat([shape[:-2], *sizes], axis=0)
        if varies:
            # The dimensions that are missing come behind that of the iterations.
            own = tf.shape(tensor)
            missing = tf.ones([tf.size(target) - tf.size(own)], tf.int32)
            tensor = tf.reshape(tensor, tf.concat([own[:1], missing, own[1:]], axis=0))
        return tf.broadcast_to(tensor, target)

    validate = pfor_input.get_attr("validate")
    with able_device(cost, validate):
        outputs = ops.hungarian_assignment(
            cost=cost,
            row_mask=stacked(1, shape[-2:-1]),
            col_mask=stacked(2, shape[-1:]),
            cost_limit=stacked(3),
            maximize=pfor_input.get_attr("maximize"),
            validate=validate,
        )
    return [wrap(output, True) for output in outputs]
