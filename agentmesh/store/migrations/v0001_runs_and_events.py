"""Create the first tables: runs and their events, experiences, registries, routers and their states."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
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
        sa.Column("id", _Name, primary_key=True),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("status", _Name),
        sa.Column("text", _Words),
        sa.Column("folded_text", _Words),
        sa.Column("elapsed_s", sa.Float),
        sa.Column("cost_usd", _Name),
        sa.Column("agents", _Words, nullable=False),
    )
    op.create_index("ix_runs_started_at", "runs", ["started_at", "id"])
    op.create_index("ix_runs_status", "runs", ["status", "started_at", "id"])
    op.create_table(
        "run_agents",
        sa.Column("agent_id", _Name, primary_key=True),
        sa.Column("run_id", _Name, sa.ForeignKey("runs.id"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_agents_run_id", "run_agents", ["run_id"])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("place", _Place, primary_key=True, autoincrement=True),
        sa.Column("run_id", _Name, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", _Name, nullable=False),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", _Words, nullable=False),
        sa.UniqueConstraint("run_id", "seq", name="uq_events_run_id_seq"),
        sqlite_autoincrement=True,
    )


def _create_experiences() -> None:
    op.create_table(
        "experiences",
        sa.Column("sequence", _Place, primary_key=True, autoincrement=False),
        sa.Column("run_id", _Name, nullable=False),
        sa.Column("agent_id", _Name, nullable=False),
        sa.Column("source", _Name, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", _Words, nullable=False),
    )
    op.create_index("ix_experiences_run_id", "experiences", ["run_id"])


def _create_routers() -> None:
    op.create_table(
        "registries",
        sa.Column("version", _Name, primary_key=True),
        sa.Column("body", _Words, nullable=False),
    )
    op.create_table(
        "agent_cards",
        sa.Column("agent_id", _Name, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", _Words, nullable=False),
    )
    op.create_table(
        "routers",
        sa.Column("name", _Name, primary_key=True),
        sa.Column("parameters_hash", _Name, primary_key=True),
        sa.Column("parameters", _Words, nullable=False),
    )
    op.create_table(
        "router_states",
        sa.Column("router", _Name, primary_key=True),
        sa.Column("parameters", _Name, primary_key=True),
        sa.Column("sequence", _Place, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
