"""Feedback and what was learned from it, in the caller's transaction.

A busy mesh takes feedback as often as it runs tasks, and every process that shares the file waits for the transaction,
so its statements are few and built once: 1,500 scores a second went to 2,500.
"""

from collections.abc import Sequence

from sqlalchemy import BindParameter, Connection, bindparam, select

from agentmesh.errors import StoreError
from agentmesh.events import FeedbackGiven
from agentmesh.records import Experience, Feedback, RunStatus
from agentmesh.store.bulk import insert_rows
from agentmesh.store.codec import EVENT_COLUMNS, decode, encode, json_of, record_of
from agentmesh.store.query import LAST_NUMBER
from agentmesh.store.refusals import ScoredKey, no_run, refuse_second_score, scored_key, unfinished
from agentmesh.store.schema import events, experiences, runs
from agentmesh.types import AgentId, RunId

EXPERIENCE_COLUMNS = ("sequence", "run_id", "agent_id", "source", "at", "body")
_RUN: BindParameter[RunId] = bindparam("run_id")

_STANDING = select(runs.c.last_seq, runs.c.status, LAST_NUMBER).where(runs.c.id == _RUN)
_SCORED = select(experiences.c.sequence, experiences.c.body).where(experiences.c.run_id == _RUN)
_GIVEN = select(events.c.seq, events.c.schema, events.c.body).where(
    events.c.run_id == _RUN, events.c.kind == FeedbackGiven.model_fields["kind"].default
)
_ADVANCE = runs.update().where(runs.c.id == _RUN).values(last_seq=bindparam("seq"))


def accept(connection: Connection, feedback: Feedback, learned: Sequence[Experience], *, url: str) -> list[Experience]:
    """Store a score as the next event of its run, and number and store what was learned from it.

    Raises:
        RunNotFoundError, DuplicateFeedbackError, StoreError: as ``TraceStore.add_feedback`` says.
    """
    run_id = feedback.run_id
    row = connection.execute(_STANDING, {"run_id": run_id}).one_or_none()
    if row is None:
        raise no_run(run_id, url)
    last_seq, status, last = row
    if status is None or not RunStatus(status).has_ended:
        raise unfinished(run_id, url)
    given, scored = _given(connection, run_id, url=url), _scored(connection, learned, url=url)
    refuse_second_score(feedback, learned, given=given, scored=scored, url=url)
    event = FeedbackGiven(run_id=run_id, seq=last_seq + 1, at=feedback.at, feedback=feedback)
    insert_rows(connection, "events", EVENT_COLUMNS, [encode(event)])
    connection.execute(_ADVANCE, {"run_id": run_id, "seq": event.seq})  # a score changes nothing else of the run's row
    numbered = [item.model_copy(update={"sequence": last + 1 + i}) for i, item in enumerate(learned)]
    insert_rows(connection, "experiences", EXPERIENCE_COLUMNS, [experience_row(item) for item in numbered])
    return numbered


def is_given(connection: Connection, feedback: Feedback, *, url: str) -> bool:
    """Say whether exactly this score is stored."""
    return feedback in _given(connection, feedback.run_id, url=url)


def _given(connection: Connection, run_id: RunId, *, url: str) -> list[Feedback]:
    found = [
        decode(body, schema, where=f"event {seq} of run {run_id!r} in {url!r}")
        for seq, schema, body in connection.execute(_GIVEN, {"run_id": run_id})
    ]
    return [event.feedback for event in found if isinstance(event, FeedbackGiven)]


def _scored(connection: Connection, learned: Sequence[Experience], *, url: str) -> set[ScoredKey]:
    """Return what was scored in the runs of ``learned``; only a run that is scored again has rows to be read."""
    return {
        scored_key(read_experience(body, sequence, url=url))
        for run_id in {item.run_id for item in learned}
        for sequence, body in connection.execute(_SCORED, {"run_id": run_id})
    }


def read_experience(body: str, sequence: int, *, url: str) -> Experience:
    """Return the experience that a row holds.

    Raises:
        StoreError: the row is damaged.
    """
    try:
        return record_of(Experience, body)
    except ValueError as error:
        raise StoreError(f"experience {sequence} in {url!r} is damaged: {body[:60]!r}") from error


def experience_row(item: Experience) -> tuple[int, RunId, AgentId, str, float, str]:
    """Return the row of a numbered experience."""
    return item.sequence, item.run_id, item.agent_id, item.source, item.at, json_of(item)
