"""Learning in a process of its own: the mesh serves from states that come back, and is never held up by learning.

One thread looks after the process: it starts it when there is something to learn, reads the states it sends, makes a
router of each, and starts it again when it dies. The event loop only ever exchanges one router for the next.
"""

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import IO, Self, cast

from agentmesh.errors import StoreError
from agentmesh.learning.faults import told
from agentmesh.learning.frames import Frame, Order, read_frame, write_frame
from agentmesh.learning.learner import LogFollower, renewed
from agentmesh.learning.live import Learner
from agentmesh.learning.settings import Learning
from agentmesh.routing.base import Router
from agentmesh.types import Clock

RESTARTS_S = (0.5, 2.0, 8.0, 30.0)
"""Pauses before the process is started again; the last one goes on. A few starts a minute, whatever is wrong."""

HEALTHY_S = 60.0
"""A process that lived this long died of something new: the pauses begin anew."""

TERMINATE_S = 2.0
"""How long the process has to end by itself before it is killed."""

LAST_WORDS = 4096
"""Bytes of what the process wrote before it ended that are looked at: it may have written for weeks."""

BOOT = (
    "import os, sys; sys.path[:] = sys.argv[1:]; "
    "[os.environ.setdefault(name, '1') for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')]; "
    "from agentmesh.learning.{module} import main; main()"
)
"""What the process runs: with this one's import path, and one thread for its arrays, since the other cores serve. Not
``multiprocessing``, which would run the user's script again where it has no main guard."""

logger = logging.getLogger(__name__)

Publish = Callable[[Router, int], None]


class ProcessLearner(Learner):
    """Has a child process learn, and serves from the newest state it handed back.

    It is made on the event loop that it serves.

    Args:
        follower: Its router is up to date; from here on the child follows the log.
        order: What the child is told to do.
        learning: How often it publishes.
        clock: The machine's by default.
    """

    def __init__(self, follower: LogFollower, order: Order, learning: Learning, *, clock: Clock | None = None) -> None:
        super().__init__(follower, learning, clock=clock)
        self._moved = asyncio.Event()
        loop = asyncio.get_running_loop()

        def publish(router: Router, reached: int) -> None:
            loop.call_soon_threadsafe(self._swap, router, reached)

        self._child = _Child(follower, order, poll_s=learning.poll_s, publish=publish, clock=self._clock)

    async def __aenter__(self) -> Self:
        """Begin to look for something to learn."""
        self._child.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the process; what it had not learned stays in the log."""
        await asyncio.to_thread(self._child.stop)

    @property
    def pid(self) -> int | None:
        """Return the process's number, ``None`` while none is running."""
        return self._child.pid()

    async def learned(self, timeout_s: float | None = None) -> None:
        """Return when the serving router has taken in everything that is in the log now.

        Raises:
            TimeoutError: it has not within ``timeout_s``.
            StoreError: the log cannot be read.
        """
        async with asyncio.timeout(timeout_s):
            last = await asyncio.to_thread(self._follower.store.last_experience)
            await self._added()
            while self._follower.reached < last:
                await self._moved.wait()

    async def _added(self) -> None:
        self._child.wake()

    def _swap(self, router: Router, reached: int) -> None:
        self._follower.serving.router = router
        self._follower.reached = reached
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


class _Child:
    """The child process, and the thread that looks after it."""

    def __init__(self, follower: LogFollower, order: Order, *, poll_s: float, publish: Publish, clock: Clock) -> None:
        self._follower, self._order = follower, order
        self._router, self._reached = follower.serving.router, follower.reached  # the thread's own: what it sent last
        self._missed = False  # the last state that came could not be used, so later numbers are not reached
        self._poll_s = poll_s
        self._publish = publish
        self._clock = clock
        self._thread = threading.Thread(target=self._look_after, name="agentmesh-learner", daemon=True)
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()  # guards the two below, and closing from being missed when they are set
        self._process: subprocess.Popen[bytes] | None = None
        self._ear: IO[bytes] | None = None  # where a byte wakes the process

    def start(self) -> None:
        """Begin to look for something to learn."""
        self._thread.start()

    def pid(self) -> int | None:
        """Return the process's number, ``None`` while none is running."""
        with self._lock:
            return None if self._process is None else self._process.pid

    def wake(self) -> None:
        """Say that something was added to the log."""
        self._wanted.set()
        with self._lock:
            if self._ear is not None:
                _nudge(self._ear)

    def stop(self) -> None:
        """End the process and the thread."""
        with self._lock:
            self._closing.set()
            self._wanted.set()
            if self._process is not None:
                self._process.terminate()
        self._thread.join(TERMINATE_S)
        with self._lock:
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _look_after(self) -> None:
        self._wait_for_work()
        failures = 0
        while not self._closing.is_set():
            begun = self._clock.monotonic()
            try:
                why = self._run()
            except Exception as error:  # noqa: BLE001 - the worker boundary: whatever it was, learning begins again
                why = told(error)
            if self._closing.is_set():
                return
            failures = 0 if self._clock.monotonic() - begun > HEALTHY_S else failures
            pause_s = RESTARTS_S[min(failures, len(RESTARTS_S) - 1)]
            failures += 1
            self._follower.fault(f"the learning process ended: {why}; it is started again in {pause_s:g} s")
            self._closing.wait(pause_s)

    def _wait_for_work(self) -> None:
        """Return when something was added to the log, here or elsewhere: a mesh that only serves needs no process."""
        while not self._wanted.wait(self._poll_s):
            try:
                if self._follower.store.last_experience() > self._follower.reached:
                    return
            except StoreError as error:
                logger.warning("learning waits for the log to be readable: %s", error)

    def _run(self) -> str:
        """Run the process until it ends, and return why."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own line
                command_of("worker"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
            try:
                with self._lock:
                    self._process = process
                    if self._closing.is_set():
                        process.terminate()
                self._talk(process)
            finally:
                self._end(process)
            return f"exit status {process.returncode}{last_line(said)}"

    def _talk(self, process: subprocess.Popen[bytes]) -> None:
        """Give the order, then take states until none come any more."""
        source, sink = pipes_of(process)
        self._missed = False
        with suppress(BrokenPipeError):
            sink.write(self._order.model_dump_json().encode() + b"\n")
            write_frame(sink, Frame(reached=self._reached, state=self._router.snapshot()))
            os.set_blocking(sink.fileno(), False)
            with self._lock:
                self._ear = sink
            self.wake()  # what was added meanwhile
        while (frame := read_frame(source)) is not None:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if frame.state is None and self._missed:
            return
        try:
            router = self._router if frame.state is None else renewed(self._router, frame.state)
        except Exception as error:  # noqa: BLE001 - the worker boundary: serving goes on with the state it has
            found = f"the state at {frame.reached} that the learning process sent cannot be used"
            self._follower.fault(f"{found}: {told(error)}")
            self._missed = True
            return
        self._router, self._reached, self._missed = router, frame.reached, False
        self._publish(router, frame.reached)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._ear = None
        source, sink = pipes_of(process)
        with suppress(BrokenPipeError):  # what it did not read
            sink.close()
        source.close()
        process.wait()
        with self._lock:
            self._process = None


def command_of(module: str) -> list[str]:
    """Return the command line of a process that runs ``main`` of a module of this package."""
    return [sys.executable, "-P", "-c", BOOT.format(module=module), *sys.path]


def pipes_of(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Return where to read from and where to write to: it was started with both."""
    return cast("tuple[IO[bytes], IO[bytes]]", (process.stdout, process.stdin))


def _nudge(ear: IO[bytes]) -> None:
    """Wake the process. A full pipe means that it has been woken and has not looked yet; a broken one, that it died."""
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(ear.fileno(), b"\n")


def last_line(said: IO[bytes]) -> str:
    """Return the last line that a process wrote, behind ": ", "" when it wrote none."""
    said.seek(max(said.seek(0, os.SEEK_END) - LAST_WORDS, 0))
    lines = said.read().decode(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
