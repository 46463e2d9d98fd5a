"""Add what is searched when runs are looked for by the reason of their decision."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Take the tables of schema 2 to schema 3, and draw the new one from the decisions that are stored."""
    op.create_table(
        "run_reasons",
        sa.Column("run_id", sa.String, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("folded_reason", sa.Text, nullable=False),
    )
    reason = "json_extract(body, '$.decision.reason')"
    stored = f"SELECT run_id, {reason} FROM events WHERE kind = 'decision_made' AND {reason} <> ''"  # noqa: S608 - ours
    for run_id, text in op.get_bind().exec_driver_sql(stored).all():
        op.get_bind().execute(
            sa.text("INSERT OR REPLACE INTO run_reasons VALUES (:run_id, :text)"),
            {"run_id": run_id, "text": text.casefold()},
        )
