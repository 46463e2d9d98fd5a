from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError, LlmError
from agentmesh.llm.pieces import split_pieces
from agentmesh.llm.wire import StreamReader, price, read_completion, request_body
from agentmesh.protocols import ChatMessage, ChatRequest
from agentmesh.records import Usage

ASK = ChatRequest(messages=(ChatMessage(role="system", content="be brief"), ChatMessage(role="user", content="hi")))


def chunk(**choice: Any) -> dict[str, Any]:
    return {"choices": [{"delta": choice.pop("delta", {}), **choice}]}


def test_a_request_names_only_what_was_given() -> None:
    assert request_body(ASK, "m") == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
    }


def test_every_field_of_a_request_is_sent() -> None:
    request = ASK.model_copy(update={"temperature": 0.0, "max_tokens": 5, "stop": ("END",), "seed": 0})
    body = request_body(request, "m")
    assert {name: body[name] for name in ("temperature", "max_tokens", "stop", "seed")} == {
        "temperature": 0.0,
        "max_tokens": 5,
        "stop": ["END"],
        "seed": 0,
    }


def test_a_schema_becomes_a_strict_response_format() -> None:
    body = request_body(ASK.model_copy(update={"json_schema": {"type": "object"}}), "m")
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }


def test_a_schema_that_is_no_object_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"json_schema is \['a'\]; expected"):
        request_body(ASK.model_copy(update={"json_schema": ["a"]}), "m")


@pytest.mark.parametrize(
    ("usage", "price_in", "price_out"),
    [
        (None, Decimal(1), Decimal(1)),
        (Usage(input_tokens=1), None, Decimal(1)),
        (Usage(input_tokens=1), Decimal(1), None),
    ],
)
def test_a_cost_is_unknown_when_usage_or_a_price_is(
    usage: Usage | None, price_in: Decimal | None, price_out: Decimal | None
) -> None:
    assert price(usage, price_in, price_out) is None


def test_a_price_of_zero_is_a_cost_of_zero() -> None:
    assert price(Usage(input_tokens=5, output_tokens=5), Decimal(0), Decimal(0)) == 0


@pytest.mark.parametrize(
    "raw",
    [
        "<html>",
        None,
        7,
        [],
        {"choices": "none"},
        {"choices": [{"message": {"content": ["a", "b"]}}]},
        {"choices": [{"message": None}]},
        {"choices": [], "usage": {"prompt_tokens": -1}},
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_shows_it(raw: Any) -> None:
    with pytest.raises(LlmError) as caught:
        read_completion(raw, name="m")
    assert repr(raw) in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("raw", [{}, {"choices": None}, {"choices": []}])
def test_an_answer_without_a_choice_is_an_error(raw: Any) -> None:
    with pytest.raises(LlmError, match="no choices"):
        read_completion(raw, name="m")


def test_an_answer_without_text_usage_or_model_is_empty_and_their_values_unknown() -> None:
    response = read_completion({"choices": [{"message": {}}]}, name="m")
    assert (response.text, response.model, response.usage, response.finish_reason) == ("", "m", None, None)


def test_a_refusal_is_an_error_that_quotes_it() -> None:
    with pytest.raises(LlmError, match="refused: 'no way'"):
        read_completion({"choices": [{"message": {"refusal": "no way"}}]}, name="m")


def test_text_beside_a_refusal_is_an_answer() -> None:
    raw = {"choices": [{"message": {"content": "well", "refusal": "no way"}}]}
    assert read_completion(raw, name="m").text == "well"


def test_a_streamed_refusal_is_put_together() -> None:
    reader = StreamReader("m")
    reader.read(chunk(delta={"refusal": "no "}))
    reader.read(chunk(delta={"refusal": "way"}, finish_reason="stop"))
    with pytest.raises(LlmError, match="refused: 'no way'"):
        reader.response()


def test_a_stream_keeps_the_last_usage_and_model_it_saw() -> None:
    reader = StreamReader("m")
    reader.read({"model": "m-1", "choices": [], "usage": {"prompt_tokens": 1}})
    assert reader.read(chunk(delta={"content": "a"}, finish_reason="stop")) == "a"
    reader.read({"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3}})
    reader.read({"choices": []})
    response = reader.response()
    assert (response.model, response.usage) == ("m-1", Usage(input_tokens=2, output_tokens=3))


def test_a_stream_without_a_finish_reason_broke_off_and_may_be_tried_again() -> None:
    reader = StreamReader("m")
    reader.read(chunk(delta={"content": "half"}))
    with pytest.raises(LlmError, match="ended before") as caught:
        reader.response()
    assert caught.value.retryable


@given(st.lists(st.text()))
def test_the_pieces_of_a_stream_add_up_to_its_text(pieces: list[str]) -> None:
    reader = StreamReader("m")
    seen = [reader.read(chunk(delta={"content": piece})) for piece in pieces]
    reader.read(chunk(finish_reason="stop"))
    assert reader.response().text == "".join(seen) == "".join(pieces)


@given(st.text())
def test_a_text_cut_into_pieces_joins_to_itself_and_no_piece_is_empty(text: str) -> None:
    pieces = split_pieces(text)
    assert "".join(pieces) == text
    assert all(pieces)
