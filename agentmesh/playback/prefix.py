"""The workflow driven on a recording: recorded vector, recorded gates, recorded answers, in place of the live parts."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from agentmesh.agents.refiner import Equivalence, Refined, Refiner, VoteRefiner, WeightedAnswer
from agentmesh.approvals import ApprovalReply
from agentmesh.errors import ReplayError, ReplayMissError
from agentmesh.events import (
    AnswerRefined,
    ApprovalGiven,
    CallFinished,
    DecisionMade,
    Event,
    RunFinished,
    RunStarted,
    TaskPrepared,
)
from agentmesh.graphs.admission import Admitted, ProposedCall
from agentmesh.graphs.approval import admitted, reply_to
from agentmesh.graphs.asking import RecordedAsker
from agentmesh.graphs.calling import CallRequest
from agentmesh.graphs.log import RunLog
from agentmesh.records import AgentCall, AgentCard, CallStatus, RouteDecision, RunStatus, Task
from agentmesh.routing.pacing import before_model
from agentmesh.types import AgentId


@dataclass(frozen=True, slots=True)
class Recording:
    """The events of one run, by what a replay needs of them."""

    started: RunStarted
    prepared: TaskPrepared
    decided: DecisionMade
    calls: tuple[AgentCall, ...]
    replies: tuple[ApprovalReply, ...]
    refined: AnswerRefined | None
    finished: RunFinished

    @classmethod
    def of(cls, events: Sequence[Event]) -> "Recording":
        """Sort the events of a finished run.

        Raises:
            ReplayError: the run did not get as far as a decision, has not ended, or was cancelled.
        """
        if any(isinstance(event, RunFinished) and event.status is RunStatus.CANCELLED for event in events):
            raise ReplayError(f"run {events[0].run_id!r} was cancelled; only a run that ended by itself is replayed")
        last = {type(event): event for event in events}
        try:
            return cls(
                started=last[RunStarted],  # type: ignore[arg-type]  # the key is the type
                prepared=last[TaskPrepared],  # type: ignore[arg-type]
                decided=last[DecisionMade],  # type: ignore[arg-type]
                calls=tuple(event.call for event in events if isinstance(event, CallFinished)),
                replies=tuple(event.reply for event in events if isinstance(event, ApprovalGiven)),
                refined=last.get(AnswerRefined),  # type: ignore[arg-type]
                finished=last[RunFinished],  # type: ignore[arg-type]
            )
        except KeyError as missing:
            kind = missing.args[0].__name__
            raise ReplayError(
                f"run {events[0].run_id!r} holds no {kind}; only a run that decided and ended is replayed"
            ) from None


class RecordedCaller:
    """Hands out recorded calls: for each agent, its attempts in order. It calls nobody and waits for nothing."""

    def __init__(self, calls: Sequence[AgentCall]) -> None:
        """Keep the calls of one run."""
        self._left: dict[AgentId, deque[AgentCall]] = defaultdict(deque)
        self._attempts: dict[AgentId, int] = defaultdict(int)
        for call in calls:
            self._attempts[call.agent_id] = max(self._attempts[call.agent_id], call.attempt)
            if call.status is not CallStatus.REFUSED:  # a refusal is decided again, not looked up
                self._left[call.agent_id].append(call)

    async def call(self, request: CallRequest, log: RunLog) -> AgentCall:  # noqa: ARG002 - the seam's signature
        """Return the agent's next recorded call.

        Raises:
            ReplayMissError: there is none left.
        """
        left = self._left[request.card.id]
        if not left:
            raise ReplayMissError(f"no answer of {request.card.id!r} is recorded for attempt {request.attempt}")
        return left.popleft()

    async def wait(self, card: AgentCard, attempt: int, seconds: float, deadline: float | None) -> bool:  # noqa: ARG002 - the seam's signature
        """Go on at once; there was time for another attempt if one is recorded."""
        return attempt < self._attempts[card.id]


class RecordedApprovals:
    """Says of each call again what was said of it then, and waits for nobody."""

    def __init__(self, replies: Sequence[ApprovalReply]) -> None:
        """Keep what was said in one run."""
        self._replies = {(reply.agent_id, reply.wave): reply for reply in replies}

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Admitted:
        """Return the task as it was approved, or why it was not."""
        said = self._replies.get((proposed.card.id, proposed.wave))
        if said is None:
            return proposed.task
        if reply_to(log.events, said.agent_id, said.wave) is None:  # its attempts share one
            log.post(ApprovalGiven, reply=said)
        return admitted(proposed.task, said)


def asker_of(decision: RouteDecision) -> RecordedAsker | None:
    """Return what repeats to a router what a model said then, ``None`` where there was no model to ask."""
    if decision.reasoning is None and before_model(decision) is None:
        return None
    return RecordedAsker(decision.reasoning)


class RecordedRefiner(Refiner):
    """Returns the recorded final answer of a refining agent; a plain vote is taken again instead."""

    def __init__(self, refined: AnswerRefined | None, equivalence: Equivalence | None = None) -> None:
        """Keep what was recorded, and by what a vote tells which answers are equal."""
        self.name = VoteRefiner.name if refined is None else refined.refiner
        self._refined, self._voting = refined, VoteRefiner(equivalence)

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        """Return what was recorded, or vote again."""
        if self._refined is None or self.name == VoteRefiner.name:
            return await self._voting.refine(task, answers)
        recorded = self._refined
        return Refined(
            answer=recorded.answer,
            answered_by=recorded.answered_by,
            conflicts=recorded.conflicts,
            note=recorded.note,
            cost_usd=recorded.cost_usd,
        )
