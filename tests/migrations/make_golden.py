"""Makes the golden database of today's schema and what must be read from it. usage: make_golden.py

Run it once for each new schema, and commit what it makes; a file that exists is never made again, because its worth is
that an older agentmesh wrote it.
"""

from decimal import Decimal
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from agentmesh.approvals import ApprovalReply, ApprovalRequest
from agentmesh.decisions import Evidence
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalAsked,
    ApprovalGiven,
    CallFinished,
    CallStarted,
    ContextSliced,
    DecisionMade,
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    StageFinished,
    StageStarted,
    StageWaiting,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.packing import pack_floats, pack_vector
from agentmesh.preferences import Preference
from agentmesh.records import (
    AgentCall,
    AgentCard,
    Answer,
    CallStatus,
    Candidate,
    Conflict,
    ContextItem,
    Dropped,
    Experience,
    Feedback,
    LearningFault,
    Limits,
    Objective,
    Position,
    Reasoning,
    RegistrySnapshot,
    RouteDecision,
    RouterMark,
    RouterState,
    Run,
    RunStatus,
    RunSummary,
    Selection,
    SlicedItem,
    Stage,
    StageRun,
    Task,
    Turn,
    Usage,
)
from agentmesh.store import TraceStore, open_store
from agentmesh.store.version import HEAD
from agentmesh.types import RunId

FOLDER = Path(__file__).parent / "golden"
VECTOR = pack_vector(np.array([0.6, 0.8], dtype=np.float32))


class StoredRun(BaseModel):
    """A run, its line in the list, and its events, as they must be read."""

    run: Run
    summary: RunSummary
    events: list[Event]


class Expected(BaseModel):
    """What must be read from a golden database."""

    runs: list[StoredRun]
    experiences: list[Experience]
    registry: RegistrySnapshot
    parameters: str
    state: RouterState
    marks: list[RouterMark] = []
    faults: list[LearningFault] = []


def call(agent_id: str, status: CallStatus, text: str | None, cost_usd: str | None, wave: int = 1) -> AgentCall:
    """Return a call; one without an answer failed."""
    answer = None if text is None else Answer(text=text, usage=Usage(input_tokens=21, output_tokens=3), data={"n": [1]})
    return AgentCall(
        agent_id=agent_id,
        agent_version=2,
        attempt=1,
        wave=wave,
        status=status,
        answer=answer,
        cost_usd=None if cost_usd is None else Decimal(cost_usd),
        latency_s=0.25,
        error=None if answer else "the endpoint said 503",
        retryable=answer is None,
    )


def decision() -> RouteDecision:
    """Return a decision for two of three agents, one of them gated."""
    return RouteDecision(
        router="kernel",
        router_version="0123456789ab@2",
        registry_version="golden-registry",
        seed=2**63 + 5,
        selected=(Selection(agent_id="ada", weight=0.75), Selection(agent_id="bob", weight=0.25)),
        candidates=(
            Candidate(
                agent_id="ada",
                score=0.9,
                probability=0.5,
                inclusion=0.8,
                expected_quality=0.9,
                factors={"n": 3},
                flip=0.0,
            ),
            Candidate(agent_id="bob", score=0.4, probability=0.5, inclusion=0.7, expected_cost_usd=0.001),
            Candidate(agent_id="Čeněk", score=None, probability=0.0, inclusion=0.0, gate="required_skills"),
        ),
        scores=pack_floats(np.array([0.9, 0.4, np.nan])),
        probabilities=pack_floats(np.array([0.5, 0.5, 0.0])),
        margin=0.5,
        threshold=0.1,
        log_propensity=-0.69,
        explored=True,
        policy="gumbel_top_k",
        elapsed_ms=0.4,
        reason="three past tasks were alike",
        intent={"math": 0.75, "histoire é": 0.25},
        evidence=(Evidence(kind="task", name="r1", weight=0.25, quality=1.0, text="What is 6 * 9?"),),
        stages=(
            Stage(name="kernel", chosen=("bob",), confidence=0.01, threshold=0.05, beyond="reasoning"),
            Stage(name="reasoning", chosen=("ada",), decided=True, note="é"),
        ),
        reasoning=Reasoning(
            model="small",
            asked=("ada", "bob"),
            reply='{"reason": "It is a sum.", "agents": ["ada"]}',
            reason="It is a sum.",
            named=("ada",),
            repairs=("one id was given twice",),
            input_tokens=300,
            output_tokens=20,
            cost_usd=Decimal("0.0001"),
            latency_s=0.5,
        ),
    )


def start(run_id: RunId, text: str, at: float) -> RunStarted:
    """Return the start of a run, every field of its task in use."""
    task = Task(
        text=text,
        id="t-1",
        inputs={"a": [1, 2.5, None, True], "ü": "\0\n\u2028"},
        type_hints=("math",),
        required_skills=frozenset({"math"}),
        required_flags=frozenset({"eu"}),
        turns=(Turn(role="user", text="Hello"), Turn(role="assistant", text="Hi", agent_id="bob")),
        objective=Objective(quality=1.0, cost=0.5, latency=0.1),
        context=(ContextItem(key="notes", text="12 * 7 is 84: ∑", version=2, stage="draft", agent_id="ada", number=3),),
        preferences=(Preference(action="prefer", agents=("ada",), pattern="What", strength=0.2),),
    )
    limits = Limits(
        cost_usd="0.05",
        timeout_s=30.0,
        call_timeout_s=10.0,
        idle_timeout_s=5.0,
        max_calls=4,
        max_tokens=5000,
        max_agents=2,
        context_tokens=800,
        retries=1,
        fallbacks=1,
        replans=1,
    )
    return RunStarted(
        run_id=run_id,
        seq=0,
        at=at,
        task=task,
        limits=limits,
        registry_version="golden-registry",
        embedder="hashing-256",
        router="kernel",
        mesh_seed=7,
        explore=0.02,
        fallback="bob",
        team="0123456789ab",
    )


def full_run(run_id: RunId) -> list[Event]:
    """Return a finished run that holds every kind of event but feedback."""
    first = call("ada", CallStatus.OK, "84", "0.0002")
    second = call("bob", CallStatus.OK, "eighty-five", "0.0010", wave=2)
    positions = (
        Position(text="84", agents=("ada",), weight=0.75),
        Position(text="eighty-five", agents=("bob",), weight=0.25),
    )
    conflict = Conflict(positions=positions, explanation="12 * 7 is 84")
    events = [
        start(run_id, "What is 12 * 7? Grüße ∑ 🜚", 1_700_000_000.125),
        TaskPrepared(run_id=run_id, seq=0, at=1, vector=VECTOR, refused={"Čeněk": "skills"}, faults=("é",)),
        DecisionMade(run_id=run_id, seq=0, at=2, decision=decision()),
        WaveStarted(run_id=run_id, seq=0, at=3, wave=1, agents=("ada",), reason="the best for their price begin"),
        CallStarted(run_id=run_id, seq=0, at=3, agent_id="ada", attempt=1, wave=1),
        ContextSliced(
            run_id=run_id,
            seq=0,
            at=3,
            agent_id="ada",
            budget_tokens=800,
            tokens=5,
            full_tokens=9,
            items=(SlicedItem(key="notes", version=2, tokens=5, score=0.5, kept=True, why="names é"),),
        ),
        CallFinished(run_id=run_id, seq=0, at=4, call=first),
        AnswerChecked(
            run_id=run_id,
            seq=0,
            at=4,
            agent_id="ada",
            check="fields",
            passed=False,
            reason="no date",
            cost_usd="0.0001",
        ),
        WaveStarted(run_id=run_id, seq=0, at=4, wave=2, agents=("bob",), reason="not yet sure: é", agreement=0.7),
        CallStarted(run_id=run_id, seq=0, at=5, agent_id="bob", attempt=1, wave=2),
        CallFinished(run_id=run_id, seq=0, at=6, call=second),
        AnswerRefined(
            run_id=run_id,
            seq=0,
            at=7,
            refiner="vote",
            answer="84",
            answered_by=("ada",),
            conflicts=(conflict,),
            agreed=("both are numbers",),
            dropped=(Dropped(agent_id="bob", text="eighty-five", why="outvoted: 0.25 of 1"),),
            cost_usd=Decimal("0.0001"),
            note="by weight",
        ),
        RunFinished(
            run_id=run_id,
            seq=0,
            at=8,
            status=RunStatus.COMPLETED,
            answer="84",
            cost_usd=Decimal("0.0013"),
            elapsed_s=0.75,
        ),
    ]
    return [event.model_copy(update={"seq": seq}) for seq, event in enumerate(events)]


def other_runs() -> list[Event]:
    """Return a run that failed, and one that was cut off in the middle."""
    failed = call("bob", CallStatus.FAILED, None, None)
    return [
        start("failed", "Who built Petra?", 1_700_000_100.0),
        CallFinished(run_id="failed", seq=1, at=1, call=failed),
        RunFinished(run_id="failed", seq=2, at=2, status=RunStatus.FAILED, elapsed_s=0.5, error="no agent answered"),
        start("cut", "Is this the end?", 1_700_000_200.0),
        CallFinished(run_id="cut", seq=1, at=1, call=call("ada", CallStatus.OK, "No", "0.0002")),
    ]


def staged_runs() -> list[Event]:
    """Return a run of a workflow that waits for a person, and the run of its stage, which was answered before."""
    request = ApprovalRequest(agent_id="ada", text="Draft: ∑", estimate_usd="0.0002", reason="by rule", expires_at=2e9)
    whole = start("whole", "Write it", 1_700_000_300.0).model_copy(update={"workflow": "ba9876543210"})
    part = start("whole/draft", "Draft: ∑", 1_700_000_301.0).model_copy(
        update={"parent": "whole", "stage": "draft", "layer": 1, "previous": "bob"}
    )
    reply = ApprovalReply(agent_id="ada", verdict="edit", by="eve", text="Draft it", note="é")
    skipped = StageRun(stage="check", part=1, status=RunStatus.ABSTAINED, reason="its condition does not hold")
    events: list[Event] = [
        whole,
        StageStarted(run_id="whole", seq=1, at=1, stage="draft", child="whole/draft"),
        StageFinished(run_id="whole", seq=2, at=2, result=skipped, cost_usd=Decimal(0)),
        StageWaiting(run_id="whole", seq=3, at=3, stage="draft", child="whole/draft", requests=(request,)),
        part,
        ApprovalAsked(run_id="whole/draft", seq=1, at=1, request=request),
        ApprovalGiven(run_id="whole/draft", seq=2, at=2, reply=reply),
        RunResumed(run_id="whole/draft", seq=3, at=3, reason="edit by eve"),
    ]
    return events


def fill(store: TraceStore) -> None:
    """Store something of every kind."""
    vectors = pack_vector(np.array([1.0, 0.0, 0.6, 0.8], dtype=np.float32))
    cards = (
        AgentCard(id="ada", description="Solves arithmetic.", skills=("math",), price_per_call_usd="0.0002", version=2),
        AgentCard(
            id="bob", description="Guesses.", examples=("Who?",), group="general", policy_flags=frozenset({"eu"})
        ),
    )
    store.put_registry(
        RegistrySnapshot(version="golden-registry", cards=cards, embedder="hashing-256", vectors=vectors)
    )
    store.put_router("kernel", "0123456789ab", '{"bandwidth": 0.2}')
    store.put_state(RouterState(router="kernel", parameters="0123456789ab", sequence=2, at=9.0, payload=b"arrays"))
    store.append(full_run("full"))
    store.append(other_runs())
    store.append(staged_runs())
    lessons = [
        Experience(
            run_id="full",
            text="What is 12 * 7?",
            vector=VECTOR,
            embedder="hashing-256",
            agent_id=agent_id,
            agent_version=2,
            quality=quality,
            cost_usd=Decimal("0.0002"),
            latency_s=0.25,
            propensity=0.5,
            type_hints=("math",),
            weight=0.5,
            stage=1,
            previous="bob",
            at=10.0,
        )
        for agent_id, quality in (("ada", 1.0), ("bob", 0.0))
    ]
    store.add_feedback(Feedback(run_id="full", score=1.0, agent_id="ada", source="user", at=10.0), lessons)
    back = RouterMark(
        router="kernel", root="0123456789ab", parameters="ba9876543210", kind="rollback", target=2, at=11.0, note="é"
    )
    store.put_mark(back, RouterState(router="kernel", parameters="ba9876543210", sequence=2, at=9.0, payload=b"back"))
    store.add_fault(LearningFault(at=12.0, run_id="failed", source="judge:llm", message="the judge returned prose: ∑"))


def read(store: TraceStore) -> Expected:
    """Return everything that a golden database holds."""
    runs = [
        StoredRun(run=store.run(line.id), summary=line, events=store.events(line.id)) for line in store.runs(limit=100)
    ]
    state = store.nearest_state("kernel", "0123456789ab")
    parameters = store.router_parameters("kernel", "0123456789ab")
    if state is None or parameters is None:
        raise LookupError("the golden database holds a router state and its parameters")
    return Expected(
        runs=runs,
        experiences=store.experiences(),
        registry=store.registry("golden-registry"),
        parameters=parameters,
        state=state,
        marks=store.marks("kernel", "0123456789ab"),
        faults=store.faults(),
    )


def main() -> None:
    """Make both files, or refuse when the database exists."""
    database = FOLDER / f"schema{int(HEAD)}.db"
    if database.exists():
        raise SystemExit(f"{database.name} exists; an older agentmesh made it, and it stays as it is")
    with open_store(f"sqlite:///{database}") as store:
        fill(store)
        text = read(store).model_dump_json(indent=1)
    database.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
