"""``agentmesh runs fork RUN --at EVENT``: a stored run goes on otherwise, from an event on, as a new run."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from agentmesh.cli.options import app_option, json_option
from agentmesh.cli.run import report
from agentmesh.cli.target import named_app, open_mesh

if TYPE_CHECKING:
    from agentmesh.records import Limits, Run

LIMIT: Final = "limits."
ANSWER: Final = "answer:"


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--at", type=int, required=True, metavar="EVENT", help="The first event that is not taken over.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="What is to be otherwise.")
@app_option
@json_option
def fork(run_id: str, at: int, settings: Sequence[str], app: str | None, as_json: bool) -> int:
    """Run on from event EVENT of the stored run RUN, as a new run of your mesh.

    The events before EVENT are taken over: 'agentmesh runs show RUN --events' lists them with their numbers. Agents
    that have answered by then are not called again; the rest is done live. RUN stays as it is.

    What may be set: limits.NAME=VALUE, a limit, 'none' to lift it; agents=A,B, who acts, and router=NAME, who decides,
    both before the decision; answer:AGENT=TEXT, what an agent is taken to have said, right after its wave; text=TEXT,
    another task, at event 0.
    """
    wanted = changes(settings)
    return report(asyncio.run(forked(named_app(app), run_id, at, wanted)), as_json=as_json)


async def forked(name: str, run_id: str, at: int, wanted: dict[str, Any]) -> "Run":
    """Open the mesh called ``name``, and have it fork a run."""
    from agentmesh.store.lookup import find_run

    async with open_mesh(name) as mesh:
        return await mesh.fork(await asyncio.to_thread(find_run, mesh.store, run_id), at=at, **wanted)


def changes(settings: Sequence[str]) -> dict[str, Any]:
    """Read what is to be otherwise, as arguments of ``Mesh.fork``.

    >>> changes(["agents=ada,bob", "answer:ada=84 = 12 * 7"])
    {'agents': ('ada', 'bob'), 'answers': {'ada': '84 = 12 * 7'}}
    """
    found: dict[str, Any] = {}
    limits: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.BadParameter(f"{setting!r} is no NAME=VALUE, such as limits.retries=2.", param_hint="--set")
        if name.startswith(LIMIT):
            limits[name.removeprefix(LIMIT)] = value
        elif name.startswith(ANSWER) and name != ANSWER:
            found.setdefault("answers", {})[name.removeprefix(ANSWER)] = value
        elif name in _READ:
            found[name] = _READ[name](value)
        else:
            accepted = ", ".join([*_READ, f"{LIMIT}NAME", f"{ANSWER}AGENT"])
            raise click.BadParameter(f"{name!r} cannot be set; accepted are {accepted}.", param_hint="--set")
    return found | ({"limits": _limits(limits)} if limits else {})


def _names(value: str) -> tuple[str, ...]:
    """Return names that are parted by commas."""
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise click.BadParameter(
            f"agents={value!r} names nobody; give ids, such as agents=ada,bob.", param_hint="--set"
        )
    return names


_READ: Final[dict[str, Callable[[str], Any]]] = {"text": str, "agents": _names, "router": str}


def _limits(given: dict[str, str]) -> "Limits":
    from pydantic import ValidationError

    from agentmesh.records import Limits

    unknown = sorted(given.keys() - Limits.model_fields.keys())
    if unknown:
        known = ", ".join(Limits.model_fields)
        raise click.BadParameter(f"there is no limit {unknown[0]!r}; accepted are {known}.", param_hint="--set")
    try:
        return Limits.model_validate({name: None if value == "none" else value for name, value in given.items()})
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0])
        raise click.BadParameter(f"limits.{name}={given[name]!r}: {wrong['msg']}.", param_hint="--set") from error
