"""Router states, the marks that set them, and what could not be learned, in the caller's transaction."""

from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Select, and_, delete, insert, select

from agentmesh.errors import StoreError
from agentmesh.records import LearningFault, RouterMark, RouterState
from agentmesh.store.faults import MOST_ON_DISK
from agentmesh.store.query import last_experience
from agentmesh.store.refusals import mark_without_state
from agentmesh.store.schema import experiences, learning_faults, router_marks, router_states


def put_state(connection: Connection, state: RouterState) -> None:
    """Store a router state in place of the one of the same router, parameters and sequence."""
    table = router_states.c
    same = and_(table.router == state.router, table.parameters == state.parameters, table.sequence == state.sequence)
    connection.execute(delete(router_states).where(same))
    connection.execute(insert(router_states).values(state.model_dump()))


def nearest_state(router: str, parameters: str, *, until: int | None) -> Select[Any]:
    """Ask for the stored state with the highest ``sequence <= until``."""
    table = router_states.c
    wanted = select(router_states).where(table.router == router, table.parameters == parameters)
    if until is not None:
        wanted = wanted.where(table.sequence <= until)
    return wanted.order_by(table.sequence.desc()).limit(1)


def stored_states(router: str, parameters: str) -> Select[Any]:
    """Ask for sequence and time of each stored state of a router, rising."""
    table = router_states.c
    wanted = select(table.sequence, table.at).where(table.router == router, table.parameters == parameters)
    return wanted.order_by(table.sequence)


def put_mark(connection: Connection, mark: RouterMark, state: RouterState) -> RouterMark:
    """Store a mark under the next number, and the state that holds from it on under the same one."""
    numbered = mark.model_copy(update={"sequence": last_experience(connection) + 1})
    connection.execute(insert(router_marks).values(numbered.model_dump()))
    put_state(connection, state.model_copy(update={"sequence": numbered.sequence}))
    return numbered


def marks_of(router: str, root: str, *, after: int, until: int | None) -> Select[Any]:
    """Ask for the marks of a router with ``after < sequence <= until``, rising."""
    table = router_marks.c
    wanted = select(router_marks).where(table.router == router, table.root == root, table.sequence > after)
    if until is not None:
        wanted = wanted.where(table.sequence <= until)
    return wanted.order_by(table.sequence)


def read_mark(row: Any, *, url: str) -> RouterMark:
    """Return the mark that a row holds.

    Raises:
        StoreError: the row is damaged.
    """
    try:
        return RouterMark.model_validate(dict(row._mapping))
    except ValidationError as error:
        raise StoreError(f"mark {row.sequence} in {url!r} is damaged: {dict(row._mapping)!r}") from error


def add_fault(connection: Connection, fault: LearningFault) -> None:
    """Store a fault after those before, and forget the oldest of more than 10,000."""
    (place,) = connection.execute(insert(learning_faults).values(fault.model_dump())).inserted_primary_key or (0,)
    connection.execute(delete(learning_faults).where(learning_faults.c.place <= place - MOST_ON_DISK))


def newest_faults(connection: Connection, limit: int) -> list[LearningFault]:
    """Return the last faults stored, newest first."""
    table = learning_faults.c
    wanted = select(table.at, table.run_id, table.source, table.message).order_by(table.place.desc()).limit(limit)
    return [LearningFault(**row._mapping) for row in connection.execute(wanted)]


def drop_bare_marks(connection: Connection) -> list[str]:
    """Delete the marks whose state is gone, and return what was done, a line each."""
    bare = connection.execute(_bare()).all()
    for row in bare:
        connection.execute(delete(router_marks).where(router_marks.c.sequence == row.sequence))
    return [f"left out {mark_without_state(*row)}" for row in bare]


def broken_marks(connection: Connection) -> list[str]:
    """Name the marks whose state is gone, and those whose number an experience has as well."""
    mark = router_marks.c
    shared = (
        select(mark.sequence)
        .join_from(router_marks, experiences, mark.sequence == experiences.c.sequence)
        .order_by(mark.sequence)
    )
    found = [mark_without_state(*row) for row in connection.execute(_bare())]
    return found + [f"number {number} is that of a mark and of an experience" for number in connection.scalars(shared)]


def _bare() -> Select[Any]:
    mark, state = router_marks.c, router_states.c
    same = and_(state.router == mark.router, state.parameters == mark.parameters, state.sequence == mark.sequence)
    return (
        select(mark.sequence, mark.router, mark.parameters)
        .join_from(router_marks, router_states, same, isouter=True)
        .where(state.sequence.is_(None))
        .order_by(mark.sequence)
    )
