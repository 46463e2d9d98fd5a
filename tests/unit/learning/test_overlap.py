"""Which agents will be taken for one another, and who is never picked."""

import pytest

from agentmesh import Mesh, Task
from agentmesh.agents.resemblance import corrected, expected_confusion
from agentmesh.decisions import Candidate, RouteDecision, Selection
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.learning.overlap import neighbour_of, overlap_of
from agentmesh.learning.picks import Chances, Picks, picks_of
from agentmesh.packing import pack_floats
from agentmesh.records import AgentCard
from agentmesh.store.memory import MemoryStore
from agentmesh.testing import CannedAgent
from agentmesh.testing.traces import whole

EMBEDDER = HashingEmbedder()
ADDER = AgentCard(id="adder", description="Adds whole numbers.")
SUMMER = AgentCard(id="summer", description="Adds numbers up.")
POET = AgentCard(id="poet", description="Writes verse on the seasons.")


class Unmeasured(HashingEmbedder):
    """The same vectors under a name that nothing was measured with."""

    version = "house-1"


def decision(chosen: str, **scores: float | None) -> RouteDecision:
    candidates = tuple(
        Candidate(agent_id=agent_id, score=score, probability=0.5, inclusion=0.5) for agent_id, score in scores.items()
    )
    return RouteDecision(
        router="cosine",
        router_version="v",
        registry_version="r",
        seed=0,
        selected=(Selection(agent_id=chosen, weight=1.0),),
        candidates=candidates,
        scores=pack_floats([0.0]),
        probabilities=pack_floats([0.0]),
    )


def test_the_pair_with_the_most_alike_cards_comes_first() -> None:
    found = overlap_of([POET, SUMMER, ADDER], EMBEDDER)
    assert found.agents == 3
    assert found.pairs[0].agents == ("adder", "summer")
    assert len(found.pairs) == 3
    assert [(one.agent_id, one.nearest) for one in found.neighbours if one.agent_id != "poet"] == [
        ("adder", "summer"),
        ("summer", "adder"),
    ]


def test_confusion_is_what_the_measured_rule_foretells_and_less_with_examples_on_both_cards() -> None:
    pair = overlap_of([ADDER, SUMMER], EMBEDDER).pairs[0]
    assert pair.expected_confusion == pytest.approx(expected_confusion(pair.cosine, 1.95))
    shown = [card.model_copy(update={"examples": ("add 2 and 2",)}) for card in (ADDER, SUMMER)]
    pair = overlap_of(shown, EMBEDDER).pairs[0]
    rule = expected_confusion(pair.cosine, 2.65)
    assert pair.expected_confusion == pytest.approx(corrected(rule, strayed=pair.strayed, examples=2))


def test_an_example_that_strays_raises_what_is_expected_and_one_that_does_not_lowers_it() -> None:
    rule = expected_confusion(0.5, 2.65)
    assert corrected(rule, strayed=1, examples=1) > rule > corrected(rule, strayed=0, examples=1)
    assert corrected(rule, strayed=0, examples=0) == rule


def test_a_pair_whose_examples_stray_comes_before_a_pair_with_cards_more_alike() -> None:
    cards = [
        AgentCard(id="adder", description="Adds numbers.", examples=("a verse", "an ode", "a rhyme", "a sonnet")),
        AgentCard(id="poet", description="A verse, an ode, a rhyme, a sonnet.", examples=("write a verse",)),
        AgentCard(id="summer", description="Adds up the numbers of a bill.", examples=("add up the bill",)),
        AgentCard(id="cashier", description="Adds up the items of a bill.", examples=("the items of a bill",)),
    ]
    pairs = {pair.agents: pair for pair in overlap_of(cards, EMBEDDER).pairs}
    astray, alike = pairs["adder", "poet"], pairs["cashier", "summer"]
    assert astray.strayed >= 4
    assert alike.strayed == 0
    assert astray.cosine < alike.cosine
    assert list(pairs).index(astray.agents) < list(pairs).index(alike.agents)


def test_with_an_embedder_that_was_not_measured_pairs_are_ranked_and_nothing_is_foretold() -> None:
    found = overlap_of([POET, SUMMER, ADDER], Unmeasured())
    assert found.pairs[0].agents == ("adder", "summer")
    assert {pair.expected_confusion for pair in found.pairs} == {None}
    assert {one.expected_confusion for one in found.neighbours} == {None}
    near = neighbour_of(ADDER, [SUMMER], Unmeasured())
    assert near is not None
    assert near.expected_confusion is None


def test_a_team_of_one_and_an_empty_team_have_nothing_to_confuse() -> None:
    for team in ([], [ADDER]):
        found = overlap_of(team, EMBEDDER)
        assert (found.pairs, found.neighbours, found.unpicked) == ((), (), ())
    assert neighbour_of(ADDER, [ADDER], EMBEDDER) is None


def test_a_neighbour_is_the_same_alone_and_in_the_team() -> None:
    team = [ADDER, SUMMER, POET]
    assert neighbour_of(ADDER, team, EMBEDDER) == overlap_of(team, EMBEDDER).neighbours[0]


def test_pairs_that_came_first_and_second_are_told_with_their_margin_the_closest_first() -> None:
    picks = Picks()
    for margin in (0.1, 0.3):
        picks.add(decision("poet", poet=1.0, adder=1.0 - margin, summer=0.0), ["adder", "poet", "summer"])
    picks.add(decision("poet", poet=1.0, summer=0.99, adder=None), ["adder", "poet", "summer"])
    found = overlap_of([ADDER, SUMMER, POET], EMBEDDER, picks=picks, most=1)
    assert [(pair.agents, pair.close_calls) for pair in found.pairs] == [
        (("adder", "summer"), 0),
        (("poet", "summer"), 1),
    ]
    wide = overlap_of([ADDER, SUMMER, POET], EMBEDDER, picks=picks, most=3)
    by_agents = {pair.agents: pair for pair in wide.pairs}
    assert len(by_agents) == len(wide.pairs) == 3
    assert by_agents["adder", "poet"].margin == pytest.approx(0.2)


def test_an_agent_that_is_never_picked_is_told_with_its_share_by_chance() -> None:
    picks = Picks()
    for _ in range(4):
        picks.add(decision("adder", adder=1.0, summer=0.5), ["adder", "summer"])
    found = overlap_of([ADDER, SUMMER, POET], EMBEDDER, picks=picks)
    assert found.decisions == 4
    assert [(one.agent_id, one.eligible, one.expected, one.chance) for one in found.unpicked] == [
        ("summer", 4, 2.0, pytest.approx(1 / 16)),
        ("poet", 0, 0.0, 1.0),
    ]


def test_who_must_be_picked_cannot_be_left_out_by_chance() -> None:
    chances = Chances()
    chances.add(picks=2, among=2, picked=False)
    assert chances.never == 0.0


async def test_the_newest_decisions_of_a_database_are_read_without_agents_that_a_gate_refused() -> None:
    store = MemoryStore()
    agents = [CannedAgent(["84"], "ada", skills=["math"]), CannedAgent(["ode"], "poet")]
    async with Mesh(agents, store=store, router="cosine", explore=0, embedder="hashing") as mesh:
        for number in range(3):
            await mesh.run(Task(text=f"task {number}", required_skills=frozenset({"math"})))
        await mesh.run("anything")
    store.append(whole("undecided", at=-1.0))
    picks = picks_of(store)
    assert picks.decisions == 4
    assert (picks.agents["ada"].eligible, picks.agents["poet"].eligible) == (4, 1)
    assert sum(chances.picked for chances in picks.agents.values()) == 4
    assert list(picks.margins) == [("ada", "poet")]
    assert picks_of(store, newest=1).decisions == 1
