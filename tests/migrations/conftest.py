"""Copies of old databases, in a file and in PostgreSQL."""

import shutil

import pytest
from sqlalchemy import MetaData, create_engine, insert, select

from agentmesh.store.migrate import upgrade
from agentmesh.store.postgres import _engine, _parsed
from agentmesh.store.version import VERSION_TABLE


def copied_to_file(golden, request):
    copy = request.getfixturevalue("tmp_path") / golden.name
    shutil.copyfile(golden, copy)
    return f"sqlite:///{copy}"


def copied_to_postgres(golden, request):
    return fill(golden, request.getfixturevalue("postgres_url"))


def fill(golden, url):
    """Make the tables of the golden database's schema in PostgreSQL, and fill them with its rows."""
    engine, source = _engine(_parsed(url), wait_s=5.0), create_engine(f"sqlite:///{golden}")
    with engine.begin() as there, source.connect() as here:
        upgrade(there, since=None, until=f"{int(golden.stem.removeprefix('schema')):04}")
        rows_of = MetaData()
        rows_of.reflect(here)
        for table in rows_of.sorted_tables:
            rows = [row._asdict() for row in here.execute(select(table))] if table.name != VERSION_TABLE else []
            if rows:
                there.execute(insert(table), rows)
        last = there.exec_driver_sql("SELECT setval('events_place_seq', max(place)) FROM events")
        assert last.scalar() > 0
    engine.dispose()
    source.dispose()
    return url


@pytest.fixture(params=[copied_to_file, copied_to_postgres], ids=["sqlite", "postgres"])
def copied(request):
    """Return what copies a golden database and returns the URL of the copy, which may be changed."""
    return lambda golden: request.param(golden, request)


@pytest.fixture(params=["sqlite", "postgres"])
def copied_anew(request):
    """Return what copies a golden database to a place of its own, however many there are."""
    if request.param == "sqlite":
        return lambda golden: copied_to_file(golden, request)
    new_url = request.getfixturevalue("new_postgres_url")
    return lambda golden: fill(golden, new_url())
