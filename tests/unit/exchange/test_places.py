"""An export that cannot be moved to its place leaves what was there."""

from pathlib import Path

import pytest

from agentmesh.errors import ExchangeError
from agentmesh.exchange.places import whole_folder


def test_a_former_export_stands_again_where_the_new_one_cannot_be_moved(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("old", encoding="utf-8")
    with (
        pytest.raises(ExchangeError, match="cannot be written"),
        whole_folder(tmp_path / "out", names=("a",), force=True),
    ):
        pass  # no folder is made, so there is nothing to move
    assert (tmp_path / "out" / "a").read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def put_meanwhile(target: Path) -> None:
    with whole_folder(target, names=("a",), force=True) as draft:
        draft.mkdir()
        target.mkdir()
        (target / "mine").write_text("x", encoding="utf-8")


def test_what_was_put_there_meanwhile_is_not_replaced(tmp_path: Path):
    with pytest.raises(ExchangeError, match="holds 'mine'"):
        put_meanwhile(tmp_path / "out")
    assert (tmp_path / "out" / "mine").exists()
