"""What the loopback server sends: scripted replies and faults, and the bodies of an OpenAI-compatible endpoint."""

import base64
import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, TypeAlias

import numpy as np

from agentmesh.llm.pieces import split_pieces
from agentmesh.records import Usage
from agentmesh.types import JsonValue

JsonObject: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """A request as it came in. Header names are in lower case; ``body`` is ``None`` when there was none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: JsonValue = None


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A good answer, or with ``body`` any text at all, sent as it is with status 200.

    ``usage`` is counted in words when it is ``None``; ``delay_s`` passes before the first byte, ``piece_delay_s``
    before each later piece of a stream. Waiting ends at once when the client hangs up or the server stops. ``tokens``
    are those that the answer might have begun with, each with its log-probability; they are sent with a whole answer to
    a request that asks for ``logprobs``.
    """

    text: str = ""
    finish_reason: str = "stop"
    usage: Usage | None = None
    refusal: str | None = None
    delay_s: float = 0.0
    piece_delay_s: float = 0.0
    body: str | None = None
    content_type: str = "application/json"
    tokens: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class ServerFault:
    """A failure. ``pieces`` is how much of a stream is sent before it breaks.

    * ``status``: an error response with ``status``, ``message``, ``code`` and, if given, ``retry_after_s``
    * ``drop``: the connection closes without a response
    * ``truncate``: the response breaks off in the middle
    * ``stop``: a stream ends early, but tidily: no finish reason, no closing mark; otherwise as ``truncate``
    * ``stream_error``: a stream sends an error in place of its next piece; otherwise as ``status``
    * ``invalid_json``: the response, or the next piece of a stream, is no JSON
    * ``empty_choices``: the response has no choice, and no embedding
    """

    kind: Literal["status", "drop", "truncate", "stop", "stream_error", "invalid_json", "empty_choices"] = "status"
    status: int = 500
    message: str = "scripted failure"
    code: str | None = None
    retry_after_s: float | None = None
    pieces: int = 1


Scripted: TypeAlias = str | ServerReply | ServerFault
Script: TypeAlias = Sequence[Scripted] | Callable[[ServedRequest], Scripted]


def embed_words(text: str, dimension: int, *, packed: bool = False) -> JsonValue:
    """Return the sum of a fixed random direction for each word, at length 1, so that texts that share words are near.

    ``packed`` gives base64 of little-endian float32, as the endpoint does on request.

    >>> embed_words("one two", 3) == embed_words("Two one", 3)
    True
    """
    total = np.zeros(dimension)
    for word in re.findall(r"\w+", text.lower()):
        seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
        total += np.random.default_rng(seed).standard_normal(dimension)
    length = float(np.linalg.norm(total))
    values = [float(value) for value in total / (length or 1.0)]
    return base64.b64encode(struct.pack(f"<{dimension}f", *values)).decode() if packed else list(values)


def least_value(schema: JsonValue) -> JsonValue:
    """Return the plainest value that fits a JSON schema: required properties, first choices, zeros, empty texts.

    >>> least_value({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    {'n': 0}
    """
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]
    if isinstance(branches := schema.get("anyOf"), list) and branches:
        return least_value(branches[0])
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict) and isinstance(required, list):
        return {str(name): least_value(properties.get(str(name))) for name in required}
    plainest: JsonObject = {"object": {}, "array": [], "string": "", "integer": 0, "number": 0, "boolean": False}
    return plainest.get(str(schema.get("type")))


def echo(body: JsonObject) -> str:
    """Return the last message of a chat request, or the least value of the JSON schema it asks for."""
    asked = body.get("response_format")
    wrapper = asked.get("json_schema") if isinstance(asked, dict) else None
    if isinstance(wrapper, dict):
        return json.dumps(least_value(wrapper.get("schema")))
    return (contents(body) or [""])[-1]


def contents(body: JsonObject) -> list[str]:
    """Return the texts of a chat request's messages."""
    messages = body.get("messages")
    found = messages if isinstance(messages, list) else []
    return [str(message.get("content")) for message in found if isinstance(message, dict)]


def count_words(text: str) -> int:
    """Count words, which stand in for tokens here."""
    return len(text.split())


@dataclass(frozen=True, slots=True)
class Completion:
    """A chat reply on its way out: the bodies that the endpoint's two forms are made of.

    ``empty`` leaves out every choice.
    """

    request: JsonObject
    reply: ServerReply
    empty: bool = False

    def whole(self) -> JsonObject:
        """Return the body of an answer in one piece."""
        reply = self.reply
        text = None if reply.refusal is not None else reply.text
        message: JsonObject = {"role": "assistant", "content": text, "refusal": reply.refusal}
        choice: JsonObject = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
        if reply.tokens is not None and self.request.get("logprobs") is True:
            choice["logprobs"] = {"content": self._first(reply.tokens)}
        return self._envelope("chat.completion", [] if self.empty else [choice]) | {"usage": self._usage()}

    def chunks(self) -> Iterator[JsonObject]:
        """Yield the bodies of a stream: the role, the pieces of text, the finish reason, the usage if asked."""
        if self.empty:
            yield self._envelope("chat.completion.chunk", [])
            return
        yield self._chunk({"role": "assistant", "content": ""})
        if self.reply.refusal is not None:
            yield self._chunk({"refusal": self.reply.refusal})
        for piece in split_pieces(self.reply.text):
            yield self._chunk({"content": piece})
        yield self._chunk({}, finish_reason=self.reply.finish_reason)
        options = self.request.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            yield self._envelope("chat.completion.chunk", []) | {"usage": self._usage()}

    def _first(self, tokens: Mapping[str, float]) -> list[JsonValue]:
        """Return what might have come first, nothing for no token: as many of the best as the request wants."""
        wanted = self.request.get("top_logprobs")
        ranked = sorted(tokens.items(), key=lambda one: -one[1])
        told: list[JsonObject] = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in ranked]
        top: list[JsonValue] = [*told[: wanted if isinstance(wanted, int) else 0]]
        return [{**one, "top_logprobs": top} for one in told[:1]]

    def _usage(self) -> JsonObject:
        read, written = sum(map(count_words, contents(self.request))), count_words(self.reply.text)
        usage = self.reply.usage or Usage(input_tokens=read, output_tokens=written)
        total = usage.input_tokens + usage.output_tokens
        return {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": total,
        }

    def _chunk(self, delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return self._envelope("chat.completion.chunk", [choice])

    def _envelope(self, kind: str, choices: list[JsonValue]) -> JsonObject:
        return {"id": "fake-1", "object": kind, "created": 0, "model": self.request.get("model"), "choices": choices}
