"""Makes the spans of one run of its events, as they happen or as they were stored: the same ones, with the same ids."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    ApprovalAsked,
    ApprovalGiven,
    CallFinished,
    CallStarted,
    ContextSliced,
    DecisionMade,
    Event,
    FeedbackGiven,
    RunFinished,
    RunResumed,
    RunStarted,
    StageFinished,
    StageStarted,
    StageWaiting,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.records import CallStatus, Reasoning, RunStatus, Usage
from agentmesh.telemetry import attributes as tell
from agentmesh.telemetry.content import answer_content, cut, task_content, texts
from agentmesh.telemetry.open_spans import RUN, BegunSpan, Ending, Key, OpenSpans
from agentmesh.telemetry.spans import Anchor, Attributes, FinishedSpan, clean
from agentmesh.types import AgentId, RunId

PREPARE: Final[Key] = ("prepare",)
ROUTE: Final[Key] = ("route",)
REASONING: Final[Key] = ("reasoning",)
REFINE: Final[Key] = ("refine",)

ENDED_WELL: Final = (None, RunStatus.COMPLETED, RunStatus.ABSTAINED)
NO_ERROR: Final = (CallStatus.OK, CallStatus.REFUSED)
"""A call that a limit, a check or a person kept from being made is no error of anybody."""

UNFINISHED: Final[Attributes] = {"agentmesh.unfinished": True}


class RunSpans:
    """The spans of one run, as its events come in.

    A run whose beginning was not told (it goes on in another process) begins with the first event that is.

    Args:
        run_id: The run.
        parent: What it hangs from, in whose trace it is then; a trace of its own by default.
        content: Also tell what people and agents wrote.
    """

    def __init__(self, run_id: RunId, parent: Anchor | None = None, *, content: bool = False) -> None:
        self._spans = OpenSpans(run_id, parent)
        self._content = content
        self._children: dict[RunId, Key] = {}
        self._used = Usage()
        self._calls = 0
        self._began_at = self._last_at = 0.0

    @property
    def anchor(self) -> Anchor:
        """Return where the span of the run itself is."""
        return self._spans.run

    def take(self, event: Event) -> list[FinishedSpan]:
        """Take the next event of the run, and return the spans that end with it."""
        if RUN not in self._spans:
            self._began_at = event.at
            self._spans.begin(RUN, "invoke_workflow", event.at, {tell.OPERATION: "invoke_workflow", **tell.PROVIDER})
        step = _STEPS.get(type(event))
        ended = [] if step is None else step(self, event)
        self._last_at = event.at
        return ended

    def unfinished(self, status: RunStatus) -> list[FinishedSpan]:
        """End at the last event what has not ended; ``status`` says how the run stands."""
        if RUN not in self._spans:
            return []
        told: Attributes = {"agentmesh.run.status": status.value, **UNFINISHED}
        return [*self._left_open(self._last_at), self._spans.end(RUN, self._last_at, told | self._totals())]

    def anchor_of_call(self, agent_id: AgentId, wave: int, attempt: int) -> Anchor:
        """Return where the span of a call is."""
        return self._spans.anchor_of(("call", agent_id, wave, attempt))

    def stage_of(self, child: RunId) -> Anchor | None:
        """Return where the span of the stage is that a run does, ``None`` where it does none of this run's."""
        key = self._children.get(child)
        return None if key is None else self._spans.anchor_of(key)

    # What each kind of event begins and ends.

    def _started(self, event: RunStarted) -> list[FinishedSpan]:
        told = self._with(tell.of_start(event), lambda: task_content(event.task))
        self._spans.begin(RUN, "invoke_workflow", event.at, told)
        return []

    def _prepared(self, event: TaskPrepared) -> list[FinishedSpan]:
        self._spans.begin(PREPARE, "prepare", self._began_at, tell.of_preparation(event))
        return []

    def _decided(self, event: DecisionMade) -> list[FinishedSpan]:
        decision = event.decision
        began_at = self._before(event, decision.elapsed_ms / 1000)  # both events are told after it
        ended = [self._spans.end(PREPARE, began_at, {})] if PREPARE in self._spans else []
        told = self._with(tell.of_decision(decision), lambda: texts(route_reason=decision.reason))
        ended.append(
            self._spans.whole(ROUTE, BegunSpan(f"route {decision.router}", began_at, told), event.at, Ending())
        )
        return ended if decision.reasoning is None else [*ended, self._asked_model(event, decision.reasoning)]

    def _asked_model(self, event: DecisionMade, asked: Reasoning) -> FinishedSpan:
        told = self._with(tell.of_reasoning(asked), lambda: answer_content(asked.reply))
        begun = BegunSpan(f"chat {asked.model}", self._before(event, asked.latency_s), told)
        return self._spans.whole(REASONING, begun, event.at, Ending(parent=ROUTE, is_client=True))

    def _before(self, event: Event, seconds: float) -> float:
        """Return the time so long before an event, and not before the run began."""
        return max(event.at - seconds, min(self._began_at, event.at))

    def _called(self, event: CallStarted) -> list[FinishedSpan]:
        told = tell.of_agent(event.agent_id, event.attempt, event.wave)
        key = ("call", event.agent_id, event.wave, event.attempt)
        self._spans.begin(key, f"invoke_agent {event.agent_id}", event.at, told)
        return []

    def _call_ended(self, event: CallFinished) -> list[FinishedSpan]:
        call = event.call
        self._count(Usage() if call.answer is None else call.answer.usage or Usage())
        answer = None if call.answer is None else call.answer.text
        told = self._with(tell.of_call(call), lambda: answer_content(answer) | texts(call_error=call.error))
        ending = Ending(error=None if call.status in NO_ERROR else self._words(call.error))
        key, name = ("call", call.agent_id, call.wave, call.attempt), f"invoke_agent {call.agent_id}"
        return [self._spans.end(key, event.at, told, name=name, ending=ending)]

    def _asked(self, event: ApprovalAsked) -> list[FinishedSpan]:
        request = event.request
        told = self._with(
            tell.of_approval(request), lambda: texts(approval_text=request.text, approval_reason=request.reason)
        )
        key = ("approval", request.agent_id, request.wave)
        self._spans.begin(key, f"approval {request.agent_id}", event.at, told)
        return []

    def _given(self, event: ApprovalGiven) -> list[FinishedSpan]:
        reply = event.reply
        told = self._with(
            {"agentmesh.approval.verdict": reply.verdict},
            lambda: texts(approval_by=reply.by, approval_edit=reply.text, approval_note=reply.note),
        )
        key = ("approval", reply.agent_id, reply.wave)
        return [self._spans.end(key, event.at, told, name=f"approval {reply.agent_id}")]

    def _stage_begun(self, event: StageStarted) -> list[FinishedSpan]:
        key = ("stage", event.stage, event.part)
        self._children[event.child] = key
        told: Attributes = {"agentmesh.stage.name": clean(event.stage), "agentmesh.stage.run": clean(event.child)}
        self._spans.begin(key, f"stage {event.stage}", event.at, told)
        return []

    def _stage_ended(self, event: StageFinished) -> list[FinishedSpan]:
        result, key = event.result, ("stage", event.result.stage, event.result.part)
        told = self._with(tell.of_stage(event), lambda: texts(stage_reason=result.reason))
        if result.run_id is None and key not in self._spans:
            return self._note("agentmesh.stage.passed_over", event.at, told)
        ending = Ending(error=None if result.status in ENDED_WELL else self._words(result.reason))
        return [self._spans.end(key, event.at, told, name=f"stage {result.stage}", ending=ending)]

    def _refined(self, event: AnswerRefined) -> list[FinishedSpan]:
        told = self._with(tell.of_refining(event), lambda: texts(refine_note=event.note))
        begun = BegunSpan(f"refine {event.refiner}", self._last_at or event.at, told)
        return [self._spans.whole(REFINE, begun, event.at, Ending())]

    def _ended(self, event: RunFinished) -> list[FinishedSpan]:
        told = tell.of_end(event) | self._totals()
        error = None
        if event.status not in ENDED_WELL:
            told[tell.ERROR_TYPE], error = event.status.value, self._words(event.error)
        told = self._with(told, lambda: answer_content(event.answer) | texts(run_error=event.error))
        return [*self._left_open(event.at), self._spans.end(RUN, event.at, told, ending=Ending(error=error))]

    def _scored(self, event: FeedbackGiven) -> list[FinishedSpan]:
        self._spans.drop(RUN)  # a score comes after the end, whose span has been told
        begun = BegunSpan("feedback", event.at, tell.of_feedback(event))
        return [self._spans.whole(("feedback", event.seq), begun, event.at, Ending(links=(self.anchor,)))]

    # What is a moment of the run, and no span of its own.

    def _resumed(self, event: RunResumed) -> list[FinishedSpan]:
        return self._note("agentmesh.resumed", event.at, self._with({}, lambda: texts(resumed_reason=event.reason)))

    def _wave_begun(self, event: WaveStarted) -> list[FinishedSpan]:
        told = self._with(tell.of_wave(event), lambda: texts(wave_reason=event.reason, wave_note=event.note))
        return self._note("agentmesh.wave", event.at, told)

    def _sliced(self, event: ContextSliced) -> list[FinishedSpan]:
        return self._note("agentmesh.context_sliced", event.at, tell.of_slice(event))

    def _checked(self, event: AnswerChecked) -> list[FinishedSpan]:
        told = self._with(tell.of_check(event), lambda: texts(check_reason=event.reason))
        return self._note("gen_ai.evaluation.result", event.at, told)

    def _stage_waits(self, event: StageWaiting) -> list[FinishedSpan]:
        told: Attributes = {"agentmesh.stage.name": clean(event.stage), "agentmesh.stage.part": event.part}
        return self._note("agentmesh.stage.waiting", event.at, told)

    def _note(self, name: str, at: float, told: Attributes) -> list[FinishedSpan]:
        self._spans.note(name, at, told)
        return []

    def _left_open(self, at: float) -> list[FinishedSpan]:
        return [self._spans.end(key, at, UNFINISHED) for key in self._spans.inner()]

    def _count(self, usage: Usage) -> None:
        self._calls += 1
        read, written = self._used.input_tokens, self._used.output_tokens
        self._used = Usage(input_tokens=read + usage.input_tokens, output_tokens=written + usage.output_tokens)

    def _totals(self) -> Attributes:
        told: Attributes = {"agentmesh.run.calls": self._calls}
        if self._used != Usage():
            told["gen_ai.usage.input_tokens"] = self._used.input_tokens
            told["gen_ai.usage.output_tokens"] = self._used.output_tokens
        return told

    def _with(self, told: Attributes, written: Callable[[], Attributes]) -> Attributes:
        """Return what is told, and what was written where content is told."""
        return told | written() if self._content else told

    def _words(self, error: str | None) -> str:
        """Return what an error says where content is told; that there was one in any case."""
        return cut(error or "") if self._content else ""


_STEPS: Mapping[type, Callable[[RunSpans, Any], list[FinishedSpan]]] = {
    RunStarted: RunSpans._started,
    TaskPrepared: RunSpans._prepared,
    DecisionMade: RunSpans._decided,
    WaveStarted: RunSpans._wave_begun,
    ContextSliced: RunSpans._sliced,
    AnswerChecked: RunSpans._checked,
    ApprovalAsked: RunSpans._asked,
    ApprovalGiven: RunSpans._given,
    CallStarted: RunSpans._called,
    CallFinished: RunSpans._call_ended,
    StageStarted: RunSpans._stage_begun,
    StageWaiting: RunSpans._stage_waits,
    StageFinished: RunSpans._stage_ended,
    RunResumed: RunSpans._resumed,
    AnswerRefined: RunSpans._refined,
    RunFinished: RunSpans._ended,
    FeedbackGiven: RunSpans._scored,
}
