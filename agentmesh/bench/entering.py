"""An agent that enters late: the outcomes without it, and the first few of its own, told one by one."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import numpy as np

from agentmesh.bench.material import Material
from agentmesh.packing import pack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import Outcomes

SECONDS_A_TASK: Final = 60.0


def others_only(outcomes: Outcomes, column: int) -> Outcomes:
    """Return a table without one agent, neither its outcomes nor its card."""
    return outcomes.taken([place for place in range(len(outcomes.agent_ids)) if place != column])


def first_outcomes(material: Material, column: int, count: int, *, seed: int) -> Iterator[Experience]:
    """Yield what an agent did on ``count`` train tasks, drawn by the seed among those on which it was observed.

    The draw for fewer tasks is the beginning of that for more. A task comes with its text and vector and no hints.
    """
    train, pool = material.train, material.pool
    observed = np.flatnonzero(~np.isnan(train.quality[:, column]))
    rows = np.random.default_rng([seed, column]).permutation(observed)[:count]
    for number, row in enumerate(rows.tolist(), start=1):
        cost = float(train.cost[row, column])
        yield Experience(
            sequence=number,
            run_id=f"first-{number}",
            text=train.features[row].text,
            vector=pack_vector(train.vectors[row]),
            embedder=material.embedder.version,
            agent_id=pool.ids[column],
            agent_version=int(pool.versions[column]),
            quality=float(train.quality[row, column]),
            cost_usd=None if np.isnan(cost) else Decimal(repr(cost)),
            at=number * SECONDS_A_TASK,
        )
