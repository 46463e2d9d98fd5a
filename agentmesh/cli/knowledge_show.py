"""How ``agentmesh knowledge show`` prints a graph in numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentmesh.cli.output import print_table, print_text
from agentmesh.display import usd

if TYPE_CHECKING:
    from agentmesh.knowledge.summary import AgentSummary, Summary

SHOWN = 3
"""Skills and entities of an agent in its line; --json has more."""


def show_summary(summary: "Summary") -> None:
    """Print the counts, the agents, the skills and the most frequent entities."""
    print_text(f"graph of {summary.source or 'an unknown source'}, embedder {summary.embedder or 'not known'}")
    print_text("nodes: " + ", ".join(f"{count} {kind}" for kind, count in summary.nodes.items()))
    print_text("edges: " + ", ".join(f"{count} {kind}" for kind, count in summary.edges.items()))
    columns = ("agent", "version", "solved", "failed", "quality", "cost", "strongest at", "knows")
    _titled("Agents", columns, [_agent(agent) for agent in summary.agents])
    _titled("Skills", ("skill", "tasks"), [(one.skill, str(one.tasks)) for one in summary.skills])
    entities = [(one.name, one.kind, str(one.tasks)) for one in summary.entities]
    _titled("Most frequent entities", ("entity", "kind", "tasks"), entities)


def _titled(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if rows:
        print_text(f"\n{title}")
        print_table(columns, rows)


def _agent(agent: "AgentSummary") -> tuple[str, ...]:
    return (
        agent.agent_id,
        str(agent.version),
        str(agent.solved),
        str(agent.failed),
        "-" if agent.quality is None else f"{agent.quality:.3f}",
        usd(agent.cost_usd),
        ", ".join(f"{share.skill} {share.solved:.0%} of {share.tasks}" for share in agent.skills[:SHOWN]) or "-",
        ", ".join(f"{one.name} ({one.tasks})" for one in agent.entities[:SHOWN]) or "-",
    )
