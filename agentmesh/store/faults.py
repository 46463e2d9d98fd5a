"""What is kept of a fault."""

from agentmesh.records import LearningFault
from agentmesh.store.codec import storable

MOST_CHARACTERS = 2000
"""Of a message: enough for an error and the end of its cause; a judge that raises may quote a whole answer."""

MOST_IN_MEMORY = 1000
"""Faults that a store in memory holds, so that a mesh whose judge is down for a week does not grow by it."""

MOST_ON_DISK = 10_000
"""Faults that a database holds, 20 MB at most: such as a learner writes in some days that cannot start."""


def kept(fault: LearningFault) -> LearningFault:
    """Return a fault as every store keeps it: any text can be stored, and a long message ends in an ellipsis.

    >>> len(kept(LearningFault(at=0.0, message="x" * 5000)).message)
    2000
    """
    message = storable(fault.message)
    if len(message) > MOST_CHARACTERS:
        message = message[: MOST_CHARACTERS - 1] + "…"
    return fault.model_copy(
        update={"run_id": storable(fault.run_id), "source": storable(fault.source), "message": message}
    )
