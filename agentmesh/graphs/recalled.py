"""What a mesh that opens takes over from the runs before it, so that a budget of questions holds across processes."""

from typing import Final

from agentmesh.routing.pacing import SlidingPace, take_note
from agentmesh.store.base import TraceStore

RECALLED: Final = 50
"""Runs that are looked back on: enough for a rough quantile, few enough to be read in some tens of milliseconds."""


def recalled_pace(store: TraceStore) -> SlidingPace:
    """Return a pace that has seen the last decisions in a store, oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    pace = SlidingPace()
    for summary in reversed(store.runs(limit=RECALLED)):
        run = store.run(summary.id)
        if run.decision is not None and run.forked is None:  # a fork's is another run's, or was asked for
            take_note(pace, run.decision)
    return pace
