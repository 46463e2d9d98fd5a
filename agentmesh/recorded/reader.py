"""Reads a recorded set from its folder. What came of the test tasks stays on disk until a bench opens it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from agentmesh.errors import RecordedSetError
from agentmesh.recorded.lines import (
    AgentLine,
    ResponseLine,
    SetInfo,
    Split,
    TaskLine,
    parse_record,
    read_records,
    read_text_lines,
)
from agentmesh.recorded.outcomes import OutcomeTable, read_outcomes
from agentmesh.records import AgentCard

OpenSplit: TypeAlias = Literal["train", "val", "all"]
SET_FILE = "set.json"
AGENTS_FILE = "agents.jsonl"
TASKS_FILE = "tasks.jsonl.gz"
OUTCOMES_FILE = "outcomes.csv.gz"
RESPONSES_FILE = "responses.jsonl.gz"


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """A task as a router may see it: no group, no label, no gold answer."""

    id: str
    split: Split
    text: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The opened rows of one split, in file order.

    ``groups`` hold "" where a task names none. In a set of labels, ``table.quality`` is 1 for the right and the
    acceptable agents and 0 for all others, so a task out of scope is a row of zeros.

    Shapes:
        tasks, groups, labels, gold: length m; ``table`` holds (m, n) arrays, n as in ``agent_ids``.
    """

    split: Split
    agent_ids: tuple[str, ...]
    tasks: tuple[RecordedTask, ...]
    groups: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    gold: tuple[str | None, ...]
    table: OutcomeTable

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.tasks)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the texts of the tasks."""
        return tuple(task.text for task in self.tasks)


@dataclass(frozen=True, slots=True)
class FitView:
    """All that fitting and choosing may see of a set."""

    train: Rows
    val: Rows


@dataclass(frozen=True, slots=True)
class RecordedSet:
    """A recorded set: who could act, what was asked, and where the outcomes lie.

    The outcomes, labels, groups and gold answers of test tasks are not in memory, and :meth:`open` refuses them;
    ``agentmesh.bench.opening`` alone reads them.
    """

    folder: Path
    info: SetInfo
    agents: tuple[AgentCard, ...]
    tasks: tuple[RecordedTask, ...]

    @property
    def agent_ids(self) -> tuple[str, ...]:
        """Return the ids of the agents, sorted as in a pool: the columns of every table."""
        return tuple(card.id for card in self.agents)

    def count(self, split: Split) -> int:
        """Return how many tasks a split holds."""
        return sum(task.split == split for task in self.tasks)

    def open(self, split: OpenSplit) -> Rows:
        """Read the rows of the train or val split, or of a set that has one split only.

        Raises:
            RecordedSetError: ``split`` is another one, or a line of it is malformed.
        """
        _refuse_closed(split)
        return self._read_split(split)

    def fit_view(self) -> FitView:
        """Read the train and val rows: all that fitting and choosing may see.

        Raises:
            RecordedSetError: the set has no train or no val tasks, or a line is malformed.
        """
        for split in ("train", "val"):
            if not any(task.split == split for task in self.tasks):
                raise RecordedSetError(f"{self.info.name!r} has no {split!r} tasks; fitting needs train and val")
        return FitView(train=self.open("train"), val=self.open("val"))

    def responses(self, split: OpenSplit) -> dict[tuple[str, str], str]:
        """Read the whole recorded answers of a split: (task id, agent id) -> text.

        Raises:
            RecordedSetError: ``split`` cannot be opened, the set has no responses, or a line is malformed.
        """
        _refuse_closed(split)
        path = self.folder / RESPONSES_FILE
        splits = {task.id: task.split for task in self.tasks}
        known = set(self.agent_ids)
        texts: dict[tuple[str, str], str] = {}
        for number, line in read_records(path, ResponseLine):
            _check_response(line, splits=splits, agents=known, place=f"{path}:{number}")
            if splits[line.task] != split:
                continue
            if (line.task, line.agent) in texts:
                raise RecordedSetError(f"{path}:{number}: task {line.task!r} and agent {line.agent!r} stand here twice")
            texts[line.task, line.agent] = line.text
        return texts

    def _read_split(self, split: Split) -> Rows:
        lines = [line for _, line in read_records(self.folder / TASKS_FILE, TaskLine) if line.split == split]
        place = {line.id: row for row, line in enumerate(lines)}
        rows = {task.id: place.get(task.id) for task in self.tasks}
        if self.info.kind == "outcomes":
            table = read_outcomes(self.folder / OUTCOMES_FILE, rows=rows, agent_ids=self.agent_ids)
        else:
            table = _labels_table(lines, self.agent_ids)
        return Rows(
            split=split,
            agent_ids=self.agent_ids,
            tasks=tuple(task for task in self.tasks if task.split == split),
            groups=tuple(line.group for line in lines),
            labels=tuple(line.labels or () for line in lines),
            gold=tuple(line.gold for line in lines),
            table=table,
        )


def _refuse_closed(split: str) -> None:
    if split not in ("train", "val", "all"):
        raise RecordedSetError(f"split {split!r} cannot be opened here; accepted: 'train', 'val', 'all'")


def load_set(folder: str | os.PathLike[str]) -> RecordedSet:
    """Load what is open in a recorded set: its description, agents and the texts of its tasks.

    Raises:
        RecordedSetError: a file is missing, or a line is malformed, repeated or names an unknown agent; the message
            names file and line.
    """
    root = Path(folder)
    info = parse_record("".join(read_text_lines(root / SET_FILE)), SetInfo, place=str(root / SET_FILE))
    agents = tuple(sorted(_agents(root / AGENTS_FILE), key=lambda card: card.id))
    if info.kind == "outcomes" and not (root / OUTCOMES_FILE).is_file():
        raise RecordedSetError(f"recorded set: {str(root / OUTCOMES_FILE)!r} is missing; kind 'outcomes' needs it")
    tasks = tuple(_tasks(root / TASKS_FILE, {card.id for card in agents}, need_labels=info.kind == "labels"))
    return RecordedSet(folder=root, info=info, agents=agents, tasks=tasks)


def _agents(path: Path) -> Iterator[AgentCard]:
    seen: set[str] = set()
    for number, line in read_records(path, AgentLine):
        if line.id in seen:
            raise RecordedSetError(f"{path}:{number}: agent {line.id!r} stands here twice")
        seen.add(line.id)
        yield line.card()
    if not seen:
        raise RecordedSetError(f"{path}: no agents; a set needs at least one")


def _tasks(path: Path, agents: set[str], *, need_labels: bool) -> Iterator[RecordedTask]:
    seen: set[str] = set()
    for number, line in read_records(path, TaskLine):
        if line.id in seen:
            raise RecordedSetError(f"{path}:{number}: task {line.id!r} stands here twice")
        if need_labels and line.labels is None:
            raise RecordedSetError(
                f"{path}:{number}: task {line.id!r} has no labels; accepted: a list, [] = out of scope"
            )
        for label in (*(line.labels or ()), *line.acceptable):
            if label not in agents:
                raise RecordedSetError(f"{path}:{number}: unknown agent {label!r}; accepted: the ids in agents.jsonl")
        seen.add(line.id)
        yield RecordedTask(id=line.id, split=line.split, text=line.text, context=line.context)
    if not seen:
        raise RecordedSetError(f"{path}: no tasks; a set needs at least one")


def _labels_table(lines: list[TaskLine], agent_ids: tuple[str, ...]) -> OutcomeTable:
    column = {agent_id: place for place, agent_id in enumerate(agent_ids)}
    table = OutcomeTable.empty(len(lines), len(agent_ids))
    table.quality[:] = 0.0
    for row, line in enumerate(lines):
        table.quality[row, [column[label] for label in (*(line.labels or ()), *line.acceptable)]] = 1.0
    return table


def _check_response(line: ResponseLine, *, splits: dict[str, Split], agents: set[str], place: str) -> None:
    if line.task not in splits:
        raise RecordedSetError(f"{place}: unknown task {line.task!r}; accepted: the ids in tasks.jsonl.gz")
    if line.agent not in agents:
        raise RecordedSetError(f"{place}: unknown agent {line.agent!r}; accepted: the ids in agents.jsonl")
