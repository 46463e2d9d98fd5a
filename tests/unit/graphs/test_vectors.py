"""Vectors beside running tasks: quick ones on the loop, others off it, examples once."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.graphs.vectors import ExampleVectors, embedded
from agentmesh.preferences import Preference
from agentmesh.types import VectorArray


class CountingEmbedder(HashingEmbedder):
    """Notes what it embedded, and in which thread."""

    def __init__(self, *, quick: bool = True) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.threads: set[int] = set()
        self._quick = quick

    @property
    def is_quick(self) -> bool:
        return self._quick

    def embed(self, texts: Sequence[str]) -> VectorArray:
        self.texts += texts
        self.threads.add(threading.get_ident())
        return super().embed(texts)


def like(*texts: str) -> Preference:
    return Preference(action="pin", agents=("a",), like=texts)


@pytest.mark.parametrize("quick", [True, False])
async def test_only_a_slow_embedder_works_off_the_loop(quick: bool) -> None:
    embedder = CountingEmbedder(quick=quick)
    assert (await embedded(embedder, ["a", "b"])).shape == (2, embedder.dimension)
    assert (threading.get_ident() in embedder.threads) is quick


async def test_a_task_is_as_near_to_an_example_as_their_cosine() -> None:
    embedder = CountingEmbedder()
    vector = embedder.embed(["who built petra"])[0]
    near = await ExampleVectors(embedder).near([like("who built petra", "add one"), like()], vector)
    assert near == {"who built petra": pytest.approx(1, abs=1e-6), "add one": pytest.approx(0, abs=0.5)}


async def test_an_example_is_embedded_once() -> None:
    embedder = CountingEmbedder()
    examples, vector = ExampleVectors(embedder), np.zeros(embedder.dimension, np.float32)
    for _ in range(2):
        await examples.near([like("a", "b"), like("b")], vector)
    assert embedder.texts == ["a", "b"]


async def test_without_examples_nothing_is_embedded() -> None:
    embedder = CountingEmbedder()
    assert await ExampleVectors(embedder).near([like()], np.zeros(embedder.dimension, np.float32)) == {}
    assert embedder.texts == []


async def test_the_oldest_examples_are_forgotten() -> None:
    embedder = CountingEmbedder()
    examples, vector = ExampleVectors(embedder, most_kept=2), np.zeros(embedder.dimension, np.float32)
    for text in ("a", "b", "c", "b", "a"):
        assert list(await examples.near([like(text)], vector)) == [text]
    assert embedder.texts == ["a", "b", "c", "a"]
