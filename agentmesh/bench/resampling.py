"""When the bench says "beats". The bootstrap itself is that of :mod:`agentmesh.learning.resampling`."""

from agentmesh.learning.resampling import RESAMPLES as RESAMPLES
from agentmesh.learning.resampling import Interval as Interval
from agentmesh.learning.resampling import interval as interval
from agentmesh.learning.resampling import resampled_means as resampled_means


def excludes_zero(bounds: Interval | None) -> bool:
    """Say whether an interval of a difference lies above zero: only then is "beats" printed.

    >>> excludes_zero((0.001, 0.03)), excludes_zero((-0.001, 0.03)), excludes_zero(None)
    (True, False, False)
    """
    return bounds is not None and bounds[0] > 0
