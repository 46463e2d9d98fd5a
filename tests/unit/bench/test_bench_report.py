import json

from rich.console import Console

from agentmesh.bench.records import AtBestSingle, LabelReport, LabelRow, OutcomeReport, OutcomeRow, ScenarioRewards
from agentmesh.bench.report import render, to_json, verdicts
from agentmesh.bench.resampling import Interval

REWARDS = ScenarioRewards(quality=0.7, balanced=0.3, cheap=0.1)
LABELS = LabelReport(
    set="tiny",
    split="test",
    rows=(
        LabelRow(
            router="linear", top1=0.9, hit_at_set=0.95, mean_agents=1.2, oos_recall=0.5, gqr=0.643, p50_ms=0.4,
            top1_closed=0.94, chosen={"threshold": 0.2},
        ),
    ),
)  # fmt: skip


def row(router: str, vs_knn: Interval | None, level: AtBestSingle | None = None) -> OutcomeRow:
    return OutcomeRow(
        router=router,
        quality=0.712,
        quality_ci=(0.69, 0.73),
        cost_usd_per_1k=None,
        reward=REWARDS,
        p50_ms=None,
        p99_ms=None,
        vs_knn_ci=vs_knn,
        vs_best_single_ci=(-0.01, 0.02),
        at_best_single=level,
        oracle_gap_share=0.25,
        chosen={"k": 20, "cost_weight": 0.1},
    )


def outcomes(*rows: OutcomeRow) -> OutcomeReport:
    return OutcomeReport(set="tiny", split="test", rows=rows, notes=("12 agents.",))


def printed(report: OutcomeReport | LabelReport) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render(report))
    console.file.close()
    return console.export_text()


def test_beats_knn_is_said_only_when_the_interval_excludes_zero() -> None:
    lines = verdicts(outcomes(row("knn", None), row("category", (0.004, 0.03)), row("linear", (-0.001, 0.03))))
    assert lines == (
        "category beats kNN: +0.4 to +3.0 points.",
        "No router beats best single: no 95 % interval of the difference lies above 0.",
    )


def test_the_oracle_beats_nobody() -> None:
    assert "No router beats kNN" in verdicts(outcomes(row("oracle", (0.1, 0.2))))[0]


def test_unknown_figures_are_dashes_and_known_ones_have_three_digits() -> None:
    level = AtBestSingle(cost_weight=0.3, quality=0.7, quality_diff_ci=(-0.01, 0.01), cost_share=0.456)
    text = printed(outcomes(row("category", (0.004, 0.03), level)))
    assert "0.712" in text
    assert "0.690-0.730" in text
    assert "+0.4 to +3.0" in text
    assert "0.700 at 46% of its cost" in text
    assert "25%" in text
    assert "category: k 20, cost_weight 0.1" in text
    assert " - " in text
    assert "12 agents." in text


def test_a_level_of_unknown_cost_says_so() -> None:
    level = AtBestSingle(cost_weight=0.3, quality=0.7, quality_diff_ci=(-0.01, 0.01), cost_share=None)
    assert "0.700 at - of its cost" in printed(outcomes(row("category", None, level)))


def test_labels_have_a_table_of_their_own_and_no_verdicts() -> None:
    text = printed(LABELS)
    assert "0.950" in text
    assert "1.20" in text
    assert "threshold 0.2" in text
    assert verdicts(LABELS) == ()


def test_one_set_is_an_object_and_several_are_a_list() -> None:
    assert json.loads(to_json([LABELS]))["set"] == "tiny"
    assert [shape["kind"] for shape in json.loads(to_json([LABELS, outcomes(row("knn", None))]))] == [
        "labels",
        "outcomes",
    ]
