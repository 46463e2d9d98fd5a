"""A cascade that was trained and calibrated beforehand: served, taught in a process of its own, and opened again."""

import json
from pathlib import Path

import pytest

from agentmesh import Learning, Mesh, Task, agent, open_store, replay
from agentmesh.embed.static import StaticEmbedder
from agentmesh.learning.calibration import calibrate_router, publish_calibrated
from agentmesh.learning.training import publish_router, train_router
from agentmesh.learning.versions import find_routers, only_router, router_at
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.protocols import ChatRequest
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, write_set
from agentmesh.records import Run, RunStatus
from agentmesh.routing.base import Router
from agentmesh.routing.cascade import CascadeRouter

EMBEDDER = StaticEmbedder()
STRANGE = "zebra migration across the frozen harbour"
WORDS = {
    "sums": ("add", "subtract", "multiply", "number", "total", "sum"),
    "rhymes": ("poem", "verse", "rhyme", "moon", "stanza", "sonnet"),
}
PATIENCE_S = 40.0


@agent(description="Does sums.")
async def sums(task: Task) -> str:
    return "7"


@agent(description="Does rhymes.")
async def rhymes(task: Task) -> str:
    return "moon, june"


def texts(kind: str, count: int) -> list[str]:
    words = WORDS[kind]
    return [f"please {words[n % 6]} the {words[(n // 6 + n) % 6]} {n % 11}" for n in range(count)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return a database in which the default router was trained on a set and calibrated on it."""
    agents = [AgentLine(id=kind, description=f"Does {kind}.") for kind in WORDS]
    lines = [
        TaskLine(id=f"{split}-{kind}-{n}", split=split, text=text, group=kind, labels=(kind,))
        for split, count in (("train", 40), ("val", 20))
        for kind in WORDS
        for n, text in enumerate(texts(kind, count))
    ]
    source, db = str(tmp_path / "set"), f"sqlite:///{tmp_path / 'mesh.db'}"
    write_set(Path(source), SetInfo(name="tiny", kind="labels"), agents=agents, tasks=lines)
    with open_store(db) as store:
        router = CascadeRouter()
        publish_router(store, router, train_router(router, source, EMBEDDER))
        stored = only_router(find_routers(store, "auto"))
        again = router_at(store, stored)
        publish_calibrated(store, stored, again, calibrate_router(again, source, EMBEDDER))
    return db


def knowing(request: ChatRequest) -> str:
    task = request.messages[1].content.partition("<task>")[2]
    kind = next(kind for kind, words in WORDS.items() if any(word in task for word in words))
    return json.dumps({"reason": "Its words.", "agents": [kind], "out_of_scope": False})


async def differences(url: str, runs: list[Run]) -> list[object]:
    with open_store(url) as store:
        return [difference for run in runs for difference in (await replay(store, run.id)).differences]


def is_guarded(router: Router) -> bool:
    return isinstance(router, CascadeRouter) and router.is_calibrated


@pytest.mark.parametrize("mode", ["loop", "process"])
async def test_a_calibrated_cascade_learns_on_with_its_guard_and_is_there_again_when_the_mesh_opens(url, mode):
    how = Learning(mode=mode, poll_s=0.05)
    chat = ScriptedChat(knowing)
    async with Mesh([sums, rhymes], store=url, explore=0, learning=how, chat=chat) as mesh:
        at_first = mesh.router
        runs = [await mesh.run(text) for text in (texts("sums", 5)[2], texts("rhymes", 5)[3], STRANGE)]
        for run in runs[:2]:
            await mesh.feedback(run.id, 1.0)
        await mesh.learned(PATIENCE_S)
        runs += [await mesh.run(f"{STRANGE} again"), await mesh.run(texts("sums", 9)[7])]
        version = mesh.router.version
        assert is_guarded(mesh.router)
        assert (mesh.router is at_first) == (mode == "loop")
    async with Mesh([sums, rhymes], store=url, explore=0, learning=how, chat=chat) as mesh:
        assert mesh.router.version == version
        assert is_guarded(mesh.router)
        runs.append(await mesh.run(f"{STRANGE} at last"))
    assert [run.answered_by for run in runs] == [("sums",), ("rhymes",), (), (), ("sums",), ()]
    assert [run.status for run in runs].count(RunStatus.ABSTAINED) == 3
    assert all("unlike the tasks it knows" in (run.error or "") for run in runs if run.answer is None)
    asked = len(chat.requests)
    assert await differences(url, runs) == []
    assert len(chat.requests) == asked
