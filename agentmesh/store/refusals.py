"""The errors that every store words alike."""

from agentmesh.errors import DuplicateEventError, RunNotFoundError, StoreError
from agentmesh.types import RunId


def duplicate(run_id: RunId, seq: int, url: str) -> DuplicateEventError:
    """Say that this place in the run's log is taken."""
    return DuplicateEventError(f"event {seq} of run {run_id!r} is already in {url!r}; nothing was written")


def no_run(run_id: RunId, url: str) -> RunNotFoundError:
    """Say that no event of this run is stored."""
    return RunNotFoundError(f"no run {run_id!r} in {url!r}; `agentmesh runs list` shows those that are")


def unfinished(run_id: RunId, url: str) -> StoreError:
    """Say that a run that is still being written takes no feedback, for its next seq is the writer's."""
    return StoreError(f"run {run_id!r} in {url!r} has not finished; a score is taken once run_finished is stored")


def no_registry(version: str, url: str) -> StoreError:
    """Say that no registry of this version is stored."""
    return StoreError(f"no registry {version!r} in {url!r}; put_registry stores one")


def closed(url: str) -> StoreError:
    """Say that the store was closed."""
    return StoreError(f"the store {url!r} is closed; open it again with open_store")


def hole(run_id: RunId, *, stored: int, last_seq: int) -> str:
    """Say that events are missing from the middle of a run's log."""
    return f"run {run_id!r} holds {stored} events but its last seq is {last_seq}: {last_seq + 1 - stored} are missing"
