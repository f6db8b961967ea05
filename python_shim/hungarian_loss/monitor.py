"""A Keras callback that watches the matching settle while a model is trained."""

import importlib.util
from typing import Any

from hungarian_loss import _keras

_keras.require(__name__)

import keras
import numpy as np
import tensorflow as tf

from hungarian_loss._explain import explain
from hungarian_loss._figure import png
from hungarian_loss._matching import Matcher
from hungarian_loss._options import is_whole_number

__all__ = ["AssignmentMonitor"]


class AssignmentMonitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports after each epoch how a fixed batch is matched, and how much of that has changed since the epoch before.

    While objects are matched with other predictions from epoch to epoch, a detector learns slowly; DN-DETR (Li et al.
    2022, arXiv:2203.01305) measures this instability. To the logs of the epoch, and so to the progress bar and the
    history, the callback adds

    * ``assignment_changed``: the share of real objects, in [0, 1], whose prediction is another than after the epoch
      before (in the first epoch, than before the training); NaN where there is no object;
    * ``assignment_cost``: the mean cost of a matched pair; NaN where there is none;
    * ``assignment_unmatched``: the number of real objects without a prediction.

    An object that may have several predictions, with ``DetrLoss(repeats=k)``, counts once: as changed where the set of
    its predictions differs, and as unmatched where it has none.

    The objects of a sample that cannot be matched, because of a NaN for example, count as unmatched.

    Args:
      x: Inputs of a batch, best of validation data. The callback keeps it.
      y: Its targets, as the loss takes them.
      loss: What to match by, a :class:`HungarianLoss` or :class:`DetrLoss`; default: the loss that the model is
        compiled with.
      log_dir: Where to write the three values as scalars for TensorBoard, and the figures; default: nowhere.
      images: For how many samples, the first of the batch, to write the figure of :func:`explain`. Needs matplotlib and
        ``log_dir``.

    Raises:
      ValueError: ``images`` that are no whole number, or without ``log_dir``; when training begins, more ``images`` than
        ``x`` has samples.
      ImportError: ``log_dir`` without tensorboard.
      TypeError: when training begins, a loss without a ``match`` method.
    """

    def __init__(
        self, x: Any, y: Any, *, loss: Matcher | None = None, log_dir: str | None = None, images: int = 0
    ) -> None:
        super().__init__()
        if not is_whole_number(images) or images < 0:
            raise ValueError(f"images must be a whole number, 0 or more, got {images!r}")
        if images and log_dir is None:
            raise ValueError(f"got images={images} and no log_dir to write them to")
        if log_dir is not None and importlib.util.find_spec("tensorboard") is None:
            raise ImportError(
                f"got log_dir={log_dir!r}, and tensorboard is not installed; run `pip install tensorboard`"
            )
        self._x, self._y, self._loss, self._images = x, y, loss, int(images)
        self._writer = None if log_dir is None else tf.summary.create_file_writer(str(log_dir))
        self._before: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Matches with the model as it is before the training."""
        loss = self._loss if self._loss is not None else getattr(self.model, "loss", None)
        if not callable(getattr(loss, "match", None)):
            raise TypeError(
                f"AssignmentMonitor needs a loss with a `match` method, such as HungarianLoss or DetrLoss, got {loss!r}; "
                "give it as `loss`"
            )
        self._matcher: Any = loss
        matching = self._matching()[1]
        samples = matching.cost.shape[0]
        if self._images > samples:
            raise ValueError(f"got images={self._images} and a batch of {samples} to take them from")
        self._before, _ = self._partners(matching)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Matches again, and logs the result."""
        y_pred, matching = self._matching()
        partners, exists = self._partners(matching)
        row_to_col = np.asarray(matching.assignment.row_to_col)
        cols = np.maximum(row_to_col, 0)[..., np.newaxis]
        costs = np.take_along_axis(np.asarray(matching.cost), cols, axis=-1)[..., 0]
        found = {
            "assignment_changed": _mean((partners != self._before).any(axis=-1)[exists]),
            "assignment_cost": _mean(costs[row_to_col >= 0]),
            "assignment_unmatched": float(np.sum(exists & (partners < 0).all(axis=-1))),
        }
        self._before = partners
        if logs is not None:
            logs.update(found)
        if self._writer is not None:
            self._write(epoch, found, y_pred)

    def _matching(self) -> tuple[Any, Any]:
        # Not predict_on_batch, which drops a mask that Keras attached to the predictions.
        y_pred = self.model(self._x, training=False)
        return y_pred, self._matcher.match(self._y, y_pred)

    @staticmethod
    def _partners(matching: Any) -> tuple[Any, Any]:
        """The predictions of each true object in rising order ``[B, n, repeats]``, −1 for none, and which objects exist
        ``[B, n]``."""
        partners = np.asarray(matching.assignment.row_to_col)
        mask = np.ones(partners.shape, bool) if matching.true_mask is None else np.asarray(matching.true_mask)
        # Copies of an object are adjacent, and which copy has which prediction is arbitrary.
        by_object = (*partners.shape[:-1], partners.shape[-1] // matching.repeats, matching.repeats)
        return np.sort(partners.reshape(by_object)), mask.reshape(by_object)[..., 0]

    def _write(self, epoch: int, found: dict[str, float], y_pred: Any) -> None:
        assert self._writer is not None
        with self._writer.as_default(step=epoch):
            for name, value in found.items():
                tf.summary.scalar(name, value)
            for sample in range(self._images):
                picture = png(explain(self._y, y_pred, sample, loss=self._matcher).figure())
                pixels = tf.io.decode_png(picture, channels=4)
                tf.summary.image(f"assignment_{sample}", pixels[tf.newaxis])


def _mean(values: Any) -> float:
    return float(np.mean(values)) if values.size else float("nan")
