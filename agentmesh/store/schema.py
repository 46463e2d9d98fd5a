"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test keeps the two the same.

``events`` is the truth. ``runs``, ``run_agents`` and ``run_reasons`` are drawn from it in the same transaction, so that
lists and filters need not read event bodies; they could be rebuilt from it.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# in the order of their characters, as SQLite and Python sort, whatever language the server speaks
Name = String().with_variant(String(collation="C"), "postgresql")
Words = Text().with_variant(Text(collation="C"), "postgresql")
Place = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER key counts up by itself in SQLite
_NESTED = text("parent IS NOT NULL")

runs = Table(
    "runs",
    metadata,
    Column("id", Name, primary_key=True),
    Column("last_seq", Integer, nullable=False),
    Column("started_at", Float),  # null until run_started is stored; such runs are not listed
    Column("status", Name),
    Column("text", Words),  # the beginning of the task, as a list shows it
    Column("folded_text", Words),  # all of the task, case folded, to be searched
    Column("elapsed_s", Float),
    Column("cost_usd", Name),  # decimal text: no database rounds it; null is unknown
    Column("agents", Words, nullable=False),  # a JSON list, in the order of their first finished call
    Column("parent", Name),  # the run that started it; null for one that stands alone
    Column("owner", Name),  # the lease of who is at work on it; null where nobody is known to be
    # whom to list, and how many there are, is read from these alone
    Index("ix_runs_started_at", "started_at", "id", "parent"),
    Index("ix_runs_status", "status", "started_at", "id", "parent"),
    Index("ix_runs_parent", "parent", sqlite_where=_NESTED, postgresql_where=_NESTED),
)

leases = Table(
    "leases",
    metadata,
    Column("owner", Name, primary_key=True),  # one for each time that a mesh is open
    Column("host", Name, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("place", Name, nullable=False),  # where its pid means this process
    Column("born", Name, nullable=False),  # when the process was started, in the machine's own count
    Column("taken_at", Float, nullable=False),
    Column("renewed_at", Float, nullable=False),
    Column("beats", Integer, nullable=False),  # how often it was renewed
)

run_agents = Table(
    "run_agents",
    metadata,
    Column("agent_id", Name, primary_key=True),
    Column("run_id", Name, ForeignKey("runs.id"), primary_key=True),
    Column("started_at", Float),  # that of the run
    Index("ix_run_agents_run_id", "run_id"),
    Index("ix_run_agents_started_at", "agent_id", "started_at", "run_id"),
    sqlite_with_rowid=False,
)

run_reasons = Table(
    "run_reasons",
    metadata,
    Column("run_id", Name, ForeignKey("runs.id"), primary_key=True),
    Column("folded_reason", Words, nullable=False),  # why its agents were chosen, case folded, to be searched
)

events = Table(
    "events",
    metadata,
    Column("place", Place, primary_key=True, autoincrement=True),
    Column("run_id", Name, ForeignKey("runs.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", Name, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", Words, nullable=False),
    UniqueConstraint("run_id", "seq", name="uq_events_run_id_seq"),
    sqlite_autoincrement=True,  # a place is never used twice, also after the last rows were pruned
)

experiences = Table(
    "experiences",
    metadata,
    Column("sequence", Place, primary_key=True, autoincrement=False),
    Column("run_id", Name, nullable=False),
    Column("agent_id", Name, nullable=False),
    Column("source", Name, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", Words, nullable=False),
    # not unique: what an older agentmesh stored may hold the same score twice
    Index("ix_experiences_scored", "run_id", "agent_id", "source"),
)

router_marks = Table(
    "router_marks",
    metadata,
    Column("sequence", Place, primary_key=True, autoincrement=False),  # no experience has the same one
    Column("router", Name, nullable=False),
    Column("root", Name, nullable=False),
    Column("parameters", Name, nullable=False),
    Column("kind", Name, nullable=False),
    Column("target", Place),
    Column("at", Float, nullable=False),
    Column("note", Words, nullable=False),
    Index("ix_router_marks_router", "router", "root", "sequence"),
)

learning_faults = Table(
    "learning_faults",
    metadata,
    Column("place", Place, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("source", Name, nullable=False),
    Column("message", Words, nullable=False),
    sqlite_autoincrement=True,
)

registries = Table(
    "registries",
    metadata,
    Column("version", Name, primary_key=True),
    Column("body", Words, nullable=False),
)

agent_cards = Table(
    "agent_cards",
    metadata,
    Column("agent_id", Name, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Words, nullable=False),
)

routers = Table(
    "routers",
    metadata,
    Column("name", Name, primary_key=True),
    Column("parameters_hash", Name, primary_key=True),
    Column("parameters", Words, nullable=False),
)

router_states = Table(
    "router_states",
    metadata,
    Column("router", Name, primary_key=True),
    Column("parameters", Name, primary_key=True),
    Column("sequence", Place, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)

prunings = Table(
    "prunings",
    metadata,
    Column("at", Float, primary_key=True, autoincrement=False),
    Column("before", Float, nullable=False),  # runs that started earlier went
    Column("runs", Integer, nullable=False),
    Column("events", Integer, nullable=False),
)
