"""One run on its own screen: headline, calls, answer and what stood against it, context, and all of it as text."""

from collections.abc import Sequence
from typing import Final

from agentmesh.display import escape, escape_line, moment, seconds, shorten, usd
from agentmesh.events import ContextSliced, Event, RunStarted, fold
from agentmesh.records import AgentCall, CallStatus, Run
from agentmesh.tui.cells import Cell, Column, Tone
from agentmesh.tui.presenters import NONE, clock_time, money
from agentmesh.tui.telling import told

CALLS: Final = (
    Column("agent", 16, grows=True, most=32),
    Column("wave", 4, right=True, rank=2),
    Column("try", 3, right=True, rank=2),
    Column("ended", 9),
    Column("USD", 8, right=True),
    Column("s", 7, right=True, rank=1),
    Column("tokens in/out", 13, right=True, rank=2),
    Column("answer or error", 16, grows=True),
)
"""The columns of the calls of a run."""

SLICES: Final = (
    Column("agent", 16, grows=True, most=32),
    Column("item", 16, grows=True),
    Column("tokens", 6, right=True),
    Column("in", 3),
    Column("why", 20, grows=True),
)
"""The columns of what agents got of the context."""

LONGEST_SHOWN: Final = 20_000
"""Characters of an answer that a screen shows: laying out more holds up the keys. $PAGER shows all of it."""

ORPHANED: Final = "orphaned: its process is gone; 'agentmesh runs resume' goes on with it"

_ENDED: Final = {
    CallStatus.OK: Tone.GOOD,
    CallStatus.FAILED: Tone.BAD,
    CallStatus.TIMED_OUT: Tone.BAD,
    CallStatus.REFUSED: Tone.WARN,
    CallStatus.CANCELLED: Tone.DIM,
}


def headline(run: Run, reading: str = "", *, orphaned: bool = False) -> str:
    """Return which run this is and how it stands, in a line, and its task in another.

    While it is being read, ``reading`` stands for how it stands, which is not known yet.
    """
    stands = ORPHANED if orphaned else run.status.value.replace("_", " ")
    parts = [run.id, *([reading] if reading else [stands, usd(run.cost_usd), seconds(run.elapsed_s)])]
    part_of = [] if run.parent is None else [f"part of {run.parent}"]
    return escape_line("  ".join([*parts, *part_of])) + "\n" + escape_line(run.task.text[:1000])


def reading_line(count: int, total: int) -> str:
    """Return how far a run was read; ``total`` is how many events there are as far as is known, 0 where it is not.

    >>> reading_line(34_000, 100_000), reading_line(2_000, 0)
    ('reading 34,000 of 100,000 events ...', 'reading, 2,000 events so far ...')
    """
    return f"reading {count:,} of {total:,} events ..." if total > count else f"reading, {count:,} events so far ..."


def call_text(call: AgentCall) -> str:
    """Return what an agent said as a screen may show it, or why it said nothing."""
    return shown(_said(call))


def answer_text(run: Run) -> str:
    """Return the final answer, or why there is none."""
    by = f"by {', '.join(run.answered_by)}\n\n" if run.answered_by else ""
    if run.answer is not None:
        return by + shown(run.answer)
    return shown(run.error or "no answer yet")


def against_text(run: Run) -> str:
    """Return what stood against the answer: conflicts with who said what, what was left out, and what all agree on."""
    lines: list[str] = []
    for conflict in run.conflicts:
        lines.append("in conflict, with the weight of each side:")
        lines += [
            f"  {', '.join(one.agents)} ({one.weight:.3g}): {shorten(one.text, 500)}" for one in conflict.positions
        ]
        lines += [f"  {shorten(conflict.explanation, 500)}"] if conflict.explanation else []
    lines += [f"left out, {one.agent_id}: {shorten(one.why, 300)}" for one in run.dropped]
    lines += [f"agreed: {shorten(point, 300)}" for point in run.agreed]
    return "\n".join(lines) or "nothing stood against it"


def slice_rows(events: Sequence[Event]) -> list[tuple[Cell, ...]]:
    """Return a row under ``SLICES`` for each item of the context that was weighed for an agent."""
    rows = []
    for event in events:
        if isinstance(event, ContextSliced):
            for item in event.items:
                tone = Tone.GOOD if item.kept else Tone.DIM
                cells = (event.agent_id, item.key, str(item.tokens), "yes" if item.kept else "no", item.why)
                rows.append(tuple(Cell(text, tone) for text in cells))
    return rows


def run_text(events: Sequence[Event]) -> str:
    """Return all of a run as text, for a pager."""
    run = fold(events)
    started = next(event for event in events if isinstance(event, RunStarted))
    parts = [f"{headline(run)}\nstarted {moment(started.at)}", run.task.text]
    parts += [] if run.decision is None else [run.decision.explain()]
    parts.append("\n".join(f"{clock_time(event.at)} {event.seq:>4} {told(event)}" for event in events))
    parts += [f"{call.agent_id} {call.status}\n{_said(call)}" for call in run.calls]
    parts += [f"Against\n{against_text(run)}", f"Answer\n{run.answer if run.answer is not None else NONE}"]
    return escape("\n\n".join(parts)) + "\n"


def shown(text: str) -> str:
    """Return a text of a stranger as a screen may show it: harmless, and not too long to be laid out."""
    cut = escape(text[:LONGEST_SHOWN])
    left = len(text) - LONGEST_SHOWN
    return cut if left <= 0 else f"{cut}\n... {left:,} more characters; o shows all in $PAGER"


def _said(call: AgentCall) -> str:
    return call.answer.text if call.answer is not None else call.error or "no answer"


def call_row(call: AgentCall) -> tuple[Cell, ...]:
    """Return the cells of an attempt under ``CALLS``."""
    usage = call.answer.usage if call.answer is not None else None
    said = call.answer.text if call.answer is not None else call.error or NONE
    return (
        Cell(call.agent_id),
        Cell(str(call.wave)),
        Cell(str(call.attempt)),
        Cell(call.status.value.replace("_", " "), _ENDED[call.status]),
        Cell(money(call.cost_usd)),
        Cell(f"{call.latency_s:.3f}"),
        Cell(NONE if usage is None else f"{usage.input_tokens}/{usage.output_tokens}"),
        Cell(said.strip(), Tone.PLAIN if call.answer is not None else Tone.BAD),
    )
