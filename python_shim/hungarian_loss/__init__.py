"""Exact set matching for TensorFlow and Keras: an assignment op with a gradient, and losses built on it."""

from hungarian_loss._assignment import Assignment, assignment_mask, linear_assignment
from hungarian_loss._distance import compute_euclidean_distance
from hungarian_loss._explain import Explanation, explain
from hungarian_loss._library import op_library_path
from hungarian_loss._losses import HungarianLoss, hungarian_loss

__all__ = [
    "Assignment",
    "Explanation",
    "HungarianLoss",
    "assignment_mask",
    "compute_euclidean_distance",
    "explain",
    "hungarian_loss",
    "linear_assignment",
    "op_library_path",
]
