"""The script on workflows: scores of the last answer alone tell a router who is good at which stage."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "workflow_learning.py"))


async def test_trails_find_who_is_good_at_which_stage_from_scores_of_the_end() -> None:
    learned = await SCRIPT["learn"]("pheromone", tasks=48, seed=0)
    assert learned.quarters[-1] >= 0.5  # chance is .11, the best there is .86
    assert min(learned.fit) >= 0.75  # chance is .33


def test_a_row_is_printed_for_each_router(capsys: pytest.CaptureFixture[str]) -> None:
    SCRIPT["main"](["--json", "--tasks", "4", "--seeds", "1"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["router"] for row in rows] == list(SCRIPT["ROUTERS"])
    assert all(len(row["quarters"]) == 4 and len(row["fit"]) == 3 for row in rows)
    SCRIPT["main"](["--tasks", "4", "--seeds", "1"])
    assert "fit at" in capsys.readouterr().out
