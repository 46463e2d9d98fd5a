"""Puts a trained candidate in the place of what serves: it learns what came meanwhile, and a mark sets it."""

import json
from dataclasses import dataclass
from typing import Final

from agentmesh.learning.faults import keep_fault
from agentmesh.learning.learner import learn_until
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.learning.versions import StoredRouter, put_router_mark
from agentmesh.records import LearningFault, RouterMark
from agentmesh.routing.base import Router
from agentmesh.store.base import TraceStore
from agentmesh.types import Clock

TRIES: Final = 10
"""Marks at most until one holds all that was stored before it: each takes milliseconds, in which few outcomes come."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """The mark that holds now, and the version that served before the candidate."""

    mark: RouterMark
    replaced: str


def promote(store: TraceStore, stored: StoredRouter, candidate: Router, *, note: str, clock: Clock) -> Promoted | None:
    """Have ``candidate`` learn all that came after its own number, and let it serve from a mark on.

    An outcome stored between the last one learned and the mark would be lost to it, so it learns that too and is marked
    again, until none was.

    Returns:
        ``None`` where somebody reset the router or rolled it back after ``stored`` was read: a person's word stands
        above a comparison that did not know of it.
    """
    embedder, first = EmbedderOf(stored.embedder), 0
    read = max([0, *(mark.sequence for mark in stored.marks)])
    mark = RouterMark(
        router=stored.key, root=stored.root, parameters=stored.root, kind="trained", at=clock.now(), note=note
    )
    learn_until(store, candidate, embedder)
    if any(later.kind != "trained" for later in store.marks(stored.key, stored.root, after=read)):
        return None
    for _ in range(TRIES):
        mark = put_router_mark(store, mark, candidate)
        first = first or mark.sequence
        if not store.experiences(candidate.sequence, until=mark.sequence, limit=1):
            break
        learn_until(store, candidate, embedder)
    else:
        missed = f"outcomes before mark {mark.sequence} came too fast for router {stored.name!r} to learn them all"
        keep_fault(store, LearningFault(at=clock.now(), source="retraining", message=missed))
    # after the mark: without it, this hash would look like another router
    store.put_router(stored.name, candidate.parameters_hash, json.dumps(dict(candidate.parameters)))
    return Promoted(mark, _held_before(store, stored, first))


def _held_before(store: TraceStore, stored: StoredRouter, number: int) -> str:
    """Return the version that served before the mark at ``number``."""
    marks = tuple(store.marks(stored.key, stored.root, until=number - 1))
    return f"{stored.model_copy(update={'marks': marks}).held_at(number - 1)}@{number - 1}"
