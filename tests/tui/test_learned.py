"""What is told of the history of a router, without a screen: slider, curve, changes, calibration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.learning.changes import TrailChanges
from agentmesh.learning.curve import CurvePoint, learning_curve
from agentmesh.learning.history import REACH, Stop
from agentmesh.learning.inspection import RouterReport
from agentmesh.learning.predictions import Prediction, Predictions, newest_predictions
from agentmesh.learning.versions import StoredRouter, routers_in
from agentmesh.tui.charts import chart, strip
from agentmesh.tui.learned import LearnedRouter, learned_router, trails_at
from agentmesh.tui.learning_presenters import changed_lines, curve_lines, slider_lines
from agentmesh.tui.reliability_presenters import calibration_lines
from agentmesh.tui.router_presenters import report_lines
from tests.tui.learned import PARAMETERS, learned

ROOM = 54
"""Columns beside the list of routers on a terminal of 80."""


def stop(kind: str, sequence: int, **more: object) -> Stop:
    told = {"version": f"0123456789ab@{sequence}", "base": sequence, "outcomes": sequence}
    return Stop(kind=kind, sequence=sequence, **{**told, **more})


STOPS = (
    stop("start", 0),
    stop("stored", 64, at=0.0),
    stop("mark", 80, note="rollback to 64", outcomes=0, since=80),
    stop("learned", 99, base=80, outcomes=19, since=80),
)


@pytest.mark.parametrize(
    ("place", "track", "told"),
    [
        (0, "[○]■▲·", "0 outcomes; nothing learned yet"),
        (1, "○[■]▲·", "64 outcomes; state stored whole"),
        (2, "○■[▲]·", "0 outcomes since mark 80; set by hand: rollback to 64"),
        (3, "○■▲[·]", "19 outcomes since mark 80; learned anew from 80"),
    ],
)
def test_the_slider_says_which_version_is_shown_and_where_it_comes_from(place: int, track: str, told: str) -> None:
    head, version, origin = slider_lines(STOPS, place)
    assert head == f"p ◂ {track} ▸ n  {place + 1} of 4"
    assert version.startswith(STOPS[place].version)
    assert ("1970-01-01 00:00:00Z" in version) == (place == 1)
    assert origin == told
    assert slider_lines(STOPS, place, is_reading=True)[2] == f"{told} ... reading"
    assert slider_lines((), 0) == ["no version yet"]


def test_rises_and_falls_since_the_version_before_are_told_apart() -> None:
    store = learned()
    found = learned_router(store, "the router", routers_in(store)[0])
    place = found.newest_in_reach
    shown = trails_at(store, found, place)
    assert sorted(found.maps) == [place - 1, place]
    lines = changed_lines(shown.changed, found.stops[place - 1])
    assert lines[0] == f"Changed since {found.stops[place - 1].version}"
    rose, fell = (next(n for n, line in enumerate(lines) if line.startswith(word)) for word in ("rose", "fell"))
    assert all(line.startswith("  +") for line in lines[rose + 1 : fell])
    assert all(line.startswith("  -") for line in lines[fell + 1 :])
    assert any("dates: history" in line for line in lines[rose:fell])
    assert max(map(len, lines)) <= 60
    first = trails_at(store, found, 1)
    assert "new agents: history, maths" in changed_lines(first.changed, found.stops[0])
    assert trails_at(store, found, 0).changed is None
    assert changed_lines(None, None) == []
    assert changed_lines(TrailChanges(trails=()), STOPS[0])[1:] == ["no trail moved by 0.001 or more"]


def test_trails_that_nobody_waits_for_any_more_are_not_read() -> None:
    store = learned()
    found = learned_router(store, "the router", routers_in(store)[0])
    assert trails_at(store, found, found.newest_in_reach, goes_on=lambda: False) is None
    assert found.maps == {}


def test_the_newest_place_in_reach_leaves_one_that_takes_long_for_later() -> None:
    stored = StoredRouter(name="kernel", embedder="e", root="r", parameters="r")
    far = (*STOPS, stop("learned", 80 + REACH + 1, base=80))
    router = LearnedRouter("it", RouterReport(stored=stored, version=None), far, (), keeps_trails=True)
    assert router.newest_in_reach == 3


def test_a_router_that_cannot_be_built_is_told_and_keeps_its_history() -> None:
    store = learned()
    lost = routers_in(store)[0].model_copy(update={"name": "nobody\x1b[2J"})
    found = learned_router(store, "it", lost)
    assert not found.keeps_trails
    assert len(found.stops) > 2
    told = "\n".join(report_lines(found.report))
    assert "cannot be rebuilt: " in told
    assert "\x1b" not in told


def test_a_learning_curve_has_axes_with_units_and_a_mark_for_the_place() -> None:
    assert curve_lines([]) == ["nothing was learned yet"]
    points = learning_curve(learned())
    lines = curve_lines(points, 20)
    assert max(map(len, lines)) <= 76
    assert max(map(len, lines[:-1])) <= ROOM
    assert lines[0].startswith("mean quality, 0 to 1")
    assert lines[5] == " " * 8 + "└" + "─" * 19 + "▲" + "─" * 20
    assert lines[6] == "outcome  1                                     40"
    assert lines[7] == "mean cost of a call, USD"
    assert lines[-1].startswith("a column: one outcome")
    free = [CurvePoint(after=0, until=200, n=50, quality=0.5), CurvePoint(after=200, until=400, n=50, quality=0.6)]
    assert "USD" not in "\n".join(curve_lines(free))
    assert "the last 50 of 200 outcomes" in curve_lines(free)[-1]
    one = [CurvePoint(after=0, until=1, n=1, quality=0.5), CurvePoint(after=1, until=2)]
    assert curve_lines(one)[4] == "   0.50 ┤▁ "


@given(st.lists(st.none() | st.floats(0, 1), max_size=30), st.integers(2, 6))
def test_a_chart_takes_as_many_columns_as_values_and_the_highest_fills_all_lines(
    values: list[float | None], height: int
) -> None:
    lines = [line[9:] for line in chart(values, height=height)]
    assert {len(line) for line in lines} == {len(values)}
    known = [value for value in values if value is not None]
    if known and max(known) > min(known):
        assert lines[0][values.index(max(known))] == "█"
        assert all(line[values.index(None)] == " " for line in lines if None in values)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(2, 40))
def test_a_strip_takes_exactly_its_room(low: float, high: float, mark: float, width: int) -> None:
    drawn = strip(min(low, high), max(low, high), [(mark, "o")], width)
    assert len(drawn) == width
    assert drawn.count("o") == 1


def prediction(expected: float | None, score: float, **more: object) -> Prediction:
    told = {"router": "pheromone", "parameters": "p", "run_id": "r", "agent_id": "a"}
    return Prediction(**{**told, **more}, expected=expected, score=score)


def test_calibration_counts_what_was_expected_and_tells_what_it_leaves_out() -> None:
    read = Predictions(
        (
            *[prediction(0.95, float(number < 3)) for number in range(4)],
            prediction(0.31, 0.31),
            prediction(None, 1.0),
            prediction(1.7, 1.0),
            prediction(0.5, 1.0, router="kernel"),
            prediction(0.5, 1.0, parameters="another"),
        ),
        pruned=3,
        unread=1_500,
    )
    lines = calibration_lines(read, "pheromone", {"p"})
    assert max(map(len, lines)) <= ROOM
    assert lines[10] == "0.9-1.0      4  0.75 0.30-0.95       ─────────●───│"
    assert lines[4] == "0.3-0.4      1  0.31 0.02-0.90 ──────◆────────────"
    assert [line.split(":")[0] for line in lines[12:14]] == ["ECE 0.160", "Brier score 0.182"]
    assert lines[14:] == [
        "5 of the newest scored answers are counted",
        "2 were decided by other routers",
        "1 not counted: no expected quality was recorded",
        "1 not counted: expected was not within 0 to 1",
        "3 runs not counted: they were pruned",
        "1,500 runs not read: it took too long",
    ]


def test_a_router_that_expects_no_quality_has_no_curve_and_is_told_so() -> None:
    lines = calibration_lines(Predictions((prediction(None, 1.0),)), "pheromone", {"p"})
    assert lines[0] == "no answer with an expected quality from pheromone was scored yet"
    assert lines[1:] == ["1 not counted: no expected quality was recorded"]


def test_a_line_of_the_curve_is_drawn_from_the_store() -> None:
    lines = calibration_lines(newest_predictions(learned()), "pheromone", {PARAMETERS})
    assert lines[14:] == [
        "36 of the newest scored answers are counted",
        "4 not counted: no expected quality was recorded",
    ]
    assert [int(line[7:14]) for line in lines[1:11]] == [0, 0, 0, 20, 0, 0, 0, 0, 16, 0]
