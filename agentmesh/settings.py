"""The settings of the environment: the only module that touches ``os.environ``.

| variable | means |
|---|---|
| ``AGENTMESH_DB`` | URL of the trace store, SQLite or PostgreSQL; ``sqlite:///agentmesh.db`` when unset |
| ``AGENTMESH_APP`` | the user's own mesh as ``module:attribute`` |
| ``AGENTMESH_EMBEDDER`` | name of the embedder, ``static`` when unset |
| ``AGENTMESH_EMBEDDER_URL`` | base URL of an OpenAI-compatible embeddings endpoint |
| ``AGENTMESH_EMBEDDER_MODEL`` | the model that endpoint is asked for |
| ``AGENTMESH_EMBEDDER_KEY`` | the key it is sent |
| ``AGENTMESH_CHAT_URL`` | base URL of an OpenAI-compatible chat endpoint |
| ``AGENTMESH_CHAT_MODEL`` | the model that is asked, for what asks one |
| ``AGENTMESH_CHAT_KEY`` | the key it is sent |
| ``NO_COLOR`` | any text turns colours off |

A variable that is empty counts as unset.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from agentmesh.addresses import without_password
from agentmesh.errors import ConfigError

DEFAULT_DB = "sqlite:///agentmesh.db"
DEFAULT_EMBEDDER = "static"

_DB_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*", re.DOTALL)
_APP = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_NAME = re.compile(r"[\w.-]+")
_HTTP_URL = re.compile(r"https?://[^\s/]+\S*")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. The keys, and the URL that may hold a password, are kept out of the printed form."""

    db: str = field(default=DEFAULT_DB, repr=False)
    app: str | None = None
    embedder: str = DEFAULT_EMBEDDER
    embedder_url: str | None = None
    embedder_model: str | None = None
    embedder_key: str | None = field(default=None, repr=False)
    chat_url: str | None = None
    chat_model: str | None = None
    chat_key: str | None = field(default=None, repr=False)
    no_color: bool = False

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from ``environ``, the process's own environment when it is ``None``.

        >>> Settings.load({"AGENTMESH_DB": "sqlite:///runs.db"}).db
        'sqlite:///runs.db'

        Raises:
            ConfigError: a variable holds something that cannot be used; the message names it.
        """
        variables = os.environ if environ is None else environ
        db = _matched(variables, "AGENTMESH_DB", _DB_URL, f"a database URL such as {DEFAULT_DB!r}")
        app = _matched(variables, "AGENTMESH_APP", _APP, "'module:attribute', as in 'my_agents:mesh'")
        embedder = _matched(variables, "AGENTMESH_EMBEDDER", _NAME, "the name of an embedder, as 'static' or 'remote'")
        settings = cls(
            db=db or DEFAULT_DB,
            app=app,
            embedder=embedder or DEFAULT_EMBEDDER,
            embedder_url=_url(variables, "AGENTMESH_EMBEDDER_URL"),
            embedder_model=variables.get("AGENTMESH_EMBEDDER_MODEL") or None,
            embedder_key=variables.get("AGENTMESH_EMBEDDER_KEY") or None,
            chat_url=_url(variables, "AGENTMESH_CHAT_URL"),
            chat_model=variables.get("AGENTMESH_CHAT_MODEL") or None,
            chat_key=variables.get("AGENTMESH_CHAT_KEY") or None,
            no_color=bool(variables.get("NO_COLOR")),
        )
        settings._check_remote()
        return settings

    def _check_remote(self) -> None:
        if self.embedder != "remote":
            return
        needed = {"AGENTMESH_EMBEDDER_URL": self.embedder_url, "AGENTMESH_EMBEDDER_MODEL": self.embedder_model}
        for variable, value in needed.items():
            if value is None:
                raise ConfigError(f"AGENTMESH_EMBEDDER is 'remote', but {variable} is not set; it needs both")


def use_local_model_costs() -> None:
    """Tell litellm to use the cost table it ships; unless told, it asks the network for one while it is imported.

    It reads the variable at import, so this runs before. A value that the user set stays.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def _url(variables: Mapping[str, str], name: str) -> str | None:
    return _matched(variables, name, _HTTP_URL, "a URL that begins with http:// or https://")


def _matched(variables: Mapping[str, str], name: str, pattern: re.Pattern[str], accepted: str) -> str | None:
    value = variables.get(name)
    if not value:
        return None
    if pattern.fullmatch(value) is None:
        raise ConfigError(f"{name} is {without_password(value)!r}; expected {accepted}")
    return value
