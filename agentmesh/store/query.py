"""What the store asks of its tables."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
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


def matching(wanted: Select[Any], where: RunFilter | None) -> Select[Any]:
    """Narrow a query over ``runs`` to the started ones that ``where`` asks for."""
    wanted = wanted.where(runs.c.started_at.is_not(None))
    if where is None:
        return wanted
    if where.status is not None:
        wanted = wanted.where(runs.c.status == where.status)
    if where.text is not None:  # not LIKE: it stops at a NUL character, and its patterns are limited in length
        wanted = wanted.where(found_at(runs.c.folded_text, searchable(where.text)) > 0)
    if where.reason is not None:
        found = found_at(run_reasons.c.folded_reason, searchable(where.reason)) > 0
        wanted = wanted.where(runs.c.id.in_(select(run_reasons.c.run_id).where(found)))
    if where.agent_id is not None:
        theirs = select(run_agents.c.run_id).where(run_agents.c.agent_id == storable(where.agent_id))
        wanted = wanted.where(runs.c.id.in_(theirs))
    if where.alone:
        wanted = wanted.where(runs.c.parent.is_(None))
    if where.parent is not None:
        wanted = wanted.where(runs.c.parent == where.parent)
    if where.since is not None:
        wanted = wanted.where(runs.c.started_at >= where.since)
    if where.prefix is not None:  # not LIKE, as above, nor SUBSTR: it too stops at a NUL character
        beginning = storable(where.prefix)
        wanted = wanted.where(runs.c.id >= beginning, found_at(runs.c.id, beginning) == 1)
    if where.orphaned is not None:
        wanted = wanted.where(runs.c.status == RunStatus.RUNNING, _left_alone(where.orphaned))
    return wanted


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
