"""What a watcher knows of the runs that flow by: their events folded, the newest in detail, all of them in sums."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Final

from agentmesh.decisions import UNHEALTHY, Candidate, RouteDecision
from agentmesh.events import (
    AnswerChunk,
    AnswerRefined,
    ApprovalAsked,
    CallFinished,
    CallStarted,
    DecisionMade,
    Event,
    FeedbackGiven,
    RunFinished,
    RunResumed,
    RunStarted,
    StageStarted,
    StageWaiting,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.records import RunStatus
from agentmesh.tui.tallies import FEW_SCORES, AgentTally, Totals
from agentmesh.types import AgentId, RunId

KEPT: Final = 200
"""Runs that have ended and are still shown."""

LONGEST_TEXT: Final = 200
"""Characters of a task that a row may show: a task of a megabyte is not held for the sake of its beginning."""

LONGEST_SAID: Final = 4000
"""Characters of an answer that is being written: its end, which is what a reader follows."""

SCORES_KEPT: Final = 4
"""Scores of a decision that a row shows: that of the agent chosen, and those of the best others."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a row shows of a decision, which may have hundreds of candidates. ``scores`` begins with the one chosen."""

    agents: tuple[AgentId, ...] = ()
    abstained: bool = False
    margin: float | None = None
    scores: tuple[float, ...] = ()

    @classmethod
    def of(cls, decision: RouteDecision) -> "Choice":
        """Return the short form of a decision."""
        agents = tuple(selection.agent_id for selection in decision.selected)
        chosen = next((one for one in decision.candidates if agents and one.agent_id == agents[0]), None)
        margin = None if decision.abstained else decision.margin  # nobody has a lead
        return cls(agents, decision.abstained, margin, _scores(decision, chosen))


def _scores(decision: RouteDecision, chosen: Candidate | None) -> tuple[float, ...]:
    if chosen is None or chosen.score is None:
        return ()
    others = (one.score for one in decision.candidates if one is not chosen and one.score is not None)
    return (chosen.score, *islice(others, SCORES_KEPT - 1))


Explained = tuple[str, RouteDecision]
"""The beginning of the text of a task, and what was decided for it."""


@dataclass(slots=True)
class LiveRun:
    """One run as it stands. ``step`` says in a word or two what it does; ``quality`` is its newest score.

    ``said`` is the end of what each agent under way has said so far. ``owner`` is the lease of who is at work on it, ""
    where that is not known; it is ``orphaned`` where that is gone.
    """

    id: RunId
    text: str = ""
    started_at: float = 0.0
    step: str = "started"
    status: RunStatus = RunStatus.RUNNING
    parent: RunId | None = None
    stage: str = ""
    router: str = ""
    choice: Choice | None = None
    under_way: tuple[AgentId, ...] = ()
    answered_by: tuple[AgentId, ...] = ()
    cost_usd: Decimal | None = Decimal(0)
    elapsed_s: float | None = None
    error: str | None = None
    quality: float | None = None
    last_seq: int = -1
    owner: str = ""
    orphaned: bool = False
    said: dict[AgentId, str] = field(default_factory=dict)

    def take(self, event: Event) -> None:  # noqa: C901 - one case for each kind of event
        """Bring the run up to date by one of its events."""
        match event:
            case RunStarted():
                self.text, self.started_at = event.task.text[:LONGEST_TEXT], event.at
                self.parent, self.stage, self.router = event.parent, event.stage, event.router
                self.owner = event.owner
            case TaskPrepared():
                self.step = "deciding"
            case DecisionMade():
                self.choice, self.step = Choice.of(event.decision), "decided"
            case WaveStarted() if event.agents:
                self.step = f"wave {event.wave}"
            case CallStarted():
                self.under_way, self.step = (*self.under_way, event.agent_id), "asking"
            case CallFinished():
                self._end_call(event)
            case ApprovalAsked() | StageWaiting():
                self.status, self.step = RunStatus.WAITING, "waiting"
            case RunResumed():
                self.status, self.step, self.under_way = RunStatus.RUNNING, "goes on", ()
                self.owner, self.orphaned = event.owner, False
            case StageStarted():
                self.step = f"stage {event.stage}"
            case AnswerRefined():
                self.answered_by, self.step = event.answered_by, "refined"
            case RunFinished():
                self.status, self.step, self.under_way = event.status, event.status.value.replace("_", " "), ()
                self.cost_usd, self.elapsed_s, self.error = event.cost_usd, event.elapsed_s, event.error
                self.orphaned = False
            case FeedbackGiven() if event.feedback.agent_id is None:
                self.quality = event.feedback.score
            case AnswerChunk():
                self.said[event.agent_id] = (self.said.get(event.agent_id, "") + event.text)[-LONGEST_SAID:]
            case _:
                pass

    def _end_call(self, event: CallFinished) -> None:
        call = event.call
        self.said.pop(call.agent_id, None)
        left = list(self.under_way)
        if call.agent_id in left:
            left.remove(call.agent_id)
        self.under_way, self.step = tuple(left), self.step if left else "answered"
        known = self.cost_usd is not None and call.cost_usd is not None
        self.cost_usd = self.cost_usd + call.cost_usd if known else None  # type: ignore[operator]  # both are known


@dataclass(slots=True)
class Board:
    """All that was seen: runs under way and the newest that ended, a tally for each agent, and the totals.

    Args:
        kept: How many ended runs to hold; those under way are all held.
        known_single: The best single agent and its price in US dollars a run, where they are known; else it is the
            best of those that were seen.

    ``explained`` is the newest decision of each router that says what it rests on; the router heard last is the last.
    """

    kept: int = KEPT
    known_single: tuple[AgentId, Decimal] | None = None
    runs: dict[RunId, LiveRun] = field(default_factory=dict)
    agents: dict[AgentId, AgentTally] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    chosen: int = 0
    intents: dict[str, float] = field(default_factory=dict)
    explained: dict[str, Explained] = field(default_factory=dict)
    now: float = 0.0
    _ended: dict[RunId, None] = field(default_factory=dict)
    _resting: set[AgentId] = field(default_factory=set)
    _at_work: frozenset[str] = frozenset()

    def take(self, events: Iterable[Event]) -> None:
        """Fold events in, those of each run in their order; one that was seen already changes nothing."""
        for event in events:
            self._take(event)
        self._forget()

    def call_roll(self, at_work: frozenset[str]) -> None:
        """Say of the runs under way which are orphaned, by the owners that are at work.

        Who was at work the last time may have ended a run whose last events have not come yet. What a run started is
        part of that one until it has ended.
        """
        known = at_work | self._at_work
        self._at_work = at_work
        for run in self.runs.values():
            outer = None if run.parent is None else self.runs.get(run.parent)
            is_part = outer is not None and not outer.status.has_ended
            is_left = run.status is RunStatus.RUNNING and bool(run.owner) and run.owner not in known
            run.orphaned = is_left and not is_part

    def best_single(self) -> AgentId | None:
        """Return the agent with the best mean score among those with a price and at least five scores."""
        if self.known_single is not None:
            return self.known_single[0]
        known = {
            agent_id: tally.worth.mean
            for agent_id, tally in self.agents.items()
            if tally.worth.count >= FEW_SCORES and tally.priced and tally.worth.mean is not None
        }
        return max(known, key=lambda agent_id: (known[agent_id], agent_id)) if known else None

    def share_of_best_single_cost(self) -> float | None:
        """Return what runs cost, as a share of what they would have cost by the best single agent at its mean price."""
        best = self.best_single()
        if self.known_single is not None:
            price: Decimal | None = self.known_single[1]
        else:
            price = None if best is None else self.agents[best].mean_cost_usd
        if not price or not self.totals.priced:
            return None
        return float(self.totals.cost_usd / self.totals.priced / price)

    def _take(self, event: Event) -> None:
        run = self.runs.get(event.run_id)
        if isinstance(event, AnswerChunk):  # it has no number of its own
            if run is not None:
                run.take(event)
            return
        if run is None and isinstance(event, RunStarted):
            run = self.runs[event.run_id] = LiveRun(event.run_id)
        if run is not None:  # otherwise it began before the watching did, or ended long ago
            if event.seq <= run.last_seq:
                return
            run.take(event)
            run.last_seq = event.seq
        self.totals.events += 1
        self.now = max(self.now, event.at)
        self._count(event, run)

    def _count(self, event: Event, run: LiveRun | None) -> None:  # noqa: C901 - as in LiveRun.take
        match event:
            case RunStarted() if event.parent is None:
                self.totals.started += 1
            case TaskPrepared():
                self._rest({agent_id for agent_id, gate in event.refused.items() if gate == UNHEALTHY})
            case DecisionMade():
                self.chosen += len(event.decision.selected)
                if event.decision.evidence:
                    self._explain(event.decision, run)
                for kind, weight in event.decision.intent.items():
                    self.intents[kind] = self.intents.get(kind, 0.0) + weight
                for selection in event.decision.selected:
                    self._tally(selection.agent_id).chosen += 1
            case CallStarted():
                self._tally(event.agent_id).under_way += 1
            case CallFinished():
                self._tally(event.call.agent_id).take(event.call)
            case RunFinished():
                self._ended[event.run_id] = None
                if run is not None and run.parent is None:
                    self.totals.end(event.status, event.cost_usd, event.at)
            case FeedbackGiven():
                self._score(event, run)
            case _:
                pass

    def _explain(self, decision: RouteDecision, run: LiveRun | None) -> None:
        name = decision.router if run is None else run.router
        self.explained.pop(name, None)
        self.explained[name] = "" if run is None else run.text, decision

    def _rest(self, resting: set[AgentId]) -> None:
        for agent_id in self._resting ^ resting:
            self._tally(agent_id).resting = agent_id in resting
        self._resting = resting

    def _score(self, event: FeedbackGiven, run: LiveRun | None) -> None:
        given = event.feedback
        if given.agent_id is not None:
            self._tally(given.agent_id).worth.add(given.score)
            return
        if run is None or run.parent is None:
            self.totals.worth.add(given.score)
        for agent_id in () if run is None else run.answered_by:
            self._tally(agent_id).worth.add(given.score)

    def _tally(self, agent_id: AgentId) -> AgentTally:
        return self.agents.setdefault(agent_id, AgentTally())

    def _forget(self) -> None:
        """Let go of the oldest runs that have ended, so that memory does not grow with time."""
        while len(self._ended) > self.kept:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self.runs.pop(oldest, None)
