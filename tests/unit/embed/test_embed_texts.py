"""Odd input is refused or trimmed alike by every embedder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agentmesh.embed.texts import checked_texts, readable, unit_rows
from agentmesh.errors import ConfigError


def test_one_text_in_place_of_a_sequence_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"single text 'hello'; pass \[text\]"):
        checked_texts("hello")


def test_bytes_in_place_of_a_sequence_are_refused() -> None:
    with pytest.raises(ConfigError, match="single text b'hello'"):
        checked_texts(b"hello")  # type: ignore[arg-type]


def test_an_item_that_is_no_text_is_named_with_its_position() -> None:
    with pytest.raises(ConfigError, match="got None at position 1"):
        checked_texts(["a", None])  # type: ignore[list-item]


@given(st.text(st.characters(exclude_categories=()), max_size=50), st.integers(0, 60))
def test_what_is_left_is_utf8_and_no_longer_than_asked(text: str, limit: int) -> None:
    left = readable(text, max_chars=limit)
    assert len(left) <= limit
    assert left.encode("utf-8").decode("utf-8") == left


@given(st.text(max_size=50))
def test_a_short_proper_text_is_left_as_it_is(text: str) -> None:
    assert readable(text) == text


@given(arrays(np.float32, (4, 3), elements=st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)))
def test_rows_come_out_with_length_one_or_zero(vectors: np.ndarray) -> None:
    lengths = np.linalg.norm(unit_rows(vectors), axis=1)
    wanted = np.any(vectors != 0, axis=1).astype(float)
    np.testing.assert_allclose(lengths, wanted, atol=1e-5)
