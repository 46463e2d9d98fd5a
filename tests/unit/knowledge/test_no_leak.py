"""Right answers have no way into the package: no name, field or type of it could hold one."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import pytest
from pydantic import BaseModel

import agentmesh.knowledge

FORBIDDEN_NAME = re.compile(r"gold|answer|label|expected|correct|truth", re.IGNORECASE)
FORBIDDEN_TYPE = re.compile(r"\b(Task|Feedback|Answer|RecordedSet|Rows|TaskLine|Run|AgentCall)\b")


def public() -> Iterator[tuple[str, object]]:
    for found in pkgutil.iter_modules(agentmesh.knowledge.__path__):
        module = importlib.import_module(f"agentmesh.knowledge.{found.name}")
        for name, value in vars(module).items():
            if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__:
                yield f"{found.name}.{name}", value


def parts(value: object) -> Iterator[tuple[str, str]]:
    """Yield the names and annotations of the parameters and fields of a function or class, and of its methods."""
    if inspect.isfunction(value):
        for parameter in inspect.signature(value).parameters.values():
            yield parameter.name, str(parameter.annotation)
    if not inspect.isclass(value):
        return
    if is_dataclass(value):
        yield from ((field.name, str(field.type)) for field in fields(value))
    if issubclass(value, BaseModel):
        yield from ((name, str(field.annotation)) for name, field in value.model_fields.items())
    for name, member in vars(value).items():
        yield name, ""
        yield from parts(member.__func__ if isinstance(member, classmethod) else member)


PUBLIC = dict(public())


def test_the_walk_sees_the_package():
    assert {"builder.KnowledgeBuilder", "query.query_edges", "tensors.GraphTensors", "nodes.TaskNode"} <= set(PUBLIC)
    assert ("quality", "<class 'float'>") in set(parts(PUBLIC["builder.KnowledgeBuilder"]))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_nothing_public_could_hold_a_right_answer(name):
    for part, annotation in parts(PUBLIC[name]):
        assert not FORBIDDEN_NAME.search(part), part
        assert not FORBIDDEN_TYPE.search(annotation), f"{part}: {annotation}"


def test_a_query_takes_neither_a_name_nor_outcomes():
    assert list(inspect.signature(agentmesh.knowledge.query_edges).parameters) == [
        "graph",
        "text",
        "vector",
        "k",
        "extractor",
    ]
