"""What the app watches, and what it knows of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentmesh.errors import ConfigError
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.tui import late
from agentmesh.tui.board import Board
from agentmesh.tui.sources import Source
from agentmesh.types import AgentId, Clock, RunId, SystemClock

if TYPE_CHECKING:
    from agentmesh.mesh import Mesh


@dataclass(slots=True)
class Watched:
    """A source of events, the store where their runs are kept, and what was seen.

    The store may be open for reading only. ``mesh`` is there where a mesh in this process is watched. ``note`` is said
    above the runs.
    """

    source: Source
    store: TraceStore
    mesh: "Mesh | None" = None
    clock: Clock = field(default_factory=SystemClock)
    board: Board = field(default_factory=Board)
    note: str = ""


async def given_score(watched: Watched, run_id: RunId, score: float) -> str:
    """Write down what the answer of a run was worth, and return what came of it in words.

    Raises:
        ConfigError, RunNotFoundError, StoreError: it cannot be written, or was given before.
    """
    if watched.mesh is not None:
        await watched.mesh.feedback(run_id, score)
        return f"scored {score:g}; the router learns from it"

    def write() -> str:
        with _writable(watched) as store:
            learned = late.record_feedback(store, run_id, score)
        credit = ", ".join(dict.fromkeys(one.agent_id for one in learned))
        return f"scored {score:g}; " + (f"it counts for {credit}" if credit else "a better source came before")

    return await asyncio.to_thread(write)


async def given_answer(watched: Watched, run_id: RunId, agent_id: AgentId, verdict: str, text: str | None) -> str:
    """Write down whether a call may be made, and return what comes of it in words.

    Raises:
        ConfigError, RunNotFoundError, StoreError: the run does not wait for this, or it cannot be written.
    """
    if watched.mesh is not None:
        if verdict == "reject":
            run = await watched.mesh.reject(run_id, agent_id)
        else:
            run = await watched.mesh.approve(run_id, agent_id, text=text)
        return f"{verdict}: the run is {run.status.value.replace('_', ' ')}"

    def write() -> str:
        approved = late.Said.approving(agent_id, by="", text=text, note="")
        said = late.Said("reject", agent_id, "", None, "") if verdict == "reject" else approved
        with _writable(watched) as store:
            ready = late.record_answer(store, run_id, said, now=watched.clock.now())
        return "written down" if ready is None else f"written down; 'agentmesh runs resume {ready}' goes on with it"

    return await asyncio.to_thread(write)


@contextmanager
def _writable(watched: Watched) -> Iterator[TraceStore]:
    """Open the store once more, to write: the one that is watched may be open for reading only."""
    address = watched.store.address
    if address is None:
        raise ConfigError(f"the store {watched.store.url!r} cannot be written from here; watch it where its mesh runs")
    with open_store(address, create=False) as store:
        yield store
