"""The workflow driven on a recording: recorded vector, recorded gates, recorded answers, in place of the live parts."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from agentmesh.agents.refiner import Equivalence, Refined, Refiner, VoteRefiner, WeightedAnswer
from agentmesh.approvals import ApprovalReply
from agentmesh.errors import ReplayError, ReplayMissError
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalGiven,
    CallFinished,
    ContextSliced,
    DecisionMade,
    Event,
    RunFinished,
    RunStarted,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.graphs.admission import Admitted, ProposedCall, Refusal
from agentmesh.graphs.approval import admitted, reply_to
from agentmesh.graphs.asking import RecordedAsker
from agentmesh.graphs.calling import CallRequest
from agentmesh.graphs.checking import Checked, post
from agentmesh.graphs.equality import Equality, KeyEquality, RecordedEquality, of_form
from agentmesh.graphs.limits import Budget
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.team import Team
from agentmesh.judging.checks import CheckResult
from agentmesh.records import AgentCall, AgentCard, CallStatus, RouteDecision, RunStatus, Task
from agentmesh.routing.pacing import before_model
from agentmesh.types import AgentId


@dataclass(frozen=True, slots=True)
class Recording:
    """The events of one run, by what a replay needs of them."""

    events: tuple[Event, ...]
    started: RunStarted
    prepared: TaskPrepared
    decided: DecisionMade
    calls: tuple[AgentCall, ...]
    waves: tuple[WaveStarted, ...]
    replies: tuple[ApprovalReply, ...]
    slices: tuple[ContextSliced, ...]
    refined: AnswerRefined | None
    finished: RunFinished
    checked: tuple[AnswerChecked, ...] = ()

    @property
    def before(self) -> tuple[Event, ...]:
        """Return what a fork took over and a replay does not do again: all of it but the decision."""
        taken = (event for event in self.events if event.seq < self.started.first_own)
        return tuple(event for event in taken if not isinstance(event, TaskPrepared | DecisionMade))

    @property
    def draw_seed(self) -> int | None:
        """Return the seed of a decision that was taken over, ``None`` where the run's own id gives it."""
        return self.decided.decision.seed if self.decided.seq < self.started.first_own else None

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
                waves=tuple(event for event in events if isinstance(event, WaveStarted)),
                replies=tuple(event.reply for event in events if isinstance(event, ApprovalGiven)),
                slices=tuple(event for event in events if isinstance(event, ContextSliced)),
                refined=last.get(AnswerRefined),  # type: ignore[arg-type]
                finished=last[RunFinished],  # type: ignore[arg-type]
                checked=tuple(event for event in events if isinstance(event, AnswerChecked)),
            )
        except KeyError as missing:
            kind = missing.args[0].__name__
            raise ReplayError(
                f"run {events[0].run_id!r} holds no {kind}; only a run that decided and ended is replayed"
            ) from None


class RecordedCaller:
    """Hands out recorded calls: for each agent and wave, its attempts in order. It calls nobody and never waits."""

    def __init__(self, calls: Sequence[AgentCall], *, before: Sequence[AgentCall] = ()) -> None:
        """Keep the calls of one run; those ``before``, which a fork took over, are made by nobody."""
        self._left: dict[tuple[AgentId, int], deque[AgentCall]] = defaultdict(deque)
        self._attempts: dict[tuple[AgentId, int], int] = defaultdict(int)
        self._wave: dict[AgentId, int] = {call.agent_id: call.wave for call in before}
        for call in before:
            self._attempts[call.agent_id, call.wave] = call.attempt
        for call in calls:
            place = (call.agent_id, call.wave)
            self._attempts[place] = max(self._attempts[place], call.attempt)
            if call.status is not CallStatus.REFUSED:  # a refusal is decided again, not looked up
                self._left[place].append(call)

    async def call(self, request: CallRequest, log: RunLog) -> AgentCall:  # noqa: ARG002 - the seam's signature
        """Return the agent's next recorded call.

        Raises:
            ReplayMissError: there is none left.
        """
        self._wave[request.card.id] = request.wave
        left = self._left[request.card.id, request.wave]
        if not left:
            raise ReplayMissError(
                f"no answer of {request.card.id!r} is recorded for attempt {request.attempt} in wave {request.wave}"
            )
        return left.popleft()

    async def wait(self, card: AgentCard, attempt: int, seconds: float, deadline: float | None) -> bool:  # noqa: ARG002 - the seam's signature
        """Go on at once; there was time for another attempt if one is recorded."""
        return attempt < self._attempts[card.id, self._wave[card.id]]


class RecordedChecker:
    """Says of each answer what its checks found then; none is asked again."""

    def __init__(self, checked: Iterable[AnswerChecked]) -> None:
        """Keep what the checks of one run found."""
        self._found: dict[tuple[AgentId, int], list[Checked]] = defaultdict(list)
        for event in checked:
            if not event.before:
                self._found[event.agent_id, event.wave].append(_as_checked(event))

    async def check(
        self,
        task: Task,  # noqa: ARG002 - the seam's signature
        call: AgentCall,
        *,
        budget: Budget,
        timeout_s: float | None,  # noqa: ARG002 - as above
        passed: Collection[str] = (),
    ) -> Sequence[Checked]:
        """Return what was found beside what has passed already."""
        found = [one for one in self._found.get((call.agent_id, call.wave), []) if one.check not in passed]
        for checked in found:
            budget.correct(None, checked.result.cost_usd)
        return found


class RecordedSteps:
    """Stands before calls as the steps of then did: says what was checked, what a person said, and refuses again.

    Refused are calls that cannot be decided on again from the trace: what was left of the run around this one, who was
    unhealthy, whose turn did not come in time. Refusals that the run's own budget explains come before, and are decided
    on again.
    """

    def __init__(self, recording: Recording) -> None:
        """Keep what stood before the calls of one run."""
        refused = [call for call in recording.calls if call.status is CallStatus.REFUSED]
        self._refused = {(call.agent_id, call.wave, call.attempt): call.error or "" for call in refused}
        self._checked = [event for event in recording.checked if event.before]
        self._replies = {(reply.agent_id, reply.wave): reply for reply in recording.replies}

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Admitted:
        """Return the task as it was admitted, or why it was not; nobody is waited for."""
        place = (proposed.card.id, proposed.wave)
        for event in self._checked if proposed.attempt == 1 else ():
            if (event.agent_id, event.wave) == place:
                proposed.budget.correct(None, event.cost_usd)
                post(log, _as_checked(event), agent_id=event.agent_id, wave=event.wave, before=True)
        said = self._replies.get(place)
        if said is not None and reply_to(log.events, *place) is None:  # its attempts share one
            log.post(ApprovalGiven, reply=said)
        reason = self._refused.get((*place, proposed.attempt))
        if reason is not None:
            return Refusal(reason)
        return proposed.task if said is None else admitted(proposed.task, said)


def _as_checked(event: AnswerChecked) -> Checked:
    return Checked(event.check, CheckResult(passed=event.passed, reason=event.reason, cost_usd=event.cost_usd))


class RecordedSlices:
    """Tells again what each agent got of the task's context; recorded answers need none of it."""

    def __init__(self, slices: Sequence[ContextSliced]) -> None:
        """Keep the slices of one run."""
        self._slices = {(event.agent_id, event.wave): event for event in slices}

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Task:
        """Return the task as it is."""
        event = self._slices.get((proposed.card.id, proposed.wave))
        if event is not None and proposed.attempt == 1:
            kept = event.model_dump(exclude={"kind", "run_id", "seq", "at"})
            log.post(ContextSliced, **kept)
        return proposed.task


def asker_of(decision: RouteDecision) -> RecordedAsker | None:
    """Return what repeats to a router what a model said then, ``None`` where there was no model to ask."""
    if decision.reasoning is None and before_model(decision) is None:
        return None
    return RecordedAsker(decision.reasoning)


def equality_of(team: Team | None, waves: Sequence[WaveStarted], *, whole: bool = True) -> Equality:
    """Return what says which answers of a recorded team are equal.

    It is found again where the answers say it. What vectors or tries said is taken from the waves: a replay has no
    embedder, and runs no answer. So it is where the answers are not all kept as they were: then the trace is not whole.
    """
    if team is None or (team.is_repeatable and whole):
        return KeyEquality(None if team is None else of_form(team.equivalence))
    return RecordedEquality(waves)


class RecordedRefiner(Refiner):
    """Returns the recorded final answer of a refining agent; a plain vote on a whole trace is taken again instead."""

    def __init__(
        self, refined: AnswerRefined | None, equivalence: Equivalence | None = None, *, whole: bool = True
    ) -> None:
        """Keep what was recorded, and by what a vote tells which answers are equal."""
        self.name = VoteRefiner.name if refined is None else refined.refiner
        self._refined, self._voting = refined, VoteRefiner(equivalence)
        self._votes_again = whole and self.name == VoteRefiner.name

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        """Return what was recorded, or vote again."""
        if self._refined is None or self._votes_again:
            return await self._voting.refine(task, answers)
        recorded = self._refined
        return Refined(
            answer=recorded.answer,
            answered_by=recorded.answered_by,
            conflicts=recorded.conflicts,
            agreed=recorded.agreed,
            dropped=recorded.dropped,
            note=recorded.note,
            cost_usd=recorded.cost_usd,
        )
