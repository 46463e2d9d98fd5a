"""Checks around a call in a mesh: who is kept from acting, whose answer is turned down, and who stands in."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from agentmesh import Agent, Answer, Learning, Limits, Mesh, Run, RunStatus, Task, Team, open_store, replay
from agentmesh.errors import ConfigError
from agentmesh.events import AnswerChecked, AnswerRefined, Event
from agentmesh.graphs.checking import Check
from agentmesh.judging import (
    AnswerCheck,
    CallableCheck,
    CallableFeasibility,
    CheckResult,
    FeasibilityCheck,
    PromptedCheck,
    PromptedFeasibility,
)
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.playback.compare import compare
from agentmesh.protocols import ChatResponse
from agentmesh.records import AgentCard, Turn
from agentmesh.testing.agents import AgentDouble, CannedAgent
from agentmesh.testing.asking import RatedRouter

OFF = Learning(mode="off")
RATES = {"ann": 0.9, "bob": 0.8, "cy": 0.7}


class Says(AgentDouble):
    """Says one thing, and remembers what it was told before."""

    def __init__(self, id: str, text: str, *, price: str | None = None) -> None:
        super().__init__(id, price_per_call_usd=price)
        self._text = text
        self.turns: tuple[Turn, ...] = ()

    async def reply(self, task: Task) -> Answer:
        self.turns = task.turns
        return Answer(text=self._text)


def rated() -> RatedRouter:
    return RatedRouter(quality=RATES)


def no(text: str) -> CallableCheck:
    """Return a check that an answer with ``text`` in it does not pass."""
    return CallableCheck(lambda task, answer: f"it says {text}" if text in answer else None, name="sound")


async def checked(
    agents: Sequence[Agent],
    *checks: Check,
    limits: Limits | None = None,
    team: Team | None = None,
    url: str | None = None,
) -> tuple[Run, list[Event]]:
    async with Mesh(agents, router=rated(), checks=checks, store=url, team=team, explore=0, learning=OFF) as mesh:
        run = await mesh.run("q", limits=limits)
        return run, mesh.store.events(run.id)


def found(events: Sequence[Event]) -> list[tuple[str, int, bool, str]]:
    return [
        (event.agent_id, event.wave, event.passed, event.reason) for event in events if isinstance(event, AnswerChecked)
    ]


@pytest.mark.parametrize("team", [None, Team(most=1)])
async def test_where_an_answer_does_not_pass_the_next_best_stands_in_and_is_told_why(team: Team | None) -> None:
    ann, bob, cy = Says("ann", "bad one"), Says("bob", "bad two"), Says("cy", "good")
    run, events = await checked([ann, bob, cy], no("bad"), limits=Limits(replans=2), team=team)
    assert (run.status, run.answer, run.answered_by) == (RunStatus.COMPLETED, "good", ("cy",))
    assert found(events) == [("ann", 1, False, "it says bad"), ("bob", 2, False, "it says bad"), ("cy", 3, True, "")]
    assert [(one.agent_id, one.why) for one in run.dropped] == [
        ("ann", "did not pass check 'sound': it says bad"),
        ("bob", "did not pass check 'sound': it says bad"),
    ]
    assert ann.turns == ()
    assert "did not pass check 'sound': it says bad" in cy.turns[-1].text


async def test_where_nobody_passes_the_run_fails_and_keeps_the_answers() -> None:
    run, _ = await checked(
        [Says("ann", "bad"), Says("bob", "bad"), Says("cy", "good")], no("bad"), limits=Limits(replans=1)
    )
    assert (run.status, run.answer) == (RunStatus.FAILED, None)
    assert run.error == (
        "no answer passed the checks: ann did not pass check 'sound': it says bad; "
        "bob did not pass check 'sound': it says bad"
    )
    assert [call.answer.text for call in run.calls if call.answer] == ["bad", "bad"]


async def test_an_answer_that_does_not_pass_has_no_vote() -> None:
    agents = [Says("ann", "bad"), Says("bob", "bad"), Says("cy", "good")]
    run, _ = await checked(agents, no("bad"), limits=Limits(max_agents=3))
    assert (run.answer, run.answered_by, run.conflicts) == ("good", ("cy",), ())
    assert [one.agent_id for one in run.dropped] == ["ann", "bob"]


async def test_an_answer_that_does_not_pass_does_not_count_for_agreement() -> None:
    agents = [Says("ann", "bad"), Says("bob", "bad"), Says("cy", "good")]
    run, _ = await checked(agents, no("bad"), team=Team(first=2, stop=0.6))
    assert run.answer == "good"
    assert [call.wave for call in run.calls] == [1, 1, 2]


async def test_checks_are_asked_in_turn_until_one_is_not_passed() -> None:
    never = CallableCheck(lambda task, answer: 1 / 0 and "", name="never")
    _, events = await checked([Says("ann", "bad")], no("worse"), no("bad"), never)
    assert found(events) == [("ann", 1, True, ""), ("ann", 1, False, "it says bad")]


class Hangs(AnswerCheck):
    """Never ends."""

    name = "hangs"

    async def check(self, task: Task, answer: str) -> CheckResult:
        await asyncio.Event().wait()
        raise AssertionError


class Confused(AnswerCheck):
    """Returns something else."""

    name = "confused"

    async def check(self, task: Task, answer: str) -> CheckResult:
        return "fine"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (
            CallableCheck(lambda task, answer: 1 / 0 and "", name="broken"),
            "it raised ZeroDivisionError: division by zero",
        ),
        (Confused(), "it raised ConfigError: the check returned 'fine'; accepted is a CheckResult"),
        (Hangs(), "it did not end within 0.5 s"),
    ],
)
async def test_a_check_that_fails_itself_costs_no_answer(check: AnswerCheck, reason: str) -> None:
    run, events = await checked([Says("ann", "fine")], check, limits=Limits(call_timeout_s=0.5))
    assert (run.status, run.answer) == (RunStatus.COMPLETED, "fine")
    ((_, _, passed, said),) = found(events)
    assert passed
    assert said.startswith(reason)


async def test_an_agent_that_cannot_do_the_task_is_not_called() -> None:
    ann, bob = Says("ann", "1"), Says("bob", "2")
    asleep = CallableFeasibility(lambda task, card: "it sleeps" if card.id == "ann" else None, name="awake")
    run, events = await checked([ann, bob], asleep, limits=Limits(fallbacks=1))
    assert (run.answer, ann.calls, bob.calls) == ("2", 0, 1)
    assert run.calls[0].error == "did not pass check 'awake': it sleeps"
    assert found(events) == [("ann", 1, False, "it sleeps")]


async def test_a_run_that_cannot_pay_is_over_budget_whatever_was_checked() -> None:
    limits = Limits(cost_usd="0.1", fallbacks=1)
    sleeps = CallableFeasibility(lambda task, card: "it sleeps" if card.id == "ann" else None, name="awake")
    run, _ = await checked([Says("ann", "1", price="0.1"), Says("bob", "2", price="0.5")], sleeps, limits=limits)
    assert run.status is RunStatus.OVER_BUDGET


async def test_a_run_that_nobody_can_do_fails_and_is_not_over_budget() -> None:
    asleep = CallableFeasibility(lambda task, card: "it sleeps", name="awake")
    run, _ = await checked([Says("ann", "1")], asleep)
    assert (run.status, run.error) == (RunStatus.FAILED, "ann: did not pass check 'awake': it sleeps")


async def test_an_agent_is_not_asked_about_again_for_a_retry() -> None:
    asked: list[str] = []

    def count(task: Task, card: AgentCard) -> None:
        asked.append(card.id)

    flaky = CannedAgent([ConnectionError("gone"), "back"], id="ann")
    async with Mesh([flaky], checks=[CallableFeasibility(count, name="count")]) as mesh:
        run = await mesh.run("q", limits=Limits(retries=1))
    assert (run.answer, asked) == ("back", ["ann"])


class PricedChat(ScriptedChat):
    """Says the same always, for a cent; its tokens have prices."""

    price_in_per_m_usd = Decimal(2)
    price_out_per_m_usd = Decimal(8)

    def __init__(self, text: str) -> None:
        super().__init__([ChatResponse(text=text, model="m", cost_usd=Decimal("0.01"))] * 9)


async def test_what_checks_cost_is_part_of_the_run() -> None:
    chat = PricedChat('{"passed": true}')
    run, _ = await checked([Says("ann", "1", price="0.5")], PromptedFeasibility(chat), PromptedCheck(chat))
    assert run.cost_usd == Decimal("0.52")


async def test_a_check_that_does_not_fit_what_is_left_is_not_asked() -> None:
    chat = PricedChat('{"passed": false}')
    limits = Limits(cost_usd="0.5001")
    run, events = await checked(
        [Says("ann", "1", price="0.5")], PromptedFeasibility(chat), PromptedCheck(chat), limits=limits
    )
    assert (run.answer, chat.requests) == ("1", [])
    assert [said.startswith("not asked: check '") for _, _, _, said in found(events)] == [True, True]


async def test_a_check_leaves_less_to_those_who_stand_in() -> None:
    chat = PricedChat('{"passed": false, "reason": "no"}')
    limits = Limits(cost_usd="1.005", replans=1)
    run, _ = await checked(
        [Says("ann", "1", price="0.5"), Says("bob", "2", price="0.5")], PromptedCheck(chat), limits=limits
    )
    assert [call.status.value for call in run.calls] == ["ok", "refused"]


async def test_a_check_without_a_price_is_not_asked_under_a_limit_unless_it_may() -> None:
    chat = ScriptedChat(lambda request: '{"passed": true}')
    for allowed, asked in ((False, 0), (True, 1)):
        limits = Limits(cost_usd="1", allow_unknown_price=allowed)
        await checked([Says("ann", "1", price="0.5")], PromptedCheck(chat), limits=limits)
        assert len(chat.requests) == asked


async def test_a_replay_takes_what_the_checks_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    chat = ScriptedChat(
        [
            ChatResponse(text=f'{{"passed": {word}, "reason": "r"}}', model="m", cost_usd=Decimal("0.001"))
            for word in ("false", "true", "false", "true", "true")
        ]
    )  # ann may not act; bob may and does not pass; cy may and does
    agents = [Says(name, text, price="0") for name, text in zip(RATES, "123", strict=True)]
    limits = Limits(fallbacks=1, replans=1)
    run, _ = await checked(agents, PromptedFeasibility(chat), PromptedCheck(chat), limits=limits, url=url)
    assert [(call.agent_id, call.status.value) for call in run.calls] == [
        ("ann", "refused"),
        ("bob", "ok"),
        ("cy", "ok"),
    ]
    with open_store(url, read_only=True) as store:
        again = await replay(store, run.id, router=rated())
        refined = next(event for event in store.events(run.id) if isinstance(event, AnswerRefined))
    assert again.differences == ()
    assert (again.run.answer, again.run.cost_usd) == ("3", Decimal("0.005"))
    assert [one.agent_id for one in refined.dropped] == ["bob"]


async def test_where_checks_found_something_else_a_replay_says_so() -> None:
    _, events = await checked([Says("ann", "bad"), Says("bob", "good")], no("bad"), limits=Limits(max_agents=2))
    changed = [
        event.model_copy(update={"reason": "x"}) if isinstance(event, AnswerChecked) and not event.passed else event
        for event in events
    ]
    assert [one.where for one in compare(events, changed, [])] == ["checks of 'ann' in wave 1"]


def test_what_is_no_check_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no check"):
        Mesh([Says("ann", "1")], checks=[len])  # type: ignore[list-item]


def test_the_two_kinds_of_check_are_what_one_subclasses() -> None:
    assert issubclass(PromptedCheck, AnswerCheck)
    assert issubclass(PromptedFeasibility, FeasibilityCheck)
