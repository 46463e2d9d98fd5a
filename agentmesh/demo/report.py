"""Renders what came of the demo: the table, three decisions in words, and what to try next."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agentmesh.demo.records import DemoResult, Explained, Figure


def render(result: DemoResult) -> RenderableType:
    """Return the table, the decisions and the next commands."""
    return Group(
        demo_table(result),
        Text(_verdict(result)),
        *(_decision(explained) for explained in result.explained),
        Text("\n".join(("Every question, decision, call and score is in the database. Next:", *_next(result)))),
    )


def demo_table(result: DemoResult) -> Table:
    """Return this router beside the other ways to choose."""
    table = Table(title=f"{result.tasks} questions, 12 recorded models, one call each, in {result.elapsed_s:.0f} s")
    table.add_column("who chooses the model")
    for name in ("quality", "USD per 1,000 questions", "cost beside best single"):
        table.add_column(name, justify="right")
    full = result.baselines.best_single.cost_usd_per_1k
    own = Figure(quality=result.quality, cost_usd_per_1k=result.cost_usd_per_1k)
    for name, figure in _rows(result, own).items():
        cells = (f"{figure.quality:.3f}", f"{figure.cost_usd_per_1k:.3f}", f"{figure.cost_usd_per_1k / full:.0%}")
        table.add_row(escape(name), *cells, style="bold" if figure is own else None)
    return table


def _rows(result: DemoResult, own: Figure) -> dict[str, Figure]:
    base = result.baselines
    return {
        "a random draw": base.random,
        f"always the cheapest: {result.cheapest} (in hindsight)": base.cheapest,
        f"always the best single: {result.best_single} (in hindsight)": base.best_single,
        "kNN router, learning as it goes": base.knn,
        "pheromone router, learning as it goes": base.pheromone,
        f"{result.router} router (the default), learning as it goes": own,
        f"gnn router, trained on {result.gnn_tasks:,} other questions, learning on": base.gnn,
        "oracle (has seen every answer)": base.oracle,
    }


def _verdict(result: DemoResult) -> str:
    points = 100 * (result.quality - result.baselines.best_single.quality)
    share = f"{result.share_of_best_single_cost:.0%}"
    return (
        f"The {result.router} router began with nothing and saw only the answers it paid for: {points:+.1f} points "
        f"of quality against the best single model in hindsight, at {share} of its cost.\n"
    )


def _decision(explained: Explained) -> Panel:
    came = f"What came of it: quality {explained.quality:.0f}, {explained.cost_usd:.3g} USD."
    body = Text("\n".join((explained.question, "", explained.words, "", came)))
    return Panel(body, title=escape(f"{explained.title} ({explained.run_id})"), title_align="left")


def _next(result: DemoResult) -> tuple[str, ...]:
    last = f"demo-{result.tasks:04d}"
    return (
        f"  agentmesh runs list --db {result.db}",
        f"  agentmesh explain {last} --db {result.db}",
        f"  agentmesh replay {last} --db {result.db}",
    )
