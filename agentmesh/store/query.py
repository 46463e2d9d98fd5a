"""What the store asks of its tables."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Subquery,
    and_,
    exists,
    func,
    or_,
    select,
    union,
    union_all,
)

from agentmesh.records import RunStatus
from agentmesh.store.base import Orphaned, RunFilter
from agentmesh.store.codec import searchable, storable
from agentmesh.store.finding import found_at
from agentmesh.store.refusals import hole
from agentmesh.store.schema import (
    agent_cards,
    events,
    experiences,
    registries,
    router_marks,
    router_states,
    routers,
    run_agents,
    run_reasons,
    runs,
)

_NUMBERS = union_all(
    select(func.max(experiences.c.sequence).label("last")), select(func.max(router_marks.c.sequence))
).subquery()
LAST_NUMBER = select(func.coalesce(func.max(_NUMBERS.c.last), 0)).scalar_subquery()
"""The highest number that an experience or a mark has, 0 when there is none: they are counted together."""


def listed(where: RunFilter | None) -> Subquery:
    """Return ids and starts of the started runs that ``where`` asks for, to be counted, or put in order and joined.

    Only what is filtered by is read: without a search, indexes alone.
    """
    if where is None or where.agent_id is None:
        found = select(runs.c.id, runs.c.started_at).where(runs.c.started_at.is_not(None))
    else:
        theirs = run_agents.c
        found = select(theirs.run_id.label("id"), theirs.started_at)
        found = found.where(theirs.agent_id == storable(where.agent_id), theirs.started_at.is_not(None))
        if _asks_runs(where):
            found = found.join(runs, runs.c.id == theirs.run_id)
    return (found if where is None else _narrowed(found, where)).subquery("listed")


def _asks_runs(where: RunFilter) -> bool:
    """Say whether a filter asks for more than the id and the start of a run."""
    return where.alone or any(asked is not None for asked in (where.status, where.text, where.parent, where.orphaned))


def _narrowed(found: Select[Any], where: RunFilter) -> Select[Any]:
    run_id, started_at = found.selected_columns
    if where.status is not None:
        found = found.where(runs.c.status == where.status)
    if where.text is not None:  # not LIKE: it stops at a NUL character, and its patterns are limited in length
        found = found.where(found_at(runs.c.folded_text, searchable(where.text)) > 0)
    if where.reason is not None:
        is_said = found_at(run_reasons.c.folded_reason, searchable(where.reason)) > 0
        found = found.where(run_id.in_(select(run_reasons.c.run_id).where(is_said)))
    if where.alone:
        found = found.where(runs.c.parent.is_(None))
    if where.parent is not None:
        found = found.where(runs.c.parent == where.parent)
    if where.since is not None:
        found = found.where(started_at >= where.since)
    if where.prefix is not None:
        found = found.where(*_beginning(run_id, storable(where.prefix)))
    if where.orphaned is not None:
        found = found.where(runs.c.status == RunStatus.RUNNING, _left_alone(where.orphaned))
    return found


def _beginning(run_id: ColumnElement[Any], beginning: str) -> list[ColumnElement[bool]]:
    """Ask for ids that begin so: not by LIKE, as above, nor SUBSTR, which stops at a NUL character too.

    The range is what an index finds.
    """
    asked = [found_at(run_id, beginning) == 1, run_id >= beginning]
    if " " <= beginning[-1:] < "~":  # the next letter then comes next in every encoding and spelling
        asked.append(run_id < beginning[:-1] + chr(ord(beginning[-1]) + 1))
    return asked


def page_of(
    where: RunFilter | None,
    columns: Sequence[ColumnElement[Any]],
    *,
    limit: int,
    offset: int,
    counted: bool = False,
) -> Select[Any]:
    """Ask for columns of the runs that ``where`` asks for, newest first; only rows of this page are read.

    Where they are ``counted``, how many there are comes behind the columns of each: all are found in one pass.
    """
    found = listed(where).c
    total = [func.count().over().label("total")] if counted else []
    page = select(found.id, found.started_at, *total).order_by(found.started_at.desc(), found.id.desc())
    shown = page.limit(limit).offset(offset).subquery("page")
    told = [shown.c.total] if counted else []
    wanted = select(*columns, *told).join_from(shown, runs, runs.c.id == shown.c.id)
    return wanted.order_by(shown.c.started_at.desc(), shown.c.id.desc())


def start_after(newest: int) -> Select[Any]:
    """Ask when the run started that comes after so many newer ones; an index knows."""
    known = select(runs.c.started_at).where(runs.c.started_at.is_not(None))
    return known.order_by(runs.c.started_at.desc()).offset(newest).limit(1)


def _left_alone(orphaned: Orphaned) -> ColumnElement[bool]:
    """Say of a run that is under way by its log that nobody is at work on it, nor on the run that it is part of."""
    last = select(events.c.at).where(events.c.run_id == runs.c.id, events.c.seq == runs.c.last_seq).scalar_subquery()
    outer = runs.alias()
    goes_on = outer.c.status.in_((RunStatus.RUNNING, RunStatus.WAITING))
    return and_(
        or_(
            and_(runs.c.owner.is_not(None), runs.c.owner.not_in(sorted(orphaned.living))),
            and_(runs.c.owner.is_(None), last < orphaned.quiet_since),
        ),
        ~exists().where(outer.c.id == runs.c.parent, goes_on),
    )


def registry_of(version: str) -> Select[Any]:
    """Ask for the cards stored under a registry's version, as JSON text."""
    return select(registries.c.body).where(registries.c.version == version)


def parameters_of(name: str, parameters_hash: str) -> Select[Any]:
    """Ask for the parameters stored under a hash."""
    return select(routers.c.parameters).where(routers.c.name == name, routers.c.parameters_hash == parameters_hash)


def named_routers() -> CompoundSelect[Any]:
    """Ask for each name and parameters hash that parameters or states are stored under."""
    return union(
        select(routers.c.name, routers.c.parameters_hash), select(router_states.c.router, router_states.c.parameters)
    )


def latest_cards() -> Select[Any]:
    """Ask for the card of the highest version of every agent, by id."""
    newest = (
        select(agent_cards.c.agent_id, func.max(agent_cards.c.version).label("version"))
        .group_by(agent_cards.c.agent_id)
        .subquery()
    )
    same = (agent_cards.c.agent_id == newest.c.agent_id) & (agent_cards.c.version == newest.c.version)
    return select(agent_cards.c.body).join(newest, same).order_by(agent_cards.c.agent_id)


def last_experience(connection: Connection) -> int:
    """Return the highest number used, 0 when there is none."""
    return connection.scalar(select(LAST_NUMBER)) or 0


def holes(connection: Connection) -> list[str]:
    """Name the runs whose events are not 0, 1, 2 ... to the last."""
    stored = func.count(events.c.seq)
    last = func.coalesce(func.max(events.c.seq), runs.c.last_seq)
    wanted = (
        select(runs.c.id, stored, last)
        .join_from(runs, events, events.c.run_id == runs.c.id, isouter=True)
        .group_by(runs.c.id, runs.c.last_seq)
        .having(stored != last + 1)
    )
    return [hole(run_id, stored=count, last_seq=seq) for run_id, count, seq in connection.execute(wanted)]
