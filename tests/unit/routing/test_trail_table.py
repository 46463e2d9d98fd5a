"""Trails laid from a table of past outcomes: where the router starts warm."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentmesh.embed.static import StaticEmbedder
from agentmesh.recorded import load_set
from agentmesh.routing.base import Outcomes, TaskFeatures
from agentmesh.routing.intent import OTHER
from agentmesh.routing.pheromone import PheromoneRouter
from agentmesh.routing.regression import softmax
from agentmesh.routing.trail_table import recogniser
from agentmesh.testing.samples import sample_experience, sample_pool

SETS = Path(__file__).parents[3] / "benchmarks" / "sets"
DIMENSION = 16
POOL = sample_pool(3)


def make_table(count=90, *, groups=("maths", "law", "art"), seed=0):
    """Return tasks near three axes, each with its right agent, and the places of their axes."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(count) % 3
    vectors = np.eye(DIMENSION)[kinds] + 0.1 * rng.normal(size=(count, DIMENSION))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    quality = np.where(kinds[:, None] == np.arange(3), 0.9, 0.1)
    named = tuple(groups[kind] for kind in kinds) if groups else ("",) * count
    return Outcomes(POOL.ids, vectors, ("t",) * count, named, quality, np.full(quality.shape, np.nan))


def fitted(table, **arguments):
    router = PheromoneRouter(**{"types": 6, "smoothing": 4.0, **arguments})
    router.fit(table)
    return router


def chosen_on(router, table):
    scores = [router.score(TaskFeatures(vector, "t"), POOL) for vector in table.vectors]
    return np.argmax(scores, axis=1)


def test_the_types_are_the_groups_of_the_table_and_their_trails_its_outcomes():
    trails = fitted(make_table()).trails()
    assert trails.types == (OTHER, "art", "law", "maths")
    assert trails.evidence.tolist() == [[0.0] * 3, [30.0] * 3, [30.0] * 3, [30.0] * 3]
    assert [int(row.argmax()) for row in trails.trail[1:]] == [2, 1, 0]
    assert trails.share.tolist() == pytest.approx([0.0, 1 / 3, 1 / 3, 1 / 3])


def test_a_group_called_as_the_catch_all_is_as_none():
    table = make_table(groups=("maths", "law", OTHER))
    nameless = replace(table, groups=tuple(group.replace(OTHER, "") for group in table.groups))
    assert fitted(table).trails().types == (OTHER, "law", "maths")
    assert fitted(table).trails().evidence.tolist() == fitted(nameless).trails().evidence.tolist()


@pytest.mark.parametrize(
    "arguments", [{}, {"alpha": 0.0}, {"alpha": 1.0}, {"alpha": 0.0, "specialists": False}, {"types": 0, "alpha": 0.0}]
)
def test_new_tasks_go_to_the_agents_that_were_right_on_such_tasks(arguments):
    router, fresh = fitted(make_table(300), **arguments), make_table(60, seed=1)
    assert (chosen_on(router, fresh) == np.arange(60) % 3).mean() > 0.95


def test_a_table_without_groups_gives_clusters():
    router, fresh = fitted(make_table(300, groups=()), types=3, alpha=1.0), make_table(60, seed=1)
    assert router.trails().types == (OTHER, "type 1", "type 2", "type 3")
    assert (chosen_on(router, fresh) == np.arange(60) % 3).mean() > 0.95


def test_one_shared_trail_is_laid_where_there_are_no_specialists():
    trails = fitted(make_table(), specialists=False).trails()
    assert trails.types == (OTHER,)
    assert trails.evidence.tolist() == [[90.0] * 3]


def test_outcomes_that_were_not_observed_are_no_evidence():
    table = make_table()
    quality = table.quality.copy()
    quality[::2, 0] = np.nan
    trails = fitted(replace(table, quality=quality)).trails()
    assert trails.evidence.sum(axis=0).tolist() == [45.0, 90.0, 90.0]


@pytest.mark.parametrize("empty", [1, 45, 90])
def test_tasks_of_which_nothing_was_observed_teach_nothing(empty):
    table = make_table()
    quality = table.quality.copy()
    quality[:empty] = np.nan
    router = fitted(replace(table, quality=quality))
    assert router.trails().evidence.sum() == 3.0 * (90 - empty)


def test_an_empty_table_is_as_none():
    table = make_table()
    nothing = replace(
        table, vectors=table.vectors[:0], texts=(), groups=(), quality=table.quality[:0], cost=table.cost[:0]
    )
    router = fitted(nothing)
    assert router.trails().types == (OTHER,)
    router.learn(sample_experience(1, POOL))
    assert router.trails().evidence.sum() == 1.0


def test_missing_quality_counts_by_the_penalty_in_a_table_too():
    trails = fitted(make_table(), penalty=0.5).trails()
    assert trails.evidence.sum(axis=0).tolist() == pytest.approx([30 * 0.95 + 60 * 0.55] * 3)


def test_fitting_again_forgets_what_was_fitted_and_learned_before():
    once, twice = fitted(make_table()), fitted(make_table(60, groups=("x", "y", "z"), seed=3))
    for number in range(1, 9):
        twice.learn(sample_experience(number, POOL))
    twice.fit(make_table())
    assert twice.snapshot() == once.snapshot()


def test_outcomes_after_the_table_are_learned_on_top_of_it():
    router = fitted(make_table())
    lesson = sample_experience(1, POOL).model_copy(
        update={"type_hints": ("law",), "agent_id": "agent-00", "quality": 1.0}
    )
    router.learn(lesson)
    trails = router.trails()
    assert trails.evidence[trails.types.index("law")].tolist() == [31.0, 30.0, 30.0]


def test_the_trust_in_content_is_learned_from_the_table():
    quality = np.tile([0.9, 0.5, 0.1], (90, 1))
    plain = replace(make_table(), quality=quality, vectors=np.random.default_rng(0).permutation(make_table().vectors))
    useless = fitted(plain, types=0)
    telling = fitted(make_table(groups=()), types=0)
    assert telling.exponents[1] > useless.exponents[1]


# --- how sure the types are


def blurred(count, seed):
    """Return vectors of three kinds that lie across one another, and their kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, count)
    vectors = np.eye(DIMENSION)[kinds] + 0.6 * rng.normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), kinds


def sureness(weights, vectors, kinds):
    """Return how sure the regression is on average of its answer, and how often that is right."""
    told = softmax((vectors @ weights[:-1] + weights[-1]).astype(np.float64))
    return float(told.max(axis=1).mean()), float((told.argmax(axis=1) == kinds).mean())


@pytest.mark.parametrize("count", [120, 300])
def test_the_regression_is_as_sure_of_types_as_it_is_right(count):
    vectors, kinds = blurred(count, 0)
    weights = recogniser(vectors, [("a", "b", "c")[kind] for kind in kinds])
    sure, right = sureness(weights, *blurred(2000, 1))
    assert 0.5 < right < 0.9
    assert sure == pytest.approx(right, abs=0.06)


def test_the_regression_is_hardly_sure_where_groups_are_drawn_by_lot():
    vectors, _ = blurred(60, 0)
    lot = np.random.default_rng(5).integers(0, 3, 60)
    weights = recogniser(vectors, [("a", "b", "c")[kind] for kind in lot])
    assert sureness(weights, *blurred(2000, 1))[0] < 0.55


def test_tasks_of_no_group_are_left_out_of_the_regression():
    vectors, kinds = blurred(300, 0)
    groups = [("a", "b", "c")[kind] for kind in kinds]
    known = np.arange(300) < 200
    partly = recogniser(vectors, [group if told else "" for group, told in zip(groups, known, strict=True)])
    assert partly.tolist() == recogniser(vectors[known], groups[:200]).tolist()


def test_very_few_tasks_give_a_regression_too():
    vectors, _ = blurred(3, 0)
    assert recogniser(vectors, ["a", "b", "a"]).shape == (DIMENSION + 1, 2)


# --- a real set


@pytest.fixture(scope="module")
def real():
    """Return two tables of real questions and outcomes, and a pool of the models that answered them."""
    part = load_set(SETS / "mmlu_pro").open("val")
    embedder = StaticEmbedder()
    tables = []
    is_fresh = np.arange(len(part)) % 4 == 0  # the file is in the order of the subjects
    for places in (np.flatnonzero(~is_fresh), np.flatnonzero(is_fresh)):
        texts, groups = ([given[place] for place in places] for given in (part.texts, part.groups))
        quality, cost = part.table.quality[places], part.table.cost[places]
        tables.append(Outcomes(part.agent_ids, embedder.embed(texts), tuple(texts), tuple(groups), quality, cost))
    ids, count, dimension = tables[0].agent_ids, len(tables[0].agent_ids), tables[0].vectors.shape[1]
    places = {agent_id: place for place, agent_id in enumerate(ids)}
    pool = replace(
        sample_pool(count),
        ids=ids,
        index=places,
        vectors=np.zeros((count, dimension), np.float32),
        price_per_call=np.full(count, np.nan),
    )
    return *tables, pool


def test_fitted_on_a_real_table_it_starts_from_its_categories_and_beats_a_random_choice(real):
    train, fresh, pool = real
    router = PheromoneRouter()
    router.fit(train)
    assert router.trails().types == (OTHER, *sorted(set(train.groups)))
    picks = [
        int(np.argmax(router.score(TaskFeatures(vector, text), pool)))
        for vector, text in zip(fresh.vectors, fresh.texts, strict=True)
    ]
    reached = fresh.quality[np.arange(len(fresh)), picks].mean()
    assert reached > np.nanmean(fresh.quality) + 0.1


def test_the_categories_of_real_questions_that_it_was_not_fitted_on_are_recognised(real):
    train, fresh, _ = real
    router = PheromoneRouter()
    router.fit(train)
    names = router.trails().types
    likeliest = [names[int(np.argmax(router._memory.types.membership(vector)))] for vector in fresh.vectors]
    assert np.mean([one == other for one, other in zip(likeliest, fresh.groups, strict=True)]) > 0.5
