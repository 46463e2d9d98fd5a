"""Where runs are kept."""

from agentmesh.store.base import RunFilter, StoredEvent, TraceStore
from agentmesh.store.memory import MemoryStore
from agentmesh.store.opening import open_store
from agentmesh.store.writer import TraceWriter

__all__ = ["MemoryStore", "RunFilter", "StoredEvent", "TraceStore", "TraceWriter", "open_store"]
