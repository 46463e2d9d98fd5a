"""What the tests of the knowledge graph share: vectors, and a small graph of two agents and four tasks."""

import numpy as np
import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.knowledge import KnowledgeBuilder
from agentmesh.records import AgentCard
from agentmesh.types import VectorArray

EMBEDDER = HashingEmbedder(64)
TEXTS = {
    "t1": "was Petra built by Nabataeans",
    "t2": "did Nabataeans trade with Rome",
    "t3": "what is the square root of 16",
    "t4": "is the square root of 2 rational",
}


def vector(text: str) -> VectorArray:
    row: VectorArray = EMBEDDER.embed([text])[0]
    return row


def unit(*numbers: float) -> VectorArray:
    return np.array(numbers, dtype=np.float32)


@pytest.fixture
def builder() -> KnowledgeBuilder:
    """Return a builder whose historian solved t1 and t2, and whose mathematician failed t1 and solved t3."""
    made = KnowledgeBuilder()
    card = AgentCard(id="historian", description="History.", skills=("history",), price_per_call_usd="0.01")
    made.add_agent(card, vector("history"))
    made.add_agent(AgentCard(id="mathematician", description="Maths.", skills=("maths", "proofs")))
    for place, (name, text) in enumerate(TEXTS.items()):
        made.add_task(name, text, vector(text), kinds=("history" if place < 2 else "maths",), at=float(place))
    made.add_outcome("t1", "historian", quality=1.0, cost_usd=0.01)
    made.add_outcome("t2", "historian", quality=0.9, cost_usd=0.02)
    made.add_outcome("t1", "mathematician", quality=0.1)
    made.add_outcome("t3", "mathematician", quality=0.8, cost_usd=0.001)
    return made
