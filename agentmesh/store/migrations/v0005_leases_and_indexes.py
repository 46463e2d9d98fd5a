"""Say who is at work on runs, read lists and counts from indexes alone, and note what is pruned."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")

_parent: sa.ColumnClause[str] = sa.column("parent")
_runs = sa.table("runs", sa.column("id"), sa.column("started_at"))
_run_agents = sa.table("run_agents", sa.column("run_id"), sa.column("started_at"))


def upgrade() -> None:
    """Take the tables of schema 4 to schema 5; of the runs before it nobody is known to be at work."""
    _leases()
    _parents()
    _indexes()
    op.create_table(
        "prunings",
        sa.Column("at", sa.Float, primary_key=True),
        sa.Column("before", sa.Float, nullable=False),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
    )


def _leases() -> None:
    op.add_column("runs", sa.Column("owner", _Name))
    op.create_table(
        "leases",
        sa.Column("owner", _Name, primary_key=True),
        sa.Column("host", _Name, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("place", _Name, nullable=False),
        sa.Column("born", _Name, nullable=False),
        sa.Column("taken_at", sa.Float, nullable=False),
        sa.Column("renewed_at", sa.Float, nullable=False),
        sa.Column("beats", sa.Integer, nullable=False),
    )


def _parents() -> None:
    """Draw from the events which run started which: schema 4 made room for that, and left it empty."""
    events, runs = (
        sa.table("events", *map(sa.column, ("run_id", "seq", "body"))),
        sa.table("runs", sa.column("id"), _parent),
    )
    named = sa.select(events.c.run_id, events.c.body).where(events.c.seq == 0, events.c.body.contains('"parent":"'))
    rows = op.get_bind().execute(named).all()
    found = {run_id: json.loads(body).get("parent") for run_id, body in rows}
    for run_id, parent in found.items():
        op.execute(sa.update(runs).where(runs.c.id == run_id).values(parent=parent))


def _indexes() -> None:
    """Make indexes that hold all a list asks for, and draw from the runs when those of each agent started."""
    op.drop_index("ix_runs_started_at", "runs")
    op.create_index("ix_runs_started_at", "runs", ["started_at", "id", "parent"])
    op.drop_index("ix_runs_status", "runs")
    op.create_index("ix_runs_status", "runs", ["status", "started_at", "id", "parent"])
    nested = sa.text("parent IS NOT NULL")
    op.create_index("ix_runs_parent", "runs", ["parent"], sqlite_where=nested, postgresql_where=nested)
    op.add_column("run_agents", sa.Column("started_at", sa.Float))
    begun = sa.select(_runs.c.started_at).where(_runs.c.id == _run_agents.c.run_id).scalar_subquery()
    op.execute(sa.update(_run_agents).values(started_at=begun))
    op.create_index("ix_run_agents_started_at", "run_agents", ["agent_id", "started_at", "run_id"])
