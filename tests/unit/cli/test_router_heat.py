"""The heat map of trails: what is in it, what is left out, and that it reads without colour."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agentmesh.routing.trails import Edge, TrailMap
from agentmesh.tui.heat import MOST_ROWS, HeatMap, columns_of, heat_map, step


def trails(trail, evidence, *, types=None, edges=None, share=None):
    trail, evidence = np.array(trail, dtype=np.float64), np.array(evidence, dtype=np.float64)
    rows, columns = trail.shape
    return TrailMap(
        types=types or tuple(f"type {row}" for row in range(rows)),
        edges=edges or tuple(Edge(0, "", f"agent-{column}") for column in range(columns)),
        trail=trail,
        evidence=evidence,
        share=np.full(rows, 1 / rows) if share is None else np.array(share),
        low=0.0,
        high=1.0,
        at=0.0,
    )


def shown(drawing, *, width=80, colour=False, monkeypatch=None):
    stream = io.StringIO()
    system = "truecolor" if colour else None
    Console(file=stream, width=width, color_system=system, force_terminal=colour).print(drawing)
    return stream.getvalue()


def test_each_cell_has_a_digit_and_the_best_of_a_row_is_in_brackets():
    found = shown(heat_map(trails([[0.25, 0.95], [0.5, 0.1]], [[5, 9], [1, 2]]), width=80))
    assert found.splitlines()[:3] == [
        "              1   2  ",
        "type 0  50%  [9]  2  ",
        "type 1  50%   1  [5] ",
    ]


def test_the_most_used_agents_come_first_and_the_legend_names_them():
    found = shown(heat_map(trails([[0.25, 0.95]], [[5, 9]]), width=80))
    assert "  1 agent-1, 9 outcomes" in found
    assert "  2 agent-0, 5 outcomes" in found
    assert "0-9: the trail, from 0.00 to 1.00" in found


def test_a_cell_without_outcomes_is_a_dot():
    assert shown(heat_map(trails([[0.5, 0.5]], [[3, 0]]), width=80)).splitlines()[1] == "type 0 100%  [5]  ·  "


def test_a_type_without_outcomes_has_no_best():
    lines = shown(heat_map(trails([[0.5], [0.5]], [[0], [1]]), width=80)).splitlines()
    assert "[" not in lines[1]
    assert "[5]" in lines[2]


def test_types_come_by_their_share():
    found = trails([[0.5]] * 3, [[1]] * 3, share=[0.2, 0.7, 0.1])
    assert [line.split()[1] for line in shown(heat_map(found, width=80)).splitlines()[1:4]] == ["1", "0", "2"]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_what_does_not_fit_the_width_is_counted(width):
    found = shown(heat_map(trails([[0.5] * 60], [np.arange(60.0)]), width=width), width=width)
    lines = found.splitlines()
    fits = max(int(word) for word in lines[0].split())
    assert len(lines[0]) <= width
    assert len(lines[1]) <= width
    assert (width - len("type 0") - 7) // 4 == min(fits, (width - 13) // 4)
    assert (f"Left out: {60 - fits} agents" in " ".join(found.split())) == (fits < 60)


def test_at_least_one_agent_is_shown_however_narrow_the_place():
    assert shown(heat_map(trails([[0.5, 0.9]], [[1, 2]]), width=3), width=80).splitlines()[1].endswith("[9] ")


def test_smaller_types_beyond_the_most_are_counted():
    found = shown(heat_map(trails([[0.5]] * (MOST_ROWS + 3), [[1]] * (MOST_ROWS + 3)), width=80))
    assert "Left out: 3 smaller types; --json has all." in found


def test_long_names_are_cut_and_names_cannot_steer_the_terminal():
    found = trails([[0.5]], [[1]], types=("x" * 50,), edges=(Edge(0, "", "a\x1b[31m[bold]b[/bold]"),))
    text = shown(heat_map(found, width=80))
    assert "x" * 23 + "…" in text
    assert "a\\x1b[31m[bold]b[/bold]" in text


def test_an_agent_behind_several_others_is_one_column_weighed_by_evidence():
    edges = (Edge(0, "", "ada"), Edge(1, "ada", "bob"), Edge(1, "cy", "bob"), Edge(1, "ada", "ada"))
    columns = columns_of(trails([[0.5, 0.2, 0.8, 0.1]], [[9, 1, 3, 0]], edges=edges))
    assert [column.label for column in columns] == ["ada (stage 1)", "bob (stage 2)", "ada (stage 2)"]
    assert columns[1].trail.tolist() == pytest.approx([0.65])
    assert columns[1].evidence.tolist() == [4.0]
    assert columns[2].trail.tolist() == [0.1]


def test_without_types_it_says_that_nothing_was_learned():
    empty = TrailMap((), (), np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0), 0.0, 1.0, 0.0)
    assert "nothing was learned" in shown(heat_map(empty, width=80))


def test_colour_and_no_colour_carry_the_same_text(monkeypatch):
    found = trails([[0.25, 0.95], [0.5, 0.1]], [[5, 9], [1, 2]])
    coloured = shown(HeatMap(found), colour=True)
    assert "\x1b[" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(HeatMap(found), colour=True)
    assert "38;" not in plain
    assert "48;" not in plain
    monkeypatch.delenv("NO_COLOR")
    assert "[9]" in plain
    assert [line.rstrip() for line in shown(HeatMap(found)).splitlines()][1].startswith("type 0")


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_stronger_trail_never_has_a_lower_digit(one, other):
    low, high = sorted((one, other))
    assert 0 <= step(low, 0.0, 1.0) <= step(high, 0.0, 1.0) <= 9


def test_a_map_whose_bounds_are_the_same_is_all_noughts():
    assert step(0.5, 0.5, 0.5) == 0
