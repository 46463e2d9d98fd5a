"""``agentmesh router calibrate NAME --from SOURCE``: what counts as familiar, so that the rest is turned away."""

from typing import TYPE_CHECKING

import click

from agentmesh.cli.bench import telling
from agentmesh.cli.output import print_json, print_table, print_text
from agentmesh.cli.router_target import called, router_options
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.learning.calibration import Calibration


@click.command()
@click.argument("name")
@click.option("--from", "source", metavar="SET|URL", required=True, help="A recorded set, or the URL of a database.")
@click.option("--coverage", type=click.FloatRange(0, 1, min_open=True), help="The share of such tasks to be answered.")
@router_options
def calibrate(name: str, source: str, coverage: float | None, as_json: bool, **which: str | None) -> None:
    """Teach the guard of the cascade NAME which tasks its agents do; those unlike them are turned away from then on.

    Only tasks that somebody did are learned from. What its routers have learned stays. A mesh with this router and this
    database serves with the guard when it next comes to it.
    """
    from agentmesh.learning.calibration import calibrate_router, publish_calibrated
    from agentmesh.learning.reembedding import EmbedderOf
    from agentmesh.learning.versions import find_routers, only_router, router_at
    from agentmesh.routing.progress import unsaid

    with open_traces(which.pop("db"), read_only=False) as store, telling() as say:
        stored = only_router(find_routers(store, name, **which))
        router = router_at(store, stored)
        found = calibrate_router(router, source, EmbedderOf(stored.embedder), coverage=coverage, say=say or unsaid)
        mark = publish_calibrated(store, stored, router, found)
    if as_json:
        print_json({**found.model_dump(mode="json"), "version": f"{mark.parameters}@{mark.sequence}"})
        return
    print_text(
        f"{called(stored)} answers {found.coverage:.0%} of tasks like those in {found.source} and turns away what is "
        f"less familiar than {found.threshold:.2f}.\nVersion {mark.parameters}@{mark.sequence} holds from here on. "
        f"On {found.held_back} tasks held back:"
    )
    tell_curve(found)


def tell_curve(found: "Calibration") -> None:
    """Print what other coverages would be worth."""
    rows = [(f"{one.coverage:.1%}", f"{one.threshold:.2f}", f"{one.quality:.3f}") for one in found.curve]
    print_table(("answered", "threshold", "quality of what is answered"), rows)
