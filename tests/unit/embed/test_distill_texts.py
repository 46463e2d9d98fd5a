"""The texts that the shipped table is distilled on, from a WordNet of five synsets."""

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[3] / "tools" / "distill_texts.py"
LICENCE = "  1 This software and database is being provided to you\n"
DATA = {
    "noun": (
        "00001740 03 n 01 entity 0 000 | what exists\n"
        '00002000 03 n 02 guide_dog 0 seeing_eye_dog 0 000 | a dog that leads; "her dog waits"; "a good dog"\n'
    ),
    "verb": "00001740 29 v 01 breathe 0 000 01 + 02 00 | draw air in; as animals do\n",
    "adj": "00001740 00 a 01 able(p) 0 000 | having what it takes\n",
    "adv": "00001740 02 r 01 well 0 000 | in a good way\n",
}
COUNTS = (
    "entity%1:03:00:: 1 11\nguide_dog%1:05:00:: 1 3\nbreathe%2:29:00:: 1 25\nable%3:00:00:: 1 9\nwell%4:02:00:: 1 7\n"
)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("distill_texts", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["distill_texts"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    for part, lines in DATA.items():
        (tmp_path / f"data.{part}").write_text(LICENCE + lines, "latin-1")
    (tmp_path / "cntlist.rev").write_text(COUNTS, "latin-1")
    return tmp_path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    tasks = [
        {"id": "1", "split": "train", "text": "Which is red?\nA. blood\nB. sky"},
        {"id": "2", "split": "test", "text": "A secret question"},
    ]
    with gzip.open(tmp_path / "tasks.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(task) + "\n" for task in tasks)
    return tmp_path


def test_a_synset_is_read_with_its_lemmas_definition_and_examples(tool: ModuleType, wordnet: Path) -> None:
    dog = list(tool.read_synsets(wordnet))[1]
    assert dog.lemmas == ("guide dog", "seeing eye dog")
    assert dog.definition == "a dog that leads"
    assert dog.examples == ("her dog waits", "a good dog")


def test_the_mark_of_a_predicative_adjective_is_no_part_of_its_lemma(tool: ModuleType, wordnet: Path) -> None:
    assert ("able",) in [synset.lemmas for synset in tool.read_synsets(wordnet)]


def test_only_train_questions_are_read_without_their_options(tool: ModuleType, questions: Path) -> None:
    assert tool.read_questions(questions) == ["Which is red?"]


def test_a_definition_of_a_verb_becomes_a_request(tool: ModuleType, wordnet: Path, questions: Path) -> None:
    (clause,) = tool.gather(wordnet, questions, frames=6, seed=0)["clauses"]
    assert clause in [frame.format(clause="draw air in") for frame in tool.CLAUSE_FRAMES]


def test_the_same_seed_gives_the_same_texts(tool: ModuleType, wordnet: Path, questions: Path) -> None:
    first, again, other = (tool.gather(wordnet, questions, frames=60, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["nouns"] != other["nouns"]
    assert [len(first[source]) for source in ("nouns", "verbs", "phrases")] == [30, 30, 20]
