"""One random batch for two criteria: as TF Models' DETR takes it, and as DetrLoss does.

They differ in convention only. TF Models: class 0 is the background, objects have classes 1 to C, every image has as many slots as
there are queries, boxes are center y, center x, height, width. DetrLoss: "no object" is the last logit, objects have classes 0 to
C − 1, empty slots have a negative label, boxes are written as ``box_format`` says; here "center_yxhw".
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

CLASSES = 7


class Problems(NamedTuple):
    """Logits ``[B, queries, CLASSES + 1]`` with the background first; boxes ``[B, queries, 4]``; classes ``[B, slots]``, 0 for none;
    true boxes ``[B, slots, 4]``."""

    logits: Any
    boxes: Any
    classes: Any
    true_boxes: Any

    def for_tf_models(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """outputs and labels of ``build_losses``."""
        outputs = {"cls_outputs": self.logits, "box_outputs": self.boxes}
        return outputs, {"classes": self.classes, "boxes": self.true_boxes}

    def for_detr_loss(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """y_true and y_pred."""
        logits = tf.concat([self.logits[..., 1:], self.logits[..., :1]], axis=-1)
        return {"boxes": self.true_boxes, "labels": self.classes - 1}, {"boxes": self.boxes, "logits": logits}

    def compact(self) -> "Problems":
        """The same with no more slots than the most objects of an image."""
        is_object = tf.cast(self.classes > 0, tf.int32)
        slots = tf.argsort(is_object, axis=1, direction="DESCENDING", stable=True)[
            :, : max(tf.reduce_sum(is_object, 1))
        ]
        classes, true_boxes = (tf.gather(part, slots, batch_dims=1) for part in (self.classes, self.true_boxes))
        return self._replace(classes=classes, true_boxes=true_boxes)


def draw(counts: list[int], queries: int, seed: int = 0) -> Problems:
    """``counts`` objects an image, in slots anywhere among as many as there are queries."""
    random = np.random.default_rng(seed)
    shape = (len(counts), queries)
    classes = np.zeros(shape, np.int32)
    for image, count in enumerate(counts):
        classes[image, random.permutation(queries)[:count]] = random.integers(1, CLASSES + 1, count)
    boxes, true_boxes = (random.uniform(0.1, 0.6, (*shape, 4)).astype(np.float32) for _ in range(2))
    true_boxes[classes == 0] = 0
    logits = random.normal(size=(*shape, CLASSES + 1)).astype(np.float32)
    return Problems(*map(tf.constant, (logits, boxes, classes, true_boxes)))
