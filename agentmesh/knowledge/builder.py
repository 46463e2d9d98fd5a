"""Builds a knowledge graph from past tasks and what came of them, one by one or in bulk, with the same result.

Right answers have no way in: a builder takes a task's text and vector, and how well agents did on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.knowledge.entities import MOST_ENTITIES, Entity, EntityExtractor, RuleExtractor
from agentmesh.knowledge.graph import MAX_TASKS, KnowledgeGraph, Links
from agentmesh.knowledge.nodes import AgentNode, Outcome, TaskNode
from agentmesh.knowledge.relations import triples_of
from agentmesh.knowledge.terms import candidate_terms, term_entities
from agentmesh.knowledge.words import read_part, without_halves
from agentmesh.packing import unpack_vector
from agentmesh.records import AgentCard, Experience
from agentmesh.types import AgentId, VectorArray

TEXT_KEPT: Final = 200
KINDS_A_TASK: Final = 16
BLOCK: Final = 256
"""Tasks whose nearest are looked for in one product: at 20,000 tasks to compare with it takes 60 MB."""


@dataclass(frozen=True, slots=True)
class PastTask:
    """A task as a builder takes it.

    Attributes:
        name: What it is called, unlike any other: the id of its run, or of its row.
        text: What was asked.
        vector: Its embedding, by the embedder that made all others of the graph.
        kinds: What kinds of task it is said to be of, type hints or a group: they become skills; 16 at most count.
        at: When it was, Unix seconds.
        closed: Whether every agent already added has failed on it, but for those that an outcome says solved it.

    Shapes:
        vector: (d,) float32.
    """

    name: str
    text: str
    vector: VectorArray
    kinds: tuple[str, ...] = ()
    at: float = 0.0
    closed: bool = False


class KnowledgeBuilder:
    """Adds agents, tasks and outcomes to a knowledge graph.

    Add agents before the closed tasks they failed on: what an agent does on tasks older than itself is not known. A
    task's terms are found by what was counted up to it, and its likes among the tasks before it, so a graph that is
    continued is the graph that would have been built at once.

    Args:
        extractor: What finds entities; :class:`RuleExtractor` unless given.
        terms: Whether the terms of the domain are counted and become entities too.
        neighbours: With how many earlier tasks a new one is linked, 0 and up.
        max_tasks: As in :class:`KnowledgeGraph`.
        max_entities: As in :class:`KnowledgeGraph`.
        graph: Continue this one; its own bounds hold.

    Raises:
        ConfigError: ``graph`` was built with another extractor.

    >>> builder = KnowledgeBuilder()
    >>> builder.add_task("t1", "When was Petra built?", np.array([1.0, 0.0], dtype=np.float32), kinds=("history",))
    >>> builder.add_outcome("t1", "historian", quality=1.0, cost_usd=0.002)
    True
    >>> builder.graph.linked("knows", "historian")
    {'petra': 1}
    """

    def __init__(
        self,
        *,
        extractor: EntityExtractor | None = None,
        terms: bool = True,
        neighbours: int = 8,
        max_tasks: int = MAX_TASKS,
        max_entities: int = 50_000,
        graph: KnowledgeGraph | None = None,
    ) -> None:
        if neighbours < 0:
            raise ConfigError(f"neighbours is {neighbours!r}; it must be a whole number from 0 up")
        self.extractor: EntityExtractor = extractor or RuleExtractor()
        self.neighbours, self.terms = neighbours, terms
        self.graph = graph or KnowledgeGraph(max_tasks=max_tasks, max_entities=max_entities)
        if self.graph.extractor not in ("", self.extractor.version):
            raise ConfigError(
                f"the graph was built with the extractor {self.graph.extractor!r}, this one is "
                f"{self.extractor.version!r}; use the same, or begin a new graph"
            )
        self.graph.extractor = self.extractor.version

    def add_agent(self, card: AgentCard, vector: VectorArray | None = None) -> bool:
        """Add an agent as its card declares it, or anew.

        Args:
            card: A newer version drops what was known of the older one.
            vector: Its capability vector, as long as those of the tasks.

        Returns:
            Whether it was taken: not if a newer version is in the graph.

        Shapes:
            vector: (d,) float32.

        Raises:
            ConfigError: the vector has another length than the tasks', or is not finite.
        """
        if vector is not None:
            self.graph.window.check(vector[None])
        node = AgentNode(
            _name("agent", card.id),
            version=card.version,
            vector=None if vector is None else np.array(vector, dtype=np.float32),
            description=without_halves(card.description),
            price_per_call_usd=_price(card.price_per_call_usd),
            price_in_per_m_usd=_price(card.price_in_per_m_usd),
            price_out_per_m_usd=_price(card.price_out_per_m_usd),
        )
        return self.graph.put_agent(node, [_name("skill", skill) for skill in card.skills])

    def add_task(
        self,
        name: str,
        text: str,
        vector: VectorArray,
        *,
        kinds: Sequence[str] = (),
        at: float = 0.0,
        closed: bool = False,
    ) -> None:
        """Add a task; see :class:`PastTask` for what it is made of.

        Raises:
            ConfigError: a task of this name is in the graph, or the vector cannot be compared with the others.
        """
        self.add_tasks([PastTask(name, text, vector, tuple(kinds), at, closed)])

    def add_tasks(self, tasks: Sequence[PastTask]) -> None:
        """Add tasks in order; the same as adding each by itself, but far quicker.

        Raises:
            ConfigError: as in :meth:`add_task`; the tasks before the block of 256 that holds it are in the graph.
        """
        for start in range(0, len(tasks), BLOCK):
            self._add_block(tasks[start : start + BLOCK])

    def add_outcome(
        self,
        task: str,
        agent_id: AgentId,
        *,
        version: int = 1,
        quality: float,
        cost_usd: float | None = None,
        weight: float = 1.0,
    ) -> bool:
        """Add what came of an agent on a past task; a second outcome of the same pair is averaged with the first.

        Args:
            task: The task's name.
            agent_id: The agent; one that was not added gets a node that says nothing else of it.
            version: The agent's version; a newer one drops what was known of the older one.
            quality: 0 to 1; from 0.5 on the task counts as solved.
            cost_usd: US dollars, ``None`` where unknown.
            weight: How much evidence it is beside one outcome that is certain, above 0.

        Returns:
            Whether it was taken: not for a task that is not in the graph (any more), nor for an older version.

        Raises:
            ConfigError: a number is out of range.
        """
        _check("quality", quality, 0.0 <= quality <= 1.0, "a number from 0 to 1")
        _check("weight", weight, 0.0 < weight < math.inf, "a finite number above 0")
        if cost_usd is not None:
            _check("cost_usd", cost_usd, 0.0 <= cost_usd < math.inf, "US dollars from 0 up, or None where unknown")
        if not self.graph.has("task", task):
            return False
        if not self.graph.renew(_name("agent", agent_id), version, since=self.graph.task(task).order):
            return False
        cost, costs = (None, 0) if cost_usd is None else (float(cost_usd), 1)
        self.graph.put_outcome(Outcome(task, agent_id, float(quality), cost, 1, float(weight), costs))
        return True

    def add(self, experience: Experience) -> bool:
        """Add an experience: its run as a task unless it is one already, and what came of the agent on it.

        Returns:
            Whether it was taken: not if the graph has taken it in before, nor if it is of an older version.

        Raises:
            ConfigError: its vector cannot be compared with the others.
        """
        if 0 < experience.sequence <= self.graph.sequence:
            return False
        if not self.graph.has("task", experience.run_id):
            vector = unpack_vector(experience.vector)
            self.add_task(experience.run_id, experience.text, vector, kinds=experience.type_hints, at=experience.at)
        self.graph.sequence = max(self.graph.sequence, experience.sequence)
        return self.add_outcome(
            experience.run_id,
            experience.agent_id,
            version=experience.agent_version,
            quality=experience.quality,
            cost_usd=_price(experience.cost_usd),
            weight=experience.weight,
        )

    def _add_block(self, tasks: Sequence[PastTask]) -> None:
        vectors, names = _rows(tasks), [_name("task", task.name) for task in tasks]
        for task in tasks:
            _check(f"at of task {task.name!r}", task.at, math.isfinite(task.at), "Unix seconds")
        skills = [_kinds(task) for task in tasks]
        new: set[str] = set()
        for name in names:
            if name in new or self.graph.has("task", name):
                raise ConfigError(f"task {name!r} is in the graph already; every task needs a name of its own")
            new.add(name)
        like = self.graph.window.extend(names, vectors, k=self.neighbours)
        for task, vector, kinds, near in zip(tasks, vectors, skills, like, strict=True):
            # whatever extractor it is sees text that UTF-8 can hold, so what it finds can be written to a file
            entities = self.extractor.extract(read_part(task.text))[:MOST_ENTITIES]
            named = (*entities, *self._terms(task.text, entities))
            self.graph.put_task(_node(task, vector, entities), Links(entities=named, skills=kinds, like=near))

    def _terms(self, text: str, entities: Sequence[Entity]) -> list[Entity]:
        """Count a task's candidate terms, and return its own as far as there is room and nothing is named twice."""
        if not self.terms:
            return []
        terms = candidate_terms(text)
        self.graph.terms.add(terms)
        known = {entity.key for entity in entities}
        best = [term for term in self.graph.terms.best(terms) if term not in known]
        return term_entities(best[: MOST_ENTITIES - len(entities)], terms)


def _node(task: PastTask, vector: VectorArray, entities: Sequence[Entity]) -> TaskNode:
    return TaskNode(
        task.name,
        text=without_halves(task.text[:TEXT_KEPT]),
        vector=vector.copy(),
        at=float(task.at),
        closed=task.closed,
        triples=triples_of(task.text, entities),
    )


def _kinds(task: PastTask) -> list[str]:
    return [_name("kind of task", kind) for kind in dict.fromkeys(task.kinds)][:KINDS_A_TASK]


def _rows(tasks: Sequence[PastTask]) -> VectorArray:
    """Return the vectors of tasks as rows, (len(tasks), d) float32."""
    rows = [np.asarray(task.vector, dtype=np.float32) for task in tasks]
    for task, row in zip(tasks, rows, strict=True):
        if row.ndim != 1 or len(row) != len(rows[0]):
            raise ConfigError(
                f"the vector of task {task.name!r} has shape {row.shape!r}; {rows[0].shape!r} was expected, as before"
            )
    return np.stack(rows)


def _name(what: str, name: str) -> str:
    """Return a name that can be written to a file.

    Raises:
        ConfigError: it holds half of a surrogate pair.
    """
    if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
        raise ConfigError(f"the {what} is called {name!r}; a name must be text that UTF-8 can hold")
    return name


def _check(name: str, value: float, holds: bool, accepted: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {value!r}; accepted: {accepted}")


def _price(usd: object) -> float | None:
    return None if usd is None else float(str(usd))
