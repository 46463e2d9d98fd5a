"""What stands between a router's word and the calls: a decision is checked, and time runs out in order."""

import asyncio
from collections.abc import Sequence

import pytest

from agentmesh import Limits, Mesh, RouteDecision, RunStatus, Task
from agentmesh.agents.refiner import Refined, Refiner, WeightedAnswer
from agentmesh.errors import RouterOutputError
from agentmesh.graphs.nodes import draw_seed
from agentmesh.records import Selection
from agentmesh.routing.base import ScoringRouter
from agentmesh.routing.inputs import AgentPool, RouteContext, TaskFeatures
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.agents import CannedAgent, EchoAgent, HangingAgent


class WilfulRouter(CosineRouter):
    """Chooses whom it was told to, whatever it was shown."""

    name = "wilful"

    def __init__(self, chosen: Sequence[str] = ()) -> None:
        super().__init__()
        self._chosen = tuple(chosen)

    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        decision = await super().route(features, pool, context)
        chosen = tuple(Selection(agent_id=agent_id, weight=1.0) for agent_id in self._chosen)
        return decision.model_copy(update={"selected": chosen})


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["ghost"], "'ghost', which is not registered"),
        (["unskilled"], "'unskilled', which the gate 'skill:x' refuses"),
        (["able", "able"], "chose an agent twice"),
        ([], "chose nobody and did not abstain"),
    ],
)
async def test_a_decision_that_is_none_is_recorded_and_raised(chosen: list[str], said: str) -> None:
    team = [EchoAgent("able", skills=["x"]), EchoAgent("unskilled")]
    async with Mesh(team, router=WilfulRouter(chosen)) as mesh:
        with pytest.raises(RouterOutputError, match=said):
            await mesh.run(Task(text="q", required_skills=frozenset({"x"})), run_id="r1")
        stored = mesh.store.run("r1")
    assert stored.status is RunStatus.FAILED
    assert said in (stored.error or "")


async def test_a_router_may_abstain() -> None:
    class Nobody(CosineRouter):
        name = "nobody"

        def __init__(self) -> None:
            ScoringRouter.__init__(self, policy="threshold:2.0")

    echo = EchoAgent("echo")
    async with Mesh([echo], router=Nobody()) as mesh:
        run = await mesh.run("q")
    assert (run.status, run.answer, run.cost_usd) == (RunStatus.ABSTAINED, None, 0)
    assert echo.calls == 0


class SlowRefiner(Refiner):
    """Never comes to an end."""

    name = "slow"

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        await asyncio.Event().wait()
        raise AssertionError


async def test_the_vote_stands_when_the_refiner_runs_out_of_time() -> None:
    team = [CannedAgent(["7"], id="a"), CannedAgent(["7"], id="b"), CannedAgent(["8"], id="c")]
    async with Mesh(team, refiner=SlowRefiner(), limits=Limits(timeout_s=0.5), explore=0) as mesh:
        run = await mesh.run("q", run_id="r1")
        refined = next(event for event in mesh.store.events("r1") if event.kind == "answer_refined")
    assert run.answer == "7"
    assert "slow did not finish" in refined.note


class BrokenRefiner(Refiner):
    """Has a bug."""

    name = "broken"

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        raise ZeroDivisionError("division by zero")


async def test_a_broken_refiner_loses_no_answer() -> None:
    team = [CannedAgent(["7"], id="a"), CannedAgent(["7"], id="b")]
    async with Mesh(team, refiner=BrokenRefiner()) as mesh:
        run = await mesh.run("q", run_id="r1")
        refined = next(event for event in mesh.store.events("r1") if event.kind == "answer_refined")
    assert (run.status, run.answer) == (RunStatus.COMPLETED, "7")
    assert refined.note == "broken raised ZeroDivisionError: division by zero; the vote stands"


class BrokenRouter(CosineRouter):
    """Has a bug."""

    name = "broken"

    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        raise ZeroDivisionError("division by zero")


async def test_a_broken_router_is_recorded_and_heard_of() -> None:
    async with Mesh([EchoAgent("echo")], router=BrokenRouter()) as mesh:
        with pytest.raises(ZeroDivisionError):
            await mesh.run("q", run_id="r1")
        run = mesh.store.run("r1")
    assert (run.status, run.error, run.cost_usd) == (RunStatus.FAILED, "ZeroDivisionError: division by zero", 0)


class Decliner(Refiner):
    """Finds nothing helpful."""

    name = "decliner"

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        return Refined(answer=None, note="none of them helps")


async def test_a_refiner_that_declines_fails_the_run_and_says_why() -> None:
    async with Mesh([EchoAgent("echo")], refiner=Decliner()) as mesh:
        run = await mesh.run("q")
    assert (run.status, run.error) == (RunStatus.FAILED, "none of them helps")


async def test_a_refiner_gets_three_answers_unless_told_otherwise() -> None:
    team = [EchoAgent(name) for name in "abcde"]
    async with Mesh(team, refiner=Decliner()) as mesh:
        assert len((await mesh.run("q")).calls) == 3
        assert len((await mesh.run("q", limits=Limits(max_agents=2))).calls) == 2


async def test_retries_stop_at_the_deadline() -> None:
    async with Mesh([HangingAgent("stuck")]) as mesh:
        run = await mesh.run("q", limits=Limits(timeout_s=0.05, call_timeout_s=0.02, retries=10))
    assert 1 <= len(run.calls) < 10
    assert run.status is RunStatus.FAILED


async def test_a_second_attempt_that_does_not_fit_the_budget_is_refused() -> None:
    flaky = CannedAgent([ConnectionError("gone"), "back"], id="flaky", price_per_call_usd="0.10")
    async with Mesh([flaky]) as mesh:
        run = await mesh.run("q", limits=Limits(cost_usd="0.15", retries=1))
    assert [call.status for call in run.calls] == ["failed", "refused"]
    assert run.status is RunStatus.FAILED


def test_seeds_fit_into_63_bits() -> None:
    assert all(0 <= draw_seed(seed, f"r{seed}") < 2**63 for seed in range(100))
