"""Keeps a record of what could not be learned from, so that learning goes on and somebody can see why it did not."""

import logging

from agentmesh.errors import AgentMeshError, StoreError
from agentmesh.records import LearningFault
from agentmesh.store.base import TraceStore

logger = logging.getLogger(__name__)


def keep_fault(store: TraceStore, fault: LearningFault) -> None:
    """Store a fault; where the store cannot take it, it is a line in the log, since it must not hide what happened."""
    try:
        store.add_fault(fault)
    except StoreError as error:
        logger.warning("%s (and this could not be stored: %s)", store.shown(fault.message), error)


def told(error: BaseException) -> str:
    """Return an error in words: ours say all by themselves, the name of another's class goes along.

    >>> told(ValueError("no idea")), told(KeyError())
    ('ValueError: no idea', 'KeyError')
    """
    if isinstance(error, AgentMeshError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
