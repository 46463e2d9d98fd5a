"""What an import pulls in, which way imports point, and what the package calls public."""

import subprocess
import sys
from ast import literal_eval
from importlib import import_module
from pathlib import Path

import pytest

import agentmesh
from agentmesh.store import open_store
from agentmesh.testing.traces import start

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "torch_geometric",
    "httpx",
    "langchain_core",
    "langgraph",
    "langsmith",
    "litellm",
    "openai",
    "opentelemetry",
    "textual",
    "sqlalchemy",
    "networkx",
}
HELP = "import sys; sys.argv = ['agentmesh', '--help']; from agentmesh.cli.app import main; main()"
PUBLIC = """
    Agent AgentCard AgentMeshError Answer Approval Capture Feedback Health Learning Limits Mesh Objective Preference
    PromptedAgent PromptedRefiner RecordedAgent Refiner Replay RouteDecision Router Run RunStatus ScoringRouter Secrets
    Task Team Usage
    VoteRefiner agent diff open_store replay rerun whatif
    Condition GraphAgent MeshAgent Over Stage Workflow as_node
"""


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh process has loaded after ``code``."""
    return tops(modules_loaded_by(code))


def modules_loaded_by(code: str) -> set[str]:
    """Return all modules that a fresh process has loaded after ``code``."""
    tail = "\nimport sys; print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def tops(modules: set[str]) -> set[str]:
    """Return the packages that modules belong to."""
    return {name.partition(".")[0] for name in modules}


def parts(modules: set[str]) -> set[str]:
    """Return the parts of agentmesh that modules belong to."""
    return {name.split(".")[1] for name in modules if name.startswith("agentmesh.")}


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import agentmesh") & (HEAVY | {"numpy", "pydantic", "rich", "click"}) == set()


def test_help_loads_click_and_nothing_heavy():
    loaded = loaded_by(HELP)
    assert "click" in loaded
    assert loaded & (HEAVY | {"numpy", "pydantic", "rich"}) == set()


@pytest.mark.parametrize(
    "module",
    [
        "records",
        "events",
        "routing.base",
        "routing.gnn.router",
        "routing.reasoning.router",
        "routing.reasoning.options",
        "llm",
        "agents.base",
        "store.base",
        "cli.runs",
        "cli.doctor",
        "cli.knowledge",
        "cli.telemetry",
        "telemetry",
    ],
)
def test_the_seams_load_nothing_heavy(module):
    assert loaded_by(f"import agentmesh.{module}") & HEAVY == set()


DECIDING = {"agents", "graphs", "judging", "knowledge", "learning", "llm", "protocols", "routing"}
"""Packages that decide, act and learn: who only reads needs none of them."""


OPENED = """
import asyncio, sys
from agentmesh import Mesh, agent, replay, whatif
@agent(description="Says nothing.")
async def silent(task): return ""
mesh = Mesh([silent], embedder="hashing")
print({name.partition(".")[0] for name in sys.modules})
async def opened():
    async with mesh:
        print("langgraph" in sys.modules, "agentmesh.graphs.builder" in sys.modules)
asyncio.run(opened())
"""
"""Prints what is loaded once a mesh is made, and whether LangGraph and our graph are once it is open."""


def test_a_mesh_loads_langgraph_as_it_opens_and_not_before():
    done = subprocess.run([sys.executable, "-c", OPENED], capture_output=True, text=True, check=True)
    made, opened = done.stdout.splitlines()
    assert literal_eval(made) & HEAVY == set()
    assert opened == "True True"


def test_commands_that_read_load_what_reads_a_database_and_nothing_that_decides(tmp_path):
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    with open_store(url) as store:
        store.append([start("known")])
    reading = [("runs", "list"), ("runs", "show", "known"), ("watch", "--json", "known")]
    calls = ", ".join(f"main({[*words, '--db', url]!r})" for words in reading)
    loaded = modules_loaded_by(f"from agentmesh.cli.app import main; assert ({calls}) == (0, 0, 0)")
    assert {"sqlalchemy", "agentmesh.tui.presenters"} <= loaded
    assert tops(loaded) & (HEAVY - {"sqlalchemy"} | {"numpy", "platformdirs"}) == set()
    assert parts(loaded) & DECIDING == set()


def test_the_watcher_opens_without_what_only_some_of_its_keys_ask_for():
    loaded = modules_loaded_by(
        "import agentmesh.cli.watch, agentmesh.cli.target, agentmesh.tui.app, agentmesh.store.opening"
    )
    assert "textual" in loaded
    assert tops(loaded) & (HEAVY - {"textual"} | {"numpy", "tokenizers", "aiohttp"}) == set()
    assert parts(loaded) & DECIDING == set()
    assert "agentmesh.cli.watch_web" not in loaded


def test_help_loads_hardly_more_than_the_library_that_prints_it():
    loaded, bare = modules_loaded_by(HELP), modules_loaded_by("import click")
    assert {name for name in loaded if tops({name}) == {"agentmesh"}} == {
        "agentmesh",
        "agentmesh.cli",
        "agentmesh.cli.app",
        "agentmesh.display",
        "agentmesh.errors",
        "agentmesh.lazy",
    }
    assert len(loaded - bare) < 40


@pytest.mark.timeout(120)
def test_imports_point_the_way_of_the_plan():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_public_names_are_these_and_no_others():
    assert sorted(agentmesh.__all__) == sorted(PUBLIC.split())


@pytest.mark.parametrize("name", PUBLIC.split())
def test_a_public_name_is_there_and_documented(name):
    assert getattr(agentmesh, name).__doc__
    assert name in dir(agentmesh)


@pytest.mark.parametrize("module", ["agentmesh", "agentmesh.graphs.engine", "agentmesh.types"])
def test_a_name_that_a_module_which_loads_late_does_not_have_is_refused_by_name(module):
    with pytest.raises(AttributeError, match=f"'{module}' has no attribute 'Agnet'"):
        import_module(module).Agnet  # noqa: B018 - the access is what is tested
