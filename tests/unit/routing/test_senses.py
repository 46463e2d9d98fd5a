"""The everyday words for what agents are named by."""

import pytest

from agentmesh.routing.senses import senses_of


@pytest.mark.parametrize(
    ("said", "named"),
    [("deleted", "remove"), ("stopped", "off"), ("making", "create"), ("replies", "send"), ("shows", "query")],
)
def test_a_word_has_the_senses_of_its_stem(said, named):
    assert set(senses_of(said)) & set(senses_of(named))


def test_a_word_may_have_several_senses():
    assert set(senses_of("send")) == set(senses_of("write")) | set(senses_of("move"))


def test_a_short_word_is_no_stem_with_an_ending():
    assert senses_of("used") == ()
    assert senses_of("ones") == ()


def test_words_of_no_sense_have_none():
    assert senses_of("") == senses_of("parcel") == ()
