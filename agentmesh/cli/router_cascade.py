"""What a cascade holds, in lines for people."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmesh.learning.cascade_record import CascadeRecord, CascadeStage


def cascade_lines(cascade: "CascadeRecord") -> Iterator[str]:
    """Say who decides in which order and how sure each must be, and what the guard turns away."""
    yield from _guard_lines(cascade)
    beyond = [stage.router for stage in cascade.stages[1:]] + ["" if cascade.asked is None else "a reasoning model"]
    for stage, after in zip(cascade.stages, beyond, strict=True):
        yield from _stage_lines(stage, after)
    if cascade.asked is not None:
        yield f"reasoning: a model chooses among the best {cascade.asked} agents, where the mesh has one;"
        yield "  how often it is asked, the mesh paces by what it ran last"


def _guard_lines(cascade: "CascadeRecord") -> Iterator[str]:
    if not cascade.guarded:
        yield "guard: none yet, so no task is turned away; 'router calibrate' sets one"
        return
    share = f"{cascade.coverage:.0%}"
    yield f"guard: calibrated on tasks of {cascade.known_agents} agents; {share} of their like are answered,"
    yield f"  and a task of a familiarity under {cascade.familiarity:.3f} is turned away"


def _stage_lines(stage: "CascadeStage", after: str) -> Iterator[str]:
    if not after:
        yield f"{stage.router}: decides what comes to it"
        return
    yield f"{stage.router}: at most {stage.share:.0%} of all tasks go on to {after}"
    if stage.threshold is not None:
        yield f"  those with a margin under {stage.threshold:.3f} of the best agent over the next"
