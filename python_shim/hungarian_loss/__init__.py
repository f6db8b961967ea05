"""Exact set matching for TensorFlow and Keras: an assignment op with a gradient, and losses built on it."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from hungarian_loss import _keras
from hungarian_loss._assignment import (
    Assignment,
    AssignmentPairs,
    assignment_mask,
    assignment_pairs,
    linear_assignment,
)
from hungarian_loss._distance import compute_euclidean_distance
from hungarian_loss._explanation import Explanation, explain_assignment
from hungarian_loss._library import op_library_path
from hungarian_loss._types import TensorLike
from hungarian_loss._version import __version__ as __version__

__all__ = [
    "Assignment",
    "AssignmentPairs",
    "Explanation",
    "TensorLike",
    "assignment_mask",
    "assignment_pairs",
    "compute_euclidean_distance",
    "explain_assignment",
    "linear_assignment",
    "op_library_path",
]

# The assignment and the distances need no Keras. Where Keras cannot be used, a name that needs it raises an ImportError
# that says why.
_reason = _keras.why_not()
if _reason is None:
    # Keras finds a class of a saved model once its module is imported. These two hold classes that models are saved with.
    from hungarian_loss import detection as detection
    from hungarian_loss import recipes as recipes
    from hungarian_loss._explain import explain
    from hungarian_loss._losses import HungarianLoss, hungarian_loss
    from hungarian_loss._matching import Matcher, Matching

    __all__ += [
        "HungarianLoss",
        "Matcher",
        "Matching",
        "explain",
        "hungarian_loss",
    ]
elif not _TYPE_CHECKING:
    __getattr__ = _keras.refuse(
        __name__, ["HungarianLoss", "Matcher", "Matching", "explain", "hungarian_loss"], _reason
    )
