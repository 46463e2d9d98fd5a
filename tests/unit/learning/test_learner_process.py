"""Learning in a process of its own: a real child on a real database, killed, fed by others, and closed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmesh import Learning, Mesh, open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning import record_feedback
from agentmesh.learning.learner import LogFollower, learn_until
from agentmesh.learning.live import LoopLearner
from agentmesh.learning.opening import obstacle, open_learner
from agentmesh.learning.process import ProcessLearner
from agentmesh.protocols import Embedder
from agentmesh.records import RouterMark, RouterState
from agentmesh.routing.base import Router
from agentmesh.routing.inputs import Outcomes
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.serving import ServingRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.sql import SqlStore
from agentmesh.store.sqlite import SqliteFile
from agentmesh.testing.agents import EchoAgent

APART = Learning(mode="process", poll_s=0.05)
SLOW_TO_LOOK = Learning(mode="process", poll_s=1000)
PATIENCE_S = 40.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    with open_store(f"sqlite:///{tmp_path / 'mesh.db'}") as opened:
        yield opened


async def answered(store: TraceStore, count: int) -> list[str]:
    """Return the ids of ``count`` finished runs that nobody has scored."""
    async with Mesh([EchoAgent("echo")], store=store, learning=Learning(mode="off")) as mesh:
        known = store.count_runs()
        return [(await mesh.run(f"question {place}")).id for place in range(known, known + count)]


def follower_of(store: TraceStore, router: Router | None = None, embedder: Embedder | None = None) -> LogFollower:
    return LogFollower(store, ServingRouter(router or KernelRouter()), embedder or StaticEmbedder())


async def opened(follower: LogFollower, learning: Learning = APART) -> ProcessLearner:
    learner = await open_learner(follower, learning)
    assert isinstance(learner, ProcessLearner)
    return learner


def from_the_log(store: TraceStore, router: Router | None = None) -> RouterState:
    """Return what a router learns from the whole log by itself."""
    rebuilt = router or KernelRouter()
    learn_until(store, rebuilt, StaticEmbedder())
    return rebuilt.snapshot()


async def test_the_child_learns_and_the_serving_router_is_exchanged(store: TraceStore) -> None:
    ids, follower = await answered(store, 3), follower_of(store)
    at_first = follower.serving.router
    async with await opened(follower, SLOW_TO_LOOK) as learner:
        assert learner.pid is None  # there is nothing to learn yet
        for run_id in ids:
            await learner.take(run_id, 1.0, agent=None, source="user")
        await learner.learned(PATIENCE_S)
        assert follower.serving.router is not at_first
        assert follower.serving.router.snapshot() == from_the_log(store)
        assert at_first.sequence == 0


async def test_a_child_that_is_killed_is_replaced_and_nothing_is_lost(store: TraceStore) -> None:
    ids, follower = await answered(store, 4), follower_of(store)
    async with await opened(follower) as learner:
        await learner.take(ids[0], 1.0, agent=None, source="user")
        await learner.learned(PATIENCE_S)
        first = learner.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        for run_id in ids[1:]:
            await learner.take(run_id, 0.0, agent=None, source="user")
        await learner.learned(PATIENCE_S)
        assert learner.pid not in (None, first)
        assert follower.serving.router.snapshot() == from_the_log(store)
    assert [fault.message for fault in store.faults()] == [
        "the learning process ended: exit status -9; it is started again in 0.5 s"
    ]


async def test_what_another_process_stores_and_marks_is_taken_over(store: TraceStore) -> None:
    ids, follower = await answered(store, 4), follower_of(store)
    async with await opened(follower) as learner:
        with open_store(store.url) as other:
            for run_id in ids[:3]:
                record_feedback(other, run_id, 1.0)
            await learner.learned(PATIENCE_S)
            assert follower.serving.router.sequence == 3
            fresh = KernelRouter()
            state = fresh.snapshot().model_copy(update={"router": follower.key})
            mark = RouterMark(router=follower.key, root=follower.root, parameters=follower.root, kind="reset", at=1.0)
            other.put_mark(mark, state)
            record_feedback(other, ids[3], 1.0)
            await learner.learned(PATIENCE_S)
    fresh.learn(store.experiences(4)[0])
    assert follower.serving.router.snapshot() == fresh.snapshot()


class MoodyStore(SqlStore):
    """A store whose log cannot be read now and then."""

    refusals = 0

    def last_experience(self) -> int:
        if self.refusals:
            self.refusals -= 1
            raise StoreError(f"cannot read {self.url!r}: disk I/O error")
        return super().last_experience()


async def test_a_mesh_that_nobody_scores_finds_what_others_learned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mesh.db"
    with MoodyStore(SqliteFile(path, url=f"sqlite:///{path}")) as store:
        (run_id,) = await answered(store, 1)
        async with await opened(follower := follower_of(store)) as learner:
            store.refusals = 2
            with open_store(store.url) as other:
                record_feedback(other, run_id, 1.0)
            async with asyncio.timeout(PATIENCE_S):
                while follower.serving.router.sequence == 0:  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0.01)
            assert learner.pid is not None
    assert caplog.text.count("learning waits for the log to be readable") == 2


def fitted() -> KernelRouter:
    router, questions = KernelRouter(), ("add two numbers", "who was caesar")
    quality = np.array([[1.0], [0.0]])
    router.fit(Outcomes(("echo",), StaticEmbedder().embed(questions), questions, ("", ""), quality, quality))
    return router


async def test_a_router_fitted_before_use_is_learned_from_its_table(store: TraceStore) -> None:
    (run_id,) = await answered(store, 1)
    follower = follower_of(store, fitted())
    async with await opened(follower, SLOW_TO_LOOK) as learner:
        await learner.take(run_id, 1.0, agent=None, source="user")
        await learner.learned(PATIENCE_S)
        assert follower.serving.router.snapshot() == from_the_log(store, fitted())


async def test_snapshots_are_stored_by_the_child(store: TraceStore) -> None:
    ids, follower = await answered(store, 70), follower_of(store)
    async with await opened(follower, SLOW_TO_LOOK) as learner:
        for run_id in ids:
            record_feedback(store, run_id, 1.0)
        await learner.learned(PATIENCE_S)
    stored = store.states(follower.key, follower.root)
    assert [sequence for sequence, _ in stored] == [70]


async def test_learned_gives_up_in_time(store: TraceStore) -> None:
    (run_id,) = await answered(store, 1)
    async with await opened(follower_of(store)) as learner:
        await learner.take(run_id, 1.0, agent=None, source="user")
        with pytest.raises(TimeoutError):
            await learner.learned(timeout_s=0.001)


@pytest.mark.parametrize("running", [False, True])
async def test_closing_ends_the_child(store: TraceStore, *, running: bool) -> None:
    (run_id,) = await answered(store, 1)
    async with await opened(follower_of(store), SLOW_TO_LOOK) as learner:
        await learner.take(run_id, 1.0, agent=None, source="user")
        if running:
            await learner.learned(PATIENCE_S)
        pid = learner.pid
    assert learner.pid is None
    if running:
        assert pid is not None
        assert not is_alive(pid)
    assert store.faults() == []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


async def test_a_child_that_hangs_is_killed(store: TraceStore) -> None:
    (run_id,) = await answered(store, 1)
    async with await opened(follower_of(store), SLOW_TO_LOOK) as learner:
        await learner.take(run_id, 1.0, agent=None, source="user")
        await learner.learned(PATIENCE_S)
        pid = learner.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    assert not is_alive(pid)


SCRIPT = """
import asyncio, sys
from agentmesh import Learning, Mesh
from agentmesh.testing.agents import EchoAgent

async def work():
    async with Mesh([EchoAgent("echo")], store=sys.argv[1], learning=Learning(poll_s=0.05)) as mesh:
        run = await mesh.run("who built petra")
        await mesh.feedback(run.id, 1.0)
        await mesh.learned(timeout_s=40)
        print(mesh.router.sequence, flush=True)
        {wait}

asyncio.run(work())
"""


def test_a_script_without_a_main_guard_runs_once_and_ends_without_a_warning(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(wait=""), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script, f"sqlite:///{tmp_path / 'mesh.db'}"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("1\n", 0)
    assert done.stderr == ""


def test_the_child_ends_when_the_mesh_is_killed(tmp_path: Path) -> None:
    wait = "print(mesh._open.learner.pid, flush=True); await asyncio.Event().wait()"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(wait=wait), f"sqlite:///{tmp_path / 'mesh.db'}"],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "1\n"
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
        parent.wait()
        deadline = asyncio.run(gone(child))
    assert deadline


async def gone(pid: int) -> bool:
    """Say whether a process ends within some seconds."""
    for _ in range(3000):
        if not is_alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


MODULE = """
from agentmesh.routing.neighbours import KernelRouter

class {name}(KernelRouter):
    name = "kernel"
{body}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a module that can be imported here and in the child."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / f"routers_of_{tmp_path.name}.py"


def rewrite(module: Path, text: str) -> None:
    """Change a module that is loaded here; the child, which starts later, reads what is written now."""
    module.write_text(text, encoding="utf-8")


async def first_fault(store: TraceStore) -> str:
    """Return the message of a fault, once there is one."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := store.faults()):  # noqa: ASYNC110 - what is waited for is in another thread
            await asyncio.sleep(0.01)
    return found[0].message


def written(module: Path, body: str) -> Router:
    module.write_text(MODULE.format(name="MyRouter", body=body), encoding="utf-8")
    made: Router = __import__(module.stem).MyRouter()
    return made


async def test_a_router_of_the_users_own_module_may_print(store: TraceStore, module: Path) -> None:
    router = written(module, "    def _learn(self, experience):\n        print('learning', flush=True)\n"
                             "        super()._learn(experience)\n")  # fmt: skip
    (run_id,) = await answered(store, 1)
    async with await opened(follower := follower_of(store, router), SLOW_TO_LOOK) as learner:
        await learner.take(run_id, 1.0, agent=None, source="user")
        await learner.learned(PATIENCE_S)
        assert follower.serving.router.sequence == 1
    assert store.faults() == []


async def test_a_child_that_cannot_start_says_why_and_serving_goes_on(store: TraceStore, module: Path) -> None:
    router = written(module, "")
    (run_id,) = await answered(store, 1)
    async with await opened(follower := follower_of(store, router), SLOW_TO_LOOK) as learner:
        rewrite(module, "raise RuntimeError('broken since')")
        await learner.take(run_id, 1.0, agent=None, source="user")
        assert "exit status 1: RuntimeError: broken since" in await first_fault(store)
        assert follower.serving.router is router


async def test_a_state_that_cannot_be_used_is_reported_and_serving_goes_on(store: TraceStore, module: Path) -> None:
    router = written(module, "")
    (run_id,) = await answered(store, 1)
    async with await opened(follower := follower_of(store, router), SLOW_TO_LOOK) as learner:
        changed = "    def snapshot(self):\n        return super().snapshot().model_copy(update={'payload': b'?'})\n"
        rewrite(module, MODULE.format(name="MyRouter", body=changed))
        await learner.take(run_id, 1.0, agent=None, source="user")
        assert "the state at 1 that the learning process sent cannot be used" in await first_fault(store)
        assert follower.serving.router is router


async def test_an_outcome_in_a_state_that_cannot_be_used_is_not_counted_as_learned(
    store: TraceStore, module: Path
) -> None:
    router = written(module, "")
    (run_id,) = await answered(store, 1)
    async with await opened(follower := follower_of(store, router), SLOW_TO_LOOK) as learner:
        changed = "    def snapshot(self):\n        return super().snapshot().model_copy(update={'payload': b'?'})\n"
        rewrite(module, MODULE.format(name="MyRouter", body=changed))
        await learner.take(run_id, 1.0, agent=None, source="user")
        assert "cannot be used" in await first_fault(store)
        state = KernelRouter().snapshot().model_copy(update={"router": "other"})
        mark = RouterMark(router="other", root="x", parameters=state.parameters, kind="reset", at=1.0)
        store.put_mark(mark, state)  # a number that is not for this router: it moves on without a state
        with pytest.raises(TimeoutError):
            await learner.learned(1.0)
        rewrite(module, MODULE.format(name="MyRouter", body=""))
        assert learner.pid is not None
        os.kill(learner.pid, signal.SIGKILL)
        await learner.learned(PATIENCE_S)
        assert follower.serving.router.snapshot() == from_the_log(store)


async def test_a_router_that_fails_to_begin_is_reported_and_begins_again(store: TraceStore, module: Path) -> None:
    body = (
        "    broken = False\n    def snapshot(self):\n        if self.broken:\n            raise LookupError('lost')\n"
    )
    router = written(module, body + "        return super().snapshot()\n")
    (run_id,) = await answered(store, 1)
    async with await opened(follower := follower_of(store, router), SLOW_TO_LOOK) as learner:
        type(router).broken = True  # type: ignore[attr-defined]  # the module's own
        await learner.take(run_id, 1.0, agent=None, source="user")
        assert "the learning process ended: LookupError: lost" in await first_fault(store)
        type(router).broken = False  # type: ignore[attr-defined]
        await learner.learned(PATIENCE_S)
        assert follower.serving.router.sequence == 1


class LocalEmbedder(HashingEmbedder):
    """An embedder that no entry point names."""

    version = "mine-1"


class ShadowRouter(KernelRouter):
    """A router that is not the one found under its name."""


ShadowRouter.__module__, ShadowRouter.__qualname__ = KernelRouter.__module__, KernelRouter.__qualname__


def test_what_stands_against_a_process_is_named(store: TraceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class InsideRouter(KernelRouter):
        """A router that cannot be imported."""

    assert obstacle(follower_of(store)) == ""
    with open_store() as memory:
        assert "'memory://' is no database that another process can open" in obstacle(follower_of(memory))
    assert "InsideRouter' cannot be imported" in obstacle(follower_of(store, InsideRouter()))
    assert "is not what is imported under its name" in obstacle(follower_of(store, ShadowRouter()))
    assert "'mine-1' cannot be built by name" in obstacle(follower_of(store, embedder=LocalEmbedder()))
    assert "is not the installed" in obstacle(follower_of(store, embedder=HashingEmbedder(64)))
    monkeypatch.setattr(sys, "executable", "")
    assert "no Python interpreter" in obstacle(follower_of(store))


def test_a_router_that_its_parameters_do_not_build_stands_against_a_process(store: TraceStore, module: Path) -> None:
    kind = type(written(module, "    def __init__(self, needed=None): super().__init__()"))
    router = kind("something")
    kind.__init__.__defaults__ = None
    assert "cannot be built again" in obstacle(follower_of(store, router))


async def test_a_process_that_was_asked_for_and_cannot_be_is_an_error_and_auto_learns_on_the_loop(
    store: TraceStore,
) -> None:
    embedder = LocalEmbedder()
    with pytest.raises(ConfigError, match=r"Learning\.mode is 'process', but the embedder 'mine-1'"):
        await open_learner(follower_of(store, embedder=embedder), APART)
    assert isinstance(await open_learner(follower_of(store, embedder=embedder), Learning()), LoopLearner)


async def test_the_child_works_although_the_working_folder_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///near.db") as store:
        (run_id,) = await answered(store, 1)
        async with await opened(follower := follower_of(store), SLOW_TO_LOOK) as learner:
            (tmp_path / "elsewhere").mkdir()
            monkeypatch.chdir(tmp_path / "elsewhere")
            await learner.take(run_id, 1.0, agent=None, source="user")
            await learner.learned(PATIENCE_S)
            assert follower.serving.router.sequence == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
