"""Which form the answers to a task have."""

import csv
import gzip
import json
from pathlib import Path

import pytest

import agentmesh.demo
from agentmesh.judging.forms import form_of, keys_of_form
from agentmesh.records import Task

OPTIONS = "Which is a gas?\nA. Iron\nB. Neon\nC. Tin"


@pytest.mark.parametrize(
    ("text", "answers", "form"),
    [
        (OPTIONS, ["B", "(B).", "Neon is one, as in (B)"], "choice"),
        (OPTIONS, ["Neon", "It is neon", "B"], "text"),  # one of three chooses a letter
        ("?", ["C", "c)", "so\nThe answer is (D)."], "choice"),
        ("?", ["I. Newton found it.", "It was A. Einstein."], "text"),
        ("?", ["f(X) is right", "g(X) is right"], "text"),
        ("?", ["84", "$1,000.50", "25 %"], "number"),
        ("?", ["First 3.\nThe answer is 84.", "12 * 7 = 84", "no idea"], "number"),
        ("?", ["The war ended in 1945", "1945 it was, in May"], "text"),
        ("?", ['{"a": 1}', '```json\n{"a": 2}\n```'], "json"),
        ("?", ["[1, 2", "[1, 3"], "text"),
        ("?", ["[" * 100_000, "{"], "text"),
        ("?", ["", "  "], "text"),
        ("?", [], "text"),
        ("?", ["84", "eighty-four"], "text"),  # a half is not most
    ],
)
def test_answers_are_compared_by_the_form_that_most_have(text: str, answers: list[str], form: str) -> None:
    assert form_of(Task(text=text), answers) == form
    assert form_of(Task(text=text), answers[::-1]) == form


def test_a_type_hint_that_names_a_form_settles_it() -> None:
    task = Task(text="?", type_hints=("maths", "Number"))
    assert form_of(task, ["In 1945", "Nobody knows"]) == "number"
    first, second = keys_of_form(task, ["It is 4 in all", "4.0"])
    assert first == second


def test_an_answer_of_another_form_than_most_keeps_a_key_of_its_own() -> None:
    keys = keys_of_form(Task(text=OPTIONS), ["B", "(B)", "none of them"])
    assert keys == [("choice", "B"), ("choice", "B"), "none of them"]


def test_real_answers_to_questions_with_options_are_compared_by_their_letters() -> None:
    tasks, responses, letters = demo_rows()
    told = [key for task in tasks[:100] for key in keys_of_form(task, responses[task.id or ""])]
    given = [letter for task in tasks[:100] for letter in letters[task.id or ""]]
    same = [key == ("choice", letter) for key, letter in zip(told, given, strict=True) if letter]
    assert sum(form_of(task, responses[task.id or ""]) == "choice" for task in tasks[:100]) >= 97
    assert sum(same) > 0.95 * len(same) > 900  # where nothing was read out of a response, the set's letter is a guess


def demo_rows() -> tuple[list[Task], dict[str, list[str]], dict[str, list[str]]]:
    """Return the demo's tasks with what its agents wrote, and the letters that were read out of it."""
    folder = Path(agentmesh.demo.__file__).parent / "data"
    with gzip.open(folder / "tasks.jsonl.gz", "rt", encoding="utf-8") as lines:
        tasks = [Task(id=row["id"], text=row["text"]) for row in map(json.loads, lines)]
    with gzip.open(folder / "outcomes.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        letter_of = {(row["task"], row["agent"]): row["answer"] for row in csv.DictReader(lines)}
    responses: dict[str, list[str]] = {task.id or "": [] for task in tasks}
    letters: dict[str, list[str]] = {task.id or "": [] for task in tasks}
    with gzip.open(folder / "responses.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            responses[row["task"]].append(row["text"])
            letters[row["task"]].append(letter_of[row["task"], row["agent"]])
    return tasks, responses, letters
