"""What a demo that is watched has earned so far, in figures and in words."""

from collections.abc import Sequence
from typing import Final

from agentmesh.bench.yardsticks import single_choice
from agentmesh.demo.baselines import figure
from agentmesh.demo.records import Earned
from agentmesh.demo.run import figure_of
from agentmesh.demo.stream import Answered
from agentmesh.demo.team import Team

EACH: Final = "Each question goes to one of {agents} recorded models; a right answer scores 1,"
LEARNS: Final = "a wrong one 0, and the router learns whom to ask next. Enter: why this one?"


def earned(team: Team, answered: Sequence[Answered]) -> Earned:
    """Sum up what was answered, beside what the agent that is best on all questions brought on the same ones."""
    best = single_choice(team.quality)
    done = len(answered)
    return Earned(
        done=done,
        total=len(team.tasks),
        own=figure_of(answered),
        best_single=figure(team.quality[:done, best], team.cost[:done, best]),
        best_single_id=team.agents[best].id,
    )


def intro(team: Team) -> str:
    """Say what happens, in two lines of a terminal of 80 columns."""
    return f"{EACH.format(agents=len(team.agents))}\n{LEARNS}"


def under_way(so_far: Earned) -> str:
    """Say in a line how far the demo is, and what it has earned."""
    best = f"best single's cost (quality {so_far.best_single.quality:.3f})"
    return f"{so_far.done} of {so_far.total}: quality {so_far.own.quality:.3f} for {_share(so_far)} of {best}"


def in_the_end(so_far: Earned) -> str:
    """Say in three lines what came of it."""
    own, best = so_far.own, so_far.best_single
    alone = f"Always {so_far.best_single_id} (best single):"
    return "\n".join(
        (
            f"{so_far.done} questions are answered: quality {own.quality:.3f} for {_dollars(own.cost_usd_per_1k)}.",
            f"{alone} {best.quality:.3f} for {_dollars(best.cost_usd_per_1k)}.",
            f"The router paid {_share(so_far)} of that.",
        )
    )


def _share(so_far: Earned) -> str:
    return f"{so_far.share_of_best_single_cost:.0%}"


def _dollars(cost_usd_per_1k: float) -> str:
    return f"{cost_usd_per_1k:.3f} USD/1,000"
