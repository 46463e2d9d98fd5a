"""What the app watches, and what it knows of it."""

from dataclasses import dataclass, field

from agentmesh.mesh import Mesh
from agentmesh.store.base import TraceStore
from agentmesh.tui.board import Board
from agentmesh.tui.sources import Source
from agentmesh.types import Clock, SystemClock


@dataclass(slots=True)
class Watched:
    """A source of events, the store where their runs are kept, and what was seen.

    The store may be open for reading only. ``mesh`` is there where a mesh in this process is watched.
    """

    source: Source
    store: TraceStore
    mesh: Mesh | None = None
    clock: Clock = field(default_factory=SystemClock)
    board: Board = field(default_factory=Board)
