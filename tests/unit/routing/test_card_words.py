"""The index of what cards are made of as text, and vectors without common words."""

import numpy as np

from agentmesh.routing.card_vectors import MOST_WORDS, telling_vectors
from agentmesh.routing.card_words import CardWords


def test_no_card_at_all_overlaps_with_nothing():
    assert CardWords.of([], senses=4.0).overlap("anything").tolist() == []


def test_a_card_without_words_shares_nothing():
    assert CardWords.of([[], ["apple"], ["banana"]], senses=4.0).overlap("apple").round(9).tolist() == [0.0, 1.0, 0.0]


def test_repeating_a_word_changes_nothing():
    cards = CardWords.of([["apple", "apple", "tree"], ["banana"]], senses=4.0)
    once = CardWords.of([["apple", "tree"], ["banana"]], senses=4.0)
    assert cards.overlap("apple apple").tolist() == once.overlap("apple").tolist()


def test_a_card_said_in_full_overlaps_wholly_and_never_beyond():
    cards = CardWords.of([["order", "pizza"], ["play", "music"], ["play", "radio"]], senses=4.0)
    assert np.allclose(cards.overlap("order a pizza")[0], 1.0)
    assert cards.overlap("order pizza play music radio").max() < 1.0


def test_the_start_alone_of_a_long_text_is_read():
    cards = CardWords.of([["apple"], ["banana"]], senses=4.0)
    assert cards.overlap("apple " + "word " * 800 + "banana").round(9).tolist() == [1.0, 0.0]


def test_a_word_in_all_cards_is_taken_out_almost_wholly():
    rng = np.random.default_rng(0)
    common, own = np.eye(64)[0], rng.normal(scale=0.02, size=(50, 64))
    left = telling_vectors((common + own).astype(np.float32), [["handles", f"w{row}"] for row in range(50)])
    assert np.abs(left[:, 0]).mean() < 0.2
    assert np.allclose(np.linalg.norm(left, axis=1), 1.0, atol=1e-6)


def test_only_the_most_common_words_are_taken_out_where_there_are_many():
    pairs = [[f"a{row // 2}", f"b{row}"] for row in range(2 * MOST_WORDS + 2)]
    vectors = np.random.default_rng(0).normal(size=(len(pairs), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    left = telling_vectors(vectors, pairs)
    changed = np.abs(left - vectors).max(axis=1) > 1e-6
    assert changed.sum() == 2 * MOST_WORDS
