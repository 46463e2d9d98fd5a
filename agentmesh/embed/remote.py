"""Embeds text over HTTP, at any endpoint that speaks OpenAI's ``/embeddings``."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
import numpy as np
from pydantic import BaseModel, FiniteFloat, ValidationError

from agentmesh.embed.texts import checked_texts, readable, unit_rows
from agentmesh.errors import ConfigError, LlmError
from agentmesh.types import VectorArray

RETRYABLE_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
LONGEST_WAIT_S = 30.0
QUOTED_CHARS = 200  # how much of an endpoint's complaint an error repeats


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is tried, and how long to wait between: ``wait_s``, then twice that, and so on, up to 30 s.

    An endpoint's ``Retry-After`` in seconds is obeyed up to the same 30 s. ``pause`` is what waits.
    """

    attempts: int = 4
    wait_s: float = 0.5
    pause: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.wait_s < 0:
            raise ConfigError(f"attempts must be 1 or more and wait_s 0 or more, got {self!r}")

    def wait(self, attempt: int, *, asked_s: float | None = None) -> None:
        """Pause after the failure of an attempt, the first being 0."""
        doubled = self.wait_s * 2.0**attempt
        self.pause(min(LONGEST_WAIT_S, max(doubled, asked_s or 0.0)))


class _Item(BaseModel):
    index: int
    embedding: list[FiniteFloat]


class _Reply(BaseModel):
    data: list[_Item]


class RemoteEmbedder:
    """Asks an OpenAI-compatible endpoint, in batches, with retries.

    Blank texts are not sent, since endpoints refuse them, and become zeros. Vectors are divided by their length. Rate
    limits, overload and lost connections are tried again; everything else fails at once. One instance serves any number
    of threads; ``close`` it, or use it in a ``with`` block.

    Args:
        model: the model's name at the endpoint.
        base_url: where ``/embeddings`` lies, for example ``https://host/v1``.
        api_key: sent as a bearer token; empty sends none.
        dimension: the length that vectors must have; when ``None`` it is learned from the first reply, or by asking
            for one vector when it is read before.
        batch_size: how many texts go into one request.
        timeout_s: how long one request may take.
        retries: how often, and after which pauses, a failed request is tried again.

    Raises:
        ConfigError: the URL has no http or https scheme or no host, or a number is out of range.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str = "",
        *,
        dimension: int | None = None,
        batch_size: int = 128,
        timeout_s: float = 30.0,
        retries: Retries | None = None,
    ) -> None:
        if batch_size < 1 or timeout_s <= 0 or (dimension is not None and dimension < 1):
            raise ConfigError(
                "batch_size and dimension must be 1 or more and timeout_s above 0, "
                f"got {batch_size!r}, {dimension!r} and {timeout_s!r}"
            )
        self._model = model
        self._url = checked_url(base_url)
        self._api_key = api_key
        self._dimension = dimension
        self._batch_size = batch_size
        self._retries = retries or Retries()
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(timeout=timeout_s, headers=headers)

    @property
    def version(self) -> str:
        """Return ``remote-``, the model's name, and eight digits of the URL's sha256."""
        return f"remote-{self._model}-{hashlib.sha256(self._url.encode()).hexdigest()[:8]}"

    @property
    def dimension(self) -> int:
        """Return the length of a vector, asking the endpoint when it is not known yet.

        Raises:
            LlmError: it had to be asked, and failed.
        """
        if self._dimension is None:
            return int(self._ask(["dimension"]).shape[1])
        return self._dimension

    @property
    def is_quick(self) -> bool:
        """Return that it is not: every text crosses the network."""
        return False

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order.

        Shapes:
            returns (len(texts), dimension) float32.

        Raises:
            LlmError: the endpoint failed, after retries where they help, or its reply is no set of finite vectors of
                one length, one for each text.
            ConfigError: ``texts`` is no sequence of ``str``.
        """
        found = [readable(text) for text in checked_texts(texts)]
        asked = [position for position, text in enumerate(found) if text.strip()]
        parts = []
        for start in range(0, len(asked), self._batch_size):
            batch = asked[start : start + self._batch_size]
            parts.append(self._ask([found[position] for position in batch]))
        vectors = np.zeros((len(found), self.dimension), dtype=np.float32)
        if parts:
            vectors[asked] = unit_rows(np.concatenate(parts))
        return vectors

    def close(self) -> None:
        """Close the connections. Closing twice is harmless."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, texts: list[str]) -> VectorArray:
        reply = self._post({"model": self._model, "input": texts, "encoding_format": "float"})
        vectors = self._parsed(reply, len(texts))
        if self._dimension is None:
            self._dimension = vectors.shape[1]
        if vectors.shape[1] != self._dimension:
            raise LlmError(f"{self._url!r} gave vectors of length {vectors.shape[1]!r}, expected {self._dimension!r}")
        return vectors

    def _post(self, body: dict[str, object]) -> bytes:
        last = self._retries.attempts - 1
        for attempt in range(last):
            try:
                return self._post_once(body)
            except LlmError as failure:
                if not failure.retryable:
                    raise
                self._retries.wait(attempt, asked_s=failure.after_s if isinstance(failure, _Refusal) else None)
        return self._post_once(body)

    def _post_once(self, body: dict[str, object]) -> bytes:
        try:
            response = self._client.post(self._url, json=body)
        except httpx.TransportError as error:
            raise LlmError(f"{self._url!r} cannot be reached: {error!r}", retryable=True) from error
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        return response.content

    def _refusal(self, response: httpx.Response) -> "_Refusal":
        status = response.status_code
        return _Refusal(
            f"{self._url!r} answered status {status!r} for model {self._model!r}: {self._quoted(response.text)!r}",
            status=status,
            after_s=_seconds(response.headers.get("retry-after", "")),
        )

    def _quoted(self, complaint: str) -> str:
        # some endpoints repeat the key that they refuse
        hidden = complaint.replace(self._api_key, "***") if self._api_key else complaint
        return hidden[:QUOTED_CHARS]

    def _parsed(self, reply: bytes, number: int) -> VectorArray:
        try:
            items = sorted(_Reply.model_validate_json(reply).data, key=lambda item: item.index)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise LlmError(f"{self._url!r} gave a malformed reply at {place!r}: {first['msg']}") from error
        if [item.index for item in items] != list(range(number)):
            indices = [item.index for item in items]
            raise LlmError(f"{self._url!r} gave vectors of indices {indices!r}, expected 0 to {number - 1!r} once each")
        lengths = sorted({len(item.embedding) for item in items})
        if len(lengths) != 1 or lengths[0] == 0:
            raise LlmError(f"{self._url!r} gave vectors of lengths {lengths!r}, expected one length above 0")
        return np.array([item.embedding for item in items], dtype=np.float32)


class _Refusal(LlmError):
    """Carries how long the endpoint asked to wait, for the retries above."""

    def __init__(self, message: str, *, status: int, after_s: float | None) -> None:
        super().__init__(message, retryable=status in RETRYABLE_STATUS, status=status)
        self.after_s = after_s


def checked_url(base_url: str) -> str:
    """Return the address of ``/embeddings`` under a base URL.

    Raises:
        ConfigError: it is no http or https URL with a host.

    >>> checked_url("http://localhost:8000/v1/")
    'http://localhost:8000/v1/embeddings'
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"base_url {base_url!r} is no URL: {error}; expected one like 'https://host/v1'") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(
            f"base_url {base_url!r} has no http(s) scheme or no host; expected one like 'https://host/v1'"
        )
    return f"{base_url.rstrip('/')}/embeddings"


def _seconds(text: str) -> float | None:
    """Read ``Retry-After`` when it is a number; its other form, a date, is left to the backoff."""
    return float(text) if text.isdecimal() else None
