"""What-if over a real store: stored tasks decided again, what that is worth, and when nothing is said."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmesh import Agent, Learning, Limits, Mesh, Objective, Router, Task, Team, open_store
from agentmesh.errors import ConfigError, PluginError, ReplayError, RoutingError
from agentmesh.events import Event, RunStarted
from agentmesh.learning.learner import learn_until
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.playback.logged import OTHER_EMBEDDER, UNDECIDED, UNFINISHED, observed_in, read_log
from agentmesh.playback.redecided import Flip
from agentmesh.playback.whatif import WhatIf, whatif
from agentmesh.preferences import Preference
from agentmesh.records import AgentCall, CallStatus, Experience, Feedback, RouterState
from agentmesh.routing.base import AgentPool, Estimate, RouteContext, ScoringRouter, TaskFeatures
from agentmesh.routing.neighbours import KernelRouter, KnnRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.agents import FailingAgent

RUNS = 240
WORDS = {"translator": "translate the word bread", "poet": "a poem on the moon"}


class Says(Agent):
    """Says its name."""

    def __init__(self, agent_id: str, description: str, price: str) -> None:
        self.id, self.description, self.price_per_call_usd = agent_id, description, price

    async def run(self, task: Task) -> str:
        return self.id


def team() -> list[Agent]:
    return [
        Says("translator", "Translates words.", "0.002"),
        Says("poet", "Writes poems.", "0.004"),
        Says("apprentice", "Tries everything.", "0.0001"),
    ]


def worth(text: str, agent_id: str) -> float:
    """Return what an agent's answer is worth: 1 on its own ground, else 0.25 for who is not the apprentice."""
    if text.startswith(WORDS.get(agent_id, "nothing")):
        return 1.0
    return 0.25 if agent_id != "apprentice" else 0.1


async def record(store: MemoryStore, count: int = RUNS, **options: Any) -> None:
    """Run and score tasks of two kinds with agents drawn at random."""
    given = {"router": "random", "seed": 3, "learning": Learning(mode="off"), **options}
    async with Mesh(team(), store=store, **given) as mesh:
        for number in range(count):
            text = f"{list(WORDS.values())[number % 2]}, number {number}"
            run = await mesh.run(text, run_id=f"r{number:04d}")
            await mesh.feedback(run.id, worth(text, run.answered_by[0]))


@pytest.fixture(scope="module")
def traffic() -> MemoryStore:
    """Return a store with a day of traffic; no test writes to it."""
    store = MemoryStore()
    asyncio.run(record(store))
    return store


@pytest.mark.parametrize(
    ("router", "quality", "cost"),
    [("cheapest", 0.1, 0.0001), ("kernel", 1.0, 0.003), ("random", 0.45, 0.0061 / 3)],
)
async def test_the_worth_of_another_router_is_estimated_from_what_was_drawn_at_random(
    traffic: MemoryStore, router: str, quality: float, cost: float
) -> None:
    found = await whatif(traffic, router)
    assert (found.tasks, found.judged, found.in_sample, found.mode) == (RUNS, RUNS, False, "cross_fitted")
    for name, right in (("quality", quality), ("cost_usd", cost)):
        for estimate in found.measure(name).estimates:
            low, high = estimate.interval
            assert low - 1e-9 <= right <= high + 1e-9, (name, estimate)
    assert sum(share.other for share in found.agents) == pytest.approx(RUNS)
    assert sum(share.done for share in found.agents) == RUNS


async def test_a_router_that_draws_counts_with_all_its_chances_and_does_not_flip(traffic: MemoryStore) -> None:
    found = await whatif(traffic, "random")
    assert found.agreement == pytest.approx(1 / 3)
    assert found.flips == ()
    assert {share.agent_id: share.other for share in found.agents}["poet"] == pytest.approx(RUNS / 3)


async def test_flips_say_why(traffic: MemoryStore) -> None:
    found = await whatif(traffic, "kernel", limit=40)
    assert found.tasks == 40
    flip = next(one for one in found.flips if one.before == "apprentice")
    assert flip.after in WORDS
    assert flip.margin is not None
    assert flip.margin > 0
    assert flip.reason.startswith(f"score {flip.score_after:.3f} against {flip.score_before:.3f}, ")
    assert "evidence" in flip.factors


async def test_regret_is_against_the_one_agent_that_would_have_been_best(traffic: MemoryStore) -> None:
    kernel, cheapest = await whatif(traffic, "kernel"), await whatif(traffic, "cheapest")
    assert kernel.regret is not None
    assert cheapest.regret is not None
    assert kernel.regret.against in WORDS
    assert kernel.regret.estimates[-1].value == pytest.approx(-0.375, abs=0.12)
    assert cheapest.regret.estimates[-1].value == pytest.approx(0.525, abs=0.12)


@pytest.mark.parametrize("scenario", ["cheap", Objective(quality=0.0, cost=1.0)])
async def test_a_scenario_decides_and_weighs(traffic: MemoryStore, scenario: str | Objective) -> None:
    found = await whatif(traffic, "kernel", scenario=scenario)
    assert found.scenario == (scenario if isinstance(scenario, str) else "given")
    assert found.agents[0].agent_id == "apprentice"
    assert found.expected_cost_usd == pytest.approx(0.0001)


async def test_a_stored_version_is_judged_on_later_runs_only() -> None:
    store = MemoryStore()
    await record(store, 200, router="kernel", explore=1.0, learning=Learning(mode="loop"))
    later = await whatif(store, "kernel@20")
    assert (later.mode, later.in_sample, later.tasks, later.judged) == ("frozen", False, 200, 180)
    assert later.version.endswith("@20")
    assert "up to experience 20" in later.why
    assert later.measure("quality").estimates
    now = await whatif(store, "kernel@200")
    assert (now.in_sample, now.judged, now.measures, now.regret) == (True, 0, (), None)
    assert now.flips
    with pytest.raises(ConfigError, match="not there yet"):
        await whatif(store, "kernel@201")
    with pytest.raises(ConfigError, match="nothing was measured as 'quality'"):
        now.measure("quality")
    embedder = read_log(store).embedder
    own = KernelRouter()
    learn_until(store, own, EmbedderOf(embedder), until=20)
    assert (await whatif(store, own)).judged == 180
    parameters = later.version.partition("@")[0]
    assert (await whatif(store, "kernel", parameters=parameters)).version == parameters
    with pytest.raises(ConfigError, match="with parameters 'nix' is stored"):
        await whatif(store, "kernel", parameters="nix")


async def test_a_router_of_ones_own_is_cross_fitted_unless_it_was_fitted_beforehand(traffic: MemoryStore) -> None:
    fresh = await whatif(traffic, KnnRouter(k=5), limit=60)
    assert (fresh.mode, fresh.router) == ("cross_fitted", "knn")
    fitted, other = KernelRouter(), MemoryStore()
    fitted._base = "somewhere"
    found = await whatif(traffic, fitted, limit=60)
    assert found.in_sample
    assert "fitted beforehand" in found.why
    await record(other, 2)
    learn_until(traffic, ahead := KernelRouter(), EmbedderOf(read_log(other).embedder))
    with pytest.raises(ConfigError, match="holds fewer"):
        await whatif(other, ahead)


class PlainRouter(Router):
    """A router of somebody's own that rates nobody: it takes the first agent, or breaks."""

    name = "plain"

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks = breaks

    async def route(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> Any:
        if self.breaks:
            raise ValueError("no idea")
        return CosineRouter().decide(features, pool, context)

    def learn(self, experience: Experience) -> None:
        pass

    def snapshot(self) -> RouterState:
        return RouterState(router=self.name, parameters="p", sequence=0, at=0, payload=b"")

    def restore(self, state: RouterState) -> None:
        pass

    @property
    def parameters(self) -> dict[str, Any]:
        return {"breaks": self.breaks}

    @property
    def sequence(self) -> int:
        return 0


async def test_any_router_will_do_and_one_that_breaks_is_named(traffic: MemoryStore) -> None:
    assert (await whatif(traffic, PlainRouter(), limit=20)).tasks == 20
    with pytest.raises(RoutingError, match="'plain' cannot decide run 'r0220' again: ValueError: no idea"):
        await whatif(traffic, PlainRouter(breaks=True), limit=20)


class NeedsMore(CosineRouter):
    """A router whose parameters do not build it."""

    name = "needs_more"

    def __init__(self, more: int) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"router": "nowhere"}, PluginError, "nowhere"),
        ({"router": "kernel@now"}, ConfigError, "'kernel@now' is no version"),
        ({"router": "kernel@3"}, ConfigError, "no router 'kernel' that learned with"),
        ({"router": NeedsMore(1)}, ConfigError, "cannot be built again"),
        ({"scenario": "dear"}, ConfigError, "no scenario 'dear'"),
        ({"clip": 0.0}, ConfigError, "clip is 0.0"),
        ({"since": 1e12}, ConfigError, "no run of that time"),
        ({"until": 0.0}, ConfigError, "no run of that time"),
    ],
)
async def test_what_cannot_be_asked_is_said(
    traffic: MemoryStore, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await whatif(traffic, **{"router": "cheapest", **options})


async def test_without_exploration_agreement_and_flips_are_told_and_no_estimate() -> None:
    store = MemoryStore()
    await record(store, 60, router="cosine", explore=0.0)
    found = await whatif(store, "cheapest")
    assert found.flips
    assert found.measure("quality").estimates == ()
    assert "never asked" in found.measure("quality").refusal
    assert found.regret is not None
    assert found.regret.refusal
    same = await whatif(store, "cosine")
    assert (same.agreement, same.flips) == (1.0, ())
    assert same.measure("quality").best is not None
    assert same.measure("quality").estimates[0].method == "replay"


async def test_where_all_were_asked_and_scored_the_outcome_of_every_pick_is_known() -> None:
    store = MemoryStore()
    async with Mesh(team(), router="cosine", store=store, explore=0.0, learning=Learning(mode="off")) as mesh:
        for number in range(60):
            text = f"{list(WORDS.values())[number % 2]}, number {number}"
            run = await mesh.run(text, limits=Limits(max_agents=3))
            for call in run.calls:
                await mesh.feedback(run.id, worth(text, call.agent_id), agent=call.agent_id)
    found = (await whatif(store, "cheapest")).measure("quality").best
    assert found is not None
    assert (found.method, found.known, found.value) == ("replay", 60, pytest.approx(0.1))


async def _few(store: MemoryStore, text: str = "q", run_id: str = "r", **options: Any) -> Sequence[Event]:
    given = {"router": "random", "learning": Learning(mode="off"), **options}
    limits = given.pop("limits", None)
    agents = given.pop("agents", None) or team()
    async with Mesh(agents, store=store, **given) as mesh:
        await mesh.run(text, run_id=run_id, limits=limits)
    return store.events(run_id)


async def test_of_several_agents_only_those_that_were_scored_themselves_are_known() -> None:
    store = MemoryStore()
    events = await _few(store, limits=Limits(max_agents=2))
    decision = store.run("r").decision
    assert decision is not None
    first, second = (choice.agent_id for choice in decision.selected)
    store.add_feedback(Feedback(run_id="r", score=1.0, at=0))
    store.add_feedback(Feedback(run_id="r", score=0.0, agent_id=first, source="judge:j", at=0))
    store.add_feedback(Feedback(run_id="r", score=0.5, agent_id=first, source="verifier:v", at=0))
    seen = observed_in(decision, store.events("r"), in_waves=False)
    assert seen[first].quality == 0.5  # the better source stands
    assert np.isnan(seen[second].quality)
    assert seen[second].cost > 0
    assert seen[first].chance == pytest.approx(2 / 3)
    in_waves = observed_in(decision, events, in_waves=True)
    assert np.isnan(in_waves[first].chance)


async def test_an_agent_that_gave_no_answer_is_worth_nothing_and_one_that_was_refused_is_not_known() -> None:
    store = MemoryStore()
    events = await _few(store, agents=[FailingAgent("broken")])
    decision = store.run("r").decision
    assert decision is not None
    assert observed_in(decision, events, in_waves=False)["broken"].quality == 0.0
    refused = [
        event.model_copy(update={"call": AgentCall(agent_id="broken", status=CallStatus.REFUSED)})
        if event.kind == "call_finished"
        else event
        for event in events
    ]
    assert observed_in(decision, refused, in_waves=False) == {}


async def test_a_team_asks_in_waves_whose_chances_are_known_where_nothing_is_drawn() -> None:
    store = MemoryStore()
    await _few(store, router="cosine", explore=0.0, team=Team(most=2))
    [run] = read_log(store).runs
    [seen] = run.observed.values()
    assert seen.chance == 1.0


async def test_runs_that_cannot_be_decided_again_are_counted() -> None:
    store = MemoryStore()
    await _few(store)
    events = store.events("r")
    for name, kept in (("cut", events[:1]), ("going", events[:3])):
        store.append([event.model_copy(update={"run_id": name}) for event in kept])
    strange = [
        event.model_copy(update={"embedder": "other-1"}) if isinstance(event, RunStarted) else event for event in events
    ]
    store.append([event.model_copy(update={"run_id": "elsewhere", "at": 0.0}) for event in strange])
    pinned = Preference(action="pin", agents=("nobody",))
    await _few(store, run_id="pinned", preferences=[pinned])
    log = read_log(store)
    assert [run.run_id for run in log.runs] == ["r"]
    assert log.left_out == {UNDECIDED: 1, UNFINISHED: 1, OTHER_EMBEDDER: 1, "rules or gates left nobody": 1}


class Shy(ScoringRouter):
    """Rates all agents under its threshold, so that it chooses nobody."""

    name = "shy"

    def __init__(self) -> None:
        super().__init__(policy="threshold:0.9")
        self._parameters = {}

    def estimate(self, features: TaskFeatures, pool: AgentPool) -> Estimate:
        unknown = np.full(len(pool), np.nan)
        return Estimate(np.zeros(len(pool)), cost=unknown, latency=unknown)


@pytest.mark.parametrize(("fallback", "after"), [(None, None), ("poet", "poet")])
async def test_a_router_that_chooses_nobody_leaves_it_to_the_fallback_agent_if_there_was_one(
    fallback: str | None, after: str | None
) -> None:
    store = MemoryStore()
    await _few(store, fallback=fallback, router="cheapest", explore=0.0)
    found = await whatif(store, Shy())
    [flip] = found.flips
    assert (flip.before, flip.after) == ("apprentice", after)
    assert (flip.reason == "it would have asked nobody") == (after is None)
    await _few(store, run_id="s", router=Shy(), explore=0.0)
    both = await whatif(store, Shy(), limit=1)
    assert (both.agreement, both.flips) == (1.0, ())


async def test_a_trained_router_is_fitted_without_the_block_it_decides(tmp_path: Path, traffic: MemoryStore) -> None:
    class Fits(KernelRouter):
        name = "fits"
        trains = True

    found = await whatif(traffic, Fits(), limit=50)
    assert (found.mode, found.judged) == ("cross_fitted", 50)


def test_what_if_is_the_same_on_a_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"

    async def both() -> tuple[WhatIf, WhatIf]:
        memory = MemoryStore()
        await record(memory, 12)
        with open_store(url) as file:
            for summary in memory.runs(limit=100):
                file.append(memory.events(summary.id))
            file.put_registry(memory.registry(read_log(memory).runs[0].decision.registry_version))
            return await whatif(memory, "cosine"), await whatif(file, "cosine")

    one, other = asyncio.run(both())
    assert one == other


def test_a_flip_says_what_is_known_of_it() -> None:
    bare = Flip(run_id="r", before=None, after="a", chance=1.0, score_after=0.5)
    assert (bare.reason, bare.margin) == ("score 0.500 against none", None)
    drawn = bare.model_copy(update={"score_before": 0.25, "explored": True, "factors": {"evidence": (1.0, 12.0)}})
    assert drawn.reason == "score 0.500 against 0.250, evidence 12 against 1, what was done was drawn to explore"
    assert drawn.margin == 0.25


async def test_a_decision_that_does_not_fit_its_agents_is_refused() -> None:
    store, bad = MemoryStore(), MemoryStore()
    events = await _few(store)
    decision = store.run("r").decision
    assert decision is not None
    cut = decision.model_copy(update={"probabilities": decision.probabilities[:8]})
    bad.append(
        [event.model_copy(update={"decision": cut}) if event.kind == "decision_made" else event for event in events]
    )
    bad.put_registry(store.registry(decision.registry_version))
    with pytest.raises(ReplayError, match="does not fit the agents"):
        read_log(bad)
