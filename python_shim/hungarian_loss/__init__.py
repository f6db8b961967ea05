"""Exact set matching for TensorFlow and Keras: an assignment op with a gradient, and losses built on it."""

from hungarian_loss._assignment import Assignment, assignment_mask, linear_assignment
from hungarian_loss._distance import compute_euclidean_distance
from hungarian_loss._library import op_library_path
from hungarian_loss._losses import HungarianLoss, hungarian_loss

__all__ = [
    "Assignment",
    "HungarianLoss",
    "assignment_mask",
    "compute_euclidean_distance",
    "hungarian_loss",
    "linear_assignment",
    "op_library_path",
]
