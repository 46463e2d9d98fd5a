"""A cascade is calibrated on a recorded set and on what a mesh has learned from."""

from pathlib import Path

import pytest

from agentmesh import Mesh, Task, agent, open_store
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning.calibration import Calibration, calibrate_router, publish_calibrated
from agentmesh.learning.retraining import retrain
from agentmesh.learning.settings import Learning
from agentmesh.learning.training import publish_router, train_router
from agentmesh.learning.trial import Trial
from agentmesh.learning.versions import find_routers, only_router, router_at
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, write_set
from agentmesh.records import RunStatus
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.store.base import TraceStore

EMBEDDER = StaticEmbedder()
LOOP = Learning(mode="loop")
STRANGE = "zebra migration across the frozen harbour"
WORDS = {
    "sums": ("add", "subtract", "multiply", "number", "total", "sum"),
    "rhymes": ("poem", "verse", "rhyme", "moon", "stanza", "sonnet"),
}
AGENTS = tuple(AgentLine(id=name, description=f"Does {name}.") for name in WORDS)


def texts(kind: str, count: int) -> list[str]:
    words = WORDS[kind]
    return [f"please {words[n % 6]} the {words[(n // 6 + n) % 6]} {n % 11} {words[n // 3 % 6]}" for n in range(count)]


def label_set(folder: Path, *, train: int = 60, val: int = 30, strange: int = 0) -> str:
    lines = []
    for split, count in (("train", train), ("val", val)):
        for kind in WORDS:
            lines += [
                TaskLine(id=f"{split}-{kind}-{n}", split=split, text=text, group=kind, labels=(kind,))
                for n, text in enumerate(texts(kind, count))
            ]
        lines += [
            TaskLine(id=f"{split}-none-{n}", split=split, text=f"{STRANGE} {n}", group="", labels=())
            for n in range(strange)
        ]
    target = folder / f"set-{train}-{val}-{strange}"
    write_set(target, SetInfo(name="tiny", kind="labels"), agents=AGENTS, tasks=lines)
    return str(target)


def trained(store: TraceStore, source: str) -> CascadeRouter:
    router = CascadeRouter(stages=("linear",))
    publish_router(store, router, train_router(router, source, EMBEDDER))
    return router


def calibrated(store: TraceStore, source: str, **options: float) -> Calibration:
    stored = only_router(find_routers(store, "cascade"))
    router = router_at(store, stored)
    found = calibrate_router(router, source, EMBEDDER, **options)
    publish_calibrated(store, stored, router, found)
    return found


@agent(description="Does sums.")
async def sums(task: Task) -> str:
    return "7"


@agent(description="Does rhymes.")
async def rhymes(task: Task) -> str:
    return "moon"


def mesh_at(url: str) -> Mesh:
    return Mesh([sums, rhymes], router=CascadeRouter(stages=("linear",)), store=url, learning=LOOP, explore=0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mesh.db'}"


async def test_a_mesh_turns_away_what_is_unlike_the_set_it_was_calibrated_on(url: str, tmp_path: Path) -> None:
    source = label_set(tmp_path)
    with open_store(url) as store:
        trained(store, source)
        found = calibrated(store, source)
    assert (found.tasks, found.held_back, found.kind) == (120, 60, "labels")
    assert found.threshold == pytest.approx(1 - found.coverage)
    async with mesh_at(url) as mesh:
        known, strange = await mesh.run(texts("sums", 60)[45]), await mesh.run(STRANGE)
    assert known.answered_by == ("sums",)
    assert strange.status is RunStatus.ABSTAINED
    assert "unlike the tasks it knows" in (strange.error or "")


def test_what_nobody_fits_has_no_effect_on_the_guard(url: str, tmp_path: Path) -> None:
    router, twin = CascadeRouter(stages=("linear",)), CascadeRouter(stages=("linear",))
    calibrate_router(router, label_set(tmp_path), EMBEDDER)
    calibrate_router(twin, label_set(tmp_path, strange=20), EMBEDDER)
    guards = [one.gatekeeper.guard.arrays() for one in (router, twin)]
    assert {name: array.tobytes() for name, array in guards[0].items()} == {
        name: array.tobytes() for name, array in guards[1].items()
    }


def test_the_curve_tells_what_other_coverages_would_be_worth(tmp_path: Path) -> None:
    found = calibrate_router(CascadeRouter(stages=("linear",)), label_set(tmp_path), EMBEDDER, coverage=0.8)
    assert (found.coverage, found.threshold) == (0.8, pytest.approx(0.2))
    shares = [point.coverage for point in found.curve]
    assert shares == sorted(shares, reverse=True)
    assert all(point.quality > 0.9 for point in found.curve)


def test_calibrating_leaves_the_routers_as_they_are(url: str, tmp_path: Path) -> None:
    source = label_set(tmp_path)
    router = CascadeRouter(stages=("linear",))
    train_router(router, source, EMBEDDER)
    before = router._routers[0].snapshot()
    calibrate_router(router, source, EMBEDDER)
    assert router._routers[0].snapshot() == before
    assert router.thresholds[0] > 0


async def test_a_cascade_is_calibrated_on_what_its_mesh_learned_and_keeps_it_through_retraining(url: str) -> None:
    async with mesh_at(url) as mesh:
        for place in range(45):
            for kind in WORDS:
                run = await mesh.run(texts(kind, 60)[place])
                await mesh.feedback(run.id, float(run.answered_by == (kind,)))
    with open_store(url) as store:
        found = calibrated(store, url)
        assert (found.kind, found.held_back) == ("experiences", 18)
        stored = only_router(find_routers(store, "cascade"))
        assert retrain(store, stored, trial=Trial(force=True)).promoted
        again = router_at(store, only_router(find_routers(store, "cascade")))
    assert isinstance(again, CascadeRouter)
    assert again.is_calibrated
    async with mesh_at(url) as mesh:
        assert (await mesh.run(STRANGE)).status is RunStatus.ABSTAINED


def test_retraining_what_was_never_calibrated_inherits_nothing() -> None:
    router = CascadeRouter()
    router.inherit(CascadeRouter())
    router.inherit(KernelRouter())
    assert not router.is_calibrated


def test_what_cannot_be_calibrated_is_refused(url: str, tmp_path: Path) -> None:
    source = label_set(tmp_path)
    with pytest.raises(ConfigError, match="no guard to calibrate"):
        calibrate_router(KernelRouter(), source, EMBEDDER)
    with pytest.raises(ConfigError, match="coverage"):
        calibrate_router(CascadeRouter(), source, EMBEDDER, coverage=1.5)
    with pytest.raises(ConfigError, match="too few"):
        calibrate_router(CascadeRouter(), label_set(tmp_path, train=3, val=1), EMBEDDER)
    open_store(url).close()
    with pytest.raises(StoreError, match="no experience"):
        calibrate_router(CascadeRouter(), url, EMBEDDER)
