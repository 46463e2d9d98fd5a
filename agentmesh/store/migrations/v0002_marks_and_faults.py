"""Add the marks of routers and the faults of learning, and find what a source has scored by one index."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_Place = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Take the tables of schema 1 to schema 2. No row is touched."""
    op.create_table(
        "router_marks",
        sa.Column("sequence", _Place, primary_key=True, autoincrement=False),
        sa.Column("router", _Name, nullable=False),
        sa.Column("root", _Name, nullable=False),
        sa.Column("parameters", _Name, nullable=False),
        sa.Column("kind", _Name, nullable=False),
        sa.Column("target", _Place),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("note", _Words, nullable=False),
    )
    op.create_index("ix_router_marks_router", "router_marks", ["router", "root", "sequence"])
    op.create_table(
        "learning_faults",
        sa.Column("place", _Place, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("run_id", _Name, nullable=False),
        sa.Column("source", _Name, nullable=False),
        sa.Column("message", _Words, nullable=False),
        sqlite_autoincrement=True,
    )
    op.drop_index("ix_experiences_run_id", "experiences")  # the next one begins with the same column
    op.create_index("ix_experiences_scored", "experiences", ["run_id", "agent_id", "source"])
