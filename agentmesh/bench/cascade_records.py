"""What the bench of a cascade reports."""

from typing import Literal

from agentmesh.records import Record


class CascadeStream(Record):
    """What came of one order of the tasks: ``mixed`` throughout, or ``changing`` from some agents' to the others'.

    ``asked`` is the share of tasks that went to the model, also for either half of the stream; ``recovered`` the share
    of the cheap router's errors that the cascade made right, ``spoilt`` the share of its right choices made wrong.
    """

    order: Literal["mixed", "changing"]
    asked: float
    asked_first_half: float
    asked_second_half: float
    recovered: float
    spoilt: float
    top1: float


class CascadeTime(Record):
    """How long a decision takes that no model is asked for, embedding included; median milliseconds.

    ``stage_ms`` is the router alone, ``cascade_ms`` the cascade around it with a calibrated guard.
    """

    stage: str
    agents: int
    embed_ms: float
    stage_ms: float
    cascade_ms: float


class CascadeReport(Record):
    """A cascade on a set of labels, with a model that knows the right agent if it is asked about it."""

    set: str
    split: str
    stage: str
    embedder: str
    budget: float
    tasks: int
    top1_cheap: float
    streams: tuple[CascadeStream, ...]
    times: tuple[CascadeTime, ...] = ()
    notes: tuple[str, ...] = ()
