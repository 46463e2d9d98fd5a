"""Writes a recorded set whole or not at all: everything goes to a folder beside the target, which is renamed last."""

import csv
import gzip
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from agentmesh.errors import RecordedSetError
from agentmesh.recorded.lines import AgentLine, OutcomeLine, ResponseLine, SetInfo, TaskLine
from agentmesh.recorded.outcomes import COLUMNS
from agentmesh.recorded.reader import AGENTS_FILE, OUTCOMES_FILE, RESPONSES_FILE, SET_FILE, TASKS_FILE
from agentmesh.records import Record


def write_set(
    folder: str | os.PathLike[str],
    info: SetInfo,
    *,
    agents: Iterable[AgentLine],
    tasks: Iterable[TaskLine],
    outcomes: Iterable[OutcomeLine] = (),
    responses: Iterable[ResponseLine] = (),
) -> None:
    """Write a recorded set that ``load_set`` reads back. The same content gives the same bytes.

    Args:
        folder: Where it goes; it must not exist yet, or be empty.
        info: The name, kind, source and licence.
        agents: Who could act.
        tasks: What was asked, with what is needed to score it.
        outcomes: What came of it; needed for, and written only for, kind ``outcomes``.
        responses: The whole answers, if they are kept.

    Raises:
        RecordedSetError: the folder holds something already, or cannot be written; nothing half-written is left.
    """
    target = Path(folder)
    try:
        with _whole(target) as draft:
            (draft / SET_FILE).write_text(info.model_dump_json(indent=1) + "\n", encoding="utf-8")
            with (draft / AGENTS_FILE).open("w", encoding="utf-8", newline="") as file:
                _write_records(file, agents)
            with _gzipped(draft / TASKS_FILE) as file:
                _write_records(file, tasks)
            _write_outcomes(draft, info, outcomes)
            _write_responses(draft, responses)
    except OSError as error:
        raise RecordedSetError(f"recorded set: {str(target)!r} cannot be written: {error}") from error


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RecordedSetError(f"recorded set: {str(target)!r} holds something; accepted: a new or empty folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield draft
        draft.chmod(0o755)  # mkdtemp keeps others out, which a set that is shared does not want
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


@contextmanager
def _gzipped(path: Path) -> Iterator[TextIO]:
    # no name and no time in the header, so that the same content gives the same bytes
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        file = io.TextIOWrapper(packed, encoding="utf-8", newline="")
        yield file
        file.flush()
        file.detach()


def _write_records(file: TextIO, records: Iterable[Record]) -> None:
    for record in records:
        file.write(record.model_dump_json(exclude_defaults=True) + "\n")


def _write_outcomes(draft: Path, info: SetInfo, outcomes: Iterable[OutcomeLine]) -> None:
    if info.kind != "outcomes":
        return
    with _gzipped(draft / OUTCOMES_FILE) as file:
        rows = csv.writer(file)  # its lines end in \r\n, so that either character in an answer is quoted
        rows.writerow(COLUMNS)
        for line in outcomes:
            cells = line.model_dump()
            rows.writerow(["" if cells[name] is None else cells[name] for name in COLUMNS])


def _write_responses(draft: Path, responses: Iterable[ResponseLine]) -> None:
    lines = list(responses)
    if not lines:
        return
    with _gzipped(draft / RESPONSES_FILE) as file:
        _write_records(file, lines)
