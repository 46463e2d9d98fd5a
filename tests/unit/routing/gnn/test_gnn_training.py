"""How the network is trained: the same each time, on hidden outcomes, on any table, and without harm to what serves."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from agentmesh.errors import RoutingError
from agentmesh.routing.gnn.arguments import GnnArguments
from agentmesh.routing.gnn.graph import MOST_IMPORTANCE, by_id, training_graph
from agentmesh.routing.gnn.memory import GnnMemory
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.gnn.scoring import Scoring
from agentmesh.routing.gnn.skills import with_skills
from agentmesh.routing.gnn.training.data import GraphData
from agentmesh.routing.gnn.training.fitting import PATIENCE, Fitting, shape_of
from agentmesh.routing.gnn.training.train import train
from agentmesh.routing.gnn.weights import PATHS
from agentmesh.routing.progress import unsaid
from agentmesh.testing.grounds import ground_labels, ground_outcomes, ground_pool, ground_table, ground_tasks

pytestmark = pytest.mark.timeout(60)  # the first test imports torch, and one trains in a process of its own

QUICK = {"hidden": 8, "passes": 2, "rate": 0.01, "neighbours": 16, "clusters": 4}
TASKS = ground_tasks([0, 1, 2, 3], seed=77)


def arguments(**options):
    router = GnnRouter(**{**QUICK, **options})
    return GnnArguments(**{name: router.parameters[name] for name in GnnArguments.__dataclass_fields__})


def trained(outcomes, *, val=None, say=unsaid, **options):
    return train(outcomes, arguments(**options), val=val, say=say)


def digest(trained):
    """Return what names the weights and the embeddings of a training."""
    arrays = {**trained.weights, "tasks": trained.tasks, "skills": trained.skills, "paths": trained.numbers.array()}
    return hashlib.sha256(b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


def fitting_on(outcomes, *, held=(), **options):
    made = arguments(**options)
    table = with_skills(by_id(outcomes), made.clusters, seed=0)
    graph = training_graph(table, table.pool, entities=made.entities, neighbours=made.neighbours)
    data = GraphData(graph, shape_of(graph, made), torch.device("cpu"))
    torch.manual_seed(0)
    held = np.asarray(held, np.int64)
    return Fitting(data, made, fit=np.setdiff1d(np.arange(len(graph)), held), held=held, queries=data.queries), data


# the same each time


@pytest.mark.parametrize("kind", [ground_outcomes, ground_labels])
def test_the_same_seed_and_table_give_the_same_weights(kind):
    first, second = (trained(kind(60), entities=True) for _ in range(2))
    assert digest(first) == digest(second)


def test_another_seed_gives_other_weights():
    assert digest(trained(ground_outcomes(60))) != digest(trained(ground_outcomes(60), seed=1))


FRESH = """
import hashlib
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.state import unpack_state
from agentmesh.testing.grounds import ground_outcomes
router = GnnRouter(hidden=8, passes=2)
router.fit(ground_outcomes(60))
arrays, _ = unpack_state(router.snapshot().payload)  # the rest of the state tells how many seconds it took
state = hashlib.sha256(b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))).hexdigest()
"""


def test_a_fresh_process_trains_the_same_state():
    here: dict[str, str] = {}
    exec(FRESH, here)  # noqa: S102 - our own lines
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FRESH + "print(state)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == here["state"]


def test_what_others_draw_and_compute_with_torch_is_left_as_it_is():
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(ground_outcomes(40))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


# the checkpoint


def test_val_chooses_the_checkpoint():
    val = ground_outcomes(60, seed=1)
    right = trained(ground_outcomes(80), val=val, passes=4).card
    inverted = trained(ground_outcomes(80), val=replace(val, quality=1.0 - val.quality), passes=4).card
    assert (right.validated, inverted.validated) == ("val", "val")
    assert right.passes > inverted.passes == 0
    assert min(right.loss) < min(inverted.loss)


def test_val_teaches_nothing():
    table = ground_outcomes(80)
    one, other = (trained(table, val=ground_outcomes(40, seed=seed), passes=2) for seed in (1, 2))
    assert one.card.passes == other.card.passes == 2  # so the weights of the last pass are compared
    assert one.card.loss != other.card.loss
    assert digest(one) == digest(other)


def test_a_tenth_is_held_where_there_is_no_val_and_nothing_of_a_small_table():
    assert trained(ground_outcomes(40)).card.validated == "tenth"
    small = trained(ground_outcomes(29)).card
    assert (small.validated, small.passes, set(small.loss)) == ("nothing", 2, {0.0})


def test_training_stops_when_passes_no_longer_help():
    val = ground_outcomes(60, seed=1)
    card = trained(ground_outcomes(80), val=replace(val, quality=1.0 - val.quality), passes=50).card
    assert len(card.loss) == 1 + PATIENCE


# what a step sees


@pytest.mark.parametrize("options", [{}, {"typed": False}, {"like": False}, {"entities": True}])
@pytest.mark.parametrize("kind", [ground_outcomes, ground_labels])
@torch.no_grad()
def test_a_task_is_predicted_without_its_own_outcomes(kind, options):
    table, row = kind(50), 7
    quality = table.quality.copy()
    quality[row] = quality[row][::-1] if kind is ground_labels else 1.0 - quality[row]
    assert (quality[row] != table.quality[row]).any()
    predicted = []
    for outcomes in (table, replace(table, quality=quality)):
        fitting, data = fitting_on(outcomes, **options)
        for head in (fitting.net.score, fitting.net.cost):
            head.weight.fill_(0.3)  # before training they are silent
        shown = torch.arange(50) != row
        seen, tasks = data.queries.seen * shown[:, None], torch.nonzero(shown).flatten()
        part, place = data.messages(tasks, seen)
        fitting.net.eval()
        batch = data.batch(data.queries, torch.tensor([row]), seen, place)
        predicted.append(fitting.net(batch, data.visible(seen, tasks), fitting.net.encode(part)[-1]))
    assert torch.equal(predicted[0][0], predicted[1][0])
    assert torch.equal(predicted[0][1], predicted[1][1])


def test_what_other_tasks_came_to_is_seen():
    table = ground_outcomes(50)
    losses = []
    for quality in (table.quality, np.random.default_rng(0).permuted(table.quality, axis=0)):
        quality = quality.copy()
        quality[:10] = table.quality[:10]
        fitting, _ = fitting_on(replace(table, quality=quality), held=range(10), passes=0)
        losses.append(fitting.run(unsaid, validated="tenth").loss[0])
    assert losses[0] < losses[1] - 0.02


def test_a_step_on_a_small_table_sees_other_tasks_too():
    numbers = trained(ground_outcomes(28)).numbers
    assert numbers.near_gain != PATHS["near_gain"]  # it has no gradient where no past task is shown


# skills


def test_the_only_skill_seen_is_what_tasks_ask_for_whatever_cards_declare():
    router = GnnRouter(**{**QUICK, "passes": 0, "clusters": 1})
    router.fit(shaped(20, groups=("",) * 20))
    share = router.model.share(TASKS[0].vector)
    assert dict(zip(router.model.skill_names, share.tolist(), strict=True))["cluster 000"] > 0.999
    assert len(share) == 5


# logged outcomes


def test_logged_calls_with_their_propensities_train():
    table, rng = ground_outcomes(80), np.random.default_rng(8)
    called = rng.random(table.quality.shape) < 0.3
    propensity = np.where(called, rng.uniform(0.001, 1.0, size=called.shape), np.nan)
    logged = replace(table, quality=np.where(called, table.quality, np.nan), propensity=propensity)
    made = trained(logged)
    weights = made.graph.importance[made.graph.seen > 0]
    assert weights.mean() == pytest.approx(1.0, abs=1e-5)
    assert weights.max() / weights.min() <= MOST_IMPORTANCE * (1 + 1e-6)
    assert made.card.outcomes == called.sum()
    assert digest(made) != digest(trained(replace(logged, propensity=None)))


def test_a_propensity_that_is_unknown_or_0_weighs_as_1():
    table = ground_outcomes(40)
    propensity = np.where(np.arange(4) < 2, np.nan, 0.0) * np.ones((40, 1))
    made = trained(replace(table, propensity=propensity))
    assert set(made.graph.importance.ravel().tolist()) == {1.0}


# any table


def shaped(count, agents=4, **changes):
    return replace(ground_outcomes(count, agents=agents), **changes)


EDGES = {
    "no task": shaped(0),
    "one task": shaped(1),
    "two tasks": shaped(2),
    "three tasks": shaped(3),
    "one agent": shaped(40, agents=1),
    "agents without outcomes": shaped(40, quality=np.where(np.arange(4) < 2, ground_outcomes(40).quality, np.nan)),
    "all failed": shaped(40, quality=np.zeros((40, 4))),
    "all solved": shaped(40, quality=np.ones((40, 4))),
    "nothing observed": shaped(40, quality=np.full((40, 4), np.nan), cost=np.full((40, 4), np.nan)),
    "no costs": shaped(40, cost=np.full((40, 4), np.nan)),
    "free": shaped(40, cost=np.zeros((40, 4))),
    "zero vectors": shaped(40, vectors=np.zeros((40, 16), np.float32)),
    "no entity": shaped(40, texts=("",) * 40),
    "no groups": shaped(40, groups=("",) * 40),
    "one group": shaped(40, groups=("law",) * 40),
    "some groups": shaped(40, groups=("law", "", "verse", "") * 10),
    "duplicates": shaped(
        40, vectors=np.repeat(ground_outcomes(1).vectors, 40, axis=0), texts=ground_outcomes(1).texts * 40
    ),
    "no cards": shaped(40, pool=None),
    "no texts in utf-8": shaped(40, texts=("\ud800 Ada Lovelace",) * 40),
}


@pytest.mark.parametrize(
    ("name", "entities"),
    [*((name, True) for name in EDGES), ("no task", False), ("one task", False), ("all failed", False)],
)
def test_any_table_trains_a_router_that_decides(name, entities):
    table = EDGES[name]
    router = GnnRouter(**{**QUICK, "passes": 1}, entities=entities)
    router.fit(table)
    pool = table.pool or ground_outcomes(1).pool
    for task in TASKS:
        estimate = router.estimate(task, pool)
        assert np.isfinite(estimate.quality).all()
        assert ((estimate.quality >= 0) & (estimate.quality <= 1)).all()
        assert estimate.votes.sum() == pytest.approx(1.0)
        assert all(np.isfinite(one.weight) for one in estimate.evidence(0))
    twin = GnnRouter(**router.parameters)
    twin.restore(router.snapshot())
    assert twin.snapshot() == router.snapshot()


@pytest.mark.parametrize(
    "options",
    [
        {"deep": False},
        {"soft": False},
        {"typed": False},
        {"like": False},
        {"passes": 0},
        {"hidden": 1},
        {"neighbours": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [ground_outcomes, ground_labels])
def test_every_part_can_be_left_out(kind, options):
    router = GnnRouter(**{**QUICK, **options})
    router.fit(kind(40), val=kind(20, seed=1))
    score = router.score(TASKS[0], kind(1).pool)
    assert np.isfinite(score).all()
    twin = GnnRouter(**router.parameters)
    twin.restore(router.snapshot())
    assert twin.score(TASKS[0], kind(1).pool).tolist() == score.tolist()


def test_what_val_does_not_know_changes_nothing():
    val = replace(ground_outcomes(20, seed=1), quality=np.full((20, 4), np.nan))
    assert trained(ground_outcomes(40), val=val).card.passes == 0


# without harm to what serves


def say_until(word, error):
    def say(doing):
        if word in doing:
            raise error

    return say


def served():
    router = GnnRouter(**QUICK)
    router.fit(ground_outcomes(40))
    return router


def test_how_far_it_is_is_told_with_the_time_left():
    told = []
    trained(ground_outcomes(60), say=told.append)
    assert told[0] == "building the knowledge graph"
    assert len(told) == 3
    assert told[1].endswith("0 of 2 passes")
    assert "1 of 2 passes, about " in told[2]
    assert told[2].endswith(" left")


@pytest.mark.parametrize("word", ["building", "0 of 2", "1 of 2"])
def test_an_interrupted_training_leaves_the_router_as_it_was(word):
    router = served()
    before = router.snapshot()
    with pytest.raises(KeyboardInterrupt):
        router.fit(ground_outcomes(60, seed=4), say=say_until(word, KeyboardInterrupt()))
    assert router.snapshot() == before


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_too_little_memory_is_said_and_the_router_decides_on(error):
    router = served()
    before, score = router.snapshot(), router.score(TASKS[0], ground_outcomes(1).pool).tolist()
    with pytest.raises(RoutingError, match=r"not enough memory to train on 60 tasks of 4 agents.*max_tasks.*hidden"):
        router.fit(ground_outcomes(60, seed=4), say=say_until("1 of 2", error))
    assert router.snapshot() == before
    assert router.score(TASKS[0], ground_outcomes(1).pool).tolist() == score


def test_a_network_that_no_machine_can_hold_is_too_little_memory():
    with pytest.raises(RoutingError, match="smaller network"):
        GnnRouter(hidden=10**15).fit(ground_outcomes(40))


def test_another_error_is_not_taken_for_one_of_memory():
    with pytest.raises(RuntimeError, match="something else"):
        trained(ground_outcomes(40), say=say_until("1 of 2", RuntimeError("something else")))


def test_costs_are_learned_beside_quality():
    grounds = np.random.default_rng(0).integers(0, 4, size=160)
    dear = np.where(grounds[:, None] == 0, 0.04, 0.01) * np.ones((1, 4))
    table = ground_table(ground_tasks(grounds), np.random.default_rng(1).random((160, 4)), ground_pool(4))
    fitting, _ = fitting_on(replace(table, cost=dear), hidden=16, passes=16, rate=0.02)
    made = fitting.handed_over(fitting.run(unsaid, validated="nothing"))
    memory = GnnMemory.trained(arguments(hidden=16), table, made)
    at_home, abroad = (
        np.mean([Scoring.of(task, table.pool, memory).correction for task in ground_tasks([ground] * 10, seed=9)])
        for ground in (0, 1)
    )
    assert at_home > abroad + 0.5  # in logarithms; four times as dear is 1.4
