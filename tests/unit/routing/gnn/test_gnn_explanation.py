"""What the GNN router says a choice rests on: each weight is what the logit falls without the thing named."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from agentmesh import Learning, Mesh, Task, open_store
from agentmesh.records import RouteDecision
from agentmesh.routing.base import RouteContext
from agentmesh.routing.gnn.arguments import GnnArguments
from agentmesh.routing.gnn.memory import GnnMemory
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.gnn.scoring import Scoring
from agentmesh.routing.state import unpack_state
from agentmesh.testing.agents import CannedAgent
from agentmesh.testing.grounds import ground_experience, ground_pool, ground_tasks

pytestmark = pytest.mark.timeout(60)  # the first test that trains imports torch

POOL = ground_pool(5)
"""The four agents trained on, and a newcomer."""
NEWCOMER = "agent-04"
ALGEBRA, HISTORY = ground_tasks([0, 1], seed=50)
PETRA = HISTORY
"""It names an entity of the graph."""


def teach(router, ground, qualities, *, agent=NEWCOMER, version=1, hints=()):
    sequences = count(router.sequence + 1)
    for task, quality in zip(ground_tasks([ground] * len(qualities), seed=51), qualities, strict=True):
        hinted = replace(task, type_hints=hints)
        router.learn(ground_experience(next(sequences), hinted, agent, quality, version=version))


def decide(router, task=ALGEBRA, pool=POOL, **context):
    return router.decide(task, pool, RouteContext(**{"seed": 1, **context}))


def logit(quality):
    return float(np.log(quality) - np.log1p(-quality))


def evidence(router, kind, task=ALGEBRA, place=0):
    return [one for one in router.estimate(task, POOL).evidence(place) if one.kind == kind]


def test_evidence_names_past_tasks_and_skills_the_heaviest_first(router):
    found = router.estimate(ALGEBRA, POOL).evidence(0)
    assert {one.kind for one in found} >= {"task", "skill"}
    weights = [abs(one.weight) for one in found]
    assert weights == sorted(weights, reverse=True)
    assert all(one.text and one.name.startswith("row ") for one in found if one.kind == "task")


def test_evidence_names_entities_where_they_weigh_something(head_router):
    found = evidence(head_router, "entity", PETRA, place=1)
    assert {one.name for one in found} & set(head_router.model.named_entities(PETRA.text))
    assert all((one.quality, one.text) == (None, "") for one in found)
    assert evidence(head_router, "task", PETRA, place=1) == []  # nobody looks at tasks like the task


def test_the_weight_of_a_past_task_is_what_the_logit_falls_without_it(router, altered):
    told = evidence(router, "task")[0]

    def forget(arrays, meta):
        column = meta["agents"].index("agent-00")
        arrays["task_outcomes"][meta["task_ids"].index(told.name), :, column] = 0.0

    without = altered(router, forget)
    fall = logit(router.score(ALGEBRA, POOL)[0]) - logit(without.score(ALGEBRA, POOL)[0])
    assert told.weight == pytest.approx(fall, abs=1e-6)
    assert told.quality in (0.0, 1.0)


def test_the_weight_of_a_skill_is_what_the_logit_falls_without_the_agents_outcomes_in_it(router):
    told = evidence(router, "skill")[0]
    arrays, meta = unpack_state(router.snapshot().payload)
    memory = GnnMemory.load(GnnArguments(**router.parameters), arrays, meta["router"])
    scored, skill = Scoring.of(ALGEBRA, POOL, memory), router.model.skill_names.index(told.name)
    # without outcomes the skill is worth what the agent is on the whole, as far as all agents are better or worse in it
    prior = logit(scored.own[0]) + memory.hardness(np.array([skill]))[0]
    fall = scored.share[skill] * (told.quality - 1.0 / (1.0 + np.exp(-prior)))
    without = replace(scored, skilled=scored.skilled - fall)
    assert told.weight == pytest.approx(scored.score[0] - without.score[0], abs=1e-6)


def test_the_weight_of_an_entity_is_what_the_logit_falls_where_it_is_not_known(head_router, altered):
    told = evidence(head_router, "entity", PETRA, place=1)[0]

    def rename(arrays, meta):
        names = meta["model"]["entities"]
        names[names.index(told.name)] = "what no text names"

    without = altered(head_router, rename)
    fall = logit(head_router.score(PETRA, POOL)[1]) - logit(without.score(PETRA, POOL)[1])
    assert told.weight == pytest.approx(fall, abs=1e-5)


def test_an_agent_never_seen_is_explained_without_past_tasks(router):
    assert evidence(router, "task", place=4) == []


def test_evidence_is_in_the_decision_in_json_and_in_words_of_80_columns(router):
    teach(router, 0, [1.0] * 12, agent="agent-00")
    decision = decide(router, replace(ALGEBRA, text="long " * 100), ground_pool(4))
    assert decision.evidence
    assert RouteDecision.model_validate_json(decision.model_dump_json()) == decision
    words = decision.explain()
    assert "Because of: " in words
    assert max(map(len, words.splitlines())) <= 80


async def test_the_store_keeps_the_evidence_of_a_run(tmp_path):
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    team, here = [CannedAgent("one", "1"), CannedAgent("two", "2")], Learning(mode="loop")
    async with Mesh(team, router=GnnRouter(), store=url, explore=0, learning=here) as mesh:
        first = await mesh.run(Task(text="What is 6 * 9?"))
        await mesh.feedback(first.id, score=1.0)
        await mesh.learned()
        second = await mesh.run(Task(text="What is 6 * 7?"))
    with open_store(url, read_only=True) as store:
        kept = store.run(second.id).decision
    assert [(one.kind, one.text) for one in kept.evidence] == [("task", "What is 6 * 9?")]
    assert 'solved "What is 6 * 9?"' in kept.explain()
