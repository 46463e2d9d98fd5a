"""The traces of a store in memory: what a run says of itself, whether a filter asks for it, and what may go."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentmesh.events import Event, FeedbackGiven, RunStarted, fold
from agentmesh.records import Feedback, Run, RunStatus
from agentmesh.store.base import Orphaned, RunFilter
from agentmesh.store.codec import outline, reason_of
from agentmesh.store.retention import Cursor, Retention, Standing
from agentmesh.types import RunId


@dataclass(slots=True)
class Trace:
    """The events of one run by seq, and its folded run until the next event comes."""

    by_seq: dict[int, Event] = field(default_factory=dict)
    folded: Run | None = None

    def ordered(self, *, after: int = -1, limit: int | None = None) -> list[Event]:
        """Return the events by seq, or the next ``limit`` of them after one."""
        seqs = sorted(self.by_seq)
        first = bisect_right(seqs, after)
        return [self.by_seq[seq] for seq in seqs[first : None if limit is None else first + limit]]

    def run(self) -> Run:
        """Return the folded run."""
        if self.folded is None:
            self.folded = fold(self.ordered())
        return self.folded

    def scores(self) -> list[Feedback]:
        """Return the scores that were given."""
        return [event.feedback for event in self.by_seq.values() if isinstance(event, FeedbackGiven)]

    def started(self) -> bool:
        """Return whether the start of the run is stored."""
        return any(isinstance(event, RunStarted) for event in self.by_seq.values())

    def standing(self) -> Standing:
        """Return what says whether the run may be pruned."""
        return Standing(self.run().status, bool(self.scores()))


def is_left_alone(trace: Trace, outer: Trace | None, orphaned: Orphaned) -> bool:
    """Say whether nobody is at work on a run, nor on the one that it is part of."""
    run, events = trace.run(), trace.ordered()
    owner = outline(run.id, events).owner
    is_left = events[-1].at < orphaned.quiet_since if owner is None else owner not in orphaned.living
    is_part = outer is not None and outer.started() and not outer.run().status.has_ended
    return run.status is RunStatus.RUNNING and is_left and not is_part


def age_of(log: Sequence[Event]) -> tuple[bool, float, RunId]:
    """Return what sorts logs by the start of their runs; those without one come last."""
    started = next((event.at for event in log if isinstance(event, RunStarted)), None)
    return started is None, started or 0.0, log[0].run_id


def matches(run: Run, where: RunFilter) -> bool:
    """Say whether a run is among those that ``where`` asks for."""
    return (
        (where.status is None or run.status is where.status)
        and (where.text is None or where.text.casefold() in run.task.text.casefold())
        and (where.agent_id is None or any(call.agent_id == where.agent_id for call in run.calls))
        and (not where.alone or run.parent is None)
        and (where.parent is None or run.parent == where.parent)
        and (where.since is None or run.started_at >= where.since)
        and (where.prefix is None or run.id.startswith(where.prefix))
        and (where.reason is None or where.reason.casefold() in reason_of(run.decision).casefold())
    )


def roots_of(traces: Mapping[RunId, Trace], retention: Retention, after: Cursor | None) -> list[Cursor]:
    """Return the runs beyond ``after`` that may go and that no stored run started, oldest first."""
    found = [
        (run.started_at, run.id)
        for run in _started(traces)
        if run.started_at < retention.before and run.status in retention.wanted and run.parent not in traces
    ]
    return sorted(cursor for cursor in found if after is None or cursor > after)


def families_of(traces: Mapping[RunId, Trace], roots: Sequence[RunId]) -> dict[RunId, dict[RunId, Standing]]:
    """Return how each of ``roots`` stands, with all that it started."""
    children: dict[RunId | None, list[RunId]] = {}
    for run in _started(traces):
        children.setdefault(run.parent, []).append(run.id)
    families = {}
    for root in roots:
        members = [root]
        for run_id in members:  # which grows by those that each of them started
            members += children.get(run_id, [])
        families[root] = {run_id: traces[run_id].standing() for run_id in members}
    return families


def _started(traces: Mapping[RunId, Trace]) -> list[Run]:
    return [trace.run() for trace in traces.values() if trace.started()]
