"""Conversations: a short message takes up the topic before it, and stays with who answered unless another is better."""

from dataclasses import replace

import numpy as np
import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.graphs.conversation import leaning, staying, with_topic
from agentmesh.records import Task, Turn
from agentmesh.routing.preference import Applied
from agentmesh.testing.samples import sample_pool

EMBEDDER = HashingEmbedder()
LONG = "How long does it take to fly from Berlin to New York?"
POOL = sample_pool(3)


def said(*texts: str, agent_id: str | None = "agent-01") -> tuple[Turn, ...]:
    """Return the turns of a conversation in which one agent answered everything."""
    answers = [Turn(role="assistant", text="So.", agent_id=agent_id) for _ in texts]
    asked = [Turn(role="user", text=text) for text in texts]
    return tuple(turn for pair in zip(asked, answers, strict=True) for turn in pair)


async def placed(text: str, *before: str, weight: float = 2.0) -> np.ndarray:
    """Return the vector of a message after others."""
    return await with_topic(EMBEDDER.embed([text])[0], Task(text=text, turns=said(*before)), EMBEDDER, weight=weight)


def near(vector: np.ndarray, text: str) -> float:
    """Return the cosine to a text."""
    return float(vector @ EMBEDDER.embed([text])[0])


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [("Why?", "and now in Spanish"), ("and now in Spanish", LONG), ("", "one two three"), ("也", LONG)],
)
def test_the_more_a_message_says_the_less_it_leans_on_what_was_before(shorter: str, longer: str) -> None:
    assert 1 >= leaning(shorter) > leaning(longer) >= 0


def test_a_sentence_leans_on_nothing_also_where_words_are_written_without_spaces() -> None:
    assert leaning(LONG) == leaning("从柏林飞到纽约需要多长时间呢") == 0


async def test_a_short_message_takes_up_the_topic_before_it() -> None:
    mixed = await placed("and in Spanish", LONG)
    assert near(mixed, LONG) > 0.5 > near(EMBEDDER.embed(["and in Spanish"])[0], LONG)
    assert np.linalg.norm(mixed) == pytest.approx(1, abs=1e-6)
    assert mixed.dtype == np.float32


async def test_a_message_that_stands_for_itself_keeps_its_vector() -> None:
    np.testing.assert_array_equal(await placed(LONG, "Who built Petra?"), EMBEDDER.embed([LONG])[0])


async def test_a_first_message_keeps_its_vector() -> None:
    np.testing.assert_array_equal(await placed("Why?"), EMBEDDER.embed(["Why?"])[0])


async def test_follow_ups_of_follow_ups_keep_the_topic() -> None:
    mixed = await placed("shorter", LONG, "and in Spanish")
    assert near(mixed, LONG) > near(await placed("shorter", "and in Spanish"), LONG) + 0.3


async def test_a_topic_ends_at_a_message_that_stands_for_itself() -> None:
    other = "Please write me a poem about the sea at night in winter"
    np.testing.assert_array_equal(await placed("shorter", LONG, other), await placed("shorter", other))


async def test_a_topic_is_looked_for_in_the_last_three_messages() -> None:
    short = ("one more", "and then", "what else")
    np.testing.assert_array_equal(await placed("why", LONG, *short), await placed("why", *short))


async def test_blank_turns_and_turns_of_others_are_passed_over() -> None:
    turns = (*said(LONG), Turn(role="user", text=" "), Turn(role="system", text="Be brief."))
    task = Task(text="Why?", turns=turns)
    mixed = await with_topic(EMBEDDER.embed(["Why?"])[0], task, EMBEDDER, weight=2.0)
    np.testing.assert_array_equal(mixed, await placed("Why?", LONG))


async def test_a_message_without_any_known_token_is_placed_by_its_topic_alone() -> None:
    zeros = np.zeros(EMBEDDER.dimension, np.float32)
    task = Task(text="?", turns=said(LONG))
    assert near(await with_topic(zeros, task, EMBEDDER, weight=2.0), LONG) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(await with_topic(zeros, task, EMBEDDER, weight=0.0), zeros)


def lead(
    text: str, applied: Applied | None = None, *, stickiness: float = 0.2, agent_id: str | None = "agent-01"
) -> Applied:
    """Return a pool for a message after an answer."""
    before = applied or Applied(POOL, np.zeros(3))
    return staying(before, Task(text=text, turns=said("x", agent_id=agent_id)), stickiness)


def test_who_answered_last_is_given_a_lead_that_the_trace_tells() -> None:
    applied = lead("Why?", Applied(POOL, np.array([0.0, 0.1, 0.0]), ("prefer 'agent-01'",)))
    assert applied.bonus == pytest.approx([0, 0.3, 0])
    assert applied.reasons == ("prefer 'agent-01'", "stays with 'agent-01' unless another is better by 0.2")


def test_the_lead_is_less_for_a_message_that_says_more() -> None:
    assert 0 < lead("and now in Spanish").bonus[1] < 0.2
    assert not lead(LONG).bonus.any()


@pytest.mark.parametrize(
    ("applied", "options"),
    [
        (None, {"agent_id": None}),
        (None, {"agent_id": "ghost"}),
        (None, {"stickiness": 0.0}),
        (Applied(POOL.gated({"agent-01": "preference:pin"}), np.zeros(3)), {}),
    ],
    ids=["unknown", "gone", "switched off", "refused"],
)
def test_nobody_is_given_a_lead_who_cannot_answer_again(applied: Applied | None, options: dict[str, object]) -> None:
    given = applied or Applied(POOL, np.zeros(3))
    assert lead("Why?", given, **options) is given  # type: ignore[arg-type]


def test_only_the_last_answer_counts() -> None:
    turns = (*said("x", agent_id="agent-00"), *said("y", agent_id=None))
    assert Task(text="Why?", turns=turns).previous_agent is None
    assert Task(text="Why?", turns=turns[:2]).previous_agent == "agent-00"
    assert Task(text="Why?").previous_agent is None


def test_a_lead_leaves_the_pool_as_it_was() -> None:
    before = Applied(POOL, np.zeros(3))
    assert replace(lead("Why?", before), bonus=before.bonus, reasons=()) == before
