"""The errors that every store words alike."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

from agentmesh.errors import DuplicateEventError, DuplicateFeedbackError, RunNotFoundError, StoreError
from agentmesh.events import Event, RunResumed
from agentmesh.records import Experience, Feedback, RouterMark, RouterState
from agentmesh.types import AgentId, RunId

ScoredKey: TypeAlias = tuple[RunId, AgentId, str, int]
"""Whose answer was scored by whom: run, agent, source and stage. No two experiences have the same."""


def duplicate(run_id: RunId, seq: int, url: str) -> DuplicateEventError:
    """Say that this place in the run's log is taken."""
    return DuplicateEventError(f"event {seq} of run {run_id!r} is already in {url!r}; nothing was written")


def refusal(stored: Event, event: Event, *, url: str) -> DuplicateEventError:
    """Say why an event is not stored whose place in the log of its run is taken by another, or by itself."""
    is_claim = isinstance(stored, RunResumed) and not isinstance(event, RunResumed)
    return (taken_over if is_claim else duplicate)(event.run_id, event.seq, url)


def taken_over(run_id: RunId, seq: int, url: str) -> DuplicateEventError:
    """Say that another process goes on with the run, so that this one's part of it ends here."""
    return DuplicateEventError(
        f"run {run_id!r} in {url!r} was taken up by somebody else, who goes on with it from event {seq}; this process "
        "was not heard of, or the run was answered there: what it still does for the run is not stored"
    )


def no_run(run_id: RunId, url: str) -> RunNotFoundError:
    """Say that no event of this run is stored."""
    return RunNotFoundError(f"no run {run_id!r} in {url!r}; `agentmesh runs list` shows those that are")


def unfinished(run_id: RunId, url: str) -> StoreError:
    """Say that a run that is still being written takes no feedback, for its next seq is the writer's."""
    return StoreError(f"run {run_id!r} in {url!r} has not finished; a score is taken once run_finished is stored")


def scored_already(run_id: RunId, agent_id: AgentId | None, source: str, url: str) -> DuplicateFeedbackError:
    """Say that this source has scored this answer before."""
    what = "the answer" if agent_id is None else f"agent {agent_id!r}"
    return DuplicateFeedbackError(
        f"source {source!r} has scored {what} of run {run_id!r} in {url!r} already; nothing was stored or learned; "
        "another source may score it"
    )


def scored_key(item: Experience) -> ScoredKey:
    """Return whose answer an experience is about, and who scored it."""
    return item.run_id, item.agent_id, item.source, item.stage


def refuse_second_score(
    feedback: Feedback,
    learned: Sequence[Experience],
    *,
    given: Iterable[Feedback],
    scored: Collection[ScoredKey],
    url: str,
) -> None:
    """Raise when a source scores again what it has scored.

    Args:
        feedback: The score.
        learned: What would be learned from it.
        given: The scores that the run has.
        scored: The keys of the experiences stored for the runs of ``learned``.
        url: What to call the store.

    Raises:
        DuplicateFeedbackError: the run, one of its agents, or both were scored by this source before, or an agent
            comes twice for the same stage in ``learned``.
    """
    if any((old.agent_id, old.source) == (feedback.agent_id, feedback.source) for old in given):
        raise scored_already(feedback.run_id, feedback.agent_id, feedback.source, url)
    seen = set(scored)
    for item in learned:
        key = scored_key(item)
        if key in seen:
            raise scored_already(item.run_id, item.agent_id, item.source, url)
        seen.add(key)


def foreign_state(mark: RouterMark, state: RouterState) -> StoreError:
    """Say that a mark came with the state of another router."""
    return StoreError(
        f"a mark of router {mark.router!r} with parameters {mark.parameters!r} came with a state of "
        f"{state.router!r} with {state.parameters!r}; give the state that holds from the mark on"
    )


def mark_without_state(sequence: int, router: str, parameters: str) -> str:
    """Say that the state that a mark set is gone."""
    return f"mark {sequence} of router {router!r} has no state of parameters {parameters!r}: its learning cannot go on"


def no_registry(version: str, url: str) -> StoreError:
    """Say that no registry of this version is stored."""
    return StoreError(f"no registry {version!r} in {url!r}; put_registry stores one")


def number_taken(sequence: int, last: int, url: str) -> StoreError:
    """Say that a number in the log of learning cannot be what it is to be."""
    return StoreError(
        f"number {sequence} of the log of learning in {url!r} is taken by something else, or passed over: the log ends "
        f"at {last} and has learned from other runs; take what was learned over into a store that has learned nothing "
        "of its own, or leave it out"
    )


def closed(url: str) -> StoreError:
    """Say that the store was closed."""
    return StoreError(f"the store {url!r} is closed; open it again with open_store")


def hole(run_id: RunId, *, stored: int, last_seq: int) -> str:
    """Say that events are missing from the middle of a run's log."""
    return f"run {run_id!r} holds {stored} events but its last seq is {last_seq}: {last_seq + 1 - stored} are missing"


def no_row(run_id: RunId) -> str:
    """Say that a run has events and is in no list."""
    return f"run {run_id!r} has events and no row: no list shows it"


def differs(run_id: RunId, columns: Sequence[str]) -> str:
    """Say that the rows drawn from the events of a run say something else."""
    return f"the rows of run {run_id!r} say otherwise than its events: {', '.join(columns)}"


def stray(run_id: RunId) -> str:
    """Say that something is kept of a run that has no row."""
    return f"agents or a reason are kept of run {run_id!r}, which has no row"
