"""The doctor: what it looks at, and that it finds what is broken."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agentmesh.cli.doctor import installed, packages, requirements


def named(checks):
    return {check["name"]: check for check in checks}


def test_a_sound_installation_exits_0_and_tells_what_was_found(command):
    outcome = command("doctor", "--json")
    checks = named(outcome.json["checks"])
    assert (outcome.code, outcome.json["ok"]) == (0, True)
    assert checks["python"]["detail"].startswith("3.")
    assert "click" in checks["packages"]["detail"]
    assert "ms a sentence" in checks["embedder static"]["detail"]
    assert "not there yet" in checks["database"]["detail"]
    assert checks["mesh"]["detail"].startswith("none named")


@pytest.mark.usefixtures("run_id")
def test_it_opens_the_database_and_looks_for_damage(command):
    [check] = [check for check in command("doctor", "--json").json["checks"] if check["name"] == "database"]
    assert check["detail"] == "sqlite:///agentmesh.db: 1 runs, no damage found"


def test_it_loads_the_mesh_that_is_named(command):
    checks = named(command("doctor", "--app", "app:mesh", "--json").json["checks"])
    assert checks["mesh"]["detail"].startswith("app:mesh: 2 agents, router ")


def test_it_prints_a_line_for_each_check(command):
    lines = command("doctor").out.splitlines()
    assert lines[0] == "\twhat\tfound"
    assert all(line.startswith("ok\t") for line in lines[1:])


def test_a_broken_database_exits_1_and_the_rest_is_still_checked(command):
    Path("notes.txt").write_text("remember the milk" * 100, encoding="utf-8")
    outcome = command("doctor", "--db", "sqlite:///notes.txt", "--json")
    broken = [check["name"] for check in outcome.json["checks"] if not check["ok"]]
    assert (outcome.code, broken) == (1, ["database"])
    assert outcome.json["checks"][-1]["name"] == "terminal"


@pytest.mark.usefixtures("run_id")
def test_a_torn_database_is_reported(command):
    whole = Path("agentmesh.db").read_bytes()
    Path("torn.db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert command("doctor", "--db", "sqlite:///torn.db").code == 1


def test_a_database_that_opens_but_has_a_hole_is_reported(command, run_id):
    with closing(sqlite3.connect("agentmesh.db")) as database:
        database.execute("delete from events where seq = 1")
        database.commit()
    broken = [check for check in command("doctor", "--json").json["checks"] if not check["ok"]]
    assert [check["name"] for check in broken] == ["database"]
    assert run_id in broken[0]["detail"]


def test_a_wrong_app_exits_1(command):
    assert command("doctor", "--app", "app:nothing").code == 1


def test_a_wrong_setting_exits_1_and_is_named(command, monkeypatch):
    monkeypatch.setenv("AGENTMESH_DB", "mesh.db")
    outcome = command("doctor")
    assert outcome.code == 1
    assert "BROKEN\tsettings\tConfigError: AGENTMESH_DB is 'mesh.db'" in outcome.out


def test_no_color_is_reported(command, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert named(command("doctor", "--json").json["checks"])["terminal"]["detail"].endswith("NO_COLOR is set")


def test_a_missing_package_is_broken_and_a_missing_extra_is_not():
    core, extra = packages(["click>=8", "surely-not-installed>=1", "nor-this; extra == 'gnn'"])
    assert (core.ok, core.detail) == (False, "missing: surely-not-installed")
    assert (extra.ok, extra.detail) == (True, "not installed: pip install 'agentmesh-routing[gnn]'")


def test_extras_for_developers_are_not_asked_for():
    assert requirements(["a; extra == 'dev'", "b; extra == 'all'", "c[x]>=1; extra == 'llm'"]) == {"": [], "llm": ["c"]}


@pytest.mark.parametrize(("name", "there"), [("click", True), ("surely-not-installed", False)])
def test_installed_packages_are_told_from_others(name, there):
    assert (installed(name) is not None) is there


RULES = """
from app import historian, mathematician
from agentmesh import Mesh, Preference

def pinned(*agents):
    return [Preference(action="pin", agents=agents), Preference(action="prefer", agents=("ghost",))]

sound = Mesh([mathematician, historian], preferences=[Preference(action="prefer", agents=("historian",))])
doubtful = Mesh([mathematician, historian], preferences=pinned("historian"), store="sqlite:///agentmesh.db")
broken = Mesh([mathematician, historian], preferences=pinned("gone"), store="sqlite:///agentmesh.db")
"""


@pytest.mark.parametrize(
    ("mesh", "ok", "detail"),
    [
        ("sound", True, "no fault found"),
        ("doubtful", True, "warning in rule 1: 'ghost' is not registered: prefer 'ghost'"),
        (
            "broken",
            False,
            "ConfigError: error in rule 0: 'gone' is not registered: pin 'gone'; "
            "warning in rule 1: 'ghost' is not registered: prefer 'ghost'",
        ),
    ],
)
def test_it_lints_the_preferences_of_the_mesh_that_is_named(command, folder, mesh, ok, detail):
    (folder / "rules.py").write_text(RULES, encoding="utf-8")
    outcome = command("doctor", "--app", f"rules:{mesh}", "--json")
    check = named(outcome.json["checks"])["preferences"]
    assert (outcome.code, check["ok"], check["detail"]) == (int(not ok), ok, detail)


def test_it_names_the_rules_that_contradict(command, folder):
    rules = 'Preference(action="pin", agents=("historian",)), Preference(action="forbid", agents=("historian",))'
    torn = f"\ntorn = Mesh([mathematician, historian], preferences=[{rules}])\n"
    (folder / "rules.py").write_text(RULES + torn, encoding="utf-8")
    check = named(command("doctor", "--app", "rules:torn", "--json").json["checks"])["preferences"]
    assert check["detail"].startswith("ConfigError: error in rules 0 and 1: all that is pinned is forbidden")


def test_a_run_that_no_pin_lets_through_exits_3_and_is_explained(command, folder):
    (folder / "rules.py").write_text(RULES, encoding="utf-8")
    outcome = command("run", "Who built Petra?", "--app", "rules:broken", "--json")
    assert (outcome.code, outcome.json["status"]) == (3, "abstained")
    assert command("route", "Who built Petra?", "--app", "rules:broken").code == 3
    told = command("explain", outcome.json["id"]).out
    assert "Fault of a rule: pin 'gone': 'gone' is not registered" in told
    found = command("explain", outcome.json["id"], "--json").json
    assert (found["rules"], len(found["faults"])) == (["pin 'gone'", "prefer 'ghost'"], 2)
    assert "Rule: pin 'gone'" in command("runs", "show", outcome.json["id"]).out


def test_it_repairs_a_database_says_what_it_did_and_exits_0_when_it_is_clean(command, run_id):
    with closing(sqlite3.connect("agentmesh.db")) as database, database:
        database.execute("update runs set status = 'failed'")
    assert command("doctor", "--json").code == 1
    outcome = command("doctor", "--repair")
    copied, drawn, last = outcome.out.splitlines()
    assert (outcome.code, last) == (0, "sqlite:///agentmesh.db: no damage found")
    assert "agentmesh.backup.db" in copied
    assert f"drew the rows of run {run_id!r} anew" in drawn
    again = command("doctor", "--repair", "--json").json
    assert (again["ok"], len(again["done"]), again["left"]) == (True, 1, [])


def test_what_cannot_be_repaired_exits_1_and_names_the_runs_that_were_lost(command, run_id):
    with closing(sqlite3.connect("agentmesh.db")) as database, database:
        database.execute("delete from events where seq = 1")
    outcome = command("doctor", "--repair")
    assert outcome.code == 1
    assert f"lost run {run_id!r}" in outcome.out
    assert "BROKEN\trun" in outcome.out
    assert outcome.out.endswith("sqlite:///agentmesh.db: damaged\n")


def test_a_repair_of_a_database_that_is_not_there_exits_1_and_makes_none(command):
    outcome = command("doctor", "--repair", "--db", "sqlite:///nothing.db")
    assert (outcome.code, Path("nothing.db").exists()) == (1, False)
    assert "there is no file" in outcome.err
