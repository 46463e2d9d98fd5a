"""A router in a file: what is written beside it, that all it learned comes back, and what is refused."""

import json

import pytest

from agentmesh.errors import ConfigError, PluginError
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.routing.state import unpack_state
from agentmesh.routing.state_file import card_path, read_card, read_router, write_router
from agentmesh.testing.grounds import ground_experience, ground_outcomes, ground_pool, ground_tasks
from agentmesh.testing.samples import sample_experience, sample_pool


@pytest.fixture
def path(tmp_path):
    return tmp_path / "router.safetensors"


@pytest.fixture
def written(path):
    router = KernelRouter()
    router.learn(sample_experience(7, sample_pool()))
    write_router(path, router, embedder="static-1")
    return router


def change_card(path, **changes):
    beside = card_path(path)
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **changes}))


def learned(router):
    """Return the arrays of a router's state: what it learned, whatever it is counted from."""
    arrays, _ = unpack_state(router.snapshot().payload)
    return {name: repr(array.tolist()) for name, array in arrays.items()}  # unknown numbers are no equals otherwise


def test_what_a_router_learned_comes_back_from_its_file(path, written):
    back = read_router(path)
    assert isinstance(back, KernelRouter)
    assert learned(back) == learned(written)


def test_a_router_that_learned_gnn_outcomes_comes_back_and_learns_on(path):
    router = GnnRouter(policy="softmax:0.2")
    for sequence, task in enumerate(ground_tasks([0, 1, 2]), 1):
        router.learn(ground_experience(sequence, task, "agent-01", 1.0))
    write_router(path, router)
    back = read_router(path)
    assert dict(back.parameters) == dict(router.parameters)
    more = ground_experience(9, ground_tasks([3])[0], "agent-02", 0.0)
    for one in (router, back):
        one.learn(more)
    assert learned(back) == learned(router)


@pytest.mark.timeout(60)  # it imports torch
def test_the_card_of_a_trained_router_says_how_it_was_trained(path):
    router = GnnRouter(hidden=8, passes=1)
    router.fit(ground_outcomes(20))
    write_router(path, router)
    card = read_card(path)
    assert (card.training["tasks"], card.training["passes"], card.base) == (20, 1, router.base)
    task, back = ground_tasks([0])[0], read_router(path)
    assert back.training == router.training
    assert back.score(task, ground_pool()).tolist() == router.score(task, ground_pool()).tolist()


def test_the_card_says_what_the_file_is(path, written):
    card = read_card(path)
    assert (card.format, card.router, card.embedder, card.sequence) == (1, "kernel", "static-1", 7)
    assert card.version == written.version
    assert card.bytes == path.stat().st_size
    assert {"agentmesh-routing", "numpy"} <= set(card.written_with)
    assert card.training == {}


def test_writing_again_replaces_what_was_there_and_leaves_nothing_else(path, written):
    written.learn(sample_experience(8, sample_pool()))
    write_router(path, written)
    assert read_card(path).sequence == 8
    assert learned(read_router(path)) == learned(written)
    assert sorted(one.name for one in path.parent.iterdir()) == ["router.json", "router.safetensors"]


@pytest.mark.parametrize("length", [0, 10, -1])
def test_a_file_cut_off_is_refused(path, written, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ConfigError, match=r"is not the file that its card was written for: .* expected"):
        read_router(path)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_byte_changed_is_refused(path, written, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="sha256"):
        read_router(path)


def test_pickle_bytes_are_refused_though_the_card_fits_them(path, written):
    from hashlib import sha256

    content = b"\x80\x04\x95pickle"
    path.write_bytes(content)
    change_card(path, bytes=len(content), sha256=sha256(content).hexdigest())
    with pytest.raises(ConfigError, match="cannot be read; expected pack_state's output"):
        read_router(path)


def test_a_missing_card_is_refused(path, written):
    card_path(path).unlink()
    with pytest.raises(ConfigError, match=r"router\.json.* cannot be read: .*; a state needs its card beside it"):
        read_router(path)


def test_a_missing_state_is_refused(path, written):
    path.unlink()
    with pytest.raises(ConfigError, match=r"router\.safetensors.* cannot be read"):
        read_router(path)


@pytest.mark.parametrize(
    ("changes", "where"),
    [({"format": 2}, "format"), ({"sequence": -1}, "sequence"), ({"sha256": None}, "sha256"), ({"new": 1}, "new")],
)
def test_a_card_of_another_format_is_refused_and_says_where(path, written, changes, where):
    change_card(path, **changes)
    with pytest.raises(ConfigError, match=f"no card of format 1: {where}: .*; export the router again"):
        read_router(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_card_that_is_no_json_object_is_refused(path, written, content):
    card_path(path).write_bytes(content)
    with pytest.raises(ConfigError, match="no card of format 1: the file: "):
        read_router(path)


def test_the_card_of_another_router_is_refused(path, written, tmp_path):
    write_router(tmp_path / "other.safetensors", CosineRouter())
    card_path(path).write_bytes(card_path(tmp_path / "other.safetensors").read_bytes())
    with pytest.raises(ConfigError, match="not the file that its card was written for"):
        read_router(path)


def test_a_card_that_names_another_router_is_refused(path, written):
    change_card(path, router="cosine", arguments={})
    with pytest.raises(ConfigError, match="a state of parameters"):
        read_router(path)


def test_a_card_of_other_arguments_is_refused(path, written):
    change_card(path, arguments={**dict(written.parameters), "curiosity": 0.9})
    with pytest.raises(ConfigError, match="a state of parameters"):
        read_router(path)


def test_arguments_that_the_router_does_not_know_are_refused(path, written):
    change_card(path, arguments={"unheard": 1})
    with pytest.raises(ConfigError, match="cannot be built with"):
        read_router(path)


def test_a_router_that_is_not_installed_is_named(path, written):
    change_card(path, router="elsewhere")
    with pytest.raises(PluginError, match="'elsewhere'"):
        read_router(path)


@pytest.mark.parametrize("name", ["router", "router.json", "router.pkl", "router.safetensors.gz"])
def test_a_name_that_is_no_states_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(ConfigError, match=r"ends in '\.safetensors'"):
        write_router(tmp_path / name, CosineRouter())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory; name a file in a folder"):
        write_router(tmp_path / "none" / "router.safetensors", CosineRouter())


def test_a_name_that_a_folder_has_is_said_and_the_draft_is_gone(path):
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_router(path, CosineRouter())
    assert list(path.parent.iterdir()) == [path]
