"""Views for analysts: events, outcomes and agents as plain columns, the same on SQLite and on PostgreSQL.

They hold nothing: a migration drops them, takes its steps, and makes them anew. What they show is in
``docs/analysis.md``. JSON escapes that no PostgreSQL text can hold (NUL, half of a surrogate pair) are shown as U+FFFD
and what follows them, on both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from sqlalchemy import Connection

Kind: TypeAlias = Literal["text", "real", "integer", "flag", "money", "json"]

Column: TypeAlias = tuple[str, str, Kind]
"""A column's name, the path of its value such as ``call.agent_id``, and what it is."""


@dataclass(frozen=True, slots=True)
class View:
    """A view over the JSON of a table: some of its columns as they are, and values out of its ``body``.

    Attributes:
        name: What it is called.
        table: Where the rows are.
        event: The kind of event that is meant, where the table is that of events.
        plain: Expressions over the table ``e``, which stand first.
        columns: What comes out of the body.
        each: The path of a list in the body, each item of which is a row; a body with an empty one is a row as well.
        items: What comes out of an item.
        chosen: The path of a list of objects with ``agent_id`` and ``weight``, in which the item's agent may stand.
    """

    name: str
    table: str
    columns: Sequence[Column]
    event: str = ""
    plain: Sequence[str] = ("e.run_id", "e.seq", "e.at")
    each: str = ""
    items: Sequence[Column] = ()
    chosen: str = ""


class Dialect(Protocol):
    """How a database reads JSON."""

    def value(self, source: str, path: str, kind: Kind) -> str:
        """Return the expression of a value."""
        ...

    def read(self, table: str) -> str:
        """Return what a view is over, the body as ``parsed``."""
        ...

    def items(self, path: str, alias: str) -> str:
        """Return the items of a list in the body as a table with a ``value``."""
        ...

    def number(self, alias: str) -> str:
        """Return the place of an item, from 1."""
        ...


class _Sqlite:
    def value(self, source: str, path: str, kind: Kind) -> str:
        found = f"json_extract({source}, '$.{path}')"
        return f"CAST({found} AS REAL)" if kind in ("money", "real") else found

    def read(self, table: str) -> str:
        return f"(SELECT *, {_CLEAN} AS parsed FROM {table}) AS e"  # noqa: S608 - names from our own code

    def items(self, path: str, alias: str) -> str:
        return f"json_each(e.parsed, '$.{path}') AS {alias}"

    def number(self, alias: str) -> str:
        return f"{alias}.key + 1"


class _Postgres:
    _TYPES: Final[Mapping[Kind, str]] = {
        "text": "text",
        "real": "double precision",
        "integer": "bigint",
        "flag": "boolean::integer",
        "money": "double precision",
        "json": "text",
    }

    def value(self, source: str, path: str, kind: Kind) -> str:
        steps = ",".join(path.split("."))
        return f"({source} #>> '{{{steps}}}')::{self._TYPES[kind]}"

    def read(self, table: str) -> str:
        # OFFSET keeps the body from being read anew for each column, and a search by run from reading all bodies
        parsed = f"CROSS JOIN LATERAL (SELECT ({_CLEAN})::jsonb AS parsed OFFSET 0) AS p"
        return f"{table} AS e {parsed}"

    def items(self, path: str, alias: str) -> str:
        steps = ",".join(path.split("."))
        return f"LATERAL jsonb_array_elements(parsed #> '{{{steps}}}') WITH ORDINALITY AS {alias}(value, number)"

    def number(self, alias: str) -> str:
        return f"{alias}.number"


_CLEAN: Final = r"replace(replace(replace(replace(body, '\\', '\!'), '\u0000', '\ufffd'), '\ud', '\ufffd'), '\!', '\\')"
"""The body without what cannot be shown. A backslash of a text, which JSON doubles, is put aside meanwhile."""

_DECISION: Final[Sequence[Column]] = (
    ("router", "decision.router", "text"),
    ("router_version", "decision.router_version", "text"),
    ("registry_version", "decision.registry_version", "text"),
    ("policy", "decision.policy", "text"),
    ("explored", "decision.explored", "flag"),
    ("abstained", "decision.abstained", "flag"),
    ("margin", "decision.margin", "real"),
    ("threshold", "decision.threshold", "real"),
    ("log_propensity", "decision.log_propensity", "real"),
    ("elapsed_ms", "decision.elapsed_ms", "real"),
    ("reason", "decision.reason", "text"),
)
_CANDIDATE: Final[Sequence[Column]] = (
    ("agent_id", "agent_id", "text"),
    ("agent_version", "agent_version", "integer"),
    ("score", "score", "real"),
    ("probability", "probability", "real"),
    ("propensity", "inclusion", "real"),
    ("gate", "gate", "text"),
    ("expected_quality", "expected_quality", "real"),
    ("expected_cost_usd", "expected_cost_usd", "real"),
    ("expected_latency_s", "expected_latency_s", "real"),
)
_CALL: Final[Sequence[Column]] = (
    ("agent_id", "call.agent_id", "text"),
    ("agent_version", "call.agent_version", "integer"),
    ("attempt", "call.attempt", "integer"),
    ("wave", "call.wave", "integer"),
    ("status", "call.status", "text"),
    ("latency_s", "call.latency_s", "real"),
    ("cost_usd", "call.cost_usd", "money"),
    ("nested_usd", "call.nested_usd", "money"),
    ("input_tokens", "call.answer.usage.input_tokens", "integer"),
    ("output_tokens", "call.answer.usage.output_tokens", "integer"),
    ("error", "call.error", "text"),
    ("retryable", "call.retryable", "flag"),
)
_FEEDBACK: Final[Sequence[Column]] = (
    ("agent_id", "feedback.agent_id", "text"),
    ("source", "feedback.source", "text"),
    ("score", "feedback.score", "real"),
)
_ASKED: Final[Sequence[Column]] = (
    ("agent_id", "request.agent_id", "text"),
    ("wave", "request.wave", "integer"),
    ("estimate_usd", "request.estimate_usd", "money"),
    ("reason", "request.reason", "text"),
    ("expires_at", "request.expires_at", "real"),
)
_GIVEN: Final[Sequence[Column]] = (
    ("agent_id", "reply.agent_id", "text"),
    ("wave", "reply.wave", "integer"),
    ("verdict", "reply.verdict", "text"),
    ("by", "reply.by", "text"),
    ("note", "reply.note", "text"),
)
_EXPERIENCE: Final[Sequence[Column]] = (
    ("agent_version", "agent_version", "integer"),
    ("quality", "quality", "real"),
    ("cost_usd", "cost_usd", "money"),
    ("latency_s", "latency_s", "real"),
    ("propensity", "propensity", "real"),
    ("weight", "weight", "real"),
    ("embedder", "embedder", "text"),
    ("stage", "stage", "integer"),
    ("previous", "previous", "text"),
)
_CARD: Final[Sequence[Column]] = (
    ("description", "description", "text"),
    ("agent_group", "group", "text"),
    ("price_per_call_usd", "price_per_call_usd", "money"),
    ("skills", "skills", "json"),
)

JSON_VIEWS: Final = (
    View(
        "v_decisions",
        "events",
        _DECISION,
        event="decision_made",
        each="decision.candidates",
        items=_CANDIDATE,
        chosen="decision.selected",
    ),
    View("v_calls", "events", _CALL, event="call_finished"),
    View("v_feedback", "events", _FEEDBACK, event="feedback_given"),
    View("v_approvals_asked", "events", _ASKED, event="approval_asked"),
    View("v_approvals_given", "events", _GIVEN, event="approval_given"),
    View(
        "v_experiences",
        "experiences",
        _EXPERIENCE,
        plain=("e.sequence", "e.run_id", "e.agent_id", "e.source", "e.at"),
    ),
    View("v_agent_versions", "agent_cards", _CARD, plain=("e.agent_id", "e.version")),
)

PLAIN_VIEWS: Final = {
    "v_runs": "SELECT id AS run_id, parent AS parent_id, started_at, status, text AS task, elapsed_s, "
    "CAST(cost_usd AS double precision) AS cost_usd, agents FROM runs WHERE started_at IS NOT NULL",
    "v_router_states": "SELECT router, parameters, sequence, at, length(payload) AS bytes FROM router_states",
    "v_approvals": "SELECT a.run_id, a.agent_id, a.wave, a.at AS asked_at, a.estimate_usd, a.reason, a.expires_at, "
    'g.at AS given_at, g.verdict, g."by", g.note FROM v_approvals_asked a LEFT JOIN v_approvals_given g '
    "ON g.run_id = a.run_id AND g.agent_id = a.agent_id AND g.wave = a.wave",
}
"""The same words on both databases. The last one is over two of the others."""

NAMES: Final = (*(view.name for view in JSON_VIEWS), *PLAIN_VIEWS)


def make_views(connection: Connection) -> None:
    """Make the views of today's schema, where none of them is."""
    for name, query in queries(connection.dialect.name).items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")


def drop_views(connection: Connection) -> None:
    """Drop the views, so that what they are over can be changed."""
    for name in reversed(NAMES):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def queries(dialect: str) -> dict[str, str]:
    """Return the query of each view, in an order in which they can be made.

    >>> queries("sqlite")["v_router_states"]
    'SELECT router, parameters, sequence, at, length(payload) AS bytes FROM router_states'
    """
    reads: Dialect = _Postgres() if dialect == "postgresql" else _Sqlite()
    return {view.name: _query(view, reads) for view in JSON_VIEWS} | PLAIN_VIEWS


def _query(view: View, reads: Dialect) -> str:
    shown = [*view.plain, *(_shown(reads, "parsed", column) for column in view.columns)]
    source = reads.read(view.table)
    if view.each:
        shown += [f"{reads.number('one')} AS place", *(_shown(reads, "one.value", item) for item in view.items)]
        source += f" LEFT JOIN {reads.items(view.each, 'one')} ON TRUE"
    if view.chosen:
        agent, mine = (reads.value(f"{alias}.value", "agent_id", "text") for alias in ("one", "picked"))
        picked = f"FROM {reads.items(view.chosen, 'picked')} WHERE {mine} = {agent}"
        weight = reads.value("picked.value", "weight", "real")
        shown += [f"(SELECT count(*) {picked}) AS selected", f"(SELECT max({weight}) {picked}) AS weight"]
    condition = f" WHERE e.kind = '{view.event}'" if view.event else ""
    return f"SELECT {', '.join(shown)} FROM {source}{condition}"  # noqa: S608 - names from our own code


def _shown(reads: Dialect, source: str, column: Column) -> str:
    name, path, kind = column
    return f'{reads.value(source, path, kind)} AS "{name}"'
