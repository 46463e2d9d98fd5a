"""How a candidate is tried before it may serve, what it must show, and what is told of it."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agentmesh.learning.shadow import Comparison
from agentmesh.learning.tables import MAX_TASKS
from agentmesh.records import Record, RouterMark

Reason: TypeAlias = Literal[
    "", "not better", "too little support", "too few outcomes", "no interval", "set back meanwhile"
]


class Trial(Record):
    """How a candidate is tried, and what it must show.

    ``held_back`` is the share of outcomes, the newest ones, that it is judged on, at least 30 of them. Its value must
    be better than that of the serving version by more than ``margin``, at the lower end of the interval, and the
    effective sample size of both at least ``least_support``. ``force`` promotes it whatever it shows. ``max_tasks``
    bounds the table it is fitted on, and ``seed`` draws the interval.
    """

    held_back: Annotated[float, Field(gt=0, lt=1)] = 0.2
    margin: float = Field(default=0.0, ge=-1, le=1)
    least_support: float = Field(default=20.0, ge=0, allow_inf_nan=False)
    max_tasks: int = Field(default=MAX_TASKS, ge=1)
    force: bool = False
    seed: int = Field(default=0, ge=0)


class Retraining(Record):
    """What a retraining came to. ``reason`` says why the serving version was kept, "" when it was not in doubt.

    Of the ``outcomes`` in the log that can be used, the candidate was fitted on ``fitted``, up to number ``cut``, and
    judged on ``held_back``. ``replaced`` is the version that served before, which a rollback brings back.
    """

    router: str
    embedder: str
    promoted: bool
    reason: Reason = ""
    outcomes: int = 0
    cut: int = 0
    fitted: int = 0
    held_back: int = 0
    margin: float = 0.0
    comparison: Comparison | None = None
    version: str | None = None
    replaced: str | None = None
    mark: RouterMark | None = None


def reason_against(comparison: Comparison, trial: Trial) -> Reason:
    """Return why a candidate is not to be promoted, "" where it is."""
    pair = (comparison.serving, comparison.candidate)
    if comparison.difference is None or min(one.effective for one in pair) < trial.least_support:
        return "too little support"
    if comparison.interval is None:
        return "no interval"
    return "" if comparison.interval[0] > trial.margin else "not better"


def noted(found: Retraining) -> str:
    """Return what a mark says of the retraining that set it."""
    forced = f"forced, {found.reason}: " if found.reason else ""
    text = f"{forced}fitted anew on {found.fitted} outcomes"
    compared = found.comparison
    if compared is None or compared.candidate.value is None or compared.serving.value is None:
        return text
    text += f"; {compared.candidate.value:.3f} instead of {compared.serving.value:.3f} on {compared.tasks} held back"
    if compared.interval is None:
        return text
    low, high = compared.interval
    return f"{text} ({low:+.3f} to {high:+.3f})"
