"""What a measurement of context slices says: one row for each way to cut, at each budget."""

from agentmesh.records import Record


class ContextRow(Record):
    """One way to cut contexts, at one budget of tokens; shares are of the cases, means over them.

    Attributes:
        way: How contexts are cut; ``full`` hands them over whole.
        budget_tokens: What one agent gets at most, ``None`` for the whole.
        tokens: The mean tokens of what agents got.
        saved: By how much that is less than the whole, 0 to 1.
        same: Cases with the answer that the whole context gives.
        right: Cases with the right answer.
        recall: The mean share of the statements an answer stands on that agents got.
        complete: Cases in which agents got all of them.
    """

    way: str
    budget_tokens: int | None
    tokens: float
    saved: float
    same: float
    right: float
    recall: float
    complete: float


class ContextReport(Record):
    """What slices keep and save on the cases made of one set.

    ``name`` is that of the set, with the split. ``by_kind`` has the recall of ``routed`` for each kind of case, at one
    budget. ``first_ms_p50`` is what a slice takes where the context was not read before, ``ms_p50`` where it was.
    """

    name: str
    cases: int
    rows: tuple[ContextRow, ...]
    by_kind: dict[str, float]
    by_kind_budget: int
    first_ms_p50: float
    ms_p50: float
