"""``agentmesh router retrain NAME``: fitted anew on what the database holds, and served only if it is better."""

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from agentmesh.cli.bench import telling
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.router_target import called, router_options
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.learning.shadow import Comparison, Estimated
    from agentmesh.learning.trial import Retraining
    from agentmesh.learning.versions import StoredRouter

HINTS: Mapping[str, str] = {
    "not better": "the lower end of the interval must lie above the margin",
    "too little support": "too few of the outcomes held back are of agents that it would have called, with a known "
    "chance; more exploration, or more outcomes, would tell",
    "too few outcomes": "30 must have come since what serves was set, and 30 before those",
    "no interval": "what is known of it hangs on single outcomes",
    "set back meanwhile": "somebody reset it or rolled it back while it was fitted",
}


@click.command()
@click.argument("name")
@click.option(
    "--held-back",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    metavar="SHARE",
    help="The newest share of outcomes, to compare on.",
)
@click.option(
    "--margin",
    type=click.FloatRange(-1, 1),
    default=0.0,
    show_default=True,
    metavar="QUALITY",
    help="How much better it must be for certain.",
)
@click.option("--force", is_flag=True, help="Let it serve whatever the comparison says.")
@router_options
def retrain(name: str, held_back: float, margin: float, force: bool, as_json: bool, **which: str | None) -> None:
    """Fit the router NAME anew on what the database holds, and let it serve if it is better than what serves now.

    Both decide the newest outcomes, which neither has seen. A mesh takes a promoted router over by itself; one command,
    which is printed, brings back what served before.
    """
    from agentmesh.learning.retraining import retrain as fitted_anew
    from agentmesh.learning.trial import Trial
    from agentmesh.learning.versions import find_routers, only_router

    db = which.pop("db")
    trial = Trial(held_back=held_back, margin=margin, force=force)
    with open_traces(db, read_only=False) as store, telling() as say:
        stored = only_router(find_routers(store, name, **which))
        found = fitted_anew(store, stored, trial=trial, say=say)
    back = rollback_command(found, {"db": db, **which})
    if as_json:
        print_json({**found.model_dump(mode="json"), "rollback": back})
    else:
        print_text("\n".join(account(found, stored, back)))


def rollback_command(found: "Retraining", which: Mapping[str, str | None]) -> str | None:
    """Return the command that brings back what served before, ``None`` where nothing was promoted."""
    if found.replaced is None:
        return None
    options = [word for name, value in which.items() if value is not None for word in (f"--{name}", value)]
    return shlex.join(["agentmesh", "router", "rollback", found.router, found.replaced, *options])


def account(found: "Retraining", stored: "StoredRouter", back: str | None) -> Iterator[str]:
    """Tell in lines what was compared, and what serves from now on."""
    yield f"{called(stored)}: fitted anew on {found.fitted} of {found.outcomes} outcomes"
    if found.comparison is not None:
        yield from compared(found.comparison)
    if not found.promoted:
        yield f"kept: {found.reason}; {HINTS[found.reason]}"
        return
    forced = f" by force ({found.reason})" if found.reason else ""
    yield f"promoted{forced}: version {found.version} holds from here on"
    yield f"to go back: {back}"


def compared(found: "Comparison") -> Iterator[str]:
    """Tell the two values, and how far apart they are."""
    yield f"compared on {found.tasks} tasks that were held back:"
    yield _worth("serving", found.serving)
    yield _worth("candidate", found.candidate)
    if found.difference is not None:
        between = "no interval"
        if found.interval is not None:
            between = f"95 % interval {found.interval[0]:+.3f} to {found.interval[1]:+.3f}"
        yield f"  difference {found.difference:+.3f}, {between}"


def _worth(who: str, found: "Estimated") -> str:
    value = "not known" if found.value is None else f"{found.value:.3f}"
    return f"  {who} {found.version}: quality {value}, effective sample size {found.effective:.1f}"
