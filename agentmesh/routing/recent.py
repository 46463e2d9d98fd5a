"""The newest outcomes, kept whole for a while: what types of task are found, split and named from."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import part
from agentmesh.types import FloatArray, IndexArray, JsonValue, VectorArray

KEPT: Final = 256
WORDS_A_TASK: Final = 16
WORDS_A_NAME: Final = 3
READ_CHARACTERS: Final = 1_000
COLUMNS: Final = 5  # edge, good evidence, evidence, time, whether the task came with a type

_WORD = re.compile(r"[^\W\d_]{4,}")
_COMMON_TEXT: Final = """
about after also another answer because been before being best between both does each first following from give have
having here into just know like make many more most much need only other over please question same should some such
tell than that their them then there these they this those through under using very want well were what when where
which while will with would your
"""
_COMMON: Final = frozenset(_COMMON_TEXT.split())


class Outcome(NamedTuple):
    """One deposit: its edge's column, good evidence and evidence as they were at ``at``, and if its type was given."""

    column: int
    good: float
    evidence: float
    at: float
    hinted: bool


class Recent:
    """Keeps the last 256 outcomes with the vectors of their tasks and their telling words."""

    def __init__(self) -> None:
        """Start empty."""
        self._vectors: VectorArray = np.zeros((0, 0), np.float32)
        self._rows: FloatArray = np.zeros((KEPT, COLUMNS))
        self._words: list[tuple[str, ...]] = []
        self._start = 0

    def __len__(self) -> int:
        """Return how many outcomes are kept."""
        return len(self._words)

    @property
    def vectors(self) -> VectorArray:
        """Return the tasks' vectors, (m, d), in the order of :attr:`rows`."""
        return self._vectors[: len(self)]

    @property
    def rows(self) -> FloatArray:
        """Return (m, 5): edge, good evidence, evidence, time, and 1 where the task came with a type."""
        return self._rows[: len(self)]

    @property
    def hinted(self) -> float:
        """Return the share of tasks that came with a type, 0 to 1."""
        return float(self.rows[:, 4].mean()) if len(self) else 0.0

    def add(self, vector: VectorArray, text: str, outcome: Outcome) -> None:
        """Keep one outcome; the oldest makes room."""
        if not len(self):
            self._vectors = np.zeros((KEPT, len(vector)), np.float32)
        words = telling_words(text)
        if len(self) < KEPT:
            place = len(self)
            self._words.append(words)
        else:
            place, self._start = self._start, (self._start + 1) % KEPT
            self._words[place] = words
        self._vectors[place], self._rows[place] = vector, outcome

    def drop(self, columns: IndexArray) -> None:
        """Take the evidence out of the outcomes on some edges; their tasks stay."""
        self._rows[: len(self)][np.isin(self.rows[:, 0], columns), 1:3] = 0.0

    def name_of(self, members: Sequence[int]) -> str:
        """Return the words that these tasks have and the others have not, the most telling first; "" when none is.

        Rule: words of at least a tenth of the members, ordered by how much more often members have them than all tasks.
        """
        chosen = Counter(word for place in members for word in self._words[place])
        everyone = Counter(word for words in self._words for word in words)
        least = max(2.0, len(members) / 10)
        lift = {word: count * count / everyone[word] for word, count in chosen.items() if count >= least}
        best = sorted(lift, key=lambda word: (-lift[word], word))
        return ", ".join(best[:WORDS_A_NAME])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the numbers, for a router's state."""
        return {"recent_vectors": self.vectors, "recent_rows": self.rows}

    def meta(self) -> dict[str, JsonValue]:
        """Return the words, for a router's state."""
        return {"words": [" ".join(words) for words in self._words], "start": self._start}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, JsonValue]) -> "Recent":
        """Undo :meth:`arrays` and :meth:`meta`.

        Raises:
            ConfigError: they do not fit together.
        """
        vectors, rows = part(arrays, "recent_vectors"), part(arrays, "recent_rows")
        words, start, count = meta.get("words"), meta.get("start"), len(rows)
        fit = rows.shape == (count, COLUMNS) and vectors.ndim == 2 and len(vectors) == count <= KEPT
        if not fit or not isinstance(words, list) or not isinstance(start, int) or len(words) != count:
            raise ConfigError(f"{count} recent outcomes do not fit {len(vectors)} vectors and the words {words!r:.80}")
        if not 0 <= start < KEPT:
            raise ConfigError(f"recent outcomes that start at {start!r} do not fit {KEPT} places")
        kept = cls()
        kept._words, kept._start = [tuple(str(text).split()) for text in words], start
        if count:
            kept._vectors = np.zeros((KEPT, vectors.shape[1]), np.float32)
            kept._vectors[:count], kept._rows[:count] = vectors, rows
        return kept


def telling_words(text: str) -> tuple[str, ...]:
    """Return the first sixteen different words of a text that could name what it is about.

    >>> telling_words("What is the integral of a polynomial, and what is its derivative?")
    ('integral', 'polynomial', 'derivative')
    """
    words = (word for word in _WORD.findall(text[:READ_CHARACTERS].lower()) if word not in _COMMON)
    return tuple(dict.fromkeys(words))[:WORDS_A_TASK]
