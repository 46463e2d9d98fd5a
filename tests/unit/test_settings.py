import os
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from agentmesh.errors import ConfigError
from agentmesh.settings import Settings, use_local_model_costs


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.load({}) == Settings(
        db="sqlite:///agentmesh.db",
        app=None,
        embedder="static",
        embedder_url=None,
        embedder_model=None,
        embedder_key=None,
        chat_url=None,
        chat_model=None,
        chat_key=None,
        no_color=False,
    )


def test_every_variable_is_read() -> None:
    settings = Settings.load(
        {
            "AGENTMESH_DB": "postgresql+psycopg://user@db.example/mesh",
            "AGENTMESH_APP": "team.agents:mesh",
            "AGENTMESH_EMBEDDER": "remote",
            "AGENTMESH_EMBEDDER_URL": "http://127.0.0.1:8080/v1",
            "AGENTMESH_EMBEDDER_MODEL": "small",
            "AGENTMESH_EMBEDDER_KEY": "secret",
            "AGENTMESH_CHAT_URL": "https://chat.example/v1",
            "AGENTMESH_CHAT_MODEL": "large",
            "AGENTMESH_CHAT_KEY": "hidden",
            "NO_COLOR": "1",
        }
    )
    assert settings == Settings(
        db="postgresql+psycopg://user@db.example/mesh",
        app="team.agents:mesh",
        embedder="remote",
        embedder_url="http://127.0.0.1:8080/v1",
        embedder_model="small",
        embedder_key="secret",
        chat_url="https://chat.example/v1",
        chat_model="large",
        chat_key="hidden",
        no_color=True,
    )


def test_the_environment_of_the_process_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMESH_DB", "sqlite:///elsewhere.db")
    assert Settings.load().db == "sqlite:///elsewhere.db"


def test_an_empty_variable_counts_as_unset() -> None:
    empty = {"AGENTMESH_DB": "", "AGENTMESH_APP": "", "AGENTMESH_EMBEDDER_URL": "", "NO_COLOR": ""}
    assert Settings.load(empty) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AGENTMESH_DB", "agentmesh.db"),
        ("AGENTMESH_DB", "://"),
        ("AGENTMESH_APP", "my_agents"),
        ("AGENTMESH_APP", "my_agents:"),
        ("AGENTMESH_APP", "my agents:mesh"),
        ("AGENTMESH_APP", "./my_agents.py:mesh"),
        ("AGENTMESH_EMBEDDER", "sta tic"),
        ("AGENTMESH_EMBEDDER_URL", "localhost:8080"),
        ("AGENTMESH_EMBEDDER_URL", "http://"),
        ("AGENTMESH_CHAT_URL", "chat.example/v1"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_variable_and_value(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load({variable: value})
    assert str(caught.value).startswith(f"{variable} is {value!r}; expected ")


@pytest.mark.parametrize("missing", ["AGENTMESH_EMBEDDER_URL", "AGENTMESH_EMBEDDER_MODEL"])
def test_a_remote_embedder_without_url_or_model_is_an_error_that_names_what_is_missing(missing: str) -> None:
    variables = {
        "AGENTMESH_EMBEDDER": "remote",
        "AGENTMESH_EMBEDDER_URL": "http://127.0.0.1:8080/v1",
        "AGENTMESH_EMBEDDER_MODEL": "small",
    }
    del variables[missing]
    with pytest.raises(ConfigError, match=f"{missing} is not set"):
        Settings.load(variables)


@pytest.mark.parametrize("variable", ["AGENTMESH_EMBEDDER_KEY", "AGENTMESH_CHAT_KEY"])
def test_a_key_is_not_printed(variable: str) -> None:
    assert "secret" not in repr(Settings.load({variable: "secret"}))


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(FrozenInstanceError):
        settings.db = "sqlite://"  # type: ignore[misc]


def test_litellm_is_told_to_use_its_own_cost_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    use_local_model_costs()
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_what_the_user_told_litellm_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "False")
    use_local_model_costs()
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "False"


def test_reading_settings_loads_no_pydantic() -> None:
    code = "import sys, agentmesh.settings; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
