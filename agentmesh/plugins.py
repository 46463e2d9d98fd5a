"""Entry points: what is installed under a name, found without importing it and loaded one at a time.

A package offers a router in its own ``pyproject.toml``:

    [project.entry-points."agentmesh.routers"]
    mine = "my_package.routing:MyRouter"

When two distributions offer the same name, the one that is part of agentmesh wins, then the one whose distribution
comes first in the alphabet; :func:`shadowed` tells who lost.
"""

from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import Literal, TypeAlias, get_args

from agentmesh.errors import AgentMeshError, PluginError

Group: TypeAlias = Literal["agentmesh.routers", "agentmesh.agents", "agentmesh.embedders"]
GROUPS: tuple[str, ...] = get_args(Group)

_BUILT_IN = "agentmesh-routing"
"""The distribution whose entries nobody can take over."""


def names(group: Group) -> list[str]:
    """List the names offered in ``group``, sorted, each once; nothing is imported.

    Raises:
        PluginError: there is no such group.
    """
    return sorted(_entries(group))


def shadowed(group: Group) -> dict[str, list[str]]:
    """Map each name that several distributions offer to the distributions whose entry is not used.

    Raises:
        PluginError: there is no such group.
    """
    return {
        name: [_distribution(entry) for entry in entries[1:]]
        for name, entries in sorted(_entries(group).items())
        if len(entries) > 1
    }


def load(group: Group, name: str) -> object:
    """Import and return what is offered as ``name`` in ``group``.

    Raises:
        PluginError: nothing is offered under this name, or importing it failed.
        MissingExtraError: it needs an optional dependency that is not installed.
    """
    entry = _built_in(group, name) or _installed(group, name)
    try:
        return entry.load()
    except AgentMeshError:
        raise
    except Exception as error:  # the code of others runs here: whatever it raises, the entry point is to be named
        found = f"entry point {name!r} = {entry.value!r} in {group!r} of {_distribution(entry)!r}"
        raise PluginError(f"{found} cannot be loaded: {type(error).__name__}: {error}") from error


def _built_in(group: Group, name: str) -> EntryPoint | None:
    """Return our own entry of a name: it always wins, and all that is installed takes long to look through."""
    try:
        own = distribution(_BUILT_IN).entry_points.select(group=group, name=name)
    except PackageNotFoundError:
        return None
    return next(iter(own), None)


def _installed(group: Group, name: str) -> EntryPoint:
    """Return the entry of a name that is in use, whoever offers it."""
    offers = _entries(group, name).get(name)
    if offers is None:
        offered = ", ".join(map(repr, names(group))) or "none"
        raise PluginError(f"no entry point {name!r} in {group!r}; installed are: {offered}")
    return offers[0]


def _entries(group: Group, name: str | None = None) -> dict[str, list[EntryPoint]]:
    """Return the entries of each name, or of one name, the one in use first."""
    if group not in GROUPS:
        raise PluginError(f"no group {group!r}; expected one of {', '.join(map(repr, GROUPS))}")
    found: dict[str, list[EntryPoint]] = {}
    # which distribution offers an entry takes long to read, so that is asked of as few as possible
    offers = entry_points(group=group) if name is None else entry_points(group=group, name=name)
    for entry in sorted(offers, key=_precedence):
        found.setdefault(entry.name, []).append(entry)
    return found


def _precedence(entry: EntryPoint) -> tuple[bool, str]:
    distribution = _distribution(entry)
    return (distribution != _BUILT_IN, distribution)


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else ""
