import sys
from pathlib import Path

import pytest

from agentmesh import plugins
from agentmesh.errors import MissingExtraError, PluginError
from agentmesh.routing.baseline import RandomRouter

OFFERED = """
[agentmesh.agents]
fine = plugin_under_test:thing
nested = plugin_under_test:Holder.inner
absent = no_such_module_anywhere:thing
nameless = plugin_under_test:no_such_attribute
broken = plugin_that_breaks:thing
poor = plugin_without_extra:thing

[agentmesh.routers]
random = plugin_under_test:thing
only_here = plugin_under_test:thing
"""


def install(folder: Path, distribution: str, entries: str) -> None:
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plugin_under_test.py").write_text("thing = 42\nclass Holder:\n    inner = 'inside'\n")
    (tmp_path / "plugin_that_breaks.py").write_text("raise RuntimeError('half way')\n")
    (tmp_path / "plugin_without_extra.py").write_text(
        "from agentmesh.errors import MissingExtraError\nraise MissingExtraError('onnxruntime', extra='onnx')\n"
    )
    install(tmp_path, "a-plugin", OFFERED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "plugin_under_test", raising=False)
    return tmp_path


def test_the_built_in_routers_and_embedders_are_offered() -> None:
    assert {"random", "cosine", "knn", "kernel", "linear"} <= set(plugins.names("agentmesh.routers"))
    assert {"static", "hashing", "onnx", "remote"} <= set(plugins.names("agentmesh.embedders"))


@pytest.mark.usefixtures("site")
def test_names_are_sorted_and_nothing_is_imported() -> None:
    found = plugins.names("agentmesh.agents")
    assert found == ["absent", "broken", "fine", "nameless", "nested", "poor"]
    assert "plugin_under_test" not in sys.modules


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(("name", "value"), [("fine", 42), ("nested", "inside")])
def test_an_entry_point_is_loaded_by_name(name: str, value: object) -> None:
    assert plugins.load("agentmesh.agents", name) == value


@pytest.mark.usefixtures("site")
def test_an_unknown_name_is_an_error_that_lists_what_exists() -> None:
    with pytest.raises(PluginError) as caught:
        plugins.load("agentmesh.agents", "finest")
    assert "'finest' in 'agentmesh.agents'; installed are: 'absent', 'broken', 'fine'" in str(caught.value)


def test_an_unknown_name_in_an_empty_group_says_that_none_exist() -> None:
    with pytest.raises(PluginError, match="installed are: none"):
        plugins.load("agentmesh.agents", "anything")


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("absent", "ModuleNotFoundError"),
        ("nameless", "AttributeError"),
        ("broken", "RuntimeError: half way"),
    ],
)
def test_an_import_that_fails_names_the_entry_point_and_its_distribution(name: str, cause: str) -> None:
    with pytest.raises(PluginError) as caught:
        plugins.load("agentmesh.agents", name)
    message = str(caught.value)
    assert f"entry point {name!r}" in message
    assert "of 'a-plugin'" in message
    assert cause in message


@pytest.mark.usefixtures("site")
def test_a_missing_extra_keeps_its_own_message() -> None:
    with pytest.raises(MissingExtraError, match=r"agentmesh-routing\[onnx\]"):
        plugins.load("agentmesh.agents", "poor")


@pytest.mark.parametrize("call", [plugins.names, plugins.shadowed])
def test_an_unknown_group_is_an_error_that_lists_the_groups(call: object) -> None:
    with pytest.raises(PluginError, match=r"'agentmesh\.routers', 'agentmesh\.agents', 'agentmesh\.embedders'"):
        call("agentmesh.router")  # type: ignore[operator]


@pytest.mark.usefixtures("site")
def test_a_name_that_is_built_in_cannot_be_taken_over() -> None:
    assert plugins.names("agentmesh.routers").count("random") == 1
    assert plugins.shadowed("agentmesh.routers") == {"random": ["a-plugin"]}
    assert plugins.load("agentmesh.routers", "random") is RandomRouter


def test_of_two_foreign_distributions_the_first_in_the_alphabet_wins(site: Path) -> None:
    install(site, "b-plugin", "[agentmesh.agents]\nfine = plugin_under_test:Holder\n")
    assert plugins.load("agentmesh.agents", "fine") == 42
    assert plugins.shadowed("agentmesh.agents") == {"fine": ["b-plugin"]}


def test_what_others_offer_is_loaded_where_agentmesh_itself_is_not_installed(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(site)])
    assert plugins.load("agentmesh.routers", "random") == 42
