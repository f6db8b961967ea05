"""Detection as set prediction: the loss of the DETR family, a model class for it, and the costs that it is made of."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from hungarian_loss import _keras
from hungarian_loss.detection._boxes import box_iou, complete_iou, distance_iou, generalized_iou
from hungarian_loss.detection._costs import (
    dice_cost,
    focal_class_cost,
    giou_cost,
    l1_cost,
    mask_cost,
    softmax_class_cost,
)

__all__ = [
    "box_iou",
    "complete_iou",
    "dice_cost",
    "distance_iou",
    "focal_class_cost",
    "generalized_iou",
    "giou_cost",
    "l1_cost",
    "mask_cost",
    "softmax_class_cost",
]

# As in the package above: where Keras cannot be used, a name that needs it raises an ImportError that says why.
_reason = _keras.why_not()
if _reason is None:
    from hungarian_loss.detection._detections import Detections
    from hungarian_loss.detection._detr_loss import DetrLoss
    from hungarian_loss.detection._model import SetPredictionModel

    __all__ += ["Detections", "DetrLoss", "SetPredictionModel"]
elif not _TYPE_CHECKING:
    __getattr__ = _keras.refuse(__name__, ["Detections", "DetrLoss", "SetPredictionModel"], _reason)
