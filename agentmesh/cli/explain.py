"""``agentmesh explain RUN``: why these agents were chosen, in words."""

from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import db_option, json_option
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentmesh.events import Event, TaskPrepared
    from agentmesh.records import Run


@click.command()
@click.argument("run_id", metavar="RUN")
@db_option
@json_option
def explain(run_id: str, db: str | None, as_json: bool) -> None:
    """Say why the agents of the stored run RUN were chosen, over whom, by what margin, and which rules spoke."""
    from agentmesh.cli.stages import children_of
    from agentmesh.events import fold
    from agentmesh.store.lookup import find_run

    with open_traces(db) as store:
        events = store.events(find_run(store, run_id))
        children = children_of(store, events).values()
    run, prepared = fold(events), prepared_in(events)
    words = "\n\n".join(map(_of_stage, children)) or explanation(run, prepared)
    if as_json:
        decision = None if run.decision is None else run.decision.model_dump(mode="json")
        rules, faults = ([], []) if prepared is None else (list(prepared.rules), list(prepared.faults))
        print_json({"run_id": run.id, "explanation": words, "decision": decision, "rules": rules, "faults": faults})
    else:
        print_text(words)


def _of_stage(events: "Sequence[Event]") -> str:
    """Return the decision of the run of a stage in words, under the name of the run."""
    from agentmesh.events import fold

    run = fold(events)
    return f"{run.id}\n{explanation(run, prepared_in(events))}"


def prepared_in(events: "Sequence[Event]") -> "TaskPrepared | None":
    """Return how the task of a trace was prepared, if it came so far."""
    from agentmesh.events import TaskPrepared

    return next((event for event in events if isinstance(event, TaskPrepared)), None)


def explanation(run: "Run", prepared: "TaskPrepared | None" = None) -> str:
    """Return the decision of a run in words, with the rules that spoke; a run that ended before one says so."""
    from agentmesh.decisions import in_lines

    if run.decision is None:
        return "No decision was made in this run."
    lines = [run.decision.explain()]
    if prepared is not None:
        lines += [in_lines(f"Rule: {rule}") for rule in prepared.rules]
        lines += [in_lines(f"Fault of a rule: {fault}") for fault in prepared.faults]
    return "\n".join(lines)
