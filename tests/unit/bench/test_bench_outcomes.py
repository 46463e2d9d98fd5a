import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.material import part_of, prepare, recorded_pool
from agentmesh.bench.outcome_bench import choose
from agentmesh.bench.records import OutcomeReport
from agentmesh.bench.run import bench, scoring_router
from agentmesh.bench.tuning import Point, best_point, cheapest_point, combinations
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, PluginError, RecordedSetError
from agentmesh.recorded import load_set

WORDS = HashingEmbedder(dimension=256)


def rows_of(report: object) -> dict[str, dict[str, object]]:
    assert isinstance(report, OutcomeReport)
    return {row["router"]: row for row in report.model_dump(mode="json")["rows"]}


def test_a_router_that_reads_the_task_finds_the_right_agent_for_each_topic(outcome_set: Path) -> None:
    rows = rows_of(bench(outcome_set, embedder=WORDS, routers=["knn"]))
    assert rows["knn"]["quality"] == 1.0
    assert rows["knn"]["cost_usd_per_1k"] == pytest.approx(5.5)
    assert rows["best_single"]["quality"] == pytest.approx(0.8)
    assert rows["oracle"]["quality"] == 1.0


def test_baselines_and_the_oracle_are_always_there_in_this_order(outcome_set: Path) -> None:
    assert list(rows_of(bench(outcome_set, embedder=WORDS, routers=["cosine", "oracle"]))) == [
        "random",
        "cheapest",
        "best_single",
        "cosine",
        "knn",
        "oracle",
    ]


def test_the_json_has_the_keys_that_the_plan_lays_down(outcome_set: Path) -> None:
    shape = json.loads(bench(outcome_set, embedder=WORDS, routers=["knn"]).model_dump_json())
    assert list(shape) == ["set", "kind", "split", "rows"]
    assert list(shape["rows"][4 - 1]) == [
        "router",
        "quality",
        "quality_ci",
        "cost_usd_per_1k",
        "reward",
        "p50_ms",
        "p99_ms",
        "vs_knn_ci",
        "vs_best_single_ci",
        "at_best_single",
    ]
    assert list(shape["rows"][3]["reward"]) == ["quality", "balanced", "cheap"]
    assert list(shape["rows"][3]["at_best_single"]) == ["cost_weight", "quality", "quality_diff_ci", "cost_share"]


def test_the_level_of_best_single_is_reached_for_less(outcome_set: Path) -> None:
    level = rows_of(bench(outcome_set, embedder=WORDS, routers=["knn"]))["knn"]["at_best_single"]
    assert isinstance(level, dict)
    assert level["quality"] >= 0.8
    assert level["cost_share"] < 1.0


def test_intervals_are_paired_and_empty_against_oneself(outcome_set: Path) -> None:
    rows = rows_of(bench(outcome_set, embedder=WORDS, routers=["knn"]))
    assert rows["knn"]["vs_knn_ci"] is None
    assert rows["best_single"]["vs_best_single_ci"] is None
    assert rows["oracle"]["vs_knn_ci"] == [0.0, 0.0]
    low, high = rows["knn"]["vs_best_single_ci"]  # type: ignore[misc]
    assert 0 < low < 0.2 < high


def test_cheap_rewards_come_from_running_again_under_that_objective(outcome_set: Path) -> None:
    rows = rows_of(bench(outcome_set, embedder=WORDS, routers=["knn"]))
    cheap = {name: row["reward"]["cheap"] for name, row in rows.items()}  # type: ignore[index]
    assert cheap["knn"] >= cheap["best_single"]
    assert cheap["oracle"] >= max(value for name, value in cheap.items() if name != "oracle")
    assert rows["knn"]["reward"]["quality"] == rows["knn"]["quality"]  # type: ignore[index]


def test_the_same_seed_gives_the_same_figures_but_for_times(outcome_set: Path) -> None:
    def figures() -> dict[str, object]:
        rows = rows_of(bench(outcome_set, embedder=WORDS, routers=["knn"], seed=3))
        return {name: {**row, "p50_ms": 0, "p99_ms": 0} for name, row in rows.items()}

    assert figures() == figures()


def test_times_are_those_of_whole_route_calls(outcome_set: Path) -> None:
    rows = rows_of(bench(outcome_set, embedder=WORDS, routers=["knn"]))
    assert 0 < rows["knn"]["p50_ms"] <= rows["knn"]["p99_ms"]  # type: ignore[operator]
    assert rows["oracle"]["p50_ms"] is None


def test_val_can_be_scored_instead_and_says_so(outcome_set: Path) -> None:
    report = bench(outcome_set, embedder=WORDS, routers=["knn"], split="val")
    assert report.split == "val"
    assert "30 val" in report.notes[0]


def test_progress_is_told_in_words(outcome_set: Path) -> None:
    said: list[str] = []
    bench(outcome_set, embedder=WORDS, routers=["cosine"], progress=said.append)
    assert said[0] == "reading two-topics"
    assert said.index("choosing cosine on folds of train and val") < said.index("opening the outcomes of test")
    assert "running cosine on test" in said


def test_agents_that_were_not_recorded_on_a_task_cannot_be_chosen(outcome_set: Path) -> None:
    path = outcome_set / "outcomes.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    kept = [line for line in lines if not (line.startswith("t91,") and ",b-dear," not in line)]
    path.write_bytes(gzip.compress("\n".join(kept).encode()))
    rows = rows_of(bench(outcome_set, embedder=WORDS, routers=["cosine"]))
    assert all(np.isfinite(row["quality"]) for row in rows.values())  # type: ignore[call-overload]


def test_an_unknown_cost_makes_the_mean_cost_unknown(outcome_set: Path) -> None:
    path = outcome_set / "outcomes.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b",0.001,", b",,")))
    rows = rows_of(bench(outcome_set, embedder=WORDS, routers=["knn"]))
    assert rows["knn"]["cost_usd_per_1k"] is None
    assert rows["best_single"]["cost_usd_per_1k"] == pytest.approx(10.0)


def test_a_wrong_split_is_refused(outcome_set: Path) -> None:
    with pytest.raises(ConfigError, match="split is 'train'; accepted: 'test', 'val'"):
        bench(outcome_set, embedder=WORDS, split="train")  # type: ignore[arg-type]


def test_an_unknown_router_is_named_before_anything_is_measured(outcome_set: Path) -> None:
    with pytest.raises(PluginError, match="'nonesuch'"):
        bench(outcome_set, embedder=WORDS, routers=["nonesuch"])


def test_a_set_without_the_split_is_refused(outcome_set: Path) -> None:
    path = outcome_set / "tasks.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b'"test"', b'"val"')))
    with pytest.raises(RecordedSetError, match="'two-topics' has no 'test' tasks"):
        bench(outcome_set, embedder=WORDS, routers=["cosine"])


def test_context_goes_before_the_text(outcome_set: Path) -> None:
    path = outcome_set / "tasks.jsonl.gz"
    path.write_bytes(
        gzip.compress(gzip.decompress(path.read_bytes()).replace(b'"group"', b'"context":"before","group"'))
    )
    part = part_of(load_set(outcome_set).open("val"), WORDS)
    assert part.features[0].text == f"before\n{part.rows.texts[0]}"


def test_the_pool_stands_in_the_order_of_the_tables(outcome_set: Path) -> None:
    recorded = load_set(outcome_set)
    assert recorded_pool(recorded.agents, WORDS).ids == recorded.agent_ids


def test_every_combination_of_tunables_is_tried() -> None:
    assert len(list(combinations({"k": (1, 2, 3), "w": ("a", "b")}))) == 6
    assert list(combinations({})) == [{}]


def point(quality: float, cost: float) -> Point:
    return Point({}, 0.0, quality, cost)


def test_the_best_point_is_the_cheaper_one_of_a_tie() -> None:
    points = [point(0.5, 0.1), point(0.7, 0.4), point(0.7, 0.3), point(0.7, float("nan"))]
    assert best_point(points) is points[2]


def test_the_cheapest_point_reaches_the_level_or_there_is_none() -> None:
    points = [point(0.5, 0.1), point(0.7, 0.4), point(0.6, 0.3), point(0.9, float("nan"))]
    assert cheapest_point(points, at_least=0.6) is points[2]
    assert cheapest_point(points, at_least=0.8) is None


def test_baselines_are_not_tuned(outcome_set: Path) -> None:
    material = prepare(load_set(outcome_set), WORDS)
    choice = choose("best_single", scoring_router("best_single"), material)
    assert choice.best.objective.cost == 0.0
    assert choice.best.chosen == {}
    assert choice.at_best_single is None


def test_the_static_embedder_and_a_fixed_list_of_routers_are_the_default(outcome_set: Path) -> None:
    report = bench(outcome_set)
    assert list(rows_of(report)) == [
        "random", "cheapest", "best_single",
        "cosine", "knn", "kernel", "linear", "category", "linucb", "pheromone",
        "oracle",
    ]  # fmt: skip
    assert "embedder static-" in report.notes[0]
