"""Chooses where a mesh learns, and brings its router up to date."""

import asyncio
import importlib
import os
import sys
from operator import attrgetter

from agentmesh.embed.named import embedder_named
from agentmesh.errors import AgentMeshError, ConfigError
from agentmesh.learning.frames import Order
from agentmesh.learning.learner import LogFollower
from agentmesh.learning.live import Learner, LoopLearner, OffLearner
from agentmesh.learning.process import ProcessLearner
from agentmesh.learning.settings import Learning
from agentmesh.protocols import Embedder
from agentmesh.routing.base import Router
from agentmesh.routing.serving import ServingRouter
from agentmesh.store.base import TraceStore


async def open_learner(follower: LogFollower, learning: Learning) -> Learner:
    """Bring the follower's router up to date, and return what keeps it so.

    Raises:
        ConfigError: the router has learned more than the store holds, or it cannot be learned where ``learning`` says.
        StoreError: the log cannot be read.
    """
    why = "" if learning.mode in ("off", "loop") else await asyncio.to_thread(obstacle, follower)
    if why and learning.mode == "process":
        raise ConfigError(f"Learning.mode is 'process', but {why}; 'auto' or 'loop' learns in this process")
    await _bring_up(follower)
    if learning.mode == "off":
        return OffLearner(follower, learning)
    if why or learning.mode == "loop":
        return LoopLearner(follower, learning)
    return ProcessLearner(follower, order_of(follower, learning), learning)


async def brought_up(store: TraceStore, router: Router, embedder: Embedder) -> ServingRouter:
    """Return what holds a router that has learned what a mesh which opened with it now would have learned.

    Raises:
        ConfigError: the router has learned more than the store holds.
        StoreError: the log cannot be read.
    """
    follower = LogFollower(store, ServingRouter(router, router.parameters_hash), embedder)
    await _bring_up(follower)
    return follower.serving


async def _bring_up(follower: LogFollower) -> None:
    """Bring the router up to date in a thread, which has ended when this returns, also when it is cancelled.

    A thread that learned on would teach the router beside whoever opens the mesh again.
    """
    opening = asyncio.get_running_loop().run_in_executor(None, follower.open)
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        follower.abandon()
        await asyncio.wait([opening])
        opening.exception()  # nobody is there any more to be told
        raise


def obstacle(follower: LogFollower) -> str:
    """Say why a process of its own could not do the learning, "" when it can."""
    if not sys.executable or os.name == "nt" or getattr(sys, "frozen", False):
        return "no Python interpreter is known that could run beside this one"
    return (
        _store_obstacle(follower.store)
        or _router_obstacle(follower.serving.router)
        or _embedder_obstacle(follower.embedder)
    )


def _store_obstacle(store: TraceStore) -> str:
    return "" if store.address else f"the store {store.url!r} is no database that another process can open"


def _router_obstacle(router: Router) -> str:
    kind = type(router)
    known = f"the router's class {_named(router)!r}"
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__ or not _is_findable(kind.__module__):
        return f"{known} cannot be imported by another process"
    try:
        if attrgetter(kind.__qualname__)(importlib.import_module(kind.__module__)) is not kind:
            return f"{known} is not what is imported under its name"
        kind(**dict(router.parameters))
    except (AgentMeshError, ImportError, AttributeError, TypeError, ValueError) as error:
        return f"{known} cannot be built again: {error}"
    return ""


def _is_findable(module: str) -> bool:
    """Say whether another process with this import path would find ``module``; that it is loaded here proves nothing.

    >>> _is_findable("agentmesh.routing.base"), _is_findable("agentmesh.routing.nowhere")
    (True, False)
    """
    name, path = "", None
    for part in module.split("."):
        if name and path is None:
            return False  # what stands before this part is no package
        name = f"{name}.{part}" if name else part
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((found for found in specs if found is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return True


def _embedder_obstacle(embedder: Embedder) -> str:
    name = embedder.version.partition("-")[0]
    try:
        version = embedder_named(name).version
    except AgentMeshError as error:
        return f"the embedder {embedder.version!r} cannot be built by name: {error}"
    return "" if version == embedder.version else f"the embedder {embedder.version!r} is not the installed {version!r}"


def order_of(follower: LogFollower, learning: Learning) -> Order:
    """Return what a process of its own is told to learn."""
    router = follower.serving.router
    return Order(
        store=follower.store.address or follower.store.url,
        router=_named(router),
        parameters=dict(router.parameters),
        root=follower.root,
        embedder=follower.embedder.version,
        publish_s=learning.publish_s,
        poll_s=learning.poll_s,
    )


def _named(router: Router) -> str:
    return f"{type(router).__module__}:{type(router).__qualname__}"
