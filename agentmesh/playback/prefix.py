"""The workflow driven on a recording: recorded vector, recorded gates, recorded answers, in place of the live parts."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.agents.refiner import Equivalence, Refined, Refiner, VoteRefiner, WeightedAnswer
from agentmesh.errors import ReplayError, ReplayMissError
from agentmesh.events import AnswerRefined, CallFinished, DecisionMade, Event, RunFinished, RunStarted, TaskPrepared
from agentmesh.graphs.admission import Admitted, ProposedCall, Refusal
from agentmesh.graphs.asking import RecordedAsker
from agentmesh.graphs.calling import CallRequest
from agentmesh.graphs.log import RunLog
from agentmesh.packing import unpack_vector
from agentmesh.records import AgentCall, AgentCard, CallStatus, RouteDecision, RunStatus, Task
from agentmesh.routing.pacing import before_model
from agentmesh.types import AgentId, VectorArray


@dataclass(frozen=True, slots=True)
class Recording:
    """The events of one run, by what a replay needs of them."""

    events: tuple[Event, ...]
    started: RunStarted
    prepared: TaskPrepared
    decided: DecisionMade
    calls: tuple[AgentCall, ...]
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
                events=tuple(events),
                started=last[RunStarted],  # type: ignore[arg-type]  # the key is the type
                prepared=last[TaskPrepared],  # type: ignore[arg-type]
                decided=last[DecisionMade],  # type: ignore[arg-type]
                calls=tuple(event.call for event in events if isinstance(event, CallFinished)),
                refined=last.get(AnswerRefined),  # type: ignore[arg-type]
                finished=last[RunFinished],  # type: ignore[arg-type]
            )
        except KeyError as missing:
            kind = missing.args[0].__name__
            raise ReplayError(
                f"run {events[0].run_id!r} holds no {kind}; only a run that decided and ended is replayed"
            ) from None


class RecordedEmbedder:
    """Returns the vector that was recorded for one task."""

    def __init__(self, version: str, text: str, vector: bytes) -> None:
        """Keep one text and its vector."""
        self._version = version
        self._text = text
        self._vector = unpack_vector(vector)

    @property
    def version(self) -> str:
        """Return the version of the embedder that made the vector."""
        return self._version

    @property
    def dimension(self) -> int:
        """Return the length of the vector."""
        return len(self._vector)

    @property
    def is_quick(self) -> bool:
        """Return that it is: the vector is at hand."""
        return True

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Return the recorded vector for each text.

        Raises:
            ReplayMissError: another text is asked for.
        """
        for text in texts:
            if text != self._text:
                raise ReplayMissError(
                    f"no vector is recorded for {text[:60]!r}; the recorded task is {self._text[:60]!r}"
                )
        return np.tile(self._vector, (len(texts), 1))


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


class RecordedRefusals:
    """Repeats refusals that a recording holds.

    It is an :class:`~agentmesh.graphs.admission.Admission`, for what cannot be decided again from the trace: what was
    left of the run around this one, who was unhealthy, whose turn did not come in time, what a check or a person said.
    Refusals that the run's own budget explains come before it, and are the same.
    """

    def __init__(self, calls: Sequence[AgentCall]) -> None:
        """Keep the calls that were refused."""
        refused = [call for call in calls if call.status is CallStatus.REFUSED]
        self._reasons = {(call.agent_id, call.wave, call.attempt): call.error or "" for call in refused}

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Admitted:  # noqa: ARG002 - the seam's signature
        """Return the recorded refusal of this call, or let it pass."""
        reason = self._reasons.get((proposed.card.id, proposed.wave, proposed.attempt))
        return proposed.task if reason is None else Refusal(reason)


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
