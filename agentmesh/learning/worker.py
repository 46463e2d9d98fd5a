"""The learning process of a mesh: it reads the log, learns, and hands states back. A mesh starts it by ``process``.

On its standard input come one line of JSON (an :class:`~agentmesh.learning.frames.Order`), the state to begin with, and
then a byte whenever something was added to the log. On its standard output go states. It ends when its input does,
since then the mesh is gone; it may be killed at any time, since all it holds can be learned again from the log.
"""

import os
import signal
import threading
from contextlib import suppress
from importlib import import_module
from operator import attrgetter
from typing import IO

from agentmesh.learning.frames import Frame, Order, read_frame, write_frame
from agentmesh.learning.learner import LogFollower
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.routing.base import Router
from agentmesh.routing.serving import ServingRouter
from agentmesh.store import open_store
from agentmesh.types import Clock, SystemClock

LESSON = 200
"""Experiences learned between two looks at the clock: some tens of milliseconds."""

PAUSE = 4.0
"""How long a pause follows a state that was handed over, as a multiple of the time that took: a large state costs at
most a fifth of the learner's time, and no more of its reader's."""


class LearningWorker:
    """Learns from a log until it is told to stop, and publishes what it learned.

    It publishes every ``publish_s`` while it has much to learn, and at once when it has learned all there is.

    Args:
        follower: The router and its log.
        out: Where states go.
        publish_s: How often at most a state is published while more is waiting to be learned.
        poll_s: How often the log is read when nobody says that something was added.
        clock: The machine's by default.
    """

    def __init__(
        self, follower: LogFollower, out: IO[bytes], *, publish_s: float, poll_s: float, clock: Clock | None = None
    ) -> None:
        self._follower = follower
        self._out = out
        self._publish_s, self._poll_s = publish_s, poll_s
        self._clock = clock or SystemClock()
        self._woken = threading.Event()
        self._stopped = False
        self._published = Frame(reached=0)
        self._version = follower.serving.router.version
        self._last_s, self._cost_s = self._clock.monotonic(), 0.0

    def wake(self) -> None:
        """Say that something was added to the log."""
        self._woken.set()

    def stop(self) -> None:
        """End :meth:`run` after the lesson that is under way."""
        self._stopped = True
        self._woken.set()

    def run(self) -> None:
        """Learn and publish until stopped.

        Raises:
            StoreError: the log cannot be read.
            OSError: nobody takes the states any more.
        """
        while not self._stopped:
            self._woken.clear()
            more = self._follower.advance(LESSON)
            early_s = self._early_s(more)
            if early_s is not None and early_s <= 0:
                self._publish()
            elif not more:
                self._woken.wait(self._poll_s if early_s is None else early_s)

    def _early_s(self, more: bool) -> float | None:
        """Return how long to wait before the next state may go out, ``None`` when there is nothing new to tell."""
        if self._follower.reached == self._published.reached:
            return None
        pause_s = max(PAUSE * self._cost_s, self._publish_s if more else 0.0)
        return self._last_s + pause_s - self._clock.monotonic()

    def _publish(self) -> None:
        begun, router = self._clock.monotonic(), self._follower.serving.router
        state = None if router.version == self._version else router.snapshot()
        self._published = Frame(reached=self._follower.reached)
        write_frame(self._out, Frame(reached=self._follower.reached, state=state))
        self._version = router.version
        self._last_s = self._clock.monotonic()
        self._cost_s = self._last_s - begun


def router_of(order: Order) -> Router:
    """Build the router that an order names, new."""
    module, _, name = order.router.partition(":")
    kind = attrgetter(name)(import_module(module))
    built: Router = kind(**order.parameters)
    return built


def main() -> None:
    """Do what comes in on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the mesh decides what it means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    source, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a router prints must not get between the states
    serve(source, out)


def serve(source: IO[bytes], out: IO[bytes]) -> None:
    """Learn as the order in ``source`` says, from the state behind it, until ``source`` ends or ``out`` breaks."""
    order = Order.model_validate_json(source.readline())
    begin = read_frame(source)
    if begin is None:
        return  # the mesh was gone before it had said all
    serving = ServingRouter(router_of(order))
    if begin.state is not None:
        serving.router.restore(begin.state)
    with open_store(order.store) as store:
        follower = LogFollower(store, serving, EmbedderOf(order.embedder), root=order.root)
        follower.reached = begin.reached
        worker = LearningWorker(follower, out, publish_s=order.publish_s, poll_s=order.poll_s)
        threading.Thread(target=_listen, args=(source, worker), daemon=True).start()
        with suppress(BrokenPipeError):
            worker.run()


def _listen(source: IO[bytes], worker: LearningWorker) -> None:
    while os.read(source.fileno(), 4096):
        worker.wake()
    worker.stop()
