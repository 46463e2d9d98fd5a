"""The contract of stores, run over every store that ships."""

from itertools import count

import pytest

from agentmesh.store import MemoryStore, TraceStore, open_store
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
