"""A stored task run again, live, by the mesh of today, and where that run parts from the stored one."""

import asyncio

from agentmesh.capture import why_not_whole
from agentmesh.errors import ConfigError
from agentmesh.events import RunStarted
from agentmesh.mesh import Mesh
from agentmesh.playback.diff import RunDiff, diff
from agentmesh.records import Record, Run
from agentmesh.store.base import TraceStore
from agentmesh.types import RunId


class Rerun(Record):
    """A new run of a stored task, and how it differs from the stored one."""

    run: Run
    diff: RunDiff


async def rerun(mesh: Mesh, run_id: RunId, *, store: TraceStore | None = None, new_id: RunId | None = None) -> Rerun:
    """Run a stored task again: agents are called, it costs what they cost, and the new run is stored.

    Task and limits are those of the stored run; agents, router, rules and all else are the mesh's. A secret that was
    hidden is not in the store, so an agent that needs it sees its placeholder.

    Args:
        mesh: An open mesh.
        run_id: The stored run.
        store: Where it is kept, if that is not the mesh's store.
        new_id: A name of your own for the new run.

    Raises:
        RunNotFoundError: no such run is stored.
        ConfigError: the stored run never started, the store does not keep what was asked, or the mesh is not open.
        RoutingError, StoreError: as for :meth:`agentmesh.Mesh.run`.
    """
    kept = mesh.store if store is None else store
    events = await asyncio.to_thread(kept.events, run_id)
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None:
        raise ConfigError(f"run {run_id!r} in {kept.url!r} never started; there is no task to run again")
    lost = why_not_whole(started.capture, [started.model_dump_json()])
    if lost:
        raise ConfigError(f"run {run_id!r} in {kept.url!r} cannot be run again: {lost}; give the mesh its task anew")
    run = await mesh.run(started.task, limits=started.limits, run_id=new_id)
    compared = await asyncio.to_thread(diff, kept, run_id, run.id, other=mesh.store)
    return Rerun(run=run, diff=compared)
