"""Tasks with known right answers: lines of a file, or the open rows of a recorded set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agentmesh.errors import RecordedSetError
from agentmesh.judging.equivalence import key_for
from agentmesh.learning.sets import open_parts, texts_of
from agentmesh.recorded.lines import read_records
from agentmesh.recorded.reader import load_set
from agentmesh.records import Record, Task


class TaskLineWithGold(Record):
    """One line of a file of tasks.

    ``gold`` is the right answer; a task without one needs a verifier that knows it by its ``id`` or text. ``type_hint``
    and ``skills`` are the kinds of task that results are reported by; agents are shown the hint alone.
    """

    text: str
    id: str | None = None
    gold: str | None = None
    type_hint: str | None = None
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """A task with an id, the kinds it is reported under, and its right answer, which no agent sees."""

    task: Task
    kinds: tuple[str, ...] = ()
    gold: str | None = None


class GoldVerifier:
    """Scores 1 if an answer is the same as the right one, else 0: by letter, number or text, as the right one is.

    >>> known = ProbeTask(Task(id="1", text="12 * 7?"), gold="84")
    >>> GoldVerifier([known]).verify(known.task, "That makes 84.")
    1.0
    """

    name = "gold"

    def __init__(self, tasks: Sequence[ProbeTask]) -> None:
        """Take the tasks; those without a right answer get no score."""
        self._gold = {one.task.id: one.gold for one in tasks if one.gold is not None}

    def verify(self, task: Task, answer: str) -> float | None:
        """Return 1 or 0, or ``None`` for a task without a right answer."""
        gold = self._gold.get(task.id)
        if gold is None:
            return None
        key = key_for(gold)
        return float(key(answer) == key(gold))


def tasks_of_file(path: Path) -> list[ProbeTask]:
    """Read tasks from a file of JSON lines; a task without an id is called by its line.

    Raises:
        RecordedSetError: the file cannot be read, holds no task, or a line is malformed or repeats an id.
    """
    tasks: dict[str, ProbeTask] = {}
    for number, line in read_records(path, TaskLineWithGold):
        task_id = line.id or f"line {number}"
        if task_id in tasks:
            raise RecordedSetError(f"{path}:{number}: task {task_id!r} stands here twice")
        hints = (line.type_hint,) if line.type_hint else ()
        kinds = tuple(dict.fromkeys((*hints, *line.skills)))
        tasks[task_id] = ProbeTask(Task(id=task_id, text=line.text, type_hints=hints), kinds, line.gold)
    if not tasks:
        raise RecordedSetError(f"{str(path)!r} holds no task; a line is such as {{'text': '12 * 7?', 'gold': '84'}}")
    return list(tasks.values())


def tasks_of_set(folder: str) -> list[ProbeTask]:
    """Return the tasks of a recorded set whose right answer is known. Test rows are not read.

    Raises:
        RecordedSetError: the set cannot be read, or no open task of it has a right answer.
    """
    tasks = [
        ProbeTask(Task(id=task.id, text=text, type_hints=(group,) if group else ()), (group,) if group else (), gold)
        for rows in open_parts(load_set(folder))
        for task, text, group, gold in zip(rows.tasks, texts_of(rows), rows.groups, rows.gold, strict=True)
        if gold is not None
    ]
    if not tasks:
        raise RecordedSetError(f"no open task of {folder!r} has a right answer ('gold'); probing needs one to compare")
    return tasks


def drawn(tasks: Sequence[ProbeTask], limit: int | None, *, seed: int = 0) -> list[ProbeTask]:
    """Return ``limit`` tasks drawn without regard to their order in the file, in that order; all when there are fewer.

    >>> [one.task.text for one in drawn([ProbeTask(Task(text=text)) for text in "abcdef"], 3)]
    ['d', 'e', 'f']
    """
    if limit is None or limit >= len(tasks):
        return list(tasks)
    places = np.sort(np.random.default_rng(seed).choice(len(tasks), size=limit, replace=False))
    return [tasks[place] for place in places.tolist()]
