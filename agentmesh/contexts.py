"""What is known beside a task, piece by piece, and what became of each piece as an agent's slice of it was cut."""

from pydantic import Field

from agentmesh.frozen import Record
from agentmesh.types import AgentId


class ContextItem(Record):
    """One piece of what is known beside the task: a document, or what an earlier stage of a workflow found.

    ``key`` names it; of several versions of one key the highest holds. ``stage`` and ``agent_id`` say where it came
    from, as far as that is known. ``number`` counts what was written over all keys, so that the later is known from the
    earlier; 0 where that is not known. A slice prefers what is ``pinned``: a stage right before wrote it.
    """

    key: str
    text: str
    version: int = Field(default=1, ge=1)
    stage: str = ""
    agent_id: AgentId | None = None
    number: int = Field(default=0, ge=0)
    pinned: bool = False


class SlicedItem(Record):
    """What became of one item of a context as an agent's slice was cut: whether it is in it, and why."""

    key: str
    version: int = 1
    tokens: int = Field(ge=0)
    score: float
    kept: bool
    why: str = ""
