"""What a person, or the clock, says to a waiting run, written into its log; no mesh has to be open for that."""

from collections.abc import Sequence
from dataclasses import dataclass

from agentmesh.approvals import CLOCK, ApprovalReply, ApprovalRequest, Verdict
from agentmesh.errors import ConfigError, DuplicateEventError
from agentmesh.events import ApprovalGiven, Event, RunStarted, fold, stages_waiting
from agentmesh.graphs.intake import as_task
from agentmesh.records import Run, RunStatus
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.types import AgentId, RunId


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says of the calls that a run waits for: of all of them, or of one agent's.

    ``text`` is what the agent is to be asked instead.
    """

    verdict: Verdict
    agent: AgentId | None = None
    by: str = ""
    text: str | None = None
    note: str = ""

    @classmethod
    def approving(cls, agent: AgentId | None, *, by: str, text: str | None, note: str) -> "Said":
        """Return an approval, with an edit or without."""
        return cls("approve" if text is None else "edit", agent, by, text, note)

    def to(self, request: ApprovalRequest) -> ApprovalReply:
        """Return the reply to one request."""
        return ApprovalReply(
            agent_id=request.agent_id,
            wave=request.wave,
            verdict=self.verdict,
            by=self.by,
            text=self.text,
            note=self.note,
        )


def record_reply(store: TraceStore, run_id: RunId, said: Said, *, now: float) -> bool:
    """Write down what somebody said, after the rejections of the clock that were due before.

    Several may speak at once: the log decides who came first, and the others are told.

    Returns:
        Whether the run waits for nobody any more. Exactly one of those who speak is told so, and goes on with it.

    Raises:
        RunNotFoundError: no such run is stored.
        ConfigError: the run does not wait for this, or the edit cannot be used.
    """
    if said.text is not None:
        as_task(said.text)
    return _recorded(store, run_id, said, now=now)


def record_expired(store: TraceStore, run_id: RunId, *, now: float) -> bool:
    """Write down the rejections of the clock that are due, and return whether there is something to go on with.

    Raises:
        RunNotFoundError: no such run is stored.
    """
    return _recorded(store, run_id, None, now=now)


def resumable(store: TraceStore, *, now: float) -> list[RunId]:
    """Return the runs that were paused and wait for nobody any more, oldest first.

    A run whose process was lost is not among them; ``Mesh.orphans`` finds those.
    """
    filters = [RunFilter(status=RunStatus.WAITING), RunFilter(status=RunStatus.RUNNING)]
    unfinished = [summary for where in filters for summary in store.runs(where, limit=store.count_runs(where) + 1)]
    unfinished.sort(key=lambda summary: (summary.started_at, summary.id))
    return [summary.id for summary in unfinished if _was_paused(store, store.events(summary.id), now)]


def record_answer(store: TraceStore, run_id: RunId, said: Said, *, now: float) -> RunId | None:
    """Write down what somebody said to a run, where no mesh is open, and return the run that can go on now, if any.

    Raises:
        RunNotFoundError: no such run is stored.
        ConfigError: nothing of this is waited for, the edit cannot be used, or texts of the run are kept by a policy
            that only its mesh can follow.
    """
    started = store.events(run_id)[0]
    if isinstance(started, RunStarted) and started.capture and (said.by or said.note or said.text is not None):
        raise ConfigError(
            f"texts of run {run_id!r} are kept by the policy {started.capture!r}, which only its mesh can follow; say "
            "it there (--app), or without a name, a note and an edit"
        )
    record_of_stages(store, run_id, said, now=now)
    root = root_of(started) if isinstance(started, RunStarted) else run_id
    return root if is_ready(store, store.events(root), now) else None


def root_of(started: RunStarted) -> RunId:
    """Return the run that goes on when this one is answered: that of its workflow, where it is a stage."""
    return started.run_id if started.parent is None or not started.stage else started.parent


def record_of_stages(store: TraceStore, run_id: RunId, said: Said, *, now: float) -> None:
    """Write down what somebody said to what the stages of a workflow wait for, or to what one of its runs does.

    Raises:
        RunNotFoundError: no such run is stored.
        ConfigError: nothing of this is waited for, or the edit cannot be used.
    """
    events = store.events(run_id)
    waiting = stages_waiting(events)
    if not waiting:
        record_reply(store, run_id, said, now=now)
        return
    asked = [event for event in waiting if any(said.agent in (None, one.agent_id) for one in event.requests)]
    if not asked or (said.text is not None and len(asked) > 1):
        names = ", ".join(repr(request.agent_id) for event in waiting for request in event.requests)
        raise ConfigError(f"the stages of run {run_id!r} wait for {names}; name one of these agents")
    for event in asked:
        record_reply(store, event.child, said, now=now)


def is_ready(store: TraceStore, events: Sequence[Event], now: float) -> bool:
    """Return whether a run can go on: it has not ended, and what it waits for was answered, or is overdue."""
    run, waiting = fold(events), stages_waiting(events)
    if run.status.has_ended:
        return False
    if waiting:
        return any(is_ready(store, store.events(event.child), now) for event in waiting)
    return all(_is_over(request, now) for request in run.waiting_for)


def _recorded(store: TraceStore, run_id: RunId, said: Said | None, *, now: float) -> bool:
    while True:
        events = store.events(run_id)
        run = fold(events)
        replies = _expired(run, now) if said is None else [*_expired(run, now), *_replies(run, events, said, now)]
        given = [
            ApprovalGiven(run_id=run_id, seq=seq, at=now, reply=reply) for seq, reply in enumerate(replies, len(events))
        ]
        try:
            store.append(given)
        except DuplicateEventError:  # somebody else spoke at the same moment: see what is left to say
            continue
        return not run.status.has_ended and len(replies) == len(run.waiting_for)


def _expired(run: Run, now: float) -> list[ApprovalReply]:
    clock = Said("reject", by=CLOCK, note="nobody approved it in time")
    return [clock.to(request) for request in run.waiting_for if _is_over(request, now)]


def _replies(run: Run, events: Sequence[Event], said: Said, now: float) -> list[ApprovalReply]:
    """Return what is said to the requests that are meant; to those that have expired the clock has spoken."""
    meant = [request for request in run.waiting_for if said.agent in (None, request.agent_id)]
    if not meant:
        raise ConfigError(_why_not(run, events, said))
    if said.text is not None and len(meant) > 1:
        raise ConfigError(f"run {run.id!r} waits for {_names(meant)}; name the one whose task is edited")
    return [said.to(request) for request in meant if not _is_over(request, now)]


def _why_not(run: Run, events: Sequence[Event], said: Said) -> str:
    if run.waiting_for:
        return f"run {run.id!r} does not wait for {said.agent!r}; it waits for {_names(run.waiting_for)}"
    given = [event.reply for event in events if isinstance(event, ApprovalGiven)]
    spoken = [f"{one.agent_id!r}: {one.verdict} by {one.by or 'a person'!r}" for one in given]
    answered = f"; what was said before stands ({'; '.join(spoken)})" if spoken else ""
    return f"run {run.id!r} is {run.status.value} and waits for no approval{answered}"


def _names(requests: Sequence[ApprovalRequest]) -> str:
    return ", ".join(repr(request.agent_id) for request in requests)


def _is_over(request: ApprovalRequest, now: float) -> bool:
    return request.expires_at is not None and now >= request.expires_at


def _was_paused(store: TraceStore, events: Sequence[Event], now: float) -> bool:
    """Return whether a run that can go on by itself stood still for a person, and not because its process was lost."""
    started = events[0]
    if isinstance(started, RunStarted) and root_of(started) != started.run_id:
        return False  # its workflow goes on with it
    run = fold(events)
    has_paused = run.status is RunStatus.WAITING or isinstance(events[-1], ApprovalGiven)
    return has_paused and is_ready(store, events, now)
