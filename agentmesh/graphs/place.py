"""Where a run stands: by itself, or as a stage of a workflow."""

from dataclasses import dataclass

from agentmesh.events import RunStarted
from agentmesh.types import AgentId, RunId


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a run was forked: from ``run_id`` at its event number ``at``, with what is named in ``changed``."""

    run_id: RunId
    at: int
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """What a run is a part of.

    ``parent`` is the run of its workflow and ``stage`` the stage that it does. ``layer`` is how many stages stand
    before that one, and ``previous`` the agent that answered right before it; 0 and "" are the start.
    ``workflow`` is the fingerprint of the workflow that it is itself a run of. ``fork`` is where it was forked,
    ``None`` for a run that began by itself.
    """

    parent: RunId | None = None
    stage: str = ""
    layer: int = 0
    previous: AgentId = ""
    workflow: str = ""
    fork: Fork | None = None

    @classmethod
    def of(cls, started: RunStarted) -> "Place":
        """Return where a stored run stands."""
        return cls(started.parent, started.stage, started.layer, started.previous, started.workflow)


ALONE = Place()
"""The place of a run that is no part of anything."""
