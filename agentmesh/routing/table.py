"""Rows of numbers, one for each agent that something is known of, added to in place and lined up with any pool."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.routing.inputs import AgentPool
from agentmesh.types import AgentId, FloatArray, IndexArray, JsonValue, MaskArray

ANY_VERSION = 0  # what a fitted table was observed on is not said, so it holds for every version


class AgentTable:
    """Sums of observations by agent. A new version of an agent starts its row afresh; one older than it is passed over.

    >>> table = AgentTable()
    >>> table.add("a", 1, np.array([1.0, 0.5]))
    >>> table.add("a", 1, np.array([1.0, 0.25]))
    >>> table.rows.tolist()
    [[2.0, 0.75]]
    """

    def __init__(self) -> None:
        """Start empty; the first row says how wide rows are."""
        self._ids: dict[AgentId, int] = {}
        self._versions: list[int] = []
        self._store: FloatArray = np.zeros((0, 0))
        self._known_ids: tuple[AgentId, ...] | None = None
        self._places: IndexArray = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return how many agents something is known of."""
        return len(self._ids)

    @property
    def rows(self) -> FloatArray:
        """Return the rows in the order in which agents were first seen, shape (m, width)."""
        return self._store[: len(self)]

    def add(self, agent_id: AgentId, version: int, row: FloatArray) -> None:
        """Add a row to an agent's sums.

        Raises:
            ConfigError: the row is of another width than those before.
        """
        place = self._ids.get(agent_id)
        if len(self) and len(row) != self._store.shape[1]:
            raise ConfigError(
                f"a row of {len(row)!r} numbers was observed; expected {self._store.shape[1]!r} as before"
            )
        if place is None:
            place = self._append(agent_id, version, len(row))
        known = self._versions[place]
        if version < known:
            return
        if version > known != ANY_VERSION:
            self._store[place] = 0.0
        self._versions[place] = version
        self._store[place] += row

    def _append(self, agent_id: AgentId, version: int, width: int) -> int:
        place = len(self._ids)
        if place >= len(self._store):
            grown = np.zeros((max(16, 2 * place), width))
            if place:
                grown[:place] = self._store[:place]
            self._store = grown
        self._ids[agent_id] = place
        self._versions.append(version)
        self._known_ids = None
        return place

    def _rows_of(self, pool: AgentPool) -> tuple[IndexArray, MaskArray]:
        """Return for each agent of ``pool`` its row, and whether it has one that holds for its version.

        Shapes:
            returns (n,) row numbers, 0 where there is none, and (n,).
        """
        if self._known_ids is not pool.ids:
            self._places = np.array([self._ids.get(agent_id, -1) for agent_id in pool.ids], dtype=np.int64)
            self._known_ids = pool.ids
        versions = np.array(self._versions)[self._places]
        holds = (self._places >= 0) & ((versions == pool.versions) | (versions == ANY_VERSION))
        return np.where(holds, self._places, 0), holds

    def aligned(self, pool: AgentPool, width: int) -> FloatArray:
        """Return the rows lined up with ``pool``, zeros for agents without one, shape (n, width).

        Raises:
            ConfigError: rows of another width were observed.
        """
        if not len(self):
            return np.zeros((len(pool), width))
        if self._store.shape[1] != width:
            raise ConfigError(
                f"rows of {self._store.shape[1]!r} numbers were learned; expected {width!r} for this pool"
            )
        places, holds = self._rows_of(pool)
        return np.where(holds[:, None], self.rows[places], 0.0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the numbers, for a router's state."""
        return {"rows": self.rows.copy(), "versions": np.array(self._versions, dtype=np.int64)}

    def meta(self) -> dict[str, JsonValue]:
        """Return the names, for a router's state."""
        return {"ids": list(self._ids)}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> "AgentTable":
        """Build a table from what ``arrays`` and ``meta`` returned."""
        ids, rows, versions = meta["ids"], arrays["rows"], arrays["versions"]
        if not isinstance(ids, list) or not len(ids) == len(rows) == len(versions):
            raise ValueError(f"{len(rows)} rows for the agents {ids!r}")
        table = cls()
        table._ids = {str(agent_id): place for place, agent_id in enumerate(ids)}
        table._versions = versions.tolist()
        table._store = np.array(rows, dtype=np.float64)
        return table
