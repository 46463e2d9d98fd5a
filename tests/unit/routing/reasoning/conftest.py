"""Six agents with cards, and a router that rates them from the first down."""

import pytest

from agentmesh.records import AgentCard
from agentmesh.routing.base import AgentPool
from agentmesh.testing.asking import RatedRouter, carded_pool

NAMES = ("solver", "coder", "poet", "cook", "guide", "judge")


@pytest.fixture
def pool() -> AgentPool:
    return carded_pool(*(AgentCard(id=name, description=f"Works as a {name}.", skills=(name,)) for name in NAMES))


@pytest.fixture
def rated() -> RatedRouter:
    return RatedRouter(quality={name: 0.9 - place / 10 for place, name in enumerate(NAMES)})
