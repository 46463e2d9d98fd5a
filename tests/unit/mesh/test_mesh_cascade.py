"""A mesh whose router may ask a model, turn a task away, and fall back on an agent."""

from decimal import Decimal

import pytest

from agentmesh import Limits, Mesh, Preference, Task, agent, open_store, replay
from agentmesh.errors import LlmError, RegistrationError
from agentmesh.events import DecisionMade
from agentmesh.llm.openai import OpenAIChat
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.protocols import ChatResponse
from agentmesh.records import RunStatus
from agentmesh.routing.cascade import CascadeRouter
from agentmesh.routing.policy import PolicySpec
from agentmesh.testing import CannedAgent
from agentmesh.testing.asking import RatedRouter
from agentmesh.testing.server import FakeOpenAIServer


@agent(description="Solves arithmetic and algebra.", price_per_call_usd="0.001")
async def maths(task: Task) -> str:
    return "84"


@agent(description="Answers questions on world history, with dates.", price_per_call_usd="0.001")
async def history(task: Task) -> str:
    return "1776"


AGENTS = (maths, history)
HISTORY = '{"reason": "A date is asked for.", "agents": ["history"], "out_of_scope": false}'


def priced(text: str, cost_usd: str = "0.0005") -> ChatResponse:
    return ChatResponse(text=text, model="small", cost_usd=Decimal(cost_usd), finish_reason="stop")


class Nobody(RatedRouter):
    """Finds that nobody fits."""

    name = "nobody"

    def __init__(self) -> None:
        super().__init__(quality={})
        self._policy = PolicySpec.parse("threshold:0.9")


async def test_the_default_router_is_a_cascade_and_asks_no_model_without_one():
    async with Mesh(AGENTS) as mesh:
        run = await mesh.run("What is 12 * 7?")
    assert isinstance(mesh.router, CascadeRouter)
    assert run.decision is not None
    assert run.decision.reasoning is None


async def test_a_model_decides_where_the_router_is_unsure_and_its_cost_is_the_runs():
    chat = ScriptedChat([priced(HISTORY)])
    async with Mesh(AGENTS, explore=0, chat=chat) as mesh:
        run = await mesh.run("What is 12 * 7?")
    assert run.answered_by == ("history",)
    assert run.cost_usd == Decimal("0.0015")
    assert run.decision is not None
    assert "A date is asked for." in run.decision.explain()


async def test_a_replay_asks_no_model_and_decides_the_same(tmp_path):
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    chat = ScriptedChat([priced(HISTORY), LlmError("small: HTTP 500"), "no idea, sorry"] + [HISTORY] * 20)
    async with Mesh(AGENTS, explore=0, chat=chat, store=url) as mesh:
        runs = [await mesh.run(f"What is {number} * 7?") for number in range(15)]
    reasonings = [run.decision.reasoning for run in runs if run.decision is not None]
    assert 1 <= sum(reasoning is not None for reasoning in reasonings) < 15
    asked = len(chat.requests)
    with open_store(url) as store:
        for run in runs:
            assert (await replay(store, run.id)).differences == ()
    assert len(chat.requests) == asked


async def test_a_failing_model_leaves_the_choice_to_the_router_and_the_fault_in_the_trace():
    async with Mesh(AGENTS, explore=0, chat=ScriptedChat([LlmError("small: HTTP 500")])) as mesh:
        run = await mesh.run("What is 12 * 7?")
    assert run.answered_by == ("maths",)
    assert run.decision is not None
    assert run.decision.reasoning is not None
    assert "HTTP 500" in run.decision.reasoning.fault
    assert run.cost_usd is None  # what a failed question cost is not known


async def test_a_model_without_a_price_is_not_asked_under_a_cost_limit():
    chat = ScriptedChat([HISTORY, HISTORY])
    async with Mesh(AGENTS, explore=0, chat=chat) as mesh:
        refused = await mesh.run("What is 12 * 7?", limits=Limits(cost_usd="0.01"))
    assert chat.requests == []
    async with Mesh(AGENTS, explore=0, chat=chat) as mesh:
        allowed = await mesh.run("What is 5 * 7?", limits=Limits(cost_usd="0.01", allow_unknown_price=True))
    assert refused.decision is not None
    assert refused.decision.reasoning is not None
    assert "has no price" in refused.decision.reasoning.fault
    assert refused.cost_usd == Decimal("0.001")
    assert allowed.answered_by == ("history",)


async def test_a_priced_model_is_asked_when_it_fits_the_limit_and_what_it_cost_is_gone():
    with FakeOpenAIServer([HISTORY]) as server:
        chat = OpenAIChat("fake-model", base_url=server.base_url, price_in_per_m_usd="1", price_out_per_m_usd="2")
        async with Mesh(AGENTS, explore=0, chat=chat) as mesh:
            dear = await mesh.run("What is 12 * 7?", limits=Limits(cost_usd="0.001"))
        async with Mesh(AGENTS, explore=0, chat=chat) as mesh:
            fits = await mesh.run("What is 5 * 7?", limits=Limits(cost_usd="0.1"))
        await chat.aclose()
    assert dear.decision is not None
    assert dear.decision.reasoning is not None
    assert "is estimated at" in dear.decision.reasoning.fault
    assert fits.answered_by == ("history",)
    assert fits.cost_usd is not None
    assert fits.cost_usd > Decimal("0.001")


async def test_a_model_has_no_longer_than_the_run():
    chat = ScriptedChat([HISTORY])
    async with Mesh(AGENTS, explore=0, chat=chat) as mesh:
        run = await mesh.run("What is 12 * 7?", limits=Limits(timeout_s=5.0))
    assert run.status is RunStatus.COMPLETED


async def test_a_dry_route_asks_the_model_too():
    chat = ScriptedChat([HISTORY])
    async with Mesh(AGENTS, explore=0, chat=chat) as mesh:
        decision = await mesh.route("What is 12 * 7?")
    assert [choice.agent_id for choice in decision.selected] == ["history"]


async def test_the_budget_of_questions_holds_across_processes(tmp_path):
    url, chat = f"sqlite:///{tmp_path / 'mesh.db'}", ScriptedChat(lambda request: HISTORY)
    for number in range(12):
        async with Mesh(AGENTS, explore=0, chat=chat, store=url) as mesh:
            await mesh.run(f"What is {number} * 7?")
    assert 1 <= len(chat.requests) <= 4


async def test_a_pin_stands_above_the_model():
    chat = ScriptedChat([HISTORY])
    async with Mesh(AGENTS, explore=0, chat=chat, preferences=[Preference(action="pin", agents=("maths",))]) as mesh:
        run = await mesh.run("When did Rome fall?")
    assert run.answered_by == ("maths",)


async def test_where_nobody_fits_the_run_abstains():
    async with Mesh(AGENTS, explore=0, router=Nobody()) as mesh:
        run = await mesh.run("What is 12 * 7?")
    assert run.status is RunStatus.ABSTAINED


async def test_where_nobody_fits_the_fallback_agent_acts_and_a_replay_agrees():
    async with Mesh(AGENTS, explore=0, router=Nobody(), fallback="history") as mesh:
        run = await mesh.run("What is 12 * 7?")
        again = await replay(mesh.store, run.id, router=Nobody())
        decided = next(event for event in mesh.store.events(run.id) if isinstance(event, DecisionMade))
    assert run.answered_by == ("history",)
    assert "the fallback agent 'history' acts" in decided.decision.explain()
    assert decided.decision.probability_array().tolist() == [1.0, 0.0]
    assert [(one.agent_id, one.probability, one.inclusion) for one in decided.decision.candidates] == [
        ("history", 1.0, 1.0),
        ("maths", 0.0, 0.0),
    ]
    assert again.differences == ()


async def test_a_fallback_agent_that_was_no_candidate_is_listed_as_the_one_that_acts():
    crowd = [CannedAgent(["1"], f"agent-{place:02}") for place in range(40)]
    async with Mesh([*crowd, CannedAgent(["7"], "zed")], explore=0, router=Nobody(), fallback="zed") as mesh:
        run = await mesh.run("What is 12 * 7?")
        again = await replay(mesh.store, run.id, router=Nobody())
    assert run.answered_by == ("zed",)
    assert run.decision is not None
    assert [one.agent_id for one in run.decision.candidates if one.probability > 0] == ["zed"]
    assert "* zed: score unknown, p 1.000" in run.decision.explain()
    assert again.differences == ()


async def test_a_fallback_agent_that_is_refused_or_gone_leaves_the_abstention():
    forbidden = Preference(action="forbid", agents=("history",))
    async with Mesh(AGENTS, explore=0, router=Nobody(), fallback="history", preferences=[forbidden]) as mesh:
        refused = await mesh.run("What is 12 * 7?")
    async with Mesh(AGENTS, explore=0, router=Nobody(), fallback="history") as mesh:
        mesh.remove("history")
        gone = await mesh.run("What is 12 * 7?")
    assert refused.status is gone.status is RunStatus.ABSTAINED
    assert "preference:forbid" in (refused.error or "")
    assert "is not registered" in (gone.error or "")


def test_a_fallback_agent_must_be_registered():
    with pytest.raises(RegistrationError, match="nobody_i_know"):
        Mesh(AGENTS, fallback="nobody_i_know")
