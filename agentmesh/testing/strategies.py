"""Hypothesis strategies for records and events; ``hypothesis`` must be installed.

Numbers are finite: JSON has no others. Text holds any character but halves of surrogate pairs.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agentmesh.approvals import ApprovalReply, ApprovalRequest
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
    TaskPrepared,
    WaveStarted,
)
from agentmesh.packing import pack_floats
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
    Limits,
    Objective,
    Position,
    RegistrySnapshot,
    RouteDecision,
    RouterState,
    RunStatus,
    Selection,
    SlicedItem,
    StageRun,
    Task,
    Turn,
    Usage,
)
from agentmesh.types import JsonValue, RunId

texts = st.text(max_size=20)
names = st.text(min_size=1, max_size=8)
agent_ids = st.sampled_from(["ada", "bob", "cy", "Δ", "a b"])
hashes = st.text("0123456789abcdef", min_size=12, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
instants = st.floats(0, 4e9)
money = st.decimals(0, 10_000, allow_nan=False, allow_infinity=False, places=9)
counts = st.integers(0, 10**9)
packed = st.lists(st.floats(), max_size=6).map(lambda values: pack_floats(np.array(values, dtype=np.float64)))
json_values: SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def _tuples(items: SearchStrategy[object], size: int = 3) -> SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=size).map(tuple)


usages = st.builds(Usage, input_tokens=counts, output_tokens=counts)
objectives = st.builds(Objective, quality=st.floats(0, 10), cost=st.floats(0, 10), latency=st.floats(0, 10))
turns = st.builds(Turn, role=st.sampled_from(["user", "assistant", "system"]), text=texts, agent_id=st.none() | names)
limits = st.builds(
    Limits,
    cost_usd=st.none() | money,
    timeout_s=st.none() | st.floats(0.001, 1e6),
    max_calls=st.none() | st.integers(0, 100),
    max_tokens=st.none() | st.integers(0, 10**6),
    fallbacks=st.integers(0, 10),
    retries=st.integers(0, 10),
    allow_unknown_price=st.booleans(),
)
preferences = st.builds(
    Preference,
    action=st.sampled_from(["pin", "prefer", "forbid"]),
    agents=st.lists(agent_ids, min_size=1, max_size=2).map(tuple),
    groups=_tuples(names, 2),
    domain=st.none() | names,
    pattern=st.none() | st.sampled_from(["integral|sum", r"\bpetra\b"]),
    previous=st.none() | agent_ids,
    like=_tuples(st.sampled_from(["Who built it?", "Δ?"]), 2),
)
context_items = st.builds(
    ContextItem,
    key=names,
    text=texts,
    version=st.integers(1, 9),
    stage=names,
    agent_id=st.none() | agent_ids,
    number=st.integers(0, 9),
    pinned=st.booleans(),
)
tasks = st.builds(
    Task,
    text=texts,
    id=st.none() | names,
    inputs=st.dictionaries(names, json_values, max_size=3),
    type_hints=_tuples(names),
    required_skills=st.frozensets(names, max_size=2),
    required_flags=st.frozensets(names, max_size=2),
    turns=_tuples(turns),
    context=_tuples(context_items, 2),
    objective=objectives,
    preferences=_tuples(preferences, 2),
)
cards = st.builds(
    AgentCard,
    id=names,
    description=texts,
    skills=_tuples(names),
    examples=_tuples(texts),
    group=st.none() | names,
    price_per_call_usd=st.none() | money,
    latency_s=st.none() | st.floats(0, 1e6),
    policy_flags=st.frozensets(names, max_size=2),
    version=st.integers(1, 10**6),
)
registries = st.builds(RegistrySnapshot, version=hashes, cards=_tuples(cards), embedder=texts, vectors=packed)
answers = st.builds(
    Answer, text=texts, usage=st.none() | usages, cost_usd=st.none() | money, data=st.none() | json_values
)
candidates = st.builds(
    Candidate,
    agent_id=agent_ids,
    score=st.none() | numbers,
    probability=shares,
    inclusion=shares,
    gate=st.none() | names,
    expected_quality=st.none() | shares,
    factors=st.dictionaries(names, numbers, max_size=3),
)
decisions = st.builds(
    RouteDecision,
    router=names,
    router_version=names,
    registry_version=hashes,
    seed=st.integers(0, 2**64),
    selected=_tuples(st.builds(Selection, agent_id=agent_ids, weight=numbers)),
    candidates=_tuples(candidates),
    scores=packed,
    probabilities=packed,
    margin=st.none() | numbers,
    threshold=st.none() | numbers,
    abstained=st.booleans(),
    log_propensity=numbers,
    explored=st.booleans(),
    reason=texts,
)
calls = st.builds(
    AgentCall,
    agent_id=agent_ids,
    attempt=st.integers(1, 10),
    status=st.sampled_from(CallStatus),
    answer=st.none() | answers,
    cost_usd=st.none() | money,
    latency_s=st.floats(0, 1e6),
    error=st.none() | texts,
)
positions = st.builds(Position, text=texts, agents=_tuples(agent_ids), weight=numbers)
conflicts = st.builds(Conflict, positions=_tuples(positions), explanation=texts)
router_states = st.builds(
    RouterState,
    router=names,
    parameters=hashes,
    sequence=st.integers(0, 20),
    at=instants,
    payload=st.binary(max_size=60),
)


def experiences(run_id: RunId) -> SearchStrategy[Experience]:
    """Draw experiences of a run, not yet numbered."""
    return st.builds(
        Experience,
        sequence=st.just(0),
        run_id=st.just(run_id),
        text=texts,
        vector=packed,
        embedder=texts,
        agent_id=agent_ids,
        quality=shares,
        cost_usd=st.none() | money,
        latency_s=st.none() | numbers,
        propensity=st.none() | shares,
        type_hints=_tuples(names),
        source=names,
        at=instants,
    )


sliced = st.builds(SlicedItem, key=names, tokens=st.integers(0, 9999), score=shares, kept=st.booleans(), why=texts)
requests = st.builds(
    ApprovalRequest,
    agent_id=agent_ids,
    wave=st.integers(1, 3),
    text=texts,
    estimate_usd=st.none() | money,
    reason=texts,
    expires_at=st.none() | instants,
)
replies = st.builds(
    ApprovalReply,
    agent_id=agent_ids,
    wave=st.integers(1, 3),
    verdict=st.sampled_from(["approve", "edit", "reject"]),
    by=names,
    text=st.none() | texts,
    note=texts,
)
stage_runs = st.builds(
    StageRun,
    stage=names,
    part=st.integers(0, 9),
    run_id=st.none() | names,
    status=st.none() | st.sampled_from(list(RunStatus)),
    answer=st.none() | texts,
    reason=texts,
)


def feedbacks(run_id: RunId) -> SearchStrategy[Feedback]:
    """Draw scores of a run."""
    return st.builds(
        Feedback, run_id=st.just(run_id), score=shares, agent_id=st.none() | agent_ids, source=names, at=instants
    )


def starts(run_id: RunId) -> SearchStrategy[RunStarted]:
    """Draw the first event of a run."""
    return st.builds(
        RunStarted,
        run_id=st.just(run_id),
        seq=st.just(0),
        at=instants,
        task=tasks,
        limits=limits,
        registry_version=hashes,
        embedder=names,
        router=names,
        mesh_seed=st.integers(0, 2**64),
        explore=shares,
    )


def ends(run_id: RunId) -> SearchStrategy[RunFinished]:
    """Draw the event that ends a run."""
    return st.builds(
        RunFinished,
        run_id=st.just(run_id),
        seq=st.just(0),
        at=instants,
        status=st.sampled_from([status for status in RunStatus if status.has_ended]),
        answer=st.none() | texts,
        cost_usd=st.none() | money,
        elapsed_s=st.floats(0, 1e6),
        error=st.none() | texts,
    )


def middles(run_id: RunId) -> SearchStrategy[Event]:
    """Draw any event that is stored between the first and the last of a run."""
    place = {"run_id": st.just(run_id), "seq": st.just(0), "at": instants}
    tokens = {name: st.integers(0, 9999) for name in ("budget_tokens", "tokens", "full_tokens")}
    return st.one_of(
        st.builds(
            TaskPrepared,
            **place,
            vector=packed,
            refused=st.dictionaries(agent_ids, names, max_size=2),
            faults=_tuples(texts, 2),
        ),
        st.builds(DecisionMade, **place, decision=decisions),
        st.builds(
            WaveStarted,
            **place,
            wave=st.integers(1, 9),
            agents=_tuples(agent_ids),
            reason=texts,
            agreement=st.none() | st.floats(0, 1),
        ),
        st.builds(CallStarted, **place, agent_id=agent_ids, attempt=st.integers(1, 9), wave=st.integers(1, 9)),
        st.builds(CallFinished, **place, call=calls),
        st.builds(ContextSliced, **place, agent_id=agent_ids, items=_tuples(sliced), **tokens),
        st.builds(ApprovalAsked, **place, request=requests),
        st.builds(ApprovalGiven, **place, reply=replies),
        st.builds(RunResumed, **place, reason=texts),
        st.builds(AnswerChecked, **place, agent_id=agent_ids, check=names, passed=st.booleans(), reason=texts),
        st.builds(StageStarted, **place, stage=names, part=st.integers(0, 9), child=names),
        st.builds(StageFinished, **place, result=stage_runs, cost_usd=st.none() | money),
        st.builds(
            AnswerRefined,
            **place,
            refiner=names,
            answer=st.none() | texts,
            answered_by=_tuples(agent_ids),
            conflicts=_tuples(conflicts),
            agreed=_tuples(texts, 2),
            dropped=_tuples(st.builds(Dropped, agent_id=agent_ids, text=texts, why=texts), 2),
            cost_usd=st.none() | money,
            note=texts,
        ),
    )


@st.composite
def traces(
    draw: st.DrawFn, run_id: RunId | None = None, *, finished: bool | None = None, max_middle: int = 6
) -> list[Event]:
    """Draw the log of one run: a start, anything in between, and, if ``finished``, an end.

    Args:
        draw: Given by Hypothesis.
        run_id: Its id; drawn when ``None``.
        finished: Whether it ends; drawn when ``None``.
        max_middle: The most events between start and end.
    """
    run_id = draw(names) if run_id is None else run_id
    events: list[Event] = [draw(starts(run_id)), *draw(st.lists(middles(run_id), max_size=max_middle))]
    if draw(st.booleans()) if finished is None else finished:
        events.append(draw(ends(run_id)))
    return numbered(events)


def numbered(events: Sequence[Event]) -> list[Event]:
    """Return events with the seqs 0, 1, 2 ..."""
    return [event.model_copy(update={"seq": seq}) for seq, event in enumerate(events)]
