"""A folder with a user's app in it, and a way to run commands there."""

import gzip
import json
import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentmesh.cli.app import COMMANDS, Entry, main

APP = """
from agentmesh import Mesh, Task, agent

@agent(description="Solves arithmetic word problems.", skills=["math"], price_per_call_usd="0.0002")
async def mathematician(task: Task) -> str:
    if "fail" in task.text:
        raise ValueError("no idea\\x1b[31m")
    return "84\\x1b[31m" if "colour" in task.text else "84"

@agent(description="Answers questions on world history.", skills=["history"], price_per_call_usd="0.5")
async def historian(task: Task) -> str:
    return "In 1789."

def build():
    return Mesh([mathematician, historian], store="sqlite:///agentmesh.db", explore=0)

async def build_later():
    return build()

def fails():
    raise ValueError("the key is missing")

def alone():
    return Mesh([mathematician], store="sqlite:///agentmesh.db")

class Holder:
    mesh = build()

mesh = build()
number = 3
"""

MATH = "What is 12 * 7, an arithmetic word problem?"


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return stdout read as JSON."""
        return json.loads(self.out)


Command = Callable[..., Outcome]
MadeOnce = Callable[..., Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder with a user's ``app.py``; forget what was imported from it."""
    before = set(sys.modules)
    for variable in ("AGENTMESH_DB", "AGENTMESH_APP", "AGENTMESH_EMBEDDER", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command as the console script does, and return how it ended."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return run


@pytest.fixture(scope="session")
def kept_databases() -> dict[Hashable, tuple[bytes, Any]]:
    """Return where databases are kept by what made them, each with what was said of it."""
    return {}


@pytest.fixture
def made_once(folder: Path, kept_databases: dict[Hashable, tuple[bytes, Any]]) -> MadeOnce:
    """Return what has ``agentmesh.db`` made the first time, and copies it later; it returns what ``make`` did."""
    database = folder / "agentmesh.db"

    def bring(make: Callable[[], Any], *, name: Hashable) -> Any:
        if name not in kept_databases:
            said = make()
            assert not database.with_name("agentmesh.db-wal").exists()  # all of it is in the one file
            kept_databases[name] = (database.read_bytes(), said)
        content, said = kept_databases[name]
        database.write_bytes(content)
        return said

    return bring


@pytest.fixture
def run_id(command: Command, made_once: MadeOnce) -> str:
    """Run one task with the user's app and return the run's id."""

    def run() -> str:
        outcome = command("run", MATH, "--app", "app:mesh", "--json")
        assert outcome.code == 0, outcome.err
        return str(outcome.json["id"])

    return str(made_once(run, name="one run"))


@pytest.fixture
def broken_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Add a command that raises, or returns, what the expression it is given makes."""
    source = """
import click
from agentmesh.errors import *

@click.command()
@click.argument("expression")
def broken(expression):
    made = eval(expression)
    if isinstance(made, BaseException):
        raise made
    return made
"""
    (folder / "broken_command.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(COMMANDS, "broken", Entry("broken_command", "broken", "Break."))
    return "broken"


@pytest.fixture
def recorded_set(folder: Path) -> str:
    """Write a recorded set of 24 questions and two agents, each right on its own kind, and return its folder."""
    here = folder / "tiny"
    here.mkdir()
    about = {"name": "tiny", "kind": "outcomes", "source": "made up", "licence": "CC0", "note": ""}
    (here / "set.json").write_text(json.dumps(about), encoding="utf-8")
    agents = [
        {"id": "adder", "description": "Adds."},
        {"id": "poet", "description": "Rhymes.", "price_per_call_usd": 0.01},
    ]
    (here / "agents.jsonl").write_text("\n".join(map(json.dumps, agents)) + "\n", encoding="utf-8")
    tasks, outcomes = [], ["task,agent,quality,input_tokens,output_tokens,cost_usd"]
    for number in range(24):
        split = ("train", "train", "val", "test")[number // 2 % 4]
        text, right = (f"add {number} and 2", "adder") if number % 2 else (f"a rhyme on the number {number}", "poet")
        tasks.append(json.dumps({"id": f"t{number}", "split": split, "text": text, "group": right}))
        for agent, cost in (("adder", 0.001), ("poet", 0.01)):
            outcomes.append(f"t{number},{agent},{int(agent == right)},5,5,{cost}")
    with gzip.open(here / "tasks.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(tasks) + "\n")
    with gzip.open(here / "outcomes.csv.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(outcomes) + "\n")
    return str(here)
