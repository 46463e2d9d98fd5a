"""``agentmesh runs approve``, ``reject`` and ``resume``: with a mesh a run goes on, with a database it is told how."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

APP = """
from agentmesh import Approval, Learning, Limits, Mesh
from agentmesh.testing import EchoAgent

def build(**options):
    team = [EchoAgent("buyer", price_per_call_usd="0.5"), EchoAgent("clerk")]
    rules = [Approval(reason="it spends", expires_s=3600)]
    limits = Limits(max_agents=options.pop("agents", 2))
    learning = Learning(mode="off")
    return Mesh(team, router="cosine", embedder="hashing", explore=0, store="sqlite:///agentmesh.db",
                approvals=rules, limits=limits, learning=learning, **options)

mesh = build()
alone = build(agents=1)
"""


@pytest.fixture(autouse=True)
def app(folder: Path) -> None:
    (folder / "buying.py").write_text(APP, encoding="utf-8")


@pytest.fixture
def waiting(command) -> str:
    """Run a task for which two agents have to be approved, and return the run's id."""
    outcome = command("run", "buy three", "--app", "buying:mesh", "--json")
    assert (outcome.code, outcome.json["status"]) == (5, "waiting")
    assert "May buyer be asked 'buy three'? estimated at 0.5 USD; it spends; until " in outcome.err
    assert "May clerk be asked 'buy three'? cost unknown; it spends; until " in outcome.err
    assert f"'agentmesh runs approve {outcome.json['id']}' lets it go on" in outcome.err
    return str(outcome.json["id"])


def test_a_waiting_run_is_listed_shown_and_goes_on_when_all_were_answered(command, waiting):
    assert waiting in command("runs", "list", "--status", "waiting").out
    shown = command("runs", "show", waiting)
    assert shown.out.rstrip().endswith("does without")
    assert "May clerk be asked" in shown.out
    app = ("--app", "buying:mesh")
    first = command("runs", "approve", waiting, "--agent", "buyer", "--edit", "buy two", *app, "--json")
    assert (first.code, [one["agent_id"] for one in first.json["waiting_for"]]) == (5, ["clerk"])
    last = command("runs", "approve", waiting, "--by", "ann", "--note", "less", *app)
    assert (last.code, last.out) == (0, "buy two\n"), last.err
    assert command("replay", waiting).out == "identical\n"
    assert command("runs", "resume", waiting, *app).code == 0


def test_a_rejected_run_fails_and_says_who_and_why(command, waiting):
    outcome = command("runs", "reject", waiting, "--by", "ann", "--note", "too dear", "--app", "buying:mesh")
    assert (outcome.code, outcome.out) == (1, "")
    assert "failed" in outcome.err
    assert "buyer: rejected by 'ann': too dear; clerk: rejected by 'ann': too dear" in outcome.err


def test_with_a_database_alone_the_answer_is_written_down_and_the_run_goes_on_later(command, waiting):
    db = ("--db", "sqlite:///agentmesh.db")
    first = command("runs", "approve", waiting, "--agent", "buyer", *db)
    assert first.code == 0
    assert "May clerk" in first.err
    assert "written down" not in first.err
    last = command("runs", "reject", waiting, *db, "--json")
    assert (last.code, last.json["status"]) == (0, "running")
    assert f"'agentmesh runs resume {waiting} --app MODULE:ATTRIBUTE' goes on with the run" in last.err
    assert command("runs", "resume", waiting).code == 2  # no mesh was named
    gone_on = command("runs", "resume", "--all", "--app", "buying:mesh", "--json")
    assert (gone_on.code, [run["status"] for run in gone_on.json]) == (0, ["completed"])
    assert command("runs", "resume", "--all", "--app", "buying:mesh").out == ""


def test_what_cannot_be_answered_is_a_line_and_an_exit_code(command, waiting):
    unknown = command("runs", "approve", "ghost", "--app", "buying:mesh")
    assert (unknown.code, "ghost" in unknown.err) == (1, True)
    stranger = command("runs", "approve", waiting, "--agent", "cook", "--db", "sqlite:///agentmesh.db")
    assert (stranger.code, stranger.err) == (
        2,
        f"Error: run {waiting!r} does not wait for 'cook'; it waits for 'buyer', 'clerk'\n",
    )
    empty = command("runs", "approve", waiting, "--agent", "clerk", "--edit", " ", "--app", "buying:mesh")
    assert (empty.code, "give it some text" in empty.err) == (2, True)
    assert command("runs", "reject", waiting, "--app", "buying:mesh").code == 1
    again = command("runs", "approve", waiting, "--app", "buying:mesh")
    assert (again.code, "is failed and waits for no approval" in again.err) == (2, True)
    for arguments in ([], [waiting, "--all"]):
        assert command("runs", "resume", *arguments, "--app", "buying:mesh").code == 2


def test_a_run_that_cannot_go_on_is_told_and_the_others_are_not_kept(command, waiting):
    db = ("--db", "sqlite:///agentmesh.db")
    other = command("run", "buy", "--app", "buying:alone", "--json").json["id"]
    for run_id in (waiting, other):
        assert command("runs", "approve", run_id, *db).code == 0
    with closing(sqlite3.connect("agentmesh.db")) as database, database:
        database.execute(
            'UPDATE events SET body = replace(body, \'"registry_version":"\', \'"registry_version":"x\')'
            " WHERE run_id = ?",
            (waiting,),
        )
    outcome = command("runs", "resume", "--all", "--app", "buying:mesh")
    assert (outcome.code, outcome.out.count("completed"), outcome.err.count("Error: ")) == (1, 1, 1)
    assert other in outcome.out
