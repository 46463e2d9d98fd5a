"""The guard of the tests themselves: nothing but loopback can be reached."""

import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.invalid"])
def test_another_machine_cannot_be_reached(host):
    with pytest.raises(OSError, match="tests talk to loopback only"):
        socket.create_connection((host, 80), timeout=1)


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
