"""An OpenAI-compatible server on loopback: tests talk real HTTP to it, and it fails on demand.

It serves ``/v1/chat/completions`` (whole, streamed, with a JSON schema), ``/v1/embeddings`` and ``/v1/models``. What it
answers is scripted; what it was asked is kept in ``requests``. It uses the standard library only.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

from agentmesh.errors import ConfigError
from agentmesh.testing.completions import (
    Completion,
    JsonObject,
    Script,
    Scripted,
    ServedRequest,
    ServerFault,
    ServerReply,
    count_words,
    echo,
    embed_words,
)
from agentmesh.types import JsonValue


class FakeOpenAIServer:
    """Answers on a free port of 127.0.0.1 while its ``with`` block lasts.

    ``replies`` is a list, used up one by one (then each request gets status 400), or a function of the request, called
    from several threads. Without it the last message is echoed, or the least value of the asked JSON schema is given.
    ``embedding_faults`` are met one by one by embedding requests, ``None`` for none, and then no more. With ``api_key``
    any other key gets status 401.

    >>> with FakeOpenAIServer(["hello"]) as server:
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        replies: Script | None = None,
        *,
        embedding_faults: Sequence[ServerFault | None] = (),
        models: Sequence[str] = ("fake-model",),
        dimension: int = 8,
        api_key: str | None = None,
    ) -> None:
        """Take the script. Nothing listens before the ``with`` block is entered."""
        self.requests: list[ServedRequest] = []
        """Every request that came in whole, in order."""
        self.hung_up = threading.Event()
        """Set when a client closed its connection before its answer was sent whole."""
        self._script = replies if callable(replies) else None
        self._replies = None if replies is None or callable(replies) else iter(list(replies))
        self._embedding_faults = iter(list(embedding_faults))
        self._models = tuple(models)
        self._dimension = dimension
        self._api_key = api_key
        self._lock = threading.Lock()  # guards requests and both iterators, which all handler threads use
        self._server: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Return the URL to give a client, ``http://127.0.0.1:PORT/v1``.

        Raises:
            ConfigError: the ``with`` block is not entered.
        """
        if self._server is None:
            raise ConfigError("this FakeOpenAIServer is not running; use it as `with FakeOpenAIServer() as server:`")
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        """Start to listen."""
        self._server = _Listener(self)
        # a short poll, because leaving the block waits for one
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, hang up on every client and wait for the threads to end."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    def respond(self, request: ServedRequest) -> Scripted | JsonObject:
        """Note the request and decide what to send: a body, a scripted reply or a fault."""
        with self._lock:
            self.requests.append(request)
        if self._api_key is not None and request.headers.get("authorization") != f"Bearer {self._api_key}":
            return ServerFault(status=401, message="wrong API key", code="invalid_api_key")
        route = (request.method, request.path.partition("?")[0])
        if route == ("GET", "/v1/models"):
            return {"object": "list", "data": [{"id": name, "object": "model"} for name in self._models]}
        if route not in {("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings")}:
            return ServerFault(status=404, message=f"no {request.method} {request.path} here")
        if not isinstance(request.body, dict):
            return ServerFault(status=400, message="the body is no JSON object")
        return self._embed(request.body) if route[1] == "/v1/embeddings" else self._chat(request, request.body)

    def _chat(self, request: ServedRequest, body: JsonObject) -> Scripted:
        if self._script is not None:
            return self._script(request)
        if self._replies is None:
            return echo(body)
        with self._lock:
            return next(self._replies, ServerFault(status=400, message="the script is used up"))

    def _embed(self, body: JsonObject) -> JsonObject | ServerFault:
        with self._lock:
            fault = next(self._embedding_faults, None)
        if fault is not None:
            return fault
        given = body.get("input")
        texts = [str(text) for text in given] if isinstance(given, list) else [str(given)]
        packed = body.get("encoding_format") == "base64"
        data: list[JsonValue] = [
            {"object": "embedding", "index": place, "embedding": embed_words(text, self._dimension, packed=packed)}
            for place, text in enumerate(texts)
        ]
        tokens = sum(count_words(text) for text in texts)
        usage: JsonObject = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}


class _Listener(ThreadingHTTPServer):
    """Accepts connections, a thread each, and remembers them so that it can hang up."""

    daemon_threads = False  # with block_on_close: server_close waits for every thread
    request_queue_size = 128

    def __init__(self, owner: FakeOpenAIServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()  # guards _open: connections open in one thread and close in others
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # not HTTPServer's: it looks up this machine's name, which can take seconds

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close every connection, which wakes the threads that wait on one."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP on one connection."""

    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else head and body in two writes cost 40 ms

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        self._serve(body)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client may reset its connection between two requests
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the requests are on record."""

    def _serve(self, body: JsonValue) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.owner.respond(ServedRequest(self.command, self.path, headers, body))
        streamed = isinstance(body, dict) and body.get("stream") is True
        try:
            self._send(answer, body if isinstance(body, dict) else {}, streamed=streamed)
        except ConnectionError:
            self.close_connection = True
            self.server.owner.hung_up.set()

    def _send(self, answer: Scripted | JsonObject, body: JsonObject, *, streamed: bool) -> None:
        if isinstance(answer, dict):
            return self._send_text(json.dumps(answer))
        fault = answer if isinstance(answer, ServerFault) else None
        if fault is not None and (fault.kind in {"status", "drop"} or (not streamed and fault.kind == "stream_error")):
            return self._refuse(fault)
        reply = answer if isinstance(answer, ServerReply) else ServerReply(_BROKEN if fault else str(answer))
        self._wait(reply.delay_s)
        if reply.body is not None:
            return self._send_text(reply.body, content_type=reply.content_type)
        completion = Completion(body, reply, empty=fault is not None and fault.kind == "empty_choices")
        return self._send_stream(completion, fault) if streamed else self._send_whole(completion, fault)

    def _refuse(self, fault: ServerFault) -> None:
        if fault.kind == "drop":
            self.close_connection = True
            return
        headers = {} if fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
        self._send_text(json.dumps(_error_body(fault)), status=fault.status, headers=headers)

    def _send_whole(self, completion: Completion, fault: ServerFault | None) -> None:
        text = json.dumps(completion.whole())
        kind = fault.kind if fault else ""
        if kind == "invalid_json":
            text = text[: len(text) // 2]
        self._send_text(text, cut=kind in {"truncate", "stop"})

    def _send_text(
        self,
        text: str,
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        """Send a response in one piece; ``cut`` keeps back the half of it that was announced."""
        raw = text.encode()
        self._begin(status, {"Content-Type": content_type, "Content-Length": str(len(raw)), **(headers or {})})
        self.wfile.write(raw[: len(raw) // 2] if cut else raw)
        self.close_connection = self.close_connection or cut

    def _send_stream(self, completion: Completion, fault: ServerFault | None) -> None:
        """Send server-sent events, each as one chunk of HTTP/1.1, up to where a fault breaks them off."""
        self._begin(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        last = fault.pieces if fault is not None and fault.kind != "empty_choices" else None
        for place, chunk in enumerate(completion.chunks()):
            if fault is not None and last is not None and place > last:  # the first event is the role
                return self._break_off(fault)
            if place > 1:
                self._wait(completion.reply.piece_delay_s)
            self._send_event(json.dumps(chunk))
        self._send_event("[DONE]")
        self._send_chunk(b"")

    def _break_off(self, fault: ServerFault) -> None:
        if fault.kind == "truncate":
            self.close_connection = True
            return
        if fault.kind == "stream_error":
            self._send_event(json.dumps(_error_body(fault)))
        elif fault.kind == "invalid_json":
            self._send_event('{"choices": [')
        self._send_chunk(b"")

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_event(self, data: str) -> None:
        self._send_chunk(f"data: {data}\n\n".encode())

    def _send_chunk(self, raw: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(raw), raw))

    def _wait(self, seconds: float) -> None:
        """Let time pass, but stop at once when the connection closes on either side.

        Raises:
            ConnectionError: it closed.
        """
        if seconds <= 0:
            return
        self.connection.settimeout(seconds)
        try:
            waiting = self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(None)
        if not waiting:
            raise ConnectionResetError("the connection closed while an answer was on its way")


_BROKEN = "this answer breaks off before its end"
"""What a faulty reply would have said."""


def _error_body(fault: ServerFault) -> JsonObject:
    return {"error": {"message": fault.message, "type": "scripted", "param": None, "code": fault.code}}
