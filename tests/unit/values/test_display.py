"""Text of strangers on a terminal: escapes, lengths, amounts."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.cli.output import json_text, print_table, print_text
from agentmesh.display import escape, escape_line, seconds, shorten, usd

ANY_TEXT = st.text(st.characters())
STEERING = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0xD800)}


@given(ANY_TEXT)
def test_no_control_character_survives_but_tab_and_line_feed(text):
    assert set(escape(text)) & (STEERING - {"\t", "\n"}) == set()


@given(ANY_TEXT)
def test_a_line_stays_one_line(text):
    line = escape_line(text)
    assert set(line) & STEERING == set()
    assert len(line.splitlines()) <= 1


@given(ANY_TEXT)
def test_what_is_printed_can_be_encoded(text):
    assert escape(text).encode().decode() == escape(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_ordinary_text_of_any_language_is_left_alone(text):
    assert escape_line(text) == text


@given(st.recursive(ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner)))
def test_json_reads_back_what_was_written_and_holds_nothing_that_steers(value):
    text = json_text(value)
    assert json.loads(text) == value
    assert set(text) & (STEERING - {"\n"}) == set()


@given(ANY_TEXT, st.integers(1, 50))
def test_a_shortened_text_fits(text, width):
    assert len(shorten(text, width)) <= width


def test_a_short_text_is_not_shortened():
    assert shorten("a task", 6) == "a task"


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (None, "cost unknown"),
        (Decimal(0), "0 USD"),
        (Decimal("0.0002"), "0.0002 USD"),
        (Decimal("12.5"), "12.5 USD"),
        (Decimal("0.00000123"), "1.23e-06 USD"),
    ],
)
def test_costs_are_told_so_that_small_ones_are_not_nothing(cost, text):
    assert usd(cost) == text


def test_durations_are_told_in_the_unit_that_suits_them():
    assert (seconds(0.5), seconds(75.0)) == ("500.0 ms", "75.00 s")


def test_text_is_printed_escaped(capsys):
    print_text("two\nlines\x07")
    assert capsys.readouterr().out == "two\nlines\\x07\n"


def test_a_table_away_from_a_terminal_is_tab_separated(capsys):
    print_table(("agent", "price"), [("a\tb", "1"), ("[bold]c[/bold]", "2")])
    assert capsys.readouterr().out == "agent\tprice\na\\tb\t1\n[bold]c[/bold]\t2\n"
