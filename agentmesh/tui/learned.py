"""What the screen of the routers shows of one of them, as a worker reads it from the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agentmesh.errors import AgentMeshError
from agentmesh.learning.changes import HasTrails, TrailChanges, changes, trails_of
from agentmesh.learning.curve import CurvePoint, learning_curve
from agentmesh.learning.history import REACH, Stop, router_at_stop, stops_of
from agentmesh.learning.inspection import RouterReport
from agentmesh.learning.versions import StoredRouter, fresh_router
from agentmesh.routing.trails import TrailMap
from agentmesh.store.base import TraceStore
from agentmesh.tui.learning_presenters import COMPARED


@dataclass(frozen=True, slots=True)
class LearnedRouter:
    """A router, its history and its curve; ``maps`` are the trails at the places that were read so far."""

    name: str
    report: RouterReport
    stops: Sequence[Stop]
    curve: Sequence[CurvePoint]
    keeps_trails: bool
    maps: dict[int, TrailMap] = field(default_factory=dict)

    @property
    def newest_in_reach(self) -> int:
        """Return the number of the newest place that is read within seconds; later ones are read when asked for."""
        near = [number for number, stop in enumerate(self.stops) if stop.sequence - stop.base <= REACH]
        return near[-1]


@dataclass(frozen=True, slots=True)
class TrailsAt:
    """The trails at a place, and what changed since the place before; ``changed`` is ``None`` at the first one."""

    place: int
    trails: TrailMap
    changed: TrailChanges | None


def learned_router(store: TraceStore, name: str, stored: StoredRouter) -> LearnedRouter:
    """Read the history of a router; nothing is learned anew.

    Raises:
        StoreError: the store cannot be read.
    """
    stops, curve = stops_of(store, stored), learning_curve(store)
    report = RouterReport(stored=stored, version=stops[-1].version)
    try:
        router = fresh_router(store, stored)
    except AgentMeshError as error:
        return LearnedRouter(name, report.model_copy(update={"error": str(error)}), stops, curve, False)
    found = report.model_copy(update={"arguments": dict(router.parameters)})
    return LearnedRouter(name, found, stops, curve, isinstance(router, HasTrails))


def trails_at(
    store: TraceStore, learned: LearnedRouter, place: int, *, goes_on: Callable[[], bool] = lambda: True
) -> TrailsAt | None:
    """Return the trails of a router at a place of its history, ``None`` where nobody waits for them any more.

    What was read before is taken from ``learned.maps``: one place at a time may be read.

    Raises:
        ConfigError, PluginError, StoreError: the router cannot be rebuilt there.
    """
    for number in (place - 1, place):
        if number < 0 or number in learned.maps:
            continue
        router = router_at_stop(store, learned.report.stored, learned.stops[number], goes_on=goes_on)
        trails = trails_of(router)
        if trails is None:
            return None
        learned.maps[number] = trails
    shown, before = learned.maps[place], learned.maps.get(place - 1)
    return TrailsAt(place, shown, None if before is None else changes(before, shown, most=COMPARED))
