"""The linear router: labels and graded outcomes, n-grams beside vectors, learning online, bounds, and its parts."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.packing import pack_vector
from agentmesh.records import Experience
from agentmesh.routing.base import Outcomes, TaskFeatures
from agentmesh.routing.linear import LinearRouter
from agentmesh.routing.ngrams import MOST_CHARACTERS, SparseRows, hashed
from agentmesh.routing.regression import Design, Training, sigmoid, softmax, train
from agentmesh.testing.samples import plain_pool as make_pool

NOWHERE = np.zeros(2, np.float32)
EAST, NORTH = np.eye(2, dtype=np.float32)


def table(texts, quality, vectors=None, cost=None, ids=None):
    quality = np.array(quality, np.float64)
    names = tuple("abcdefgh"[: quality.shape[1]]) if ids is None else ids
    rows = np.zeros((len(texts), 2), np.float32) if vectors is None else np.array(vectors, np.float32)
    costs = np.full(quality.shape, np.nan) if cost is None else np.array(cost, np.float64)
    return Outcomes(names, rows, tuple(texts), ("",) * len(texts), quality, costs)


def saw(sequence, agent, quality, text="t", vector=EAST, version=1):
    return Experience(
        sequence=sequence,
        run_id=str(sequence),
        text=text,
        vector=pack_vector(np.asarray(vector, np.float32)),
        agent_id=agent,
        agent_version=version,
        quality=quality,
        at=0.0,
    )


def labelled(count=40):
    texts = ["book a table for two", "what is the weather in rome", "hello there"] * count
    return table(texts, [[1, 0], [0, 1], [0, 0]] * count)


def test_labels_are_told_apart_by_words_alone():
    router = LinearRouter(curiosity=0.0)
    router.fit(labelled())
    pool = make_pool("a", "b")
    assert router.score(TaskFeatures(NOWHERE, "please book a table"), pool).argmax() == 0
    assert router.score(TaskFeatures(NOWHERE, "the weather today"), pool).argmax() == 1


def test_a_misspelt_word_is_known_by_its_pieces():
    router = LinearRouter(curiosity=0.0)
    router.fit(labelled())
    score = router.score(TaskFeatures(NOWHERE, "wheather"), make_pool("a", "b"))
    assert score[1] > score[0]


def test_tasks_for_nobody_give_low_qualities_to_all():
    router = LinearRouter(curiosity=0.0)
    router.fit(labelled())
    pool = make_pool("a", "b")
    assert router.score(TaskFeatures(NOWHERE, "hello there"), pool).max() < 0.2
    assert router.score(TaskFeatures(NOWHERE, "book a table for two"), pool).max() > 0.8


def test_the_qualities_of_labels_never_sum_to_more_than_one():
    router = LinearRouter(curiosity=0.0)
    router.fit(labelled(400))
    for text in ("book a table", "rome", "something else", ""):
        assert router.score(TaskFeatures(NOWHERE, text), make_pool("a", "b")).sum() <= 1.05


def test_graded_and_missing_outcomes_are_learned_agent_by_agent():
    vectors = [EAST, NORTH] * 400
    quality = [[0.9, 0.8, np.nan], [0.2, 0.8, 0.5]] * 400
    router = LinearRouter(curiosity=0.0)
    router.fit(table(["t"] * 800, quality, vectors=vectors))
    east = router.score(TaskFeatures(EAST, "t"), make_pool("a", "b", "c"))
    north = router.score(TaskFeatures(NORTH, "t"), make_pool("a", "b", "c"))
    assert east[:2] == pytest.approx([0.9, 0.8], abs=0.1)
    assert north == pytest.approx([0.2, 0.8, 0.5], abs=0.1)


def test_the_same_seed_gives_the_same_weights_and_another_seed_other_ones():
    states = []
    for seed in (0, 0, 1):
        router = LinearRouter(seed=seed)
        router.fit(labelled(100))
        states.append(router._arrays()["weights"].tobytes())
    assert states[0] == states[1] != states[2]


def test_costs_and_latencies_are_the_means_of_what_was_observed():
    router = LinearRouter()
    router.fit(table(["x", "y"], [[1, 0], [0, 1]], cost=[[0.1, np.nan], [0.3, np.nan]]))
    estimate = router.estimate(TaskFeatures(NOWHERE, "x"), make_pool("a", "b"))
    assert estimate.cost[0] == pytest.approx(0.2)
    assert np.isnan(estimate.cost[1])
    assert np.isnan(estimate.latency).all()


def test_an_agent_of_which_nothing_is_known_gets_the_guess():
    router = LinearRouter(curiosity=0.0)
    router.fit(labelled())
    assert router.score(TaskFeatures(NOWHERE, "book"), make_pool("a", "new"))[1] == 0.5
    curious = LinearRouter(curiosity=0.25).estimate(TaskFeatures(NOWHERE, "book"), make_pool("x"))
    assert (curious.quality.tolist(), curious.curiosity.tolist()) == ([0.5], [0.25])


def test_outcomes_one_by_one_teach_a_router_that_was_never_fitted():
    router = LinearRouter(curiosity=0.0)
    for sequence in range(1, 401):
        east, first = sequence % 2, sequence % 4 < 2
        agent = "a" if first else "b"
        vector, text = (EAST, "red") if east else (NORTH, "blue")
        router.learn(saw(sequence, agent, float(bool(east) == first), text=text, vector=vector))
    pool = make_pool("a", "b")
    assert router.score(TaskFeatures(EAST, "red"), pool).argmax() == 0
    assert router.score(TaskFeatures(NORTH, "blue"), pool).argmax() == 1


def test_one_outcome_moves_only_the_agent_it_is_of_when_agents_are_judged_apart():
    router = LinearRouter()
    router.fit(table(["x", "y"] * 20, [[1, 1], [0, 1]] * 20))
    pool, features = make_pool("a", "b"), TaskFeatures(NOWHERE, "x")
    before = router.estimate(features, pool).factors["predicted"]
    router.learn(saw(1, "a", 0.0, text="x", vector=NOWHERE))
    after = router.estimate(features, pool).factors["predicted"]
    assert after[0] < before[0]
    assert after[1] == before[1]


def test_where_one_agent_is_right_what_it_gains_is_lost_by_the_likeliest_other():
    router = LinearRouter()
    router.fit(labelled())
    pool, features = make_pool("a", "b"), TaskFeatures(NOWHERE, "hello there")
    before = router.estimate(features, pool).factors["predicted"]
    for sequence in range(1, 40):
        router.learn(saw(sequence, "a", 1.0, text="hello there", vector=NOWHERE))
    after = router.estimate(features, pool).factors["predicted"]
    assert after[0] > before[0] + 0.2
    assert 1.0 - after.sum() < 1.0 - before.sum() - 0.2  # nobody was the likeliest


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_doubtful_outcome_is_a_shorter_step(exclusive):
    before, moved = [], []
    for weight in (1.0, 0.25):
        router = LinearRouter()
        router.fit(labelled() if exclusive else table(["x", "y"] * 20, [[1, 1], [0, 1]] * 20))
        before.append(router._arrays()["weights"].copy())
        router.learn(saw(1, "a", 0.0, text="x").model_copy(update={"weight": weight}))
        moved.append(router._arrays()["weights"] - before[-1])
    assert np.abs(moved[0]).max() > 0.01
    # the ledger, which settles the step, counts the doubtful outcome for less
    assert moved[1] == pytest.approx(0.25 * moved[0], rel=0.01, abs=1e-6)


def test_a_learning_rate_of_zero_freezes_the_weights():
    router = LinearRouter(learning_rate=0.0)
    router.fit(labelled())
    before = router._arrays()["weights"].tobytes()
    router.learn(saw(1, "a", 0.0, vector=NOWHERE))
    assert router._arrays()["weights"].tobytes() == before


def test_a_new_version_of_an_agent_starts_from_the_guess():
    router = LinearRouter(curiosity=0.0, learning_rate=0.0)
    router.fit(table(["x", "y"] * 20, [[1, 1], [1, 0]] * 20))
    router.learn(saw(1, "a", 1.0, text="x", vector=NOWHERE, version=2))
    assert router.score(TaskFeatures(NOWHERE, "x"), make_pool("a", version=2)) == pytest.approx([0.5])
    router.learn(saw(2, "a", 1.0, text="x", vector=NOWHERE, version=1))
    assert router.score(TaskFeatures(NOWHERE, "x"), make_pool("a", version=2)) == pytest.approx([0.5])


def test_a_vector_of_another_length_is_refused():
    router = LinearRouter()
    router.learn(saw(1, "a", 1.0))
    assert np.isfinite(router.score(TaskFeatures(EAST, "t"), make_pool("a"))).all()
    with pytest.raises(ConfigError, match="length 3"):
        router.score(TaskFeatures(np.zeros(3, np.float32), "t"), make_pool("a", dimension=3))


def test_a_state_whose_parts_do_not_fit_is_refused():
    router = LinearRouter()
    router.fit(labelled())
    arrays, meta = dict(router._arrays()), dict(router._meta())
    with pytest.raises(ConfigError, match="do not fit"):
        LinearRouter()._load({**arrays, "nobody": np.zeros(3)}, meta)
    with pytest.raises(ConfigError, match="do not fit None buckets"):
        LinearRouter()._load(arrays, {**meta, "buckets": None})


def test_thousands_of_agents_get_fewer_buckets_so_that_the_weights_stay_small():
    ids = tuple(f"agent-{place}" for place in range(9000))
    router = LinearRouter()
    router.fit(table(["x"], np.eye(1, 9000), ids=ids))
    assert router._arrays()["weights"].nbytes < 64 * 2**20
    assert router.score(TaskFeatures(NOWHERE, "x"), make_pool("agent-0", "agent-1")).argmax() == 0


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: LinearRouter(l2=-1.0), "l2 is -1.0"),
        (lambda: LinearRouter(buckets=1000), "buckets is 1000.*power of two"),
        (lambda: LinearRouter(buckets=128), "buckets is 128"),
        (lambda: LinearRouter(learning_rate=float("inf")), "learning_rate is inf"),
        (lambda: LinearRouter(seed=-1), "seed is -1"),
    ],
)
def test_a_parameter_out_of_range_is_named(build, said):
    with pytest.raises(ConfigError, match=said):
        build()


def test_a_hash_is_the_same_in_every_process():
    row = hashed("a", 1 << 20)
    code = zlib.crc32(b"wa")
    assert row.places[0] == code & ((1 << 20) - 1)
    assert (row.values[0] > 0) == bool(code & (1 << 31))


@given(st.text(max_size=60))
def test_hashed_features_have_length_one_or_none(text):
    row = hashed(text, 512)
    assert row.places.shape == row.values.shape
    assert len(row.places) == 0 or (row.places.min() >= 0 and row.places.max() < 512)
    assert len(row.places) == 0 or np.linalg.norm(row.values) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("text", ["", " \n", "...", "\x00"])
def test_a_text_without_words_has_no_features(text):
    assert len(hashed(text, 512).places) == 0


def test_lone_surrogates_and_case_do_no_harm():
    assert len(hashed("\udc80 x", 512).places) > 0
    assert hashed("Rome", 512).places.tolist() == hashed("rome", 512).places.tolist()


def test_only_the_start_of_a_long_text_is_read():
    start = ("word " * MOST_CHARACTERS)[:MOST_CHARACTERS]
    row = hashed(start + "x" * 10**6, 512)
    assert row.places.tolist() == hashed(start, 512).places.tolist()


def test_dense_rows_are_the_hashed_texts_without_the_places_that_none_has():
    texts = ["one two", "", "two two three"]
    places, rows = SparseRows.of(texts, 256).dense(np.array([2, 1, 0]))
    into = np.zeros((3, 256), np.float32)
    into[:, places] = rows
    for row, text in zip(into, reversed(texts), strict=True):
        expected = np.zeros(256, np.float32)
        np.add.at(expected, hashed(text, 256).places, hashed(text, 256).values)
        assert row == pytest.approx(expected)
    present = set(hashed(texts[0], 256).places.tolist()) | set(hashed(texts[2], 256).places.tolist())
    assert places.tolist() == sorted(present)


def test_texts_without_words_have_no_dense_places():
    places, rows = SparseRows.of(["", "..."], 256).dense(np.array([0, 1]))
    assert (places.shape, rows.shape) == ((0,), (2, 0))


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6))
def test_softmax_and_sigmoid_are_chances(values):
    logits = np.array(values)
    assert softmax(logits).sum() == pytest.approx(1.0)
    assert ((sigmoid(logits) >= 0) & (sigmoid(logits) <= 1)).all()


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_strong_penalty_keeps_weights_small(exclusive):
    design = Design(np.stack([EAST, NORTH] * 50), SparseRows.of(["t"] * 100, 256), 256, 4.0, 4.0)
    sizes = []
    for l2 in (0.0, 10.0):
        how = Training(epochs=8, rate=0.1, l2=l2, seed=0, exclusive=exclusive)
        sizes.append(float(np.abs(train(design, np.eye(2)[[0, 1] * 50], how)).sum()))
    assert sizes[1] < 0.5 * sizes[0]


def test_leaving_features_out_spreads_the_weight_over_those_that_say_the_same():
    ways = []
    for drop in (0.0, 0.6):
        vectors = np.array([[1.0, 0.25]] * 50 + [[-1.0, -0.25]] * 50, np.float32)  # the second says what the first does
        design = Design(vectors, SparseRows.of([""] * 100, 256), 256, 4.0, 4.0)
        how = Training(epochs=30, rate=0.1, l2=1e-3, seed=0, exclusive=True, drop=drop)
        weights = train(design, np.eye(2)[[0] * 50 + [1] * 50], how)
        ways.append(float(weights[1, 0] / weights[0, 0]))
    assert ways[1] > ways[0] + 0.05


def test_the_constant_is_never_left_out_and_the_rest_weighs_more():
    how = Training(epochs=1, rate=0.1, l2=0.0, seed=0, exclusive=True, drop=0.5)
    thin = how.thinned(np.ones((200, 8), np.float32), np.random.default_rng(0))
    assert set(np.unique(thin[:, :-1]).tolist()) == {0.0, 2.0}
    assert (thin[:, -1] == 1.0).all()


def test_a_restored_router_predicts_and_learns_the_same():
    router, twin = LinearRouter(), LinearRouter()
    router.fit(labelled())
    twin.restore(router.snapshot())
    for one in (router, twin):
        one.learn(saw(1, "new", 1.0, text="hello", vector=NOWHERE))
    features, pool = TaskFeatures(NOWHERE, "hello"), make_pool("a", "b", "new")
    assert twin.score(features, pool).tobytes() == router.score(features, pool).tobytes()
