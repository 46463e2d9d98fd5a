"""Who is at work: leases that are renewed, lapse only when that is certain, and processes that are certainly gone."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from agentmesh.errors import StoreError
from agentmesh.store import MemoryStore
from agentmesh.store.at_work import AtWork
from agentmesh.store.base import Lease
from agentmesh.store.leases import LASTS_S, QUIET_S, standing, watched
from agentmesh.store.processes import ProcessMark, fate, this_process
from agentmesh.testing.leases import lease, owned
from agentmesh.testing.traces import start

HERE = this_process()
IS_LINUX = bool(HERE.place)


class SetClock:
    """Says what it was set to."""

    def __init__(self, now: float = 100.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Faulty(MemoryStore):
    """Refuses to write leases as long as it is told to, and tells of each beat."""

    def __init__(self) -> None:
        super().__init__()
        self.fails, self.beaten = False, threading.Semaphore(0)

    def put_lease(self, lease: Lease) -> None:
        self._refuse()
        super().put_lease(lease)
        self.beaten.release()

    def renew_lease(self, owner: str, at: float) -> bool:
        self._refuse()
        done = super().renew_lease(owner, at)
        self.beaten.release()
        return done

    def end_lease(self, owner: str, *, beats: int | None = None) -> bool:
        self._refuse()
        return super().end_lease(owner, beats=beats)

    def _refuse(self) -> None:
        if self.fails:
            self.beaten.release()
            raise StoreError("the disk is full")


class Moving(MemoryStore):
    """Has one lease renewed and one ended right after somebody looked at them."""

    def leases(self) -> list[Lease]:
        seen = super().leases()
        self.renew_lease("renewed", 9_000.0)
        self.end_lease("ends")
        return seen


def here(owner: str, mark: ProcessMark = HERE, *, at: float = 100.0) -> Lease:
    """Return a lease of a process of this machine."""
    return Lease(owner, mark.host, mark.pid, mark.place, mark.born, at, at)


def ended_process() -> ProcessMark:
    """Return the mark of a process that ran here and has ended."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return replace(HERE, pid=int(done.stdout), born="1")


# --- processes


@pytest.mark.skipif(not IS_LINUX, reason="only Linux says which process is which")
def test_a_process_is_gone_for_certain_only_when_this_machine_says_so() -> None:
    assert fate(HERE, HERE) == "alive"
    assert fate(ended_process(), HERE) == "gone"
    assert fate(replace(HERE, born="another"), HERE) == "gone"  # its number was used again
    assert fate(replace(HERE, place="another machine"), HERE) == "unknown"
    assert fate(replace(HERE, pid=0), HERE) == "unknown"
    assert fate(HERE, replace(HERE, place="")) == "unknown"
    assert fate(replace(HERE, pid=1), HERE) in ("gone", "unknown")  # born at another time, if that can be seen


@pytest.mark.skipif(not IS_LINUX, reason="only Linux says which process is which")
def test_a_process_that_was_killed_and_not_asked_for_yet_is_gone() -> None:
    process = subprocess.Popen(["sleep", "60"])
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as said:
        mark = replace(HERE, pid=process.pid, born=said.read().rpartition(")")[2].split()[19])
    assert fate(mark, HERE) == "alive"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert fate(mark, HERE) == "gone"
    assert process.wait() == -signal.SIGKILL


# --- leases


@pytest.mark.parametrize(
    ("at", "stands"),
    [
        (100.0, "living"),
        (100.0 - LASTS_S, "living"),
        (99.9 - LASTS_S, "in doubt"),
        (100.0 + LASTS_S, "living"),  # another machine's clock, or ours was set back
        (100.1 + LASTS_S, "in doubt"),
    ],
)
def test_a_lease_is_in_doubt_when_it_was_renewed_far_from_now_by_either_side(at: float, stands: str) -> None:
    assert standing(lease("a", at=at), now=100.0, here=HERE) == stands


@pytest.mark.skipif(not IS_LINUX, reason="only Linux says which process is which")
def test_a_process_of_this_machine_that_has_ended_needs_no_watching() -> None:
    assert standing(here("a", ended_process()), now=100.0, here=HERE) == "gone"
    assert standing(here("a"), now=100.0, here=HERE) == "living"


async def test_who_is_in_doubt_is_watched_and_lives_if_it_is_renewed_meanwhile() -> None:
    store, clock = Moving(), SetClock(10_000.0)  # a clock that jumped, or a machine that slept
    for owner in ("renewed", "silent", "ends"):
        store.put_lease(lease(owner))
    roll = await watched(store, clock, watch_s=0.0)
    assert [one.owner for one in roll.living] == ["renewed"]
    assert [one.owner for one in roll.gone] == ["silent"]
    assert roll.in_doubt == ()


# --- the mesh that is at work


async def test_a_lease_is_renewed_by_a_thread_though_the_loop_is_held_up_and_released_at_the_end() -> None:
    store, clock = Faulty(), SetClock()
    async with AtWork(store, clock, beat_s=0.001) as at_work:
        clock.time = 101.0
        while (mine := store.leases()[0]).renewed_at == 100.0:
            assert store.beaten.acquire(timeout=30)  # the loop stands still
        assert (mine.owner, mine.pid, mine.taken_at, mine.renewed_at) == (at_work.owner, os.getpid(), 100.0, 101.0)
        assert mine.beats >= 1
        assert await at_work.holder(at_work.owner) is None
        assert await at_work.holder("") is None
    assert store.leases() == []


async def test_a_lease_that_somebody_ended_or_that_could_not_be_written_is_taken_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Faulty()
    store.fails = True
    async with AtWork(store, SetClock(), beat_s=0.001) as at_work:
        for _ in range(3):
            await asyncio.to_thread(store.beaten.acquire, timeout=30)
        assert store.leases() == []
        store.fails = False
        while not store.leases():
            await asyncio.to_thread(store.beaten.acquire, timeout=30)
        store.end_lease(at_work.owner)
        while not store.leases():
            await asyncio.to_thread(store.beaten.acquire, timeout=30)
        assert store.leases()[0].owner == at_work.owner
        store.fails = True
    assert 1 <= caplog.text.count("others cannot see that this process is at work: the disk is full") <= 2


def test_a_mesh_that_was_dropped_with_its_loop_is_not_at_work_any_more() -> None:
    store = Faulty()
    dropped = AtWork(store, SetClock(), beat_s=0.001)
    asyncio.run(dropped.__aenter__())
    dropped._thread.join(timeout=30)
    assert not dropped._thread.is_alive()
    assert [one.owner for one in store.leases()] == [dropped.owner]  # it lapses


@pytest.mark.skipif(not IS_LINUX, reason="only Linux says which process is which")
async def test_who_opens_is_told_at_once_of_what_is_certain_and_finds_the_rest_by_watching(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, clock = MemoryStore(), SetClock(10_000.0)
    store.put_lease(here("killed", ended_process()))
    store.put_lease(lease("silent"))
    store.put_lease(lease("far", at=10_000.0))
    store.append([owned("a", "killed"), owned("b", "closed"), owned("c", "silent"), owned("d", "far")])
    store.append([start("old", at=9_999.0 - QUIET_S), start("new", at=9_999.0)])
    with caplog.at_level(logging.WARNING):
        async with AtWork(store, clock, watch_s=0.001) as at_work:
            assert "3 run(s) in 'memory://' were left by a process that is gone" in caplog.text
            assert "'agentmesh runs resume --all'" in caplog.text
            assert {one.owner for one in store.leases()} == {"silent", "far", at_work.owner}
            holder = await at_work.holder("far")
            assert holder is not None
            assert holder.owner == "far"
            assert [run.id for run in await at_work.orphans()] == ["a", "b", "c", "old"]
            assert {one.owner for one in store.leases()} == {"far", at_work.owner}
            assert await at_work.holder("silent") is None


async def test_a_store_that_cannot_be_written_is_opened_all_the_same_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Faulty()
    MemoryStore.put_lease(store, here("killed", replace(HERE, born="0")))
    store.fails = True
    async with AtWork(store, SetClock()):
        assert [one.owner for one in store.leases()] == ["killed"]
    with suppress(StoreError):
        store.end_lease("killed")
    assert caplog.text.count("the disk is full") == 1
