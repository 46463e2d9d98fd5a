"""Online evaluation: tasks arrive one at a time, and only the outcomes of the agents that were called are revealed."""

import os
from collections.abc import Sequence

from agentmesh.bench.online_plan import OnlinePlan, RouterSpec
from agentmesh.bench.online_records import OnlineReport
from agentmesh.bench.online_reference import reference_traces
from agentmesh.bench.online_rows import Bundle, rows_of
from agentmesh.bench.online_run import Job, Say, run_jobs
from agentmesh.bench.online_stream import Workload, arrival_of, drift_of, prepare_online, stream_of
from agentmesh.embed.static import StaticEmbedder
from agentmesh.errors import ConfigError
from agentmesh.plugins import names
from agentmesh.protocols import Embedder
from agentmesh.recorded.reader import load_set
from agentmesh.routing.named import router_named
from agentmesh.routing.objective import SCENARIOS

ONLINE_ROUTERS = (
    "random",
    "best_single",
    "knn",
    "kernel",
    "category",
    "linear",
    "linucb",
    "thompson",
    "pheromone",
)
"""Measured when no routers are named, as far as they are installed."""


def bench_online(
    folder: str | os.PathLike[str],
    plan: OnlinePlan,
    *,
    embedder: Embedder | None = None,
    jobs: int = 1,
    progress: Say | None = None,
) -> OnlineReport:
    """Measure routers that learn while they route, all on the same streams of a recorded set.

    Nothing is fitted beforehand. Each router starts from the agents' descriptions alone and decides on each task once;
    only then is what its agent brought revealed to it. The same call gives the same figures but for times.
    Not to be called inside a running event loop: it keeps the processor busy for minutes.

    Args:
        folder: The recorded set.
        plan: What is asked for.
        embedder: What embeds tasks and cards; the static embedder by default.
        jobs: How many processes share the work; 1 stays in this one.
        progress: Told in words what is being done.

    Raises:
        RecordedSetError: the set is malformed, or lacks the tasks.
        PluginError: there is no router of such a name.
        ConfigError: a router, agent, step or group of the plan does not fit, or ``jobs`` is below 1.
    """
    if jobs < 1:
        raise ConfigError(f"jobs are {jobs!r}; accepted: 1 or more")
    say = progress or (lambda _: None)
    specs = plan.routers or usual_routers()
    for spec in specs:
        router_named(spec.name, spec.arguments)  # what cannot be built is said before anything is embedded
    recorded = load_set(folder)
    say(f"reading and embedding {recorded.info.name}")
    workload = prepare_online(recorded, embedder or StaticEmbedder(), plan)
    if plan.types == "given" and not any(workload.groups):
        raise ConfigError(
            f"types are 'given', but no task of {workload.name!r} names its group; accepted: 'discovered'"
        )
    bundle = _run(workload, plan, specs, processes=jobs, say=say)
    say("drawing the intervals")
    return OnlineReport(
        set=workload.name,
        kind="labels" if workload.is_labels else "outcomes",
        split=plan.split,
        steps=len(bundle.streams[0]),
        seeds=plan.seeds,
        feedback=plan.feedback,
        types=plan.types,
        scenario=plan.scenario,
        embedder=workload.embedder,
        drift_at=None if bundle.drift is None else bundle.drift.step,
        new_agent_at=None if bundle.arrival is None else bundle.arrival.step,
        rows=rows_of(bundle),
        notes=_notes(bundle, plan),
    )


def usual_routers() -> tuple[RouterSpec, ...]:
    """Return those of the usual routers that are installed."""
    installed = set(names("agentmesh.routers"))
    return tuple(RouterSpec(name, name, {}) for name in ONLINE_ROUTERS if name in installed)


def _run(workload: Workload, plan: OnlinePlan, specs: Sequence[RouterSpec], *, processes: int, say: Say) -> Bundle:
    steps = plan.steps or len(workload)
    drift, arrival = drift_of(workload, plan, steps), arrival_of(workload, plan, steps)
    jobs = [Job(workload, plan, spec, seed, steps, drift, arrival) for spec in specs for seed in plan.seeds]
    done = run_jobs(jobs, processes=processes, say=say)
    objective = SCENARIOS[plan.scenario]
    streams = [stream_of(workload, seed=seed, steps=steps, drift=drift) for seed in plan.seeds]
    known = [reference_traces(workload, stream, objective, drift=drift, arrival=arrival) for stream in streams]
    traces = {trace.label: [other for other in done if other.label == trace.label] for trace in done}
    traces.update({seen[0].label: list(seen) for seen in zip(*known, strict=True)})
    return Bundle(workload, streams, traces, objective, drift, arrival)


def _notes(bundle: Bundle, plan: OnlinePlan) -> tuple[str, ...]:
    load, steps = bundle.workload, len(bundle.streams[0])
    revealed = "the called agent's outcome" if plan.feedback == "bandit" else "all agents' outcomes"
    lines = [
        f"{steps} tasks a stream, {len(load)} different ones, {len(plan.seeds)} seeds, {len(load.pool)} agents, "
        f"embedder {load.embedder}.",
        f"Revealed: {revealed}. Explored: {plan.explore:.0%} of the calls. Types: {plan.types}. "
        f"Scenario: {plan.scenario}.",
        f"Regret is in reward against {bundle.regret_against}; references are chosen on train in hindsight, "
        "the oracle task by task.",
    ]
    return tuple(lines)
