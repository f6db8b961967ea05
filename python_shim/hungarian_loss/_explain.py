"""``explain``: the matching of a loss, shown for one sample."""

from collections.abc import Mapping
from typing import Any

from hungarian_loss._distance import compute_euclidean_distance
from hungarian_loss._explanation import Explanation, explanation_of, require_values
from hungarian_loss._losses import HungarianLoss
from hungarian_loss._matching import Matcher
from hungarian_loss._objects import features_of


def explain(y_true: Any, y_pred: Any, sample: int = 0, *, loss: Matcher | None = None) -> Explanation:
    """Explains the matching of one sample.

    Args:
      y_true: As the loss takes it; without a loss ``[batch, n, features]``. A RaggedTensor will do, for y_pred too.
      y_pred: Likewise; without a loss ``[batch, m, features]``. A mask that Keras attached to it applies here as in the
        loss.
      sample: Which sample of the batch.
      loss: The :class:`HungarianLoss`, :class:`DetrLoss` or :class:`PermutationInvariantLoss` whose costs and masks to
        use; default: Euclidean distance over all features, as in :func:`hungarian_loss`. With the ``repeats`` of a
        ``DetrLoss`` an object is in several pairs, and counts as unmatched if one of its copies is; with ``groups``
        only the first group is explained, and its predictions alone are the predicted objects.

    Returns:
      An :class:`Explanation`. ``print`` it, or call its ``figure``.

    Raises:
      TypeError: dicts without a loss.
      ValueError: ``sample`` is no whole number or is not in the batch, or shapes do not fit.
      RuntimeError: called in a ``tf.function``.
    """
    require_values("explain")
    if loss is None:
        if isinstance(y_true, Mapping) or isinstance(y_pred, Mapping):
            raise TypeError(
                "y_true and y_pred are dicts: explain needs the loss that takes them, such as loss=DetrLoss(...)"
            )
        # Ragged sets without a single object show none.
        features = int(features_of("y_pred", y_pred)) or int(features_of("y_true", y_true)) or 1
        loss = HungarianLoss([features], 0, compute_euclidean_distance)
    return explanation_of(loss.match(y_true, y_pred), sample)
