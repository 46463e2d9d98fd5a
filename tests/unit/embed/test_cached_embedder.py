"""The disk cache in front of slow embedders."""

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.embed.cache import CachedEmbedder, pack, unpack
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError
from agentmesh.protocols import Embedder
from agentmesh.types import VectorArray


class Counting:
    """A hashing embedder that keeps what it was asked."""

    def __init__(self, dimension: int = 16) -> None:
        self._inner = HashingEmbedder(dimension)
        self.asked: list[list[str]] = []

    @property
    def version(self) -> str:
        return self._inner.version

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def is_quick(self) -> bool:
        return True

    def embed(self, texts: Sequence[str]) -> VectorArray:
        self.asked.append(list(texts))
        return self._inner.embed(texts)


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


def test_it_is_an_embedder_with_the_inner_ones_version_and_shape(tmp_path: Path) -> None:
    cached = CachedEmbedder(Counting(), tmp_path)
    assert isinstance(cached, Embedder)
    assert (cached.version, cached.dimension) == (Counting().version, 16)


def test_only_new_texts_reach_the_inner_embedder_each_once(tmp_path: Path) -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, tmp_path)
    cached.embed(["one", "two", "one"])
    cached.embed(["two", "three"])
    assert inner.asked == [["one", "two"], ["three"]]


def test_vectors_are_the_inner_ones_to_the_last_bit_fresh_and_kept(tmp_path: Path) -> None:
    cached, texts = CachedEmbedder(Counting(), tmp_path), ["one", "two", "", "a\ud800", "one"]
    wanted = Counting().embed(texts)
    np.testing.assert_array_equal(cached.embed(texts), wanted)
    np.testing.assert_array_equal(cached.embed(texts), wanted)


def test_no_text_asks_nobody(tmp_path: Path) -> None:
    inner = Counting()
    assert CachedEmbedder(inner, tmp_path).embed([]).shape == (0, 16)
    assert inner.asked == []


def test_more_texts_than_one_query_holds_are_found_again(tmp_path: Path) -> None:
    inner, texts = Counting(), [f"text {number}" for number in range(1200)]
    cached = CachedEmbedder(inner, tmp_path)
    cached.embed(texts)
    cached.embed(texts)
    assert len(inner.asked) == 1


def test_embedders_of_other_versions_share_a_file_and_no_vector(tmp_path: Path) -> None:
    wide, narrow = Counting(32), Counting(16)
    assert CachedEmbedder(wide, tmp_path).embed(["one"]).shape == (1, 32)
    assert CachedEmbedder(narrow, tmp_path).embed(["one"]).shape == (1, 16)


def test_the_next_process_finds_what_a_killed_one_kept(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from agentmesh.embed.cache import CachedEmbedder as C;"
        "from agentmesh.embed.hashing import HashingEmbedder as H;"
        "C(H(16), sys.argv[1]).embed(['one']); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    inner = Counting()
    CachedEmbedder(inner, tmp_path).embed(["one"])
    assert inner.asked == []


def test_threads_that_write_at_once_all_get_their_vectors(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: CachedEmbedder(Counting(), tmp_path).embed([text])[0], texts))
    np.testing.assert_array_equal(rows, Counting().embed(texts))


def test_a_file_that_is_no_database_is_moved_aside(tmp_path: Path) -> None:
    file = tmp_path / "vectors.db"
    file.write_bytes(b"this is no database, " * 100)
    inner = Counting()
    cached = CachedEmbedder(inner, file)
    np.testing.assert_array_equal(cached.embed(["one"]), Counting().embed(["one"]))
    cached.embed(["one"])
    assert len(inner.asked) == 1
    assert file.with_suffix(".corrupt").exists()


def test_a_changed_vector_is_computed_anew_and_mended(tmp_path: Path) -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, tmp_path / "v.db")
    cached.embed(["one"])
    change(tmp_path / "v.db", "UPDATE vectors SET vector = zeroblob(length(vector))")
    np.testing.assert_array_equal(cached.embed(["one"]), Counting().embed(["one"]))
    cached.embed(["one"])
    assert len(inner.asked) == 2


def test_a_table_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    change(tmp_path / "v.db", "CREATE TABLE vectors (other TEXT)")
    assert CachedEmbedder(Counting(), tmp_path / "v.db").embed(["one"]).any()


def test_a_place_that_cannot_be_written_costs_the_cache_and_not_the_call(tmp_path: Path) -> None:
    (tmp_path / "v.db").mkdir()
    assert CachedEmbedder(Counting(), tmp_path / "v.db").embed(["one"]).any()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(ConfigError, match=r"cannot keep vectors in '.*file/below'"):
        CachedEmbedder(Counting(), tmp_path / "file" / "below")


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=8))
def test_a_packed_vector_comes_back(values: list[float]) -> None:
    vector = np.array(values, dtype=np.float32)
    found = unpack(pack(vector), dimension=len(values))
    assert found is not None
    np.testing.assert_array_equal(found, vector)


@given(st.binary(max_size=40))
def test_other_bytes_are_no_vector(blob: bytes) -> None:
    assert unpack(blob, dimension=3) is None or len(blob) == 16
