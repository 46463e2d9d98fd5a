"""The measurement of context slices: cases whose answer stands on statements far apart, a row for each way to cut."""

import json
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from agentmesh.bench.context_bench import support_recall
from agentmesh.bench.context_reading import answer
from agentmesh.bench.context_records import ContextReport
from agentmesh.bench.context_world import KINDS, ContextCase, make_cases
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import RecordedSetError
from agentmesh.recorded.reader import load_set

ROOT = Path(__file__).parents[3]
SET = ROOT / "benchmarks" / "sets" / "hwu64"
EMBEDDER = StaticEmbedder()


@pytest.fixture(scope="module")
def cases() -> list[ContextCase]:
    recorded = load_set(SET)
    return make_cases(recorded, recorded.open("val"), "val", each=1, seed=3)


def test_the_reader_answers_from_the_whole_and_not_from_one_statement_less(cases: list[ContextCase]) -> None:
    right = Counter(answer(case, case.task.context, EMBEDDER) == case.answer for case in cases)
    assert right[True] >= len(KINDS) - 2  # one that has to guess the topic may be wrong
    for case in cases:
        assert support_recall(case, case.task.context) == 1.0
        if case.kind in ("said", "about"):
            continue
        for statement in case.support:
            lacking = [item for item in case.task.context if statement not in item.text]
            assert answer(case, lacking, EMBEDDER) != case.answer


def script() -> ModuleType:
    """Load the script, which is in no package."""
    found = spec_from_file_location("context_script", ROOT / "benchmarks" / "context.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_slices_save_a_third_and_keep_what_answers_stand_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "report.json"
    script().main([str(SET), "--each", "1", "--seed", "3", "--budgets", "2400", "--json", str(told)])
    report = ContextReport.model_validate(json.loads(told.read_text())[0])
    assert (report.name, report.cases, set(report.by_kind)) == ("hwu64 val", len(KINDS), set(KINDS))
    rows = {row.way: row for row in report.rows}
    assert all(row.tokens <= 2400 for way, row in rows.items() if way != "full")
    assert (rows["full"].recall, rows["full"].same) == (1.0, 1.0)
    assert rows["routed"].saved >= 0.3
    assert rows["routed"].recall >= 0.98
    assert rows["routed"].same >= 0.9  # one of 11 may differ
    assert all(row.recall < rows["routed"].recall for way, row in rows.items() if way not in ("full", "routed"))
    assert "routed, no walk" in capsys.readouterr().out


def test_a_set_with_too_few_topics_is_refused(label_set: Path) -> None:
    recorded = load_set(label_set)
    with pytest.raises(RecordedSetError, match="30 are needed"):
        make_cases(recorded, recorded.open("val"), "val", each=1, seed=0)


def test_the_script_says_what_it_cannot_read(label_set: Path) -> None:
    with pytest.raises(SystemExit, match="30 are needed"):
        script().main([str(label_set)])
