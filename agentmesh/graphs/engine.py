"""LangGraph, and our graphs in it: loaded when a mesh opens or a run is replayed, by a thread.

It takes seconds to load, most of them for what LangGraph itself brings along. A process that makes a mesh to read its
agents, or decides stored tasks again, does without. So it is used as ``engine.compile_workflow()``, and never imported
by name.
"""

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

_HOMES: Final = {"compile_workflow": "builder", "compiled": "workflow.graph", "most_steps": "workflow.graph"}

if TYPE_CHECKING:
    from agentmesh.graphs.builder import compile_workflow as compile_workflow
    from agentmesh.graphs.workflow.graph import compiled as compiled
    from agentmesh.graphs.workflow.graph import most_steps as most_steps
else:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"agentmesh.graphs.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


async def ready() -> None:
    """Return when all is loaded, so that no run has to wait for it while its time passes."""
    if not _HOMES.keys() <= globals().keys():
        await asyncio.to_thread(_load)


def _load() -> None:
    for name in _HOMES:
        getattr(sys.modules[__name__], name)
