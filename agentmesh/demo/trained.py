"""The GNN router that ships in this package, trained on questions that are not among the demo's."""

from pathlib import Path
from typing import Final

from agentmesh.demo.team import shipped_data
from agentmesh.errors import ConfigError
from agentmesh.routing.base import Router
from agentmesh.routing.state_file import read_router

GNN_FILE: Final = "gnn.safetensors"
"""Written by tools/train_demo_gnn.py; needs no torch to be read."""


def shipped_gnn(folder: Path | None = None) -> Router:
    """Read the trained router from the package, or from a folder.

    Raises:
        ConfigError: the shipped files were changed.
    """
    return read_router((folder or shipped_data()) / GNN_FILE)


def trained_on(router: Router) -> int:
    """Return on how many questions a router was trained.

    Raises:
        ConfigError: it does not say so.
    """
    tasks = router.training.get("tasks")
    if not isinstance(tasks, int):
        raise ConfigError(f"router {router.name!r} says of its training {dict(router.training)!r}; expected its tasks")
    return tasks
