"""Routing by what cards say: common words out of the vectors, shared pieces of words, and senses."""

from dataclasses import replace

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.records import AgentCard
from agentmesh.routing.base import RouteContext, TaskFeatures
from agentmesh.routing.cards import CardsRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.samples import chosen, decided, plain_pool, sample_features, sample_pool

NOWHERE = np.zeros(2, np.float32)


def pool_of(*cards, vectors=None):
    made = tuple(AgentCard(id=card, description="") if isinstance(card, str) else card for card in cards)
    return replace(plain_pool(*(card.id for card in made), vectors=vectors), cards=made)


def task(text, vector=NOWHERE):
    return TaskFeatures(vector=np.array(vector, np.float32), text=text)


def best(text, pool, router=None):
    scores = (router or CardsRouter()).score(task(text), pool)
    return pool.ids[int(np.argmax(scores))]


@pytest.mark.parametrize("name", ["play_music", "playMusic", "media:play-music", "PLAY.MUSIC"])
def test_a_name_is_split_into_its_words(name):
    assert best("some music, please", pool_of("order_pizza", name, "weather")) == name


def test_a_word_joined_to_another_is_found_by_its_pieces():
    assert best("turn the lights off", pool_of("iot_coffee", "iot_lightoff", "music")) == "iot_lightoff"


def test_what_people_say_finds_what_an_agent_is_called():
    pool = pool_of("lists_query", "lists_remove", "lists_create")
    assert best("wiping all of them", pool) == "lists_remove"
    assert CardsRouter(senses=0.0).score(task("wiping all of them"), pool).tolist() == [0.0, 0.0, 0.0]


def test_descriptions_and_skills_count_as_names_do():
    described = AgentCard(id="a", description="Knows volcanoes.")
    skilled = AgentCard(id="b", description="Knows much.", skills=("glaciers",))
    pool = pool_of(described, skilled)
    assert [best("a volcano", pool), best("a glacier", pool)] == ["a", "b"]


def test_the_words_of_examples_count_too():
    shown = AgentCard(id="a", description="Knows much.", examples=("what is it", "an eclipse"))
    assert best("the next eclipse", pool_of("b", shown)) == "a"


def test_words_that_examples_share_stay_in_the_vectors():
    cards = [AgentCard(id=name, description="", examples=("do it",)) for name in ("apple", "banana")]
    pool = pool_of(*cards, vectors=np.eye(2))
    assert CardsRouter(overlap=0.0).score(task("?", [0.6, 0.8]), pool) == pytest.approx([0.6, 0.8])


def test_what_all_cards_say_tells_nothing():
    pool = pool_of("banking_help", "travel_help", "music_help")
    assert CardsRouter(senses=0.0).score(task("help"), pool).tolist() == [0.0, 0.0, 0.0]


def test_a_rare_word_weighs_more_than_a_common_one():
    pool = pool_of("kiwi_salad", "plum_salad", "kiwi_soup", "kiwi_stew")
    scores = CardsRouter().score(task("plum kiwi"), pool)
    assert scores[1] > scores[0] > 0


def test_the_words_that_cards_share_are_taken_out_of_their_vectors():
    words = ("balance", "visa", "fraud", "hotel", "transfer", "luggage", "cheque", "flight")
    names = [f"{('banking', 'travel')[place % 2]}_{word}" for place, word in enumerate(words)]
    domains = np.tile(np.eye(2), (4, 1))
    pool = pool_of(*names, vectors=np.hstack([0.8 * domains, 0.6 * np.eye(8)]))
    asks = task(
        "?", [0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0, 0.0]
    )  # banking in general, and what travel_luggage does
    assert chosen(decided(CosineRouter(), asks, pool, RouteContext(seed=0)))[0].startswith("banking")
    assert chosen(decided(CardsRouter(), asks, pool, RouteContext(seed=0))) == ["travel_luggage"]


def test_without_any_card_it_is_plain_cosine():
    pool, asks = sample_pool(), sample_features()
    assert CardsRouter().score(asks, pool).tolist() == CosineRouter().score(asks, pool).tolist()


def test_cards_without_a_common_word_keep_their_vectors():
    pool = pool_of("apple", "banana", vectors=np.eye(2))
    assert CardsRouter(overlap=0.0).score(task("?", [0.6, 0.8]), pool) == pytest.approx([0.6, 0.8])


def test_a_card_whose_vector_is_unknown_is_rated_by_its_words_alone():
    pool = pool_of("do_apple", "do_banana", "do_cherry", vectors=[[1.0, 0.0], [0.8, 0.6], [0.0, 0.0]])
    factors = CardsRouter().estimate(task("cherry", [1.0, 0.0]), pool).factors
    assert factors["similarity"][2] == 0.0
    assert factors["shared"][2] > 0.5


def test_an_estimate_names_both_parts_of_the_affinity():
    pool = pool_of("apple", "banana", vectors=np.eye(2))
    estimate = CardsRouter(overlap=0.5).estimate(task("an apple", [0.6, 0.8]), pool)
    assert estimate.factors["shared"].tolist() == pytest.approx([1.0, 0.0])
    assert estimate.quality == pytest.approx(estimate.factors["similarity"] + 0.5 * estimate.factors["shared"])


def test_equal_cards_tie():
    said = "Handles requests about parcels and letters."
    cards = [AgentCard(id=name, description=said) for name in "xyz"]
    vectors = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 3, axis=0)
    asks = task("one parcel", np.random.default_rng(1).normal(size=64))
    assert len(set(CardsRouter().score(asks, pool_of(*cards, vectors=vectors)).tolist())) == 1


def test_scores_are_the_same_to_the_last_bit_in_whatever_order_the_agents_stand():
    rng = np.random.default_rng(0)
    names = ["play_music", "play_radio", "order_pizza", "order_taxi", "set_alarm", "remove_alarm"]
    pool = pool_of(*sorted(names), vectors=rng.normal(size=(6, 8)))
    places = [3, 0, 5, 1, 4, 2]
    asks = task("cancel the alarm and play something", rng.normal(size=8))
    straight, mixed = (CardsRouter().score(asks, each) for each in (pool, pool.taken(places, registry_version="mixed")))
    assert mixed.tolist() == straight[places].tolist()


def test_a_new_pool_is_read_anew_and_a_gated_one_is_not():
    router, first, second = CardsRouter(), pool_of("apple", "banana"), pool_of("cherry", "banana")
    assert best("an apple", first, router) == "apple"
    assert best("a cherry", second, router) == "cherry"
    decision = decided(router, task("a cherry"), second.gated({"cherry": "skill:fruit"}), RouteContext(seed=1))
    assert chosen(decision) == ["banana"]


@pytest.mark.parametrize("text", ["", "\ud800", "word " * 5000, "Δ日本語 ñandú"])
def test_any_text_is_rated(text):
    assert np.isfinite(CardsRouter().score(task(text), pool_of("apple", "word_counter"))).all()


def test_words_of_other_scripts_are_compared():
    assert best("где моя посылка", pool_of("посылка", "погода")) == "посылка"


@pytest.mark.parametrize("arguments", [{"overlap": -0.1}, {"overlap": np.nan}, {"senses": -1.0}, {"senses": np.inf}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ConfigError, match="expected a number from 0 up"):
        CardsRouter(**arguments)


@pytest.mark.parametrize("naming", [-0.1, 1.1, np.nan])
def test_a_share_of_the_name_out_of_range_is_refused(naming):
    with pytest.raises(ConfigError, match="expected a number from 0 to 1"):
        CardsRouter(naming=naming)


def test_the_vector_of_the_name_has_its_share():
    pool = pool_of("apple", "banana", vectors=np.eye(2))
    named = replace(pool, name_vectors=np.array([[0.0, 1.0], [1.0, 0.0]], np.float32))
    asks = task("?", [0.6, 0.8])
    assert CardsRouter(naming=0.25).score(asks, named) == pytest.approx([0.65, 0.75])
    assert CardsRouter(naming=0.25).score(asks, pool) == pytest.approx([0.6, 0.8])
    assert CardsRouter().estimate(asks, named).factors["name"] == pytest.approx([0.8, 0.6])


def test_a_name_counts_half_beside_examples():
    cards = [AgentCard(id="apple", description=""), AgentCard(id="banana", description="", examples=("eat it",))]
    named = replace(pool_of(*cards, vectors=np.eye(2)), name_vectors=np.array([[0.0, 1.0], [1.0, 0.0]], np.float32))
    assert CardsRouter(naming=0.5).score(task("?", [0.6, 0.8]), named) == pytest.approx([0.7, 0.75])


def test_a_name_of_unknown_words_has_no_share():
    pool = pool_of("apple", "--", vectors=np.eye(2))
    named = replace(pool, name_vectors=np.array([[0.0, 1.0], [0.0, 0.0]], np.float32))
    assert CardsRouter().score(task("?", [0.6, 0.8]), named) == pytest.approx([0.7, 0.8])


def test_a_pool_of_some_agents_keeps_the_vectors_of_their_names():
    pool = replace(pool_of("apple", "banana"), name_vectors=np.eye(2, dtype=np.float32))
    assert pool.taken([1], registry_version="one").name_vectors.tolist() == [[0.0, 1.0]]


def test_the_arguments_are_its_parameters():
    assert CardsRouter(overlap=0.5, senses=2.0).parameters == {"naming": 0.5, "overlap": 0.5, "senses": 2.0}
