"""The JSON of OpenAI-compatible chat endpoints: requests as they are sent, answers as far as they are read."""

from decimal import Decimal
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentmesh.errors import ConfigError, LlmError
from agentmesh.protocols import ChatRequest, ChatResponse
from agentmesh.records import Usage
from agentmesh.types import JsonValue

JsonObject: TypeAlias = dict[str, JsonValue]

_MILLION = 10**6
_SHOWN = 200
"""How many characters of an unusable answer an error quotes."""
_ROUNDED_UP = 0.01
"""How far above 0 a log-probability may stand: some endpoints add them up in half precision."""


def request_body(request: ChatRequest, model: str) -> JsonObject:
    """Return the body that asks ``model`` for an answer, without the fields that the request leaves open.

    Raises:
        ConfigError: ``json_schema`` is no JSON object.
    """
    optional: JsonObject = {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "response_format": None if request.json_schema is None else _response_format(request.json_schema),
    }
    given = {name: value for name, value in optional.items() if value is not None}
    messages: JsonValue = [{"role": message.role, "content": message.content} for message in request.messages]
    return {"model": model, "messages": messages, **given}


def price(usage: Usage | None, in_per_m_usd: Decimal | None, out_per_m_usd: Decimal | None) -> Decimal | None:
    """Return what the tokens cost at prices per million, ``None`` when usage or a price is unknown.

    >>> price(Usage(input_tokens=1000, output_tokens=500), Decimal(2), Decimal(8))
    Decimal('0.006')
    """
    if usage is None or in_per_m_usd is None or out_per_m_usd is None:
        return None
    return (usage.input_tokens * in_per_m_usd + usage.output_tokens * out_per_m_usd) / _MILLION


def read_completion(raw: object, *, name: str) -> ChatResponse:
    """Read a whole answer; its cost is left open.

    Raises:
        LlmError: it is no chat completion, has no choice, or is a refusal.
    """
    completion = _parse(raw, name=name)
    if not completion.choices:
        raise LlmError(f"{name}: the answer has no choices; expected at least one")
    choice = completion.choices[0]
    return _response(choice.message, choice.finish_reason, completion, name=name)


def read_first_tokens(raw: object, *, name: str) -> tuple[tuple[str, float], ...]:
    """Read the tokens that a whole answer might have begun with, each with its log-probability.

    Raises:
        LlmError: there are none, or they are not in the form of the protocol.
    """
    try:
        choices = _Weighed.model_validate(raw).choices
    except ValidationError as error:
        raise LlmError(f"{name}: the log-probabilities cannot be read; the endpoint sent {_shown(raw)}") from error
    content = choices[0].logprobs.content if choices and choices[0].logprobs else None
    if not content or not content[0].top_logprobs:
        raise LlmError(f"{name}: the answer has no top_logprobs; expected an endpoint and a model that give them")
    return tuple((one.token, one.logprob) for one in content[0].top_logprobs)


class StreamReader:
    """Puts the pieces of a streamed answer together."""

    def __init__(self, name: str) -> None:
        """Start empty; ``name`` is the model that errors name."""
        self._name = name
        self._said = _Message(content="")
        self._finish_reason: str | None = None
        self._last = _Completion()

    def read(self, raw: object) -> str:
        """Take one chunk in and return the text it adds, often none.

        Raises:
            LlmError: it is no chunk of a chat completion.
        """
        chunk = _parse(raw, name=self._name)
        self._last = _Completion(model=chunk.model or self._last.model, usage=chunk.usage or self._last.usage)
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self._finish_reason = choice.finish_reason or self._finish_reason
        refusal = (self._said.refusal or "") + (choice.delta.refusal or "")
        piece = choice.delta.content or ""
        self._said = _Message(content=(self._said.content or "") + piece, refusal=refusal or None)
        return piece

    def response(self) -> ChatResponse:
        """Return the whole answer; its cost is left open.

        Raises:
            LlmError: the stream ended too early, or is a refusal.
        """
        if self._finish_reason is None:
            raise LlmError(f"{self._name}: the stream ended before the answer did (no finish_reason)", retryable=True)
        return _response(self._said, self._finish_reason, self._last, name=self._name)


class _Lenient(BaseModel):
    """A part of an answer: what we do not read is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Usage(_Lenient):
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _Message(_Lenient):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Lenient):
    message: _Message = _Message()
    delta: _Message = _Message()
    finish_reason: str | None = None


class _Completion(_Lenient):
    model: str | None = None
    choices: tuple[_Choice, ...] | None = None
    usage: _Usage | None = None


class _TopToken(_Lenient):
    token: str
    logprob: float = Field(le=_ROUNDED_UP)  # which refuses what is no number, too


class _Position(_Lenient):
    top_logprobs: tuple[_TopToken, ...] | None = None


class _Logprobs(_Lenient):
    content: tuple[_Position, ...] | None = None


class _WeighedChoice(_Lenient):
    logprobs: _Logprobs | None = None


class _Weighed(_Lenient):
    choices: tuple[_WeighedChoice, ...] | None = None


def _parse(raw: object, *, name: str) -> _Completion:
    try:
        return _Completion.model_validate(raw)
    except ValidationError as error:
        raise LlmError(f"{name}: the answer is no chat completion; the endpoint sent {_shown(raw)}") from error


def _shown(raw: object) -> str:
    return repr(raw)[:_SHOWN]


def _response(said: _Message, finish_reason: str | None, completion: _Completion, *, name: str) -> ChatResponse:
    if said.refusal is not None and not said.content:
        raise LlmError(f"{name}: the model refused: {said.refusal!r}")
    usage = completion.usage
    return ChatResponse(
        text=said.content or "",
        model=completion.model or name,
        usage=usage and Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens),
        finish_reason=finish_reason,
    )


def _response_format(schema: Any) -> JsonObject:
    if not isinstance(schema, dict):
        raise ConfigError(f"json_schema is {schema!r}; expected a JSON schema as an object")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
