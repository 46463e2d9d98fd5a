"""From records to what stands on a screen, without a screen."""

import re
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agentmesh.events import fold
from agentmesh.records import AgentCard, RunStatus
from agentmesh.tui.agent_presenters import AGENTS, agent_row, card_text, health, price, sorted_ids, worth
from agentmesh.tui.agent_presenters import LEGEND as AGENTS_LEGEND
from agentmesh.tui.board import Board
from agentmesh.tui.cells import Column, bar, fitted, laid_out, sparkline
from agentmesh.tui.presenters import (
    CANDIDATES,
    CANDIDATES_LEGEND,
    LEGEND,
    LINE,
    LIVE,
    STORED,
    TIMELINE,
    WAITING,
    age,
    candidate_rows,
    live_row,
    money,
    plain_line,
    request_text,
    stored_row,
    timeline_row,
    totals_lines,
    waiting_rows,
)
from agentmesh.tui.router_presenters import intent_lines, neighbourhood_lines
from agentmesh.tui.run_presenters import (
    CALLS,
    LONGEST_SHOWN,
    SLICES,
    against_text,
    answer_text,
    call_row,
    call_text,
    headline,
    run_text,
    shown,
    slice_rows,
)
from agentmesh.tui.tallies import AgentTally
from tests.tui.story import BEGUN, HOSTILE, cards, decision, story, told_store

TOLD = {one.run_id: one.events for one in story()}
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def board() -> Board:
    made = Board()
    made.take(event for events in TOLD.values() for event in events)
    return made


@given(st.text(max_size=60), st.integers(0, 40), st.booleans())
def test_a_text_takes_exactly_its_room_and_steers_nothing(text: str, width: int, right: bool) -> None:
    found = fitted(text, width, right=right)
    assert cell_len(found) == width
    assert not STEERS.search(found)
    assert not any(unicodedata.category(character) == "Cs" for character in found)


@given(st.floats(-2, 2), st.integers(1, 20))
def test_a_bar_takes_exactly_its_room(share: float, width: int) -> None:
    assert cell_len(bar(share, width)) == width


@given(st.lists(st.floats(0, 100), max_size=50), st.integers(1, 20))
def test_a_sparkline_takes_exactly_its_room(values: list[float], width: int) -> None:
    assert cell_len(sparkline(values, width)) == width


@pytest.mark.parametrize("columns", [LIVE, CANDIDATES, TIMELINE, STORED, WAITING, AGENTS, CALLS, SLICES])
@pytest.mark.parametrize("width", [20, 40, 78, 158, 300])
def test_columns_never_take_more_than_there_is_and_use_what_is_left(columns: tuple[Column, ...], width: int) -> None:
    layout = laid_out(columns, width)
    assert len(layout) >= 1
    taken = sum(room for _, room in layout) + len(layout) - 1
    assert taken <= max(width, columns[layout[0][0]].width)
    assert [index for index, _ in layout] == sorted(index for index, _ in layout)


def test_every_table_has_a_cell_for_each_column() -> None:
    made = board()
    battle, waiting = fold(TOLD["battle"]), fold(TOLD["poem"])
    store = told_store()
    assert {len(live_row(run, BEGUN)) for run in made.runs.values()} == {len(LIVE)}
    assert {len(row) for row in candidate_rows(battle.decision)} == {len(CANDIDATES)}
    assert {len(row) for row in (timeline_row(event, BEGUN) for event in TOLD["battle"])} == {len(TIMELINE)}
    assert {len(row) for row in map(call_row, battle.calls)} == {len(CALLS)}
    assert {len(row) for row in slice_rows(TOLD["battle"])} == {len(SLICES)}
    assert {len(row) for row in waiting_rows([waiting], BEGUN)} == {len(WAITING)}
    for summary in (*store.runs(), None):
        assert len(stored_row(summary, marked=False, pinned=True)) == len(STORED)
    for agent_id, tally in made.agents.items():
        assert len(agent_row(None, tally, agent_id, made.chosen)) == len(AGENTS)


def test_a_live_row_says_who_was_asked_and_why() -> None:
    made = board()
    rows = {run.id: [cell.text for cell in live_row(run, BEGUN + 20.0)] for run in made.runs.values()}
    assert rows["sum"][1:] == ["+ done", "What is 12 * 7?", "maths", "█▃▁  0.91", "+0.490", "0.001200", "0.6", "1.00"]
    assert rows["battle"][5] == "-0.490"
    assert (rows["lottery"][3], rows["lottery"][5]) == ("nobody", "-")
    assert rows["asking"][1:4] == ["> asking", "What is 6 * 9?", "maths"]
    assert rows["asking"][7] == "11.0"
    assert rows["poem"][1] == "? waiting"
    assert rows["flow-facts"][2] == "facts: Facts"
    assert rows["flow"][1] == "> facts"


def test_candidates_say_what_would_have_flipped_the_choice() -> None:
    rows = {row[1].text: [cell.text for cell in row] for row in candidate_rows(decision())}
    assert (rows["maths"][0], rows["maths"][6]) == ("*", "best")
    assert rows["history"][6] == "0.910"
    assert rows["history"][7] == "evidence 3"


def test_totals_hold_the_cost_against_the_best_single_agent() -> None:
    made = board()
    assert "of best single" not in totals_lines(made, BEGUN)[1]
    made.agents["history"].worth.count, made.agents["history"].worth.total = 6, 6.0
    first, second = totals_lines(made, BEGUN + 12)
    assert first.startswith("4 ended, 3 under way, ")
    assert "errors 25.0 %   quality 1.000 of 2 scores" in first
    assert "53% of best single (history)" in second
    assert totals_lines(Board(), 0.0) == (
        "0 ended, 0 under way, 0.0/s   errors -   quality -",
        "cost 0 USD   newest -   0 events",
    )
    made.known_single = ("a name that is rather long", Decimal("0.016"))
    assert totals_lines(made, BEGUN + 12)[1].endswith("of best single (a name that is rath…)   newest 2.7 s ago")


def test_on_80_columns_the_tables_show_what_a_reader_needs() -> None:
    room = LINE - 1  # the scroll bar
    for columns, left_out in ((LIVE, {"run"}), (AGENTS, {"v", "calls", "failed"}), (CANDIDATES, {"why"})):
        shown = {columns[index].title for index, _ in laid_out(columns, room)}
        assert {column.title for column in columns} - shown == left_out
    legends = [*LEGEND, *CANDIDATES_LEGEND, *AGENTS_LEGEND]
    assert max(map(len, legends)) <= LINE


def test_each_event_is_a_line_that_steers_nothing() -> None:
    lines = [plain_line(event) for events in TOLD.values() for event in events]
    assert not any(STEERS.search(line) or "\n" in line for line in lines)
    text = "\n".join(lines)
    assert "chosen by pheromone: maths, margin +0.490" in text
    assert "nobody chosen by pheromone (nobody knows such things)" in text
    assert "poetry failed, 0.0021 USD, 250.0 ms (the endpoint said 503)" in text
    assert "waits: may poetry be asked? (over 0.002 USD)" in text
    assert "maths gets 40 of 90 tokens of the context" in text
    assert "history passed the check year" in text
    assert "stage facts completed" in text


def test_a_run_in_a_pager_holds_all_of_it_and_steers_nothing() -> None:
    for events in TOLD.values():
        if events[0].kind == "run_started":
            text = run_text(events)
            assert not STEERS.search(text)
    text = run_text(TOLD["battle"])
    for part in ("When was the battle", "Chosen by router pheromone", "outvoted", "Answer\n1066"):
        assert part in text


def test_conflicts_stand_beside_the_answer() -> None:
    run = fold(TOLD["battle"])
    assert answer_text(run) == "by history\n\n1066"
    assert against_text(run).splitlines()[:4] == [
        "in conflict, with the weight of each side:",
        "  history (1): 1066",
        "  maths (0.4): 1067",
        "left out, maths: outvoted",
    ]
    assert against_text(fold(TOLD["sum"])) == "nothing stood against it"
    assert answer_text(fold(TOLD["alert"])) == "nobody answered"
    assert answer_text(fold(TOLD["asking"])) == "no answer yet"
    assert call_text(fold(TOLD["alert"]).calls[0]) == "the endpoint said 503"


def test_a_long_answer_is_cut_and_says_so() -> None:
    assert shown("x" * 10) == "x" * 10
    cut = shown("x" * (2 * LONGEST_SHOWN))
    assert len(cut) < LONGEST_SHOWN + 100
    assert cut.endswith(f"{LONGEST_SHOWN:,} more characters; o shows all in $PAGER")


def test_the_headline_names_the_run_its_state_and_its_task() -> None:
    assert headline(fold(TOLD["alert"])).splitlines()[0] == "alert  failed  0.0021 USD  600.0 ms"
    assert not STEERS.search(headline(fold(TOLD["alert"])))
    assert "part of flow" in headline(fold(TOLD["flow-facts"]))
    assert HOSTILE not in headline(fold(TOLD["alert"]))


def test_a_request_says_all_a_person_must_know() -> None:
    run = fold(TOLD["poem"])
    text = request_text(run, 0, BEGUN)
    assert "may poetry be called for up to 0.0021 USD?" in text
    assert "Rule: over 0.002 USD" in text
    late = run.waiting_for[0].model_copy(update={"expires_at": BEGUN + 90.0})
    assert "90 s are left" in request_text(run.model_copy(update={"waiting_for": (late,)}), 0, BEGUN)


@pytest.mark.parametrize(
    ("tally", "told"),
    [
        (AgentTally(), "-"),
        (AgentTally(calls=1), "+ well"),
        (AgentTally(under_way=2), "> busy 2"),
        (AgentTally(failing=3, under_way=1), "x fails 3"),
        (AgentTally(resting=True), "x rests"),
    ],
)
def test_the_health_of_an_agent_is_told_without_colour(tally: AgentTally, told: str) -> None:
    assert health(tally).text == told


def test_an_agent_shows_what_was_paid_else_what_it_declares() -> None:
    card = AgentCard(id="a", description="Does.", price_per_call_usd="0.5", latency_s=2, max_concurrency=3, group="g")
    assert price(card, AgentTally()).text == "0.500000*"
    assert price(None, AgentTally()).text == "-"
    assert price(card, AgentTally(priced=2, cost_usd=Decimal("0.5"))).text == "0.250000"
    text = card_text(card, AgentTally())
    assert "declares 0.5 USD a call, 2 s, 3 calls at once" in text
    assert card_text(None, AgentTally()).startswith("no card is stored")
    assert "declares no price" in card_text(
        card.model_copy(update={"price_per_call_usd": None, "latency_s": None, "max_concurrency": None}), AgentTally()
    )
    assert sorted_ids(board().agents, {one.id: one for one in cards()}) == ["maths", "poetry", "history"]
    assert worth(AgentTally()).text == "-"


def test_amounts_fit_their_column() -> None:
    for amount in ("0", "0.000001", "0.00214", "0.5", "12.5", "99999"):
        assert len(money(Decimal(amount))) <= 8
    assert age(None, 1.0) == "-"


def test_kinds_of_task_and_what_a_decision_rests_on_are_told() -> None:
    made = board()
    assert intent_lines(made.intents)[0].startswith("sums")
    assert intent_lines({}) == ["no decision that was seen names kinds of task"]
    tree = neighbourhood_lines(decision(), "What is 12 * 7?")
    assert tree == [
        "What is 12 * 7?",
        "├─ taken for sums 70%, dates 20%",
        "├─ maths, expected quality 0.91",
        "│  └─ past tasks like it",
        "│     └─ +████████ +0.30, worth 1.00  What is 6 * 9?",
        "└─ instead of",
        "   ├─ history, expected quality 0.42",
        "   └─ poetry, expected quality 0.18",
        "+ carries the choice, - speaks against it, in logits",
    ]
    assert neighbourhood_lines(None, "") == ["no decision that was seen says what it rests on"]


def test_states_have_each_a_mark_of_their_own() -> None:
    store = told_store()
    marks = {row[3].text[0] for row in (stored_row(one, marked=False, pinned=False) for one in store.runs())}
    assert len(marks) == len({one.status for one in store.runs()})
    assert {one.status for one in store.runs()} <= set(RunStatus)
