"""Replays the run of a workflow: the run of each stage by itself, then the way through the stages on what they gave."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from agentmesh.errors import ConfigError, ReplayError
from agentmesh.events import AnswerRefined, BaseEvent, Event, RunFinished, RunStarted, StageFinished, StageStarted
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.workflow.children import RecordedChildren
from agentmesh.graphs.workflow.runner import concluded, workflow_in
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.graphs.workflow.walk import Walk
from agentmesh.playback.compare import Difference
from agentmesh.playback.kept import Kept
from agentmesh.records import Run, RunStatus, StageRun
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId, SystemClock

E = TypeVar("E", bound=BaseEvent)

ReplayChild = Callable[[RunId], Awaitable[Sequence[Difference]]]
"""Replays the run of one stage and returns where it parts from its trace."""


async def replay_stages(
    store: TraceStore, events: Sequence[Event], workflow: Workflow | None, child: ReplayChild
) -> list[Difference]:
    """Replay the run of a workflow and return where it parts from its trace.

    Args:
        store: Where it is kept, with the runs of its stages.
        events: Its trace.
        workflow: The workflow; needed only where it has callables or refiners, which no store keeps.
        child: Replays the run of a stage. Runs that ended before a decision, or were cancelled, are taken as recorded.

    Raises:
        ReplayError: it has not ended or was cancelled, or its workflow is not known.
        ReplayMissError: it asks for what the trace lacks, as another workflow would.
    """
    started, finished = _all(events, RunStarted)[0], _all(events, RunFinished)
    if not finished or finished[-1].status is RunStatus.CANCELLED:
        raise ReplayError(f"run {started.run_id!r} has not ended by itself; only a run that did is replayed")
    meant = await asyncio.to_thread(stored_workflow, store, started, workflow)
    ended = [event.result for event in _all(events, StageFinished) if event.result.run_id is not None]
    runs = {one.run_id: await asyncio.to_thread(store.run, one.run_id) for one in ended if one.run_id is not None}
    found: list[Difference] = []
    for one in ended:
        if one.run_id is not None and _can_be_replayed(runs[one.run_id]):
            where = f"stage {one.stage!r} part {one.part + 1}"
            found += [_within(where, difference) for difference in await child(one.run_id)]
    again, conclusion = await _again(started, meant, RecordedChildren(runs, _failures(events)))
    return [*found, *_compared(events, again, finished[-1], conclusion)]


def stored_workflow(store: TraceStore, started: RunStarted, given: Workflow | None) -> Workflow:
    """Return the workflow that a run is of: the one that was given, if it is the same, or the one that is stored.

    Raises:
        ReplayError: it is another one, or it is not stored whole.
    """
    if given is not None:
        if given.fingerprint != started.workflow:
            raise ReplayError(
                f"run {started.run_id!r} is of the workflow {started.workflow!r}; {given.fingerprint!r} was given"
            )
        return given
    try:
        return workflow_in(store, [started])
    except ConfigError as error:
        raise ReplayError(f"run {started.run_id!r} cannot be rebuilt: {error}") from error


async def _again(
    started: RunStarted, workflow: Workflow, children: RecordedChildren
) -> tuple[list[Event], tuple[object, ...]]:
    kept = Kept()
    log = RunLog(started.run_id, writer=kept, clock=SystemClock())
    log.post(RunStarted, **{name: value for name, value in started if name not in ("run_id", "seq", "at", "kind")})
    walk = Walk(workflow, started.task, started.limits, log, children, left_s=lambda: None)
    conclusion = await concluded(walk)
    return kept.events, conclusion


def _failures(events: Sequence[Event]) -> dict[RunId, str]:
    """Return why stages failed before their run began, by the name that it would have had."""
    ended = _ended(events)
    began = [(event.child, ended.get((event.stage, event.part))) for event in _all(events, StageStarted)]
    return {child: result.reason for child, result in began if result is not None and result.run_id is None}


def _ended(events: Sequence[Event]) -> dict[tuple[str, int], StageRun]:
    """Return how stages ended, by stage and part."""
    return {(event.result.stage, event.result.part): event.result for event in _all(events, StageFinished)}


def _can_be_replayed(run: Run) -> bool:
    return run.decision is not None and run.status is not RunStatus.CANCELLED


def _compared(
    recorded: Sequence[Event], again: Sequence[Event], finished: RunFinished, conclusion: tuple[object, ...]
) -> Iterator[Difference]:
    before, after = _ended(recorded), _ended(again)
    for key in [*before, *(key for key in after if key not in before)]:
        if before.get(key) != after.get(key):
            yield _differ(f"stage {key[0]!r} part {key[1] + 1}", before.get(key), after.get(key))
    answers = [[(e.answer, e.answered_by, e.rests_on) for e in _all(one, AnswerRefined)] for one in (recorded, again)]
    if answers[0] != answers[1]:
        yield _differ("the answer of the workflow", answers[0], answers[1])
    ending = (finished.status, finished.answer, finished.error)
    if ending != conclusion:
        yield _differ("the end of the workflow", ending, conclusion)


def _differ(where: str, recorded: object, replayed: object) -> Difference:
    return Difference(where=where, recorded=repr(recorded)[:200], replayed=repr(replayed)[:200])


def _within(where: str, difference: Difference) -> Difference:
    return difference.model_copy(update={"where": f"{where}: {difference.where}"})


def _all(events: Sequence[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]
