"""The history of a stored router: the places in the log at which it can be shown, and the router as it was there.

States are stored whole at few places. The places between are learned anew from the state before them: a state is a
function of the log, so this is what the router was, not an estimate.
"""

from collections.abc import Callable
from typing import Final, Literal

from agentmesh.learning.learner import learn_until
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.learning.versions import StoredRouter, router_at
from agentmesh.records import Record, RouterMark
from agentmesh.routing.base import Router
from agentmesh.store.base import TraceStore

PARTS: Final = 16
"""Into how many parts the log is divided by places of the same distance, beside those that are stored."""

REACH: Final = 2000
"""Outcomes that are learned anew at most for a place between two that are stored: a few seconds."""

STEP: Final = 250
"""Outcomes that are learned between two questions whether anybody still waits."""


class Stop(Record):
    """A place of the log at which a router can be shown; ``at`` is the time of the outcome there (Unix seconds).

    ``kind`` is ``"start"`` before anything was learned, ``"stored"`` where a state is stored whole, ``"mark"`` where
    somebody set it, ``"learned"`` where it is learned anew from the place ``base``. ``outcomes`` were learned from
    since the mark at ``since``, or without one, from the beginning. ``note`` tells of the mark.
    """

    version: str
    sequence: int
    kind: Literal["start", "stored", "mark", "learned"]
    base: int
    outcomes: int
    since: int | None = None
    at: float | None = None
    note: str = ""


def stops_of(store: TraceStore, stored: StoredRouter, *, parts: int = PARTS, reach: int = REACH) -> tuple[Stop, ...]:
    """Return the places at which a router can be shown, from the first to the end of the log.

    Args:
        store: Where it is kept.
        stored: The router.
        parts: Into how many parts the log is divided by places between those that are stored.
        reach: Outcomes that may have to be learned anew for such a place; the end of the log is always there.

    Raises:
        StoreError: the store cannot be read.
    """
    last = store.last_experience()
    bases = _bases(stored, last)
    between = [last * part // parts for part in range(1, parts)]
    places = sorted({*bases, last, *(place for place in between if place - _before(bases, place) <= reach)})
    all_marks = [mark.sequence for mark in store.every_mark()]
    return tuple(_stop(store, stored, bases, place, all_marks) for place in places)


def _bases(stored: StoredRouter, last: int) -> dict[int, float | None]:
    """Return the places where a state of what held there is stored, each with its time; the beginning is one."""
    held = {
        state.sequence: state.at
        for state in stored.states
        if state.version == f"{stored.held_at(state.sequence)}@{state.sequence}" and state.sequence <= last
    }
    return {0: None, **held, **{mark.sequence: mark.at for mark in stored.marks}}


def _before(bases: dict[int, float | None], place: int) -> int:
    return max(base for base in bases if base <= place)


def _stop(
    store: TraceStore, stored: StoredRouter, bases: dict[int, float | None], place: int, all_marks: list[int]
) -> Stop:
    mark = next((one for one in reversed(stored.marks) if one.sequence <= place), None)
    since = 0 if mark is None else mark.sequence
    is_mark = mark is not None and mark.sequence == place
    at = bases.get(place) or None  # the state of a router that has learned nothing is of no time
    if at is None:
        at = next((one.at for one in store.experiences(max(place - 1, 0), until=place)), None)
    return Stop(
        version=f"{stored.held_at(place)}@{place}",
        sequence=place,
        kind="mark" if is_mark else "learned" if place not in bases else "stored" if place else "start",
        base=_before(bases, place),
        outcomes=place - since - sum(since < one <= place for one in all_marks),
        since=None if mark is None else since,
        at=at,
        note="" if mark is None or not is_mark else _note(mark),
    )


def _note(mark: RouterMark) -> str:
    parts = [mark.kind, *([] if mark.target is None else [f"to {mark.target}"]), mark.note]
    return " ".join(part for part in parts if part)


def router_at_stop(
    store: TraceStore, stored: StoredRouter, stop: Stop, *, goes_on: Callable[[], bool] = lambda: True
) -> Router | None:
    """Return a router as it was at a place, ``None`` where nobody waits for it any more.

    Args:
        store: Where it is kept.
        stored: The router.
        stop: The place, one of :func:`stops_of`.
        goes_on: Asked every ``STEP`` outcomes whether anybody still waits.

    Raises:
        ConfigError, PluginError, StoreError: as for :func:`agentmesh.learning.versions.router_at`.
    """
    router = router_at(store, stored, f"{stored.held_at(stop.base)}@{stop.base}")
    embedder = EmbedderOf(stored.embedder)
    for reached in range(stop.base, stop.sequence, STEP):
        if not goes_on():
            return None
        learn_until(store, router, embedder, until=min(reached + STEP, stop.sequence))
    return router
