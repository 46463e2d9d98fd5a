"""``agentmesh bench FOLDER...``: routers measured on recorded sets, fitted beforehand or learning as tasks arrive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack

import click

from agentmesh.cli.options import json_option
from agentmesh.cli.output import print_drawn, print_text, shown_on
from agentmesh.display import escape_line

if TYPE_CHECKING:
    from pathlib import Path

    from agentmesh.bench.online_plan import OnlinePlan
    from agentmesh.bench.records import Report

Measure: TypeAlias = "Callable[[str, Callable[[str], None] | None], Report]"
Function = TypeVar("Function", bound=Callable[..., Any])


class OnlineFlags(TypedDict):
    """The flags that ``--online`` takes, ``None`` where one was not given."""

    seeds: str | None
    feedback: Literal["bandit", "full"] | None
    types: Literal["discovered", "given"] | None
    scenario: Literal["quality", "balanced", "cheap"] | None
    steps: int | None
    drift: str | None
    new_agent: str | None
    jobs: int | None
    plot: str | None
    out: str | None


def online_options(function: Function) -> Function:
    """Add the flags of :class:`OnlineFlags`."""
    for option in (
        click.option("--out", metavar="FILE.json", help="Write the report with its curves of regret."),
        click.option("--plot", metavar="FILE.svg", help="Draw the curves of regret."),
        click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes that share the work. [default: 2]"),
        click.option("--new-agent", metavar="AGENT@STEP", help="AGENT, or best, comes then."),
        click.option("--drift", metavar="AGENT@STEP:QUALITY", help="AGENT, best or best:GROUP has this mean then."),
        click.option("--steps", type=click.IntRange(1), metavar="N", help="Tasks a stream. [default: each task once]"),
        click.option("--scenario", type=click.Choice(("quality", "balanced", "cheap")), help="[default: quality]"),
        click.option(
            "--types", type=click.Choice(("discovered", "given")), help="Are groups told? [default: discovered]"
        ),
        click.option(
            "--feedback", type=click.Choice(("bandit", "full")), help="Whose outcome is told. [default: bandit]"
        ),
        click.option("--seeds", metavar="N|A-B", help="How many streams, or which. [default: 5]"),
        click.option("--online", is_flag=True, help="Routers learn as tasks arrive; takes the flags below."),
    ):
        function = option(function)
    return function


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@click.option("--routers", metavar="A,B", help="Measure these; those that need no long training by default.")
@click.option(
    "--split",
    type=click.Choice(("test", "val", "train", "all")),
    help="What to score on: test (default) or val; with --online all (default: train and test) or train.",
)
@click.option(
    "--embedder", metavar="NAME", help="static, hashing, onnx or remote. [AGENTMESH_EMBEDDER; default: static]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes every draw.")
@click.option("--team", is_flag=True, help="Measure teams on recorded answers, beside the baselines and --routers.")
@online_options
@json_option
def bench(
    folders: tuple[str, ...],
    routers: str | None,
    split: Literal["test", "val", "train", "all"] | None,
    embedder: str | None,
    seed: int,
    team: bool,
    online: bool,
    as_json: bool,
    **flags: Unpack[OnlineFlags],
) -> None:
    """Measure routers on the recorded sets in FOLDER..., everything tunable chosen on val.

    With --online nothing is fitted: tasks arrive one at a time, and routers learn from the agents they called. A router
    may have arguments there, as in --routers knn:k=20. With --team the agents of a set answer together: whom to ask
    next, and when it is enough, is learned from the answers of train and val.
    """
    if team and online:
        raise click.BadParameter("--team and --online are two benches; give one of them.", param_hint="--team")
    if online:
        _online(folders, _plan(routers, split, flags), embedder, flags, as_json=as_json)
        return
    for name, given in flags.items():
        if given is not None:
            raise click.BadParameter(f"--{name.replace('_', '-')} needs --online.")
    if split == "train" or split == "all":
        raise click.BadParameter(f"{split!r} needs --online; accepted without it: 'test', 'val'.", param_hint="--split")
    names = None if routers is None else named(routers)
    measure = measured(names, split or "test", embedder, seed, team=team)
    _offline(folders, measure, as_json=as_json)


def measured(
    names: list[str] | None, split: Literal["test", "val"], embedder: str | None, seed: int, *, team: bool
) -> Measure:
    """Return what measures one folder: routers by themselves, or teams."""
    from agentmesh.bench.run import bench as measure
    from agentmesh.bench.team_bench import bench_team
    from agentmesh.embed.named import embedder_named

    embeds = embedder_named(embedder)
    if team:
        return lambda folder, say: bench_team(
            folder, routers=names or (), split=split, embedder=embeds, seed=seed, progress=say
        )
    return lambda folder, say: measure(folder, routers=names, split=split, embedder=embeds, seed=seed, progress=say)


def _offline(folders: tuple[str, ...], measure: Measure, *, as_json: bool) -> None:
    from agentmesh.bench import report as reports

    finished = []
    for folder in folders:
        with telling() as say:
            finished.append(measure(folder, say))
        if not as_json:
            print_drawn(reports.render(finished[-1]))
    if as_json:
        print_text(reports.to_json(finished))


def _plan(routers: str | None, split: str | None, flags: OnlineFlags) -> "OnlinePlan":
    from agentmesh.bench.online_plan import DriftSpec, NewAgentSpec, OnlinePlan, router_specs, seeds_of

    if split in ("test", "val"):
        raise click.BadParameter(f"{split!r} is not for --online; accepted: 'all', 'train'.", param_hint="--split")
    drift, new_agent = flags["drift"], flags["new_agent"]
    return OnlinePlan(
        routers=() if routers is None else router_specs(routers),
        seeds=seeds_of(flags["seeds"] or "5"),
        split="train" if split == "train" else "all",
        steps=flags["steps"],
        feedback=flags["feedback"] or "bandit",
        types=flags["types"] or "discovered",
        scenario=flags["scenario"] or "quality",
        drift=None if drift is None else DriftSpec.parse(drift),
        new_agent=None if new_agent is None else NewAgentSpec.parse(new_agent),
    )


def _online(
    folders: tuple[str, ...], plan: "OnlinePlan", embedder: str | None, flags: OnlineFlags, *, as_json: bool
) -> None:
    from agentmesh.bench import online_report as reports
    from agentmesh.bench.online import bench_online
    from agentmesh.bench.online_plot import regret_svg
    from agentmesh.embed.named import embedder_named

    plot, out = file_to_write(flags["plot"], ".svg"), file_to_write(flags["out"], ".json")
    embeds = embedder_named(embedder)
    finished = []
    for folder in folders:
        with telling() as say:
            finished.append(bench_online(folder, plan, embedder=embeds, jobs=flags["jobs"] or 2, progress=say))
        if not as_json:
            print_drawn(reports.render(finished[-1]))
    if plot is not None:
        plot.write_text(regret_svg(finished), encoding="utf-8")
    if out is not None:
        out.write_text(reports.to_file_json(finished) + "\n", encoding="utf-8")
    if as_json:
        print_text(reports.to_json(finished))


def file_to_write(name: str | None, ending: str) -> "Path | None":
    """Return the path of a file that can be written, before minutes are spent on what goes into it.

    Raises:
        ConfigError: the name ends otherwise, or there is no such folder.
    """
    from pathlib import Path

    from agentmesh.errors import ConfigError

    if name is None:
        return None
    path = Path(name)
    if path.suffix != ending or path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"{name!r} cannot be written; accepted: a file that ends in {ending!r}, in a folder that exists"
        )
    return path


def named(routers: str) -> list[str]:
    """Return the names in a list with commas.

    >>> named("knn, linear")
    ['knn', 'linear']
    """
    names = [name.strip() for name in routers.split(",") if name.strip()]
    if not names:
        raise click.BadParameter(f"{routers!r} names no router; accepted is a list such as 'knn,linear'.")
    return names


@contextmanager
def telling() -> Iterator[Callable[[str], None] | None]:
    """Show on stderr what is being done; ``None`` where nobody would see it."""
    console = shown_on("stderr")
    if console is None:
        yield None
        return
    with console.status("reading") as status:
        yield lambda doing: status.update(escape_line(doing).replace("[", r"\["))
