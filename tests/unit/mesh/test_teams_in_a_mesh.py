"""A mesh whose agents are asked in waves."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from agentmesh import Agent, Answer, Learning, Limits, Mesh, Run, RunStatus, Task, open_store, replay
from agentmesh.errors import ConfigError, ReplayError
from agentmesh.events import CallStarted, RunStarted, WaveStarted
from agentmesh.graphs.team import Team
from agentmesh.routing.base import AgentPool, Estimate, TaskFeatures
from agentmesh.routing.prices import expected_cost
from agentmesh.routing.team.fitting import TeamFit
from agentmesh.routing.team.table import TeamTable
from agentmesh.store import TraceStore
from agentmesh.testing.agents import FailingAgent
from agentmesh.testing.asking import RatedRouter

RATES = {"ann": 0.8, "bob": 0.8, "chief": 0.9}


class Priced(RatedRouter):
    """Expects these qualities, and the prices on the cards."""

    name = "priced"

    def __init__(self) -> None:
        super().__init__(quality=RATES)
        self._parameters = {}

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        return replace(super().estimate(features, pool), cost=expected_cost(features, pool))


class Says(Agent):
    """Says what it was told to, for a price."""

    def __init__(self, name: str, text: str, price: str) -> None:
        self.id, self.description, self.price_per_call_usd = name, f"Says {text}.", price
        self._text = text

    async def run(self, task: Task) -> Answer:
        return Answer(text=self._text)


def agents(ann: str, bob: str, chief: str) -> list[Agent]:
    return [Says("ann", ann, "0.001"), Says("bob", bob, "0.002"), Says("chief", chief, "0.1")]


def waves(store: TraceStore, run: Run) -> list[tuple[str, ...]]:
    return [event.agents for event in store.events(run.id) if isinstance(event, WaveStarted)]


async def asked(team: Team, who: list[Agent], *, limits: Limits | None = None) -> tuple[Run, list[WaveStarted]]:
    async with Mesh(who, router=Priced(), team=team, explore=0) as mesh:
        run = await mesh.run("q", limits=limits)
        return run, [event for event in mesh.store.events(run.id) if isinstance(event, WaveStarted)]


async def test_the_dear_agent_is_spared_where_the_cheap_ones_agree() -> None:
    run, events = await asked(Team(first=2), agents("84", "84.", "85"))
    assert [event.agents for event in events] == [("ann", "bob"), ()]
    assert (run.answer, run.answered_by, run.cost_usd) == ("84", ("ann", "bob"), Decimal("0.003"))
    assert events[-1].reason.startswith("the agreement of 0.9")


async def test_the_dear_agent_is_asked_where_the_cheap_ones_differ() -> None:
    run, events = await asked(Team(first=2), agents("84", "85", "85"))
    assert [event.agents for event in events] == [("ann", "bob"), ("chief",), ()]
    assert (run.answer, run.answered_by) == ("85", ("bob", "chief"))
    assert [(call.agent_id, call.wave) for call in run.calls] == [("ann", 1), ("bob", 1), ("chief", 2)]
    assert events[1].reason.endswith("is under 0.900")


async def test_a_call_says_in_which_wave_it_started() -> None:
    async with Mesh(agents("1", "2", "2"), router=Priced(), team=Team(), explore=0) as mesh:
        run = await mesh.run("q")
        started = [event for event in mesh.store.events(run.id) if isinstance(event, CallStarted)]
    assert [(event.agent_id, event.wave) for event in started] == [("ann", 1), ("bob", 2), ("chief", 3)]


async def test_when_all_were_asked_the_end_is_told() -> None:
    _, events = await asked(Team(stop=1.0), agents("1", "2", "3"))
    assert events[-1].reason.startswith("all were asked; the agreement is ")


async def test_a_run_that_allows_fewer_agents_asks_no_more() -> None:
    run, _ = await asked(Team(stop=1.0), agents("1", "2", "3"), limits=Limits(max_agents=2))
    assert len(run.calls) == 2


async def test_a_team_asks_no_more_agents_than_it_may() -> None:
    run, _ = await asked(Team(most=1, stop=1.0), agents("1", "2", "3"))
    assert len(run.calls) == 1


async def test_an_agent_that_fails_is_made_up_for_by_the_next() -> None:
    broken = FailingAgent("ann")
    run, events = await asked(Team(), [broken, *agents("1", "2", "2")[1:]])
    assert run.status is RunStatus.COMPLETED
    assert run.answer == "2"
    assert len(events) > 2


async def test_an_agent_beyond_the_budget_is_refused_in_its_wave_and_the_answers_so_far_stand() -> None:
    run, _ = await asked(Team(first=2), agents("1", "2", "2"), limits=Limits(cost_usd="0.05"))
    assert [(call.agent_id, call.wave, call.status.value) for call in run.calls][-1] == ("chief", 2, "refused")
    assert run.answer == "1"
    assert run.status is RunStatus.COMPLETED


async def test_numbers_are_compared_as_numbers_where_the_team_says_so() -> None:
    run, events = await asked(Team(first=2, equivalence="number"), agents("It is 84.0", "84", "0"))
    assert [event.agents for event in events] == [("ann", "bob"), ()]
    assert run.conflicts == ()


@pytest.mark.parametrize(
    ("team", "said"),
    [
        (Team(first=2, equivalence="auto"), ("so\nThe answer is (C).", "C", "D")),
        (Team(first=2, equivalence="embedding", likeness=0.8), ("the old red fort", "The red old fort!", "a blue sea")),
        (Team(first=2, equivalence="behaviour", behaviour=lambda task, text: len(text)), ("one", "two", "three")),
    ],
    ids=lambda value: value.equivalence if isinstance(value, Team) else "",
)
async def test_what_is_equal_is_in_the_trace_and_replayed_from_the_database_alone(
    team: Team, said: tuple[str, str, str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    learning = Learning(mode="loop")
    async with Mesh(agents(*said), router=Priced(), store=url, team=team, explore=0, learning=learning) as mesh:
        run = await mesh.run("q")
    with open_store(url) as store:
        events = [event for event in store.events(run.id) if isinstance(event, WaveStarted)]
        assert [event.groups for event in events] == [(), (("ann", "bob"),)]
        assert (await replay(store, run.id, router=Priced())).differences == ()
    assert (run.answer, run.answered_by, run.conflicts) == (said[0], ("ann", "bob"), ())


async def test_an_answer_that_cannot_be_tried_is_told_in_the_trace_and_loses_nothing(tmp_path: Path) -> None:
    def letters(task: Task, text: str) -> int:
        return 1 / int(text.isalpha())  # type: ignore[return-value]  # no key, and that is the point

    team, url = Team(first=2, equivalence="behaviour", behaviour=letters), f"sqlite:///{tmp_path / 'mesh.db'}"
    learning = Learning(mode="loop")
    who = agents("one", "2", "two")
    async with Mesh(who, router=Priced(), store=url, team=team, explore=0, learning=learning) as mesh:
        run = await mesh.run("q")
    with open_store(url) as store:
        last = [event for event in store.events(run.id) if isinstance(event, WaveStarted)][-1]
        assert last.groups == (("ann", "chief"), ("bob",))
        assert last.note == "bob is compared as a text: ZeroDivisionError: division by zero"
        assert (await replay(store, run.id, router=Priced())).identical
    assert run.answered_by == ("ann", "chief")


async def test_a_mesh_whose_team_is_not_told_what_answers_do_does_not_open() -> None:
    with pytest.raises(ConfigError, match="the team's behaviour is None"):
        async with Mesh(agents("1", "2", "3"), team=Team(equivalence="behaviour")):
            raise AssertionError("it opened")


async def test_without_a_team_all_are_asked_at_once_and_no_wave_is_told() -> None:
    async with Mesh(agents("1", "1", "1"), router=Priced(), explore=0) as mesh:
        run = await mesh.run("q", limits=Limits(max_agents=3))
        assert waves(mesh.store, run) == []
    assert [call.wave for call in run.calls] == [1, 1, 1]


async def test_a_replay_repeats_the_waves_from_the_recording(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    team = Team(first=2, equivalence="choice", plan=None)
    async with Mesh(agents("(A)", "B", "The answer is (B)"), router="kernel", store=url, team=team) as mesh:
        runs = [await mesh.run(f"q{number}") for number in range(3)]
    with open_store(url) as store:
        assert all(len(waves(store, run)) >= 2 for run in runs)
        for run in runs:
            assert (await replay(store, run.id)).differences == ()


async def test_a_run_of_a_team_that_the_store_does_not_hold_is_not_replayed() -> None:
    store = open_store(None)
    async with Mesh(agents("1", "1", "1"), router="kernel", store=store, team=Team()) as mesh:
        run = await mesh.run("q")
        started = next(event for event in store.events(run.id) if isinstance(event, RunStarted))
        lost = started.model_copy(update={"team": "ffffffffffff", "run_id": "lost"})
        store.append([lost, *(event.model_copy(update={"run_id": "lost"}) for event in store.events(run.id)[1:])])
        with pytest.raises(ReplayError, match="does not hold the team 'ffffffffffff'"):
            await replay(store, "lost")


def learned() -> Team:
    """Return a team that learned that the cheap agents are right where they agree."""
    rng = np.random.default_rng(0)
    right = rng.random((400, 3)) < np.array([0.75, 0.75, 0.95])
    keys = np.where(right, 0, rng.integers(1, 5, (400, 3)))
    cost = np.tile([0.001, 0.002, 0.1], (400, 1))
    table = TeamTable(
        ("ann", "bob", "chief"), right.astype(float), cost, np.tile([0.75, 0.75, 0.95], (400, 1)), cost, keys
    )
    return Team(plan=TeamFit(table).plan(1.0))


async def test_a_plan_says_whom_to_ask_and_when_it_is_enough() -> None:
    _, events = await asked(learned(), agents("84", "84", "84"))
    assert [event.agents for event in events] == [("ann",), ("bob",), ()]
    assert events[-1].reason.startswith("asking another is worth -")
    differing, _ = await asked(learned(), agents("84", "85", "85"))
    assert [call.agent_id for call in differing.calls] == ["ann", "bob", "chief"]
    assert differing.answer == "85"


async def test_a_plan_keeps_to_the_agents_that_were_chosen(tmp_path: Path) -> None:
    run, events = await asked(learned(), agents("84", "85", "85"), limits=Limits(max_agents=1))
    assert [call.agent_id for call in run.calls] == ["chief"]
    assert events[-1].reason.startswith("all were asked; ")


async def test_where_no_agent_of_the_plan_was_chosen_the_team_does_without_it() -> None:
    others = [Says("dan", "1", "0.001"), Says("eve", "1", "0.001")]
    run, events = await asked(learned(), others)
    assert [event.agents for event in events][-1] == ()
    assert events[0].reason == "the best for their price begin"
    assert run.answer == "1"


async def test_a_replay_repeats_the_waves_of_a_plan(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with Mesh(agents("84", "85", "85"), router="kernel", store=url, team=learned()) as mesh:
        run = await mesh.run("q")
    with open_store(url) as store:
        assert len(waves(store, run)) >= 3
        assert (await replay(store, run.id)).differences == ()
