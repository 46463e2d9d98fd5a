"""What came of test tasks is opened by one function of the bench, and is nowhere in memory before."""

import ast
import gc
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from agentmesh.bench.material import part_of
from agentmesh.bench.opening import open_outcomes
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import RecordedSetError
from agentmesh.recorded import AgentLine, OutcomeLine, ResponseLine, SetInfo, TaskLine, load_set, write_set

ROOT = Path(__file__).parents[2]
SEALED = "agentmesh.recorded.sealed"
SECRETS = ("SEALED-GOLD", "SEALED-GROUP", "SEALED-ANSWER", "SEALED-RESPONSE")
SECRET_QUALITY, SECRET_COST = 0.12345678, 0.87654321


def sources(word: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the files that a word stands in: no other can import or use what is named by it."""
    for folder in ("agentmesh", "benchmarks", "examples", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            if word in (text := path.read_text(encoding="utf-8")):
                yield path, ast.parse(text)


def imports_of(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def attributes_of(tree: ast.Module) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def test_one_module_imports_the_sealed_reader() -> None:
    found = [path for path, tree in sources("sealed") if any(name.startswith(SEALED) for name in imports_of(tree))]
    assert names(found) == ["agentmesh/bench/opening.py"]


def test_the_unguarded_reader_is_used_inside_the_recorded_package_alone() -> None:
    found = [path for path, tree in sources("_read_split") if "_read_split" in attributes_of(tree)]
    assert sorted(names(found)) == ["agentmesh/recorded/reader.py", "agentmesh/recorded/sealed.py"]


def test_nothing_but_the_bench_uses_its_opening() -> None:
    opening = "agentmesh.bench.opening"
    users = [path for path, tree in sources("opening") if any(name.startswith(opening) for name in imports_of(tree))]
    assert all(name.startswith("agentmesh/bench/") for name in names(users))
    assert users


@pytest.fixture
def sealed_set(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    tasks = [
        TaskLine(id="t1", split="train", text="one", group="open", gold="1"),
        TaskLine(id="t2", split="val", text="two", group="open", gold="2"),
        TaskLine(id="t3", split="test", text="three", group="SEALED-GROUP", gold="SEALED-GOLD"),
    ]
    outcomes = [
        OutcomeLine(task="t1", agent="a", quality=1.0, cost_usd=0.1),
        OutcomeLine(task="t3", agent="a", quality=SECRET_QUALITY, cost_usd=SECRET_COST, answer="SEALED-ANSWER"),
        OutcomeLine(task="t2", agent="a", quality=0.5, cost_usd=0.1),
    ]
    write_set(
        folder,
        SetInfo(name="sealed", kind="outcomes"),
        agents=[AgentLine(id="a", description="Answers.")],
        tasks=tasks,
        outcomes=outcomes,
        responses=[
            ResponseLine(task="t1", agent="a", text="open"),
            ResponseLine(task="t3", agent="a", text="SEALED-RESPONSE"),
        ],
    )
    return folder


def reachable(*roots: object) -> list[object]:
    """Return every object that can be reached from ``roots``, modules and types left out."""
    seen: dict[int, object] = {}
    waiting: list[object] = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, ModuleType | type):
            continue
        seen[id(thing)] = thing
        waiting.extend(gc.get_referents(thing))
        if isinstance(thing, np.ndarray):
            waiting.extend(thing.ravel().tolist())
    return list(seen.values())


def secrets_in(*roots: object) -> set[object]:
    things = reachable(*roots)
    texts = {thing for thing in things if isinstance(thing, str) and thing in SECRETS}
    numbers = {thing for thing in things if isinstance(thing, float) and thing in (SECRET_QUALITY, SECRET_COST)}
    return texts | numbers


def test_a_loaded_set_and_its_fit_view_hold_nothing_of_the_test_split(sealed_set: Path) -> None:
    recorded = load_set(sealed_set)
    loaded = [recorded, recorded.fit_view(), recorded.responses("train")]
    assert secrets_in(*loaded) == set()
    assert {"one", "open", 0.5} <= {thing for thing in reachable(*loaded) if isinstance(thing, str | float)}


def test_the_bench_opens_them(sealed_set: Path) -> None:
    opened = secrets_in(open_outcomes(load_set(sealed_set), "test"))
    assert opened == {"SEALED-GOLD", "SEALED-GROUP", "SEALED-ANSWER", SECRET_QUALITY, SECRET_COST}


def test_nothing_that_was_recorded_reaches_what_a_router_sees(sealed_set: Path) -> None:
    part = part_of(open_outcomes(load_set(sealed_set), "test"), HashingEmbedder(dimension=64))
    assert secrets_in(part) == {"SEALED-GOLD", "SEALED-GROUP", "SEALED-ANSWER", SECRET_QUALITY, SECRET_COST}
    assert secrets_in(part.features) == set()


def test_asking_the_set_itself_for_its_test_rows_is_refused(sealed_set: Path) -> None:
    with pytest.raises(RecordedSetError, match="'test' cannot be opened here"):
        load_set(sealed_set).open("test")  # type: ignore[arg-type]
