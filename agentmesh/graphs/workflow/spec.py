"""What a workflow is: its stages, what each is asked, by whom, and in what order."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from agentmesh.agents.refiner import Refiner
from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.graphs.team import Team
from agentmesh.graphs.workflow.conditions import TASK, Condition, Itemizer, Over, Predicate
from agentmesh.graphs.workflow.order import Order, check_loop, check_order
from agentmesh.graphs.workflow.template import names_in
from agentmesh.preferences import Preference
from agentmesh.records import Limits, Objective
from agentmesh.types import AgentId, JsonValue

WORKFLOW: Final = "workflow"
"""The name under which stores keep workflows, as they keep the parameters of routers."""

ITEM: Final = "item"
MOST_STAGES: Final = 100
MOST_ITEMS: Final = 100  # of a map that does not say how many; each is a run of its own
MOST_OF_ALL: Final = 10_000
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
_LIVE: Final = ("when", "until", "over", "refiner")  # what may hold a callable, which no store keeps


class Stage(Record):
    """One stage of a workflow: a task that is routed by itself, to agents, preferences and limits of its own.

    It begins when all stages in ``after`` have ended; stages without an order between them run at once. A stage of
    which none of those before it gave an answer is passed over.

    Attributes:
        name: What others call it: a letter, then letters, digits, "_" and "-".
        prompt: What its agents are asked. ``{task}`` stands for the text of the workflow's task, ``{name}`` for the
            answer of a stage before it (nothing where it gave none), ``{item}`` for the item that it is mapped over.
        again: What they are asked in the rounds of a loop after the first; it may also name the stages of the loop,
            itself among them, for their last answers. By default ``prompt``.
        after: The stages that it comes right after.
        agents: The only agents that may act; by default all of the mesh.
        skills: What its agents must be able to do, beside what the task requires.
        flags: The policy flags that its agents must have, beside those the task requires.
        type_hints: What kind of task it is; by default that of the workflow's task.
        objective: What its quality, cost and latency weigh; by default as in the workflow's task.
        preferences: Rules for it alone, beside those of the task and the mesh.
        limits: Its own limits, within those of the whole.
        refiner: Makes one answer of several, in the place of the mesh's.
        team: Asks its agents in waves, in the place of the mesh's.
        context: What of the answers before it goes into ``Task.context``, as far as the prompt does not name it:
            of the stages right before it, of all before it, or nothing.
        over: What it is mapped over: an :class:`Over`, or a callable that takes the answers so far and returns a
            list. Each item is a run of its own, all at once; their answers are joined by empty lines.
        when: Whether it takes place: a :class:`Condition`, or a callable that takes the answers so far.
        until: It is done again until this holds: a :class:`Condition`, by default on its own answer, or a callable.
        back_to: The stage from which the loop runs again; by default this one.
        most: The most rounds of a loop (required there), or the most items of a map (100 unless given).
        on_failure: Whether the workflow stops where it gives no answer, or goes on without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    prompt: str = "{task}"
    again: str = ""
    after: tuple[str, ...] = ()
    agents: tuple[AgentId, ...] | None = None
    skills: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    type_hints: tuple[str, ...] = ()
    objective: Objective | None = None
    preferences: tuple[Preference, ...] = ()
    limits: Limits | None = None
    refiner: Refiner | None = None
    team: Team | None = None
    context: Literal["after", "all", "none"] = "after"
    over: Over | Itemizer | None = None
    when: Condition | Predicate | None = None
    until: Condition | Predicate | None = None
    back_to: str = ""
    most: int | None = Field(default=None, ge=1, le=MOST_OF_ALL)
    on_failure: Literal["stop", "skip"] = "stop"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not _NAME.fullmatch(self.name) or self.name in (TASK, ITEM):
            raise ConfigError(
                f"a stage is called {self.name!r}; expected a letter, then up to 59 letters, digits, '_' or '-', and "
                f"neither {TASK!r} nor {ITEM!r}"
            )
        if self.agents == ():
            raise ConfigError(f"stage {self.name!r} has agents=(); leave it out for all agents of the mesh")
        if not self.prompt.strip():
            raise ConfigError(f"the prompt of stage {self.name!r} is {self.prompt!r}; say what is asked")
        self._check_repeats()
        return self

    def _check_repeats(self) -> None:
        if self.until is not None and self.over is not None:
            raise ConfigError(f"stage {self.name!r} has over= and until=; give them to two stages")
        if self.until is not None and self.most is None:
            raise ConfigError(f"the loop of stage {self.name!r} has no bound; give the most rounds as most=")
        if self.until is None and self.back_to:
            raise ConfigError(f"stage {self.name!r} goes back to {self.back_to!r} and has no until=; say when it ends")
        if self.until is None and self.over is None and self.most is not None:
            raise ConfigError(f"stage {self.name!r} has most={self.most!r}, and neither over= nor until=")
        if ITEM in names_in(self.prompt) and self.over is None:
            raise ConfigError(f"the prompt of stage {self.name!r} names {{item}}, and it has no over=")

    @property
    def head(self) -> str:
        """Return where its loop begins."""
        return self.back_to or self.name

    @property
    def most_items(self) -> int:
        """Return how many items it may be mapped over."""
        return MOST_ITEMS if self.most is None else self.most


class Workflow(Record):
    """Stages with an order, checked as it is made.

    Attributes:
        stages: The stages, each with a name of its own.
        output: The stage whose answer is the workflow's.
        name: What people call it.

    Raises:
        ConfigError: stages share a name, come after one another in a cycle or after one that does not exist; a prompt
            or a condition names a stage that is not before it; or the output does not hang on one of them.

    >>> write = Stage(name="write", prompt="Write on {task}.")
    >>> flow = Workflow(stages=[write, Stage(name="check", prompt="Check: {write}", after=("write",))], output="check")
    >>> flow.order.names, len(flow.fingerprint)
    (('write', 'check'), 12)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    stages: tuple[Stage, ...] = Field(min_length=1, max_length=MOST_STAGES)
    output: str
    name: str = ""

    if TYPE_CHECKING:  # type checkers do not know that the validator takes any iterable

        def __init__(self, *, stages: Iterable[Stage], output: str, name: str = "") -> None: ...

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [stage.name for stage in self.stages]
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise ConfigError(f"two stages are called {twice!r}; give each a name of its own")
        check_order(self.order.after)
        if self.output not in names:
            raise ConfigError(f"the output is {self.output!r}, which is no stage; there are {sorted(names)}")
        self._check_loops()
        for stage in self.stages:
            self._check_names(stage)
        self._check_purpose()
        return self

    @cached_property
    def order(self) -> Order:
        """Return what comes before what."""
        return Order({stage.name: stage.after for stage in self.stages})

    @cached_property
    def by_name(self) -> Mapping[str, Stage]:
        """Return the stages by name."""
        return {stage.name: stage for stage in self.stages}

    @cached_property
    def loops(self) -> Mapping[str, str]:
        """Return, for each stage inside a loop, the stage that ends the loop."""
        ends = [(stage, check_loop(self.order, stage.head, stage.name)) for stage in self.stages if stage.until]
        return {name: stage.name for stage, body in ends for name in sorted(body)}

    @cached_property
    def fingerprint(self) -> str:
        """Return 12 hexadecimal digits that name its stages, their prompts and their order; callables by name."""
        return blake2b(self.as_json().encode(), digest_size=6).hexdigest()

    def as_json(self) -> str:
        """Return it as JSON text; a callable or a refiner is in it by name, and cannot be built from that."""
        return json.dumps(
            {"stages": [_plain(stage) for stage in self.stages], "output": self.output, "name": self.name}
        )

    def _check_loops(self) -> None:
        inside: dict[str, str] = {}
        for stage in self.stages:
            if stage.until is None:
                continue
            if stage.head not in self.by_name:
                raise ConfigError(f"stage {stage.name!r} goes back to {stage.head!r}, which is no stage")
            for name in sorted(check_loop(self.order, stage.head, stage.name)):
                if name in inside:
                    raise ConfigError(f"stage {name!r} is in the loops of {inside[name]!r} and {stage.name!r}")
                if self.by_name[name].over is not None:
                    raise ConfigError(f"stage {name!r} is in the loop of {stage.name!r}, so it cannot have over=")
                inside[name] = stage.name
        outside = next((stage for stage in self.stages if stage.again and stage.name not in inside), None)
        if outside is not None:
            raise ConfigError(f"stage {outside.name!r} has again=, and is in no loop")

    def _check_names(self, stage: Stage) -> None:
        """See that a stage names only what is known when it begins."""
        before = self.order.ancestors[stage.name]
        again = {name for name, end in self.loops.items() if end == self.loops.get(stage.name, "")}
        _check_known(f"the prompt of stage {stage.name!r}", names_in(stage.prompt), {TASK, ITEM, *before})
        _check_known(f"again= of stage {stage.name!r}", names_in(stage.again), {TASK, *before, *again})
        if isinstance(stage.when, Condition) and stage.when.of:
            _check_known(f"when= of stage {stage.name!r}", [stage.when.of], {TASK, *before})
        if isinstance(stage.until, Condition) and stage.until.of:
            _check_known(f"until= of stage {stage.name!r}", [stage.until.of], {TASK, *before, stage.name})
        if isinstance(stage.over, Over) and stage.over.stage:
            _check_known(f"over= of stage {stage.name!r}", [stage.over.stage], before)

    def _check_purpose(self) -> None:
        """See that the output hangs on every stage, if only because they share a loop."""
        needed = {self.output, *self.order.ancestors[self.output]}
        for name in [name for name, end in self.loops.items() if needed & self._body(end)]:
            needed |= {name, *self.order.ancestors[name]}
        idle = next((stage.name for stage in self.stages if stage.name not in needed), None)
        if idle is not None:
            raise ConfigError(f"the output {self.output!r} does not hang on stage {idle!r}; take it out, or use it")

    def _body(self, end: str) -> set[str]:
        return {name for name, other in self.loops.items() if other == end}


def workflow_of(text: str) -> Workflow:
    """Build a workflow from the JSON text that a store keeps.

    Raises:
        ConfigError: it holds something that is stored by name alone.
    """
    fields = json.loads(text)
    for stage in fields["stages"]:
        for name in _LIVE:
            if isinstance(stage[name], str):
                raise ConfigError(
                    f"{name}= of stage {stage['name']!r} is {stage[name]!r}, of which only the name is stored; pass "
                    "the workflow itself"
                )
    try:
        return Workflow.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"a stored workflow cannot be read: {error}") from error


def _check_known(where: str, named: Iterable[str], known: Iterable[str]) -> None:
    accepted = set(known)
    for name in named:
        if name not in accepted:
            raise ConfigError(f"{where} names {name!r}; expected one of {sorted(accepted)}")


def _plain(stage: Stage) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = stage.model_dump(mode="json", exclude={*_LIVE, "limits"})
    # a limit that was not set is not written, since one that is set stands above those of the mesh
    fields["limits"] = None if stage.limits is None else stage.limits.model_dump(mode="json", exclude_unset=True)
    for name in _LIVE:
        value: Record | Callable[..., object] | Refiner | None = getattr(stage, name)
        fields[name] = _name_of(value) if value is not None and not isinstance(value, Record) else _dumped(value)
    return fields


def _dumped(value: Record | None) -> JsonValue:
    return None if value is None else value.model_dump(mode="json")


def _name_of(value: object) -> str:
    if isinstance(value, Refiner):
        return value.name
    return f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', type(value).__qualname__)}"
