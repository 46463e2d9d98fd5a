"""An afternoon of three agents, as events with fixed times: the same screens on every machine."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from agentmesh.approvals import ApprovalRequest
from agentmesh.contexts import SlicedItem
from agentmesh.decisions import Candidate, Evidence, RouteDecision, Selection
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalAsked,
    CallFinished,
    CallStarted,
    ContextSliced,
    DecisionMade,
    Event,
    FeedbackGiven,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.packing import pack_floats, pack_vector
from agentmesh.records import (
    AgentCall,
    AgentCard,
    Answer,
    CallStatus,
    Conflict,
    Dropped,
    Feedback,
    Limits,
    Position,
    RegistrySnapshot,
    RunStatus,
    StageRun,
    Task,
    Usage,
)
from agentmesh.store import TraceStore, open_store
from agentmesh.tui.family import Family
from agentmesh.types import AgentId, RunId

BEGUN = 1_800_000_000.0
AGENTS = ("maths", "history", "poetry")
SCORES = {"maths": 0.91, "history": 0.42, "poetry": 0.18}
PRICES = {"maths": "0.0012", "history": "0.004", "poetry": "0.0021"}
HOSTILE = "Red \x1b[31malert\x07 for שלום 日本語 👩‍🚀"


class StandingClock:
    """A clock that a test moves."""

    def __init__(self, at: float = BEGUN + 60.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def cards() -> tuple[AgentCard, ...]:
    """Return the cards of the three."""
    told = {"maths": "Solves arithmetic and algebra.", "history": "Knows world history.", "poetry": "Writes poems."}
    return tuple(
        AgentCard(id=agent_id, description=told[agent_id], price_per_call_usd=PRICES[agent_id], skills=(agent_id,))
        for agent_id in AGENTS
    )


def decision(
    chosen: Sequence[AgentId] = ("maths",), *, explored: bool = False, abstained: bool = False
) -> RouteDecision:
    """Return a decision on the three, the second of whom would need to be better."""
    best = max(SCORES.values())
    candidates = tuple(
        Candidate(
            agent_id=agent_id,
            score=score,
            probability={"maths": 0.97, "history": 0.02, "poetry": 0.01}[agent_id],
            inclusion=0.97,
            expected_quality=score,
            expected_cost_usd=float(PRICES[agent_id]),
            flip=best - score,
            factors={"evidence": 3.0},
        )
        for agent_id, score in SCORES.items()
    )
    return RouteDecision(
        router="pheromone",
        router_version="0123456789ab@7",
        registry_version="story",
        seed=1,
        selected=() if abstained else tuple(Selection(agent_id=agent_id, weight=1.0) for agent_id in chosen),
        candidates=candidates,
        scores=pack_floats(np.array(list(SCORES.values()))),
        probabilities=pack_floats(np.array([0.97, 0.02, 0.01])),
        margin=-0.49 if explored else 0.49,
        abstained=abstained,
        explored=explored,
        reason="nobody knows such things" if abstained else "",
        intent={"sums": 0.7, "dates": 0.2},
        evidence=(Evidence(kind="task", name="r0", weight=0.3, quality=1.0, text="What is 6 * 9?"),),
    )


class Telling:
    """Writes down the events of one run, one after the other, each a tenth of a second after the one before."""

    def __init__(self, run_id: RunId, after_s: float = 0.0) -> None:
        self.run_id, self.events = run_id, list[Event]()
        self._at = BEGUN + after_s

    def tell(self, kind: type, **fields: object) -> "Telling":
        self.events.append(kind(run_id=self.run_id, seq=len(self.events), at=self._at, **fields))
        self._at = round(self._at + 0.1, 3)
        return self

    def start(self, text: str, **fields: object) -> "Telling":
        told = {"task": Task(text=text), "limits": Limits(), "registry_version": "story", "embedder": "hashing"}
        self.tell(RunStarted, **told, router="pheromone", mesh_seed=0, **fields)
        return self.tell(TaskPrepared, vector=pack_vector(np.array([0.6, 0.8], dtype=np.float32)))

    def pause(self, seconds: float) -> "Telling":
        self._at += seconds
        return self

    def decide(self, made: RouteDecision) -> "Telling":
        return self.tell(DecisionMade, decision=made)

    def call(
        self, agent_id: AgentId, text: str | None, *, wave: int = 1, latency_s: float = 0.25, error: str = "503"
    ) -> "Telling":
        self.tell(CallStarted, agent_id=agent_id, wave=wave)
        answer = None if text is None else Answer(text=text, usage=Usage(input_tokens=21, output_tokens=3))
        status = CallStatus.FAILED if text is None else CallStatus.OK
        made = AgentCall(
            agent_id=agent_id,
            wave=wave,
            status=status,
            answer=answer,
            cost_usd=PRICES[agent_id],
            latency_s=latency_s,
            error=error if text is None else None,
        )
        return self.tell(CallFinished, call=made)

    def end(
        self, answer: str | None, cost_usd: str, *by: AgentId, status: str = "completed", **refined: object
    ) -> "Telling":
        if answer is not None:
            self.tell(AnswerRefined, refiner="vote", answer=answer, answered_by=by, **refined)
        error = None if answer is not None else "nobody answered"
        ended = {"status": RunStatus(status), "answer": answer, "cost_usd": Decimal(cost_usd), "error": error}
        return self.tell(RunFinished, **ended, elapsed_s=0.6)

    def score(self, score: float, source: str = "user") -> "Telling":
        given = Feedback(run_id=self.run_id, score=score, source=source, at=self._at)
        return self.tell(FeedbackGiven, feedback=given)


def sum_asked(run_id: RunId = "sum", after_s: float = 0.0) -> Telling:
    """Return a run that went as runs go."""
    return (
        Telling(run_id, after_s)
        .start("What is 12 * 7?")
        .decide(decision())
        .call("maths", "84")
        .end("84", "0.0012", "maths")
    )


def story() -> list[Telling]:
    """Return the runs of the afternoon, the oldest first."""
    positions = (
        Position(text="1066", agents=("history",), weight=1.0),
        Position(text="1067", agents=("maths",), weight=0.4),
    )
    team = Telling("battle", 2.0).start("When was the battle of Hastings?").decide(decision(("maths",), explored=True))
    team.tell(WaveStarted, wave=1, agents=("maths",), reason="first")
    team.tell(ContextSliced, agent_id="maths", budget_tokens=50, tokens=40, full_tokens=90, items=_items())
    team.call("maths", "1067").tell(WaveStarted, wave=2, agents=("history",), reason="they do not agree")
    team.call("history", "1066", wave=2, latency_s=0.5)
    team.tell(AnswerChecked, agent_id="history", wave=2, check="year", passed=True)
    dropped = (Dropped(agent_id="maths", text="1067", why="outvoted"),)
    team.end("1066", "0.0052", "history", conflicts=(Conflict(positions=positions),), dropped=dropped).score(1.0)
    failed = Telling("alert", 4.0).start(HOSTILE).decide(decision(("poetry",), explored=True))
    failed.call("poetry", None, error="the endpoint said 503").end(None, "0.0021", status="failed")
    nobody = Telling("lottery", 5.0).start("Tomorrow's lottery numbers?").decide(decision(abstained=True))
    nobody.end(None, "0", status="abstained")
    waiting = Telling("poem", 6.0).start("A poem on rust").decide(decision(("poetry",)))
    request = ApprovalRequest(agent_id="poetry", text="A poem on rust", estimate_usd="0.0021", reason="over 0.002 USD")
    waiting.tell(ApprovalAsked, request=request)
    flow = Telling("flow", 7.0).tell(
        RunStarted, task=Task(text="Write a report"), limits=Limits(), registry_version="story", embedder="hashing",
        router="pheromone", mesh_seed=0, workflow="f1",
    )  # fmt: skip
    flow.tell(StageStarted, stage="facts", child="flow-facts")
    stage = Telling("flow-facts", 7.1).start("Facts", parent="flow", stage="facts").decide(decision(("history",)))
    stage.call("history", "Many.").end("Many.", "0.004", "history")
    flow.tell(StageFinished, result=StageRun(stage="facts", run_id="flow-facts", status="completed", answer="Many."))
    asked = Telling("asking", 9.0).start("What is 6 * 9?").decide(decision()).tell(CallStarted, agent_id="maths")
    return [sum_asked().score(1.0), team, failed, nobody, waiting, flow, stage, asked]


def family_of(events: Sequence[Event]) -> Family:
    """Return the stored run that these events are."""
    store = open_store()
    store.append(events)
    return Family.of(store, events[0].run_id)


def _items() -> tuple[SlicedItem, ...]:
    return (
        SlicedItem(key="chronicle", tokens=40, score=0.9, kept=True, why="names Hastings"),
        SlicedItem(key="recipe", tokens=50, score=0.1, kept=False, why="no room"),
    )


def told_store(url: str | None = None) -> TraceStore:
    """Return a store that holds the story."""
    store = open_store(url)
    store.put_registry(RegistrySnapshot(version="story", cards=cards(), embedder="hashing"))
    for telling in story():
        store.append(telling.events)
    return store
