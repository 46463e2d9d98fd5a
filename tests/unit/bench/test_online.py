"""The online evaluation as a whole, on a slice of a real set and on made-up ones."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.online import ONLINE_ROUTERS, bench_online, usual_routers
from agentmesh.bench.online_changes import first_window
from agentmesh.bench.online_plan import DriftSpec, NewAgentSpec, OnlinePlan, router_specs
from agentmesh.bench.online_records import OnlineReport, OnlineRow
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, PluginError
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, load_set, write_set

WORDS = HashingEmbedder(dimension=256)
MMLU_PRO = Path(__file__).parents[3] / "benchmarks" / "sets" / "mmlu_pro"
THREE = router_specs("random,best_single,knn")
TIMES = {"p50_ms", "learn_p50_ms"}


@pytest.fixture(scope="module")
def slice_of_mmlu_pro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recorded = load_set(MMLU_PRO)
    rows = recorded.open("train")
    kept = [(row, rows.tasks[row], rows.groups[row]) for row in range(0, len(rows), len(rows) // 200)][:200]
    agents = [AgentLine(id=card.id, description=card.description) for card in recorded.agents]
    outcomes = [
        OutcomeLine(
            task=task.id,
            agent=agent_id,
            quality=float(rows.table.quality[row, column]),
            cost_usd=float(rows.table.cost[row, column]),
        )
        for row, task, _ in kept
        for column, agent_id in enumerate(rows.agent_ids)
    ]
    tasks = [TaskLine(id=task.id, split="train", text=task.text, group=group) for _, task, group in kept]
    folder = tmp_path_factory.mktemp("sets") / "slice"
    write_set(folder, SetInfo(name="slice", kind="outcomes"), agents=agents, tasks=tasks, outcomes=outcomes)
    return folder


def measured(folder: Path, routers: str = "random,best_single,knn", **more: object) -> OnlineReport:
    arguments = {"seeds": (0, 1), "routers": router_specs(routers), **more}
    return bench_online(folder, OnlinePlan(**arguments), embedder=WORDS)  # type: ignore[arg-type]


def row_of(report: OnlineReport, router: str) -> OnlineRow:
    return next(row for row in report.rows if row.router == router)


def test_the_same_call_gives_the_same_figures_on_real_outcomes(slice_of_mmlu_pro: Path) -> None:
    first, same = (measured(slice_of_mmlu_pro, split="train") for _ in range(2))
    assert [row.router for row in first.rows][:3] == ["random", "best_single", "knn"]
    for row, again in zip(first.rows, same.rows, strict=True):
        assert row.model_dump(exclude=TIMES) == again.model_dump(exclude=TIMES)
        assert row.curve == again.curve
    assert (first.set, first.kind, first.split, first.steps, first.seeds) == ("slice", "outcomes", "train", 200, (0, 1))


def test_the_references_stand_in_their_order_on_real_outcomes(slice_of_mmlu_pro: Path) -> None:
    report = measured(slice_of_mmlu_pro, split="train", routers="random")
    group, single, oracle = (row_of(report, name) for name in ("group_best", "single_best", "oracle"))
    assert oracle.quality > group.quality > single.quality > row_of(report, "random").quality
    assert (group.regret, group.regret_ci) == (0.0, (0.0, 0.0))
    assert [row.is_reference for row in report.rows] == [False, True, True, True]
    assert row_of(report, "random").regret == pytest.approx(200 * (group.quality - report.rows[0].quality))


def test_a_row_holds_means_intervals_and_a_curve(outcome_set: Path) -> None:
    row = row_of(measured(outcome_set, steps=450), "best_single")
    low, high = row.quality_ci
    assert low < row.quality < high
    assert row.last_20pct_ci[0] <= row.quality_last_20pct <= row.last_20pct_ci[1]
    assert row.regret_ci[0] < row.regret < row.regret_ci[1]
    assert row.curve[-1].step == 450
    assert row.curve[-1].regret == pytest.approx(row.regret, abs=1e-3)
    assert len(row.curve) == 100
    assert all(point.low <= point.regret <= point.high for point in row.curve)
    assert row.p50_ms is not None
    assert row.learn_p50_ms is not None
    assert 0.5 < row.cost_usd_per_1k < 10.0
    assert (row.accuracy_last_1000, row.drift, row.new_agent) == (None, None, None)


def test_a_single_seed_and_a_single_step_are_enough(outcome_set: Path) -> None:
    row = row_of(measured(outcome_set, steps=1, seeds=(3,)), "random")
    assert row.quality_ci == (row.quality, row.quality)
    assert len(row.curve) == 1


def test_routers_that_learn_come_to_beat_chance(outcome_set: Path) -> None:
    report = measured(outcome_set, "random,best_single,kernel", steps=400)
    random, single, kernel = (row_of(report, name) for name in ("random", "best_single", "kernel"))
    assert kernel.quality_last_20pct > single.quality_last_20pct > random.quality_last_20pct


def test_the_scenario_is_what_routers_optimise_and_rewards_are_stated_in(outcome_set: Path) -> None:
    dear, cheap = (measured(outcome_set, "best_single", scenario=name, steps=400) for name in ("quality", "cheap"))
    assert dear.rows[0].reward == pytest.approx(dear.rows[0].quality)
    assert cheap.rows[0].reward < cheap.rows[0].quality
    assert cheap.rows[0].cost_usd_per_1k < dear.rows[0].cost_usd_per_1k


def test_with_labels_regret_counts_wrong_choices_and_there_is_no_cost(label_set: Path) -> None:
    row = row_of(measured(label_set, steps=100), "random")
    assert row.regret == pytest.approx(100 * (1.0 - row.quality))
    assert row.accuracy_last_1000 == row.quality
    assert row.cost_usd_per_1k is None


def test_differences_are_counted_from_the_pheromone_router_where_it_is_measured(outcome_set: Path) -> None:
    alone = measured(outcome_set, steps=50)
    assert all(row.vs_pheromone_ci is None and row.vs_pheromone_last_20pct_ci is None for row in alone.rows)


def test_drift_is_told_for_each_router_and_a_reference_leaves_at_once(outcome_set: Path) -> None:
    drift = DriftSpec.parse("best:history@300:0")
    report = measured(outcome_set, "random,kernel", steps=900, drift=drift)
    group, random = row_of(report, "group_best").drift, row_of(report, "random").drift
    assert report.drift_at == 300
    assert (group.agent, group.group, group.new_best) == ("a-cheap", "history", "b-dear")
    assert group.tasks_until_share_10pct == (50, 50)
    assert group.tasks_until_recovered == (100, 100)
    assert (group.share_before, group.share_after_150) == (1.0, 0.0)
    assert group.quality_after_150 == group.new_best_after_150 == pytest.approx(0.6)
    assert random.share_after_150 == pytest.approx(1 / 3, abs=0.15)
    assert random.tasks_until_recovered == (None, None)
    assert random.quality_after_150 < 0.4


def test_a_stream_that_ends_soon_after_a_drift_or_an_arrival_says_nothing_of_later(outcome_set: Path) -> None:
    drift, new = DriftSpec.parse("best@85:0"), NewAgentSpec.parse("c-weak@85")
    row = row_of(measured(outcome_set, "random", drift=drift, new_agent=new), "random")
    assert (row.drift.share_after_150, row.drift.quality_after_150) == (None, None)
    assert row.drift.tasks_until_share_10pct == (None, None)
    assert (row.new_agent.share, row.new_agent.share_later) == (None, None)


def test_the_share_of_a_new_agent_is_told_beside_what_is_its_due(outcome_set: Path) -> None:
    report = measured(outcome_set, "random", steps=500, new_agent=NewAgentSpec.parse("best@100"))
    random, group = row_of(report, "random").new_agent, row_of(report, "group_best").new_agent
    assert report.new_agent_at == 100
    assert random.agent == "b-dear"
    assert random.share == pytest.approx(1 / 3, abs=0.1)
    assert random.reference_share == group.share == pytest.approx(0.5, abs=0.1)
    assert random.reference_share_later == group.share_later


def test_windows_are_found_where_their_mean_first_reaches_the_bound() -> None:
    values = np.array([0.0, 0.0, 1.0, 1.0, 0.0])
    assert first_window(values, 2, 0.5) == 3
    assert first_window(values, 2, 0.5, strict=True) == 4
    assert first_window(values, 2, 1.1) is None
    assert first_window(values, 6, 0.0) is None


def test_the_usual_routers_are_those_that_are_installed() -> None:
    found = [spec.name for spec in usual_routers()]
    assert {"random", "best_single", "knn", "kernel", "category", "linear"} <= set(found) <= set(ONLINE_ROUTERS)


def test_who_listens_is_told_what_is_being_done(outcome_set: Path) -> None:
    heard: list[str] = []
    plan = OnlinePlan(routers=THREE, seeds=(0,), steps=20)
    bench_online(outcome_set, plan, embedder=WORDS, progress=heard.append)
    assert heard[0] == "reading and embedding two-topics"
    assert "3 of 3 done: knn, seed 0" in heard


def test_several_processes_give_what_one_gives(outcome_set: Path) -> None:
    plan = OnlinePlan(routers=THREE, seeds=(0,), steps=60)
    alone, spread = (bench_online(outcome_set, plan, embedder=WORDS, jobs=jobs) for jobs in (1, 2))
    assert [row.model_dump(exclude=TIMES) for row in alone.rows] == [
        row.model_dump(exclude=TIMES) for row in spread.rows
    ]


@pytest.mark.parametrize(
    ("routers", "error", "said"),
    [
        ("nope", PluginError, "'nope'"),
        ("knn:nope=1", ConfigError, "'knn' cannot be built with {'nope': 1}"),
        ("best_single:prior=2", ConfigError, "prior 2"),
    ],
)
def test_a_router_that_cannot_be_built_is_named_before_anything_runs(
    outcome_set: Path, routers: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        measured(outcome_set, routers)
    assert said in str(caught.value)


def test_fewer_than_one_process_is_refused(outcome_set: Path) -> None:
    with pytest.raises(ConfigError, match="jobs are 0; accepted: 1 or more"):
        bench_online(outcome_set, OnlinePlan(), jobs=0)


def test_types_cannot_be_given_where_no_task_names_its_group(tmp_path: Path) -> None:
    tasks = [TaskLine(id=f"t{place}", split="train", text="one", labels=("a",)) for place in range(3)]
    agents = [AgentLine(id="a", description="Adds.")]
    write_set(tmp_path / "set", SetInfo(name="plain", kind="labels"), agents=agents, tasks=tasks)
    with pytest.raises(ConfigError, match="no task of 'plain' names its group; accepted: 'discovered'"):
        measured(tmp_path / "set", split="train", types="given")
    assert measured(tmp_path / "set", split="train").rows[0].quality == 1.0
