"""The embedder that asks an endpoint, against a real HTTP server on loopback."""

import json
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from agentmesh.embed.remote import RemoteEmbedder, Retries, checked_url
from agentmesh.errors import ConfigError, LlmError
from agentmesh.protocols import Embedder

Reply = tuple[int, bytes, dict[str, str]]
AT_ONCE = Retries(wait_s=0.0)


class Endpoint:
    """A loopback server: keeps what it was asked and answers what it was told, then vectors that name the text."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.planned: list[Reply] = []
        self.shape: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list
        self.base_url = ""

    def answer(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        self.asked.append(body)
        self.headers.append(headers)
        if self.planned:
            return self.planned.pop(0)
        items = [
            {"index": index, "embedding": [float(len(text)), float(text.count("a"))]}
            for index, text in enumerate(body["input"])
        ]
        return 200, json.dumps({"data": self.shape(items)}).encode(), {}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = self.path == "/v1/embeddings"
            status, data, headers = made.answer(body, dict(self.headers)) if found else (404, b"no such path", {})
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def embedder(endpoint: Endpoint) -> Iterator[RemoteEmbedder]:
    with RemoteEmbedder("small", endpoint.base_url, "sk-secret", batch_size=2, retries=AT_ONCE) as made:
        yield made


def test_vectors_come_in_order_with_length_one(embedder: RemoteEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    vectors = embedder.embed(["aaa", "bbb", "aabb"])
    np.testing.assert_allclose(vectors, [[0.5**0.5, 0.5**0.5], [1, 0], [0.8**0.5, 0.2**0.5]], atol=1e-6)
    assert vectors.dtype == np.float32


def test_texts_go_out_in_batches_with_model_and_key(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    embedder.embed(["one", "two", "three"])
    assert [body["input"] for body in endpoint.asked] == [["one", "two"], ["three"]]
    assert endpoint.asked[0]["model"] == "small"
    assert endpoint.headers[0]["Authorization"] == "Bearer sk-secret"


def test_without_a_key_none_is_sent(endpoint: Endpoint) -> None:
    with RemoteEmbedder("small", endpoint.base_url) as embedder:
        embedder.embed(["one"])
    assert "Authorization" not in endpoint.headers[0]


def test_items_are_put_in_order_by_their_index(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    endpoint.shape = lambda items: items[::-1]
    np.testing.assert_allclose(embedder.embed(["aa", "bb"])[1], [1, 0])


def test_blank_texts_are_not_sent_and_give_zeros(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    vectors = embedder.embed(["", "aa", " \n"])
    assert [body["input"] for body in endpoint.asked] == [["aa"]]
    assert vectors.any(axis=1).tolist() == [False, True, False]


def test_no_text_gives_no_row(endpoint: Endpoint) -> None:
    with RemoteEmbedder("small", endpoint.base_url, dimension=2) as embedder:
        assert embedder.embed([]).shape == (0, 2)
    assert endpoint.asked == []


def test_a_megabyte_is_cut_before_it_is_sent(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    embedder.embed(["word " * 200_000])
    assert len(endpoint.asked[0]["input"][0]) == 8192


def test_an_unknown_dimension_is_asked_for_once(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    assert (embedder.dimension, embedder.dimension) == (2, 2)
    assert len(endpoint.asked) == 1


def test_the_version_tells_models_and_endpoints_apart() -> None:
    versions = set()
    for model, url in (("a", "http://x/v1"), ("b", "http://x/v1"), ("a", "http://y/v1")):
        with RemoteEmbedder(model, url) as embedder:
            versions.add(embedder.version)
    assert len(versions) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_rate_limits_and_overload_are_tried_again(endpoint: Endpoint, embedder: RemoteEmbedder, status: int) -> None:
    endpoint.planned = [(status, b"later", {})] * 3
    assert embedder.embed(["aa"]).any()
    assert len(endpoint.asked) == 4


def test_after_the_last_attempt_the_failure_is_told(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    endpoint.planned = [(503, b"overloaded", {})] * 4
    with pytest.raises(LlmError, match="status 503 for model 'small': 'overloaded'") as failure:
        embedder.embed(["aa"])
    assert (failure.value.retryable, failure.value.status) == (True, 503)


def test_a_refusal_is_told_at_once_without_the_key(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    endpoint.planned = [(401, b"bad key sk-secret", {})]
    with pytest.raises(LlmError, match=r"status 401 .* 'bad key \*\*\*'") as failure:
        embedder.embed(["aa"])
    assert not failure.value.retryable
    assert len(endpoint.asked) == 1


def test_a_refusal_without_a_key_is_quoted_as_it_is(endpoint: Endpoint) -> None:
    endpoint.planned = [(400, b"bad request", {})]
    with (
        RemoteEmbedder("small", endpoint.base_url) as embedder,
        pytest.raises(LlmError, match=r"status 400 .* 'bad request'"),
    ):
        embedder.embed(["aa"])


def test_waits_double_and_obey_the_endpoint_up_to_a_limit(endpoint: Endpoint) -> None:
    waits: list[float] = []
    endpoint.planned = [
        (429, b"", {}),
        (429, b"", {"Retry-After": "7"}),
        (429, b"", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        (429, b"", {"Retry-After": "600"}),
    ]
    with RemoteEmbedder("small", endpoint.base_url, retries=Retries(5, 0.5, waits.append)) as embedder:
        embedder.embed(["aa"])
    assert waits == [0.5, 7.0, 2.0, 30.0]


def test_an_endpoint_that_is_gone_is_a_retryable_failure() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with (
        RemoteEmbedder("small", url, retries=AT_ONCE) as embedder,
        pytest.raises(LlmError, match="cannot be reached: ConnectError") as failure,
    ):
        embedder.embed(["aa"])
    assert failure.value.retryable


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (b"<html>", "malformed reply at ''"),
        (b"[]", "malformed reply"),
        (b'{"data": null}', "malformed reply at 'data'"),
        (b'{"data": [{"index": 0, "embedding": ["x"]}]}', "malformed reply at 'data.0.embedding.0'"),
        (b'{"data": [{"index": 0, "embedding": [NaN, 1]}, {"index": 1, "embedding": [1, 1]}]}', "finite number"),
        (b'{"data": [{"index": 0, "embedding": [1]}]}', "indices [0], expected 0 to 1"),
        (b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}', "indices [0, 0]"),
        (b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}', "lengths [1, 2]"),
        (b'{"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]}', "lengths [0]"),
    ],
)
def test_a_reply_that_is_no_set_of_vectors_is_refused(
    endpoint: Endpoint, embedder: RemoteEmbedder, reply: bytes, complaint: str
) -> None:
    endpoint.planned = [(200, reply, {})]
    with pytest.raises(LlmError) as failure:
        embedder.embed(["one", "two"])
    assert complaint in str(failure.value)
    assert not failure.value.retryable


def test_vectors_of_another_length_than_declared_are_refused(endpoint: Endpoint) -> None:
    with (
        RemoteEmbedder("small", endpoint.base_url, dimension=3) as embedder,
        pytest.raises(LlmError, match="length 2, expected 3"),
    ):
        embedder.embed(["one"])


def test_vectors_whose_length_changes_between_replies_are_refused(endpoint: Endpoint, embedder: RemoteEmbedder) -> None:
    embedder.embed(["one"])
    endpoint.planned = [(200, b'{"data": [{"index": 0, "embedding": [1, 2, 3]}]}', {})]
    with pytest.raises(LlmError, match="length 3, expected 2"):
        embedder.embed(["two"])


@pytest.mark.parametrize("url", ["", "host/v1", "ftp://host/v1", "http://", "http://[::1/v1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        checked_url(url)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"timeout_s": 0.0}, {"dimension": 0}])
def test_a_number_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be 1 or more"):
        RemoteEmbedder("small", "http://host/v1", **options)


@pytest.mark.parametrize("options", [{"attempts": 0}, {"wait_s": -1.0}])
def test_retries_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="attempts must be 1 or more"):
        Retries(**options)
