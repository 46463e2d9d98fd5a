"""Laws of pheromone trails and of the router that follows them, on whatever Hypothesis comes up with."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.packing import pack_vector
from agentmesh.records import Objective
from agentmesh.routing.base import RouteContext, TaskFeatures
from agentmesh.routing.pheromone import DAY_S, PheromoneRouter
from agentmesh.routing.trail_view import Smoothing, TrailView
from agentmesh.routing.trails import SOURCE, Edge, Trails
from agentmesh.testing.elsewhere import decide_elsewhere
from agentmesh.testing.samples import DIMENSION, decided, sample_experience, sample_features, sample_pool, taken

POOL = sample_pool(4)
VECTORS = [*(sample_features(seed).vector for seed in range(12)), np.zeros(DIMENSION, np.float32)]
TYPES = ("x", "y", "z")
SHARES = st.floats(0, 1).map(lambda share: round(share, 6))
HINTS = st.lists(st.sampled_from(TYPES), max_size=2)
TIMES = st.floats(0, 400 * DAY_S)
SOME = settings(max_examples=40)


@st.composite
def experiences(draw, *, hints=HINTS, versions=(1, 1, 1, 2), least=0, most=24):
    """Draw outcomes of four agents on two stages, in any order of time; they are numbered when they are learned."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(POOL.ids),
                SHARES,
                st.integers(0, len(VECTORS) - 1),
                hints,
                st.sampled_from(versions),
                st.sampled_from([(0, SOURCE), (0, SOURCE), (1, POOL.ids[0]), (1, POOL.ids[1])]),
                st.sampled_from([0.25, 0.5, 1.0]),
                TIMES,
            ),
            min_size=least,
            max_size=most,
        )
    )
    return [lesson(*row) for row in rows]


def lesson(agent, quality, vector, hints, version, place, weight, at):
    changed = {
        "agent_id": agent,
        "quality": quality,
        "vector": pack_vector(VECTORS[vector]),
        "text": f"integral polynomial {'abcdefghijklm'[vector] * 5}",
        "type_hints": tuple(hints),
        "agent_version": version,
        "stage": place[0],
        "previous": place[1],
        "weight": weight,
        "factors": {"card": quality / 10, "price": -quality},
        "at": at,
    }
    return sample_experience(1, POOL).model_copy(update=changed)


def taught(lessons, **arguments):
    router = PheromoneRouter(**arguments)
    for one in lessons:
        teach(router, one)
    return router


def teach(router, experience):
    router.learn(experience.model_copy(update={"sequence": router.sequence + 1}))


def task(place, hints=(), stage=0, previous=SOURCE):
    return TaskFeatures(VECTORS[place], "t", type_hints=tuple(hints), stage=stage, previous=previous)


def tasks():
    edges = st.sampled_from([(0, SOURCE), (1, POOL.ids[0]), (1, POOL.ids[3])])
    return st.builds(lambda v, h, e: task(v, h, *e), st.integers(0, len(VECTORS) - 1), HINTS, edges)


# --- bounds, chances, floors


@SOME
@given(lessons=experiences(), asked=tasks(), low=st.sampled_from([0.01, 0.2]), high=st.sampled_from([0.6, 0.99]))
def test_no_deposits_take_a_trail_past_its_bounds(lessons, asked, low, high):
    router = taught(lessons * 3, bounds=(low, high), types=4)
    for trail in (router.trails().trail, router.estimate(asked, POOL).factors["trail"]):
        assert trail.min(initial=low) >= low
        assert trail.max(initial=high) <= high
    assert (router.trails().evidence >= 0.0).all()
    assert ((router.score(asked, POOL) > 0.0) & (router.score(asked, POOL) < 1.0)).all()


@SOME
@given(
    lessons=experiences(),
    asked=tasks(),
    seed=st.integers(0, 2**63 - 1),
    policy=st.sampled_from(["greedy", "softmax:0.1", "gumbel:0.3"]),
    explore=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    load=st.none() | st.lists(st.floats(0, 3), min_size=4, max_size=4).map(np.array),
)
def test_chances_sum_to_one_and_nobody_has_less_than_the_floor(lessons, asked, seed, policy, explore, load):
    router = taught(lessons, policy=policy)
    context = RouteContext(seed=seed, explore=explore, load=load, objective=Objective(quality=1.0, cost=0.3))
    for pool in (POOL, POOL.gated({POOL.ids[1]: "skill"})):
        chances = decided(router, asked, pool, context).probability_array()
        assert float(chances.sum()) == pytest.approx(1.0)
        assert (chances[pool.mask] >= explore / pool.mask.sum() - 1e-12).all()
        assert not chances[~pool.mask].any()


@SOME
@given(lessons=experiences(), asked=tasks(), explore=st.sampled_from([0.02, 0.3]))
def test_an_agent_of_which_nothing_is_known_keeps_the_floor(lessons, asked, explore):
    pool = sample_pool(6)  # the last two were never tried
    router = taught(lessons * 5, curiosity=0.0)
    chances = decided(router, asked, pool, RouteContext(seed=1, explore=explore)).probability_array()
    assert chances[4:].min() >= explore / 6 - 1e-12


@SOME
@given(lessons=experiences(), asked=tasks(), order=st.permutations(range(4)), explore=st.sampled_from([0.0, 0.2]))
def test_agents_in_another_order_have_the_same_chances_and_the_same_one_is_chosen(lessons, asked, order, explore):
    router, context = taught(lessons, policy="softmax:0.2"), RouteContext(seed=5, explore=explore)
    here = decided(router, asked, POOL, context)
    there = decided(router, asked, taken(POOL, order), context)
    assert there.probability_array() == pytest.approx(here.probability_array()[list(order)], abs=1e-6)
    assert there.selected[0].agent_id == here.selected[0].agent_id


# --- evaporation


@given(
    deposits=st.lists(st.tuples(SHARES, SHARES, TIMES), min_size=1, max_size=12),
    half_life_s=st.floats(3600.0, 1e9),
    penalty=SHARES,
    waits=st.lists(st.floats(0, 100 * DAY_S), min_size=2, max_size=2).map(sorted),
)
def test_evidence_never_grows_without_deposits(deposits, half_life_s, penalty, waits):
    trails = laid(deposits, half_life_s, penalty)
    last, sums = trails.at, [trails.sums.copy()]
    for wait in waits:
        trails.decayed_to(last + wait)
        sums.append(trails.sums.copy())
    for earlier, later in pairwise(sums):
        assert (later <= earlier).all()
    assert (sums[-1] >= 0.0).all()


@given(
    deposits=st.lists(st.tuples(SHARES, SHARES, TIMES), min_size=1, max_size=12),
    half_life_s=st.floats(3600.0, 1e9),
    waits=st.lists(st.floats(0, 1000 * DAY_S), min_size=2, max_size=6).map(sorted),
    guess=st.floats(0.1, 0.9),
)
def test_a_trail_left_alone_moves_towards_the_guess(deposits, half_life_s, waits, guess):
    trails = laid(deposits, half_life_s, 1.0)
    last, away = trails.at, [distance(trails, guess)]
    for wait in [*waits, 100.0 * half_life_s + waits[-1]]:
        trails.decayed_to(last + wait)
        away.append(distance(trails, guess))
    for earlier, later in pairwise(away):
        assert later <= earlier + 1e-9
    assert away[-1] == pytest.approx(0.0, abs=1e-6)


def laid(deposits, half_life_s, penalty):
    trails = Trails(half_life_s=half_life_s, penalty=penalty)
    for quality, weight, at in deposits:
        trails.deposit(Edge(0, SOURCE, "a"), np.array([weight]), quality, at=at)
    return trails


def distance(trails, guess):
    view = TrailView.of(*trails.sums, trails.sums.sum(axis=1), Smoothing(within=5.0, own=3.0, low=0.05, high=0.95))
    return abs(float(view.fused(np.ones(1), np.array([guess]))[0]) - guess)


# --- deposits commute


def columns(*routers):
    """Return the sums of the trails, added up over routers as of the latest time, by type and edge."""
    latest = max(router._memory.trails.at for router in routers if router._memory.trails.at is not None)
    total = {}
    for router in routers:
        router._memory.trails.decayed_to(latest)
        for place, kind in enumerate(router.trails().types):
            for spot, edge in enumerate(router.trails().edges):
                key = (kind, edge)
                total[key] = total.get(key, 0.0) + router._memory.trails.sums[:, place, spot]
    return total


NAMED = experiences(hints=st.lists(st.sampled_from(TYPES), min_size=1, max_size=2), versions=(1,), least=1)


@SOME
@given(lessons=NAMED, data=st.data(), penalty=SHARES, gate=st.sampled_from([0.0, 0.5]))
def test_deposits_come_to_the_same_in_any_order(lessons, data, penalty, gate):
    arguments = {"drift": 0.0, "penalty": penalty, "gate": gate}
    one = columns(taught(lessons, **arguments))
    other = columns(taught(data.draw(st.permutations(lessons)), **arguments))
    assert one.keys() == other.keys()
    for key, sums in one.items():
        assert other[key] == pytest.approx(sums, rel=1e-9, abs=1e-300)


@SOME
@given(lessons=NAMED, owners=st.lists(st.integers(0, 3), min_size=24, max_size=24))
def test_deposits_come_to_the_same_however_many_made_them(lessons, owners):
    owned = [[one for one, owner in zip(lessons, owners, strict=False) if owner == whose] for whose in range(4)]
    together = columns(*(taught(part, drift=0.0) for part in owned if part))
    alone = columns(taught(lessons, drift=0.0))
    for key, sums in alone.items():
        assert together.get(key, np.zeros(2)) == pytest.approx(sums, rel=1e-9, abs=1e-300)


# --- the state


@SOME
@given(
    lessons=experiences(),
    rounds=st.integers(1, 8),
    cut=st.floats(0, 1),
    types=st.integers(0, 4),
    drift=st.sampled_from([0.0, 0.5, 8.0]),
)
def test_a_router_restored_in_the_middle_of_anything_ends_up_the_same_bit_for_bit(lessons, rounds, cut, types, drift):
    arguments, lessons = {"types": types, "drift": drift}, lessons * rounds
    place = int(cut * len(lessons))
    whole, parted = taught(lessons[:place], **arguments), PheromoneRouter(**arguments)
    parted.restore(whole.snapshot())
    assert parted.snapshot() == whole.snapshot()
    for one in lessons[place:]:
        for router in (whole, parted):
            teach(router, one)
    assert parted.snapshot() == whole.snapshot()
    for asked in (task(0), task(3, ("x",)), task(12, (), 1, POOL.ids[0])):
        assert decided(parted, asked, POOL, RouteContext(seed=3)) == decided(whole, asked, POOL, RouteContext(seed=3))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_decides_the_same_in_a_fresh_process(seed):
    rng = np.random.default_rng(seed)
    router = PheromoneRouter(types=4, policy="softmax:0.2", stages=(sample_pool().ids,))
    for _ in range(200):
        hints = (TYPES[int(rng.integers(3))],) if rng.random() < 0.3 else ()
        place = (0, SOURCE) if rng.random() < 0.8 else (1, POOL.ids[0])
        vector, at = int(rng.integers(len(VECTORS))), float(rng.uniform(0, 1e7))
        agent = POOL.ids[int(rng.integers(4))]
        teach(router, lesson(agent, float(rng.random()), vector, hints, 1 + (rng.random() < 0.01), place, 0.5, at))
    context = RouteContext(seed=seed, max_agents=2, explore=0.3, objective=Objective(quality=0.5, cost=0.5))
    here = decided(router, sample_features(seed), sample_pool(seed=seed), context)
    assert decide_elsewhere(router, seed) == here.model_dump_json()
