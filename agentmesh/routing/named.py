"""Makes a router from its name, through the entry points, so that a router of another package is found as ours are."""

from collections.abc import Mapping

from agentmesh.errors import ConfigError, PluginError
from agentmesh.plugins import load
from agentmesh.routing.base import Router
from agentmesh.types import JsonValue

AUTO = "cascade"
"""What ``"auto"`` stands for."""


def router_named(name: str, parameters: Mapping[str, JsonValue] | None = None) -> Router:
    """Build the router registered under ``name`` with the given constructor arguments.

    Raises:
        PluginError: there is no such router, or what the entry point names is none.
        ConfigError: the parameters do not fit it.
    """
    made = load("agentmesh.routers", AUTO if name == "auto" else name)
    if not (isinstance(made, type) and issubclass(made, Router)):
        raise PluginError(f"the entry point {name!r} of 'agentmesh.routers' is {made!r}; it must name a Router class")
    try:
        return made(**dict(parameters or {}))
    except TypeError as error:
        raise ConfigError(f"router {name!r} cannot be built with {dict(parameters or {})!r}: {error}") from error
