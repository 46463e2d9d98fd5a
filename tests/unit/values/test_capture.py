"""What a policy makes of texts and data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.capture import NOT_KEPT, PARTS, Capture, is_kept, why_not_whole
from agentmesh.errors import ConfigError

KEY = "a key of sixteen or more"
HASHED = Capture(content="hashed", key=KEY)
DATA = {"account": 4111, "of": ["ann@example.com", None, True, 1.5, {"ann@example.com": "x"}]}


@pytest.mark.parametrize("key", ["", "short"])
def test_hashes_need_a_key_that_nobody_guesses(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"a key of {len(key)} characters; give 16 or more"):
        Capture(content="hashed", key=key)


@pytest.mark.parametrize(("rules", "why"), [({"Mail": "@"}, "named 'Mail'"), ({"mail": "(a+)+"}, "may take for ever")])
def test_a_rule_that_cannot_be_used_is_refused(rules: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Capture(redact=rules)
    assert why in str(refused.value)


def test_the_key_is_shown_and_handed_on_nowhere() -> None:
    assert KEY not in repr(HASHED)
    assert KEY not in HASHED.model_dump_json()
    assert HASHED.policy == "hashed"


@given(st.text(st.characters(), min_size=1), st.text(st.characters(), min_size=1))
def test_texts_are_hashed_alike_when_they_are_alike_and_only_once(one: str, other: str) -> None:
    kept = HASHED.text("task", one)
    assert (kept == HASHED.text("answers", other)) is (one == other)
    assert HASHED.text("reasons", kept) == kept
    assert not is_kept(kept)
    assert kept != Capture(content="hashed", key=KEY + ".").text("task", one)


def test_a_text_that_only_looks_like_a_hash_is_hashed() -> None:
    forged = "hmac:" + "0" * 40
    assert HASHED.text("task", forged) != forged


@given(st.text(st.characters()))
def test_what_is_not_kept_says_no_more_than_that_it_was_there(text: str) -> None:
    kept = Capture(content="none").text("task", text)
    assert kept == (NOT_KEPT if text else "")
    assert is_kept(kept) is (not text)


def test_parts_can_be_kept_and_rules_hold_for_them_too() -> None:
    capture = Capture(content="none", keep=("hints", "answers"), redact={"mail": r"\w{1,20}@\w{1,20}\.com"})
    texts = {part: capture.text(part, "to ann@example.com") for part in PARTS}
    assert {part for part, text in texts.items() if text == "to [mail]"} == {"hints", "answers"}
    assert {text for part, text in texts.items() if part not in ("hints", "answers")} == {NOT_KEPT}
    assert capture.policy == "none keeping answers hints redacting mail"


def test_rules_that_overlap_leave_nothing_of_what_they_find() -> None:
    capture = Capture(redact={"wide": "bcd", "late": "cdefg", "word": r"x\w*"})
    assert capture.text("task", "abcdefgh xylophone") == "a[wide]h [word]"


def test_data_is_redacted_whatever_its_type_and_wherever_it_stands() -> None:
    capture = Capture(redact={"mail": r"\w{1,20}@\w{1,20}\.com", "account": "4111"})
    assert capture.json_value("task", DATA) == {
        "account": "[account]",
        "of": ["[mail]", None, True, 1.5, {"[mail]": "x"}],
    }


def test_data_that_is_not_kept_is_one_text() -> None:
    assert Capture(content="none").json_value("answers", DATA) == NOT_KEPT
    assert Capture(content="none").json_value("answers", None) is None
    one = HASHED.json_value("answers", DATA)
    assert one == HASHED.json_value("answers", dict(reversed(DATA.items()))) != HASHED.json_value("answers", {})


@pytest.mark.parametrize(
    ("policy", "texts", "whole"),
    [
        ("", ["[mail]"], True),
        ("none", [], False),
        ("hashed keeping task", ["x"], False),
        ("full redacting mail word", ["x", "a [word]"], False),
        ("full redacting mail word", ["x", "a [other]"], True),
    ],
)
def test_a_trace_is_whole_where_nothing_was_replaced(policy: str, texts: list[str], whole: bool) -> None:
    why = why_not_whole(policy, texts)
    assert (why == "") is whole
    assert whole or repr(policy) in why
