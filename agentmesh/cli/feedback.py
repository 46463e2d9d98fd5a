"""``agentmesh feedback RUN SCORE``: an outcome that the router will learn from when the mesh next opens."""

import click

from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.target import open_traces


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("score", type=number(0, 1))
@click.option("--agent", metavar="ID", help="Score this agent's own answer, not the final one.")
@click.option("--source", default="user", show_default=True, help="Who gave the score; each may score an answer once.")
@db_option
@json_option
def feedback(run_id: str, score: float, agent: str | None, source: str, db: str | None, as_json: bool) -> None:
    """Score the stored run RUN from 0 (worthless) to 1 (right), so that the router learns from it.

    A verifier's score stands above yours, and yours above a judge's: where a better source has scored an answer, the
    score is kept with the run and teaches nothing.
    """
    from agentmesh.learning.feedback import record_feedback
    from agentmesh.store.lookup import find_run

    with open_traces(db, read_only=False) as store:
        run_id = find_run(store, run_id)
        learned = record_feedback(store, run_id, score, agent=agent, source=source)
    agents = [experience.agent_id for experience in learned]
    if as_json:
        print_json({"run_id": run_id, "score": score, "agent": agent, "source": source, "learned_for": agents})
    else:
        credit = f"it counts for {', '.join(agents)}" if agents else "it teaches nothing: a better source came before"
        print_text(f"run {run_id} is scored {score:g}; {credit}")
