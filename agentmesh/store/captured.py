"""What of events, scores, experiences and faults is content, and how a policy has them kept.

Every field of text that a store is handed is named here: as content of some part, or as a name. Names stay as they are,
since traces are found and joined by them: ids, agents, stages, checks, routers and models.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeVar

from agentmesh.approvals import CLOCK, ApprovalReply, ApprovalRequest
from agentmesh.capture import Capture, Part
from agentmesh.contexts import ContextItem, SlicedItem
from agentmesh.decisions import Candidate, Evidence, Reasoning, RouteDecision, Stage
from agentmesh.events import (
    AnswerChecked,
    AnswerRefined,
    RunFinished,
    RunResumed,
    RunStarted,
    TaskPrepared,
    WaveStarted,
)
from agentmesh.preferences import Preference
from agentmesh.records import (
    AgentCall,
    Answer,
    Conflict,
    Dropped,
    Experience,
    Feedback,
    LearningFault,
    Position,
    Record,
    RouterMark,
    StageRun,
    Task,
    Turn,
)
from agentmesh.types import JsonValue

R = TypeVar("R", bound=Record)
Fields: TypeAlias = Mapping[str, Part]

CONTENT: Final[Mapping[type[Record], Fields]] = {
    AgentCall: {"error": "errors"},
    Answer: {"text": "answers", "data": "answers"},
    AnswerChecked: {"reason": "reasons"},
    AnswerRefined: {"answer": "answers", "agreed": "answers", "note": "reasons"},
    ApprovalReply: {"by": "notes", "text": "notes", "note": "notes"},
    ApprovalRequest: {"text": "task", "reason": "reasons"},
    Candidate: {"gate": "hints"},
    Conflict: {"explanation": "reasons"},
    ContextItem: {"key": "context", "text": "context"},
    Dropped: {"text": "answers", "why": "reasons"},
    Evidence: {"name": "hints", "text": "task"},
    Experience: {"text": "task", "type_hints": "hints"},
    LearningFault: {"message": "errors"},
    Position: {"text": "answers"},
    Reasoning: {"reply": "replies", "reason": "replies", "repairs": "replies", "fault": "replies"},
    RouteDecision: {"reason": "reasons", "intent": "hints"},
    RouterMark: {"note": "notes"},
    RunFinished: {"answer": "answers", "error": "errors"},
    RunResumed: {"reason": "notes"},
    SlicedItem: {"key": "context", "why": "reasons"},
    Stage: {"note": "reasons"},
    StageRun: {"answer": "answers", "reason": "errors"},
    Task: {
        "text": "task",
        "id": "task",
        "inputs": "task",
        "preferences": "task",
        "type_hints": "hints",
        "required_skills": "hints",
        "required_flags": "hints",
    },
    TaskPrepared: {"refused": "hints", "rules": "reasons", "faults": "reasons"},
    Turn: {"text": "task"},
    WaveStarted: {"reason": "reasons", "note": "reasons"},
}
"""The fields that hold content, and the part that each belongs to."""

SCORERS: Final = ("user", "verifier", "judge")
"""Who scores, as the first word of a source says it: what else stands there is a name that somebody made up."""


def captured(record: R, capture: Capture) -> R:
    """Return a record as it is kept: content replaced as the policy says, wherever it stands in it."""
    fields, changes = CONTENT.get(type(record), {}), dict[str, Any]()
    for name, value in record:
        part = fields.get(name)
        kept = _nested(value, capture) if part is None else _content(record, name, value, part, capture=capture)
        if kept is not value:
            changes[name] = kept
    if isinstance(record, RunStarted):
        changes["capture"] = capture.policy
    if isinstance(record, Feedback | Experience | LearningFault):
        changes["source"] = captured_source(record.source, capture)
    return record.model_copy(update=changes) if changes else record


def captured_source(source: str, capture: Capture) -> str:
    """Return who scored as it is kept: by rule, as judge and as ``user`` by name, others as what a person said.

    Where it would not be kept at all, its kind is: two that nobody can tell apart are one source to the store.

    >>> none = Capture(content="none")
    >>> captured_source("verifier:exact", none), captured_source("ann@example.com", none)
    ('verifier:exact', '[not kept]')
    """
    is_known = source.partition(":")[0] in SCORERS[1:] or source in SCORERS
    return source if is_known and not capture.keeps("notes") else capture.text("notes", source)


def _nested(value: Any, capture: Capture) -> Any:
    if isinstance(value, Record):
        return captured(value, capture)
    if isinstance(value, tuple) and value and isinstance(value[0], Record):
        return tuple(captured(one, capture) for one in value)
    return value


def _content(record: Record, name: str, value: Any, part: Part, *, capture: Capture) -> Any:
    """Return a field of content as it is kept."""
    if value is None or (name == "by" and value == CLOCK) or (_is_id(record) and name == "name"):
        return value
    if name == "inputs":
        return _inputs(value, part, capture)
    if name == "data":
        return capture.json_value(part, value)
    if name == "preferences":
        return tuple(rule for rule in value if _is_kept_whole(rule, capture))
    if name in ("gate", "refused"):
        return _gates(value, capture)
    return _texts(value, part, capture)


def _texts(value: Any, part: Part, capture: Capture) -> Any:
    if isinstance(value, str):
        return capture.text(part, value)
    if isinstance(value, Mapping):
        return {capture.text(part, key): item for key, item in value.items()}
    return type(value)(capture.text(part, one) for one in value)


def _is_id(record: Record) -> bool:
    """Return whether a record is evidence named by a run, and not by a word of its task."""
    return isinstance(record, Evidence) and record.kind == "task"


def _inputs(inputs: Mapping[str, JsonValue], part: Part, capture: Capture) -> JsonValue:
    kept = capture.json_value(part, dict(inputs)) if inputs else {}
    if isinstance(kept, dict):
        return kept
    return {} if capture.content == "none" else {"hashed": kept}


def _is_kept_whole(rule: Preference, capture: Capture) -> bool:
    """Return whether a rule of the task's own is kept: one with other words in it would be another rule."""
    return capture.keeps("task") and capture.text("task", rule.model_dump_json()) == rule.model_dump_json()


def _gates(value: Any, capture: Capture) -> Any:
    """Return gates as they are kept: those that a task's skills and flags close are called by these."""
    if isinstance(value, Mapping):
        return {agent_id: _gates(gate, capture) for agent_id, gate in value.items()}
    kind, colon, wanted = value.partition(":")
    return f"{kind}{colon}{capture.text('hints', wanted)}"
