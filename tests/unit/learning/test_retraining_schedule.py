"""Retraining in the background: a mesh on a real database, a real process, and what goes wrong in it."""

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmesh import Learning, Mesh, open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning.frames import Order
from agentmesh.learning.learner import LogFollower, state_key
from agentmesh.learning.process import command_of
from agentmesh.learning.retrain_worker import Report, report
from agentmesh.learning.schedule import RetrainingSchedule, open_schedule
from agentmesh.learning.versions import put_router_mark
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback, RouterMark
from agentmesh.routing.base import Outcomes, Router, ScoringRouter
from agentmesh.routing.category import CategoryRouter
from agentmesh.routing.serving import ServingRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.sql import SqlStore
from agentmesh.store.sqlite import SqliteFile
from agentmesh.testing.agents import EchoAgent
from agentmesh.testing.stores import whole

EMBEDDER = HashingEmbedder()
KINDS, AGENTS = ("sums", "rhymes"), ("adder", "poet")
OFTEN = Learning(retrain_every=220, retrain_s=0.02, poll_s=0.02)
PATIENCE_S = 40.0  # a process that fits starts in it, on a machine that is busy with the other half of the tests

WAITING = '''
"""A router that says that it is being fitted, and is fitted when it is told to go on."""

import time
from pathlib import Path

from agentmesh.routing.category import CategoryRouter

HERE = Path(__file__).parent


class WaitingRouter(CategoryRouter):
    name = "waiting"

    def _fit(self, outcomes):
        (HERE / "fitting").touch()
        while not (HERE / "go").exists():
            time.sleep(0.005)
        super()._fit(outcomes)


class FailingRouter(CategoryRouter):
    name = "failing"

    def _fit(self, outcomes):
        raise MemoryError
'''


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a database once: a misled router, and one task less than it takes to be retrained."""
    path = tmp_path_factory.mktemp("written") / "mesh.db"
    with open_store(f"sqlite:///{path}") as store:
        misled(store)
        teach(store, 109)
    return path


@pytest.fixture
def store(tmp_path: Path, written: Path) -> Iterator[TraceStore]:
    shutil.copy(written, tmp_path / "mesh.db")
    with open_store(f"sqlite:///{tmp_path / 'mesh.db'}") as opened:
        yield opened


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ScoringRouter]:
    """Put a module with routers where another process finds it, and return what builds one of them."""
    (tmp_path / "waiting_router.py").write_text(WAITING)
    monkeypatch.syspath_prepend(str(tmp_path))

    def build(name: str) -> ScoringRouter:
        import waiting_router

        made: ScoringRouter = getattr(waiting_router, name)()
        return made

    return build


def misled(store: TraceStore) -> None:
    """Let a category router serve that was fitted on a table in which everything is the wrong way round."""
    router = CategoryRouter()
    root = router.parameters_hash
    store.put_router(router.name, root, json.dumps(dict(router.parameters)))
    router.fit(table())
    key = state_key(router.name, EMBEDDER.version)
    put_router_mark(store, RouterMark(router=key, root=root, parameters="", kind="trained", at=0.0), router)


def table() -> Outcomes:
    quality = 1.0 - np.tile(np.eye(2), (100, 1))
    texts = tuple(f"task {place}" for place in range(200))
    return Outcomes(AGENTS, EMBEDDER.embed(texts), texts, KINDS * 100, quality, np.full(quality.shape, np.nan))


def teach(store: TraceStore, runs: int) -> None:
    """Store runs in which both agents were called and scored, the right one for each kind."""
    first = store.count_runs()
    for place in range(first, first + runs):
        run_id, kind = f"r{place}", KINDS[place % 2]
        events = whole(run_id, at=float(place))
        store.append([events[0].model_copy(update={"embedder": EMBEDDER.version}), *events[1:]])
        known: dict[str, Any] = {"embedder": EMBEDDER.version, "propensity": 1.0, "at": float(place)}
        vector = pack_vector(EMBEDDER.embed([f"{kind} {place}"])[0])
        lessons = [
            Experience(
                run_id=run_id,
                text=f"{kind} {place}",
                vector=vector,
                agent_id=agent,
                quality=float(right == kind),
                type_hints=(kind,),
                **known,
            )
            for agent, right in zip(AGENTS, KINDS, strict=True)
        ]
        store.add_feedback(Feedback(run_id=run_id, score=1.0, at=float(place)), lessons)


def mesh_of(store: TraceStore, router: str | Router = "category", learning: Learning = OFTEN) -> Mesh:
    agents = [EchoAgent(agent_id) for agent_id in AGENTS]
    return Mesh(agents, router=router, store=store, embedder=EMBEDDER, learning=learning)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


def marks(store: TraceStore, router: Router | None = None) -> list[RouterMark]:
    of = router or CategoryRouter()
    return list(store.marks(state_key(of.name, EMBEDDER.version), of.parameters_hash))


def follower_of(store: TraceStore, router: Router | None = None) -> LogFollower:
    return LogFollower(store, ServingRouter(router or CategoryRouter()), EMBEDDER)


@pytest.mark.parametrize("mode", ["process", "loop"])
async def test_a_mesh_serves_what_was_retrained_in_the_background(store: TraceStore, mode: Any) -> None:
    teach(store, 1)
    async with mesh_of(store, learning=OFTEN.model_copy(update={"mode": mode})) as mesh:
        before = mesh.router.version
        await until(lambda: len(marks(store)) == 2)
        await mesh.learned(PATIENCE_S)
        mark = marks(store)[-1]
        assert mesh.router.version == f"{mark.parameters}@{mark.sequence}" != before
    assert mark.note.startswith("fitted anew on 176 outcomes; 1.000 instead of 0.000 on 22 held back")
    assert store.faults() == []


async def test_nothing_is_retrained_before_enough_outcomes_came(store: TraceStore) -> None:
    follower = follower_of(store)
    async with await open_schedule(follower, OFTEN) as schedule:
        assert isinstance(schedule, RetrainingSchedule)
        assert not schedule._is_due()
        teach(store, 1)
        await until(lambda: len(marks(store)) == 2)
        assert not schedule._is_due()  # a mark counts, whoever set it
    other = RetrainingSchedule(follower_of(store), order_for(store, "a:B"), every=220, look_s=1.0)
    assert not other._is_due()


async def test_a_process_that_is_killed_while_it_fits_leaves_the_version_and_is_told(
    store: TraceStore, installed: Callable[[str], ScoringRouter], tmp_path: Path
) -> None:
    router = installed("WaitingRouter")
    teach(store, 1)
    async with await open_schedule(follower_of(store, router), OFTEN) as schedule:
        assert schedule is not None
        await until((tmp_path / "fitting").exists)
        pid = schedule.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(store.faults)
        assert schedule.pid is None
    assert [fault.message for fault in store.faults()] == [
        "retraining router 'waiting' failed: the process ended: exit status -9"
    ]
    assert marks(store, type(router)()) == []


async def test_a_mesh_that_closes_ends_the_process_and_calls_it_no_fault(
    store: TraceStore, installed: Callable[[str], ScoringRouter], tmp_path: Path
) -> None:
    router = installed("WaitingRouter")
    teach(store, 1)
    async with mesh_of(store, router) as mesh:
        await until((tmp_path / "fitting").exists)
        assert (await mesh.run("add 1 and 2")).answer == "add 1 and 2"  # serving goes on
    assert store.faults() == []
    assert marks(store, type(router)()) == []


async def test_a_fit_that_runs_out_of_memory_is_a_fault_and_serving_goes_on(
    store: TraceStore, installed: Callable[[str], ScoringRouter]
) -> None:
    router = installed("FailingRouter")
    teach(store, 1)
    async with mesh_of(store, router) as mesh:
        await until(store.faults)
        assert (await mesh.run("add 1 and 2")).answer == "add 1 and 2"
    assert store.faults()[0].message == (
        "retraining router 'failing' failed: retraining router 'failing' ran out of memory, and nothing was changed; "
        "let it use more, or fit it on fewer tasks"
    )


class MoodyStore(SqlStore):
    """A store whose log cannot be read, or raises something else, now and then."""

    errors: tuple[Exception, ...] = ()

    def last_experience(self) -> int:
        if self.errors:
            error, *rest = self.errors
            self.errors = tuple(rest)
            raise error
        return super().last_experience()


async def test_a_log_that_cannot_be_read_now_is_read_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "mesh.db"
    with MoodyStore(SqliteFile(path, url=f"sqlite:///{path}")) as store:
        store.errors = (StoreError("disk I/O error"), ValueError("no idea"))
        async with await open_schedule(follower_of(store), OFTEN):
            await until(store.faults)
        assert [fault.message for fault in store.faults()] == [
            "retraining router 'category' failed: ValueError: no idea"
        ]
    assert "retraining waits for the log to be readable: disk I/O error" in caplog.text


def order_for(store: TraceStore, router: str) -> Order:
    built = CategoryRouter()
    return Order(
        store=store.url,
        router=router,
        parameters=dict(built.parameters),
        root=built.parameters_hash,
        embedder=EMBEDDER.version,
        publish_s=1.0,
        poll_s=1.0,
    )


def test_what_goes_wrong_in_the_process_is_reported(store: TraceStore) -> None:
    out = io.BytesIO()
    report(order_for(store, "nowhere:Router").model_dump_json().encode(), out)
    assert Report.model_validate_json(out.getvalue()).error == "ModuleNotFoundError: No module named 'nowhere'"


def test_a_report_says_what_was_found(store: TraceStore) -> None:
    out = io.BytesIO()
    report(order_for(store, "agentmesh.routing.category:CategoryRouter").model_dump_json().encode(), out)
    found = Report.model_validate_json(out.getvalue()).found
    assert found is not None
    assert (found.promoted, found.reason, found.outcomes) == (True, "", 218)


async def test_what_is_kept_is_not_tried_again_before_more_outcomes_came(
    store: TraceStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    teach(store, 1)
    unmarked = CategoryRouter(curiosity=0.2)  # the misled one is another router
    async with await open_schedule(follower_of(store, unmarked), OFTEN) as schedule:
        assert schedule is not None
        await until(lambda: "is kept as it is: not better" in caplog.text)
        assert not schedule._is_due()
    assert marks(store, CategoryRouter(curiosity=0.2)) == []


def test_the_process_ends_when_the_mesh_is_gone(
    store: TraceStore, installed: Callable[[str], ScoringRouter], tmp_path: Path
) -> None:
    installed("WaitingRouter")
    order = order_for(store, "waiting_router:WaitingRouter")
    with subprocess.Popen(command_of("retrain_worker"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(order.model_dump_json().encode() + b"\n")
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(PATIENCE_S) == 1


async def test_without_a_database_file_nothing_can_be_retrained() -> None:
    with pytest.raises(
        ConfigError, match=r"retrain_every is 220, but the store 'memory://' is no database that another"
    ):
        async with mesh_of(open_store(None)):
            raise AssertionError("it opened")


async def test_a_mesh_that_learns_nothing_does_not_retrain(store: TraceStore) -> None:
    with pytest.raises(ConfigError, match=r"retrain_every is 220, but Learning\.mode is 'off'"):
        await open_schedule(follower_of(store), OFTEN.model_copy(update={"mode": "off"}))


async def test_a_router_that_is_not_fitted_is_not_retrained(store: TraceStore) -> None:
    with pytest.raises(ConfigError, match="'cosine' is not fitted on outcomes"):
        await open_schedule(follower_of(store, CosineRouter()), OFTEN)


async def test_unasked_nothing_is_retrained(store: TraceStore) -> None:
    async with await open_schedule(follower_of(store), Learning()) as schedule:
        assert schedule is None
