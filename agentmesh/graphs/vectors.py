"""Texts to vectors beside running tasks: off the event loop unless that is quick, and each example of a rule once."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from agentmesh.errors import ReplayMissError
from agentmesh.packing import unpack_vector
from agentmesh.preferences import Preference
from agentmesh.protocols import Embedder
from agentmesh.types import VectorArray

MOST_KEPT: Final = 4096
"""Examples whose vectors are kept: those of tasks' own rules come and go."""


async def embedded(embedder: Embedder, texts: Sequence[str]) -> VectorArray:
    """Return the vectors of ``texts``, (len(texts), d)."""
    # a thread would cost more than a quick embedding
    return embedder.embed(texts) if embedder.is_quick else await asyncio.to_thread(embedder.embed, texts)


class RecordedEmbedder:
    """Returns the vector that was recorded for one task."""

    def __init__(self, version: str, text: str, vector: bytes) -> None:
        """Keep one text and its vector."""
        self._version = version
        self._text = text
        self._vector = unpack_vector(vector)

    @property
    def version(self) -> str:
        """Return the version of the embedder that made the vector."""
        return self._version

    @property
    def dimension(self) -> int:
        """Return the length of the vector."""
        return len(self._vector)

    @property
    def is_quick(self) -> bool:
        """Return that it is: the vector is at hand."""
        return True

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Return the recorded vector for each text.

        Raises:
            ReplayMissError: another text is asked for.
        """
        for text in texts:
            if text != self._text:
                raise ReplayMissError(
                    f"no vector is recorded for {text[:60]!r}; the recorded task is {self._text[:60]!r}"
                )
        return np.tile(self._vector, (len(texts), 1))


class ExampleVectors:
    """Says how near a task is to the example texts of rules."""

    def __init__(self, embedder: Embedder, *, most_kept: int = MOST_KEPT) -> None:
        """Embed with ``embedder``, each text when it is first asked for; keep the vectors of the newest."""
        self._embedder, self._most_kept = embedder, most_kept
        self._kept: dict[str, VectorArray] = {}

    async def near(self, rules: Iterable[Preference], vector: VectorArray) -> dict[str, float]:
        """Return the cosine of a task to each text of ``like`` in ``rules``.

        Shapes:
            vector: (d,) unit, or zeros where no token was known.
        """
        texts = list(dict.fromkeys(text for rule in rules for text in rule.like))
        missing = [text for text in texts if text not in self._kept]
        fresh = dict(zip(missing, await embedded(self._embedder, missing), strict=True)) if missing else {}
        found = {text: float((fresh[text] if text in fresh else self._kept[text]) @ vector) for text in texts}
        self._keep(fresh)
        return found

    def _keep(self, fresh: dict[str, VectorArray]) -> None:
        self._kept |= fresh
        for text in list(self._kept)[: max(len(self._kept) - self._most_kept, 0)]:
            del self._kept[text]
