"""Finds a stored run by its id, or by enough of its beginning."""

from agentmesh.errors import RunNotFoundError
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.types import RunId

NAMED = 5
"""Runs that an error names, where several begin alike."""


def find_run(store: TraceStore, beginning: str) -> RunId:
    """Return the id of the run that is called ``beginning``, or whose id alone begins so.

    The runs of the stages of a workflow begin as that does; they count only where no other run begins so.

    Raises:
        RunNotFoundError: there is none, or there are several.
    """
    found = _beginning(store, beginning, alone=True) or _beginning(store, beginning, alone=False)
    if beginning in found or not found:
        return beginning
    if len(found) == 1:
        return found[0]
    if _is_stored(store, beginning):
        return beginning
    named = ", ".join(map(repr, found[:NAMED])) + (" and more" if len(found) > NAMED else "")
    raise RunNotFoundError(f"several runs in {store.url!r} begin with {beginning!r}: {named}; give more of the id")


def _beginning(store: TraceStore, beginning: str, *, alone: bool) -> list[RunId]:
    where = RunFilter(prefix=beginning, alone=alone)
    return [summary.id for summary in store.runs(where, limit=NAMED + 1)]


def _is_stored(store: TraceStore, run_id: RunId) -> bool:
    try:
        store.events(run_id, limit=1)
    except RunNotFoundError:
        return False
    return True
