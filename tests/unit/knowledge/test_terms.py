"""Terms of a domain by tf-idf: what may be one, when one becomes an entity, and the bound on what is counted."""

import pytest

from agentmesh.errors import ConfigError
from agentmesh.knowledge.terms import TermStatistics, candidate_terms


def counted(*texts: str, capacity: int = 1000) -> TermStatistics:
    seen = TermStatistics(capacity)
    for text in texts:
        seen.add(candidate_terms(text))
    return seen


def test_candidates_are_runs_of_up_to_three_content_words():
    assert set(candidate_terms("is the fast fourier transform here")) == {
        "fast",
        "fourier",
        "transform",
        "fast fourier",
        "fourier transform",
        "fast fourier transform",
    }


@pytest.mark.parametrize(
    "text", ["prime, number", "prime the number", "prime Number", "prime ox number", "prime\n2 number"]
)
def test_a_run_ends_at_what_is_no_lower_case_content_word(text):
    assert "prime number" not in candidate_terms(text)


def test_a_verb_or_adverb_ends_no_term():
    assert set(candidate_terms("quickly counted rings")) == {
        "rings",
        "counted rings",
        "quickly counted rings",
    }


def test_only_the_first_words_are_read():
    assert "petal" not in candidate_terms("a " * 400 + "petal")


def test_a_term_needs_a_second_task():
    assert counted("a prime number").best(candidate_terms("a prime number")) == []
    assert counted("a prime number", "one prime number").best(candidate_terms("a prime number")) == ["prime number"]


def test_a_term_in_more_than_a_tenth_of_the_tasks_tells_nothing():
    seen = counted(*["the same thing, weather"] * 5, *["other"] * 20)
    assert seen.best(candidate_terms("the weather")) == []


def test_a_task_has_few_terms_the_rarest_first():
    seen = counted("apple, pear, plum, fig tree, grape", "apple, pear, plum, fig tree, grape", "apple", *["x"] * 40)
    best = seen.best(candidate_terms("apple, pear, plum, fig tree, grape"))
    assert best == ["fig tree", "grape", "pear", "plum"]


def test_the_count_of_terms_is_bounded_and_the_rarest_go():
    seen = counted("common", "common", "common", capacity=4)
    for number in range(50):
        seen.add({f"rare{number}": 1})
    assert len(seen.counts) <= 4
    assert seen.counts["common"] == 3
    assert "rare49" in seen.counts
    assert seen.tasks == 53


def test_a_capacity_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="capacity is 0"):
        TermStatistics(0)
