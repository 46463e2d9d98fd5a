import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.records import Usage
from agentmesh.testing.completions import ServedRequest, ServerFault, ServerReply, embed_words, least_value
from agentmesh.testing.server import FakeOpenAIServer

CHAT = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}


@contextmanager
def connected(server: FakeOpenAIServer) -> Iterator[http.client.HTTPConnection]:
    host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    server: FakeOpenAIServer, path: str = CHAT, body: object = ASK, *, method: str = "POST", key: str = ""
) -> tuple[int, dict[str, str], str]:
    with connected(server) as connection:
        raw = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, raw, {"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()


def completion(server: FakeOpenAIServer, **more: object) -> Any:
    status, _, text = ask(server, body={**ASK, **more})
    assert status == 200
    return json.loads(text)


def events(server: FakeOpenAIServer, **more: object) -> list[str]:
    _, _, text = ask(server, body={**ASK, "stream": True, **more})
    return [line.removeprefix("data: ") for line in text.split("\n\n") if line]


def said(lines: list[str]) -> list[str]:
    found = []
    for line in lines:
        for choice in json.loads(line)["choices"] if line.startswith("{") else []:
            found += [choice["delta"]["content"]] if choice["delta"].get("content") else []
    return found


def test_without_a_script_the_last_message_is_echoed_and_words_are_counted() -> None:
    with FakeOpenAIServer() as server:
        answer = completion(server)
    assert answer["choices"][0]["message"]["content"] == "one two three"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["model"] == "m"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


def test_without_messages_the_echo_is_empty() -> None:
    with FakeOpenAIServer() as server:
        assert completion(server, messages=None)["choices"][0]["message"]["content"] == ""


def test_a_list_is_used_up_one_by_one_and_then_says_so() -> None:
    with FakeOpenAIServer(["first", ServerReply("second", finish_reason="length")]) as server:
        assert completion(server)["choices"][0]["message"]["content"] == "first"
        assert completion(server)["choices"][0]["finish_reason"] == "length"
        status, _, text = ask(server)
    assert status == 400
    assert "used up" in text


def test_a_function_answers_from_the_request() -> None:
    def reply(request: ServedRequest) -> str:
        assert isinstance(request.body, dict)
        return str(request.body["model"]).upper()

    with FakeOpenAIServer(reply) as server:
        assert completion(server)["choices"][0]["message"]["content"] == "M"


def test_requests_are_kept_with_method_path_headers_and_body() -> None:
    with FakeOpenAIServer(["fine"]) as server:
        ask(server, key="secret")
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", CHAT, ASK)
    assert request.headers["authorization"] == "Bearer secret"


def test_a_given_usage_is_sent() -> None:
    with FakeOpenAIServer([ServerReply("x", usage=Usage(input_tokens=70, output_tokens=8))]) as server:
        assert completion(server)["usage"]["total_tokens"] == 78


def test_a_refusal_has_no_content() -> None:
    with FakeOpenAIServer([ServerReply(refusal="I would rather not")]) as server:
        assert completion(server)["choices"][0]["message"] == {
            "role": "assistant",
            "content": None,
            "refusal": "I would rather not",
        }


def test_a_stream_sends_role_words_finish_reason_usage_and_the_closing_mark() -> None:
    with FakeOpenAIServer(["to be or"]) as server:
        lines = events(server, stream_options={"include_usage": True})
    assert said(lines) == ["to ", "be ", "or"]
    assert json.loads(lines[0])["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert json.loads(lines[4])["choices"][0]["finish_reason"] == "stop"
    assert json.loads(lines[5])["usage"]["completion_tokens"] == 3
    assert lines[6] == "[DONE]"


def test_a_stream_sends_no_usage_unasked() -> None:
    with FakeOpenAIServer(["to be or"]) as server:
        assert not any("usage" in line for line in events(server))


def test_a_stream_can_refuse() -> None:
    with FakeOpenAIServer([ServerReply(refusal="no")]) as server:
        assert '"refusal": "no"' in events(server)[1]


def test_a_json_schema_is_answered_with_its_least_value() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    with FakeOpenAIServer() as server:
        text = completion(server, response_format=wanted)["choices"][0]["message"]["content"]
    assert json.loads(text) == {"n": 0}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"enum": ["b", "a"]}, "b"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object"}, {}),
        ({"type": "string"}, ""),
        ({"type": "number"}, 0),
        ({"type": "null"}, None),
        (True, None),
        ({"properties": {"a": {"properties": {"b": {"type": "string"}}, "required": ["b"]}}, "required": ["a"]}, None),
    ],
)
def test_the_least_value_fits_the_schema(schema: Any, value: object) -> None:
    assert least_value(schema) == ({"a": {"b": ""}} if "properties" in repr(schema) else value)


def test_models_are_listed() -> None:
    with FakeOpenAIServer(models=("small", "large")) as server:
        status, _, text = ask(server, "/v1/models", "", method="GET")
    assert (status, [model["id"] for model in json.loads(text)["data"]]) == (200, ["small", "large"])


@pytest.mark.parametrize(("method", "path"), [("GET", CHAT), ("POST", "/v1/models"), ("POST", "/v2/else")])
def test_an_unknown_route_gets_404(method: str, path: str) -> None:
    with FakeOpenAIServer() as server:
        status, _, text = ask(server, path, method=method)
    assert status == 404
    assert path in text


@pytest.mark.parametrize("body", ["{", "[]", ""])
def test_a_body_that_is_no_object_gets_400(body: str) -> None:
    with FakeOpenAIServer() as server:
        assert ask(server, body=body)[0] == 400


def test_a_wrong_key_gets_401_and_the_right_one_an_answer() -> None:
    with FakeOpenAIServer(["fine"], api_key="right") as server:
        assert ask(server, key="wrong")[0] == 401
        assert ask(server, key="right")[0] == 200


def test_embeddings_have_length_one_and_texts_that_share_words_are_nearer() -> None:
    with FakeOpenAIServer(dimension=64) as server:
        _, _, text = ask(server, "/v1/embeddings", {"model": "e", "input": ["the red cat", "red cat", "stock market"]})
    answer = json.loads(text)
    first, near, far = (np.array(item["embedding"]) for item in answer["data"])
    assert np.linalg.norm(first) == pytest.approx(1.0)
    assert first @ near > 0.5 > first @ far
    assert answer["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


def test_one_text_is_embedded_and_base64_on_request() -> None:
    with FakeOpenAIServer(dimension=4) as server:
        body = {"model": "e", "input": "cat", "encoding_format": "base64"}
        _, _, text = ask(server, "/v1/embeddings", body)
    (item,) = json.loads(text)["data"]
    assert item["embedding"] == embed_words("cat", 4, packed=True)


@given(st.text(), st.integers(min_value=1, max_value=16))
def test_an_embedding_has_length_one_or_no_word(text: str, dimension: int) -> None:
    values = embed_words(text, dimension)
    assert isinstance(values, list)
    length = np.linalg.norm(np.array(values, dtype=float))
    assert length == pytest.approx(1.0) or not any(values)


def test_embedding_faults_are_met_one_by_one() -> None:
    faults = [ServerFault(status=503), None, ServerFault("empty_choices")]
    body = {"model": "e", "input": "cat"}
    with FakeOpenAIServer(embedding_faults=faults) as server:
        answers = [ask(server, "/v1/embeddings", body) for _ in range(4)]
    assert [status for status, _, _ in answers] == [503, 200, 200, 200]
    assert ['"embedding":' in text for _, _, text in answers] == [False, True, False, True]


def test_an_error_status_carries_message_code_and_retry_after() -> None:
    fault = ServerFault(status=429, message="slow down", code="rate_limit_exceeded", retry_after_s=0.5)
    with FakeOpenAIServer([fault]) as server:
        status, headers, text = ask(server)
    assert (status, headers["Retry-After"]) == (429, "0.5")
    error = json.loads(text)["error"]
    assert (error["message"], error["code"]) == ("slow down", "rate_limit_exceeded")


def test_a_dropped_connection_sends_nothing() -> None:
    with FakeOpenAIServer([ServerFault("drop")]) as server, pytest.raises(http.client.RemoteDisconnected):
        ask(server)


@pytest.mark.parametrize("kind", ["truncate", "stop"])
def test_a_truncated_answer_is_shorter_than_announced(kind: Any) -> None:
    with FakeOpenAIServer([ServerFault(kind)]) as server, pytest.raises(http.client.IncompleteRead):
        ask(server)


def test_a_truncated_stream_breaks_off_after_so_many_pieces() -> None:
    faults = [ServerFault("truncate", pieces=2)]
    with FakeOpenAIServer(faults) as server, pytest.raises(http.client.IncompleteRead) as caught:
        events(server)
    assert len(said(caught.value.partial.decode().replace("data: ", "").split("\n\n"))) == 2


def test_a_stopped_stream_ends_tidily_without_its_end() -> None:
    with FakeOpenAIServer([ServerFault("stop", pieces=1)]) as server:
        lines = events(server)
    assert said(lines) == ["this "]
    assert len(lines) == 2


def test_an_error_in_the_middle_of_a_stream_is_sent_as_an_event() -> None:
    with FakeOpenAIServer([ServerFault("stream_error", message="overloaded")]) as server:
        lines = events(server)
    assert json.loads(lines[-1])["error"]["message"] == "overloaded"


def test_a_stream_error_without_a_stream_is_an_error_status() -> None:
    with FakeOpenAIServer([ServerFault("stream_error", status=503)]) as server:
        assert ask(server)[0] == 503


def test_an_answer_can_be_no_json() -> None:
    with FakeOpenAIServer([ServerFault("invalid_json"), ServerFault("invalid_json")]) as server:
        status, _, text = ask(server)
        assert status == 200
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(text)
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(events(server)[-1])


def test_an_answer_can_have_no_choices() -> None:
    with FakeOpenAIServer([ServerFault("empty_choices"), ServerFault("empty_choices")]) as server:
        assert completion(server)["choices"] == []
        assert said(events(server)) == []


def test_any_body_can_be_sent() -> None:
    with FakeOpenAIServer([ServerReply(body="<html>", content_type="text/html")]) as server:
        _, headers, text = ask(server)
    assert (headers["Content-Type"], text) == ("text/html", "<html>")


def test_a_slow_answer_comes_in_the_end() -> None:
    with FakeOpenAIServer([ServerReply("late", delay_s=0.01, piece_delay_s=0.01)]) as server:
        assert said(events(server)) == ["late"]


def test_a_client_that_hangs_up_is_noticed_at_once() -> None:
    with FakeOpenAIServer([ServerReply("late", delay_s=60)]) as server:
        with connected(server) as connection:
            connection.request("POST", CHAT, json.dumps(ASK))
        assert server.hung_up.wait(30)


def test_leaving_the_block_ends_a_slow_answer_and_idle_connections() -> None:
    before = threading.active_count()
    server = FakeOpenAIServer([ServerReply("late", delay_s=15)])
    with server, connected(server) as slow, connected(server) as idle:
        idle.request("GET", "/v1/models")
        idle.getresponse().read()
        slow.request("POST", CHAT, json.dumps(ASK))
        server.__exit__(None, None, None)
        assert threading.active_count() == before


def test_one_connection_serves_several_requests() -> None:
    with FakeOpenAIServer(["a", "b"]) as server, connected(server) as connection:
        texts = []
        for _ in range(2):
            connection.request("POST", CHAT, json.dumps(ASK))
            texts.append(json.loads(connection.getresponse().read())["choices"][0]["message"]["content"])
    assert texts == ["a", "b"]


def test_a_client_that_resets_its_connection_between_requests_harms_nobody() -> None:
    with FakeOpenAIServer(["a"]) as server:
        with connected(server) as connection:
            connection.request("GET", "/v1/models")
            connection.getresponse().read()
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # close with a reset, not in order
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert completion(server)["choices"][0]["message"]["content"] == "a"


def test_a_server_outside_its_block_says_how_to_use_it() -> None:
    with pytest.raises(ConfigError, match="with FakeOpenAIServer"):
        _ = FakeOpenAIServer().base_url


def test_leaving_without_entering_is_harmless() -> None:
    server = FakeOpenAIServer()
    server.__exit__(None, None, None)
    with server:
        assert server.base_url.endswith("/v1")


def test_what_might_have_come_first_is_told_to_those_who_ask_the_best_first():
    with FakeOpenAIServer([ServerReply("A", tokens={"B": -2.0, "A": -0.5, "C": -3.0})]) as server:
        (choice,) = completion(server, logprobs=True, top_logprobs=2)["choices"]
    (first,) = choice["logprobs"]["content"]
    told = [(one["token"], one["logprob"]) for one in (first, *first["top_logprobs"])]
    assert told == [("A", -0.5), ("A", -0.5), ("B", -2.0)]


@pytest.mark.parametrize(("asked", "wanted"), [({}, None), ({"logprobs": True}, 0)])
def test_no_alternatives_are_told_unless_they_are_asked_for(asked, wanted):
    with FakeOpenAIServer([ServerReply("A", tokens={"A": -0.5})]) as server:
        (choice,) = completion(server, **asked)["choices"]
    told = choice.get("logprobs")
    assert (None if told is None else len(told["content"][0]["top_logprobs"])) == wanted


def test_an_answer_of_no_token_has_no_log_probabilities():
    with FakeOpenAIServer([ServerReply("", tokens={})]) as server:
        (choice,) = completion(server, logprobs=True, top_logprobs=20)["choices"]
    assert choice["logprobs"] == {"content": []}
