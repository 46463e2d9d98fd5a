"""Turns: so many calls at once and no more, first come first served, and a place that is lent comes back first."""

import asyncio

import pytest

from agentmesh.errors import ConfigError
from agentmesh.graphs.admission import Refusal
from agentmesh.graphs.turns import Entry, Gate, Turn, Turns
from agentmesh.records import AgentCard

CARD = AgentCard(id="a", description="d")
SINGLE = AgentCard(id="single", description="d", max_concurrency=1)


async def taken(turns: Turns, card: AgentCard = CARD) -> Turn:
    turn = await turns.take(card)
    assert isinstance(turn, Turn)
    return turn


async def settle_down() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("most", [0, -1])
def test_no_calls_at_once_are_refused_as_a_setting(most: int) -> None:
    with pytest.raises(ConfigError, match=f"max_concurrency is {most}; give 1 or more"):
        Turns(most)


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(2), list[int]()

    async def call(number: int) -> None:
        turn = await taken(turns)
        order.append(number)
        await asyncio.sleep(0)
        turn.end(None)

    await asyncio.gather(*(call(number) for number in range(7)))
    assert order == list(range(7))


@pytest.mark.parametrize("turns", [Turns(1), Turns()])
async def test_who_waits_too_long_is_refused_and_holds_nothing(turns: Turns) -> None:
    first = await taken(turns, SINGLE)
    refused = await turns.take(SINGLE, left_s=0)
    assert refused == Refusal("the run's time was up before it was the turn of agent 'single'")
    first.end(None)
    (await taken(turns, SINGLE)).end(None)


async def test_a_lent_place_is_taken_back_before_all_who_had_none() -> None:
    turns = Turns(1)
    outer = await taken(turns)
    outer.lend()
    inner = await taken(turns)
    order: list[str] = []

    async def wait_for_one() -> None:
        turn = await taken(turns)
        order.append("another")
        turn.end(None)

    async def back() -> None:
        await outer.take_back()
        order.append("back")

    async with asyncio.TaskGroup() as group:
        group.create_task(wait_for_one())
        await asyncio.sleep(0)
        group.create_task(back())
        group.create_task(back())  # two runs inside that end together take it back once
        await settle_down()
        assert order == []
        inner.end(None)
        await settle_down()
        assert order == ["back", "back"]
        outer.end(None)
    assert order[-1] == "another"


async def test_a_place_that_comes_back_after_the_call_is_over_is_given_on() -> None:
    turns = Turns(1)
    outer = await taken(turns)
    outer.lend()
    inner = await taken(turns)
    returning = asyncio.ensure_future(outer.take_back())
    await asyncio.sleep(0)
    outer.end(None)
    inner.end(None)
    await returning
    await outer.take_back()
    (await taken(turns)).end(None)


async def test_a_place_given_to_one_that_is_cancelled_in_that_moment_is_not_lost() -> None:
    gate = Gate(1)
    await gate.enter()
    given, waiting, cancelled = (asyncio.ensure_future(gate.enter()) for _ in range(3))
    await asyncio.sleep(0)
    cancelled.cancel()
    gate.leave()
    given.cancel()
    await asyncio.wait([given, waiting, cancelled], timeout=30)
    assert (given.cancelled(), waiting.done(), waiting.cancelled()) == (True, True, False)
    gate.leave()
    await gate.enter()


async def test_one_that_waits_for_an_agent_leaves_the_mesh_to_others() -> None:
    turns = Turns(2)
    busy = await taken(turns, SINGLE)
    waiting = asyncio.ensure_future(turns.take(SINGLE))
    await asyncio.sleep(0)
    other = await taken(turns)
    busy.end(None)
    assert isinstance(await waiting, Turn)
    other.end(None)


async def test_runs_are_let_in_in_order_and_one_whose_time_is_up_finds_out_by_itself() -> None:
    turns, entries = Turns(1), [Entry() for _ in range(3)]
    await turns.enter(entries[0])
    await turns.enter(entries[1], left_s=0)
    assert entries[1].gate is None
    waiting = asyncio.ensure_future(turns.enter(entries[2]))
    await settle_down()
    assert not waiting.done()
    for _ in range(2):
        entries[0].leave()
    await waiting
    assert entries[2].gate is not None
