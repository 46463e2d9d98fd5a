"""Makes an embedder from its name, through the entry points."""

from importlib import import_module

from agentmesh.errors import ConfigError, PluginError
from agentmesh.plugins import load
from agentmesh.protocols import Embedder
from agentmesh.settings import Settings


def embedder_named(name: str | None = None, *, settings: Settings | None = None) -> Embedder:
    """Build the embedder registered under ``name``; without one, what ``AGENTMESH_EMBEDDER`` names.

    ``"remote"`` takes its endpoint from ``AGENTMESH_EMBEDDER_URL``, ``_MODEL`` and ``_KEY``.

    Raises:
        PluginError: there is no such embedder, or what the entry point names is none.
        ConfigError: ``"remote"`` lacks its URL or model.
        MissingExtraError: its optional dependency is not installed.
    """
    known = settings or Settings.load()
    wanted = name or known.embedder
    if wanted == "remote":  # nobody can take over a name of ours
        return _remote(known)
    made = load("agentmesh.embedders", wanted)
    if not callable(made):
        raise PluginError(f"the entry point {wanted!r} of 'agentmesh.embedders' is {made!r}; it must name a class")
    embedder = made()
    if not isinstance(embedder, Embedder):
        raise PluginError(f"the entry point {wanted!r} of 'agentmesh.embedders' makes {embedder!r}, which cannot embed")
    return embedder


def _remote(settings: Settings) -> Embedder:
    """Load the client of an endpoint, which costs a third of a second, where it is asked for."""
    if settings.embedder_url is None or settings.embedder_model is None:
        raise ConfigError("the embedder 'remote' needs AGENTMESH_EMBEDDER_URL and AGENTMESH_EMBEDDER_MODEL")
    endpoint = {"base_url": settings.embedder_url, "api_key": settings.embedder_key or ""}
    made: Embedder = import_module("agentmesh.embed.remote").RemoteEmbedder(settings.embedder_model, **endpoint)
    return made
