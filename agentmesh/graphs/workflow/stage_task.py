"""What a stage is asked, out of the workflow's task and of what the stages before it answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from agentmesh.errors import AgentMeshError
from agentmesh.graphs.intake import as_task
from agentmesh.graphs.memory import RunMemory
from agentmesh.graphs.place import Place
from agentmesh.graphs.workflow.conditions import TASK, Answers, Condition, Over, as_texts
from agentmesh.graphs.workflow.spec import ITEM, Stage, Workflow
from agentmesh.graphs.workflow.template import filled, names_in
from agentmesh.records import ContextItem, RunStatus, Task
from agentmesh.types import AgentId, RunId


@dataclass(frozen=True, slots=True)
class Given:
    """One answer, the run that it came of, and who gave it, as far as that is known."""

    text: str
    run_id: RunId
    agent_id: AgentId | None


@dataclass(frozen=True, slots=True)
class StageEnd:
    """How a stage ended, or one round or one part of it.

    ``status`` is ``None`` where it was passed over; ``given`` are the answers that stand, several where it was mapped
    over items. ``rests_on`` are the runs, by stage, that these answers were made of. ``again`` asks for another round.
    ``run_id`` is the run that did it, if there was one and it was one, and ``cost_usd`` what that cost.
    """

    stage: str
    part: int = 0
    status: RunStatus | None = None
    given: tuple[Given, ...] = ()
    reason: str = ""
    rests_on: Mapping[str, tuple[RunId, ...]] = field(default_factory=dict)
    again: bool = False
    run_id: RunId | None = None
    cost_usd: Decimal | None = Decimal(0)

    @property
    def answer(self) -> str | None:
        """Return the answers as one text, ``None`` where there is none."""
        return "\n\n".join(one.text for one in self.given) if self.given else None

    @property
    def waits(self) -> bool:
        """Return whether it waits for a person, or for a stage that does."""
        return self.status is RunStatus.WAITING

    @property
    def failed(self) -> bool:
        """Return whether it was done and came to no answer of its own."""
        return self.status not in (None, RunStatus.COMPLETED, RunStatus.WAITING)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when a stage begins: the newest end of each stage, and the number of its round or part."""

    workflow: Workflow
    task: Task
    ends: Mapping[str, StageEnd]
    stage: Stage
    part: int = 0
    item: str | None = None

    @property
    def in_later_round(self) -> bool:
        """Return whether this is a round of a loop after the first."""
        return self.part > 0 and self.stage.name in self.workflow.loops

    def answers(self) -> Answers:
        """Return the answers of the stages before this one, those of its loop too, and the text of the task."""
        known = {*self.workflow.order.ancestors[self.stage.name], *self._round_before()}
        found = {name: end.answer for name, end in self.ends.items() if name in known}
        return {TASK: self.task.text, **{name: text for name, text in found.items() if text is not None}}

    def prompt(self) -> str:
        """Return what its agents are asked, its places still empty."""
        return self.stage.again if self.in_later_round and self.stage.again else self.stage.prompt

    def previous(self) -> AgentId:
        """Return who answered right before this stage, "" where that was nobody."""
        for name in self.stage.after:
            given = self.ends[name].given if name in self.ends else ()
            if given:
                return given[0].agent_id or ""
        return ""

    def place(self, parent: RunId) -> Place:
        """Return where its run stands."""
        layer = self.workflow.order.layers[self.stage.name]
        return Place(parent=parent, stage=self.stage.name, layer=layer, previous=self.previous())

    def rests_on(self) -> dict[str, tuple[RunId, ...]]:
        """Return the runs, by stage, that its task is made of; of several rounds of a stage the last."""
        found: dict[str, tuple[RunId, ...]] = {}
        for name in [*sorted(self._round_before()), *self.stage.after]:
            end = self.ends.get(name)
            if end is not None and end.given:
                found.update(end.rests_on)
        return found

    def condition_holds(self, condition: object, own: str | None = None) -> bool:
        """Evaluate a condition on what is known; ``own`` is the answer of the stage itself.

        Raises:
            Exception: whatever a callable of the user's raises.
        """
        answers = self.answers() if own is None else {**self.answers(), self.stage.name: own}
        if isinstance(condition, Condition):
            default = self.stage.name if own is not None else (self.stage.after or (TASK,))[0]
            return condition.holds(answers.get(condition.of or default))
        assert callable(condition)  # noqa: S101 - the record has checked it
        return bool(condition(answers))

    def items(self) -> tuple[str, ...]:
        """Return what the stage is mapped over.

        Raises:
            ConfigError: there is no list to be had.
            Exception: whatever a callable of the user's raises.
        """
        over = self.stage.over
        if isinstance(over, Over):
            return over.items(self.answers().get(over.stage), self.task.inputs)
        assert over is not None  # noqa: S101 - only a stage that is mapped comes here
        return as_texts(over(self.answers()))

    def child_task(self) -> Task:
        """Return the task of this stage.

        Raises:
            ConfigError: its text is too long, or cannot be stored.
        """
        task, stage = self.task, self.stage
        texts = {**dict.fromkeys(names_in(self.prompt()), ""), **self.answers()}
        if self.item is not None:
            texts[ITEM] = self.item
        inputs = {name: value for name, value in task.inputs.items() if name not in _mapped_over(self.workflow)}
        return as_task(
            Task(
                text=filled(self.prompt(), texts),
                inputs=inputs if self.item is None else {**inputs, ITEM: self.item},
                type_hints=stage.type_hints or task.type_hints,
                required_skills=task.required_skills | set(stage.skills),
                required_flags=task.required_flags | set(stage.flags),
                turns=task.turns if not stage.after else (),
                context=self.context(),
                objective=stage.objective or task.objective,
                preferences=(*task.preferences, *stage.preferences),
            )
        )

    def context(self) -> tuple[ContextItem, ...]:
        """Return the task's own context and the answers before this stage that its prompt does not name."""
        named = {*names_in(self.prompt())}
        wanted = {*self._wanted()} - named
        # of what stands beside this stage nothing is remembered: whether it was there yet is a matter of time
        memory = remembered(self.workflow, {name: end for name, end in self.ends.items() if name in wanted})
        earlier = memory.items(after=self.stage.after)
        keys = {item.key for item in earlier}
        return (*(item for item in self.task.context if item.key not in keys), *earlier)

    def _wanted(self) -> Sequence[str]:
        if self.stage.context == "none":
            return ()
        before = self.workflow.order.ancestors[self.stage.name] if self.stage.context == "all" else self.stage.after
        return (*before, *self._round_before())

    def _round_before(self) -> tuple[str, ...]:
        """Return the stages of the loop, in a round after the first: what they answered last is known."""
        if not self.in_later_round:
            return ()
        loops = self.workflow.loops
        return tuple(name for name, end in loops.items() if end == loops[self.stage.name])


def remembered(workflow: Workflow, ends: Mapping[str, StageEnd]) -> RunMemory:
    """Return what stages have found, each answer under the name of its stage, in the order of the workflow.

    The parts of a stage that was mapped over items stand under ``name.0``, ``name.1`` and so on.
    """
    names = workflow.order.names
    memory = RunMemory(stages=names)
    for end in (ends[name] for name in names if name in ends):
        is_mapped = workflow.by_name[end.stage].over is not None
        for place, one in enumerate(end.given):
            key = f"{end.stage}.{place}" if is_mapped else end.stage
            memory.write(key, one.text, stage=end.stage, agent_id=one.agent_id)
    return memory


def joined(stage: Stage, parts: Sequence[StageEnd], before: Mapping[str, tuple[RunId, ...]]) -> StageEnd:
    """Return the parts of a mapped stage as one end: the first failure is its own, unless it may be skipped."""
    given = tuple(one for part in parts for one in part.given)
    bad = next((part for part in parts if part.waits), None) or next((part for part in parts if part.failed), None)
    rests_on = {**before, stage.name: tuple(one.run_id for one in given)}
    end = StageEnd(stage.name, status=RunStatus.COMPLETED, given=given, rests_on=rests_on)
    if bad is None or (not bad.waits and given and stage.on_failure == "skip"):
        return end
    return replace(end, status=bad.status, reason=f"part {bad.part}: {bad.reason}" if bad.reason else "")


def told(error: Exception) -> str:
    """Return an error as a trace tells it; ours say all by themselves."""
    return str(error) if isinstance(error, AgentMeshError) else f"{type(error).__name__}: {error}"


def _mapped_over(workflow: Workflow) -> set[str]:
    """Return the inputs that stages are mapped over; they are handed on item by item, not whole."""
    return {stage.over.inputs for stage in workflow.stages if isinstance(stage.over, Over)}
