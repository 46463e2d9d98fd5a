"""A store in which a pheromone router has learned who is good at sums and who at dates, with fixed times."""

import json
from functools import cache

import numpy as np

from agentmesh.decisions import RouteDecision
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback, RegistrySnapshot
from agentmesh.routing.pheromone import PheromoneRouter
from agentmesh.store import TraceStore, open_store
from tests.tui.story import BEGUN, Telling, cards, decision

EMBEDDER = "hashing-1-512"
PARAMETERS = PheromoneRouter().parameters_hash
KINDS = ("sums", "dates")
VECTOR = pack_vector(np.array([0.6, 0.8], dtype=np.float32))


def _outcome(number: int) -> Experience:
    """Return an outcome: maths solves sums, history learns dates from the 20th task on."""
    kind = KINDS[number // 2 % 2]
    agent_id = ("maths", "history")[number % 2]
    quality = float(agent_id == "maths") if kind == "sums" else float(agent_id == "history" and number > 20)
    return Experience(
        run_id=f"r{number}", text=f"question {number}", vector=VECTOR, embedder=EMBEDDER, agent_id=agent_id,
        quality=quality, cost_usd="0.001", type_hints=(kind,), at=BEGUN + 60.0 * number,
    )  # fmt: skip


def _decided(agent_id: str, expected: float | None) -> RouteDecision:
    made = decision((agent_id,))
    candidates = [
        one.model_copy(update={"expected_quality": expected if one.agent_id == agent_id else one.expected_quality})
        for one in made.candidates
    ]
    return made.model_copy(update={"candidates": tuple(candidates), "router_version": f"{PARAMETERS}@1"})


def add_outcome(store: TraceStore, number: int) -> None:
    """Run a task, and score it; every tenth decision names no expected quality."""
    outcome = _outcome(number)
    expected = None if number % 10 == 0 else 0.85 if outcome.agent_id == "maths" else 0.35
    run = Telling(outcome.run_id, 60.0 * number).start(outcome.text).decide(_decided(outcome.agent_id, expected))
    store.append(run.call(outcome.agent_id, "an answer").end("an answer", "0.001", outcome.agent_id).events)
    store.add_feedback(Feedback(run_id=outcome.run_id, score=outcome.quality, at=outcome.at), [outcome])


def learned_store(url: str | None = None, *, outcomes: int = 40) -> TraceStore:
    """Return a store of so many outcomes, with the state that there was eight outcomes before the last."""
    store = open_store(url)
    store.put_registry(RegistrySnapshot(version="story", cards=cards(), embedder="hashing"))
    router = PheromoneRouter()
    store.put_router(router.name, router.parameters_hash, json.dumps(dict(router.parameters)))
    for number in range(1, outcomes + 1):
        add_outcome(store, number)
    for experience in store.experiences(until=outcomes - 8):
        router.learn(experience)
    store.put_state(router.snapshot().model_copy(update={"router": f"{router.name}+{EMBEDDER}"}))
    return store


@cache
def learned() -> TraceStore:
    """Return such a store that no test changes."""
    return learned_store()
