"""How alike two cards are, what that foretells, and examples that lie nearer to another card."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.agents.resemblance import (
    SHARPNESS,
    card_cosines,
    expected_confusion,
    nearest_other,
    sharpness_of,
    strayed_examples,
)
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.records import AgentCard

EMBEDDER = HashingEmbedder()


def card(agent_id: str, description: str, *examples: str) -> AgentCard:
    return AgentCard(id=agent_id, description=description, examples=examples)


@given(st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([number for pair in SHARPNESS.values() for number in pair]))
def test_confusion_rises_with_the_cosine_and_ends_at_a_coin_toss(one: float, other: float, sharpness: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= expected_confusion(low, sharpness) <= expected_confusion(high, sharpness) <= 0.5


def test_rounding_above_a_cosine_of_one_is_a_coin_toss_too() -> None:
    assert expected_confusion(1.0000001, 3.85) == 0.5


@pytest.mark.parametrize("embedder", sorted(SHARPNESS))
def test_examples_on_the_cards_tell_agents_apart_more_sharply(embedder: str) -> None:
    with_examples, without = (sharpness_of(f"{embedder}-1", has_examples=has) for has in (True, False))
    assert with_examples is not None
    assert without is not None
    assert with_examples > without


def test_an_embedder_that_was_not_measured_has_no_sharpness() -> None:
    assert sharpness_of("remote-large", has_examples=False) is None


def test_the_nearest_other_is_the_one_with_the_most_alike_card() -> None:
    adder = card("adder", "Adds whole numbers.")
    found = nearest_other(adder, [adder, card("poet", "Writes verse."), card("summer", "Adds numbers up.")], EMBEDDER)
    assert found is not None
    assert found.agent_id == "summer"
    assert found.cosine == pytest.approx(card_cosines([adder, card("summer", "Adds numbers up.")], EMBEDDER)[0, 1])


def test_an_agent_alone_has_no_nearest_other() -> None:
    alone = card("adder", "Adds.")
    assert nearest_other(alone, [alone], EMBEDDER) is None


def test_an_example_that_reads_like_another_card_has_strayed_and_no_other_has() -> None:
    adder = card("adder", "Adds numbers.", "add two numbers", "a verse on the spring")
    poet = card("poet", "Writes a verse.", "a verse on the autumn", "write a verse")
    assert strayed_examples([adder, poet], EMBEDDER).tolist() == [[0, 1], [0, 0]]


def test_an_example_does_not_vouch_for_itself() -> None:
    """Within its own card's vector each of these would be the nearest to itself."""
    one, other = card("one", "Handles requests.", "pay the bill"), card("other", "Handles bills.", "pay my bill")
    assert strayed_examples([one, other], EMBEDDER)[0, 1] == 1


def test_an_example_between_two_equal_cards_has_half_strayed() -> None:
    one, other = card("one", "Adds numbers.", "add 2 and 2"), card("other", "Adds numbers.")
    assert strayed_examples([one, other], EMBEDDER)[0, 1] == 0.5


def test_cards_without_examples_have_none_that_stray() -> None:
    assert not np.any(strayed_examples([card("a", "Adds."), card("b", "Adds.")], EMBEDDER))
