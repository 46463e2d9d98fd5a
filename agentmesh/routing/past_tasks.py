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
MEASURES: Final = ("quality", "seen", "cost", "priced")


class PastTasks:
    """Keeps the newest tasks, a row each, with whatever outcomes of them are known.

    Args:
        max_tasks: How many are kept, 1 and up; up to a quarter more stay until the oldest go at once.
        width: The length of an embedding.

    Memory: 4 bytes x ``max_tasks`` x (d + width + 4 agents).
    """

    def __init__(self, max_tasks: int, width: int) -> None:
        """Start empty."""
        self._most, self._width = max_tasks, width
        self._count = 0
        self._vectors = np.zeros((0, 0), np.float32)
        self._states = np.zeros((0, width), np.float32)
        self._values = {name: np.zeros((0, 0), np.float32) for name in MEASURES}
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

    def measure(self, name: str) -> VectorArray:
        """Return one of ``MEASURES``, (m, columns): quality and cost are 0 where unknown, seen and priced weights."""
        return self._values[name][: self._count]

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
        self._values = {name: np.zeros((self._count, 0), np.float32) for name in MEASURES}
        self._ids, self._texts = ids, texts
        self._rows = {task: row for row, task in enumerate(ids)}

    def fill_outcomes(self, quality: FloatArray, cost: FloatArray) -> None:
        """Take the outcomes of the tasks of :meth:`fill`, NaN where unknown; their last rows are those kept.

        Shapes:
            quality, cost: (at least m, columns).
        """
        for name, raw in (("quality", quality), ("cost", cost)):
            kept = raw[len(raw) - self._count :]
            self._values[name] = np.nan_to_num(kept).astype(np.float32)
            self._values["seen" if name == "quality" else "priced"] = (~np.isnan(kept)).astype(np.float32)

    def add(self, task: str, text: str, vector: VectorArray, state: VectorArray) -> int:
        """Add a task and return its row."""
        if self._count >= SLACK * self._most:
            self._drop_oldest()
        row = self._count
        self._reserve(row + 1, len(vector))
        self._vectors[row], self._states[row] = vector, state
        for values in self._values.values():
            values[row] = 0.0
        self._ids.append(task)
        self._texts.append(shortened(text))
        self._rows[task] = row
        self._count += 1
        return row

    def put(self, row: int, column: int, quality: float, cost: float, weight: float) -> None:
        """Add an outcome of a task; a second one of the same agent is averaged with the first by weight."""
        self._widen(column + 1)
        for name, known, value, counted in (("quality", "seen", quality, weight), ("cost", "priced", cost, 1.0)):
            if np.isnan(value):
                continue
            before = float(self._values[known][row, column])
            total = before * float(self._values[name][row, column]) + counted * value
            self._values[known][row, column] = before + counted
            self._values[name][row, column] = total / (before + counted)

    def forget(self, column: int) -> None:
        """Drop the outcomes of an agent; the tasks stay."""
        for values in self._values.values():
            values[:, column : column + 1] = 0.0

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

    def heard(self, rows: IndexArray) -> VectorArray:
        """Return 1 for each of some tasks of which an outcome is known, else 0."""
        return (self._values["seen"][rows].sum(axis=1) > 0).astype(np.float32)

    def sums(self, rows: IndexArray, weights: VectorArray) -> FloatArray:
        """Return weighted sums over the outcomes of some tasks, (4, columns).

        They are the weight of outcomes, weight x quality, the weight of known costs, and weight x US dollars.
        """
        taken = {name: self._values[name][rows] for name in MEASURES}
        evidence = weights[:, None] * taken["seen"]
        known = weights[:, None] * taken["priced"]
        parts = (evidence, evidence * taken["quality"], known, known * taken["cost"])
        return np.stack([each.sum(axis=0, dtype=np.float64) for each in parts])

    def arrays(self) -> Arrays:
        """Return the arrays of the state by name."""
        measures = {f"task_{name}": self.measure(name) for name in MEASURES}
        return {"task_vectors": self.vectors, "task_states": self.states, **measures}

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
        measures = {name: part(arrays, f"task_{name}") for name in MEASURES}
        lengths = {len(ids), len(texts), len(vectors), len(states), *(len(each) for each in measures.values())}
        widths = {each.shape[1:] for each in measures.values()}
        if len(lengths) > 1 or len(widths) > 1:
            raise ConfigError(f"{len(ids)} tasks do not fit arrays of {lengths!r} rows and {widths!r} columns")
        kept = cls(max_tasks, states.shape[1])
        kept._take([str(one) for one in ids], [str(one) for one in texts], vectors, states)
        kept._values = {name: each.astype(np.float32) for name, each in measures.items()}
        return kept

    def _reserve(self, rows: int, dimension: int) -> None:
        capacity = len(self._vectors)
        if rows <= capacity:
            return
        extra = max(FIRST_ROWS, capacity)
        self._vectors = np.vstack([self._vectors.reshape(-1, dimension), np.zeros((extra, dimension), np.float32)])
        self._states = np.pad(self._states, ((0, extra), (0, 0)))
        self._values = {name: np.pad(each, ((0, extra), (0, 0))) for name, each in self._values.items()}

    def _widen(self, columns: int) -> None:
        if columns > self._values["seen"].shape[1]:
            fresh = columns - self._values["seen"].shape[1]
            self._values = {name: np.pad(each, ((0, 0), (0, fresh))) for name, each in self._values.items()}

    def _drop_oldest(self) -> None:
        kept = slice(self._count - self._most, self._count)
        self._vectors, self._states = self._vectors[kept].copy(), self._states[kept].copy()
        self._values = {name: each[kept].copy() for name, each in self._values.items()}
        self._ids, self._texts = self._ids[kept], self._texts[kept]
        self._rows = {task: row for row, task in enumerate(self._ids)}
        self._count = self._most


def shortened(text: str) -> str:
    """Return the beginning of a text on one line.

    >>> shortened("What is\\n6 * 9?")
    'What is 6 * 9?'
    """
    line = " ".join(text[: 4 * NAME_KEPT].split())
    return line if len(line) <= NAME_KEPT else f"{line[: NAME_KEPT - 1]}…"
