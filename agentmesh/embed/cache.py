"""Keeps vectors on disk, so that slow embedders are asked about each text once."""

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from agentmesh.embed.texts import checked_texts
from agentmesh.errors import ConfigError
from agentmesh.protocols import Embedder
from agentmesh.types import VectorArray

FILE_NAME = "embeddings.sqlite3"
BUSY_S = 10.0  # how long one process waits for another that is writing
KEYS_IN_ONE_QUERY = 500  # older builds of SQLite allow 999 parameters
CHECKSUM_BYTES = 4

SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    version TEXT NOT NULL, text_sha256 BLOB NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (version, text_sha256)
)
"""
SELECT = "SELECT text_sha256, vector FROM vectors WHERE version = ? AND text_sha256 IN ({marks})"

T = TypeVar("T")


class CachedEmbedder:
    """Looks vectors up on disk by embedder version and sha256 of the text, and asks the inner embedder for the rest.

    The cache never decides whether ``embed`` works: what cannot be read is computed, what cannot be written is not
    kept, a vector with a wrong checksum is computed anew, and a file that is no database is moved aside to
    ``*.corrupt``. The database is opened for each call, so threads, processes, forks and kills need no care.

    Args:
        embedder: what computes the vectors.
        path: a folder, made when missing, in which ``embeddings.sqlite3`` is kept; or a file whose name ends in
            ``.sqlite3`` or ``.db``. Several embedders may share one.

    Raises:
        ConfigError: the folder can neither be found nor made.
    """

    def __init__(self, embedder: Embedder, path: str | Path) -> None:
        self._embedder = embedder
        self._path = database_path(Path(path))

    @property
    def version(self) -> str:
        """Return the inner embedder's version."""
        return self._embedder.version

    @property
    def dimension(self) -> int:
        """Return the inner embedder's dimension."""
        return self._embedder.dimension

    @property
    def is_quick(self) -> bool:
        """Return that it is not: every text is looked up on disk."""
        return False

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order; the inner embedder is asked once, for the distinct texts that are not kept.

        Shapes:
            returns (len(texts), dimension) float32.

        Raises:
            ConfigError: ``texts`` is no sequence of ``str``; and whatever the inner embedder raises.
        """
        found = checked_texts(texts)
        keys = [text_key(text) for text in found]
        vectors = self._kept(sorted(set(keys)))
        missing = {key: text for key, text in zip(keys, found, strict=True) if key not in vectors}
        if missing:
            fresh = dict(zip(missing, self._embedder.embed(list(missing.values())), strict=True))
            self._keep(fresh)
            vectors |= fresh
        if not keys:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([vectors[key] for key in keys])

    def _kept(self, keys: list[bytes]) -> dict[bytes, VectorArray]:
        def read(database: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
            rows: list[tuple[bytes, bytes]] = []
            for start in range(0, len(keys), KEYS_IN_ONE_QUERY):
                part = keys[start : start + KEYS_IN_ONE_QUERY]
                rows += database.execute(SELECT.format(marks=",".join("?" * len(part))), (self.version, *part))
            return rows

        nothing: list[tuple[bytes, bytes]] = []
        stored = self._step(read, otherwise=nothing)
        unpacked = {key: unpack(blob, dimension=self.dimension) for key, blob in stored}
        return {key: vector for key, vector in unpacked.items() if vector is not None}

    def _keep(self, vectors: dict[bytes, VectorArray]) -> None:
        rows = [(self.version, key, pack(vector)) for key, vector in vectors.items()]

        def write(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

        self._step(write, otherwise=None)

    def _step(self, action: Callable[[sqlite3.Connection], T], *, otherwise: T) -> T:
        """Open the database for one action; what SQLite cannot do gives ``otherwise``."""
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_S)) as database:
                # a power cut may cost the cache, which is cheaper than waiting for the disk at each write
                database.execute("PRAGMA synchronous = OFF")
                database.execute(SCHEMA)
                return action(database)
        except sqlite3.OperationalError:
            return otherwise  # locked, full, read-only or gone: go on without
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self._path.replace(self._path.with_suffix(".corrupt"))
            return otherwise


def database_path(path: Path) -> Path:
    """Return the file to keep vectors in, its folder made.

    Raises:
        ConfigError: the folder can neither be found nor made.
    """
    file = path if path.suffix in {".sqlite3", ".db"} else path / FILE_NAME
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot keep vectors in {str(path)!r}: {error.strerror}; give a folder to write to"
        ) from error
    return file


def text_key(text: str) -> bytes:
    """Return the sha256 of a text, lone surrogates and all.

    >>> text_key("").hex()[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def pack(vector: VectorArray) -> bytes:
    """Return a vector's bytes, little-endian, after their CRC-32."""
    data = vector.astype("<f4").tobytes()
    return zlib.crc32(data).to_bytes(CHECKSUM_BYTES, "little") + data


def unpack(blob: bytes, *, dimension: int) -> VectorArray | None:
    """Return the vector in bytes made by ``pack``, or ``None`` when they were changed or have another length.

    >>> unpack(pack(np.array([0.5, -1.0], dtype=np.float32)), dimension=2).tolist()
    [0.5, -1.0]
    """
    checksum, data = blob[:CHECKSUM_BYTES], blob[CHECKSUM_BYTES:]
    if len(data) != 4 * dimension or zlib.crc32(data).to_bytes(CHECKSUM_BYTES, "little") != checksum:
        return None
    return np.frombuffer(data, dtype="<f4").astype(np.float32)
