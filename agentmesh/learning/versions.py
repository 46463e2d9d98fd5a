"""The routers that a store holds: found, rebuilt at a version, and set to another state by a mark.

A version is ``<parameters hash>@<number>``: the state after that experience. A mark takes a number of its own, so a
version names a state before it or from it on, never both. Whatever is set here is served by a mesh when it next comes
to the mark; nothing that was learned is deleted.
"""

import json
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from agentmesh.errors import ConfigError, StoreError
from agentmesh.events import RunStarted
from agentmesh.learning.learner import learn_until, restore_router, state_key
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.records import Record, RouterMark
from agentmesh.routing.base import Router
from agentmesh.routing.named import AUTO, router_named
from agentmesh.store.base import TraceStore
from agentmesh.types import Clock, SystemClock


class StoredState(Record):
    """A state that is stored whole: any other one is rebuilt from the one before it."""

    version: str
    sequence: int
    at: float


class StoredRouter(Record):
    """One router of a store: its name, the embedder of what it learned, and how it is built.

    ``root`` is the hash of the parameters it is built with; ``parameters`` that of the state which holds now, another
    one when it was fitted or trained. ``embedder`` is "" where neither a state nor a run tells.
    """

    name: str
    embedder: str
    root: str
    parameters: str
    states: tuple[StoredState, ...] = ()
    marks: tuple[RouterMark, ...] = ()

    @property
    def key(self) -> str:
        """Return the name its states are stored under."""
        return state_key(self.name, self.embedder)

    @property
    def sequence(self) -> int:
        """Return the number of the newest stored state or mark, 0 when there is none."""
        return max([0, *(state.sequence for state in self.states), *(mark.sequence for mark in self.marks)])

    @property
    def at(self) -> float | None:
        """Return the time of the newest stored state or mark, ``None`` when there is none."""
        return max([*(state.at for state in self.states), *(mark.at for mark in self.marks)], default=None)

    def held_at(self, sequence: int) -> str:
        """Return the parameters hash of the state that held after experience ``sequence``."""
        earlier = [mark.parameters for mark in self.marks if mark.sequence <= sequence]
        return earlier[-1] if earlier else self.root


def routers_in(store: TraceStore) -> list[StoredRouter]:
    """Return the routers that a store holds parameters or states of, those with the newest state first."""
    hashes: dict[str, set[str]] = {}
    embedders: dict[str, set[str]] = {}
    for stored_under, parameters in store.routers():
        name, _, embedder = stored_under.partition("+")
        hashes.setdefault(name, set()).add(parameters)
        embedders.setdefault(name, set()).update({embedder} - {""})
    found = [router for name in hashes for router in _routers_of(store, name, hashes[name], embedders[name])]
    return sorted(found, key=lambda router: (-router.sequence, router.name, router.root, router.embedder))


def _routers_of(store: TraceStore, name: str, hashes: set[str], embedders: set[str]) -> list[StoredRouter]:
    marked = {
        (embedder, root): store.marks(state_key(name, embedder), root) for embedder in embedders for root in hashes
    }
    fitted = {mark.parameters for (_, root), marks in marked.items() for mark in marks if mark.parameters != root}
    found = []
    for (embedder, root), marks in sorted(marked.items()):
        under = {root, *(mark.parameters for mark in marks)}
        states = _states(store, state_key(name, embedder), under)
        if states and root not in fitted:
            holds = marks[-1].parameters if marks else root
            found.append(
                StoredRouter(name=name, embedder=embedder, root=root, parameters=holds, states=states, marks=marks)
            )
    alone = sorted(hashes - fitted - {router.root for router in found})
    used = embedder_of_newest_run(store) if alone else ""
    return found + [StoredRouter(name=name, embedder=used, root=root, parameters=root) for root in alone]


def _states(store: TraceStore, key: str, hashes: set[str]) -> tuple[StoredState, ...]:
    found = [
        StoredState(version=f"{parameters}@{sequence}", sequence=sequence, at=at)
        for parameters in hashes
        for sequence, at in store.states(key, parameters)
    ]
    return tuple(sorted(found, key=lambda state: (state.sequence, state.version)))


def embedder_of_newest_run(store: TraceStore) -> str:
    """Return the version of the embedder that the newest run was routed with, "" when nothing was run."""
    newest = store.runs(limit=1)
    if not newest:
        return ""
    return next(event.embedder for event in store.events(newest[0].id) if isinstance(event, RunStarted))


def find_routers(
    store: TraceStore, name: str, *, parameters: str | None = None, embedder: str | None = None
) -> list[StoredRouter]:
    """Return the stored routers called ``name``, the one with the newest state first; at least one.

    Args:
        store: Where they are kept.
        name: The name of the router.
        parameters: Only the one with this hash, of its parameters or of a state it was given.
        embedder: Only those that learned with this version of an embedder, or with one of this name.

    Raises:
        StoreError: there is none.
    """
    held, called = routers_in(store), AUTO if name == "auto" else name
    found = [
        router
        for router in held
        if router.name == called
        and embedder in (None, router.embedder, router.embedder.partition("-")[0])
        and parameters in (None, router.root, *(mark.parameters for mark in router.marks))
    ]
    if not found:
        wanted = f"router {name!r}" + "".join(
            f" with {what} {value!r}" for what, value in (("parameters", parameters), ("embedder", embedder)) if value
        )
        raise StoreError(f"no {wanted} is stored in {store.url!r}; stored are: {_listed(held)}")
    return found


def served_router(store: TraceStore, name: str, *, embedder: str, root: str) -> StoredRouter:
    """Return the router that a mesh serves: its name, the embedder's version, and the hash of what it is built with."""
    marks = tuple(store.marks(state_key(name, embedder), root))
    holds = marks[-1].parameters if marks else root
    return StoredRouter(name=name, embedder=embedder, root=root, parameters=holds, marks=marks)


def only_router(found: Sequence[StoredRouter]) -> StoredRouter:
    """Return the one router in ``found``: what is about to be changed must not be guessed.

    Raises:
        ConfigError: there are several.
    """
    if len(found) > 1:
        several = f"router {found[0].name!r} is stored more than once"
        raise ConfigError(f"{several}; name the parameters or the embedder of one: {_listed(found)}")
    return found[0]


def _listed(routers: Sequence[StoredRouter]) -> str:
    return ", ".join(f"{one.name!r} {one.root!r} with embedder {one.embedder!r}" for one in routers) or "none"


class Place(NamedTuple):
    """A version in its two parts."""

    parameters: str
    sequence: int


def parsed_version(version: str) -> Place:
    """Split a version.

    >>> parsed_version("8cbf35509507@120")
    Place(parameters='8cbf35509507', sequence=120)

    Raises:
        ConfigError: ``version`` is none.
    """
    parameters, at_sign, number = version.partition("@")
    if not (parameters and at_sign and number.isascii() and number.isdigit()):
        raise ConfigError(f"{version!r} is no version; expected '<parameters hash>@<number>', as in '8cbf35509507@120'")
    return Place(parameters, int(number))


def place_of(store: TraceStore, stored: StoredRouter, version: str | None = None) -> Place:
    """Return the place in the log that a version names, or without one, where the log ends.

    Raises:
        ConfigError: the router never was at this version.
    """
    last = store.last_experience()
    if version is None:
        return Place(stored.held_at(last), last)
    place = parsed_version(version)
    if place.sequence > last:
        raise ConfigError(f"version {version!r} is not there yet; the log ends at {last}")
    held = stored.held_at(place.sequence)
    if held != place.parameters:
        was = f"{held}@{place.sequence}"
        raise ConfigError(f"router {stored.name!r} never was at {version!r}; at that number it was {was!r}")
    return place


def router_at(
    store: TraceStore,
    stored: StoredRouter,
    version: str | None = None,
    *,
    fresh: Router | None = None,
    on_fault: Callable[[str], None] | None = None,
) -> Router:
    """Return a router rebuilt as it was at ``version``, or as the whole log leaves it.

    A stored state that cannot be read is passed over where the log, or an older state, leads to the same one.

    Args:
        store: Where it is kept.
        stored: The router.
        version: What it was then; by default what it is now.
        fresh: The router as it was built, which takes the state over; by default its entry point makes it.
        on_fault: Told of each state that was passed over.

    Raises:
        ConfigError: the router never was at this version, or what is stored of it cannot be read.
        PluginError: no entry point names it.
        StoreError: the store lacks its parameters, or a state that cannot be learned again.
    """
    place, router, faults = place_of(store, stored, version), fresh or fresh_router(store, stored), list[str]()
    since = max([0, *(mark.sequence for mark in stored.marks if mark.sequence <= place.sequence)])
    restored = restore_router(
        store,
        router,
        stored.embedder,
        parameters=place.parameters,
        since=since,
        until=place.sequence,
        on_fault=faults.append,
    )
    if not restored and (since or router.parameters_hash != place.parameters):
        why = "; ".join(faults) or f"no state of {place.parameters!r} from {since} on is stored in {store.url!r}"
        raise StoreError(f"router {stored.name!r} cannot be rebuilt at {place.parameters}@{place.sequence}: {why}")
    if on_fault is not None:
        for fault in faults:
            on_fault(fault)
    learn_until(store, router, EmbedderOf(stored.embedder), until=place.sequence)
    return router


def fresh_router(store: TraceStore, stored: StoredRouter) -> Router:
    """Return the router as its user builds it, before it learned anything.

    Raises:
        StoreError: the store lacks its parameters.
        PluginError, ConfigError: no entry point names it, or it cannot be built with them.
    """
    text = store.router_parameters(stored.name, stored.root)
    if text is None:
        raise StoreError(f"{store.url!r} holds no parameters {stored.root!r} of router {stored.name!r}")
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise StoreError(
            f"the parameters of router {stored.name!r} in {store.url!r} are damaged: {text[:60]!r}"
        ) from error
    return router_named(stored.name, parameters)


def reset_router(store: TraceStore, stored: StoredRouter, *, clock: Clock | None = None) -> RouterMark:
    """Set a router back to what it was before it learned anything; what is in the log up to now counts no more.

    Raises:
        StoreError: its parameters are not stored, or it was fitted before its first use and that state is not.
        PluginError, ConfigError: it cannot be built.
    """
    router = fresh_router(store, stored)
    if router.parameters_hash != stored.root and not restore_router(
        store, router, stored.embedder, parameters=stored.root, until=0
    ):
        raise StoreError(f"the state that router {stored.name!r} started from is not in {store.url!r}")
    return put_router_mark(store, _mark(stored, "reset", clock), router)


def rollback_router(store: TraceStore, stored: StoredRouter, version: str, *, clock: Clock | None = None) -> RouterMark:
    """Set a router back to an earlier version; it learns on from there.

    Raises:
        ConfigError, PluginError, StoreError: as for :func:`router_at`.
    """
    router = router_at(store, stored, version)
    mark = _mark(stored, "rollback", clock).model_copy(update={"target": parsed_version(version).sequence})
    return put_router_mark(store, mark, router)


def _mark(stored: StoredRouter, kind: Literal["reset", "rollback"], clock: Clock | None) -> RouterMark:
    if not stored.embedder:
        raise ConfigError(f"router {stored.name!r} has learned nothing yet, so there is nothing to go back from")
    at = (clock or SystemClock()).now()
    return RouterMark(router=stored.key, root=stored.root, parameters=stored.root, kind=kind, at=at)


def put_router_mark(store: TraceStore, mark: RouterMark, router: Router) -> RouterMark:
    """Store the state of ``router`` as the one that holds from ``mark`` on, and return the mark with its number."""
    state = router.snapshot()
    held = mark.model_copy(update={"parameters": state.parameters})
    return store.put_mark(held, state.model_copy(update={"router": mark.router}))
