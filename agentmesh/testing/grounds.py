"""Tasks on four grounds, and a team of which each agent is at home on one: what routers that train are tried on."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import numpy as np

from agentmesh.packing import pack_vector
from agentmesh.records import AgentCard, Experience
from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures
from agentmesh.testing.samples import DIMENSION, plain_pool
from agentmesh.types import FloatArray, IndexArray

GROUNDS: Final = ("algebra", "history", "law", "verse")
NAMED: Final = ("Ada Lovelace", "Petra", "Magna Carta", "John Keats")
"""What tasks of each ground name, every second one."""

SPREAD: Final = 0.25
"""How far tasks lie around the middle of their ground: numbers of this standard deviation, before scaling to 1."""

AT_HOME: Final = 0.9
ABROAD: Final = 0.25
"""How often an agent is right on its own ground, and on the others."""


def ground_pool(agents: int = 4) -> AgentPool:
    """Return agents whose cards declare a ground as their skill, in turn; vectors say nothing, prices rise.

    >>> [card.skills for card in ground_pool(2).cards]
    [('algebra',), ('history',)]
    """
    ids = tuple(f"agent-{place:02}" for place in range(agents))
    prices = [round(0.001 * (place + 1), 6) for place in range(agents)]
    pool = plain_pool(*ids, price=prices, dimension=DIMENSION)
    cards = tuple(
        AgentCard(id=ids[i], description="", skills=(GROUNDS[i % 4],), price_per_call_usd=prices[i])
        for i in range(agents)
    )
    return replace(pool, cards=cards)


def ground_tasks(grounds: Sequence[int] | IndexArray, *, seed: int = 0) -> list[TaskFeatures]:
    """Return one task on each of these grounds, 0 to 3."""
    rng = np.random.default_rng([17, seed])
    vectors = SPREAD * rng.normal(size=(len(grounds), DIMENSION))
    vectors[np.arange(len(grounds)), np.asarray(grounds)] += 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        TaskFeatures(vector.astype(np.float32), _text(ground, place))
        for place, (ground, vector) in enumerate(zip(np.asarray(grounds).tolist(), vectors, strict=True))
    ]


def _text(ground: int, place: int) -> str:
    named = f" about {NAMED[ground]}" if place % 2 else ""
    return f"a question of {GROUNDS[ground]}{named}" + ", at length" * (place % 7)


def ground_table(tasks: Sequence[TaskFeatures], quality: FloatArray, pool: AgentPool, *, seed: int = 0) -> Outcomes:
    """Return the outcomes of agents on tasks as a table; longer tasks cost more.

    Shapes:
        quality: (len(tasks), len(pool)), NaN where unknown.
    """
    lengths = np.array([len(task.text) for task in tasks])[:, None]
    around = np.random.default_rng([19, seed]).uniform(0.5, 1.5, size=quality.shape)
    cost = 1e-5 * lengths * (1 + np.arange(len(pool))) * around
    return Outcomes(
        agent_ids=pool.ids,
        vectors=np.stack([task.vector for task in tasks]) if tasks else np.zeros((0, DIMENSION), np.float32),
        texts=tuple(task.text for task in tasks),
        groups=tuple(_ground_of(task.text) for task in tasks),
        quality=quality,
        cost=np.where(np.isnan(quality), np.nan, cost),
        pool=pool,
    )


def _ground_of(text: str) -> str:
    return next(ground for ground in GROUNDS if ground in text)


def ground_outcomes(count: int = 120, *, agents: int = 4, seed: int = 0) -> Outcomes:
    """Return a table of ``count`` tasks where each agent is right on its ground mostly, and now and then elsewhere."""
    rng, pool = np.random.default_rng([23, seed]), ground_pool(agents)
    grounds = rng.integers(0, len(GROUNDS), size=count)
    home = grounds[:, None] == np.arange(agents) % len(GROUNDS)
    quality = (rng.random(home.shape) < np.where(home, AT_HOME, ABROAD)).astype(np.float64)
    return ground_table(ground_tasks(grounds, seed=seed), quality, pool, seed=seed)


def ground_labels(count: int = 120, *, agents: int = 4, seed: int = 0) -> Outcomes:
    """Return a table of labels: the agent of a task's ground is right and no other, on every tenth task nobody."""
    grounds = np.random.default_rng([29, seed]).integers(0, min(len(GROUNDS), agents), size=count)
    quality = (grounds[:, None] == np.arange(agents)).astype(np.float64)
    quality[::10] = 0.0
    return ground_table(ground_tasks(grounds, seed=seed), quality, ground_pool(agents), seed=seed)


def ground_experience(
    sequence: int, task: TaskFeatures, agent_id: str, quality: float, *, version: int = 1
) -> Experience:
    """Return one outcome of an agent on a task."""
    return Experience(
        sequence=sequence,
        run_id=f"run-{sequence}",
        text=task.text,
        vector=pack_vector(task.vector),
        agent_id=agent_id,
        agent_version=version,
        quality=quality,
        cost_usd=Decimal("0.002"),
        type_hints=task.type_hints,
        at=float(sequence),
    )
