"""Agents whose answers differ are asked again, in a mesh."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from agentmesh import (
    Agent,
    Answer,
    Learning,
    Limits,
    Mesh,
    PromptedRefiner,
    Refiner,
    Run,
    RunStatus,
    Task,
    Team,
    open_store,
    replay,
)
from agentmesh.agents.refiner import Refined, WeightedAnswer
from agentmesh.events import AnswerRefined, WaveStarted
from agentmesh.judging import CallableCheck
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.protocols import ChatResponse
from agentmesh.testing.asking import RatedRouter

RATES = {"ann": 0.8, "bob": 0.8, "cy": 0.7}

OFF = Learning(mode="off")


class Debater(Agent):
    """Says one thing, then others when it is shown what the others said."""

    def __init__(self, id: str, *texts: str, price: str = "0.01") -> None:
        self.id, self.description, self.price_per_call_usd = id, "Debates.", price
        self._texts = texts
        self.heard: list[Task] = []

    async def run(self, task: Task) -> Answer:
        self.heard.append(task)
        text = self._texts[min(len(self.heard), len(self._texts)) - 1]
        if text == "hang":
            await asyncio.Event().wait()
        if text == "fail":
            raise ConnectionError("gone")
        return Answer(text=text)


async def debated(
    *agents: Debater, team: Team, limits: Limits | None = None, url: str | None = None
) -> tuple[Run, list[WaveStarted]]:
    no_fives = CallableCheck(lambda task, answer: "a five" if answer == "5" else None, name="no fives")
    async with Mesh(
        agents, router=RatedRouter(quality=RATES), team=team, checks=[no_fives], store=url, explore=0, learning=OFF
    ) as mesh:
        run = await mesh.run("q", limits=limits)
        return run, [event for event in mesh.store.events(run.id) if isinstance(event, WaveStarted)]


def three(*texts: Sequence[str]) -> tuple[Debater, Debater, Debater]:
    ann, bob, cy = (Debater(name, *said) for name, said in zip(RATES, texts, strict=True))
    return ann, bob, cy


DEBATE = Team(most=3, first=3, stop=0.99, rounds=3)


async def test_a_round_ends_where_the_answers_agree() -> None:
    ann, bob, cy = three("12", "22", "22")
    run, waves = await debated(ann, bob, cy, team=DEBATE)
    assert [event.agents for event in waves] == [("ann", "bob", "cy"), ("ann", "bob", "cy"), ()]
    assert waves[1].reason.startswith("the answers differ; round 1 of 3")
    assert (run.answer, run.answered_by, run.dropped) == ("2", ("ann", "bob", "cy"), ())
    assert [call.wave for call in run.calls] == [1, 1, 1, 2, 2, 2]
    assert run.cost_usd == Decimal("0.06")
    own, others = ann.heard[1].turns[1:]
    assert (own.text, others.text.count("<answer>2</answer>")) == ("1", 2)


async def test_a_revision_that_fails_hangs_or_does_not_pass_keeps_the_earlier_answer() -> None:
    ann, bob, cy = three(["1", "fail"], ["2", "hang"], ["3", "5"])
    run, waves = await debated(ann, bob, cy, team=DEBATE, limits=Limits(call_timeout_s=0.05))
    assert waves[-1].reason == "nobody changed an answer"
    assert (run.status, run.answer, run.answered_by) == (RunStatus.COMPLETED, "1", ("ann",))
    assert {(one.agent_id, one.text) for one in run.dropped} == {("bob", "2"), ("cy", "3"), ("cy", "5")}


async def test_rounds_stay_within_the_money_of_the_run() -> None:
    run, _ = await debated(*three("12", "21", "3"), team=DEBATE, limits=Limits(cost_usd="0.045"))
    assert [call.status.value for call in run.calls].count("ok") == 4
    assert run.status is RunStatus.COMPLETED


async def test_a_run_with_rounds_replays_with_each_wave_its_own_answers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    limits = Limits(retries=1, call_timeout_s=5)
    run, waves = await debated(*three(["fail", "1", "2"], "345", "34"), team=DEBATE, limits=limits, url=url)
    assert len(waves) > 3
    with open_store(url, read_only=True) as store:
        again = await replay(store, run.id, router=RatedRouter(quality=RATES))
    assert again.differences == ()
    assert again.run.answer == run.answer


class PricedChat(ScriptedChat):
    """A client whose tokens have prices."""

    price_in_per_m_usd = Decimal(2)
    price_out_per_m_usd = Decimal(8)


async def refined(refiner: Refiner, limits: Limits | None = None) -> AnswerRefined:
    async with Mesh(three("1", "1", "2"), refiner=refiner, explore=0) as mesh:
        run = await mesh.run("q", limits=limits)
        assert run.status is RunStatus.COMPLETED
        return next(event for event in mesh.store.events(run.id) if isinstance(event, AnswerRefined))


async def test_a_refiner_that_does_not_fit_what_is_left_is_not_asked() -> None:
    reply = ChatResponse(text='{"answer": "both"}', model="m", cost_usd=Decimal("0.001"))
    for limit, answer, asked in (("0.0301", "1", 0), ("1", "both", 1)):
        chat = PricedChat([reply])
        event = await refined(PromptedRefiner(chat), Limits(cost_usd=limit))
        assert (event.answer, len(chat.requests)) == (answer, asked)
        assert event.note.endswith(" USD are left; the vote stands") == (not asked)
        assert event.cost_usd == (Decimal("0.001") if asked else 0)


class Babbler(Refiner):
    """Returns something else."""

    name = "babbler"

    async def refine(self, task: Task, answers: Sequence[WeightedAnswer]) -> Refined:
        return "both"  # type: ignore[return-value]


async def test_a_refiner_that_returns_something_else_leaves_the_vote() -> None:
    event = await refined(Babbler())
    assert event.answer == "1"
    assert event.note.startswith("babbler raised AgentOutputError: a refiner returned 'both'")
