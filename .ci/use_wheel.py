"""Uses an installed agentmesh as a stranger would. Arguments: a demo's JSON, the environment it is installed in."""

import json
import sys
from importlib.metadata import distribution
from pathlib import Path

import agentmesh
from agentmesh import Mesh, Task, agent


@agent(description="Says the task back.")
async def echo(task: Task) -> str:
    """Return the task's text."""
    return task.text


def check(holds: bool, claim: str) -> None:
    """End with ``claim`` when it does not hold."""
    if not holds:
        sys.exit(f"the installed wheel fails: {claim}")


demo = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
home = Path(sys.argv[2]).resolve()
files = [str(path) for path in distribution("agentmesh-routing").files or ()]
check(Path(agentmesh.__file__).resolve().is_relative_to(home), f"agentmesh was imported from {agentmesh.__file__}")
check(any(name.endswith("licenses/LICENSE") for name in files), "it carries no LICENSE")
check(any(name.endswith("licenses/NOTICE") for name in files), "it carries no NOTICE")
check("agentmesh/py.typed" in files, "it carries no py.typed")
ours = ("tests/", "benchmarks/", "examples/")
check(not any(name.startswith(ours) for name in files), "it carries files of the repository alone")
check(0 < demo["baselines"]["gnn"]["quality"] <= 1, "it carries no weights for the demo's gnn")
check(demo["tasks"] > 0 and 0 < demo["quality"] <= 1, f"the demo printed {demo!r}")
check(Mesh([echo]).run_sync("ping").answer == "ping", "a mesh of one echo does not answer")
