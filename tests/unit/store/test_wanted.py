"""Reading that is given up in the middle, since nobody waits for it any more."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentmesh.errors import StoreError
from agentmesh.store import TraceStore, open_store, sqlite
from agentmesh.store.base import RunFilter
from agentmesh.store.wanted import only_while
from agentmesh.testing.traces import start

SOUGHT = RunFilter(text="nothing of the kind")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceStore]:
    monkeypatch.setattr(sqlite, "STEPS", 50)
    with open_store(f"sqlite:///{tmp_path / 'mesh.db'}") as store:
        store.append([start(f"r{number:03}") for number in range(200)])
        yield store


def test_a_search_ends_where_it_is_when_nobody_waits_and_the_next_one_goes_to_its_end(store: TraceStore) -> None:
    asked: list[int] = []

    def wanted() -> bool:
        asked.append(len(asked))
        return len(asked) < 5

    with only_while(wanted):
        with pytest.raises(StoreError, match=r"cannot read .* interrupted"):
            store.runs_page(SOUGHT)
        with pytest.raises(StoreError, match="interrupted"):
            store.count_runs(SOUGHT)
    assert len(asked) == 6
    assert (store.runs_page(SOUGHT).runs, store.count_runs()) == ([], 200)
    assert len(asked) == 6


def test_what_is_wanted_to_the_end_is_read_to_the_end(store: TraceStore) -> None:
    asked: list[bool] = []
    with only_while(lambda: not asked.append(True)):
        assert (store.runs_page(SOUGHT).runs, store.count_runs()) == ([], 200)
    assert asked


def test_only_the_thread_that_is_not_waited_for_ends_and_writing_goes_on(store: TraceStore) -> None:
    with ThreadPoolExecutor(1) as another, only_while(lambda: False):
        assert another.submit(store.count_runs, SOUGHT).result() == 0
        store.append([start("later")])
    assert store.count_runs() == 201


async def test_a_thread_that_is_begun_from_there_ends_too(store: TraceStore) -> None:
    with only_while(lambda: False), pytest.raises(StoreError, match="interrupted"):
        await asyncio.to_thread(store.count_runs, SOUGHT)
    assert await asyncio.to_thread(store.count_runs, SOUGHT) == 0


def test_a_store_in_memory_is_through_before_it_could_ask() -> None:
    with open_store(None) as store, only_while(lambda: False):
        store.append([start("r")])
        assert store.count_runs() == 1
