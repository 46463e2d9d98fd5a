"""How a mesh learns: where the learner runs, what is judged, and what a score counts as evidence."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agentmesh.judging.sources import source_kind
from agentmesh.records import Record

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Learning(Record):
    """How a mesh learns from outcomes.

    ``mode`` says where: ``"process"`` in a process of its own, ``"loop"`` in slices on the event loop, ``"off"`` not at
    all, though outcomes are kept; ``"auto"`` chooses. ``judge_share`` is the share of runs that the judge is asked
    about, and ``judge_timeout_s`` how long it may take over one answer. A judge's score strictly between the two bounds
    of ``undecided`` is recorded and teaches nothing. ``weights`` maps the kind of a source, its name up to the first
    ":", to how much evidence its scores are beside an outcome that is certain; kinds that are not named count 1.
    ``publish_s`` is how often at most a learner publishes what it learned, and ``poll_s`` how often the log is read
    for outcomes that other processes stored. ``retrain_every`` is after how many new outcomes the router is fitted anew
    on all that is stored, in a process of its own, and serves if it is better (:mod:`agentmesh.learning.retraining`);
    ``None`` is never. Every ``retrain_s`` they are counted.

    >>> Learning().weight_of("judge:small"), Learning().weight_of("user")
    (0.5, 1.0)
    """

    mode: Literal["auto", "process", "loop", "off"] = "auto"
    judge_share: Share = 1.0
    judge_timeout_s: Seconds = 60.0
    undecided: tuple[Share, Share] | None = None
    weights: Mapping[str, Weight] = Field(default_factory=lambda: {"judge": 0.5})
    publish_s: Seconds = 0.25
    poll_s: Seconds = 1.0
    retrain_every: Annotated[int, Field(ge=1)] | None = None
    retrain_s: Seconds = 60.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.undecided is not None and self.undecided[0] > self.undecided[1]:
            raise ValueError(f"undecided is {self.undecided!r}; give the lower bound first")
        return self

    def weight_of(self, source: str) -> float:
        """Return how much evidence a score of ``source`` is, above 0 and at most 1."""
        return self.weights.get(source_kind(source), 1.0)
