"""Retraining while a mesh is open: after so many new outcomes, in a process of its own that serving does not notice.

A thread counts the outcomes now and then, and waits for the process; there is never more than one. What it promotes is
a mark in the log, which the mesh takes over as it does any other. Meshes on one database see each other's marks and
count from them; what was tried and kept is remembered by the mesh that tried.
"""

import asyncio
import logging
import subprocess
import tempfile
import threading
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from types import TracebackType
from typing import Self

from agentmesh.errors import ConfigError, StoreError
from agentmesh.learning.faults import told
from agentmesh.learning.frames import Order
from agentmesh.learning.learner import LogFollower
from agentmesh.learning.opening import obstacle, order_of
from agentmesh.learning.process import command_of, last_line, pipes_of
from agentmesh.learning.retrain_worker import Report
from agentmesh.learning.retraining import fittable
from agentmesh.learning.settings import Learning

logger = logging.getLogger(__name__)


async def open_schedule(
    follower: LogFollower, learning: Learning
) -> "AbstractAsyncContextManager[RetrainingSchedule | None]":
    """Return what retrains the follower's router while it is open; nothing does where ``learning`` does not ask for it.

    Raises:
        ConfigError: the router cannot be retrained, or not in a process of its own.
    """
    every = learning.retrain_every
    if every is None:
        return nullcontext()
    asked = f"Learning.retrain_every is {every!r}"
    if learning.mode == "off":
        raise ConfigError(f"{asked}, but Learning.mode is 'off'; expected 'auto', 'process' or 'loop'")
    why = await asyncio.to_thread(obstacle, follower)
    if why:
        needed = "it needs a database file, and a router and an embedder that another process can build"
        raise ConfigError(f"{asked}, but {why}; {needed}")
    fittable(follower.serving.router)
    return RetrainingSchedule(follower, order_of(follower, learning), every=every, look_s=learning.retrain_s)


class RetrainingSchedule:
    """Has a router retrained whenever enough outcomes have come since it last was: ``async with`` it.

    Args:
        follower: Its store is looked at, and takes the faults.
        order: What the process is told to do.
        every: After how many outcomes.
        look_s: How often they are counted.
    """

    def __init__(self, follower: LogFollower, order: Order, *, every: int, look_s: float) -> None:
        self._follower, self._order = follower, order
        self._every, self._look_s = every, look_s
        self._attempted = 0  # where the log ended when this mesh last tried
        self._thread = threading.Thread(target=self._look_after, name="agentmesh-retraining", daemon=True)
        self._closing = threading.Event()
        self._lock = threading.Lock()  # guards the process, and closing from being missed when it is set
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Begin to count."""
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process, if one is running: what it had not finished is as if it had never begun."""
        await asyncio.to_thread(self._stop)

    @property
    def pid(self) -> int | None:
        """Return the process's number, ``None`` while none is running."""
        with self._lock:
            return None if self._process is None else self._process.pid

    def _stop(self) -> None:
        with self._lock:
            self._closing.set()
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _look_after(self) -> None:
        while not self._closing.wait(self._look_s):
            try:
                if self._is_due():
                    self._tell(self._run())
            except StoreError as error:
                logger.warning("retraining waits for the log to be readable: %s", error)
            except Exception as error:  # noqa: BLE001 - the worker boundary: serving goes on, and it is tried again
                self._tell(Report(error=told(error)))

    def _is_due(self) -> bool:
        """Say whether enough outcomes came after the last attempt, and begin another one if so."""
        follower = self._follower
        last = follower.store.last_experience()
        trained = [
            mark.sequence for mark in follower.store.marks(follower.key, follower.root) if mark.kind == "trained"
        ]
        since = max([self._attempted, *trained])
        if last - since < self._every or len(follower.store.experiences(since, limit=self._every)) < self._every:
            return False
        self._attempted = last
        return True

    def _run(self) -> Report:
        """Run the process until it ends, and return what it reported."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own line
                command_of("retrain_worker"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
            text = self._answer(process)
            if not text.endswith(b"\n"):
                return Report(error=f"the process ended: exit status {process.returncode}{last_line(said)}")
            return Report.model_validate_json(text)

    def _answer(self, process: subprocess.Popen[bytes]) -> bytes:
        """Give the order, and return all that comes back until the process ends; it has ended then."""
        source, sink = pipes_of(process)
        try:
            with self._lock:
                self._process = process
                if self._closing.is_set():
                    process.kill()
            with suppress(BrokenPipeError):
                sink.write(self._order.model_dump_json().encode() + b"\n")
                sink.flush()
            return source.read()
        finally:
            with suppress(BrokenPipeError):  # what it did not read
                sink.close()
            source.close()
            process.wait()
            with self._lock:
                self._process = None

    def _tell(self, report: Report) -> None:
        if self._closing.is_set():
            return
        name, found = self._follower.serving.router.name, report.found
        if found is None:
            self._follower.fault(f"retraining router {name!r} failed: {report.error}")
        elif found.promoted:
            logger.info(
                "router %r was retrained: version %s serves in place of %s", name, found.version, found.replaced
            )
        else:
            logger.info("router %r was retrained and is kept as it is: %s", name, found.reason)
