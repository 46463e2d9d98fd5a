"""What a task names, found by rules: each kind, what is none, bounds, and hostile texts."""

import time

import pytest

from agentmesh.knowledge.entities import MOST_ENTITIES, RuleExtractor
from agentmesh.knowledge.relations import triples_of

EXTRACTOR = RuleExtractor()


def found(text: str) -> list[tuple[str, str]]:
    return [(entity.key, entity.kind) for entity in EXTRACTOR.extract(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where is the Bank of England?", [("bank of england", "name")]),
        ("did Jean-Paul Sartre meet O'Neill?", [("jean-paul sartre", "name"), ("o'neill", "name")]),
        ("is GPT-4 better?", [("gpt-4", "name")]),
        ("on 2024-03-01 it rained", [("2024-03-01", "date")]),
        ("born 3 March 1815.", [("3 march 1815", "date")]),
        ("on March 3rd, 1815 and in May 1816", [("march 3rd, 1815", "date"), ("may 1816", "date")]),
        ("the war of 1914 ended", [("1914", "date")]),
        ("add 12 and 1,234.5", [("12", "number"), ("1234.5", "number")]),
        ("it is 3e8 m/s", [("3e8 m/s", "unit")]),
        ("walk 12 km, lose 5%, pay $1,200 or €3 million", ["12 km", "5%", "$1200", "€3 million"]),
        ("fix my_func and camelCase", [("my_func", "code"), ("camelCase", "code")]),
        ("why does os.path.join() fail in `x = 1`?", [("os.path.join", "code"), ("x = 1", "code")]),
        ("call run() and __init__", [("run", "code"), ("__init__", "code")]),
        ('what does "ad hoc" mean, or “de facto”?', [("ad hoc", "quoted"), ("de facto", "quoted")]),
        ("the word 'serendipity' is long", [("serendipity", "quoted")]),
    ],
)
def test_a_kind_of_entity_is_found(text, expected):
    keys = [one if isinstance(one, tuple) else (one, "unit") for one in expected]
    assert found(text) == keys


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is it?",
        "Solve. Compute! He's here. I am.",
        "THE WHOLE TEXT IS LOUD",
        "fill in the blank: ____ and ____",
        "e.g. this, i.e. that",
        "don't say it isn't so",
        "x",
        "Every Word Of This Long Headline Is Written With A Capital but this",
    ],
)
def test_what_is_no_entity_is_not_found(text):
    assert found(text) == []


def test_a_name_at_the_start_of_a_sentence_loses_the_common_word_before_it():
    assert found("The Eiffel Tower is high. What Ada said. The Of. What the Bank lent. Petra is old.") == [
        ("eiffel tower", "name"),
        ("ada", "name"),
        ("bank", "name"),
        ("petra", "name"),
    ]


def test_a_possessive_is_no_part_of_a_name():
    assert found("what is Germany's economy and NASA\u2019s Apollo?")[:2] == [("germany", "name"), ("nasa", "name")]


def test_spellings_of_one_thing_meet_under_one_key_with_its_count():
    [entity] = EXTRACTOR.extract("is Petra old? PETRA is. and Petra?")
    assert (entity.surface, entity.key, entity.start, entity.count) == ("Petra", "petra", 3, 3)


def test_at_most_32_entities_are_given_and_numbers_give_way():
    text = "count " + " ".join(str(number) for number in range(40)) + " and Ada, Bob."
    entities = EXTRACTOR.extract(text)
    assert len(entities) == MOST_ENTITIES
    assert [entity.key for entity in entities][-2:] == ["ada", "bob"]
    assert [entity.start for entity in entities] == sorted(entity.start for entity in entities)


def test_what_is_too_long_is_no_entity():
    assert found("add " + "1" * 81 + " to " + "a_" * 41) == []


def test_only_the_start_of_a_text_is_read():
    assert found("word " * 1600 + "Petra") == []


HOSTILE = [
    *"aA1\"`'_.-,$(\n\0\u2019“٣漢",
    *("1,", "A ", "1.", "a.", "A.", "1,111", "of ", "$1", "1 March ", "a_", "1e", "Jan. ", "a()", "\ud800"),
]


@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_the_time_that_a_megabyte_of_the_same_takes_grows_no_faster_than_what_is_read_of_it(piece):
    def took(size):
        text = piece * (size // len(piece))
        before = time.process_time()
        entities = EXTRACTOR.extract(text)
        triples_of(text, entities)
        assert len(entities) <= MOST_ENTITIES
        return time.process_time() - before

    longer = min(took(1_000_000) for _ in range(3))
    assert longer < 30 * max(took(1_000), 0.002)  # 8,000 letters are read: 8 times as many; a square would be 64


def test_two_neighbours_in_a_sentence_make_a_triple():
    text = "was Ada Lovelace born in London, in 1815? did Babbage know Turing or Gauss?"
    assert [tuple(triple) for triple in triples_of(text, EXTRACTOR.extract(text))] == [
        ("ada lovelace", "born in", "london"),
        ("london", "in", "1815"),
        ("babbage", "know", "turing"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "is Ada here. no Bob",
        "is Ada the first person that met Bob",
        "is Ada " + "x" * 70 + " Bob",
        "are Ada, Bob there",
        "is Ada now Ada",
    ],
)
def test_what_stands_too_far_apart_makes_no_triple(text):
    assert triples_of(text, EXTRACTOR.extract(text)) == ()
