"""Create the first tables: runs and their events, experiences, registries, routers and their states."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Place = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables of schema 1."""
    _create_runs()
    _create_events()
    _create_experiences()
    _create_routers()


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("status", sa.String),
        sa.Column("text", sa.Text),
        sa.Column("folded_text", sa.Text),
        sa.Column("elapsed_s", sa.Float),
        sa.Column("cost_usd", sa.String),
        sa.Column("agents", sa.Text, nullable=False),
    )
    op.create_index("ix_runs_started_at", "runs", ["started_at", "id"])
    op.create_index("ix_runs_status", "runs", ["status", "started_at", "id"])
    op.create_table(
        "run_agents",
        sa.Column("agent_id", sa.String, primary_key=True),
        sa.Column("run_id", sa.String, sa.ForeignKey("runs.id"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_agents_run_id", "run_agents", ["run_id"])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("place", _Place, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("run_id", "seq", name="uq_events_run_id_seq"),
        sqlite_autoincrement=True,
    )


def _create_experiences() -> None:
    op.create_table(
        "experiences",
        sa.Column("sequence", _Place, primary_key=True, autoincrement=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("agent_id", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_experiences_run_id", "experiences", ["run_id"])


def _create_routers() -> None:
    op.create_table(
        "registries",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "agent_cards",
        sa.Column("agent_id", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "routers",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("parameters_hash", sa.String, primary_key=True),
        sa.Column("parameters", sa.Text, nullable=False),
    )
    op.create_table(
        "router_states",
        sa.Column("router", sa.String, primary_key=True),
        sa.Column("parameters", sa.String, primary_key=True),
        sa.Column("sequence", _Place, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
