"""Small uses of the assignment: a permutation invariant loss, the accuracy of clusters, pairs for a tracker."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from hungarian_loss import _keras
from hungarian_loss.recipes._gated import gated_assignment

__all__ = ["gated_assignment"]

# As in the package above: where Keras cannot be used, a name that needs it raises an ImportError that says why.
_reason = _keras.why_not()
if _reason is None:
    from hungarian_loss.recipes._clusters import ClusteringAccuracy
    from hungarian_loss.recipes._permutations import PermutationInvariantLoss

    __all__ += ["ClusteringAccuracy", "PermutationInvariantLoss"]
elif not _TYPE_CHECKING:
    __getattr__ = _keras.refuse(__name__, ["ClusteringAccuracy", "PermutationInvariantLoss"], _reason)
