"""Slices of a context: what fits, what leads to what, what is told of every item, and what has no effect."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.graphs.material import Material
from agentmesh.graphs.passages import estimated_tokens, joined, passages
from agentmesh.graphs.slices import Query, Slice, SliceWeights, cut
from agentmesh.records import ContextItem, SlicedItem

EMBEDDER = HashingEmbedder()
NOTE = "Mara Holm wrote in as T-48: “my card is gone”."
FILED = "T-48 was filed under “lost card”."
DESK = "Requests about “lost card” go to Alder."
STAFF = "Ida Brandt runs Alder this month."
TALK = tuple(f"Somebody ordered {thing} for the kitchen." for thing in ("tea", "salt", "rice", "jam", "nuts", "oil"))
CHAIN = tuple(ContextItem(key=key, text=text) for key, text in zip("abcd", (NOTE, FILED, DESK, STAFF), strict=True))
OFFICE = (*CHAIN, *(ContextItem(key=f"talk-{place}", text=text) for place, text in enumerate(TALK)))
WHO = "Who will deal with Mara Holm?"

words = st.sampled_from(
    ["Ann Ode", "Bob Iff", "T-17", "desk", "cards", "go", "lost", "Δ", "it", ".", "\n", "中文", "🙂"]
)
sentences = st.lists(words, max_size=12).map(" ".join)
items = st.builds(
    ContextItem,
    key=st.sampled_from(["a", "b", "c", "Δ key"]),
    text=sentences,
    version=st.integers(1, 3),
    number=st.integers(0, 9),
    pinned=st.booleans(),
)
contexts = st.lists(items, max_size=6).map(tuple)


def sliced(
    context: tuple[ContextItem, ...],
    budget: int,
    task: str = WHO,
    *,
    card: str = "",
    weights: SliceWeights | None = None,
) -> Slice:
    material = Material.of(context, estimated_tokens)
    vectors = EMBEDDER.embed([*material.texts, task, card])
    query = Query(task, card, vectors[:-2], vectors[-2], vectors[-1])
    return cut(material, query, budget, weights=weights or SliceWeights())


def why(made: Slice) -> dict[str, str]:
    return {item.key: item.why for item in made.told}


@given(contexts, sentences, st.integers(0, 60))
def test_a_slice_is_within_its_budget_accounts_for_every_item_and_does_not_hang_on_their_order(
    context: tuple[ContextItem, ...], task: str, budget: int
) -> None:
    made = sliced(context, budget, task)
    assert made.tokens == sum(estimated_tokens(item.text) for item in made.items) <= budget
    assert made == sliced(context[::-1], budget, task)
    assert sorted((one.key, one.version) for one in made.told) == sorted((one.key, one.version) for one in context)
    kept = [one for one in made.told if one.kept]
    newest = {key: max(one.version for one in context if one.key == key) for key in {one.key for one in context}}
    assert [(one.key, one.version) for one in kept] == sorted((one.key, one.version) for one in made.items)
    assert all(one.version == newest[one.key] for one in kept)
    assert sum(one.tokens for one in kept) == made.tokens
    assert all(one.why for one in made.told)
    assert made.full_tokens == sum(estimated_tokens(one.text) for one in context)


@given(st.text(max_size=200), st.integers(5, 80))
@settings(max_examples=30)
def test_passages_are_the_text_and_none_is_longer_than_it_may_be(text: str, most: int) -> None:
    spans = passages(text, most=most)
    assert joined(text, spans) == text
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(end - start <= most for start, end in spans)


def test_a_passage_that_is_taken_leads_to_those_that_its_names_stand_in() -> None:
    made = sliced(OFFICE, sum(estimated_tokens(text) for text in (NOTE, FILED, DESK, STAFF)))
    assert {item.text for item in made.items} == {NOTE, FILED, DESK, STAFF}
    assert why(made) | {"a": "has words of the task", "b": "shares words with 'a'"} == why(made)
    assert why(made)["talk-0"] == "no room left"
    without = sliced(OFFICE, 40, weights=SliceWeights(hop=0.0, feedback=0.0))
    assert not {FILED, DESK, STAFF} <= {item.text for item in without.items}


@pytest.mark.parametrize(
    ("reason", "context", "card"),
    [
        ("from a stage right before", (ContextItem(key="k", text=TALK[0], pinned=True),), ""),
        ("written late", (ContextItem(key="k", text=TALK[0], number=9),), ""),
        ("about what the agent does", (ContextItem(key="k", text="Prices of tea."),), "Knows all prices of tea."),
        ("like the task", (ContextItem(key="k", text="Who will do it, and deal with it?"),), ""),
    ],
)
def test_the_reason_that_weighs_most_is_told(reason: str, context: tuple[ContextItem, ...], card: str) -> None:
    rest = tuple(ContextItem(key=f"z{place}", text=text) for place, text in enumerate(TALK[1:]))
    made = sliced((*context, *rest), estimated_tokens(context[0].text), card=card, weights=SliceWeights(overlap=0.1))
    assert [item.key for item in made.items] == ["k"]
    assert why(made)["k"] == reason


def test_what_is_like_the_best_is_taken_and_the_more_so_the_more_fits() -> None:
    answer = "They say “my card is gone, stolen or lost”."
    note = "Mara Holm wrote in as T-48: “is my card gone, lost or stolen?”."
    context = (ContextItem(key="n", text=note), ContextItem(key="z", text=answer), *OFFICE[1:])
    budget = sum(estimated_tokens(text) for text in (note, answer, *TALK))
    weights = SliceWeights(overlap=2.0, similarity=0.0, role=0.0, hop=0.0)
    made = sliced(context, budget, weights=weights)
    assert {note, answer} <= {item.text for item in made.items}
    assert why(made)["z"] == "like the best passages"
    scores = [
        {one.key: one.score for one in sliced(context, part, weights=weights).told} for part in (budget // 2, budget)
    ]
    assert scores[0]["z"] < scores[1]["z"]


def test_what_marks_were_charged_for_that_do_not_stand_there_is_filled_again() -> None:
    log = ContextItem(key="log", text="\n".join(f"Line {number} of the log says a little." for number in range(60)))
    made = sliced((log, CHAIN[0]), 400)
    assert 400 - made.tokens < estimated_tokens("Line 10 of the log says a little. … ")


def test_items_that_differ_in_one_thing_only_have_an_order_of_their_own() -> None:
    context = tuple(ContextItem(key="a", text="x", pinned=pinned) for pinned in (True, False))
    assert sliced(context, 5) == sliced(context[::-1], 5)


def test_of_a_long_item_the_passages_that_matter_are_taken() -> None:
    long = ContextItem(key="log", text="\n".join([*TALK, FILED, *TALK[::-1]]))
    made = sliced((CHAIN[0], long), 40)
    part = made.items[1]
    assert FILED in part.text
    assert part.text.count("…") >= 1
    assert why(made)["log"].startswith("2 of 13 passages; ")


def test_the_same_said_twice_is_taken_once_and_older_versions_never() -> None:
    context = (
        ContextItem(key="a", text=NOTE),
        ContextItem(key="b", text=NOTE.upper() + "!"),
        ContextItem(key="c", text=STAFF, version=1),
        ContextItem(key="c", text=FILED, version=2),
    )
    for budget in (30, 1000):
        made = sliced(context, budget, weights=SliceWeights(feedback=0.0))  # copies lift one another
        assert {item.text for item in made.items} == {NOTE, FILED}
        assert [one.why for one in made.told if not one.kept] == ["says the same as 'a'", "version 2 holds"]


def test_what_fits_is_taken_whole_and_nothing_fits_into_nothing() -> None:
    assert set(why(sliced(OFFICE, 10_000)).values()) == {"everything fits"}
    assert {item.key: item for item in sliced(OFFICE, 10_000).items} == {item.key: item for item in OFFICE}
    nothing = sliced(OFFICE, 0)
    assert (nothing.items, nothing.tokens) == ((), 0)
    assert set(why(nothing).values()) == {"no room left"}
    empty = sliced((ContextItem(key="e", text=""),), 0)
    assert empty.told == (SlicedItem(key="e", tokens=0, score=empty.told[0].score, kept=True, why="everything fits"),)


def test_a_tokenizer_that_counts_passages_together_as_more_is_held_to_the_budget() -> None:
    def quadratic(text: str) -> int:
        return len(text) ** 2 // 100

    material = Material.of((ContextItem(key="k", text=" ".join(TALK)),), quadratic)
    made = cut(material, Query(WHO, ""), 60)
    assert 0 < made.tokens == quadratic(made.items[0].text) <= 60


def test_a_megabyte_is_cut_in_one_go() -> None:
    text = " ".join(f"word{number % 99}." for number in range(2_000)) + "x" * 1_000_000
    material = Material.of((CHAIN[0], ContextItem(key="big", text=text)), estimated_tokens)
    made = cut(material, Query(WHO, ""), 200)
    assert NOTE in {item.text for item in made.items}
    assert made.tokens <= 200
