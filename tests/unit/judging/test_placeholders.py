"""Placeholders of one run: what they look like, what comes back, and what does not."""

import pytest

from agentmesh import Secrets
from agentmesh.errors import ConfigError
from agentmesh.judging.placeholders import MOST_LOOKED_FOR, Placeholders, StreamRestorer, texts_of


def held(*texts: str, run_id: str = "run-1", secrets: Secrets | None = None) -> Placeholders:
    return Placeholders.for_run(secrets or Secrets(), run_id, texts)


def test_the_same_secret_has_the_same_placeholder_and_another_has_another() -> None:
    one = held()
    first, second, again = one.redact("a@b.de c@d.de a@b.de").split()
    assert first == again != second
    assert (first, second) == (f"[[email-1-{one.mark}]]", f"[[email-2-{one.mark}]]")


def test_what_looks_like_a_placeholder_in_a_text_stays_itself() -> None:
    text = f"[[email-1-{held().mark}]] is not ann@example.com"
    again = held(text)
    assert again.mark != held().mark
    assert again.restore(again.redact(text)) == text


def test_a_placeholder_of_another_run_is_not_restored() -> None:
    mine, other = held(run_id="mine"), held(run_id="other")
    hidden = mine.redact("ann@example.com")
    other.redact("bob@example.com")
    assert other.restore(hidden) == hidden


def test_a_placeholder_that_was_never_given_out_is_not_restored() -> None:
    one = held()
    one.redact("ann@example.com")
    for made_up in ("[[email-7]]", f"[[email-7-{one.mark}]]", f"[[Email-1-{one.mark}]]", "[[", "[[]]"):
        assert one.restore(made_up) == made_up


def test_a_secret_that_its_neighbours_gave_away_is_hidden_elsewhere_too() -> None:
    one = held()
    one.redact("password=hunter2")
    assert "hunter2" not in one.redact("I typed hunter2, twice: xhunter2y")
    assert one.redact("hunter") == "hunter"


def test_a_short_secret_is_hidden_only_where_it_was_given_away() -> None:
    one = held()
    assert one.redact("password=abc") == f"password=[[key-1-{one.mark}]]"
    assert one.redact("abc") == "abc"


def test_json_is_redacted_in_texts_keys_numbers_and_under_the_names_of_secrets() -> None:
    one = held()
    hidden = one.redact_json(
        {
            "ann@example.com": ["b@c.de", 4111111111111111, 12, True, None, 0.5],
            "DB_PASSWORD": "x y",
            "pins": {"pwd": [77]},
        }
    )
    first, second, card, third, fourth = (
        f"[[{name}-{one.mark}]]" for name in ("email-1", "email-2", "card-1", "key-1", "key-2")
    )
    assert hidden == {first: [second, card, 12, True, None, 0.5], "DB_PASSWORD": third, "pins": {"pwd": [fourth]}}


def test_the_name_of_a_secret_means_nothing_where_keys_are_not_hidden() -> None:
    assert held(secrets=Secrets(kinds=("email",))).redact_json({"password": "x y"}) == {"password": "x y"}
    assert held(secrets=Secrets(keep=("Public",))).redact_json({"password": "public"}) == {"password": "public"}


def test_all_texts_of_a_json_value_are_read() -> None:
    assert list(texts_of({"a": ["b", {"c": 1}], "d": None})) == ["a", "b", "c", "d"]


def test_a_placeholder_that_comes_in_single_characters_is_restored() -> None:
    one = held()
    stream = StreamRestorer(hidden_in(one, text := "x [ [[ ann@example.com ]] [[email-"))
    pieces = [stream.feed(character) for character in one.redact(text)]
    assert "".join(pieces) + stream.flush() == text
    assert pieces[0] == "x"


def hidden_in(one: Placeholders, text: str) -> Placeholders:
    one.redact(text)
    return one


def test_what_cannot_become_a_placeholder_does_not_wait() -> None:
    stream = StreamRestorer(hidden_in(held(), "ann@example.com"))
    assert [stream.feed("a [["), stream.feed("b"), stream.flush()] == ["a ", "[[b", ""]


@pytest.mark.parametrize("name", ["Customer", "email", "", "a b", "x" * 31])
def test_a_pattern_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a name of your own"):
        Secrets(patterns={name: "x"})


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"a*b*c", r"[", r"a{1,400}b{1,400}"])
def test_a_pattern_that_may_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="the pattern"):
        Secrets(patterns={"mine": pattern})


def test_secrets_do_not_stand_in_what_is_printed() -> None:
    one = held()
    one.redact("ann@example.com")
    assert "ann" not in repr(one)


def test_hundreds_of_secrets_are_hidden_elsewhere_too() -> None:
    one, passwords = held(), [f"{place:03}hunter" for place in range(MOST_LOOKED_FOR + 1)]
    one.redact(" ".join(f"password={password}" for password in passwords))
    hidden = one.redact(f"tell x{'y'.join(passwords)} 00")
    assert not any(password in hidden for password in passwords)
    assert one.restore(hidden) == f"tell x{'y'.join(passwords)} 00"


def test_where_two_known_secrets_overlap_in_a_text_both_are_hidden() -> None:
    one = held()
    one.redact("password=abcdef token: defghi")
    assert one.redact("to abcdefghi") == f"to [[key-3-{one.mark}]]"
