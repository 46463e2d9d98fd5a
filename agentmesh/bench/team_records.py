"""What ``bench --team`` returns beside the rows of a bench."""

from agentmesh.bench.records import OutcomeReport
from agentmesh.bench.resampling import Interval
from agentmesh.records import Record
from agentmesh.types import AgentId


class CurvePoint(Record):
    """A team at one thrift. ``threshold`` is the quality that a US dollar must bring for another agent to be asked."""

    threshold: float
    quality: float
    cost_usd_per_1k: float
    mean_agents: float


class FirstWave(Record):
    """A team whose first agent is chosen for each task, against one that always begins with ``fixed``.

    Both were chosen by the same rules. ``quality_diff_ci`` and ``cost_diff_ci_usd_per_1k`` are of the first minus the
    other, at no more than best single's cost; ``at_best_single_diff_ci`` is held to best single's quality, where
    ``cost_shares`` are those of both. ``begins_with`` says how often the first agent was whom.
    """

    fixed: AgentId
    begins_with: dict[AgentId, float]
    quality_diff_ci: Interval
    cost_diff_ci_usd_per_1k: Interval
    at_best_single_diff_ci: Interval | None
    cost_shares: tuple[float | None, float | None]


class TeamReport(OutcomeReport):
    """The rows of a bench with ``team``, ``team_fixed`` and ``stacked_all`` among them, and the team's whole curve."""

    team: tuple[AgentId, ...]
    team_curve: tuple[CurvePoint, ...]
    first_wave: FirstWave
