"""What a watcher knows: runs in detail, agents and totals in sums, the same however the events come in."""

from decimal import Decimal

import pytest

from agentmesh.events import AnswerChunk, Event, RunResumed, TaskPrepared
from agentmesh.packing import pack_vector
from agentmesh.records import RunStatus
from agentmesh.tui.board import LONGEST_SAID, Board
from agentmesh.tui.presenters import state
from agentmesh.tui.tallies import RATE_S, AgentTally, Totals, Worth
from tests.tui.story import BEGUN, Telling, decision, story, sum_asked


def events_of(tellings: list[Telling]) -> list[Event]:
    return sorted((event for one in tellings for event in one.events), key=lambda event: event.at)


def told(*, kept: int = 200) -> Board:
    board = Board(kept=kept)
    board.take(events_of(story()))
    return board


def test_totals_count_each_run_that_stands_alone_once() -> None:
    totals = told().totals
    assert totals.started == 7
    assert dict(totals.ended) == {RunStatus.COMPLETED: 2, RunStatus.FAILED: 1, RunStatus.ABSTAINED: 1}
    assert totals.under_way == 3
    assert totals.cost_usd == Decimal("0.0085")
    assert totals.error_rate == 0.25
    assert (totals.worth.mean, totals.worth.count) == (1.0, 2)
    assert totals.events == sum(len(one.events) for one in story())


def test_events_that_come_twice_change_nothing() -> None:
    board, again = told(), told()
    again.take(events_of(story()))
    assert again == board


def test_a_flood_in_pieces_is_the_same_as_at_once() -> None:
    board, events = Board(), events_of(story())
    for event in events:
        board.take([event])
    assert board == told()


def test_memory_is_bounded_by_runs_that_ended_and_no_total_forgets() -> None:
    board = Board(kept=3)
    for number in range(50):
        board.take(sum_asked(f"r{number}", number).score(0.5).events)
    assert list(board.runs) == ["r47", "r48", "r49"]
    assert (board.totals.started, board.totals.ended.total(), board.totals.worth.count) == (50, 50, 50)
    assert board.agents["maths"].calls == 50
    board.take([event.model_copy(update={"seq": 9}) for event in sum_asked("r0").score(0.2).events[-1:]])
    assert board.totals.worth.count == 51  # a run that is no longer held is scored all the same


def test_a_run_is_told_step_by_step() -> None:
    board, seen = Board(), []
    for event in events_of(story()):
        board.take([event])
        if event.run_id == "battle":
            seen.append(board.runs["battle"].step)
    assert seen[:4] == ["started", "deciding", "decided", "wave 1"]
    assert seen[-2:] == ["completed", "completed"]
    assert "wave 2" in seen
    assert board.runs["battle"].quality == 1.0
    assert board.runs["poem"].status is RunStatus.WAITING
    assert board.runs["asking"].under_way == ("maths",)
    assert board.runs["flow"].step == "stage facts"
    assert (board.runs["flow-facts"].parent, board.runs["flow-facts"].stage) == ("flow", "facts")
    board.take([RunResumed(run_id="poem", seq=4, at=BEGUN + 20)])
    assert (board.runs["poem"].status, board.runs["poem"].step) == (RunStatus.RUNNING, "goes on")


def test_every_run_that_was_told_is_held() -> None:
    board = told()
    assert set(board.runs) == {one.run_id for one in story()}


def test_a_run_is_orphaned_once_its_owner_was_missed_twice_and_no_longer_when_somebody_goes_on() -> None:
    board = Board()
    lost = sum_asked("lost").events[:4]
    begun = [event.model_copy(update={"owner": "gone"}) if event.kind == "run_started" else event for event in lost]
    part = [event.model_copy(update={"run_id": "part"}) for event in begun]
    part[0] = part[0].model_copy(update={"parent": "lost"})
    board.take([*begun, *part, *sum_asked("unknown").events[:4]])
    board.call_roll(frozenset({"gone", "another"}))
    for at_work, orphans in (({"another"}, []), ({"another"}, ["lost"])):
        board.call_roll(frozenset(at_work))
        assert [run.id for run in board.runs.values() if run.orphaned] == orphans
    assert state(board.runs["lost"]).text == "! orphan"
    board.take([RunResumed(run_id="lost", seq=4, at=BEGUN + 9, owner="another")])
    board.call_roll(frozenset({"another"}))
    assert [state(board.runs[run_id]).text for run_id in ("lost", "part")] == ["> goes on", "> asking"]
    board.take([sum_asked("lost", 9.0).events[-1].model_copy(update={"seq": 5})])
    board.call_roll(frozenset({"another"}))
    assert [run.id for run in board.runs.values() if run.orphaned] == ["part"]


def test_pieces_of_an_answer_are_held_until_it_is_there_and_no_longer_than_can_be_read() -> None:
    board = told()
    piece = AnswerChunk(run_id="asking", seq=4, at=BEGUN + 10, agent_id="maths", text="5" * LONGEST_SAID)
    board.take([piece, piece.model_copy(update={"text": "4"})])
    assert board.runs["asking"].said["maths"] == "5" * (LONGEST_SAID - 1) + "4"
    before = board.totals.events
    board.take([piece.model_copy(update={"run_id": "unknown"})])
    assert board.totals.events == before
    ended = Telling("asking").start("x").decide(decision()).call("maths", "54").events[-1]
    board.take([ended.model_copy(update={"seq": 9})])
    assert board.runs["asking"].said == {}


def test_an_agent_rests_until_a_decision_no_longer_says_so() -> None:
    board, vector = told(), pack_vector([0.1])
    refused = TaskPrepared(
        run_id="x", seq=1, at=BEGUN, vector=vector, refused={"poetry": "unhealthy", "maths": "price"}
    )
    board.take([refused])
    assert [agent_id for agent_id, tally in board.agents.items() if tally.resting] == ["poetry"]
    board.take([refused.model_copy(update={"refused": {}})])
    assert not board.agents["poetry"].resting


def test_best_single_needs_a_price_and_five_scores() -> None:
    board = Board()
    for number in range(5):
        assert board.best_single() is None
        assert board.share_of_best_single_cost() is None
        board.take(sum_asked(f"r{number}").score(1.0).events)
    assert board.best_single() == "maths"
    assert board.share_of_best_single_cost() == pytest.approx(1.0)


def test_runs_per_second_are_those_of_the_last_ten_seconds() -> None:
    totals = Totals()
    for at in range(40):
        totals.end(RunStatus.COMPLETED, None, float(at))
    assert totals.per_second(39.0) == pytest.approx(1.0)
    assert totals.per_second(39.0 + 2 * RATE_S) == 0.0
    assert len(totals.ends) <= RATE_S + 1
    assert totals.priced == 0


def test_an_unknown_cost_makes_the_cost_of_a_run_unknown() -> None:
    board, events = Board(), sum_asked().events[:-2]
    last = events[-1]
    unknown = last.model_copy(update={"call": last.call.model_copy(update={"cost_usd": None})})
    board.take([*events[:-1], unknown])
    assert board.runs["sum"].cost_usd is None
    assert board.agents["maths"].mean_cost_usd is None


def test_a_mean_of_scores_has_an_interval_that_holds_it() -> None:
    worth = Worth()
    assert (worth.mean, worth.interval()) == (None, None)
    for score in (1.0, 1.0, 1.0):
        worth.add(score)
    low, high = worth.interval()
    assert 0.3 < low < 1.0 == pytest.approx(high)


def test_failures_in_a_row_end_with_an_answer() -> None:
    tally = AgentTally()
    board = Board()
    for number, text in enumerate((None, None, "84", None)):
        board.take(Telling(f"r{number}").start("x").decide(decision()).call("maths", text).events)
    tally = board.agents["maths"]
    assert (tally.failed, tally.failing, tally.calls) == (3, 1, 4)
