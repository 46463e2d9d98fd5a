"""The GNN router as it serves: before training, after it, with new agents and new versions, and what it explains."""

import asyncio
import json
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from agentmesh import Learning, Mesh, Task, open_store
from agentmesh.errors import ConfigError
from agentmesh.records import RouteDecision
from agentmesh.routing.base import RouteContext, TaskFeatures
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.state import pack_state, unpack_state
from agentmesh.testing.agents import CannedAgent
from agentmesh.testing.grounds import ground_experience, ground_labels, ground_outcomes, ground_pool, ground_tasks
from agentmesh.testing.routers import plain_pool

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


def rank(router, agent=NEWCOMER, task=ALGEBRA):
    """Return the place of an agent among those of the pool by quality, 0 for the best."""
    score = router.score(task, POOL)
    return int((score > score[POOL.index[agent]]).sum())


def decide(router, task=ALGEBRA, pool=POOL, **context):
    return router.decide(task, pool, RouteContext(**{"seed": 1, **context}))


def logit(quality):
    return float(np.log(quality) - np.log1p(-quality))


def altered(router, change):
    """Return a twin of a router whose state was changed by ``change(arrays, meta)``."""
    state = router.snapshot()
    arrays, meta = unpack_state(state.payload)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, meta["router"])
    twin = GnnRouter(**router.parameters)
    twin.restore(state.model_copy(update={"payload": pack_state(arrays, meta)}))
    return twin


# before training


def test_a_router_never_trained_takes_all_for_alike():
    assert GnnRouter().score(ALGEBRA, POOL)[:1].tolist() != []
    assert GnnRouter().score(ALGEBRA, plain_pool("a", "b", dimension=16)).tolist() == [0.5, 0.5]
    assert GnnRouter().training == {}
    assert GnnRouter().model is None


def test_before_training_near_outcomes_decide_as_in_kernel_regression():
    router = GnnRouter(curiosity=0.0)
    teach(router, 0, [1.0] * 10, agent="agent-02")
    teach(router, 1, [0.0] * 10, agent="agent-02")
    pool = plain_pool("agent-01", "agent-02", dimension=16)
    at_home, abroad = (router.score(task, pool)[1] for task in (ALGEBRA, HISTORY))
    assert at_home > 0.55 > 0.45 > abroad
    assert decide(router, ALGEBRA, pool).selected[0].agent_id == "agent-02"
    assert decide(router, HISTORY, pool).selected[0].agent_id == "agent-01"


def test_before_training_near_tasks_are_what_a_decision_rests_on():
    router = GnnRouter(curiosity=0.0)
    teach(router, 0, [1.0] * 10, agent="agent-02")
    assert {one.kind for one in decide(router).evidence} == {"task"}
    assert decide(router).intent == {}


# after training


def test_the_agent_of_a_ground_is_chosen_there(router):
    for ground in range(4):
        tasks = ground_tasks([ground] * 10, seed=60 + ground)
        best = [int(router.score(task, ground_pool(4)).argmax()) for task in tasks]
        assert best.count(ground) >= 8


def test_labels_give_chances_that_sum_to_at_most_one(label_router):
    for task in ground_tasks([0, 1, 2, 3], seed=61):
        score = label_router.score(task, ground_pool(4))
        assert 0.0 < score.sum() < 1.0
    assert decide(label_router, ALGEBRA, ground_pool(4)).selected[0].agent_id == "agent-00"


def test_an_agent_that_the_wide_part_does_not_know_counts_as_the_average_one(label_router):
    one, two = (label_router.score(ALGEBRA, taken)[0] for taken in (ground_pool(4), ground_pool(5)))
    assert label_router.score(ALGEBRA, POOL)[4] < label_router.score(ALGEBRA, POOL)[0]
    assert one > two  # a fifth agent takes some of the chance


def test_a_pool_of_strangers_is_decided_on(label_router):
    strangers = plain_pool("x", "y", dimension=16)
    assert np.isfinite(label_router.score(ALGEBRA, strangers)).all()


def test_a_new_agent_moves_up_by_its_outcomes_and_down_by_its_failures(router):
    first = router.score(ALGEBRA, POOL)[4]
    teach(router, 0, [1.0] * 12)
    risen = router.score(ALGEBRA, POOL)[4]
    assert risen > first + 0.1
    assert rank(router) <= 1
    teach(router, 0, [0.0] * 40)
    assert router.score(ALGEBRA, POOL)[4] < risen - 0.2
    assert rank(router) >= 2


def test_a_new_agent_with_no_outcomes_is_judged_by_its_card(router):
    dear, cheap = (replace(POOL, price_per_call=np.array([0.001, 0.002, 0.003, 0.004, price])) for price in (1.0, 1e-6))
    gain = router.score(ALGEBRA, dear)[4] - router.score(ALGEBRA, cheap)[4]
    assert gain > 0.02  # what is dear is taken to be good until outcomes say otherwise


def test_what_a_new_agent_did_on_one_ground_says_less_of_another(router):
    before = router.score(ALGEBRA, POOL)[4], router.score(HISTORY, POOL)[4]
    teach(router, 0, [1.0] * 12)
    after = router.score(ALGEBRA, POOL)[4], router.score(HISTORY, POOL)[4]
    assert after[0] - before[0] > after[1] - before[1]


@pytest.mark.parametrize("kind", ["router", "label_router"])
def test_a_new_version_starts_afresh(kind, request):
    router = request.getfixturevalue(kind)
    bumped = replace(POOL, versions=np.array([2, 1, 1, 1, 1]), registry_version="bumped")
    unknown_to_it = router.score(ALGEBRA, bumped)
    router.learn(ground_experience(router.sequence + 1, HISTORY, "agent-00", 0.0, version=2))
    arrays, meta = unpack_state(router.snapshot().payload)
    column = meta["router"]["agents"].index("agent-00")
    assert arrays["skill_sums"][0, :, column].sum() == pytest.approx(1.0)
    assert arrays["task_outcomes"][:, 0, column].sum() == 1.0
    assert arrays["message_counts"][column].sum() == (1.0 if kind == "router" else 0.0)  # labels send no failures
    assert arrays["wide_known"].tolist() == [False, True, True, True]
    assert router.score(ALGEBRA, bumped)[0] == pytest.approx(unknown_to_it[0], abs=0.2)
    before = router.snapshot()
    router.learn(ground_experience(router.sequence + 1, ALGEBRA, "agent-00", 1.0, version=1))  # too late
    assert unpack_state(router.snapshot().payload)[0]["task_outcomes"].tolist() == (
        unpack_state(before.payload)[0]["task_outcomes"].tolist()
    )


def test_a_hint_that_names_a_skill_decides_what_the_task_asks_for(router):
    plain, hinted = ALGEBRA, replace(ALGEBRA, type_hints=("law", "verse", "no skill of ours"))
    assert decide(router, plain).intent["algebra"] > 0.5
    assert decide(router, hinted).intent == {"law": 0.5, "verse": 0.5}
    unknown = replace(ALGEBRA, type_hints=("no skill of ours",))
    assert decide(router, unknown).intent == decide(router, plain).intent


def test_outcomes_of_hinted_tasks_teach_the_skills_named(router):
    before = unpack_state(router.snapshot().payload)[0]["skill_sums"][0].sum(axis=1)
    teach(router, 0, [1.0] * 4, hints=("law",))
    after = unpack_state(router.snapshot().payload)[0]["skill_sums"][0].sum(axis=1)
    grown = dict(zip(router.model.skill_names, (after - before).tolist(), strict=True))
    assert grown == pytest.approx({"algebra": 0.0, "history": 0.0, "law": 4.0, "verse": 0.0})


def test_nobody_is_chosen_below_the_threshold(after_training, router):
    strict = GnnRouter(**{**router.parameters, "policy": "threshold:0.999"})
    strict.fit(ground_outcomes(20))
    decision = decide(strict)
    assert (decision.abstained, decision.selected, decision.evidence) == (True, (), ())


def test_the_weights_of_votes_are_the_softmax_of_quality(router):
    quality = router.score(ALGEBRA, POOL)
    expected = np.exp(quality / 0.25)
    chosen = decide(router, max_agents=3).selected
    places = [POOL.index[one.agent_id] for one in chosen]
    assert [one.weight for one in chosen] == pytest.approx(expected[places] / expected[places].sum())


def test_outcomes_of_one_run_and_stage_are_of_one_task(router):
    kept = len(unpack_state(router.snapshot().payload)[0]["task_vectors"])
    for sequence, (agent, stage) in enumerate([("agent-00", 0), ("agent-01", 0), ("agent-00", 1)], 1):
        one = ground_experience(sequence, ALGEBRA, agent, 1.0)
        router.learn(one.model_copy(update={"run_id": "same", "stage": stage}))
    assert len(unpack_state(router.snapshot().payload)[0]["task_vectors"]) == kept + 2


def test_the_bound_on_past_tasks_holds_with_some_slack():
    router = GnnRouter(hidden=8, passes=1, max_tasks=20)
    router.fit(ground_outcomes(25))
    arrays, _ = unpack_state(router.snapshot().payload)
    assert len(arrays["task_vectors"]) == 20
    assert (arrays["task_vectors"] == ground_outcomes(25).vectors[5:]).all()
    teach(router, 0, [1.0] * 100)
    assert 20 <= len(unpack_state(router.snapshot().payload)[0]["task_vectors"]) <= 25


def test_vectors_of_another_embedder_are_refused(router):
    short = TaskFeatures(np.ones(3, np.float32), "short")
    with pytest.raises(ConfigError, match="same embedder"):
        router.score(short, POOL)
    before = router.snapshot()
    with pytest.raises(ConfigError, match="same embedder"):
        router.learn(ground_experience(1, short, "agent-00", 1.0))
    assert router.snapshot() == before
    untrained = GnnRouter()
    teach(untrained, 0, [1.0])
    with pytest.raises(ConfigError, match="same embedder"):
        untrained.score(short, plain_pool("a", dimension=3))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("hidden", 0),
        ("neighbours", 0),
        ("clusters", 0),
        ("max_tasks", 0),
        ("passes", -1),
        ("seed", -1),
        ("rate", 0.0),
        ("rate", float("inf")),
        ("curiosity", -0.1),
        ("curiosity", float("nan")),
        ("hide", 0.0),
        ("hide", 1.0),
    ],
)
def test_an_argument_out_of_its_range_is_refused(argument, value):
    with pytest.raises(ConfigError, match=f"{argument} is {value!r}"):
        GnnRouter(**{argument: value})


# explanations


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


def test_the_weight_of_a_past_task_is_what_the_logit_falls_without_it(router):
    told = evidence(router, "task")[0]

    def forget(arrays, meta):
        column = meta["agents"].index("agent-00")
        arrays["task_outcomes"][meta["task_ids"].index(told.name), :, column] = 0.0

    without = altered(router, forget)
    fall = logit(router.score(ALGEBRA, POOL)[0]) - logit(without.score(ALGEBRA, POOL)[0])
    assert told.weight == pytest.approx(fall, abs=1e-6)
    assert told.quality in (0.0, 1.0)


def test_the_weight_of_a_skill_is_what_the_logit_falls_without_its_outcomes(router):
    told = evidence(router, "skill")[0]

    def forget(arrays, meta):
        skill, column = meta["model"]["skills"].index(told.name), meta["agents"].index("agent-00")
        arrays["skill_sums"][:, skill, column] = 0.0

    without = altered(router, forget)
    fall = logit(router.score(ALGEBRA, POOL)[0]) - logit(without.score(ALGEBRA, POOL)[0])
    assert told.weight == pytest.approx(fall, abs=1e-6)


def test_the_weight_of_an_entity_is_what_the_logit_falls_where_it_is_not_known(head_router):
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
    decision = decide(router, replace(ALGEBRA, text="long " * 100), ground_pool())
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


# processes


SERVE = """
import json, sys
from base64 import b64decode
from agentmesh.records import RouterState
from agentmesh.routing.base import RouteContext
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.testing.grounds import ground_experience, ground_pool, ground_tasks
asked = json.loads(sys.stdin.read())
router = GnnRouter(**asked["parameters"])
router.restore(RouterState(**asked["state"], payload=b64decode(asked["payload"])))
[task] = ground_tasks([1], seed=3)
router.learn(ground_experience(1, task, "agent-04", 1.0))
decision = router.decide(task, ground_pool(5), RouteContext(seed=1))
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "torch_geometric", "networkx"})
print(json.dumps({"chosen": decision.selected[0].agent_id, "scores": decision.score_array().tolist(), "heavy": heavy}))
"""


def test_serving_and_learning_import_neither_torch_nor_networkx(router):
    state = router.snapshot()
    order = {
        "parameters": dict(router.parameters),
        "state": state.model_dump(mode="json", exclude={"payload"}),
        "payload": b64encode(state.payload).decode(),
    }
    done = subprocess.run(
        [sys.executable, "-c", SERVE], input=json.dumps(order), capture_output=True, text=True, check=True, timeout=60
    )
    there = json.loads(done.stdout)
    [task] = ground_tasks([1], seed=3)
    router.learn(ground_experience(1, task, NEWCOMER, 1.0))
    here = router.decide(task, POOL, RouteContext(seed=1))
    assert there["heavy"] == []
    assert there["chosen"] == here.selected[0].agent_id
    assert there["scores"] == here.score_array().tolist()


WITHOUT = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] == sys.argv[1] else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from agentmesh.errors import MissingExtraError
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.testing.grounds import ground_outcomes, ground_pool, ground_tasks
router = GnnRouter()
try:
    router.fit(ground_outcomes(20))
except MissingExtraError as error:
    print(error)
print(router.score(ground_tasks([0])[0], ground_pool(2)).tolist() != [])
"""


@pytest.mark.parametrize("package", ["torch", "torch_geometric"])
def test_without_torch_training_names_the_line_that_installs_it_and_serving_goes_on(package):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        f"{package!r} is not installed; run: pip install 'agentmesh-routing[gnn]'",
        "True",
    ]


# states


def gone(name):
    return lambda arrays, meta: arrays.pop(name)


def put(name, value):
    return lambda arrays, meta: arrays.__setitem__(name, value)


def told(change):
    return lambda arrays, meta: change(meta)


BROKEN = {
    "no past tasks": gone("task_vectors"),
    "no weights": gone("net/task.weight"),
    "no bias": gone("net/to_query.bias"),
    "no recogniser": gone("recogniser"),
    "paths of another length": put("paths", np.zeros(3)),
    "weights of another shape": put("net/score.weight", np.zeros(3, np.float32)),
    "a query of another width": put("net/query.weight", np.zeros((64, 3), np.float32)),
    "skills of another shape": put("skill_states", np.zeros((4, 2, 16), np.float32)),
    "entities of another shape": put("entity_states", np.zeros((1, 16), np.float32)),
    "messages of fewer agents": put("messages", np.zeros((1, 2, 2, 16), np.float32)),
    "outcomes of fewer tasks": put("task_outcomes", np.zeros((1, 2, 4), np.float32)),
    "tasks without names": told(lambda meta: meta.pop("task_ids")),
    "skills without names": told(lambda meta: meta["model"].pop("skills")),
    "a model without parts": told(lambda meta: meta["model"].pop("parts")),
    "a model without a card": told(lambda meta: meta["model"].update(card=3)),
    "fewer agents": told(lambda meta: meta.update(agents=["a"])),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_state_whose_parts_do_not_fit_is_refused(name, router):
    with pytest.raises(ConfigError):
        altered(router, BROKEN[name])


def test_a_state_remembers_how_it_was_trained(router):
    assert router.training["validated"] == "val"
    assert router.training["tasks"] == 120
    assert router.training["passes"] > 0


def test_a_router_decides_the_same_asynchronously(router):
    decision = asyncio.run(router.route(ALGEBRA, POOL, RouteContext(seed=1)))
    assert decision.selected == decide(router).selected


def test_a_table_of_labels_is_known_by_its_sums(label_router, router):
    assert (label_router.model.exclusive, router.model.exclusive) == (True, False)
    assert ground_labels(10).quality.sum() == 9.0
