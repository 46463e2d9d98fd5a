"""Add what is searched when runs are looked for by the reason of their decision."""

import json
from contextlib import suppress

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_events = sa.table("events", sa.column("place"), sa.column("run_id"), sa.column("kind"), sa.column("body"))
_run_reasons = sa.table("run_reasons", sa.column("run_id"), sa.column("folded_reason"))


def upgrade() -> None:
    """Take the tables of schema 2 to schema 3, and draw the new one from the decisions that are stored."""
    op.create_table(
        "run_reasons",
        sa.Column("run_id", _Name, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("folded_reason", _Words, nullable=False),
    )
    rows = [{"run_id": run_id, "folded_reason": reason} for run_id, reason in _newest_reasons().items()]
    if rows:
        op.get_bind().execute(sa.insert(_run_reasons), rows)


def _newest_reasons() -> dict[str, str]:
    stored = sa.select(_events.c.run_id, _events.c.body).where(_events.c.kind == "decision_made").order_by("place")
    reasons: dict[str, str] = {}
    for run_id, body in op.get_bind().execute(stored, execution_options={"yield_per": 500}):
        with suppress(ValueError, KeyError, TypeError):  # a damaged event stays as it is, for a check to name it
            reason = json.loads(body)["decision"].get("reason")
            if reason:
                reasons[run_id] = reason.casefold().encode(errors="backslashreplace").decode()
    return reasons
