"""Prunes a store a little at a time, so that whoever writes to it meanwhile hardly waits."""

import time
from collections.abc import Callable
from typing import Final

from agentmesh.store.base import TraceStore
from agentmesh.store.retention import Pruned, Retention

AT_ONCE: Final = 100
"""Runs with what they started in one transaction: about 900 events, which take some tens of milliseconds."""

PAUSE_S: Final = 0.05
"""Between two transactions: a writer that waits for SQLite looks again after at most a tenth of a second."""


def prune_runs(
    store: TraceStore,
    retention: Retention,
    *,
    at: float | None,
    told: Callable[[Pruned], None] = lambda _: None,
    pause: Callable[[float], object] = time.sleep,
) -> Pruned:
    """Delete all runs that ``retention`` lets go, and return how many went; what is deleted when it fails stays so.

    Args:
        store: Where they are.
        retention: Which may go.
        at: When this is, under which it is noted; ``None`` deletes nothing and counts.
        told: Is told how many went so far, after each transaction.
        pause: Waits so many seconds.

    Raises:
        StoreError: the store cannot be written, or read.
    """
    done = Pruned()
    while True:
        done = done.plus(store.prune(retention, at=at, after=done.reached, limit=AT_ONCE))
        told(done)
        if done.reached is None:
            return done
        if at is not None:
            pause(PAUSE_S)
