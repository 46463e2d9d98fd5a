"""Routers by likeness: the card, and the tasks that were won."""

from dataclasses import replace

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_vector
from agentmesh.routing.base import Outcomes, TaskFeatures
from agentmesh.routing.similarity import CosineRouter, PilotRouter, cosines, unit
from agentmesh.testing.samples import DIMENSION, sample_experience, sample_pool, taken

POOL = sample_pool(3)
AXES = np.eye(DIMENSION, dtype=np.float32)


def task(vector):
    return TaskFeatures(vector=vector.astype(np.float32), text="a task")


def won(sequence, place, vector, *, quality=1.0, version=1):
    return sample_experience(sequence, POOL).model_copy(
        update={
            "agent_id": POOL.ids[place],
            "vector": pack_vector(vector.astype(np.float32)),
            "quality": quality,
            "agent_version": version,
        }
    )


def table(quality):
    quality = np.array(quality, dtype=np.float64)
    m = len(quality)
    return Outcomes(POOL.ids, AXES[:m], tuple("abcd"[:m]), ("",) * m, quality, np.full_like(quality, np.nan))


def test_cosine_is_the_product_with_the_capability_vectors():
    vector = POOL.vectors[1]
    assert CosineRouter().score(task(vector), POOL) == pytest.approx(POOL.vectors @ vector, abs=1e-6)


def test_equal_agents_tie_wherever_they_stand():
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(1, 256)), 33, axis=0).astype(np.float32)
    assert len(set(cosines(rows, rng.normal(size=256).astype(np.float32)).tolist())) == 1


def test_a_vector_of_another_embedder_is_refused():
    with pytest.raises(ConfigError, match=f"expected {DIMENSION}"):
        CosineRouter().score(task(np.zeros(3)), POOL)


def test_an_agent_that_won_nothing_is_rated_by_its_card():
    vector = POOL.vectors[2]
    assert PilotRouter().score(task(vector), POOL) == pytest.approx(CosineRouter().score(task(vector), POOL), abs=1e-6)


def test_a_pilot_moves_towards_the_tasks_won():
    router = PilotRouter(strength=1.0)
    before = router.score(task(AXES[0]), POOL)
    router.learn(won(1, 0, AXES[0]))
    pilot = unit((POOL.vectors[0] + AXES[0])[None, :].astype(np.float64))[0]
    after = router.score(task(AXES[0]), POOL)
    assert after[0] == pytest.approx(float(pilot @ AXES[0]), abs=1e-6)
    assert after[1:].tolist() == before[1:].tolist()


def test_a_task_that_was_lost_leaves_the_pilot_alone():
    router = PilotRouter()
    router.learn(won(1, 0, AXES[0], quality=0.4))
    assert router.score(task(AXES[0]), POOL).tolist() == PilotRouter().score(task(AXES[0]), POOL).tolist()
    assert router.sequence == 1


def test_in_a_table_the_best_and_the_tied_win_if_good_enough():
    router = PilotRouter()
    router.fit(table([[1.0, 1.0, 0.9], [0.4, 0.3, np.nan], [np.nan, np.nan, np.nan], [np.nan, 0.5, 0.2]]))
    assert router.estimate(task(AXES[0]), POOL).factors["won"].tolist() == [1.0, 2.0, 0.0]


def test_an_agent_comes_and_goes_without_touching_the_others():
    router = PilotRouter()
    router.fit(table([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]))
    whole = router.score(task(AXES[1]), POOL)
    assert router.score(task(AXES[1]), taken(POOL, [2, 0])).tolist() == whole[[2, 0]].tolist()
    assert router.score(task(AXES[1]), POOL).tolist() == whole.tolist()


def test_a_new_version_is_rated_by_its_card_again():
    router = PilotRouter()
    router.learn(won(1, 0, AXES[0]))
    bumped = replace(POOL, versions=np.array([2, 1, 1]))
    vector = task(AXES[0])
    assert router.score(vector, bumped) == pytest.approx(CosineRouter().score(vector, POOL), abs=1e-6)


def test_pilots_follow_a_changed_card():
    router = PilotRouter()
    router.score(task(AXES[0]), POOL)
    turned = replace(POOL, vectors=AXES[:3])
    assert router.score(task(AXES[0]), turned).tolist() == [1.0, 0.0, 0.0]


def test_pilots_of_another_embedder_are_refused():
    router = PilotRouter()
    router.learn(won(1, 0, np.ones(5)))
    with pytest.raises(ConfigError, match="6 numbers"):
        router.score(task(AXES[0]), POOL)


@pytest.mark.parametrize("strength", [0.0, -1.0, np.nan, np.inf])
def test_a_strength_out_of_range_is_refused(strength):
    with pytest.raises(ConfigError, match="strength"):
        PilotRouter(strength=strength)


def test_a_row_of_zeros_stays_one():
    assert unit(np.zeros((1, 3))).tolist() == [[0.0, 0.0, 0.0]]
