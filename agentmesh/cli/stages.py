"""The stages of a run of a workflow, in lines."""

from typing import TYPE_CHECKING

from agentmesh.display import escape_line, seconds, shorten, usd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentmesh.events import Event
    from agentmesh.records import Run, StageRun
    from agentmesh.store import TraceStore
    from agentmesh.types import RunId


def children_of(store: "TraceStore", events: "Sequence[Event]") -> "Mapping[RunId, Sequence[Event]]":
    """Return the traces of the runs that the stages in a trace were done by, in the order in which they began.

    A stage that failed before its run had begun has none.
    """
    from agentmesh.errors import RunNotFoundError
    from agentmesh.events import StageStarted

    found = {}
    for event in events:
        if isinstance(event, StageStarted):
            try:
                found[event.child] = store.events(event.child)
            except RunNotFoundError:
                continue
    return found


def stage_lines(events: "Sequence[Event]", traces: "Mapping[RunId, Sequence[Event]]") -> list[str]:
    """Tell the stages of a workflow in the order in which they ended, then those that have not; none for other runs."""
    from agentmesh.events import StageFinished, StageStarted, fold

    children = {run_id: fold(trace) for run_id, trace in traces.items()}
    ended = [event.result for event in events if isinstance(event, StageFinished)]
    over = {(result.stage, result.part) for result in ended}
    left = [event for event in events if isinstance(event, StageStarted) and (event.stage, event.part) not in over]
    lines = [line for result in ended for line in _ended(result, children)]
    for event in left:
        run = children.get(event.child)
        lines.append(f"{event.stage}{_part(event.part)} {'lost' if run is None else run.status.value} | {event.child}")
    return ["Stages", *lines] if lines else []


def _ended(result: "StageRun", children: "Mapping[RunId, Run]") -> list[str]:
    run = None if result.run_id is None else children.get(result.run_id)
    status = "passed over" if result.status is None else result.status.value.replace("_", " ")
    parts = [f"{result.stage}{_part(result.part)} {status}"]
    if run is not None:
        agents = ", ".join(run.answered_by) or "nobody"
        parts += [agents, usd(run.cost_usd), seconds(run.elapsed_s), run.id]
    parts += [escape_line(result.reason)] if result.reason else []
    lines = [" | ".join(parts)]
    return lines if result.answer is None else [*lines, f"  {shorten(result.answer, 100)}"]


def _part(part: int) -> str:
    return f" ({part + 1})" if part else ""
