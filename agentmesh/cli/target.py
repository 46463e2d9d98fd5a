"""What a command works on: the mesh that ``--app`` names, or the database that ``--db`` names."""

import asyncio
import importlib
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from agentmesh.errors import AgentMeshError, ConfigError
from agentmesh.settings import Settings

if TYPE_CHECKING:
    from agentmesh.mesh import Mesh
    from agentmesh.records import AgentCard
    from agentmesh.store import TraceStore

EXAMPLE = """\
no mesh was named: give --app MODULE:ATTRIBUTE or set AGENTMESH_APP. For example, in app.py:

    from agentmesh import Mesh, Task, agent
    @agent(description="Says the task back.")
    async def echo(task: Task) -> str: return task.text
    mesh = Mesh([echo], store="sqlite:///agentmesh.db")

and then: agentmesh run --app app:mesh 'Hello'"""


class NoMeshError(click.ClickException):
    """No mesh was named; the message is an example to copy."""

    exit_code = 2


def open_traces(db: str | None, *, read_only: bool = True, busy_timeout_s: float = 5.0) -> "TraceStore":
    """Open the database of ``--db``, else of the settings. A missing one is an error and is not created.

    One of an older schema is migrated where it is to be written.

    Raises:
        StoreError: it is not there, or no trace database.
    """
    from agentmesh.store import open_store

    url = db if db is not None else Settings.load().db
    return open_store(url, read_only=read_only, create=False, busy_timeout_s=busy_timeout_s)


def named_app(app: str | None) -> str:
    """Return the name of the user's mesh, from ``--app``, else from the settings.

    Raises:
        NoMeshError: neither names one.
    """
    name = app if app is not None else Settings.load().app
    if not name:
        raise NoMeshError(EXAMPLE)
    return name


@asynccontextmanager
async def open_mesh(name: str) -> "AsyncIterator[Mesh]":
    """Load the mesh that ``name`` points to, open it, and close it at the end."""
    async with await load_mesh(name) as mesh:
        yield mesh


async def load_mesh(name: str) -> "Mesh":
    """Return the mesh at ``module:attribute``, or the one that the function there returns, now or when awaited.

    Raises:
        ConfigError: there is no such module or attribute, it fails, or it is no mesh.
    """
    from agentmesh.mesh import Mesh

    found = _attribute(name)
    if callable(found) and not isinstance(found, Mesh):
        found = await _called(found, name)
    if not isinstance(found, Mesh):
        raise ConfigError(
            f"--app {name!r} is of type {type(found).__name__!r}; a Mesh or a function that returns one is"
        )
    return found


def named_mesh(app: str | None, db: str | None) -> str | None:
    """Return the name of the user's mesh; where a database is named and no mesh, the settings' mesh is not meant."""
    return app if app is not None or db is not None else Settings.load().app


def known_agents(app: str | None, db: str | None) -> "Sequence[AgentCard]":
    """Return the cards of the mesh that is named; of the database when it is named, or when no mesh is."""
    name = named_mesh(app, db)
    if name:
        return asyncio.run(load_mesh(name)).cards()
    with open_traces(db) as store:
        return newest_cards(store)


def newest_cards(store: "TraceStore") -> "Sequence[AgentCard]":
    """Return the cards that were registered at the newest run; none when nothing was run."""
    from agentmesh.events import RunStarted

    newest = store.runs(limit=1)
    if not newest:
        return ()
    started = next(event for event in store.events(newest[0].id) if isinstance(event, RunStarted))
    return store.registry(started.registry_version).cards


def _attribute(name: str) -> object:
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise ConfigError(f"--app {name!r} cannot be read; 'module:attribute' is accepted, such as 'app:mesh'")
    found: object = _import(module_name, name)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise ConfigError(f"--app {name!r}: {module_name!r} has no {path!r}{_meshes(found)}") from error
    return found


def _import(module_name: str, name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(f"--app {name!r}: importing it failed: {error}") from error
        raise ConfigError(f"--app {name!r}: there is no module {error.name!r} here or installed") from error
    except Exception as error:  # the user's module may raise anything, and the command line is where it is told
        raise ConfigError(f"--app {name!r}: importing it failed: {type(error).__name__}: {error}") from error


def _meshes(holder: object) -> str:
    from agentmesh.mesh import Mesh

    names = [key for key, value in vars(holder).items() if isinstance(value, Mesh)] if inspect.ismodule(holder) else []
    return f"; it has {', '.join(map(repr, names))}" if names else ""


async def _called(function: Callable[[], object], name: str) -> object:
    try:
        made = function()
        return await made if inspect.isawaitable(made) else made
    except AgentMeshError:
        raise
    except Exception as error:  # as in _import
        raise ConfigError(f"--app {name!r}: calling it failed: {type(error).__name__}: {error}") from error
