"""``agentmesh explain RUN``: why these agents were chosen, in words."""

from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import db_option, json_option
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.records import Run


@click.command()
@click.argument("run_id", metavar="RUN")
@db_option
@json_option
def explain(run_id: str, db: str | None, as_json: bool) -> None:
    """Say why the agents of the stored run RUN were chosen, over whom, and by what margin."""
    with open_traces(db) as store:
        run = store.run(run_id)
    if as_json:
        decision = None if run.decision is None else run.decision.model_dump(mode="json")
        print_json({"run_id": run.id, "explanation": explanation(run), "decision": decision})
    else:
        print_text(explanation(run))


def explanation(run: "Run") -> str:
    """Return the decision of a run in words; a run that ended before one was made says so."""
    return "No decision was made in this run." if run.decision is None else run.decision.explain()
