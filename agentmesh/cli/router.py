"""``agentmesh router``: train a router, fit it anew, look at what it learned, set it back, take it along."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.cli.app import FAILED
from agentmesh.cli.output import json_text, note, print_json, print_text
from agentmesh.cli.router_calibrate import calibrate
from agentmesh.cli.router_retrain import retrain
from agentmesh.cli.router_sft import export_sft
from agentmesh.cli.router_show import show
from agentmesh.cli.router_target import agreed, called, router_options, yes_option
from agentmesh.cli.router_train import train
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.records import RouterMark


@click.group()
def router() -> None:
    """Train a router, fit it anew, show what it learned, set it back, or export it."""


router.add_command(train)
router.add_command(retrain)
router.add_command(calibrate)
router.add_command(show)
router.add_command(export_sft)


@router.command()
@click.argument("name")
@yes_option
@router_options
def reset(name: str, parameters: str | None, embedder: str | None, db: str | None, yes: bool, as_json: bool) -> int:
    """Set the router NAME back to what it was before it learned anything; the log is kept."""
    from agentmesh.learning.versions import find_routers, only_router, reset_router

    with open_traces(db, read_only=False) as store:
        stored = only_router(find_routers(store, name, parameters=parameters, embedder=embedder))
        if not agreed(f"Reset {called(stored)} in {store.url}?", yes=yes):
            return FAILED
        tell_mark(reset_router(store, stored), as_json=as_json)
    return 0


@router.command()
@click.argument("name")
@click.argument("version")
@yes_option
@router_options
def rollback(
    name: str, version: str, parameters: str | None, embedder: str | None, db: str | None, yes: bool, as_json: bool
) -> int:
    """Set the router NAME back to VERSION, '<hash>@<number>' as in a decision; it learns on from there."""
    from agentmesh.learning.versions import find_routers, only_router, rollback_router

    with open_traces(db, read_only=False) as store:
        stored = only_router(find_routers(store, name, parameters=parameters, embedder=embedder))
        if not agreed(f"Set {called(stored)} in {store.url} back to {version}?", yes=yes):
            return FAILED
        tell_mark(rollback_router(store, stored, version), as_json=as_json)
    return 0


def tell_mark(mark: "RouterMark", *, as_json: bool) -> None:
    """Say which mark was set, and which version holds from it on."""
    version = f"{mark.parameters}@{mark.sequence}"
    if as_json:
        print_json({"version": version, "mark": mark.model_dump(mode="json")})
        return
    done = {"reset": "is reset", "rollback": f"is back at {mark.target}", "trained": "is trained"}[mark.kind]
    print_text(f"{mark.router} {done}: version {version} holds from here on")


@router.command("export")
@click.argument("name")
@click.option("--version", metavar="VERSION", help="As it was at '<hash>@<number>'; by default as it is now.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(("json", "safetensors")),
    default="json",
    show_default=True,
    help="What can be read, or the state itself.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write to FILE.")
@router_options
def export(name: str, version: str | None, kind: str, out: Path | None, as_json: bool, **which: str | None) -> None:
    """Write the parameters, version, training and trails of the router NAME as JSON, or its state as safetensors.

    Beside a state FILE.safetensors stands FILE.json, which says what it is. read_router reads both back.
    """
    from agentmesh.learning.inspection import export_router
    from agentmesh.learning.versions import find_routers, router_at
    from agentmesh.routing.state_file import write_router, write_whole

    if kind == "safetensors" and (out is None or as_json):
        raise click.UsageError("a state is no text: give --format safetensors with --out FILE and without --json.")
    with open_traces(which.pop("db")) as store:
        stored = find_routers(store, name, **which)[0]
        if kind == "safetensors" and out is not None:
            write_router(out, router_at(store, stored, version), embedder=stored.embedder)
        else:
            found = export_router(store, stored, version).model_dump(mode="json")
            if out is None:
                print_json(found)
                return
            write_whole(out, (json_text(found) + "\n").encode())
    note(f"{called(stored)} is written to {str(out)!r}")
