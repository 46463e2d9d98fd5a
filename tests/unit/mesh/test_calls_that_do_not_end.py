"""Calls that are late, silent, or cannot be stopped: their run goes on in time, and they are counted nowhere."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from agentmesh import Agent, Limits, Mesh, RunStatus, Task
from agentmesh.events import AnswerChunk, CallFinished, RunFinished
from agentmesh.graphs.patience import GRACE_S, LeftBehind
from agentmesh.records import CallStatus
from agentmesh.testing.agents import CannedAgent, EchoAgent, FailingAgent, HangingAgent


class Stubborn(Agent):
    """Swallows so many cancellations, then answers."""

    description = "Does not stop when it is told to."

    def __init__(self, swallows: int = 1, *, then_hangs: bool = False) -> None:
        self.id, self._swallows, self._hangs = "stubborn", swallows, then_hangs
        self.began = asyncio.Event()
        self.answered = asyncio.Event()
        self.mesh: Mesh | None = None

    async def run(self, task: Task) -> str:
        self.began.set()
        for _ in range(self._swallows + self._hangs):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if self.mesh is not None:
                    await self.mesh.run("after its time")
        self.answered.set()
        return "too late"


async def test_an_answer_that_comes_after_the_time_is_dropped() -> None:
    stubborn = Stubborn()
    async with Mesh([stubborn]) as mesh:
        run = await mesh.run("q", limits=Limits(call_timeout_s=0.05))
        assert stubborn.answered.is_set()
        finished = [event for event in mesh.store.events(run.id) if isinstance(event, CallFinished)]
    assert [event.call.status for event in finished] == [CallStatus.TIMED_OUT]
    assert (run.status, run.answer, run.error) == (RunStatus.FAILED, None, "stubborn: no answer within 0.05 s")


async def test_an_agent_that_goes_on_holds_its_run_up_no_longer_than_a_moment() -> None:
    stubborn, before = Stubborn(swallows=1, then_hangs=True), asyncio.all_tasks()
    async with Mesh([stubborn]) as mesh:
        run = await mesh.run("q", limits=Limits(timeout_s=0.2))
        assert run.elapsed_s < 0.2 + GRACE_S + 5
        assert not stubborn.answered.is_set()
    assert stubborn.answered.is_set()  # the mesh that closed told it once more
    assert asyncio.all_tasks() == before


async def test_what_cannot_be_ended_at_the_end_is_named_and_not_waited_for_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stubborn, left = Stubborn(swallows=3), LeftBehind(closing_s=0.01)
    call = asyncio.create_task(stubborn.run(Task(text="q")), name="call of agent 'stubborn' in run 'r1'")
    await stubborn.began.wait()
    await left.leave(call)
    with caplog.at_level(logging.WARNING):
        await left.aclose()
    assert len(left) == 1
    assert "1 calls of agents go on though they were cancelled: call of agent 'stubborn' in run 'r1'" in caplog.text
    call.cancel()
    assert await call == "too late"
    assert len(left) == 0


async def test_an_agent_that_was_given_up_starts_no_further_run() -> None:
    stubborn = Stubborn()
    async with Mesh([stubborn]) as mesh:
        stubborn.mesh = mesh
        run = await mesh.run("q", limits=Limits(call_timeout_s=0.05))
        assert [summary.id for summary in mesh.store.runs()] == [run.id]
    assert not stubborn.answered.is_set()


async def test_a_cancelled_run_leaves_a_stubborn_agent_behind_and_says_so() -> None:
    stubborn = Stubborn()
    async with Mesh([stubborn, HangingAgent("hanging")]) as mesh:
        running = asyncio.ensure_future(mesh.run("q", run_id="r1", limits=Limits(max_agents=2)))
        await stubborn.began.wait()
        running.cancel()
        await asyncio.wait([running])
        await mesh.run("another", limits=Limits(max_calls=0))
        *calls, last = [event for event in mesh.store.events("r1") if isinstance(event, CallFinished | RunFinished)]
    assert running.cancelled()
    assert [event.call.status for event in calls if isinstance(event, CallFinished)] == [CallStatus.CANCELLED] * 2
    assert isinstance(last, RunFinished)
    assert last.status is RunStatus.CANCELLED


class Dripping(Agent):
    """Streams pieces with a pause before each, then falls silent for ever if it is told to."""

    description = "Writes slowly."

    def __init__(self, pieces: int, *, pause_s: float, falls_silent: bool = False) -> None:
        self.id, self._pieces, self._pause_s, self._falls_silent = "dripping", pieces, pause_s, falls_silent

    async def run(self, task: Task) -> str:
        raise AssertionError("an agent that can stream is streamed where an idle time is set")

    async def stream(self, task: Task) -> AsyncIterator[str]:
        for number in range(self._pieces):
            await asyncio.sleep(self._pause_s)
            yield str(number)
        if self._falls_silent:
            await asyncio.Event().wait()


async def test_each_piece_of_an_answer_begins_the_idle_time_anew() -> None:
    async with Mesh([Dripping(8, pause_s=0.05)]) as mesh:
        run = await mesh.run("q", limits=Limits(idle_timeout_s=0.3))
    assert run.answer == "01234567"
    assert run.calls[0].latency_s > 0.3


async def test_an_agent_that_falls_silent_is_left_while_time_is_left() -> None:
    async with Mesh([Dripping(2, pause_s=0.01, falls_silent=True)]) as mesh:
        events = [event async for event in mesh.stream("q", limits=Limits(idle_timeout_s=0.2, timeout_s=60))]
    assert [event.text for event in events if isinstance(event, AnswerChunk)] == ["0", "1"]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].error == "dripping: no sign of life for 0.2 s"


async def test_what_happens_in_a_run_inside_is_a_sign_of_life_of_the_call_around_it() -> None:
    class Outer(EchoAgent):
        async def reply(self, task: Task) -> str:
            middle = Task(text="middle", required_skills=frozenset({"middle"}))
            slow = Task(text="slow", required_skills=frozenset({"slow"}))
            target = slow if "middle" in self.skills else middle
            return (await mesh.run(target, limits=Limits(idle_timeout_s=None))).answer or "nothing"

    dripping = Dripping(10, pause_s=0.05)
    dripping.skills = ("slow",)
    team = [Outer("outer", skills=["outer"]), Outer("middle", skills=["middle"]), dripping]
    async with Mesh(team) as mesh:
        task = Task(text="outer", required_skills=frozenset({"outer"}))
        run = await mesh.run(task, limits=Limits(idle_timeout_s=0.4))
    assert run.answer == "0123456789"
    assert run.calls[0].latency_s > 0.4


class Unspeakable(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unspeakable(), "Unspeakable: it cannot be shown as text"),
        (ValueError("half a pair: \ud800"), "ValueError: half a pair: \\ud800"),
        (ValueError("x" * 20_000), f"ValueError: {'x' * 10_000}..."),
        (asyncio.CancelledError(), "CancelledError: the agent cancelled itself"),
        (BaseException("not even an Exception"), "BaseException: not even an Exception"),
    ],
)
async def test_whatever_an_agent_raises_is_a_failed_call(error: Exception, said: str) -> None:
    async with Mesh([FailingAgent("broken", error=error)]) as mesh:
        run = await mesh.run("q")
        assert mesh.store.run(run.id) == run
    assert (run.status, run.error) == (RunStatus.FAILED, f"broken: {said}")


async def test_a_call_has_no_turn_in_time_is_refused_and_another_agent_stands_in() -> None:
    busy = HangingAgent("busy")
    busy.max_concurrency = 1
    async with Mesh([busy, EchoAgent("other")], router="best_single", explore=0) as mesh:
        other = asyncio.ensure_future(mesh.run("first", limits=Limits(timeout_s=60)))
        while not busy.calls:  # noqa: ASYNC110 - the double has no event
            await asyncio.sleep(0.001)
        run = await mesh.run("second", run_id="r2", limits=Limits(timeout_s=0.2, fallbacks=1))
        other.cancel()
        await asyncio.wait([other])
        kinds = [
            (event.kind, event.call.agent_id) for event in mesh.store.events("r2") if isinstance(event, CallFinished)
        ]
        started = [event.agent_id for event in mesh.store.events("r2") if event.kind == "call_started"]
    assert kinds == [("call_finished", "busy"), ("call_finished", "other")]
    assert started == ["other"]
    assert run.calls[0].error == "the run's time was up before it was the turn of agent 'busy'"
    assert run.calls[0].status is CallStatus.REFUSED


async def test_the_time_that_a_call_waits_for_its_turn_is_not_its_own() -> None:
    team = [CannedAgent([name], id=name) for name in ("a", "b", "c")]

    class Slow(EchoAgent):
        async def reply(self, task: Task) -> str:
            await asyncio.sleep(0.1)
            return "same"

    team = [Slow(name) for name in ("a", "b", "c")]
    async with Mesh(team, max_concurrency=1) as mesh:
        run = await mesh.run("q", limits=Limits(max_agents=3, call_timeout_s=0.25))
    assert [call.status for call in run.calls] == [CallStatus.OK] * 3
    assert sum(call.latency_s for call in run.calls) <= run.elapsed_s  # one after the other, without the waiting
