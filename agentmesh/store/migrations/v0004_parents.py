"""Add which run started a run, so that the runs of the stages of a workflow are listed only when they are asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Take the tables of schema 3 to schema 4; before it, every run stood alone."""
    op.add_column("runs", sa.Column("parent", sa.String().with_variant(sa.String(collation="C"), "postgresql")))
