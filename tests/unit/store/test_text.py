"""Text as PostgreSQL holds it: any text comes back, and is found where it was."""

from hypothesis import example, given
from hypothesis import strategies as st

from agentmesh.store.text import meant, spelled

TEXTS = st.text(st.sampled_from("\0\x10\x11\x12a1") | st.characters(exclude_categories=["Cs"]), max_size=8)


@given(TEXTS)
def test_any_text_comes_back_and_holds_no_nul_meanwhile(text: str) -> None:
    assert "\0" not in spelled(text)
    assert meant(spelled(text)) == text


@example("\0", "\x10")
@example("\x11", "\0")
@given(TEXTS, TEXTS)
def test_a_text_is_found_in_another_exactly_where_it_is(text: str, part: str) -> None:
    assert (spelled(part) in spelled(text)) == (part in text)
    assert spelled(part) in spelled(text + part + text)
