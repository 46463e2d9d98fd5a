"""What a stored cascade holds, as records: who decides in which order, how sure each must be, and what guards it."""

from math import isfinite

from agentmesh.records import Record
from agentmesh.routing.base import Router
from agentmesh.routing.cascade import CascadeRouter


class CascadeStage(Record):
    """A router of a cascade. A ``share`` of all tasks may go past it: those whose margin is under ``threshold``.

    The threshold is ``None`` where it was never read off any tasks: then nothing goes past.
    """

    router: str
    share: float
    threshold: float | None


class CascadeRecord(Record):
    """A cascade in words and numbers.

    ``asked`` is how many agents are put to a reasoning model after the last stage, ``None`` where the cascade asks
    none. ``guarded`` says whether its guard was calibrated; then ``coverage`` of the tasks like those it knows are
    answered, and what is less familiar than ``familiarity`` is turned away. ``known_agents`` are those whose tasks the
    guard knows.
    """

    stages: tuple[CascadeStage, ...]
    asked: int | None
    guarded: bool
    coverage: float
    familiarity: float
    known_agents: int

    @classmethod
    def of(cls, router: Router) -> "CascadeRecord | None":
        """Return the record of a cascade, ``None`` for any other router."""
        if not isinstance(router, CascadeRouter):
            return None
        keeper = router.gatekeeper
        return cls(
            stages=tuple(
                CascadeStage(router=name, share=share, threshold=float(threshold) if isfinite(threshold) else None)
                for name, share, threshold in zip(router.stages, router.shares, router.thresholds, strict=True)
            ),
            asked=router.asked,
            guarded=router.is_calibrated,
            coverage=keeper.coverage,
            familiarity=keeper.threshold,
            known_agents=len(keeper.guard.agent_ids),
        )
