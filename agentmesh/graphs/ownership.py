"""Whose a run is: nobody goes on with one that another process is at work on, nor alone with a part of another run."""

from collections.abc import Sequence
from contextlib import suppress

from agentmesh.errors import ConfigError, DuplicateEventError, RunNotFoundError, StoreError
from agentmesh.events import ApprovalAsked, Event, RunFinished, RunResumed, fold
from agentmesh.graphs.continuing import Past
from agentmesh.records import RunStatus
from agentmesh.store.at_work import AtWork
from agentmesh.store.base import Lease, TraceStore
from agentmesh.store.codec import outline

LOST_CALL = "the call that it was part of was lost"
"""Why a run was ended that an agent had started, and whose agent is not there any more to hear of it."""


def owner_of(events: Sequence[Event]) -> str:
    """Return the lease of who is at work on a run by its events; "" for one that rests or has ended."""
    drawn = outline(events[0].run_id, events)
    return (drawn.owner or "") if drawn.status is RunStatus.RUNNING else ""


async def holder_of(events: Sequence[Event], at_work: AtWork) -> Lease | None:
    """Return the lease of another mesh that is at work on a run, ``None`` where it is free.

    Raises:
        StoreError: the store cannot be read or written.
    """
    return await at_work.holder(owner_of(events))


def held(events: Sequence[Event], lease: Lease, *, now: float) -> StoreError:
    """Say that another process is at work on a run."""
    seen_s = max(now - lease.renewed_at, 0.0)
    return StoreError(
        f"run {events[0].run_id!r} is under way in process {lease.pid} on {lease.host!r}, which was heard of "
        f"{seen_s:.0f} s ago; wait for its end, or end that process first"
    )


def is_of_a_call(events: Sequence[Event]) -> bool:
    """Return whether an agent of another run started this one and was waiting for it: it never paused for a person."""
    past = Past.of(events)
    is_started_by_agent = past.started.parent is not None and not past.started.stage
    return is_started_by_agent and not any(isinstance(event, ApprovalAsked | RunResumed) for event in events)


def end_lost_call(store: TraceStore, events: Sequence[Event], *, now: float) -> None:
    """End a run that an agent started, whose call was lost: nobody would hear the answer, and it may cost money.

    Raises:
        ConfigError: the run that it is part of has not ended; going on with that makes the call anew.
        StoreError: it cannot be written.
    """
    past, run = Past.of(events), fold(events)
    with suppress(RunNotFoundError):
        if not store.run(run.parent or "").status.has_ended:
            raise ConfigError(f"run {run.id!r} is part of a call in run {run.parent!r}; resume that one")
    ended = RunFinished(
        run_id=run.id,
        seq=len(events),
        at=now,
        status=RunStatus.CANCELLED,
        cost_usd=run.cost_usd,
        elapsed_s=past.active_s,
        error=LOST_CALL,
    )
    with suppress(DuplicateEventError):  # somebody else has ended it
        store.append([ended])
