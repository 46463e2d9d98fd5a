"""Past tasks that a router looks back at: their vectors, their embeddings, and what each agent was worth on them."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import part
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, JsonValue, VectorArray

FIRST_ROWS: Final = 64
SLACK: Final = 1.25
"""The oldest go when there are a quarter more than the bound, all at once: so that a task costs O(1) amortised."""
NAME_KEPT: Final = 80
MEASURES: Final = 2
"""Of a task and an agent: the weight of its outcomes, and weight x quality."""


class PastTasks:
    """Keeps the newest tasks, a row each, with whatever outcomes of them are known.

    Args:
        max_tasks: How many are kept, 1 and up; up to a quarter more stay until the oldest go at once.
        width: The length of an embedding.

    Memory: 4 bytes x ``max_tasks`` x (d + width + 2 agents).
    """

    def __init__(self, max_tasks: int, width: int) -> None:
        """Start empty."""
        self._most, self._width = max_tasks, width
        self._count = 0
        self._vectors = np.zeros((0, 0), np.float32)
        self._states = np.zeros((0, width), np.float32)
        self._outcomes = np.zeros((0, MEASURES, 0), np.float32)
        self._known = np.zeros(0, np.float32)
        self._ids: list[str] = []
        self._texts: list[str] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of tasks."""
        return self._count

    @property
    def vectors(self) -> VectorArray:
        """Return the vectors, oldest first, (m, d)."""
        return self._vectors[: self._count]

    @property
    def states(self) -> VectorArray:
        """Return the embeddings, oldest first, (m, width)."""
        return self._states[: self._count]

    def outcomes(self, rows: IndexArray, column: int) -> VectorArray:
        """Return the weight of an agent's outcomes on some tasks, and weight x quality, (2, len(rows))."""
        return self._outcomes[rows, :, column].T

    def row_of(self, task: str) -> int | None:
        """Return the row of a task, ``None`` when it is not kept."""
        return self._rows.get(task)

    def named(self, row: int) -> tuple[str, str]:
        """Return the id of a task and the beginning of its text."""
        return self._ids[row], self._texts[row]

    def check(self, vector: VectorArray) -> None:
        """Refuse a vector of another length than those kept.

        Raises:
            ConfigError: it has another length.
        """
        if self._count and self._vectors.shape[1] != len(vector):
            length = self._vectors.shape[1]
            raise ConfigError(
                f"a task vector has length {len(vector)!r}, past tasks have {length!r}; use the same embedder"
            )

    def fill(self, ids: Sequence[str], texts: Sequence[str], vectors: VectorArray, states: VectorArray) -> None:
        """Forget everything and take these tasks, of which the last ``max_tasks`` stay, without outcomes."""
        last = slice(max(0, len(ids) - self._most), None)
        self._take(list(ids[last]), [shortened(text) for text in texts[last]], vectors[last], states[last])

    def _take(self, ids: list[str], texts: list[str], vectors: VectorArray, states: VectorArray) -> None:
        self._vectors, self._states = vectors.copy(), states.copy()
        self._count = len(vectors)
        self._outcomes = np.zeros((self._count, MEASURES, 0), np.float32)
        self._known = np.zeros(self._count, np.float32)
        self._ids, self._texts = ids, texts
        self._rows = {task: row for row, task in enumerate(ids)}

    def clear(self) -> None:
        """Forget every task; agents keep their columns."""
        columns = self._outcomes.shape[2]
        self._take([], [], self._vectors[:0], self._states[:0])
        self.fill_outcomes(np.zeros((0, columns)))

    def fill_outcomes(self, quality: FloatArray) -> None:
        """Take the outcomes of the tasks of :meth:`fill`, NaN where unknown; their last rows are those kept.

        Shapes:
            quality: (at least m, columns).
        """
        kept = quality[len(quality) - self._count :]
        parts = np.stack([~np.isnan(kept), np.nan_to_num(kept)], axis=1)
        self._outcomes = np.ascontiguousarray(parts, dtype=np.float32)  # a decision reads whole rows
        self._know()

    def _know(self) -> None:
        self._known = (self._outcomes[:, 0].sum(axis=1) > 0).astype(np.float32)

    def add(self, task: str, text: str, vector: VectorArray, state: VectorArray) -> int:
        """Add a task and return its row."""
        if self._count >= SLACK * self._most:
            self._drop_oldest()
        row = self._count
        self._reserve(row + 1, len(vector))
        self._vectors[row], self._states[row] = vector, state
        self._outcomes[row], self._known[row] = 0.0, 0.0
        self._ids.append(task)
        self._texts.append(shortened(text))
        self._rows[task] = row
        self._count += 1
        return row

    def put(self, row: int, column: int, quality: float, weight: float) -> None:
        """Add an outcome of a task; several of one agent are averaged by weight."""
        fresh = column + 1 - self._outcomes.shape[2]
        if fresh > 0:
            self._outcomes = np.pad(self._outcomes, ((0, 0), (0, 0), (0, fresh)))
        self._outcomes[row, :, column] += np.array([weight, weight * quality], np.float32)
        self._known[row] = 1.0

    def forget(self, column: int) -> None:
        """Drop the outcomes of an agent; the tasks stay."""
        self._outcomes[:, :, column : column + 1] = 0.0
        self._know()

    def nearest(self, vector: VectorArray, k: int) -> tuple[IndexArray, VectorArray]:
        """Return the rows of the ``k`` most similar tasks, in no order, and their cosines."""
        self.check(vector)
        if not self._count:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        like: VectorArray = self.vectors @ vector
        if k >= len(like):
            return np.arange(len(like)), like
        rows = np.argpartition(like, len(like) - k)[len(like) - k :]
        return rows, like[rows]

    def known(self, rows: IndexArray) -> VectorArray:
        """Return 1 for each of some tasks of which an outcome is known, else 0."""
        return self._known[rows]

    def sums(self, rows: IndexArray, weights: VectorArray) -> FloatArray:
        """Return the weight of each agent's outcomes on some tasks, each task by its own, and weight x quality.

        Shapes:
            rows, weights: (k,). Returns (2, columns).
        """
        columns = self._outcomes.shape[2]
        flat = self._outcomes.reshape(len(self._outcomes), MEASURES * columns)
        return np.asarray(weights @ flat.take(rows, axis=0), np.float64).reshape(MEASURES, columns)

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        outcomes = self._outcomes[: self._count]
        return {"task_vectors": self.vectors, "task_states": self.states, "task_outcomes": outcomes}

    def meta(self) -> dict[str, JsonValue]:
        """Return the part of the state that is no array."""
        return {"task_ids": list(self._ids), "task_texts": list(self._texts)}

    @classmethod
    def load(cls, max_tasks: int, arrays: Arrays, meta: Mapping[str, JsonValue]) -> "PastTasks":
        """Undo :meth:`arrays` and :meth:`meta`.

        Raises:
            ConfigError: a part is missing or the parts do not fit together.
        """
        vectors, states = part(arrays, "task_vectors"), part(arrays, "task_states")
        ids, texts = meta.get("task_ids"), meta.get("task_texts")
        if not isinstance(ids, list) or not isinstance(texts, list):
            raise ConfigError(f"the state names its tasks {type(ids).__name__!r}; expected a list")
        outcomes = part(arrays, "task_outcomes")
        lengths = {len(ids), len(texts), len(vectors), len(states), len(outcomes)}
        if len(lengths) > 1 or outcomes.ndim != 3 or outcomes.shape[1] != MEASURES:
            raise ConfigError(f"{len(ids)} tasks do not fit arrays of {lengths!r} rows, outcomes {outcomes.shape!r}")
        kept = cls(max_tasks, states.shape[1])
        kept._take([str(one) for one in ids], [str(one) for one in texts], vectors, states)
        kept._outcomes = outcomes.copy()
        kept._know()
        return kept

    def _reserve(self, rows: int, dimension: int) -> None:
        capacity = len(self._vectors)
        if rows <= capacity:
            return
        extra = max(FIRST_ROWS, capacity)
        self._vectors = np.vstack([self._vectors.reshape(-1, dimension), np.zeros((extra, dimension), np.float32)])
        self._states = np.pad(self._states, ((0, extra), (0, 0)))
        self._outcomes = np.pad(self._outcomes, ((0, extra), (0, 0), (0, 0)))
        self._known = np.pad(self._known, (0, extra))

    def _drop_oldest(self) -> None:
        kept = slice(self._count - self._most, self._count)
        self._vectors, self._states = self._vectors[kept].copy(), self._states[kept].copy()
        self._outcomes, self._known = self._outcomes[kept].copy(), self._known[kept].copy()
        self._ids, self._texts = self._ids[kept], self._texts[kept]
        self._rows = {task: row for row, task in enumerate(self._ids)}
        self._count = self._most


def shortened(text: str) -> str:
    r"""Return the beginning of a text on one line.

    >>> shortened("What is\n6 * 9?")
    'What is 6 * 9?'
    """
    line = " ".join(text[: 4 * NAME_KEPT].split())
    return line if len(line) <= NAME_KEPT else f"{line[: NAME_KEPT - 1]}…"
