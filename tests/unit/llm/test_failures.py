from collections.abc import Iterator

import httpx
import openai
import pytest

from agentmesh.errors import LlmError
from agentmesh.llm.failures import is_retryable, llm_error, translated

REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")


def family(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


def own(kind: type[Exception], package: str) -> list[type[Exception]]:
    return [found for found in family(kind) if found.__module__.partition(".")[0] == package]


def status_error(status: int, *, code: str | None = None, headers: dict[str, str] | None = None) -> Exception:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return openai.APIStatusError("it failed", response=response, body={"code": code})


def bare(kind: type[Exception]) -> Exception:
    """Make an exception of any class in the tree, with what the API errors carry, whatever its constructor takes."""
    error = kind.__new__(kind, "it failed")
    if isinstance(error, openai.APIError):
        error.code = error.type = None
    if isinstance(error, openai.APIStatusError | openai.APIResponseValidationError):
        error.status_code = getattr(kind, "status_code", 500)
        error.response = httpx.Response(error.status_code, request=REQUEST)
    return error


@pytest.mark.parametrize(
    "kind", [*own(openai.OpenAIError, "openai"), openai.InvalidWebhookSignatureError, *own(httpx.HTTPError, "httpx")]
)
def test_every_exception_of_openai_and_its_transport_becomes_an_llm_error(kind: type[Exception]) -> None:
    error = bare(kind)
    with pytest.raises(LlmError) as caught, translated("m"):
        raise error
    assert caught.value.__cause__ is error
    assert str(caught.value).startswith(f"m: {kind.__name__}: ")


def test_the_tree_holds_every_public_exception_of_openai() -> None:
    public = [getattr(openai, name) for name in openai.__all__]
    errors = {thing for thing in public if isinstance(thing, type) and issubclass(thing, Exception)}
    assert errors - set(own(openai.OpenAIError, "openai")) <= {openai.InvalidWebhookSignatureError}
    assert len(errors) >= 15


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_status_that_may_pass_is_retryable(status: int) -> None:
    error = llm_error(status_error(status), name="m")
    assert (error.retryable, error.status) == (True, status)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_a_status_that_stays_is_not_retryable(status: int) -> None:
    error = llm_error(status_error(status), name="m")
    assert (error.retryable, error.status) == (False, status)


def test_an_empty_account_is_not_retryable_though_its_status_is_429() -> None:
    assert not is_retryable(status_error(429, code="insufficient_quota"))


def test_a_lost_connection_and_a_timeout_are_retryable() -> None:
    assert is_retryable(openai.APIConnectionError(request=REQUEST))
    assert is_retryable(openai.APITimeoutError(REQUEST))
    assert is_retryable(httpx.RemoteProtocolError("peer closed connection"))


def test_an_error_in_the_middle_of_a_stream_is_retryable_unless_the_request_was_wrong() -> None:
    assert is_retryable(openai.APIError("overloaded", REQUEST, body={"type": "server_error"}))
    assert not is_retryable(openai.APIError("too long", REQUEST, body={"type": "invalid_request_error"}))


def test_an_answer_of_the_wrong_shape_and_a_bad_value_are_not_retryable() -> None:
    response = httpx.Response(200, request=REQUEST)
    assert not is_retryable(openai.APIResponseValidationError(response, None))
    assert not is_retryable(ValueError("no JSON"))


def test_the_message_says_how_long_to_wait() -> None:
    error = llm_error(status_error(429, headers={"retry-after": "7"}), name="m")
    assert str(error) == "m: APIStatusError: it failed; the endpoint asks to wait 7 s"


def test_the_message_names_the_cause_of_a_lost_connection() -> None:
    lost = openai.APIConnectionError(request=REQUEST)
    lost.__cause__ = OSError("no route")
    assert str(llm_error(lost, name="m")) == "m: APIConnectionError: Connection error. (OSError: no route)"


def test_a_long_message_is_cut() -> None:
    assert len(str(llm_error(ValueError("x" * 10_000), name="m"))) < 600


def test_what_is_no_failure_of_the_endpoint_passes_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), translated("m"):
        raise ZeroDivisionError


def test_further_types_can_be_added() -> None:
    with pytest.raises(LlmError, match="ZeroDivisionError: no details"), translated("m", also=(ZeroDivisionError,)):
        raise ZeroDivisionError


def test_an_llm_error_is_not_wrapped_again() -> None:
    inner = LlmError("m: as it was", retryable=True)
    with pytest.raises(LlmError) as caught, translated("m"):
        raise inner
    assert caught.value is inner
