"""``agentmesh runs export`` and ``import``: runs out of a database and into another, or as data to learn from."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import click

from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.target import open_traces
from agentmesh.settings import Settings

if TYPE_CHECKING:
    from agentmesh.exchange import Converted, SetExported, Taken
    from agentmesh.store.base import RunFilter, TraceStore

STATUSES = ("running", "waiting", "completed", "abstained", "failed", "over_budget", "cancelled")
PATH = click.Path(path_type=Path)


class Which(TypedDict):
    """Which runs are exported."""

    status: str | None
    text: str | None
    agent_id: str | None
    since: float | None


class How(TypedDict):
    """What of them is written, and how."""

    kind: Literal["jsonl", "set", "llmrouter"]
    learned: Literal["all", "log", "none"] | None
    complete: bool
    no_text: bool
    force: bool


class ExportFlags(Which, How):
    """The options of ``runs export``."""


@click.command("export")
@click.argument("out", type=PATH)
@click.option(
    "--as",
    "kind",
    type=click.Choice(("jsonl", "set", "llmrouter")),
    default="jsonl",
    show_default=True,
    help="All that is stored, a recorded set to bench on, or routing data of LLMRouter.",
)
@click.option("--since", type=number(), metavar="UNIX_SECONDS", help="Only runs that started at or after this time.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those that stand so.")
@click.option("--agent", "agent_id", metavar="ID", help="Only those that called this agent.")
@click.option("--text", help="Only those whose task contains this.")
@click.option(
    "--learned",
    type=click.Choice(("all", "log", "none")),
    help="What routers learned: all, without snapshots, or nothing. [default: all]",
)
@click.option("--complete", is_flag=True, help="With --as set: only tasks with a known outcome of every agent.")
@click.option("--no-text", is_flag=True, help="With --as set: no texts of tasks and answers; llmrouter: no answers.")
@click.option("--force", is_flag=True, help="Replace an earlier export; other files are never touched.")
@db_option
@json_option
def export_command(out: Path, db: str | None, as_json: bool, **flags: Unpack[ExportFlags]) -> None:
    """Write stored runs to OUT: a file .jsonl or .jsonl.gz, else a folder.

    Runs that the chosen ones started go along. Texts are written in the clear, as they were stored: look through OUT
    before you hand it on. What routers learned goes along whole, also from runs that are not chosen, since decisions
    rest on it; --learned none leaves it out.
    """
    _check(flags)
    with open_traces(db) as store:
        if flags["kind"] == "jsonl":
            _export_traces(store, out, flags, as_json=as_json)
        else:
            _tell_set(_exported_set(store, out, flags), out, as_json=as_json)


def _check(flags: ExportFlags) -> None:
    kind = flags["kind"]
    if flags["learned"] is not None and kind != "jsonl":
        raise click.UsageError(f"--learned belongs to --as jsonl; {kind!r} takes what was scored.")
    if flags["complete"] and kind != "set":
        raise click.UsageError("--complete needs --as set.")
    if flags["no_text"] and kind == "jsonl":
        raise click.UsageError("--no-text needs --as set or llmrouter; events are exported as they were stored.")


def _where(flags: ExportFlags) -> "RunFilter | None":
    from agentmesh.records import RunStatus
    from agentmesh.store.base import RunFilter

    status = None if flags["status"] is None else RunStatus(flags["status"])
    where = RunFilter(status=status, text=flags["text"], agent_id=flags["agent_id"], since=flags["since"])
    return None if where == RunFilter() else where


def _export_traces(store: "TraceStore", out: Path, flags: ExportFlags, *, as_json: bool) -> None:
    from agentmesh.exchange import export_runs

    told = export_runs(store, out, where=_where(flags), learned=flags["learned"] or "all", force=flags["force"])
    if as_json:
        print_json({"out": str(out), **told.model_dump(mode="json")})
        return
    learned = f"{told.experiences} experiences, {told.marks} marks, {told.states} states"
    print_text(f"{told.runs} runs with {told.events} events, and {learned}, are written to {str(out)!r}")
    if told.without:
        note(f"runs name agents that are not stored, so they cannot be replayed: {', '.join(map(repr, told.without))}")


def _exported_set(store: "TraceStore", out: Path, flags: ExportFlags) -> "SetExported":
    from agentmesh.exchange import export_llmrouter, export_set

    where, text, force = _where(flags), not flags["no_text"], flags["force"]
    if flags["kind"] == "llmrouter":
        return export_llmrouter(store, out, where=where, answers=text, force=force)
    return export_set(store, out, where=where, complete=flags["complete"], text=text, force=force)


def _tell_set(told: "SetExported", out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"out": str(out), **told.model_dump(mode="json"), "sparse": not told.is_complete})
        return
    pairs = told.tasks * told.agents
    print_text(f"{told.tasks} tasks, {told.agents} agents, {told.outcomes} of {pairs} outcomes: {str(out)!r}")
    if not told.is_complete:
        note(
            f"only the outcomes of agents that were asked are known, all of them on {told.complete} tasks; where one "
            "is known a bench has nothing to choose: 'agentmesh whatif' estimates what others would have brought"
        )


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--as",
    "kind",
    type=click.Choice(("jsonl", "llmrouter")),
    default="jsonl",
    show_default=True,
    help="What 'runs export' wrote, or routing data of LLMRouter.",
)
@click.option("--no-learned", is_flag=True, help="Leave out what routers learned.")
@click.option("--out", type=PATH, metavar="SET", help="With --as llmrouter: the folder of the recorded set.")
@click.option("--models", type=PATH, metavar="FILE", help="With --as llmrouter: its file of models, with prices.")
@click.option("--force", is_flag=True, help="With --out: replace an earlier set.")
@db_option
@json_option
def import_command(
    source: Path,
    kind: str,
    no_learned: bool,
    out: Path | None,
    models: Path | None,
    force: bool,
    db: str | None,
    as_json: bool,
) -> None:
    """Take exported runs in SOURCE into a database, which is made where it is not there yet.

    What is stored already changes nothing, so the same file may be taken in again. Routing data of LLMRouter becomes a
    recorded set in --out, which bench, router train and knowledge build read.
    """
    if kind == "llmrouter":
        if out is None or db is not None or no_learned:
            raise click.UsageError("--as llmrouter makes a recorded set: give --out SET, and no --db or --no-learned.")
        _convert(source, out, models, force=force, as_json=as_json)
        return
    if out is not None or models is not None or force:
        raise click.UsageError("--out, --models and --force need --as llmrouter; give --db URL for stored runs.")
    _import(source, db, learned=not no_learned, as_json=as_json)


def _import(source: Path, db: str | None, *, learned: bool, as_json: bool) -> None:
    from agentmesh.exchange import import_runs
    from agentmesh.store import open_store

    with open_store(db if db is not None else Settings.load().db) as store:
        taken, url = import_runs(store, source, learned=learned), store.url
    if as_json:
        print_json({"db": url, **taken.model_dump(mode="json")})
    else:
        print_text(_taken_line(taken, url))


def _taken_line(taken: "Taken", url: str) -> str:
    runs = f"{taken.runs} runs are new, {taken.grown} went on, {taken.known} were there"
    return f"{url}: {runs}; {taken.events} events, {taken.learned} lessons and marks, {taken.states} states stored"


def _convert(source: Path, out: Path, models: Path | None, *, force: bool, as_json: bool) -> None:
    from agentmesh.exchange import import_llmrouter

    told = import_llmrouter(source, out, models=models, force=force)
    if as_json:
        print_json({"out": str(out), **told.model_dump(mode="json")})
    else:
        print_text(_converted_line(told, out))


def _converted_line(told: "Converted", out: Path) -> str:
    passed = f"{told.repeated} repeated, {told.unscored} without a score and {told.shared} shared with training data"
    return (
        f"{told.tasks} tasks, {told.agents} agents, {told.outcomes} outcomes: {str(out)!r}; lines passed over: {passed}"
    )
