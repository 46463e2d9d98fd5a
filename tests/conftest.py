"""What holds for every test: no network but loopback, no keys from outside, no deadline on a busy machine."""

import gc
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import settings

from agentmesh.embed.static import StaticEmbedder
from agentmesh.testing.postgres import PostgresServer, find_postgres

# two processes share two cores: the clock says nothing, and a hundred examples would take the suite past its limit
settings.register_profile("agentmesh", deadline=None, max_examples=50)
settings.load_profile("agentmesh")

OUTSIDE = (
    "AGENTMESH_APP",
    "AGENTMESH_CHAT_KEY",
    "AGENTMESH_CHAT_MODEL",
    "AGENTMESH_CHAT_URL",
    "AGENTMESH_DB",
    "AGENTMESH_EMBEDDER",
    "AGENTMESH_EMBEDDER_KEY",
    "AGENTMESH_EMBEDDER_MODEL",
    "AGENTMESH_EMBEDDER_URL",
    "ANTHROPIC_API_KEY",
    "NO_COLOR",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
)

HEARD = {"SIGHUP": signal.SIG_DFL, "SIGINT": signal.default_int_handler}

NUMBERS = count()
OWN_POSTGRES = os.environ.get("AGENTMESH_TEST_POSTGRES")  # the URL of a database in which the tests may make schemas


def pytest_configure() -> None:
    """Hear signals that are ignored under nohup and in the background of a script: so would all that tests start."""
    for name, handler in HEARD.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the settings and keys of whoever runs the tests."""
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def no_network_but_loopback() -> Iterator[None]:
    """Refuse every connection that would leave this machine, so that no test can reach a real model."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse_unless_loopback(address[0])
        connect(self, address)

    def guarded_resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        refuse_unless_loopback(host)
        return resolve(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_resolve)
        yield


@pytest.fixture(autouse=True, scope="session")
def embedder_in_use() -> StaticEmbedder:
    """Hold an embedder until the end: those of the tests' meshes share what it read, instead of reading it anew."""
    embedder = StaticEmbedder()
    embedder.embed(["read"])
    return embedder


class WarmPython:
    """Runs programs in forks of a process that has loaded the package, with warnings as errors."""

    def __init__(self, folder: Path) -> None:
        """Start the process; ``folder`` is where outputs go."""
        self._folder, self._count = folder, 0
        command = [sys.executable, "-W", "error", Path(__file__).with_name("warm.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(
        self,
        program: Path,
        *arguments: object,
        folder: Path,
        before: str = "",
        environment: Mapping[str, str] | None = None,
        streams: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a folder, after some lines of code, and return how it ended and what it said.

        A terminal or a pipe may be named in the place of a stream; what is written there is read by somebody else.
        """
        self._count += 1
        said = {name: str(self._folder / f"{self._count}.{name}") for name in ("stdout", "stderr")}
        order = {"program": str(program), "arguments": [str(one) for one in arguments], "folder": str(folder)}
        order |= {**said, **(streams or {}), "before": before, "environment": environment or {}}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        texts = {name: Path(path).read_text(encoding="utf-8") for name, path in said.items() if Path(path).exists()}
        return subprocess.CompletedProcess([str(program)], code, **texts)


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmPython]:
    """Return what runs programs without importing all anew for each."""
    warm = WarmPython(tmp_path_factory.mktemp("warm"))
    with warm.process as process:
        yield warm
        assert process.stdin is not None
        process.stdin.close()


def refuse_unless_loopback(host: str | bytes | None) -> None:
    """Raise for a host that is not this machine. ``None`` is what a server that listens asks for."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "localhost", ""):
        return
    try:
        outside = not ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        outside = True
    if outside:
        raise OSError(f"a test tried to reach {name!r}; tests talk to loopback only")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start a PostgreSQL of our own, one for each test process."""
    programs = find_postgres()
    if programs is None:
        no_postgres("neither initdb and postgres were found nor is AGENTMESH_TEST_POSTGRES set")
    with PostgresServer(programs) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database in which schemas may be made: the one that is named, else one of our own."""
    if OWN_POSTGRES is None:
        return str(request.getfixturevalue("postgres_server").url())
    try:
        psycopg.connect(OWN_POSTGRES).close()
    except psycopg.Error as error:
        no_postgres(f"that of AGENTMESH_TEST_POSTGRES cannot be reached: {error}")
    return OWN_POSTGRES


@pytest.fixture(scope="session")
def new_postgres_url(postgres_database: str) -> Iterator[Callable[[], str]]:
    """Return what makes a schema and returns its URL, which is like a database of its own."""
    made: list[str] = []

    def make() -> str:
        made.append(f"test_{os.getpid()}_{len(made)}")
        return in_new_schema(postgres_database, made[-1])

    yield make
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        for name in made if OWN_POSTGRES else ():
            connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """Return a URL under which nothing is stored yet."""
    return new_postgres_url()


def in_new_schema(database: str, name: str) -> str:
    """Make a schema, and return the URL whose tables are in it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{database}{'&' if '?' in database else '?'}options=-csearch_path%3D{name}"


@pytest.fixture(scope="session")
def guarded_postgres(postgres_server: PostgresServer) -> PostgresServer:
    """Return our own server with the database ``guarded``, for which one needs the password."""
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE guarded")
    return postgres_server


@pytest.fixture
def guarded_url(guarded_postgres: PostgresServer) -> str:
    """Return a URL with a password, under which nothing is stored yet."""
    user = f"mesh:{quote(PostgresServer.PASSWORD, safe='')}"
    return in_new_schema(guarded_postgres.url("guarded", user=user), f"guarded_{next(NUMBERS)}")


def no_postgres(why: str) -> NoReturn:
    """Skip the test, or fail it where PostgreSQL must be tested."""
    if os.environ.get("AGENTMESH_REQUIRE_POSTGRES"):
        pytest.fail(f"PostgreSQL must be tested (AGENTMESH_REQUIRE_POSTGRES), but {why}")
    pytest.skip(f"PostgreSQL is not tested: {why}")


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking, again and again, through all that was loaded and collected by now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: what gzip made holds the time, and two test processes must agree on the names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
