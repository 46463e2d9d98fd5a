"""Measures teams on a set of outcomes with recorded answers: whom to ask next, and when it is enough."""

import os
from collections.abc import Sequence

import numpy as np

from agentmesh.bench.folding import FOLDS, joined
from agentmesh.bench.material import Material, Part, prepare
from agentmesh.bench.opening import BenchSplit
from agentmesh.bench.outcome_bench import reward_scale, rows_of
from agentmesh.bench.resampling import RESAMPLES
from agentmesh.bench.run import choices_of, notes_on, open_part, scores_of, scoring_router, wanted
from agentmesh.bench.team_choice import choose_team
from agentmesh.bench.team_points import as_table, cross_fitted, expectations, team_router
from agentmesh.bench.team_records import TeamReport
from agentmesh.bench.team_scores import TeamRun
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import RecordedSetError
from agentmesh.graphs.equality import of_form
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import load_set
from agentmesh.routing.base import ScoringRouter
from agentmesh.routing.progress import Say, unsaid
from agentmesh.routing.team.table import TeamTable


def bench_team(
    folder: str | os.PathLike[str],
    *,
    routers: Sequence[str] = (),
    split: BenchSplit = "test",
    embedder: Embedder | None = None,
    seed: int = 0,
    progress: Say | None = None,
) -> TeamReport:
    """Measure a team on a set of recorded answers, beside the baselines, knn and the routers named.

    Everything is learned and chosen on train and val, on train alone where val is what is scored. ``team`` is the
    adaptive team with the highest quality, on held out tasks, at no more than best single's cost; ``team_fixed`` asks
    all its members at once; ``team_first_fixed`` is adaptive but for its first agent; ``stacked_all`` is the vote of
    all agents, as a ceiling.

    Raises:
        RecordedSetError: the set is none of outcomes with answers and costs, or cannot be read.
        PluginError, ConfigError: as for :func:`~agentmesh.bench.run.bench`.
    """
    say = progress or unsaid
    recorded = load_set(folder)
    if recorded.info.kind != "outcomes":
        raise RecordedSetError(f"{recorded.info.name!r} is a set of {recorded.info.kind}; a team needs 'outcomes'")
    kinds: dict[str, type[ScoringRouter]] = {name: scoring_router(name) for name in wanted(routers, "outcomes")}
    say(f"reading {recorded.info.name}")
    material = prepare(recorded, embedder or StaticEmbedder())
    tasks = joined(material.train, material.val) if split == "test" else material.train
    check_answers(tasks)
    choices = choices_of(material, kinds, say)
    table = cross_fitted(tasks, material.pool, of_form("text"), say)
    chosen = choose_team(table, say)
    part = open_part(material, split, say)
    scores = scores_of(choices, material, part, seed, say)
    run = TeamRun(table, _opened(tasks, part, material, say), chosen, reward_scale(material.train))
    scores[-1:-1] = run.scores()
    rows = rows_of(scores, seed=seed, resamples=RESAMPLES)
    notes = notes_on(material, part, chosen_on=f"{FOLDS} folds of train and val")
    return TeamReport(
        set=recorded.info.name,
        split=split,
        rows=rows,
        notes=(
            *notes,
            f"Teams: fitted and chosen on {len(tasks)} tasks, with expectations of routers that had not seen the task.",
        ),
        team=table.columns(chosen.best.members).agent_ids,
        team_curve=run.curve(),
        first_wave=run.first_wave(scores, seed),
    )


def check_answers(tasks: Part) -> None:
    """See that there is something to vote on.

    Raises:
        RecordedSetError: there is not.
    """
    table = tasks.rows.table
    if all(answer is None for answer in table.answers.ravel()):
        raise RecordedSetError("no answer is recorded; a team needs the column 'answer' in outcomes.csv.gz")
    if np.isnan(table.cost).any() or np.isnan(table.quality).any():
        raise RecordedSetError("a team is measured where every agent's quality and cost is recorded for every task")


def _opened(tasks: Part, part: Part, material: Material, say: Say) -> TeamTable:
    say("expecting what agents are worth on what was opened")
    router = team_router()
    router.fit(tasks.outcomes(material.pool))
    return as_table(part, of_form("text"), *expectations(router, part, material.pool))
