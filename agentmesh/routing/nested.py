"""A router inside a router: how it is named, built again, and kept in the state of the one around it."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.records import RouterState
from agentmesh.routing.base import Router, ScoringRouter
from agentmesh.routing.named import router_named
from agentmesh.routing.state import Arrays
from agentmesh.types import JsonValue

Named: TypeAlias = str | Mapping[str, JsonValue] | Router
"""A router, its name, or ``{"router": name, "arguments": {...}}``."""


def inner(named: Named) -> Router:
    """Return the router that ``named`` stands for.

    Raises:
        ConfigError: it stands for none.
        PluginError: there is no router of this name.
    """
    if isinstance(named, Router):
        return named
    if isinstance(named, str):
        return router_named(named)
    name, arguments = named.get("router"), named.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict) or named.keys() - {"router", "arguments"}:
        accepted = "a router, a name, or {'router': name, 'arguments': {...}}"
        raise ConfigError(f"{dict(named)!r} names no router; accepted: {accepted}")
    return router_named(name, arguments)


def member(named: Named) -> ScoringRouter:
    """Return the router that ``named`` stands for, which rates agents.

    Raises:
        ConfigError: it stands for none that does.
        PluginError: there is no router of this name.
    """
    router = inner(named)
    if not isinstance(router, ScoringRouter):
        raise ConfigError(f"router {router.name!r} rates no agents, so it cannot stand here; name one that does")
    return router


def named_as(router: Router) -> dict[str, JsonValue]:
    """Return how ``router`` is written down, so that :func:`member` builds its twin."""
    return {"router": router.name, "arguments": dict(router.parameters)}


def payloads_of(members: Sequence[ScoringRouter]) -> Arrays:
    """Return the payloads of routers' states as arrays by name."""
    return {_key(place): np.frombuffer(router.snapshot().payload, np.uint8) for place, router in enumerate(members)}


def heads_of(members: Sequence[ScoringRouter]) -> list[JsonValue]:
    """Return what routers' states say beside their payloads; nothing is packed for it."""
    return [
        {"router": one.name, "parameters": one.parameters_hash, "sequence": one.sequence, "at": one.at}
        for one in members
    ]


def restore_all(members: Sequence[ScoringRouter], arrays: Mapping[str, NDArray[Any]], meta: JsonValue) -> None:
    """Give routers the states of :func:`payloads_of` and :func:`heads_of`.

    Raises:
        ConfigError: there are more or fewer of them, or one does not fit its router.
    """
    if not isinstance(meta, list) or len(meta) != len(members):
        raise ConfigError(f"a state of {len(members)} routers was expected; {meta!r} was given")
    before = [router.snapshot() for router in members]
    try:
        for place, (router, one) in enumerate(zip(members, meta, strict=True)):
            payload = np.asarray(arrays[_key(place)], np.uint8).tobytes()
            router.restore(RouterState.model_validate({**_mapping(one), "payload": payload}))
    except (ConfigError, KeyError, ValueError):
        for router, state in zip(members, before, strict=True):
            router.restore(state)
        raise


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    if not isinstance(value, dict):
        raise ConfigError(f"a router's state is {value!r}; expected a JSON object")
    return value


def _key(place: int) -> str:
    return f"member{place}"
