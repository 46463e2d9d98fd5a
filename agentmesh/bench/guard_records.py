"""What a bench of the guard returns: one report a set and embedder, one row a wanted coverage."""

from typing import Literal, TypeAlias

from agentmesh.records import Record

GuardSplit: TypeAlias = Literal["strangers", "val", "test"]


class GuardRow(Record):
    """What came of turning away the least familiar tasks, calibrated to answer ``coverage`` of those in scope.

    ``answered`` is the share of tasks in scope that were, ``quality`` the share of these whose agent was right;
    ``top1`` counts an abstention as wrong. ``oos_recall`` is the share turned away of the tasks that nobody fits, and
    ``gqr`` the harmonic mean of it and ``top1``; both are ``None`` where every task is in scope.
    """

    coverage: float
    answered: float
    quality: float
    top1: float
    oos_recall: float | None
    gqr: float | None


class GuardReport(Record):
    """The guard on one set. ``auroc`` is the chance that a task in scope is more familiar than one that is not.

    ``top1_closed`` is top-1 of ``router`` when nothing is turned away; ``p50_ms`` the median time of embedding a task,
    asking the guard and deciding; ``guard_ms`` that of asking the guard alone; ``bytes`` the size of the guard's state.
    """

    set: str
    split: GuardSplit
    embedder: str
    router: str
    in_scope: int
    out_of_scope: int
    default_coverage: float
    top1_closed: float
    auroc: float | None
    p50_ms: float
    guard_ms: float
    bytes: int
    rows: tuple[GuardRow, ...]
    notes: tuple[str, ...]
