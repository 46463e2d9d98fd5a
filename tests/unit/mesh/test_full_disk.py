"""A mesh whose disk is full, or may no longer be written, for a while: clear errors, nothing lost, and it goes on."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentmesh import Learning, Mesh, Run, open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import StoreError
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store import TraceStore
from agentmesh.testing import EchoAgent

LONG = "who built petra " * 200


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the place of a database while it lasts, and what SQLite says of it."""

    folder: Path
    begin: Callable[[TraceStore], None]
    end: Callable[[TraceStore], None]
    says: str


def root_runs(*command: object) -> None:
    """Run a command that needs a right, or skip the test where it is not given."""
    if os.geteuid() != 0 or shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not tested: it needs root")
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{command[0]} is not tested: it is refused here ({done.stderr.strip()})")


@contextmanager
def few_pages(folder: Path) -> Iterator[Trouble]:
    """Let SQLite take no page more than it has."""

    def limit(store: TraceStore, pages: int) -> None:
        with store._database.writing() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    yield Trouble(folder, lambda store: limit(store, 1), lambda store: limit(store, 100_000), "is full")


@contextmanager
def small_disk(folder: Path) -> Iterator[Trouble]:
    """Give the database a file system of 8 MB, and fill that to the last byte."""
    root_runs("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)
    filler = folder / "filler"

    def fill(_store: TraceStore) -> None:
        with filler.open("wb", buffering=0) as file:
            for size in (65_536, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    try:
        yield Trouble(folder, fill, lambda _store: filler.unlink(), r"is full|disk I/O error")
    finally:
        root_runs("umount", folder)


@contextmanager
def no_writing(folder: Path) -> Iterator[Trouble]:
    """Forbid to write the folder and its files, in a way that binds root as well.

    But for the index of the log, which lies in memory: who writes to that memory would be ended by the kernel.
    """

    def forbid(_store: TraceStore) -> None:
        files = [file for file in folder.iterdir() if not file.name.endswith("-shm")]
        root_runs("chattr", "+i", *files, folder)

    def allow(_store: TraceStore | None = None) -> None:
        root_runs("chattr", "-i", folder, *folder.iterdir())

    try:
        yield Trouble(folder, forbid, allow, r"disk I/O error|readonly")
    finally:
        allow()


@pytest.fixture(params=[few_pages, small_disk, no_writing])
def trouble(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trouble]:
    """Return a place for a database that can be made to refuse writing."""
    (tmp_path / "place").mkdir()
    with request.param(tmp_path / "place") as made:
        yield made


def mesh_at(url: str) -> Mesh:
    """Return a mesh that learns in its own loop."""
    agents = [EchoAgent("ada"), EchoAgent("bob")]
    return Mesh(
        agents, router=CosineRouter(), embedder=HashingEmbedder(), store=url, learning=Learning(mode="loop"), explore=0
    )


async def many(mesh: Mesh, name: str) -> list[Run | BaseException]:
    """Run four tasks at once."""
    runs = (mesh.run(f"{LONG} {name} {number}", run_id=f"{name}{number}") for number in range(4))
    return await asyncio.gather(*runs, return_exceptions=True)


async def test_a_mesh_loses_nothing_that_it_said_was_done_and_goes_on_when_it_may_write_again(trouble: Trouble) -> None:
    url = f"sqlite:///{trouble.folder}/mesh.db"
    async with mesh_at(url) as mesh:
        done = await many(mesh, "before")
        trouble.begin(mesh.store)
        meanwhile = await many(mesh, "during")
        refused = [error for error in meanwhile if isinstance(error, BaseException)]
        assert len(refused) == 4
        for error in refused:
            assert isinstance(error, StoreError)
        with pytest.raises(StoreError, match=trouble.says) as failed:
            await mesh.run(LONG)
        assert url in str(failed.value)
        with pytest.raises(StoreError, match=trouble.says):
            await mesh.feedback("before1", 0.5)
        with open_store(url, read_only=True) as reader:
            assert reader.count_runs() >= 4
            assert reader.check() == []
        trouble.end(mesh.store)
        done += await many(mesh, "after")
        await mesh.feedback("before1", 0.5)
    with open_store(url) as store:
        assert store.check() == []
        for run in done:
            assert isinstance(run, Run)
            stored = store.run(run.id)
            assert (stored.status, stored.answer, stored.cost_usd) == (run.status, run.answer, run.cost_usd)
        assert len(store.experiences()) == 1
        places = [(one.event.run_id, one.event.seq) for one in store.tail(limit=10_000)]
        assert len(set(places)) == len(places)


async def test_a_mesh_that_opens_where_it_may_not_write_says_so_and_opens_later(tmp_path: Path) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    with no_writing(folder) as trouble:
        url = f"sqlite:///{folder}/mesh.db"
        mesh = mesh_at(url)
        async with mesh:
            await mesh.run("who built petra", run_id="first")
            store = mesh.store
        trouble.begin(store)
        with pytest.raises(StoreError, match="may not be written"):
            await mesh.__aenter__()
        with open_store(url, read_only=True) as reader:
            assert [run.id for run in reader.runs()] == ["first"]
        trouble.end(store)
        async with mesh:
            await mesh.run("who built petra", run_id="second")
            assert (mesh.store.count_runs(), mesh.store.check()) == (2, [])
