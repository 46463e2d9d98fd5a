"""Where events come from: a store that grows, a mesh that talks, a stored run that is played again."""

from itertools import pairwise

import pytest

from agentmesh import Learning, Mesh, agent
from agentmesh.cli.app import main
from agentmesh.errors import RunNotFoundError, StoreError
from agentmesh.lifting import parse_event
from agentmesh.records import RunSummary
from agentmesh.store import open_store
from agentmesh.tui.board import Board
from agentmesh.tui.family import Family
from agentmesh.tui.pages import PAGE, RunPages
from agentmesh.tui.sources import FASTEST, SLOWEST, MeshSource, PlayedSource, TailSource
from tests.tui.story import BEGUN, StandingClock, family_of, story, sum_asked, told_store


def drained(source):
    """Return all that a source gives until it has no more for now."""
    found = []
    while events := source.more():
        found += events
    return found


def test_a_tail_begins_with_the_newest_runs_and_goes_on_with_whatever_comes(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    with open_store(url, read_only=True) as store, open_store(url) as writer:
        source = TailSource(store)
        first = drained(source)
        assert sorted((e.run_id, e.seq) for e in first) == sorted((e.run_id, e.seq) for t in story() for e in t.events)
        assert all(a.seq < b.seq for a, b in pairwise(first) if a.run_id == b.run_id)
        assert drained(source) == []
        later = sum_asked("later", 50.0).events
        writer.append(later)
        assert drained(source) == later
        assert source.trace("later") == later
        assert (source.label, source.is_over) == (url, False)


def test_a_tail_may_begin_with_few_runs_but_always_with_those_under_way() -> None:
    source = TailSource(told_store(), recent=3)
    assert {event.run_id for event in drained(source)} == {"asking", "flow-facts", "flow", "poem"}


def test_what_is_stored_while_a_tail_begins_is_counted_once() -> None:
    store = told_store()
    source, board = TailSource(store), Board()
    board.take(source.more())
    seen = board.totals.events
    board.take([one.event for one in store.tail()])
    assert board.totals.events == seen


async def test_a_mesh_is_heard_with_the_pieces_of_its_answers() -> None:
    @agent(description="Says two words.", price_per_call_usd="0.001")
    async def speaker(task):
        return "two words"

    store = open_store()
    source, board = MeshSource(store), Board()
    async with Mesh([speaker], store=store, learning=Learning(mode="off"), listeners=[source]) as mesh:
        run = await mesh.run("Say two words")
        board.take(drained(source))
        assert board.runs[run.id].status == "completed"
        assert source.trace(run.id) == store.events(run.id)
        assert source.label == "this process, memory://"
        assert not source.is_over


def played(speed: float = 1.0):
    clock = StandingClock(0.0)
    return PlayedSource(family_of(sum_asked().events), clock, speed=speed), clock


def test_a_run_is_played_at_the_pace_it_went_or_another_one() -> None:
    for speed, at in ((1.0, 0.35), (10.0, 0.035), (0.1, 3.5)):
        source, clock = played(speed)
        assert len(source.more()) == 1
        clock.at = at
        assert [event.seq for event in source.more()] == [1, 2, 3]
        assert source.more() == []
        clock.at = 100.0
        assert [event.seq for event in source.more()] == [4, 5, 6]
        assert source.is_over


def test_a_run_that_is_played_can_be_held_stepped_and_sought() -> None:
    source, clock = played()
    source.pause(True)
    clock.at = 50.0
    assert len(source.more()) == 1  # the first one is due at once
    source.step()
    assert [event.seq for event in source.more()] == [1]
    assert source.more() == []
    assert not source.seek(4)
    assert source.position == (4, 7)
    assert [event.seq for event in source.more()] == [2, 3]
    assert source.more() == []
    assert [event.seq for event in source.trace("sum")] == [0, 1, 2, 3]
    source.pause(False)
    clock.at += 0.11
    assert [event.seq for event in source.more()] == [4]
    assert source.trace("sum", after=1, limit=2) == source.trace("sum")[2:4]
    assert source.seek(3)
    assert source.is_outdated
    assert [event.seq for event in source.more()] == [0, 1, 2]
    assert not source.is_outdated
    assert source.seek(-5)
    assert source.label == "run sum, x1, event 0 of 7"
    with pytest.raises(RunNotFoundError, match="nothing of run 'sum'"):
        source.trace("sum")
    assert not source.seek(99)
    assert len(source.more()) == 7
    source.step()
    assert source.is_over


def test_speed_stays_within_what_can_be_followed() -> None:
    source, _ = played(1e9)
    assert source.speed == FASTEST
    source.set_speed(0.0)
    assert source.speed == SLOWEST


def test_a_clock_that_was_set_back_stops_no_play() -> None:
    events = sum_asked().events
    back = [*events[:3], *(event.model_copy(update={"at": event.at - 3600}) for event in events[3:])]
    clock = StandingClock(0.0)
    source = PlayedSource(family_of(back), clock)
    clock.at = 0.25
    assert len(source.more()) == 7


def test_a_run_is_read_as_it_is_played_and_what_cannot_be_read_comes_later(tmp_path) -> None:
    path = tmp_path / "watched.db"
    url, clock = f"sqlite:///{path}", StandingClock(0.0)
    told_store(url).close()
    with open_store(url, read_only=True) as store:
        source = PlayedSource(Family.of(store, "sum"), clock)
        assert [event.seq for event in source.more()] == [0]
        clock.at = 0.35
        path.rename(tmp_path / "away.db")
        with pytest.raises(StoreError, match="deleted while"):
            source.more()
        assert source.position == (1, 8)
        assert [event.seq for event in source.trace("sum")] == [0]
        (tmp_path / "away.db").rename(path)
        assert [event.seq for event in source.more()] == [1, 2, 3]
        path.rename(tmp_path / "away.db")
        assert source.seek(2)
        assert [event.seq for event in source.more()] == [0, 1]  # which is known


def test_the_stages_of_a_workflow_are_played_with_it() -> None:
    store = told_store()
    family = Family.of(store, "flow")
    found = family.read(0, len(family))
    assert {event.run_id for event in found} == {"flow", "flow-facts"}
    assert [event.at for event in found] == sorted(event.at for event in found)
    assert [event for place in range(len(family)) for event in family.read(place, place + 1)] == found
    alone = family_of(store.events("flow"))
    assert set(alone.runs) == {"flow"}
    with pytest.raises(RunNotFoundError, match="'nobody'"):
        Family.of(store, "nobody")


def summaries(begin: int, end: int) -> list[RunSummary]:
    return [
        RunSummary(id=f"r{number}", status="completed", text="", started_at=BEGUN - number)
        for number in range(begin, end)
    ]


def test_pages_of_a_long_list_are_asked_for_as_they_come_into_sight() -> None:
    pinned = summaries(900, 901)
    pages = RunPages(250, pinned)
    assert len(pages) == 251
    assert pages.missing(0, 50) == [0]
    pages.put(0, summaries(0, PAGE))
    assert pages.missing(0, PAGE) == []
    assert pages.missing(PAGE, 240) == [1, 2]
    assert (pages[0], pages[1], pages[PAGE], pages[PAGE + 1]) == ("r900", "r0", "r99", "")
    assert pages[0:3] == ["r900", "r0", "r1"]
    assert pages.index("r5") == 6
    with pytest.raises(ValueError, match="was not read"):
        pages.index("r150")
    assert RunPages().missing(0, 10) == []
    assert RunPages(0, pinned).missing(0, 1) == []


def test_a_run_is_printed_as_lines_of_json_that_are_read_back(tmp_path, capsys) -> None:
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    told_store(url).close()
    assert main(["watch", "sum", "--json", "--speed", "100", "--db", url]) == 0
    said = [parse_event(line) for line in capsys.readouterr().out.splitlines()]
    with open_store(url, read_only=True) as store:
        assert said == store.events("sum")
