"""The first page of a search: what is asked for in the order of time, by whichever way it was found."""

from dataclasses import replace
from itertools import product

import pytest
from sqlalchemy import func, select

from agentmesh.records import RunStatus
from agentmesh.store import RunFilter, open_store
from agentmesh.store.log import OUTLINE_COLUMNS
from agentmesh.store.pages import read_page
from agentmesh.store.query import listed, page_of
from agentmesh.testing.traces import call, decided, end, start

TEXTS = ("Wie viele ÄPFEL?", "100% sold", "a_b", "nul\0l", "half \ud83d", "äpfel, 100%", "x" * 5000 + "äpfel")
FOUND = (
    *(RunFilter(text=text) for text in ("äpfel", "100%", "a_b", "a%b", "L\0L", "\ud83d", "0", "nowhere", "")),
    RunFilter(text="äpfel", alone=True, status=RunStatus.COMPLETED),
    RunFilter(text="äpfel", agent_id="bob", since=3.0),
    RunFilter(text="0", since=1e9),
    RunFilter(text="äpfel", reason="boundary 1"),
    RunFilter(text="100%", prefix="r2"),
    RunFilter(reason="BOUNDARY"),
    RunFilter(reason="boundary 3", alone=True),
    RunFilter(status=RunStatus.RUNNING),
)


def events_of(number):
    """Return a run that shares its time with others, and was not stored in the order of times."""
    run_id, agent = f"r{number:02}", "bob" if number % 2 else "ada"
    begun = start(run_id, text=TEXTS[number % len(TEXTS)], at=float(number * 7 % 10))
    told = [decided(run_id, 1, reason=f"the boundary {number}"), call(run_id, 2, agent)]
    ended = [] if number % 5 == 0 else [end(run_id, 3)]
    return [begun.model_copy(update={"parent": "r01"} if number % 3 == 0 else {}), *told, *ended]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    is_file = request.param == "sqlite"
    url = f"sqlite:///{folder}/mesh.db" if is_file else request.getfixturevalue("new_postgres_url")()
    with open_store(url) as opened:
        opened.append([event for number in range(40) for event in events_of(number)])
        yield opened


def test_a_search_finds_what_the_order_of_time_has_and_counts_all_or_says_that_it_did_not(store):
    counted = set()
    with store._database.reading() as connection:
        for where in FOUND:
            rows = connection.execute(page_of(where, OUTLINE_COLUMNS, limit=100, offset=0)).all()
            total = connection.scalar(select(func.count()).select_from(listed(where)))
            assert len(rows) == total
            for limit, newest in product((3, 100), (0, 2, 9, 5000)):
                page = read_page(connection, where, limit=limit, offset=0, newest=newest)
                assert [run.id for run in page.runs] == [row.id for row in rows[:limit]]
                assert page.total in (None, total)
                counted.add((page.total is None, newest))
    assert {(True, 9), (False, 9), (False, 5000), (False, 0)} <= counted


def test_a_search_that_the_newest_runs_do_not_answer_is_counted_at_once(store):
    with store._database.reading() as connection:
        assert read_page(connection, RunFilter(text="äpfel"), limit=3, offset=0, newest=20).total is None
        assert read_page(connection, RunFilter(text="äpfel"), limit=3, offset=0, newest=2).total == 16
        assert read_page(connection, RunFilter(reason="boundary"), limit=3, offset=0, newest=20).total == 40
    assert store.runs_page(RunFilter(text="äpfel"), limit=3).total == 16
    assert store.runs_page(RunFilter(text="äpfel"), limit=3, offset=14).total == 16
    assert store.runs_page(limit=3).total is None


@pytest.mark.parametrize("where", [RunFilter(text="a"), RunFilter(text="a", alone=True)])
def test_counting_a_search_reads_the_runs_in_the_order_in_which_they_are_stored(tmp_path, where):
    with open_store(f"sqlite:///{tmp_path}/mesh.db") as store, store._database.reading() as connection:

        def plan(where, **options):
            query = page_of(where, OUTLINE_COLUMNS, limit=20, offset=0, **options)
            words = str(query.compile(compile_kwargs={"literal_binds": True}))
            return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}")]

        assert "SCAN runs" in plan(where, counted=True)
        newest = plan(replace(where, since=5.0))
        assert "SEARCH runs USING INDEX ix_runs_started_at (started_at>?)" in newest
        assert not any("TEMP B-TREE" in line for line in newest[: newest.index("SCAN page")])
