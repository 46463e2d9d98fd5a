"""Embeds text with the table of word-piece vectors that ships in this package: no network, no torch."""

import hashlib
import threading
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeAlias
from weakref import WeakValueDictionary

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from tokenizers import Tokenizer

from agentmesh.embed.texts import checked_texts, readable
from agentmesh.errors import ConfigError
from agentmesh.types import VectorArray

TABLE_FILE = "table.safetensors"
TOKENIZER_FILE = "tokenizer.json"
TABLE_SHA256 = "7e980aab3021dfc9be85a6926fbb9319db6a561930c001032a58520b69e2d195"
TOKENIZER_SHA256 = "29008f7328cc8c863aab7d821d1d2e65f62b4ddcfe94960f18252005e88757e7"
DIMENSION = 384

MAX_TOKENS = 512
UNKNOWN = "[UNK]"


def shipped_data() -> Traversable:
    """Return the folder of this package that holds the shipped table and tokenizer."""
    return files("agentmesh.embed").joinpath("data")


class StaticEmbedder:
    """Averages one learned vector for each word piece: the default embedder.

    The rule: cut the text into word pieces, keep the first 512, drop unknown ones, sum ``embeddings[i] * scale[i]``
    over the rest and divide by the length of the sum. A text without a known piece gives zeros. The table is distilled
    from all-MiniLM-L6-v2; ``docs/embedder.md`` has the recipe and the figures. A dozen words take 30 microseconds.

    The files are read, and checked against their sha256, at the first ``embed``; they hold arrays and JSON only,
    nothing that runs. Embedders of the same files share what was read. One instance serves any number of threads.

    Args:
        folder: where ``table.safetensors`` (``embeddings`` (v, d) int8, ``scale`` (v,) float16) and ``tokenizer.json``
            lie; the shipped ones by default.
        table_sha256: what the table's bytes must hash to; also the source of ``version``.
        tokenizer_sha256: what the tokenizer's bytes must hash to.
        dimension: the number of columns of the table.

    >>> embedder = StaticEmbedder()
    >>> vectors = embedder.embed(["How do I change a tyre?", "Instructions for swapping a wheel", "Who wrote Faust?"])
    >>> vectors.shape
    (3, 384)
    >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
    True
    """

    def __init__(
        self,
        folder: Traversable | None = None,
        *,
        table_sha256: str = TABLE_SHA256,
        tokenizer_sha256: str = TOKENIZER_SHA256,
        dimension: int = DIMENSION,
    ) -> None:
        self._folder = shipped_data() if folder is None else folder
        self._table_sha256 = table_sha256
        self._tokenizer_sha256 = tokenizer_sha256
        self._dimension = dimension
        self._loaded: _Table | None = None

    @property
    def version(self) -> str:
        """Return ``static-`` and the first twelve digits of the table's sha256."""
        return f"static-{self._table_sha256[:12]}"

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return self._dimension

    @property
    def is_quick(self) -> bool:
        """Return that it is: a text takes some tens of microseconds."""
        return True

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order; each row depends on its own text alone, to the last bit.

        Shapes:
            returns (len(texts), d) float32.

        Raises:
            ConfigError: a file is missing, changed or malformed, or ``texts`` is no sequence of ``str``.
        """
        found = checked_texts(texts)
        table = self._table()
        vectors = np.zeros((len(found), self._dimension), dtype=np.float32)
        for row, text in enumerate(found):
            table.embed_into(vectors[row], text)
        return vectors

    def _table(self) -> "_Table":
        if self._loaded is None:
            with _LOADING:
                self._loaded = _READ.get(self._key) or self._read()
                _READ[self._key] = self._loaded
        return self._loaded

    @property
    def _key(self) -> "_Key":
        return str(self._folder), self._table_sha256, self._tokenizer_sha256, self._dimension

    def _read(self) -> "_Table":
        tokenizer = read_tokenizer(self._folder, sha256=self._tokenizer_sha256)
        data = read_checked(self._folder.joinpath(TABLE_FILE), sha256=self._table_sha256)
        return _Table(tokenizer, *parse_table(data, rows=tokenizer.get_vocab_size(), dimension=self._dimension))


class _Table:
    """The tokenizer and the rows, in memory."""

    def __init__(self, tokenizer: Tokenizer, rows: NDArray[np.int8], scale: VectorArray) -> None:
        self._tokenizer = tokenizer
        self._rows = rows
        self._scale = scale
        self._unknown = tokenizer.token_to_id(UNKNOWN)

    def embed_into(self, vector: VectorArray, text: str) -> None:
        encoding = self._tokenizer.encode(readable(text), add_special_tokens=False)
        ids = np.array(encoding.ids[:MAX_TOKENS], dtype=np.intp)
        ids = ids[ids != self._unknown]
        np.matmul(self._scale.take(ids), self._rows.take(ids, axis=0).astype(np.float32), out=vector)
        length = np.sqrt(vector @ vector)
        if length > 0.0:
            vector /= length


_Key: TypeAlias = tuple[str, str, str, int]
"""Of files: their folder, what table and tokenizer hash to, and the dimension."""

_READ: WeakValueDictionary[_Key, _Table] = WeakValueDictionary()
"""What was read and is in use: an embedder that is made beside another one, as by each mesh, reads nothing."""

_LOADING = threading.Lock()  # guards what was read, so that threads do not each read 11 MB


def read_tokenizer(folder: Traversable, *, sha256: str = TOKENIZER_SHA256) -> Tokenizer:
    """Read ``tokenizer.json`` of a folder, with its own truncation and padding switched off.

    Raises:
        ConfigError: the file is missing, has another sha256, or is no tokenizer.
    """
    file = folder.joinpath(TOKENIZER_FILE)
    data = read_checked(file, sha256=sha256)
    try:
        tokenizer = Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # tokenizers raises bare Exception for malformed files
        raise ConfigError(f"{str(file)!r} is no tokenizer file: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def file_sha256(file: Traversable) -> str:
    """Return the sha256 of a file, as ``StaticEmbedder`` takes it for a table of your own."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read_checked(file: Traversable, *, sha256: str) -> bytes:
    """Read a file whole and compare its sha256.

    Raises:
        ConfigError: the file cannot be read, or its bytes hash to something else.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {str(file)!r}: {error.strerror}; reinstall agentmesh-routing") from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise ConfigError(f"{str(file)!r} has sha256 {actual!r}, expected {sha256!r}; reinstall agentmesh-routing")
    return data


def parse_table(data: bytes, *, rows: int, dimension: int) -> tuple[NDArray[np.int8], VectorArray]:
    """Take the two arrays of a table out of safetensors bytes.

    Shapes:
        returns embeddings (rows, dimension) int8 and scale (rows,) float32.

    Raises:
        ConfigError: the bytes are no safetensors file, or the arrays have other names, types or shapes.
    """
    try:
        arrays = safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise ConfigError(f"{TABLE_FILE!r} is no safetensors file: {error}") from error
    shapes = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    expected = {"embeddings": ((rows, dimension), "int8"), "scale": ((rows,), "float16")}
    if shapes != expected:
        raise ConfigError(f"{TABLE_FILE!r} holds {shapes!r}, expected {expected!r}")
    return arrays["embeddings"], arrays["scale"].astype(np.float32)
