"""``agentmesh team``, run as the console script runs it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmesh import Team
from agentmesh.errors import ConfigError
from agentmesh.recorded import AgentLine, OutcomeLine, SetInfo, TaskLine, write_set


@pytest.fixture
def answers(folder: Path) -> str:
    rng, costs = np.random.default_rng(0), {"ann": 0.001, "chief": 0.02}
    agents = [AgentLine(id=name, description=name) for name in costs]
    tasks = [TaskLine(id=f"t{n}", split=("train", "val")[n % 2], text=f"task {n % 5}") for n in range(60)]
    outcomes = []
    for task in tasks:
        for name, cost in costs.items():
            text = str(rng.choice(["A", "B"], p=(0.8, 0.2)))
            known = {"task": task.id, "agent": name, "cost_usd": cost, "answer": text}
            outcomes.append(OutcomeLine(quality=float(text == "A"), **known))
    write_set(Path("set"), SetInfo(name="letters", kind="outcomes"), agents=agents, tasks=tasks, outcomes=outcomes)
    return "set"


def test_a_team_is_fitted_written_shown_and_read(command: Any, answers: str) -> None:
    outcome = command("team", "fit", answers, "--out", "team.json", "--embedder", "hashing")
    assert outcome.code == 0, outcome.err
    assert "fitted on 60 tasks from set" in outcome.err
    assert "the team is written to 'team.json'" in outcome.err
    team = Team.read("team.json")
    assert team.plan is not None
    shown = command("team", "show", "team.json")
    assert f"name\t{team.fingerprint}" in shown.out
    assert f"plan of\t{', '.join(team.plan.agents)}" in shown.out
    assert command("team", "show", "team.json", "--json").json["equivalence"] == "auto"


def test_a_team_goes_to_stdout_or_is_told_as_json(command: Any, answers: str) -> None:
    how = (answers, "--embedder", "hashing", "--usd-per-1k", "5")
    team = Team.model_validate_json(command("team", "fit", *how).out)
    told = command("team", "fit", *how, "--json").json
    assert Team.model_validate(told["team"]) == team
    assert told["planned"]["cost_usd_per_1k"] <= 5


def test_a_log_that_is_too_thin_ends_with_1_and_says_what_is_needed(command: Any, run_id: str) -> None:
    outcome = command("team", "fit")
    assert outcome.code == 1
    assert "holds 0 runs" in outcome.err
    assert "a team needs 100" in outcome.err


def test_a_file_that_holds_no_team_is_named(command: Any, folder: Path) -> None:
    (folder / "odd.json").write_text('{"most": 0}')
    outcome = command("team", "show", "odd.json")
    assert outcome.code == 2
    assert "'odd.json' holds no team" in outcome.err
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Team.read("none.json")
