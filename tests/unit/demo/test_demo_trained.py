"""The GNN router that ships with the demo: it is read without torch, and knows no question by itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agentmesh.demo.run import fresh_store_url, run_demo
from agentmesh.demo.team import load_team, shipped_data
from agentmesh.demo.trained import GNN_FILE, shipped_gnn, trained_on
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.state import unpack_state
from agentmesh.routing.state_file import card_path, read_card


def test_the_shipped_router_was_trained_with_the_embedder_of_the_demo_and_chosen_on_val() -> None:
    card = read_card(shipped_data() / GNN_FILE)
    assert (card.router, card.sequence, card.embedder) == ("gnn", 0, StaticEmbedder().version)
    assert card.training["validated"] == "val"
    assert card.base.endswith("without its tasks")


def test_it_holds_no_question_and_stays_small() -> None:
    payload = (shipped_data() / GNN_FILE).read_bytes()
    arrays, meta = unpack_state(payload)
    assert len(arrays["task_vectors"]) == 0
    assert meta["router"]["task_texts"] == []  # type: ignore[index,call-overload]
    assert len(payload) < 1_500_000


def test_it_says_on_how_many_other_questions_it_was_trained() -> None:
    assert trained_on(shipped_gnn()) > len(load_team().tasks)


def test_a_router_that_was_not_trained_says_nothing_and_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected its tasks"):
        trained_on(KernelRouter())


def test_shipped_weights_that_were_changed_are_an_error(tmp_path: Path) -> None:
    for path in (shipped_data() / GNN_FILE, card_path(shipped_data() / GNN_FILE)):
        shutil.copy(path, tmp_path)
    (tmp_path / GNN_FILE).write_bytes((tmp_path / GNN_FILE).read_bytes()[:-1])
    with pytest.raises(ConfigError, match="is not the file that its card was written for"):
        shipped_gnn(tmp_path)


def test_the_demo_runs_it_and_loads_no_torch(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from agentmesh.demo.run import run_demo
result = asyncio.run(run_demo(sys.argv[1], limit=2))
print(result.gnn_tasks, "torch" in sys.modules)
"""
    command = [sys.executable, "-c", code, fresh_store_url(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(trained_on(shipped_gnn())), "False"]


async def test_the_demo_has_its_figure(tmp_path: Path) -> None:
    result = await run_demo(fresh_store_url(tmp_path), limit=3)
    assert 0 <= result.baselines.gnn.quality <= 1
    assert result.gnn_tasks == trained_on(shipped_gnn())
