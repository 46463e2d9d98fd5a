"""What the bench does with routers that abstain, and with what is no scoring router."""

from pathlib import Path

import numpy as np

from agentmesh.bench.label_bench import LabelChoice, label_row
from agentmesh.bench.material import part_of, recorded_pool
from agentmesh.bench.routing_run import NOBODY, Routed, route_all
from agentmesh.bench.tuning import Fitted
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.recorded import load_set
from agentmesh.records import Objective
from agentmesh.routing.similarity import CosineRouter
from agentmesh.types import SystemClock

WORDS = HashingEmbedder(dimension=256)


async def test_an_abstention_brings_nothing_and_costs_nothing(outcome_set: Path) -> None:
    recorded = load_set(outcome_set)
    part, pool = part_of(recorded.open("val"), WORDS), recorded_pool(recorded.agents, WORDS)
    router = CosineRouter(policy="threshold:2")
    routed = await route_all(router, part, pool, Objective(), seed=0, clock=SystemClock())
    assert set(routed.choice.tolist()) == {NOBODY}
    assert routed.taken(part.quality).sum() == 0.0
    assert routed.taken(part.cost).sum() == 0.0


def test_a_router_that_names_nobody_names_none_on_average(label_set: Path) -> None:
    part = part_of(load_set(label_set).open("val"), WORDS)
    count = len(part)
    routed = Routed(np.full(count, NOBODY), np.zeros((count, 3)), np.ones(count))
    row = label_row(LabelChoice("silent", Fitted(CosineRouter(), {}, ()), -np.inf, 0.0), routed, part)
    assert (row.top1, row.hit_at_set, row.mean_agents, row.oos_recall, row.gqr) == (0.0, 0.0, 0.0, 1.0, 0.0)
