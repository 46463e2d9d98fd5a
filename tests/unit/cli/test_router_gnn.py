"""The router commands on a router that trains for long: what is said of it, and what an end halfway leaves."""

import io
import sys
from pathlib import Path

import pytest

from agentmesh.cli.app import main
from agentmesh.cli.router_training import told
from agentmesh.routing.state_file import read_card, read_router

pytestmark = pytest.mark.timeout(60)  # the first training loads torch

DB = "sqlite:///agentmesh.db"
SMALL = ("--set", "passes=1", "--set", "hidden=4", "--set", "clusters=2")
CARD = {
    "tasks": 1200,
    "agents": 3,
    "outcomes": 3600,
    "skills": 4,
    "entities": 0,
    "validated": "tenth",
    "passes": 1,
    "loss": [0.7, 0.5, 0.6],
    "quality": [0.5, 0.75, 0.7],
    "seconds": 75.0,
    "device": "cpu",
    "torch": "2.13.0",
}

HALFWAY = """
import numpy as np

from agentmesh.routing.base import ScoringRouter
from agentmesh.routing.prices import by_card


class HalfwayRouter(ScoringRouter):
    name = "halfway"
    trains = True

    def estimate(self, features, pool):
        return by_card(np.zeros(len(pool)), features, pool)

    def _arrays(self):
        return {"sums": np.zeros(1)}

    def _fit_checked(self, outcomes, val, say):
        say("training halfway")
        raise KeyboardInterrupt
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal and keeps what is written."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def halfway(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a router whose training somebody ends by Ctrl-C, and return its name."""
    site = folder / "site"
    info = site / "halfway_router-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halfway-router\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agentmesh.routers]\nhalfway = halfway_router:HalfwayRouter\n")
    (site / "halfway_router.py").write_text(HALFWAY)
    monkeypatch.syspath_prepend(str(site))
    return "halfway"


@pytest.fixture
def trained(command, recorded_set, made_once) -> str:
    """Train a network and return what was said."""

    def train() -> str:
        outcome = command("router", "train", "gnn", "--from", recorded_set, "--db", DB, *SMALL)
        assert outcome.code == 0, outcome.err
        return outcome.out

    return made_once(train, name="a trained network")


def test_train_tells_how_the_training_went_and_how_long_all_of_it_took(trained):
    lines = trained.splitlines()
    assert lines[0].startswith("gnn has learned 36 outcomes of 2 agents on 18 tasks from ")
    assert lines[1] == "  36 outcomes of 2 agents on 18 tasks; 2 skills, 0 entities"
    assert lines[2].startswith("  trained in ")
    assert lines[3] == "  pass 1 of 1 kept, chosen on nothing"
    assert any(line.startswith("checked on 6 val tasks") for line in lines)
    assert lines[-2].startswith("it took ")


def test_show_has_a_section_on_the_training(command, trained):
    shown = command("router", "show", "gnn")
    assert "Training\n  36 outcomes of 2 agents on 18 tasks; 2 skills, 0 entities\n" in shown.out
    assert command("router", "show", "gnn", "--json").json["training"]["tasks"] == 18


def test_export_has_the_training_in_place_of_trails(command, trained):
    found = command("router", "export", "gnn").json
    assert (found["trails"], found["training"]["outcomes"]) == (None, 36)


def test_an_exported_network_is_read_back_and_scores(command, trained):
    outcome = command("router", "export", "gnn", "--format", "safetensors", "--out", "gnn.safetensors")
    assert (outcome.code, outcome.out) == (0, "")
    router = read_router(Path("gnn.safetensors"))
    assert dict(router.training) == dict(read_card(Path("gnn.safetensors")).training)
    assert router.training["tasks"] == 18


def test_a_mesh_opens_on_an_exported_network(command, trained, folder):
    command("router", "export", "gnn", "--format", "safetensors", "--out", "gnn.safetensors")
    version = read_router(Path("gnn.safetensors")).version
    app = (
        (folder / "app.py").read_text().replace("explore=0)", 'explore=0, router=read_router(Path("gnn.safetensors")))')
    )
    app = f"from pathlib import Path\nfrom agentmesh.routing.state_file import read_router\n{app}"
    (folder / "file_app.py").write_text(app.replace("agentmesh.db", "other.db"))
    run = command("run", "add 3 and 2", "--app", "file_app:build", "--json").json
    assert run["decision"]["router_version"] == version
    assert command("replay", run["id"], "--db", "sqlite:///other.db").out == "identical\n"


def test_a_network_is_trained_from_a_database(command, folder):
    command("demo", "--limit", "12", "--db", "sqlite:///demo.db", "--json")
    outcome = command("router", "train", "gnn", "--from", "sqlite:///demo.db", "--db", DB, *SMALL)
    assert outcome.code == 0, outcome.err
    assert "on 12 tasks from sqlite:///demo.db" in outcome.out
    assert "it took " in outcome.out


def test_without_torch_training_exits_1_with_the_line_that_installs_it(command, recorded_set, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    outcome = command("router", "train", "gnn", "--from", recorded_set, "--db", DB)
    assert (outcome.code, outcome.out) == (1, "")
    assert "pip install" in outcome.err
    assert "[gnn]" in outcome.err
    assert not Path("agentmesh.db").exists()


def test_ctrl_c_in_a_training_exits_130_and_makes_no_database(command, recorded_set, halfway):
    outcome = command("router", "train", halfway, "--from", recorded_set, "--db", DB)
    assert (outcome.code, outcome.out) == (130, "")
    assert not Path("agentmesh.db").exists()


def test_ctrl_c_in_a_training_leaves_a_database_as_it_was(command, recorded_set, halfway, run_id):
    before = Path("agentmesh.db").read_bytes()
    assert command("router", "train", halfway, "--from", recorded_set, "--db", DB).code == 130
    assert Path("agentmesh.db").read_bytes() == before


def test_a_person_at_a_terminal_is_told_how_far_a_training_is(recorded_set, monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stderr", terminal)
    assert main(["router", "train", "gnn", "--from", recorded_set, "--db", DB, *SMALL]) == 0
    assert "0 of 1 passes" in terminal.getvalue()


def test_a_training_is_told_by_what_was_kept():
    assert told(CARD) == [
        "3,600 outcomes of 3 agents on 1,200 tasks; 4 skills, 0 entities",
        "trained in 1 min 15 s on cpu, torch 2.13.0",
        "pass 1 of 2 kept, chosen on a tenth of the tasks",
        "loss there 0.7000 before training, 0.5000 kept",
        "quality of choosing there 0.500 before training, 0.750 kept",
    ]


def test_a_training_of_another_kind_is_told_as_it_stands():
    assert told({"steps": 12, "device": "abacus"}) == ["steps 12", "device abacus"]
    assert told({}) == []
