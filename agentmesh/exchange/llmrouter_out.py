"""Writes stored runs as routing data of LLMRouter: a line for each task and agent whose outcome is known."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from agentmesh.exchange.exporting import text_file
from agentmesh.exchange.llmrouter_lines import FILES, MODELS_FILE, TEST_FILE, TRAIN_FILE, ModelEntry, RoutingLine
from agentmesh.exchange.observed import Seen, SeenTask, SeenTasks
from agentmesh.exchange.places import whole_file, whole_folder
from agentmesh.exchange.recorded_out import SetExported, agent_line, scored_tasks
from agentmesh.recorded.lines import Split
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.store.codec import storable
from agentmesh.types import AgentId


def export_llmrouter(
    store: TraceStore,
    out: str | os.PathLike[str],
    *,
    where: RunFilter | None = None,
    answers: bool = True,
    force: bool = False,
) -> SetExported:
    """Write what came of agents on tasks as routing data of LLMRouter.

    A folder gets the newest fifth of the tasks as test data, the rest as training data, and the file of models; a
    file, all lines. Prices of a call have no place in its format, nor have embeddings here: it makes them itself.

    Args:
        store: Where the runs are kept; nothing is written to it.
        out: A file that ends in ``.jsonl`` or ``.jsonl.gz``, else a folder.
        where: Only these runs, and those that they started.
        answers: Whether what agents answered stands in it.
        force: Replace an earlier export.

    Raises:
        ExchangeError: no outcome is known; ``out`` exists or cannot be written.
        StoreError: the store cannot be read.
    """
    target, seen = Path(out), scored_tasks(store, where)
    if target.name.endswith((".jsonl", ".jsonl.gz")):
        with whole_file(target, force=force) as draft:
            _write(draft, seen, {"train", "val", "test", "all"}, answers=answers)
    else:
        with whole_folder(target, names=FILES, force=force) as folder:
            folder.mkdir()
            _write(folder / TRAIN_FILE, seen, {"train", "val", "all"}, answers=answers)
            _write(folder / TEST_FILE, seen, {"test"}, answers=answers)
            (folder / MODELS_FILE).write_text(json.dumps(_models(seen), indent=2) + "\n", encoding="utf-8")
    whole = len(seen.complete().tasks)
    return SetExported(tasks=len(seen.tasks), agents=len(seen.cards), outcomes=seen.known, complete=whole)


def _write(path: Path, seen: SeenTasks, splits: set[Split], *, answers: bool) -> None:
    with text_file(path) as file:
        for number, (task, split) in enumerate(zip(seen.tasks, seen.splits(), strict=True)):
            for line in _lines(task, number, answers=answers) if split in splits else ():
                file.write(line.model_dump_json() + "\n")


def _lines(task: SeenTask, number: int, *, answers: bool) -> Iterator[RoutingLine]:
    for agent_id, outcome in task.outcomes.items():
        yield _line(task, agent_id, outcome, number=number, answers=answers)


def _line(task: SeenTask, agent_id: AgentId, outcome: Seen, *, number: int, answers: bool) -> RoutingLine:
    read, written = outcome.input_tokens, outcome.output_tokens
    return RoutingLine(
        task_name=storable(task.group) or None,
        query=storable(task.text) or " ",  # its reader takes no query for none
        task_id=task.id,
        model_name=agent_id,
        response=storable(outcome.answer) if answers and outcome.answer is not None else None,
        token_num=None if read is None or written is None else read + written,
        input_tokens=read,
        output_tokens=written,
        response_time=outcome.latency_s,
        performance=outcome.quality,
        embedding_id=number,
    )


def _models(seen: SeenTasks) -> dict[AgentId, dict[str, object]]:
    found = {}
    for line in map(agent_line, seen.cards):
        entry = ModelEntry(
            feature=line.description, input_price=line.price_in_per_M, output_price=line.price_out_per_M, model=line.id
        )
        found[line.id] = entry.model_dump()
    return found
