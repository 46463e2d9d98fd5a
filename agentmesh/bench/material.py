"""A recorded set made ready for routers: embedded tasks, the pool of agents, and outcomes in the pool's columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.agents.recorded import RecordedAgent
from agentmesh.agents.registry import Registry
from agentmesh.graphs.pool import pool_of
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import RecordedSet, Rows
from agentmesh.records import AgentCard
from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures
from agentmesh.types import FloatArray, VectorArray


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one split with what a router sees of each task: its text and vector, nothing that was recorded.

    Shapes:
        features: length m; vectors: (m, d).
    """

    rows: Rows
    features: tuple[TaskFeatures, ...]
    vectors: VectorArray

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.rows)

    @property
    def quality(self) -> FloatArray:
        """Return the recorded qualities, (m, n)."""
        return self.rows.table.quality

    @property
    def cost(self) -> FloatArray:
        """Return the recorded costs in US dollars, (m, n)."""
        return self.rows.table.cost

    def outcomes(self, pool: AgentPool | None = None) -> Outcomes:
        """Return the rows as a table to fit a router on, with the cards of ``pool``, whose agents are its columns."""
        return Outcomes(
            agent_ids=self.rows.agent_ids,
            vectors=self.vectors,
            texts=self.rows.texts,
            groups=self.rows.groups,
            quality=self.quality,
            cost=self.cost,
            pool=pool,
        )

    def pool_at(self, row: int, pool: AgentPool) -> AgentPool:
        """Return ``pool`` with the agents masked out whose outcome on this task was not recorded."""
        missing = np.isnan(self.quality[row])
        if not missing.any():
            return pool
        return pool.gated({agent_id: "not recorded" for agent_id, gone in zip(pool.ids, missing, strict=True) if gone})


def part_of(rows: Rows, embedder: Embedder) -> Part:
    """Embed the tasks of a split. Context, where a set has it, goes before the text."""
    texts = [f"{task.context}\n{task.text}" if task.context else task.text for task in rows.tasks]
    vectors = embedder.embed(texts)
    features = tuple(TaskFeatures(vector=vector, text=text) for vector, text in zip(vectors, texts, strict=True))
    return Part(rows=rows, features=features, vectors=vectors)


def recorded_pool(cards: Sequence[AgentCard], embedder: Embedder) -> AgentPool:
    """Return the agents of a set, sorted by id as in its tables, as a mesh of them would show them to a router."""
    table = Registry(embedder, [RecordedAgent(card, {}) for card in cards]).capabilities()
    return pool_of(table, table.registry_version)


@dataclass(frozen=True, slots=True)
class Material:
    """All that fitting and choosing may see of a set: the pool, train and val."""

    recorded: RecordedSet
    embedder: Embedder
    pool: AgentPool
    train: Part
    val: Part


def prepare(recorded: RecordedSet, embedder: Embedder) -> Material:
    """Open train and val of a set and embed them.

    Raises:
        RecordedSetError: the set has no train or val tasks, or a line is malformed.
    """
    view = recorded.fit_view()
    return Material(
        recorded=recorded,
        embedder=embedder,
        pool=recorded_pool(recorded.agents, embedder),
        train=part_of(view.train, embedder),
        val=part_of(view.val, embedder),
    )
