"""What an online report looks like as JSON, as tables and as a drawing."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from agentmesh.bench.online import bench_online
from agentmesh.bench.online_plan import DriftSpec, NewAgentSpec, OnlinePlan, router_specs
from agentmesh.bench.online_plot import Axis, regret_svg
from agentmesh.bench.online_records import OnlineReport
from agentmesh.bench.online_reference import reference_traces
from agentmesh.bench.online_report import render, to_file_json, to_json
from agentmesh.bench.online_rows import Bundle, anchor_of, rows_of
from agentmesh.bench.online_stream import prepare_online, stream_of
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.recorded import load_set
from agentmesh.routing.objective import SCENARIOS

WORDS = HashingEmbedder(dimension=64)
SVG = "{http://www.w3.org/2000/svg}"
KEYS = {
    "router",
    "is_reference",
    "quality",
    "quality_ci",
    "quality_last_20pct",
    "last_20pct_ci",
    "vs_pheromone_ci",
    "vs_pheromone_last_20pct_ci",
    "regret",
    "regret_ci",
    "cost_usd_per_1k",
    "reward",
    "reward_ci",
    "vs_pheromone_reward_ci",
    "p50_ms",
    "learn_p50_ms",
}


@pytest.fixture
def report(outcome_set: Path) -> OnlineReport:
    return bench_online(
        outcome_set, OnlinePlan(routers=router_specs("random,best_single"), seeds=(0, 1)), embedder=WORDS
    )


@pytest.fixture
def changed(outcome_set: Path) -> OnlineReport:
    plan = OnlinePlan(
        routers=router_specs("random"),
        seeds=(0,),
        steps=400,
        drift=DriftSpec.parse("best@50:0.2"),
        new_agent=NewAgentSpec.parse("c-weak@60"),
    )
    return bench_online(outcome_set, plan, embedder=WORDS)


def parsed(reports: list[OnlineReport]) -> ElementTree.Element:
    return ElementTree.fromstring(regret_svg(reports))  # noqa: S314 - our own drawing


def drawn(report: OnlineReport) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(render(report))
    return capture.get()


def test_the_json_of_one_set_is_an_object_and_of_several_a_list(report: OnlineReport) -> None:
    one, several = json.loads(to_json([report])), json.loads(to_json([report, report]))
    assert several == [one, one]
    assert (one["online"], one["split"], one["steps"], one["seeds"]) == (True, "all", 90, [0, 1])


def test_a_row_in_json_has_the_keys_that_apply_to_it(report: OnlineReport, changed: OnlineReport) -> None:
    assert {frozenset(row) for row in json.loads(to_json([report]))["rows"]} == {frozenset(KEYS)}
    assert set(json.loads(to_json([changed]))["rows"][0]) == KEYS | {"drift", "new_agent"}


def test_the_file_adds_the_curves_and_how_it_was_measured(report: OnlineReport) -> None:
    plain, full = json.loads(to_json([report])), json.loads(to_file_json([report]))
    assert full["notes"] == list(report.notes)
    curve = full["rows"][0]["curve"]
    assert set(curve[0]) == {"step", "regret", "low", "high"}
    assert curve[-1]["step"] == 90
    assert [{key: row[key] for key in KEYS} for row in full["rows"]] == plain["rows"]


def test_the_table_names_routers_and_marks_references(report: OnlineReport) -> None:
    text = drawn(report)
    for name in ("best_single", "(group_best)", "(oracle)", "two-topics, online over all, 90 tasks"):
        assert name in text
    assert "falls" not in text


def test_drift_and_new_agent_have_tables_of_their_own(changed: OnlineReport) -> None:
    text = drawn(changed)
    assert "b-dear falls on all tasks; the new best is a-cheap" in text
    assert "c-weak comes; its share of the tasks" in text


def test_a_label_set_shows_the_accuracy_over_the_last_tasks(label_set: Path) -> None:
    plan = OnlinePlan(routers=router_specs("random"), seeds=(0,))
    assert "last 1,000" in drawn(bench_online(label_set, plan, embedder=WORDS))


def test_differences_are_taken_from_the_router_as_it_is_before_one_with_arguments() -> None:
    assert anchor_of(["knn", "pheromone:a=1", "pheromone"]) == "pheromone"
    assert anchor_of(["pheromone:b=1", "pheromone:a=1"]) == "pheromone:b=1"
    assert anchor_of(["pheromones", "knn"]) is None


def test_differences_to_pheromone_are_of_the_same_draws(outcome_set: Path) -> None:
    plan = OnlinePlan(routers=router_specs("random,best_single"), seeds=(0, 1))
    workload = prepare_online(load_set(outcome_set), WORDS, plan)
    streams = [stream_of(workload, seed=seed, steps=90) for seed in plan.seeds]
    objective = SCENARIOS["quality"]
    known = [reference_traces(workload, stream, objective, drift=None, arrival=None) for stream in streams]
    group, single, oracle = (list(traces) for traces in zip(*known, strict=True))
    traces = {"knn": group, "pheromone": group, "linear": single, "oracle": oracle, "group_best": group}
    rows = {row.router: row for row in rows_of(Bundle(workload, streams, traces, objective))}
    assert rows["knn"].vs_pheromone_ci == rows["knn"].vs_pheromone_last_20pct_ci == (0.0, 0.0)
    assert rows["pheromone"].vs_pheromone_ci is None
    low, high = rows["linear"].vs_pheromone_ci
    assert low < rows["linear"].quality - rows["pheromone"].quality < high < 0.0


def test_the_drawing_is_an_svg_with_a_line_and_a_band_for_each_router(report: OnlineReport) -> None:
    root = parsed([report])
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert len(root.findall(f".//{SVG}polyline")) == len(root.findall(f".//{SVG}polygon")) == 3  # one is a reference
    assert any(text.startswith("single_best ") for text in texts)
    assert not any(text.startswith(("oracle", "group_best")) for text in texts)
    assert "two-topics: cumulative regret" in texts[0]
    assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text


def test_each_set_has_a_panel_of_its_own(report: OnlineReport) -> None:
    one, two = (parsed([report] * count) for count in (1, 2))
    assert (len(one.findall(f"{SVG}g")), len(two.findall(f"{SVG}g"))) == (1, 2)
    assert int(two.get("height")) == 2 * int(one.get("height"))


def test_a_drift_and_an_arrival_are_marked_in_the_drawing(changed: OnlineReport) -> None:
    texts = [element.text for element in parsed([changed]).iter(f"{SVG}text")]
    assert {"drift", "new agent"} <= set(texts)


def test_names_are_escaped_and_long_ones_cut(report: OnlineReport) -> None:
    rows = [row.model_copy(update={"router": f"knn:<{place}>&{'k' * 40}"}) for place, row in enumerate(report.rows)]
    many = report.model_copy(update={"rows": (*rows, *rows, *rows)})
    root = parsed([many])
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert any(text.startswith("knn:<0>&kkk") and "…" in text for text in texts)
    dashed = {line.get("stroke-dasharray") for line in root.iter(f"{SVG}polyline")}
    assert dashed == {None, "7 3", "2 4"}


def test_a_flat_curve_can_be_drawn(report: OnlineReport) -> None:
    flat = [point.model_copy(update={"regret": 0.0, "low": 0.0, "high": 0.0}) for point in report.rows[0].curve]
    still = report.model_copy(update={"rows": (report.rows[0].model_copy(update={"curve": tuple(flat)}),)})
    assert "nan" not in regret_svg([still])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-30, 70, [-20.0, 0.0, 20.0, 40.0, 60.0]),
        (0, 9, [0.0, 2.0, 4.0, 6.0, 8.0]),
        (0, 50, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]),
        (0, 36, [0.0, 10.0, 20.0, 30.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(low, high, 0, 1).ticks() == ticks
