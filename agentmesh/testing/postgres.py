"""A PostgreSQL server of one's own, on loopback and for as long as a test session lasts."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from agentmesh.errors import StoreError

_PLACES: Final = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
"""Where packages put the server's programs, each version in a folder of its own, when they are not on the path."""

_PROGRAMS: Final = ("initdb", "postgres")
_OWNERS: Final = ("postgres", "nobody")
"""Who runs the server where root does: PostgreSQL refuses to be run by root."""

_READY: Final = b"ready to accept connections"
_LAST_LINES: Final = 20

QUICK: Final[Mapping[str, str]] = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}
"""What makes a server that outlives no machine quick: a kill of its process costs nothing all the same."""


def find_postgres(places: Iterable[str] = _PLACES) -> Path | None:
    """Return the folder of the server's programs, that on the path first, else of the newest version; else ``None``."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).parent] if on_path else []
    for place in places:
        folders += sorted(Path(place).parent.glob(f"{Path(place).name}*/**/bin"), reverse=True)
    return next((one for one in folders if all((one / name).exists() for name in _PROGRAMS)), None)


class PostgresServer:
    """A server with the user ``mesh``, the only one, who needs the password ``PASSWORD`` for the database ``guarded``.

    Use it as a context manager; at the end nothing of it is left. It may be killed and started again in between.

    Args:
        programs: The folder of ``initdb`` and ``postgres``, as ``find_postgres`` returns it.
        settings: What to set beside what makes it quick.
    """

    PASSWORD: Final = "wide open: 1/2@3"  # noqa: S105 - that of a server that nobody but the tests can reach

    def __init__(self, programs: Path, settings: Mapping[str, str] | None = None) -> None:
        self._programs = programs
        self._settings = {**QUICK, **(settings or {})}
        self._folder = Path(tempfile.mkdtemp(prefix="agentmesh-postgres-"))
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def url(self, database: str = "postgres", *, user: str = "mesh") -> str:
        """Return the URL of a database, without a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> Self:
        """Make the server and start it.

        Raises:
            StoreError: it cannot be made or started.
        """
        try:
            self._make()
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
            self.start()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server and remove its files."""
        self._clear()

    def start(self) -> None:
        """Start the server, on the port it had before, and return when it takes connections.

        Raises:
            StoreError: it ended instead.
        """
        options = [part for name, value in self._all_settings().items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        self._process = self._spawn(command)
        assert self._process.stderr is not None  # noqa: S101 - it was asked for
        self._wait_until_ready(self._process.stderr)

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # no farewell, and none of its children is left
            self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def _make(self) -> None:
        owner = _owner()
        if owner is not None:
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        word = self._folder / "password"
        word.write_text(self.PASSWORD, encoding="utf-8")
        word.chmod(0o644)
        how = ["-U", "mesh", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", f"--pwfile={word}"]
        making = self._spawn([str(self._programs / "initdb"), "-D", str(self._folder / "data"), *how])
        _, said = making.communicate()
        if making.returncode:
            raise StoreError(f"initdb failed: {said.decode(errors='replace').strip()}")
        rules = "host guarded all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        (self._folder / "data" / "pg_hba.conf").write_text(rules, encoding="utf-8")

    def _all_settings(self) -> dict[str, str]:
        own = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        return {**self._settings, **own, "logging_collector": "off", "lc_messages": "C"}

    def _spawn(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Start a program as somebody who may run PostgreSQL; where it can be asked for, it ends with this process."""
        owner, setpriv = _owner(), shutil.which("setpriv")
        as_owner = {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        bound = [] if setpriv is None else [setpriv, "--pdeathsig", "QUIT"]
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]  # noqa: S603 - the server's programs
            [*bound, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            **as_owner,
        )

    def _wait_until_ready(self, log: IO[bytes]) -> None:
        """Read the log up to the line that says so; what comes later is not kept, since nobody reads it."""
        for line in log:
            self._said.append(line.decode(errors="replace").strip())
            if _READY in line:
                log.close()
                return
        self.kill()
        raise StoreError(f"PostgreSQL did not start: {' | '.join(self._said)}")

    def _clear(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _owner() -> pwd.struct_passwd | None:
    """Return who is to run the server where root asks for one, ``None`` for whoever asks."""
    known = {one.pw_name: one for one in pwd.getpwall()} if os.geteuid() == 0 else {}
    return next((known[name] for name in _OWNERS if name in known), None)
