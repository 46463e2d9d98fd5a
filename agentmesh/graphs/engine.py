"""LangGraph, and our graphs in it: loaded when a mesh opens or a run is replayed, by a thread.

It takes seconds to load, most of them for what LangGraph itself brings along. A process that makes a mesh to read its
agents, or decides stored tasks again, does without. So it is used as ``engine.compile_workflow()``, and never imported
by name.
"""

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from agentmesh.lazy import lazily

_HOMES: Final = {
    "compile_workflow": "graphs.builder",
    "compiled": "graphs.workflow.graph",
    "most_steps": "graphs.workflow.graph",
}

if TYPE_CHECKING:
    from agentmesh.graphs.builder import compile_workflow as compile_workflow
    from agentmesh.graphs.workflow.graph import compiled as compiled
    from agentmesh.graphs.workflow.graph import most_steps as most_steps
else:
    __getattr__ = lazily(__name__, _HOMES)


async def ready() -> None:
    """Return when all is loaded, so that no run has to wait for it while its time passes."""
    if not _HOMES.keys() <= globals().keys():
        await asyncio.to_thread(_load)


def _load() -> None:
    for name in _HOMES:
        getattr(sys.modules[__name__], name)
