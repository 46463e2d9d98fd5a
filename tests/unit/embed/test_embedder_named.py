"""An embedder by its name, from the settings or given."""

import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.embed.named import embedder_named
from agentmesh.embed.remote import RemoteEmbedder
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError, PluginError
from agentmesh.settings import Settings


def test_the_settings_name_the_embedder() -> None:
    assert isinstance(embedder_named(settings=Settings()), StaticEmbedder)
    assert isinstance(embedder_named(settings=Settings(embedder="hashing")), HashingEmbedder)


def test_a_name_stands_above_the_settings() -> None:
    assert isinstance(embedder_named("hashing", settings=Settings()), HashingEmbedder)


def test_the_remote_one_takes_its_endpoint_from_the_settings() -> None:
    settings = Settings(embedder="remote", embedder_url="http://127.0.0.1:1/v1", embedder_model="small")
    embedder = embedder_named(settings=settings)
    assert isinstance(embedder, RemoteEmbedder)
    embedder.close()


def test_the_remote_one_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="AGENTMESH_EMBEDDER_URL"):
        embedder_named("remote", settings=Settings())


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(PluginError, match="'static'"):
        embedder_named("nothing", settings=Settings())
