"""Patterns that search whole texts: everywhere, in linear time, and refused where that cannot be."""

import time

import pytest

from agentmesh.errors import ConfigError
from agentmesh.patterns import WINDOW, compiled_for_all, everywhere


@pytest.mark.parametrize("place", [0, 90, 98, 99, 100, 101, 198, 199, 200, 201, 304, 5_000])
def test_a_pattern_is_found_wherever_it_stands_in_a_long_text(place: int) -> None:
    text = "x" * place + " EMP12345 " + "x" * 700
    assert set(everywhere(r"\bEMP\d+\b", text)) == {(place + 1, place + 9)}


def test_the_edge_of_a_window_is_no_edge_of_a_word() -> None:
    text = "1" * (WINDOW * 3)
    assert list(everywhere(r"\b\d{4}\b", text)) == []


def test_what_matches_nothing_but_the_empty_text_is_found_nowhere() -> None:
    assert list(everywhere("x?", "abc")) == []
    assert list(everywhere("x", "")) == []


@pytest.mark.parametrize("pattern", [r"EMP\d+", r"\d{4,12}", r"[a-z]{1,20}-\d{1,20}", r"a?b+", r"\w{2,}"])
def test_one_open_repeat_or_bounded_ones_may_search_whole_texts(pattern: str) -> None:
    assert compiled_for_all(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", [r"a+b+", r"a?b?c+", r"a{1,50}b{1,50}", r"(?=.*x)y+"])
def test_more_tries_at_one_place_than_a_whole_text_bears_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="too slow for whole texts"):
        compiled_for_all(pattern)


def test_the_worst_of_texts_takes_time_that_grows_as_it_does() -> None:
    def took(size: int) -> float:
        begun = time.process_time()
        assert list(everywhere("1+x", "1" * size)) == []
        return time.process_time() - begun

    short = took(4_000)
    assert min(took(32_000) for _ in range(3)) < 24 * max(short, 0.002)  # 8 times the text; a square would be 64
