"""Add who is at work on the store, and who was last at work on a run, so that runs whose process is gone are found."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Take the tables of schema 4 to schema 5; of the runs before it nobody is known to be at work."""
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
