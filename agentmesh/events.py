"""The trace of a run: a versioned union of events, and how events fold into a run.

The events are the log of a run: resume, replay, rerun and fork read nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from agentmesh.approvals import ApprovalReply
from agentmesh.errors import RunNotFoundError
from agentmesh.packing import PackedVector
from agentmesh.records import (
    AgentCall,
    ApprovalRequest,
    Conflict,
    Dropped,
    Feedback,
    Limits,
    Record,
    RouteDecision,
    Run,
    RunStatus,
    RunSummary,
    SlicedItem,
    StageRun,
    Task,
    Usd,
)
from agentmesh.types import AgentId, RunId

SCHEMA = 1
"""The version of the shapes below; raise it with each change and add a step to ``lifting``."""


class BaseEvent(Record):
    """What every event carries: its run, its place in it (0, 1, 2 ...), and when it happened (Unix seconds)."""

    run_id: RunId
    seq: int = Field(ge=0)
    at: float


class RunStarted(BaseEvent):
    """A task came in. Everything a replay needs to decide again is named here.

    ``team`` is the fingerprint of the team that answers, as the store keeps it; "" where all that are chosen are asked.
    ``parent`` is the run that started this one, and ``stage`` the stage of its workflow that this one does, if it is
    one; then ``layer`` is how many stages stand before that, and ``previous`` who answered right before it.
    ``workflow`` is the fingerprint of the workflow that this run is of. ``owner`` is the lease of who is at work on it,
    "" where nobody said. A fork names in ``forked`` the run that it goes on from: its first ``forked_at`` events were
    taken over from there, and ``changed`` says what is otherwise. ``capture`` is the policy by which texts of the trace
    were replaced as it was stored; "" where all are kept.
    """

    kind: Literal["run_started"] = "run_started"
    task: Task
    limits: Limits
    registry_version: str
    embedder: str
    router: str
    mesh_seed: int
    explore: float = 0.0
    fallback: AgentId | None = None
    team: str = ""
    parent: RunId | None = None
    stage: str = ""
    layer: int = 0
    previous: AgentId = ""
    workflow: str = ""
    owner: str = ""
    forked: RunId | None = None
    forked_at: int | None = Field(default=None, ge=0)
    changed: tuple[str, ...] = ()
    capture: str = ""

    @property
    def first_own(self) -> int:
        """Return the number of the first event that was not taken over from another run."""
        return self.forked_at or 0


class TaskPrepared(BaseEvent):
    """The task was embedded, gates and preferences were applied, and it was seen who is busy.

    ``vector`` is (d,) float32 packed; ``refused`` maps an agent to the gate that refuses it; ``bonus`` maps an agent to
    what preferences and the conversation add to its utility; ``rules`` says which rules spoke, and ``faults`` what of
    them could not be followed; ``load`` maps each busy agent to its calls under way, as a share of those that it takes
    at once.
    """

    kind: Literal["task_prepared"] = "task_prepared"
    vector: PackedVector
    refused: Mapping[AgentId, str] = Field(default_factory=dict)
    bonus: Mapping[AgentId, float] = Field(default_factory=dict)
    rules: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    load: Mapping[AgentId, float] = Field(default_factory=dict)


class DecisionMade(BaseEvent):
    """The router decided."""

    kind: Literal["decision_made"] = "decision_made"
    decision: RouteDecision


class WaveStarted(BaseEvent):
    """A wave of a team is about to be asked, or none is any more: then ``agents`` is empty and ``reason`` says why.

    ``agreement`` is the probability that the leading answer of the waves before is right. ``groups`` are the agents
    whose answers so far count as the same, and ``note`` says what could not be compared as it should be.
    """

    kind: Literal["wave_started"] = "wave_started"
    wave: int = Field(ge=1)
    agents: tuple[AgentId, ...]
    reason: str
    agreement: float | None = None
    groups: tuple[tuple[AgentId, ...], ...] = ()
    note: str = ""


class CallStarted(BaseEvent):
    """An agent is being called."""

    kind: Literal["call_started"] = "call_started"
    agent_id: AgentId
    attempt: int = 1
    wave: int = 1


class AnswerChunk(BaseEvent):
    """A piece of an agent's answer while it is being written. Sent to listeners, not stored."""

    kind: Literal["answer_chunk"] = "answer_chunk"
    agent_id: AgentId
    text: str


class CallFinished(BaseEvent):
    """A call ended, well or not. It is stored before its answer is used."""

    kind: Literal["call_finished"] = "call_finished"
    call: AgentCall


class ContextSliced(BaseEvent):
    """An agent gets a part of the task's context: ``tokens`` of ``full_tokens``, at most ``budget_tokens``."""

    kind: Literal["context_sliced"] = "context_sliced"
    agent_id: AgentId
    wave: int = 1
    budget_tokens: int = Field(ge=0)
    tokens: int = Field(ge=0)
    full_tokens: int = Field(ge=0)
    items: tuple[SlicedItem, ...] = ()


class ApprovalAsked(BaseEvent):
    """A call waits for a person's approval."""

    kind: Literal["approval_asked"] = "approval_asked"
    request: ApprovalRequest


class ApprovalGiven(BaseEvent):
    """A person, or the clock, has said whether a call may be made."""

    kind: Literal["approval_given"] = "approval_given"
    reply: ApprovalReply


class RunResumed(BaseEvent):
    """A run goes on after a pause, or after the process that ran it was lost; what came before stands.

    ``owner`` is the lease of who goes on with it.
    """

    kind: Literal["run_resumed"] = "run_resumed"
    reason: str = ""
    owner: str = ""


class AnswerChecked(BaseEvent):
    """An answer was checked against what the task wants, or, ``before`` a call, whether the agent can give one.

    ``cost_usd`` is what the check itself cost. A check that failed itself counts as passed, and ``reason`` says so.
    """

    kind: Literal["answer_checked"] = "answer_checked"
    agent_id: AgentId
    wave: int = 1
    check: str
    passed: bool
    reason: str = ""
    cost_usd: Usd | None = Decimal(0)
    before: bool = False


class StageStarted(BaseEvent):
    """A stage of a workflow begins: the run that does it is ``child``."""

    kind: Literal["stage_started"] = "stage_started"
    stage: str
    part: int = 0
    child: RunId


class StageWaiting(BaseEvent):
    """The run of a stage waits for a person's approval, and with it the workflow, until it is resumed."""

    kind: Literal["stage_waiting"] = "stage_waiting"
    stage: str
    part: int = 0
    child: RunId
    requests: tuple[ApprovalRequest, ...] = ()


class StageFinished(BaseEvent):
    """A stage of a workflow has ended, or was passed over; then no run stands in ``result``, and its reason says why.

    ``cost_usd`` is what its run cost.
    """

    kind: Literal["stage_finished"] = "stage_finished"
    result: StageRun
    cost_usd: Usd | None = Decimal(0)


class AnswerRefined(BaseEvent):
    """The answers became one. ``cost_usd`` is what the refining itself cost.

    ``rests_on`` are the runs that the answer of a workflow was made of.
    """

    kind: Literal["answer_refined"] = "answer_refined"
    refiner: str
    answer: str | None
    answered_by: tuple[AgentId, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    agreed: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    cost_usd: Usd | None = Decimal(0)
    note: str = ""
    rests_on: tuple[RunId, ...] = ()


class RunFinished(BaseEvent):
    """The run ended."""

    kind: Literal["run_finished"] = "run_finished"
    status: RunStatus
    answer: str | None = None
    cost_usd: Usd | None = None
    elapsed_s: float = Field(default=0.0, ge=0)
    error: str | None = None


class FeedbackGiven(BaseEvent):
    """Somebody or something scored an answer."""

    kind: Literal["feedback_given"] = "feedback_given"
    feedback: Feedback


Event: TypeAlias = Annotated[
    RunStarted
    | TaskPrepared
    | DecisionMade
    | WaveStarted
    | CallStarted
    | AnswerChunk
    | CallFinished
    | ContextSliced
    | ApprovalAsked
    | ApprovalGiven
    | RunResumed
    | AnswerChecked
    | StageStarted
    | StageWaiting
    | StageFinished
    | AnswerRefined
    | RunFinished
    | FeedbackGiven,
    Field(discriminator="kind"),
]


def fold(events: Iterable[Event]) -> Run:
    """Fold the events of one run, in order, into the run as users see it.

    Raises:
        RunNotFoundError: no ``run_started`` is among the events.
    """
    known, by_kind = list(events), dict[str, list[Any]]()
    for event in known:
        by_kind.setdefault(event.kind, []).append(event)
    if "run_started" not in by_kind:
        raise RunNotFoundError("these events hold no run_started; a trace begins with one")
    started: RunStarted = by_kind["run_started"][0]
    decisions: list[DecisionMade] = by_kind.get("decision_made", [])
    refined: list[AnswerRefined] = by_kind.get("answer_refined", [])
    finished: list[RunFinished] = by_kind.get("run_finished", [])
    stages: list[StageFinished] = by_kind.get("stage_finished", [])
    calls = tuple(event.call for event in by_kind.get("call_finished", []))
    taken_over = sum(event.seq < started.first_own for event in by_kind.get("call_finished", []))
    paused = stages_waiting(known)
    waiting = open_requests(by_kind.get("approval_asked", []), by_kind.get("approval_given", []))
    waiting += tuple(request for event in paused for request in event.requests)
    unfinished = RunStatus.WAITING if waiting or paused else RunStatus.RUNNING
    end = finished[-1] if finished else None
    return Run(
        id=started.run_id,
        task=started.task,
        status=end.status if end else unfinished,
        answer=end.answer if end else None,
        answered_by=refined[-1].answered_by if refined else (),
        decision=decisions[-1].decision if decisions else None,
        calls=calls,
        conflicts=refined[-1].conflicts if refined else (),
        agreed=refined[-1].agreed if refined else (),
        dropped=refined[-1].dropped if refined else (),
        waiting_for=() if end else waiting,
        parent=started.parent,
        stages=tuple(event.result for event in stages),
        forked=started.forked,
        forked_at=started.forked_at,
        changed=started.changed,
        taken_over=taken_over,
        cost_usd=end.cost_usd if end else total_cost(calls[taken_over:]),
        started_at=started.at,
        elapsed_s=end.elapsed_s if end else 0.0,
        error=end.error if end else None,
    )


def open_requests(asked: Iterable[ApprovalAsked], given: Iterable[ApprovalGiven]) -> tuple[ApprovalRequest, ...]:
    """Return the requests that nobody has answered."""
    answered = {(event.reply.agent_id, event.reply.wave) for event in given}
    return tuple(event.request for event in asked if (event.request.agent_id, event.request.wave) not in answered)


def stages_waiting(events: Iterable[Event]) -> tuple[StageWaiting, ...]:
    """Return the stages that a workflow has waited for since it was last resumed, by its events in order."""
    waiting: list[StageWaiting] = []
    for event in events:
        if isinstance(event, StageWaiting):
            waiting.append(event)
        elif isinstance(event, RunResumed):
            waiting = []
    return tuple(waiting)


def summarize(run: Run) -> RunSummary:
    """Return the line of the list of runs for ``run``."""
    agents = tuple(dict.fromkeys(call.agent_id for call in run.calls))
    elapsed = run.elapsed_s if run.status.has_ended else None
    return RunSummary(
        id=run.id,
        status=run.status,
        text=run.task.text[:200],
        agents=agents,
        cost_usd=run.cost_usd,
        started_at=run.started_at,
        elapsed_s=elapsed,
    )


def total_cost(calls: Sequence[AgentCall]) -> Decimal | None:
    """Add up what calls cost; ``None`` as soon as one is unknown.

    >>> total_cost(())
    Decimal('0')
    """
    total = Decimal(0)
    for call in calls:
        if call.cost_usd is None:
            return None
        total += call.cost_usd
    return total
