"""The contract of stores, run over every store that ships."""

from itertools import count

import pytest

from agentmesh.store import MemoryStore, TraceStore, open_store
from agentmesh.store.postgres import PostgresDatabase
from agentmesh.store.schema import metadata
from agentmesh.store.sql import SqlStore
from agentmesh.testing.stores import TraceStoreContract


class TestMemoryStore(TraceStoreContract):
    def make_store(self) -> TraceStore:
        return MemoryStore()


class TestSqliteStore(TraceStoreContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self.tmp_path, self.numbers = tmp_path, count()

    def make_store(self) -> TraceStore:
        return open_store(f"sqlite:///{self.tmp_path}/mesh{next(self.numbers)}.db")


class KeptDatabase(PostgresDatabase):
    """Keeps its connections from one test to the next, and is emptied in between."""

    def close(self) -> None:
        self._closed = True

    def emptied(self) -> "KeptDatabase":
        self._closed = False
        with self.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        return self


@pytest.fixture(scope="module")
def kept(new_postgres_url):
    database = KeptDatabase(new_postgres_url())
    yield database
    PostgresDatabase.close(database)


class TestPostgresStore(TraceStoreContract):
    @pytest.fixture(autouse=True)
    def database(self, kept):
        self.kept = kept

    def make_store(self) -> TraceStore:
        return SqlStore(self.kept.emptied())
