"""Learning while a mesh is open: on its event loop, or not at all. ``process`` has the learner in a process."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from agentmesh.errors import AgentMeshError, ConfigError
from agentmesh.events import FeedbackGiven
from agentmesh.learning.faults import told
from agentmesh.learning.feedback import record_feedback
from agentmesh.learning.learner import Lesson, LogFollower
from agentmesh.learning.scoring import Score, score_answers
from agentmesh.learning.settings import Learning
from agentmesh.protocols import EventSink, Judge, Verifier
from agentmesh.records import LearningFault, Run
from agentmesh.types import AgentId, Clock, RunId, SystemClock

SLICE_S = 0.0008
"""How long learning may hold the event loop before it lets decisions pass."""

VERIFYING = 3
"""Runs whose verifiers work at once: fewer than the threads that any event loop has, since embedders and feedback need
some too."""

LESSON = 256
"""Experiences read at a time: parsing them takes some milliseconds, in a thread."""

logger = logging.getLogger(__name__)


class Learner(ABC):
    """Keeps the serving router of an open mesh in step with the log: ``async with`` it, and tell it of each score.

    ``listeners`` are told of each score once it is stored.
    """

    def __init__(self, follower: LogFollower, learning: Learning, *, clock: Clock | None = None) -> None:
        """Take a follower whose router is up to date."""
        self._follower = follower
        self._learning = learning
        self._clock = clock or SystemClock()
        self.listeners: Sequence[EventSink] = ()
        self._verifying = asyncio.Semaphore(VERIFYING)  # guards the loop's threads from being all taken by verifiers

    async def take(self, run_id: RunId, score: float, *, agent: AgentId | None, source: str) -> None:
        """Store what an answer was worth, and see that it is learned.

        Raises:
            RunNotFoundError, DuplicateFeedbackError, StoreError, ConfigError: as for
                :func:`agentmesh.learning.feedback.record_feedback`.
        """
        await asyncio.to_thread(
            record_feedback,
            self._follower.store,
            run_id,
            score,
            agent=agent,
            source=source,
            learning=self._learning,
            clock=self._clock,
        )
        if self.listeners:
            await self._tell(run_id, agent, source)
        await self._added()

    async def score(self, run: Run, verifiers: Sequence[Verifier], judge: Judge | None, *, seed: int) -> None:
        """Have the answers of a finished run scored, and take each score; whatever goes wrong, the mesh goes on.

        Args:
            run: A finished run.
            verifiers: What scores by rule.
            judge: What scores by asking.
            seed: The mesh's seed, which draws the runs that are judged.
        """
        store, settings = self._follower.store, self._learning
        scores = score_answers(
            run,
            verifiers,
            judge,
            store=store,
            learning=settings,
            seed=seed,
            clock=self._clock,
            verifying=self._verifying,
        )
        try:
            async for score in scores:
                await self._take_found(run.id, score)
        except Exception as error:
            logger.error("run %r could not be scored", run.id, exc_info=store.traced(error))

    async def _tell(self, run_id: RunId, agent: AgentId | None, source: str) -> None:
        """Tell listeners of the event that a score became in the store."""
        events = await asyncio.to_thread(self._follower.store.events, run_id)
        given = [event for event in events if isinstance(event, FeedbackGiven) and event.feedback.agent_id == agent]
        named = [event for event in given if event.feedback.source == source]  # a policy may not keep who scored
        for listener in self.listeners:
            listener((named or given)[-1])

    async def _take_found(self, run_id: RunId, score: Score) -> None:
        try:
            await self.take(run_id, score.value, agent=score.agent_id, source=score.source)
        except AgentMeshError as error:  # kept as a fault where it was refused; the other scores still count
            logger.warning("run %r: a score by %r was refused: %s", run_id, score.source, error)

    @abstractmethod
    async def learned(self, timeout_s: float | None = None) -> None:
        """Return when the serving router has taken in everything that is in the log now.

        Raises:
            TimeoutError: it has not within ``timeout_s``.
            ConfigError: nothing is learned here.
        """

    @abstractmethod
    async def _added(self) -> None:
        """Take note that something was added to the log."""

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(  # noqa: B027 - one that only stores scores has nothing to end
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End. What has not been learned stays in the log, and is learned when a mesh opens next."""


class OffLearner(Learner):
    """Stores scores and learns nothing; a mesh elsewhere may."""

    async def learned(self, timeout_s: float | None = None) -> None:  # noqa: ARG002 - the seam's signature
        """Say that this never happens."""
        raise ConfigError("this mesh learns nothing: Learning.mode is 'off'; expected 'auto', 'process' or 'loop'")

    async def _added(self) -> None:
        pass


class LoopLearner(Learner):
    """Learns on the event loop, in slices of less than a millisecond; the log is read in a thread.

    Learning is synchronous, so a decision that does not wait inside itself sees an outcome whole or not at all. The log
    is also read every ``poll_s``, for what other processes added.
    """

    def __init__(self, follower: LogFollower, learning: Learning, *, clock: Clock | None = None) -> None:
        """Take a follower whose router is up to date."""
        super().__init__(follower, learning, clock=clock)
        self._order = asyncio.Lock()  # guards the order in which experiences reach the router
        self._tasks = asyncio.TaskGroup()
        self._polling: asyncio.Task[None] | None = None
        self._unreported: deque[LearningFault] = deque()  # outlives whoever was cancelled before it was stored

    async def __aenter__(self) -> Self:
        """Begin to look for what other processes add to the log."""
        await self._tasks.__aenter__()
        self._polling = self._tasks.create_task(self._poll())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking."""
        if self._polling is not None:
            self._polling.cancel()
        await self._tasks.__aexit__(None, None, None)
        await self._report()

    async def learned(self, timeout_s: float | None = None) -> None:
        """Learn what is in the log.

        Raises:
            TimeoutError: it took longer than ``timeout_s``.
            StoreError: the log cannot be read.
        """
        async with asyncio.timeout(timeout_s):
            await self._catch_up()

    async def _added(self) -> None:
        try:
            await self._catch_up()
        except Exception as error:  # noqa: BLE001 - the worker boundary: the score is stored, it must not be given again
            logger.warning("learning waits for the log to be readable: %s", told(error))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._learning.poll_s)
            try:
                last = await asyncio.to_thread(self._follower.store.last_experience)
                if last > self._follower.reached:
                    await self._catch_up()
            except Exception as error:  # noqa: BLE001 - the worker boundary: an error here would end the mesh's work
                logger.warning("learning waits for the log to be readable: %s", told(error))

    async def _catch_up(self) -> None:
        follower = self._follower
        async with self._order:
            before, whole = follower.serving.router.sequence, False
            while not whole:
                lesson = await asyncio.to_thread(follower.read, LESSON)
                await self._learn(lesson)
                whole = lesson.whole
            if follower.is_due(before):
                await asyncio.to_thread(follower.keep, follower.state())

    async def _learn(self, lesson: Lesson) -> None:
        follower = self._follower
        follower.begin(lesson)
        begun = self._clock.monotonic()
        for experience in lesson.experiences:
            fault = follower.teach(experience)
            if fault is not None:
                self._unreported.append(fault)
            if self._clock.monotonic() - begun >= SLICE_S:
                await asyncio.sleep(0)
                begun = self._clock.monotonic()
        follower.reached = max(follower.reached, lesson.reached)
        await self._report()

    async def _report(self) -> None:
        if self._unreported:
            await asyncio.to_thread(self._report_all)

    def _report_all(self) -> None:
        with suppress(IndexError):  # none is left: a thread whose caller was cancelled may be at it too
            while True:
                self._follower.report(self._unreported.popleft())
