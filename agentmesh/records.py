"""The frozen, serialised values that users see: what was asked, who was considered, who was called, what came back.

Money is held as ``Decimal`` US dollars. ``None`` for a price or a cost means *unknown*, never zero.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agentmesh.approvals import ApprovalRequest as ApprovalRequest
from agentmesh.contexts import ContextItem as ContextItem
from agentmesh.contexts import SlicedItem as SlicedItem
from agentmesh.decisions import Candidate as Candidate
from agentmesh.decisions import Reasoning as Reasoning
from agentmesh.decisions import RouteDecision as RouteDecision
from agentmesh.decisions import Selection as Selection
from agentmesh.decisions import Stage as Stage
from agentmesh.frozen import Record as Record
from agentmesh.money import Money as Money
from agentmesh.money import Usd as Usd
from agentmesh.packing import PackedVector
from agentmesh.preferences import Preference as Preference
from agentmesh.types import AgentId, JsonValue, RunId


class Objective(Record):
    """What a task is worth: the weights of quality, cost and latency in the utility of a call."""

    quality: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    cost: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    latency: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Turn(Record):
    """One earlier turn of the conversation that a task belongs to."""

    role: Literal["user", "assistant", "system"]
    text: str
    agent_id: AgentId | None = None


class Task(Record):
    """What is asked. Gold answers and labels have no place here, so nothing that routes can read them.

    ``context`` is material that agents may read; a run's ``Limits.context_tokens`` cuts for each agent a slice of it.
    ``preferences`` are rules for this task alone; they stand beside those of the mesh.
    """

    text: str
    id: str | None = None
    inputs: Mapping[str, JsonValue] = Field(default_factory=dict)
    type_hints: tuple[str, ...] = ()
    required_skills: frozenset[str] = frozenset()
    required_flags: frozenset[str] = frozenset()
    turns: tuple[Turn, ...] = ()
    context: tuple[ContextItem, ...] = ()
    objective: Objective = Objective()
    preferences: tuple[Preference, ...] = ()

    @property
    def previous_agent(self) -> AgentId | None:
        """Return the agent that gave the last answer of the conversation, ``None`` where it is not known."""
        answers = (turn.agent_id for turn in reversed(self.turns) if turn.role == "assistant")
        return next(answers, None)


class AgentCard(Record):
    """What an agent declares about itself. ``version`` rises with each change of the card."""

    id: AgentId
    description: str
    skills: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    group: str | None = None
    price_per_call_usd: Usd | None = None
    price_in_per_m_usd: Usd | None = None
    price_out_per_m_usd: Usd | None = None
    latency_s: float | None = Field(default=None, ge=0)
    max_concurrency: int | None = Field(default=None, ge=1)
    policy_flags: frozenset[str] = frozenset()
    spec: str = ""
    version: int = Field(default=1, ge=1)


class RegistrySnapshot(Record):
    """The cards that were registered together. ``version`` is a hash of their content and of the embedder.

    Shapes:
        ``vectors`` are the capability vectors, (n, d) float32 packed row by row in the order of ``cards``: with them a
        decision is made again without the embedder. ``name_vectors`` are those of the agents' names, packed alike; they
        are empty in what was stored before there were any.
    """

    version: str
    cards: tuple[AgentCard, ...]
    embedder: str = ""
    vectors: PackedVector = b""
    name_vectors: PackedVector = b""


class Limits(Record):
    """What a run may use. ``None`` sets no limit. A run that is started inside another uses what is left of that too.

    ``max_agents`` is how many agents may answer; unset, it is 1 without a refining agent and 3 with one.
    ``call_timeout_s`` holds for one attempt, ``timeout_s`` for the run, ``idle_timeout_s`` for the time in which an
    agent under way gives no sign: no piece of its answer, and no event of a run that it started. ``retries`` are
    further attempts after a retryable failure. ``fallbacks`` are agents that stand in, one after the other, where
    nobody gave an answer, and ``replans`` those where no answer passed the checks: the next best of the decision.
    ``max_tokens`` are tokens read and written by all calls. ``context_tokens`` is what of a task's context one agent
    gets. Under ``cost_usd``, an agent whose price is unknown is refused unless ``allow_unknown_price``.
    """

    cost_usd: Usd | None = None
    timeout_s: float | None = Field(default=None, gt=0)
    call_timeout_s: float | None = Field(default=None, gt=0)
    idle_timeout_s: float | None = Field(default=None, gt=0)
    max_calls: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0)
    max_agents: int | None = Field(default=None, ge=1)
    context_tokens: int | None = Field(default=None, ge=0)
    retries: int = Field(default=0, ge=0, le=10)
    fallbacks: int = Field(default=0, ge=0, le=10)
    replans: int = Field(default=0, ge=0, le=10)
    allow_unknown_price: bool = False

    if TYPE_CHECKING:  # type checkers do not know that the validator takes floats and text for money

        def __init__(
            self,
            *,
            cost_usd: Money | None = None,
            timeout_s: float | None = None,
            call_timeout_s: float | None = None,
            idle_timeout_s: float | None = None,
            max_calls: int | None = None,
            max_tokens: int | None = None,
            max_agents: int | None = None,
            context_tokens: int | None = None,
            retries: int = 0,
            fallbacks: int = 0,
            replans: int = 0,
            allow_unknown_price: bool = False,
        ) -> None: ...


class Usage(Record):
    """Tokens that a call read and wrote."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)


class Answer(Record):
    """What an agent returns when plain text is not enough: usage, its own cost, or structured data."""

    text: str
    usage: Usage | None = None
    cost_usd: Usd | None = None
    data: JsonValue = None

    if TYPE_CHECKING:  # as in Limits

        def __init__(
            self, *, text: str, usage: Usage | None = None, cost_usd: Money | None = None, data: JsonValue = None
        ) -> None: ...


class CallStatus(StrEnum):
    """How a call of an agent ended."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class AgentCall(Record):
    """One attempt at one agent. ``cost_usd`` is ``None`` when it is unknown, also for a failed call.

    It holds what the runs cost that the agent started in this attempt; ``nested_usd`` is that part of it.
    """

    agent_id: AgentId
    agent_version: int = 1
    attempt: int = Field(default=1, ge=1)
    wave: int = Field(default=1, ge=1)
    status: CallStatus
    answer: Answer | None = None
    cost_usd: Usd | None = None
    nested_usd: Usd | None = Decimal(0)
    latency_s: float = Field(default=0.0, ge=0)
    error: str | None = None
    retryable: bool = False


class Position(Record):
    """One of several answers that stood against each other, who gave it, and the weight behind it."""

    text: str
    agents: tuple[AgentId, ...]
    weight: float


class Conflict(Record):
    """Answers that do not agree, heaviest first, and why the first was kept if that is known."""

    positions: tuple[Position, ...]
    explanation: str = ""


class Dropped(Record):
    """An answer that the final one leaves out, and why."""

    agent_id: AgentId
    text: str
    why: str


class RunStatus(StrEnum):
    """How a run stands. One that waits for a person's approval goes on when it is given."""

    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    ABSTAINED = "abstained"
    FAILED = "failed"
    OVER_BUDGET = "over_budget"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Return whether the run is over, well or not."""
        return self not in (RunStatus.RUNNING, RunStatus.WAITING)


class StageRun(Record):
    """One stage of a workflow as it went: the run that did it, or why there was none.

    ``stage`` is its name, ``part`` the number of an item that it was mapped over or of a round of its loop, from 0.
    """

    stage: str
    part: int = Field(default=0, ge=0)
    run_id: RunId | None = None
    status: RunStatus | None = None
    answer: str | None = None
    reason: str = ""


class Run(Record):
    """One task from end to end. ``cost_usd`` is ``None`` as soon as the cost of one call is unknown.

    ``agreed`` are points that the answers share, ``dropped`` answers that the final one leaves out. ``waiting_for``
    are the approvals that a waiting run waits for. ``parent`` is the run that started this one, and ``stages`` what a
    run of a workflow went through. A fork goes on from event ``forked_at`` of the run ``forked``, with what is named in
    ``changed``: its first ``taken_over`` calls were made there, and are no part of its cost.
    """

    id: RunId
    task: Task
    status: RunStatus
    answer: str | None = None
    answered_by: tuple[AgentId, ...] = ()
    decision: RouteDecision | None = None
    calls: tuple[AgentCall, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    agreed: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    waiting_for: tuple[ApprovalRequest, ...] = ()
    parent: RunId | None = None
    stages: tuple[StageRun, ...] = ()
    forked: RunId | None = None
    forked_at: int | None = None
    changed: tuple[str, ...] = ()
    taken_over: int = 0
    cost_usd: Usd | None = None
    started_at: float
    elapsed_s: float = 0.0
    error: str | None = None


class RunSummary(Record):
    """A line of the list of runs."""

    id: RunId
    status: RunStatus
    text: str
    agents: tuple[AgentId, ...] = ()
    cost_usd: Usd | None = None
    started_at: float
    elapsed_s: float | None = None


class Feedback(Record):
    """What an answer was worth, 0 to 1. Without ``agent_id`` it scores the final answer."""

    run_id: RunId
    score: float = Field(ge=0, le=1, allow_inf_nan=False)
    agent_id: AgentId | None = None
    source: str = "user"
    at: float


class Experience(Record):
    """One observed outcome, as a router learns it. ``sequence`` is given by the store: rising from 1, each used once.

    ``weight`` is how much evidence it is beside one outcome that is certain. ``stage`` and ``previous`` say where in a
    workflow of several stages the agent stood, and behind which agent; "" is the start. ``factors`` are those of the
    agent in the decision that called it: what was known of it then and is not in the log otherwise.

    Shapes:
        ``vector`` is the task's embedding by the embedder named, (d,) float32 packed.
    """

    sequence: int = Field(default=0, ge=0)
    run_id: RunId
    text: str
    vector: PackedVector
    embedder: str = ""
    agent_id: AgentId
    agent_version: int = 1
    quality: float = Field(ge=0, le=1, allow_inf_nan=False)
    cost_usd: Usd | None = None
    latency_s: float | None = None
    propensity: float | None = None
    type_hints: tuple[str, ...] = ()
    source: str = "user"
    weight: float = Field(default=1.0, gt=0, le=1)
    stage: int = Field(default=0, ge=0)
    previous: AgentId = ""
    factors: Mapping[str, float] = Field(default_factory=dict)
    at: float


class RouterState(Record):
    """A router as it was after the experience number ``sequence``.

    ``payload`` is a safetensors file: arrays by name, the rest as JSON in its metadata. Never pickle.
    """

    router: str
    parameters: str
    sequence: int = Field(ge=0)
    at: float
    payload: bytes = Field(repr=False)

    @property
    def version(self) -> str:
        """Return what a decision names: parameter hash and last experience."""
        return f"{self.parameters}@{self.sequence}"


class RouterMark(Record):
    """A place in the log of experiences where a router's state was set by somebody, not learned.

    It takes a ``sequence`` of its own, so that a version names a state before it or after it, never both. ``router`` is
    the name the state is stored under, ``root`` the hash of the router's parameters as it is built, and ``parameters``
    the hash of the state that holds from here on: another one where the router was fitted. ``target`` is the sequence
    that a rollback went back to.
    """

    sequence: int = Field(default=0, ge=0)
    router: str
    root: str
    parameters: str
    kind: Literal["trained", "reset", "rollback"]
    target: int | None = None
    at: float
    note: str = ""


class LearningFault(Record):
    """Something that could not be learned from, and why. ``run_id`` and ``source`` are "" where there is none."""

    at: float
    run_id: RunId = ""
    source: str = ""
    message: str
