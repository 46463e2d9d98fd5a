"""The weighted vote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentmesh.agents import Refined, VoteRefiner, WeightedAnswer
from agentmesh.agents.refiner import conflicts_between, group_answers, text_key
from agentmesh.records import Dropped, Task

TASK = Task(text="What is 12 * 7?")


def answers(*given_answers: tuple[str, str, float]) -> list[WeightedAnswer]:
    return [WeightedAnswer(agent_id=agent, text=text, weight=weight) for agent, text, weight in given_answers]


async def refine(*given_answers: tuple[str, str, float]) -> Refined:
    return await VoteRefiner().refine(TASK, answers(*given_answers))


async def test_nothing_is_declined() -> None:
    refined = await refine()
    assert refined.answer is None
    assert refined.answered_by == ()
    assert refined.note == "no agent gave an answer"


async def test_a_single_answer_is_the_answer() -> None:
    assert await refine(("a", "84", 0.0)) == Refined(answer="84", answered_by=("a",))


async def test_the_heaviest_answer_wins() -> None:
    refined = await refine(("a", "84", 0.6), ("b", "85", 0.4))
    assert (refined.answer, refined.answered_by) == ("84", ("a",))


async def test_equal_answers_add_up() -> None:
    refined = await refine(("a", "85", 0.4), ("c", "84.", 0.3), ("b", " 84 ", 0.3))
    assert refined.answered_by == ("b", "c")
    assert refined.answer == " 84 "


async def test_a_tie_goes_to_the_smallest_agent_id() -> None:
    refined = await refine(("b", "84", 0.5), ("a", "85", 0.5))
    assert refined.answer == "85"
    assert "tie" in refined.conflicts[0].explanation
    assert "'a'" in refined.conflicts[0].explanation


async def test_a_tie_made_of_fractions_is_still_a_tie() -> None:
    refined = await refine(("b", "84", 0.1), ("c", "84", 0.2), ("d", "84", 0.3), ("a", "85", 0.6))
    assert refined.answer == "85"


async def test_every_other_answer_is_in_the_conflict_heaviest_first() -> None:
    refined = await refine(("a", "84", 0.5), ("b", "85", 0.2), ("c", "86", 0.3))
    (conflict,) = refined.conflicts
    assert [(position.text, position.agents) for position in conflict.positions] == [
        ("84", ("a",)),
        ("86", ("c",)),
        ("85", ("b",)),
    ]
    assert conflict.explanation == "kept the heaviest of 3 answers: 0.5 of 1, the next has 0.3"


async def test_agreement_is_no_conflict() -> None:
    assert (await refine(("a", "Paris", 0.5), ("b", "paris.", 0.5))).conflicts == ()


async def test_blank_answers_have_no_vote() -> None:
    refined = await refine(("a", "  \n", 0.9), ("b", "84", 0.1))
    assert refined == Refined(
        answer="84", answered_by=("b",), dropped=(Dropped(agent_id="a", text="  \n", why="blank"),)
    )
    assert (await refine(("a", "", 1.0))).answer is None


@pytest.mark.parametrize(
    ("votes", "dropped"),
    [
        (
            [("a", "84", 0.5), ("c", "86", 0.1), ("b", "85", 0.4)],
            {"b": "outvoted: 0.4 of 1", "c": "outvoted: 0.1 of 1"},
        ),
        ([("b", "84", 0.5), ("a", "85", 0.5)], {"b": "a tie at 0.5, which went to the smallest agent id"}),
        ([("a", "84", 0.5), ("b", "84.", 0.5)], {}),
        ([("a", "", 0.5)], {"a": "blank"}),
    ],
)
async def test_whose_answer_was_left_out_and_why_is_told(
    votes: list[tuple[str, str, float]], dropped: dict[str, str]
) -> None:
    refined = await refine(*votes)
    assert {one.agent_id: one.why for one in refined.dropped} == dropped


async def test_what_answers_share_that_differ_is_told() -> None:
    refined = await refine(
        ("a", "It stands in Jordan. The Nabataeans built it.", 0.6), ("b", "- it stands in JORDAN\n- Romans did", 0.4)
    )
    assert refined.agreed == ("It stands in Jordan.",)
    assert (await refine(("a", "It stands in Jordan.", 0.6), ("b", "it stands in jordan", 0.4))).agreed == ()


async def test_the_vote_may_be_told_what_counts_as_equal() -> None:
    refined = await VoteRefiner(lambda text: float(text)).refine(TASK, answers(("a", "1e2", 0.3), ("b", "100.0", 0.3)))
    assert refined.answered_by == ("a", "b")


async def test_the_vote_costs_nothing() -> None:
    assert (await refine(("a", "84", 1.0))).cost_usd == 0


def test_a_given_explanation_stands_in_the_conflict() -> None:
    groups = group_answers(answers(("a", "1", 0.5), ("b", "2", 0.5)), text_key)
    assert conflicts_between(groups, "because")[0].explanation == "because"


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_cannot_be_added_is_refused(weight: float) -> None:
    with pytest.raises(ValidationError):
        WeightedAnswer(agent_id="a", text="84", weight=weight)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris"),
        ("42.", "42"),
        ("a  b\n c", "a b c"),
        ("\uff11\uff12", "12"),
        ("Straße", "STRASSE"),
        ("Yes!?", "yes"),
    ],
)
def test_texts_that_count_as_the_same(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)


@pytest.mark.parametrize(("one", "other"), [("42", "4.2"), ("-1", "1"), ("!", "?"), ("é", "e")])
def test_texts_that_differ(one: str, other: str) -> None:
    assert text_key(one) != text_key(other)


VOTES = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["1", "2", " 1.", "3", ""]), st.floats(0, 1)),
    max_size=8,
    unique_by=lambda vote: vote[0],
)


@given(VOTES, st.randoms(use_true_random=False))
async def test_the_order_of_the_answers_has_no_effect(votes: list[tuple[str, str, float]], chance: object) -> None:
    shuffled = list(votes)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert await refine(*shuffled) == await refine(*votes)


@given(VOTES)
async def test_doubling_all_weights_changes_no_winner(votes: list[tuple[str, str, float]]) -> None:
    doubled = await refine(*((agent, text, 2 * weight) for agent, text, weight in votes))
    assert doubled.answered_by == (await refine(*votes)).answered_by


@given(VOTES)
async def test_everybody_who_answered_is_in_the_result_once(votes: list[tuple[str, str, float]]) -> None:
    refined = await refine(*votes)
    if refined.conflicts:
        named = [agent for position in refined.conflicts[0].positions for agent in position.agents]
    else:
        named = list(refined.answered_by)
    assert sorted(named) == sorted(agent for agent, text, _ in votes if text)


@given(VOTES)
async def test_an_answer_is_the_final_one_or_dropped_never_both(votes: list[tuple[str, str, float]]) -> None:
    refined = await refine(*votes)
    dropped = [one.agent_id for one in refined.dropped]
    assert sorted([*refined.answered_by, *dropped]) == sorted(agent for agent, _, _ in votes)


@given(VOTES)
async def test_no_position_outweighs_the_winner(votes: list[tuple[str, str, float]]) -> None:
    for conflict in (await refine(*votes)).conflicts:
        weights = [position.weight for position in conflict.positions]
        assert weights == sorted(weights, reverse=True)
