"""A wire to a server that is cut once: after the server did what it was told, and before its answer comes through."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class CutWire:
    """Passes bytes between clients and a port of this machine, and cuts the first connection that says ``word``.

    Args:
        port: Where to.
        word: What the client has to say.
    """

    def __init__(self, port: int, word: bytes) -> None:
        self._target, self._word = ("127.0.0.1", port), word
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.armed = False
        self.cuts = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._target)
                cutting = threading.Event()
                threading.Thread(target=self._forward, args=(client, server, cutting), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client, cutting), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, cutting: threading.Event) -> None:
        with suppress(OSError), server:
            while data := client.recv(65536):
                if self.armed and self._word in data:
                    self.armed = False
                    cutting.set()
                server.sendall(data)

    def _back(self, server: socket.socket, client: socket.socket, cutting: threading.Event) -> None:
        with suppress(OSError), client:
            while data := server.recv(65536):
                if cutting.is_set():
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)
