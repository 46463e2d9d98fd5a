"""The outcomes table of a recorded set: one CSV row an agent and task, read into arrays for the tasks that are open."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import RecordedSetError
from agentmesh.recorded.lines import OutcomeLine, read_text_lines
from agentmesh.types import FloatArray

AnswerArray: TypeAlias = NDArray[np.object_]
COLUMNS = tuple(OutcomeLine.model_fields)
_NEEDED = ("task", "agent", "quality")
_NUMBERS: Mapping[str, tuple[float, str]] = {
    "quality": (1.0, "a number from 0 to 1"),
    "cost_usd": (math.inf, "US dollars, 0 or more, or nothing"),
    "input_tokens": (math.inf, "a count of tokens, or nothing"),
    "output_tokens": (math.inf, "a count of tokens, or nothing"),
    "latency_s": (math.inf, "seconds, 0 or more, or nothing"),
}


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """What came of each agent on each open task.

    Shapes:
        quality, cost, input_tokens, output_tokens, latency_s: (m, n) float64, NaN where not recorded.
        answers: (m, n) the short answer as text, ``None`` where not recorded.
    """

    quality: FloatArray
    cost: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    latency_s: FloatArray
    answers: AnswerArray

    @classmethod
    def empty(cls, m: int, n: int) -> "OutcomeTable":
        """Return a table of ``m`` tasks and ``n`` agents in which nothing is recorded."""
        quality, cost, tokens_in, tokens_out, latency = np.full((5, m, n), np.nan)
        return cls(quality, cost, tokens_in, tokens_out, latency, np.full((m, n), None, dtype=object))


def read_outcomes(path: Path, *, rows: Mapping[str, int | None], agent_ids: Sequence[str]) -> OutcomeTable:
    """Read the rows of the open tasks; those of closed tasks are passed over unread and kept nowhere.

    Args:
        path: The ``outcomes.csv.gz``.
        rows: Every task id of the set -> its row in the table, ``None`` where the task is closed.
        agent_ids: The columns of the table.

    Raises:
        RecordedSetError: the file cannot be read, or a row names an unknown task or agent, repeats a pair, or holds
            a value out of range; the message names file and line.
    """
    columns = {agent_id: place for place, agent_id in enumerate(agent_ids)}
    table = OutcomeTable.empty(sum(row is not None for row in rows.values()), len(columns))
    reader = csv.reader(read_text_lines(path), strict=True)
    try:
        header = _header(next(reader, []), path)
        for cells in reader:
            _take(cells, header, table, rows=rows, columns=columns)
    except (csv.Error, ValueError) as error:
        raise RecordedSetError(f"{path}:{reader.line_num}: {error}") from error
    return table


def _header(cells: Sequence[str], path: Path) -> dict[str, int]:
    places = {name: place for place, name in enumerate(cells)}
    wrong = [name for name in cells if name not in COLUMNS] + [name for name in _NEEDED if name not in places]
    if wrong or len(places) != len(cells):
        raise RecordedSetError(f"{path}:1: columns {list(cells)!r}; needed: {_NEEDED}, accepted: {COLUMNS}, each once")
    return places


def _take(
    cells: Sequence[str],
    header: Mapping[str, int],
    table: OutcomeTable,
    *,
    rows: Mapping[str, int | None],
    columns: Mapping[str, int],
) -> None:
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells, expected {len(header)}")
    task, agent = cells[header["task"]], cells[header["agent"]]
    if task not in rows:
        raise ValueError(f"unknown task {task!r}; accepted: the ids in tasks.jsonl.gz")
    if agent not in columns:
        raise ValueError(f"unknown agent {agent!r}; accepted: the ids in agents.jsonl")
    row = rows[task]
    if row is None:
        return
    place = row, columns[agent]
    if not math.isnan(table.quality[place]):
        raise ValueError(f"task {task!r} and agent {agent!r} stand here twice; a pair has one outcome")
    if not cells[header["quality"]]:
        raise ValueError("quality is empty; accepted: a number from 0 to 1 (leave the row out if it was not observed)")
    _store(cells, header, table, place)


def _store(cells: Sequence[str], header: Mapping[str, int], table: OutcomeTable, place: tuple[int, int]) -> None:
    for name, array in (
        ("quality", table.quality),
        ("cost_usd", table.cost),
        ("input_tokens", table.input_tokens),
        ("output_tokens", table.output_tokens),
        ("latency_s", table.latency_s),
    ):
        if name in header and cells[header[name]]:
            array[place] = _number(name, cells[header[name]])
    if "answer" in header and cells[header["answer"]]:
        table.answers[place] = cells[header["answer"]]


def _number(name: str, text: str) -> float:
    highest, accepted = _NUMBERS[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= highest or math.isinf(value):
        raise ValueError(f"{name} is {text!r}; accepted: {accepted}")
    return value
