"""What lists and counts read of a large store: indexes alone, whatever is filtered by, and rows of one page."""

import asyncio

import pytest
from sqlalchemy import func, select

from agentmesh.records import RunStatus
from agentmesh.store import RunFilter, open_store
from agentmesh.store.log import OUTLINE_COLUMNS
from agentmesh.store.query import listed, page_of
from agentmesh.testing.many_runs import copies, real_runs

FILTERS = {
    "nothing": RunFilter(),
    "alone": RunFilter(alone=True),
    "a status": RunFilter(status=RunStatus.WAITING, alone=True),
    "an agent": RunFilter(agent_id="agent-law"),
    "an agent since a time": RunFilter(agent_id="agent-law", since=5.0),
    "a time": RunFilter(since=5.0, alone=True),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('scale')}/mesh.db"


@pytest.fixture(scope="module")
def store(url):
    """Return a store of 2,000 events, copies of a few real runs."""
    with open_store(url) as opened:
        tasks = asyncio.run(real_runs(opened, count=10))
        for batch in copies(tasks, events=2000, begun_at=1_760_000_000.0):
            opened.append(batch)
        yield opened


def plan(store, query):
    """Return how SQLite would answer, a line each."""
    words = str(query.compile(compile_kwargs={"literal_binds": True}))
    with store._database.reading() as connection:
        return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}")]


def test_copies_of_runs_are_whole_runs_with_ids_and_texts_of_their_own(store):
    assert store.check() == []
    made = store.runs(RunFilter(prefix="199", alone=True), limit=1000)
    assert len({run.text for run in made}) == len(made) > 150
    whole = next(run.id for run in made if run.id.endswith("-0000000009"))
    assert [stage.run_id for stage in store.run(whole).stages] == [f"{whole}/draft", f"{whole}/check"]
    assert {store.run(f"{whole}/{stage}").parent for stage in ("draft", "check")} == {whole}
    assert len(store.tail(limit=10_000)) > 2000


@pytest.mark.parametrize("where", FILTERS.values(), ids=FILTERS)
def test_runs_are_counted_and_found_by_indexes_alone(store, where):
    count = select(func.count()).select_from(listed(where))
    lines = plan(store, count)
    assert all("COVERING INDEX" in line for line in lines if "runs" in line or "run_agents" in line), lines
    lines = plan(store, page_of(where, OUTLINE_COLUMNS, limit=20, offset=100))
    inner, outer = lines[: lines.index("SCAN page")], lines[lines.index("SCAN page") :]
    read = [line for line in inner if line.startswith(("SCAN", "SEARCH"))]
    assert all("COVERING INDEX" in line for line in read), lines
    assert [line for line in outer if "runs" in line] == ["SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id=?)"]


@pytest.mark.parametrize("name", ["alone", "a status", "an agent", "an agent since a time", "a time"])
def test_the_newest_runs_are_found_without_sorting_all_of_them(store, name):
    lines = plan(store, page_of(FILTERS[name], OUTLINE_COLUMNS, limit=20, offset=0))
    assert not any("TEMP B-TREE" in line for line in lines[: lines.index("SCAN page")]), lines


def test_a_run_is_found_by_its_beginning_within_a_range_of_an_index(store):
    lines = plan(store, page_of(RunFilter(prefix="199dbde4100-"), OUTLINE_COLUMNS, limit=6, offset=0))
    assert "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id>? AND id<?)" in lines


def test_the_runs_that_a_run_started_are_found_by_an_index(store):
    with store._database.reading() as connection:
        lines = connection.exec_driver_sql("EXPLAIN QUERY PLAN SELECT id FROM runs WHERE parent IN ('a', 'b')").all()
    assert "ix_runs_parent" in str(lines)
