"""What --app and --db accept, and how each wrong value is named."""

import shutil
from pathlib import Path

import pytest

from agentmesh.store import open_store

OLD = Path(__file__).parents[2] / "migrations" / "golden" / "schema1.db"
MATH = "What is 12 * 7, an arithmetic word problem?"


@pytest.mark.parametrize("app", ["app:mesh", "app:build", "app:build_later", "app:Holder.mesh"])
def test_a_mesh_or_a_function_that_returns_one_is_accepted(command, app):
    assert len(command("agents", "list", "--app", app, "--json").json) == 2


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("app", "'module:attribute' is accepted"),
        (":mesh", "'module:attribute' is accepted"),
        ("app:", "'module:attribute' is accepted"),
        ("no_such_module:mesh", "there is no module 'no_such_module'"),
        ("no_such.module:mesh", "there is no module 'no_such'"),
        ("app:mehs", "'app' has no 'mehs'; it has 'mesh'"),
        ("app:Holder.mehs", "'app' has no 'Holder.mehs'"),
        ("app:number", "is of type 'int'"),
        ("app:fails", "calling it failed: ValueError: the key is missing"),
        ("app:mathematician", "calling it failed: TypeError"),
        ("broken:mesh", "importing it failed: SyntaxError"),
        ("needy:mesh", "importing it failed: No module named 'not_installed'"),
    ],
)
def test_a_wrong_app_exits_2_in_one_line_that_names_it(command, folder, app, said):
    (folder / "broken.py").write_text("def (", encoding="utf-8")
    (folder / "needy.py").write_text("import not_installed", encoding="utf-8")
    outcome = command("run", MATH, "--app", app)
    assert (outcome.code, outcome.out) == (2, "")
    [line] = outcome.err.splitlines()
    assert repr(app) in line
    assert said in line


def test_an_error_of_ours_in_the_users_function_keeps_its_own_words(command, folder):
    source = "from agentmesh import Mesh\nfrom app import historian\ntwice = lambda: Mesh([historian, historian])"
    (folder / "double.py").write_text(source, encoding="utf-8")
    outcome = command("run", MATH, "--app", "double:twice")
    assert outcome.code == 1
    assert "'historian'" in outcome.err


def test_a_wrong_setting_exits_2_and_names_the_variable(command, monkeypatch):
    monkeypatch.setenv("AGENTMESH_APP", "not an app")
    outcome = command("run", MATH)
    assert outcome.code == 2
    assert "AGENTMESH_APP" in outcome.err


def test_a_command_that_writes_migrates_an_older_database(command, folder):
    shutil.copyfile(OLD, folder / "agentmesh.db")
    assert "not yet those of" in command("runs", "list").err
    outcome = command("feedback", "full", "1", "--source", "verifier:exact")
    assert (outcome.code, outcome.err) == (0, "")
    assert "it counts for ada" in outcome.out
    with open_store("sqlite:///agentmesh.db", read_only=True) as store:  # a reader takes today's schema alone
        assert store.check() == []


def test_a_command_that_writes_makes_no_database_where_there_is_none(command, folder):
    outcome = command("feedback", "full", "1")
    assert (outcome.code, outcome.out) == (1, "")
    assert "there is no file 'agentmesh.db'" in outcome.err
    assert not (folder / "agentmesh.db").exists()
