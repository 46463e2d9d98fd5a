"""Makes a recorded set of routing data of LLMRouter."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from agentmesh.errors import ExchangeError, RecordedSetError
from agentmesh.exchange.llmrouter_lines import MODELS_FILE, TEST_FILE, TRAIN_FILE, ModelEntry, RoutingLine
from agentmesh.exchange.places import whole_folder
from agentmesh.exchange.recorded_out import SET_FILES
from agentmesh.recorded import AgentLine, OutcomeLine, ResponseLine, SetInfo, TaskLine, write_set
from agentmesh.recorded.lines import Split, first_problem, read_records
from agentmesh.records import Record
from agentmesh.types import AgentId

_MODELS: Final[TypeAdapter[dict[AgentId, ModelEntry]]] = TypeAdapter(dict[AgentId, ModelEntry])
_OF = 2**32


class Converted(Record):
    """What the set holds, and what of the data is not in it.

    ``repeated`` are further lines of a query and model, of which the first counts; ``unscored`` are lines without a
    performance; ``shared`` are lines of test data whose query is to be fitted on already.
    """

    tasks: int
    agents: int
    outcomes: int
    repeated: int = 0
    unscored: int = 0
    shared: int = 0


@dataclass(slots=True)
class _Query:
    """A query, where it belongs, and its lines by model."""

    split: Split
    first: RoutingLine
    lines: dict[AgentId, RoutingLine] = field(default_factory=dict)


def import_llmrouter(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    models: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Converted:
    """Make a recorded set of routing data.

    Training data is split 7 to 1 into train and val, by a hash of the query; a file alone 7 to 1 to 2, with test. A
    call's cost is the model's price for the tokens it used, and unknown where either is.

    Args:
        source: A file of routing data, or the folder with the files that LLMRouter calls default.
        out: The folder of the set.
        models: The file of models, with their descriptions and prices; that of the folder by default.
        force: Replace an earlier export.

    Raises:
        ExchangeError: a file is missing or has a bad line, which is named; ``out`` exists or cannot be written.
    """
    root = Path(source)
    train, test = (root / TRAIN_FILE, root / TEST_FILE) if root.is_dir() else (root, None)
    named = Path(models) if models is not None else root / MODELS_FILE if root.is_dir() else None
    entries = {} if named is None or (models is None and not named.exists()) else _entries(named)
    data = _Data(alone=test is None or not test.exists())
    try:
        data.take(train, "train")
        if test is not None and test.exists():
            data.take(test, "test")
    except RecordedSetError as error:
        raise ExchangeError(f"routing data: {error}") from error
    if not data.queries:
        raise ExchangeError(f"{str(source)!r} holds no line with a performance; name routing data of LLMRouter")
    agents = sorted({model for query in data.queries.values() for model in query.lines})
    with whole_folder(Path(out), names=SET_FILES, force=force) as draft:
        write_set(
            draft,
            SetInfo(name=Path(out).name or "llmrouter", kind="outcomes", source="routing data of LLMRouter"),
            agents=[_agent(model, entries.get(model, ModelEntry())) for model in agents],
            tasks=data.tasks(),
            outcomes=data.outcomes(entries),
            responses=data.responses(),
        )
    return data.told(len(agents))


def _entries(path: Path) -> Mapping[AgentId, ModelEntry]:
    try:
        return _MODELS.validate_json(path.read_bytes())
    except OSError as error:
        raise ExchangeError(f"{str(path)!r} cannot be read: {error.strerror}; name the file of models") from error
    except ValidationError as error:
        raise ExchangeError(f"{str(path)!r} is no file of models: {first_problem(error)}") from error


def _agent(model: AgentId, entry: ModelEntry) -> AgentLine:
    described = entry.feature or model
    return AgentLine(
        id=model, description=described, price_in_per_M=entry.input_price, price_out_per_M=entry.output_price
    )


class _Data:
    """Routing data, gathered by query in the order in which they come."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone  # there is no test data, so some of it becomes that
        self.queries: dict[str, _Query] = {}
        self._repeated = self._unscored = self._shared = 0

    def take(self, path: Path, part: Split) -> None:
        """Take in a file of lines."""
        for _, line in read_records(path, RoutingLine):
            if line.performance is None:
                self._unscored += 1
                continue
            key = _key(line)
            query = self.queries.setdefault(key, _Query(self._split(key, part), line))
            if part == "test" and query.split != "test":
                self._shared += 1
            elif line.model_name in query.lines:
                self._repeated += 1
            else:
                query.lines[line.model_name] = line

    def _split(self, key: str, part: Split) -> Split:
        if part == "test":
            return "test"
        drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / _OF
        if self._alone:
            return "train" if drawn < 0.7 else "val" if drawn < 0.8 else "test"
        return "train" if drawn < 7 / 8 else "val"

    def tasks(self) -> Iterator[TaskLine]:
        """Yield the task of each query."""
        for number, query in enumerate(self.queries.values()):
            first = query.first
            yield TaskLine(
                id=f"q{number}",
                split=query.split,
                text=first.query,
                group=first.task_name or "",
                gold=first.ground_truth,
            )

    def outcomes(self, entries: Mapping[AgentId, ModelEntry]) -> Iterator[OutcomeLine]:
        """Yield what is known of each query and model."""
        for number, query in enumerate(self.queries.values()):
            for model, line in query.lines.items():
                yield OutcomeLine(
                    task=f"q{number}",
                    agent=model,
                    quality=line.performance or 0.0,
                    input_tokens=line.input_tokens,
                    output_tokens=line.output_tokens,
                    cost_usd=_cost(line, entries.get(model, ModelEntry())),
                    latency_s=line.response_time,
                )

    def responses(self) -> Iterator[ResponseLine]:
        """Yield the answers that are there."""
        for number, query in enumerate(self.queries.values()):
            for model, line in query.lines.items():
                if line.response is not None:
                    yield ResponseLine(task=f"q{number}", agent=model, text=line.response)

    def told(self, agents: int) -> Converted:
        """Return what became of the lines."""
        return Converted(
            tasks=len(self.queries),
            agents=agents,
            outcomes=sum(len(query.lines) for query in self.queries.values()),
            repeated=self._repeated,
            unscored=self._unscored,
            shared=self._shared,
        )


def _key(line: RoutingLine) -> str:
    """Return what makes lines those of one task: the query but for case and spaces, so that none is in two splits."""
    return " ".join(line.query.casefold().split())


def _cost(line: RoutingLine, entry: ModelEntry) -> float | None:
    read, written = line.input_tokens, line.output_tokens
    if read is None or written is None or entry.input_price is None or entry.output_price is None:
        return None
    return (read * entry.input_price + written * entry.output_price) / 1e6
