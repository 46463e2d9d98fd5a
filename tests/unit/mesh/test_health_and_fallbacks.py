"""Agents that fail: they rest for a while, others stand in, and a replay tells the same story."""

import asyncio
from decimal import Decimal

import pytest

from agentmesh import Answer, Health, Limits, Mesh, Run, RunStatus, Task, Team, Usage, open_store
from agentmesh.errors import LlmError, NoCandidateError
from agentmesh.events import DecisionMade, TaskPrepared, WaveStarted
from agentmesh.playback.player import replay
from agentmesh.records import CallStatus
from agentmesh.testing.agents import AgentDouble, CannedAgent, EchoAgent, FailingAgent, HangingAgent

HASTY = Health(failures=2)
BRIEF = Health(failures=2, cooldown_s=0.001, longest_s=0.001)


def told(run: Run) -> list[tuple[str, str]]:
    return [(call.agent_id, call.status.value) for call in run.calls]


def flaky() -> CannedAgent:
    return CannedAgent([ConnectionError("gone"), ConnectionError("gone"), "back"], id="flaky")


async def test_an_agent_that_keeps_failing_is_refused_by_the_gate() -> None:
    async with Mesh([flaky(), EchoAgent("other")], health=HASTY, router="best_single", explore=0) as mesh:
        for _ in range(2):
            assert told(await mesh.run("q")) == [("flaky", "failed")]
        resting = await mesh.run("q")
        prepared = next(event for event in mesh.store.events(resting.id) if isinstance(event, TaskPrepared))
        assert (await replay(mesh.store, resting.id)).identical
    assert told(resting) == [("other", "ok")]
    assert prepared.refused == {"flaky": "unhealthy"}


async def test_an_agent_that_has_rested_is_tried_again() -> None:
    async with Mesh([flaky(), EchoAgent("other")], health=BRIEF, router="best_single", explore=0) as mesh:
        for _ in range(2):
            assert told(await mesh.run("q")) == [("flaky", "failed")]
        while (tried := told(await mesh.run("q"))) == [("other", "ok")]:
            pass
    assert tried == [("flaky", "ok")]


async def test_where_all_are_unhealthy_nobody_can_act_and_the_error_says_why() -> None:
    async with Mesh([FailingAgent("a"), FailingAgent("b")], health=HASTY) as mesh:
        for _ in range(2):
            await mesh.run("q", limits=Limits(max_agents=2))
        with pytest.raises(NoCandidateError, match="unhealthy"):
            await mesh.run("q")


async def test_a_changed_agent_begins_anew_and_without_health_nobody_rests() -> None:
    async with Mesh([FailingAgent("a")], health=HASTY) as mesh:
        for _ in range(2):
            await mesh.run("q")
        repaired = CannedAgent(["fine"], id="a")
        repaired.description = "Has been repaired."
        mesh.update(repaired)
        assert (await mesh.run("q")).answer == "fine"
    async with Mesh([FailingAgent("a")], health=Health(failures=None)) as mesh:
        assert [told(await mesh.run("q")) for _ in range(8)] == [[("a", "failed")]] * 8


async def test_calls_that_were_decided_before_an_agent_was_found_failing_are_refused_and_replay_so() -> None:
    class Broken(FailingAgent):
        max_concurrency = 1

    async with Mesh([Broken("a"), EchoAgent("b")], health=HASTY, router="best_single", explore=0) as mesh:
        runs = await asyncio.gather(*(mesh.run("q", limits=Limits(fallbacks=1)) for _ in range(5)))
        replays = [await replay(mesh.store, run.id) for run in runs]
    assert [told(run)[0] for run in runs] == [("a", "failed")] * 2 + [("a", "refused")] * 3
    assert {run.status for run in runs} == {RunStatus.COMPLETED}
    assert "'a' is unhealthy: 2 calls in a row failed" in (runs[-1].calls[0].error or "")
    assert [one.differences for one in replays] == [()] * 5


async def test_the_next_best_stands_in_until_one_answers_and_credit_goes_to_it(tmp_path) -> None:
    team = [FailingAgent("a"), HangingAgent("b"), CannedAgent(["42"], id="c"), EchoAgent("d")]
    async with Mesh(team, store=f"sqlite:///{tmp_path / 'm.db'}", router="best_single", explore=0) as mesh:
        run = await mesh.run("q", limits=Limits(fallbacks=3, call_timeout_s=0.05))
        await mesh.feedback(run.id, 1.0)
        events, (learned,) = mesh.store.events(run.id), mesh.store.experiences()
        decision = next(event.decision for event in events if isinstance(event, DecisionMade))
        recorded = {one.agent_id: one.inclusion for one in decision.candidates}
        with open_store(mesh.store.url, read_only=True) as store:
            assert (await replay(store, run.id)).identical
    assert told(run) == [("a", "failed"), ("b", "timed_out"), ("c", "ok")]
    assert [call.wave for call in run.calls] == [1, 2, 3]
    reasons = [event.reason for event in events if isinstance(event, WaveStarted)]
    assert reasons == ["nobody gave an answer; the next best stands in"] * 2
    assert (run.answered_by, learned.agent_id) == (("c",), "c")
    assert learned.propensity == recorded.get("c")


@pytest.mark.parametrize(
    ("limits", "calls"),
    [
        (Limits(fallbacks=1), [("a", "failed"), ("b", "failed")]),
        (Limits(fallbacks=5, max_calls=1), [("a", "failed"), ("b", "refused"), ("c", "refused"), ("d", "refused")]),
        (Limits(fallbacks=5, cost_usd="0.2"), [("a", "failed"), ("b", "failed"), ("c", "refused"), ("d", "ok")]),
        (Limits(fallbacks=0), [("a", "failed")]),
    ],
)
async def test_stand_ins_keep_to_the_limits_of_the_run(limits: Limits, calls: list[tuple[str, str]]) -> None:
    class Priced(AgentDouble):
        async def reply(self, task: Task) -> str:
            if self.id in "abc":
                raise ConnectionError("gone")
            return "fine"

    team = [Priced(name, price_per_call_usd="0" if name == "d" else "0.1") for name in "abcd"]
    async with Mesh(team, router="best_single", explore=0) as mesh:
        run = await mesh.run("q", limits=limits)
        assert (await replay(mesh.store, run.id)).identical
    assert told(run) == calls
    assert run.cost_usd == Decimal("0.1") * sum(status == "failed" for _, status in calls)


async def test_a_team_that_nobody_of_helped_has_a_stand_in_too() -> None:
    team = [FailingAgent("a"), FailingAgent("b"), EchoAgent("c")]
    async with Mesh(team, team=Team(most=2), router="best_single", explore=0) as mesh:
        run = await mesh.run("q", limits=Limits(fallbacks=1))
        assert (await replay(mesh.store, run.id)).identical
    assert told(run) == [("a", "failed"), ("b", "failed"), ("c", "ok")]
    assert run.answer == "q"


async def test_a_retry_that_would_begin_after_the_deadline_is_not_waited_for() -> None:
    busy = FailingAgent("busy", error=LlmError("overloaded", retryable=True))
    async with Mesh([busy]) as mesh:
        run = await mesh.run("q", limits=Limits(timeout_s=0.15, retries=10))
    assert run.elapsed_s < 5
    assert [call.attempt for call in run.calls] == [1]


async def test_a_dear_answer_exceeds_a_limit_by_one_call_and_no_more_are_made() -> None:
    lying = CannedAgent([Answer(text="", cost_usd="0.9", usage=Usage(output_tokens=9000))], id="a")
    lying.price_per_call_usd = "0.1"
    others = [EchoAgent(name, price_per_call_usd="0.1") for name in "bc"]
    async with Mesh([lying, *others], team=Team(most=3, stop=1.0), router="best_single", explore=0) as mesh:
        money = await mesh.run("q", limits=Limits(cost_usd="0.5"))
        tokens = await mesh.run("q", limits=Limits(max_tokens=1000))
    for run in (money, tokens):
        assert [call.status for call in run.calls] == [CallStatus.OK, CallStatus.REFUSED, CallStatus.REFUSED]
        assert run.cost_usd == Decimal("0.9")
