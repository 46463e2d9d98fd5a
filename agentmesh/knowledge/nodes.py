"""The nodes of the knowledge graph as typed values, and the kinds of nodes and edges there are."""

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from agentmesh.knowledge.entities import EntityKind
from agentmesh.knowledge.relations import Triple
from agentmesh.types import AgentId, VectorArray

NodeKind: TypeAlias = Literal["task", "entity", "relation", "skill", "agent"]
EdgeKind: TypeAlias = Literal["solved", "failed", "mentions", "head", "tail", "has", "of", "knows", "like"]
Key: TypeAlias = tuple[NodeKind, str]

NODE_KINDS: Final[tuple[NodeKind, ...]] = ("task", "entity", "relation", "skill", "agent")
ENDS: Final[dict[EdgeKind, tuple[NodeKind, NodeKind]]] = {
    "solved": ("agent", "task"),
    "failed": ("agent", "task"),
    "mentions": ("task", "entity"),
    "head": ("entity", "relation"),
    "tail": ("relation", "entity"),
    "has": ("agent", "skill"),
    "of": ("task", "skill"),
    "knows": ("agent", "entity"),
    "like": ("task", "task"),
}
"""Each kind of edge, and the kinds of nodes it leads from and to."""

SOLVED_FROM: Final = 0.5
"""The mean quality from which on a task counts as solved."""


@dataclass(frozen=True, slots=True)
class TaskNode:
    """A past task.

    Attributes:
        name: What the task is called; the run's id for a run.
        text: Its first 200 characters.
        vector: Its embedding.
        at: When it was, Unix seconds.
        order: Its number in the order of arrival, from 0.
        closed: Whether every agent known then that is not listed as solved has failed; these are not stored.
        triples: The triples of its text, which go when it goes.

    Shapes:
        vector: (d,) float32.
    """

    name: str
    text: str
    vector: VectorArray
    at: float = 0.0
    order: int = 0
    closed: bool = False
    triples: tuple[Triple, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityNode:
    """Something that tasks name: as it stood first, its kind, how many tasks name it, and its number as it came."""

    name: str
    surface: str
    entity_kind: EntityKind
    count: int = 0
    order: int = 0


@dataclass(frozen=True, slots=True)
class AgentNode:
    """An agent as it was last declared. A price that is not known is ``None``, as is the vector.

    ``since`` is the number of the first task that this version was there for: closed tasks before it say nothing of it.

    Shapes:
        vector: (d,) float32.
    """

    name: AgentId
    version: int = 1
    since: int = 0
    vector: VectorArray | None = None
    description: str = ""
    price_per_call_usd: float | None = None
    price_in_per_m_usd: float | None = None
    price_out_per_m_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an agent on a task, over all the times it was observed.

    Attributes:
        task: The task's name.
        agent_id: The agent.
        quality: Mean quality, 0 to 1, each outcome as much as its weight.
        cost_usd: Mean of the costs that are known, ``None`` where none is.
        count: How many outcomes there were.
        weight: The sum of their weights as evidence.
        costs: How many of the costs are known.
    """

    task: str
    agent_id: AgentId
    quality: float
    cost_usd: float | None = None
    count: int = 1
    weight: float = 1.0
    costs: int = 0

    @property
    def solved(self) -> bool:
        """Return whether the task counts as solved."""
        return self.quality >= SOLVED_FROM

    def joined(self, other: "Outcome") -> "Outcome":
        """Return what came of both together.

        >>> first, second = Outcome("t", "a", 1.0, 0.1, costs=1), Outcome("t", "a", 0.0)
        >>> both = first.joined(second)
        >>> both.quality, both.cost_usd, both.count, both.solved
        (0.5, 0.1, 2, True)
        """
        weight, costs = self.weight + other.weight, self.costs + other.costs
        quality = self.quality + (other.quality - self.quality) * other.weight / weight
        cost = self.cost_usd
        if other.cost_usd is not None:
            cost = other.cost_usd if cost is None else cost + (other.cost_usd - cost) * other.costs / costs
        return replace(
            self,
            quality=min(max(quality, 0.0), 1.0),
            cost_usd=cost,
            count=self.count + other.count,
            weight=weight,
            costs=costs,
        )
