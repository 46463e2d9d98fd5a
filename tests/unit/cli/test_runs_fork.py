"""``agentmesh runs fork``: a stored run goes on otherwise, and is shown and compared as what it is."""

import pytest

from agentmesh.errors import ConfigError
from tests.unit.cli.conftest import MATH


@pytest.fixture
def mathematician_asked(command, run_id) -> str:
    return run_id


def test_a_fork_is_run_shown_compared_and_replayed(command, run_id):
    app = ("--app", "app:mesh")
    forked = command("runs", "fork", run_id[:12], "--at", "1", "--set", "agents=historian", *app)
    assert (forked.code, forked.out) == (0, "In 1789.\n"), forked.err
    assert "historian | 0.5 USD" in forked.err
    new_id = forked.err.split()[1]
    shown = command("runs", "show", new_id).out
    assert f"forked from run {run_id} at event 1, with agents=historian\n" in shown
    assert "a person named the agents" in command("explain", new_id).out
    parted = command("runs", "diff", run_id, new_id)
    assert parted.code == 1
    assert f"{new_id} was forked from {run_id} at event 1\nthey part at event 2: decision_made | decision_made\n" in (
        parted.out
    )
    assert "chosen: mathematician | historian" in parted.out
    assert command("replay", new_id).out == "identical\n"
