"""The one place where failures of chat endpoints become ``LlmError``.

litellm raises subclasses of the openai package's exceptions, so one translation serves both clients. This module
loads openai, which takes a second; only the clients that need it import it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import openai

from agentmesh.errors import LlmError

TRANSPORT_ERRORS: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    *(sys.modules[name].HTTPError for name in ("httpx2",) if name in sys.modules),
)
"""What breaks through openai when a connection fails in the middle of a stream: its version 2 sends with httpx, its
version 3 with httpx2, which it has loaded by now."""

_FOREIGN: tuple[type[Exception], ...] = (openai.OpenAIError, ValueError, *TRANSPORT_ERRORS)

_RETRYABLE = frozenset({408, 409, 429})
"""Request timeout, lock conflict, rate limit; the statuses from 500 up come on top."""

_LONGEST = 500
"""How many characters of a foreign message are kept: some endpoints answer with a whole web page."""


@contextmanager
def translated(name: str, *, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise every failure of the endpoint of ``name`` inside the block as an ``LlmError``; ``also`` adds types.

    ``ValueError`` is among them because a body that is no JSON, or text that cannot be encoded, surfaces as one.
    """
    try:
        yield
    except _FOREIGN + also as error:
        raise llm_error(error, name=name) from error


def llm_error(error: Exception, *, name: str) -> LlmError:
    """Return the ``LlmError`` that says what ``error`` says, and whether trying again makes sense."""
    status = _status(error)
    text = str(error)[:_LONGEST] or "no details"
    if isinstance(error, openai.APIConnectionError) and error.__cause__ is not None:  # its own text says too little
        text += f" ({type(error.__cause__).__name__}: {error.__cause__})"
    wait = _retry_after(error)
    hint = f"; the endpoint asks to wait {wait} s" if wait else ""
    return LlmError(f"{name}: {type(error).__name__}: {text}{hint}", retryable=is_retryable(error), status=status)


def is_retryable(error: Exception) -> bool:
    """Say whether the same call may succeed later."""
    if isinstance(error, (openai.APIConnectionError, *TRANSPORT_ERRORS)):
        return True
    if not isinstance(error, openai.APIError) or isinstance(error, openai.APIResponseValidationError):
        return False
    if error.code == "insufficient_quota":  # sent as 429, but an empty account does not fill up by waiting
        return False
    status = _status(error)
    if status is None:  # an error event in the middle of a stream: the request itself was accepted
        return error.type != "invalid_request_error"
    return status in _RETRYABLE or status >= 500


def _status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)  # litellm puts it on more classes than openai does
    return status if isinstance(status, int) else None


def _retry_after(error: Exception) -> str | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    value: str | None = error.response.headers.get("retry-after")
    return value
