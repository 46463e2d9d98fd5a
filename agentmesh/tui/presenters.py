"""From records to what stands on a screen: rows, labels and lines, with no terminal in sight."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from agentmesh.decisions import Candidate, RouteDecision
from agentmesh.display import escape, escape_line, moment, shorten, usd
from agentmesh.events import Event
from agentmesh.records import Run, RunStatus, RunSummary
from agentmesh.tui.board import SCORES_KEPT, Board, Choice, LiveRun
from agentmesh.tui.cells import Cell, Column, Tone, bar, sparkline
from agentmesh.tui.telling import told
from agentmesh.types import AgentId

NONE: Final = "-"
ID_SHOWN: Final = 8
BAR: Final = 6

LINE: Final = 78
"""Characters that a line of a terminal of 80 columns has room for."""

GAP: Final = "   "

LIVE: Final = (
    Column("run", ID_SHOWN, rank=3),
    Column("state", 9),
    Column("task", 14, grows=True),
    Column("asked", 14, grows=True, most=32),
    Column("score", SCORES_KEPT + 5, rank=1),
    Column("margin", 6, right=True, rank=2),
    Column("USD", 8, right=True),
    Column("s", 5, right=True),
    Column("worth", 5, right=True, rank=1),
)
"""The columns of the runs that flow by, all but the first within 77. ``USD`` and ``s`` are their units."""

LEGEND: Final = (
    "score: utility of the agent asked (first bar), then of the best others",
    "margin: its lead (below 0: drawn to explore)   s: seconds   worth: score 0-1",
)

_TONES: Final = {
    RunStatus.RUNNING: Tone.ACCENT,
    RunStatus.WAITING: Tone.WARN,
    RunStatus.COMPLETED: Tone.GOOD,
    RunStatus.ABSTAINED: Tone.WARN,
    RunStatus.FAILED: Tone.BAD,
    RunStatus.OVER_BUDGET: Tone.BAD,
    RunStatus.CANCELLED: Tone.DIM,
}
_MARKS: Final = {
    RunStatus.RUNNING: ">",
    RunStatus.WAITING: "?",
    RunStatus.COMPLETED: "+",
    RunStatus.ABSTAINED: "o",
    RunStatus.FAILED: "x",
    RunStatus.OVER_BUDGET: "$",
    RunStatus.CANCELLED: "/",
}
"""One character for each status, so that none is told by colour alone."""

_SHORT: Final = {"completed": "done", "abstained": "nobody", "over budget": "budget", "cancelled": "stopped"}


def short_id(run_id: str) -> str:
    """Return the end of a run's id, which tells runs apart that began together.

    >>> short_id("019ac3f2b4a-12cd34ef56"), short_id("mine")
    ('…d34ef56', 'mine')
    """
    return run_id if len(run_id) <= ID_SHOWN else "…" + run_id[1 - ID_SHOWN :]


def state(run: LiveRun) -> Cell:
    """Return how a run stands.

    >>> state(LiveRun("r")).text
    '> started'
    """
    if run.orphaned:
        return Cell("! orphan", Tone.BAD)
    step = run.step.removeprefix("stage ")  # its name says more in the room that there is
    return Cell(f"{_MARKS[run.status]} {_SHORT.get(step, step)}", _TONES[run.status])


def live_row(run: LiveRun, now: float) -> tuple[Cell, ...]:
    """Return the cells of a run under ``LIVE``; ``now`` is Unix seconds."""
    took = run.elapsed_s if run.elapsed_s is not None else max(now - run.started_at, 0.0)
    margin = None if run.choice is None else run.choice.margin
    return (
        Cell(short_id(run.id), Tone.DIM),
        state(run),
        Cell(f"{run.stage}: {run.text}" if run.stage else run.text.lstrip()),
        Cell(asked(run)),
        Cell(score(run.choice), Tone.ACCENT),
        Cell(
            NONE if margin is None else f"{margin:+.3f}", Tone.WARN if margin is not None and margin < 0 else Tone.DIM
        ),
        Cell(money(run.cost_usd)),
        Cell(f"{took:.1f}" if took < 1000 else f"{took:.0f}"),
        worth(run.quality),
    )


def asked(run: LiveRun) -> str:
    """Return whom a run asks now, else who was chosen, the weightiest first."""
    if run.under_way:
        return ", ".join(dict.fromkeys(run.under_way))
    if run.choice is None:
        return NONE
    return "nobody" if run.choice.abstained else ", ".join(run.choice.agents)


def score(choice: Choice | None) -> str:
    """Return the score of the first agent chosen, as a column beside those of the best others, and as a number."""
    if choice is None or not choice.scores:
        return NONE
    return f"{sparkline(choice.scores, SCORES_KEPT)}{choice.scores[0]:5.2f}"


def worth(quality: float | None) -> Cell:
    """Return a score of 0 to 1, and whether it is a good one."""
    if quality is None:
        return Cell(NONE, Tone.DIM)
    return Cell(f"{quality:.2f}", Tone.GOOD if quality >= 0.5 else Tone.BAD)


def money(cost_usd: Decimal | None) -> str:
    """Return an amount of dollars in at most eight characters.

    >>> money(Decimal("0.00214")), money(Decimal("12.5")), money(Decimal(0)), money(None)
    ('0.002140', '12.50', '0', '?')
    """
    if cost_usd is None:
        return "?"
    amount = float(cost_usd)
    if amount == 0:
        return "0"
    if amount >= 1:
        return f"{amount:.2f}"
    return f"{amount:.6f}" if amount >= 0.000001 else f"{amount:.0e}"


def totals_lines(board: Board, now: float) -> tuple[str, str]:
    """Return what all runs came to, in two lines."""
    totals = board.totals
    ended, errors, mean = totals.ended.total(), totals.error_rate, totals.worth.mean
    first = [
        f"{ended} ended, {totals.under_way} under way, {totals.per_second(now):.1f}/s",
        f"errors {percent(errors)}",
        "quality " + (NONE if mean is None else f"{mean:.3f} of {totals.worth.count} scores"),
    ]
    best, share = board.best_single(), board.share_of_best_single_cost()
    against = "" if share is None or best is None else f", {share:.0%} of best single ({shorten(best, 20)})"
    second = [
        f"cost {usd(totals.cost_usd)}{against}",
        f"newest {age(board.now or None, now)}",
        f"{totals.events:,} events",
    ]
    return _joined(first), _joined(second)


def _joined(parts: Sequence[str]) -> str:
    """Return parts of a line, without the last ones where 80 columns have no room for them: half a number misleads."""
    kept = list(parts)
    while len(kept) > 1 and len(GAP.join(kept)) > LINE:
        kept.pop()
    return GAP.join(kept)


def percent(share: float | None) -> str:
    """Return a share in percent.

    >>> percent(0.0123), percent(None)
    ('1.2 %', '-')
    """
    return NONE if share is None else f"{100 * share:.1f} %"


def clock_time(at: float) -> str:
    """Return the time of day of a moment, UTC.

    >>> clock_time(3.5)
    '00:00:03.500'
    """
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%S.%f")[:-3]


def plain_line(event: Event) -> str:
    """Return an event as one line of a log: when, which run, and what happened."""
    return escape_line(f"{clock_time(event.at)} {short_id(event.run_id):>{ID_SHOWN}} {told(event)}")


CANDIDATES: Final = (
    Column("", 1),
    Column("agent", 16, grows=True, most=40),
    Column("score", BAR + 7),
    Column("p", 6, right=True),
    Column("quality", 7, right=True),
    Column("USD", 8, right=True, rank=1),
    Column("would need", 10, right=True, rank=1),
    Column("why", 16, grows=True, rank=2),
)
"""The columns of those who were considered. ``would need`` is the expected quality that would flip the choice."""

CANDIDATES_LEGEND: Final = (
    "*: chosen   p: probability to be drawn first   quality, USD: as expected",
    "would need: the quality with which it would have come first; best: it does",
)


def candidate_rows(decision: RouteDecision) -> list[tuple[Cell, ...]]:
    """Return a row under ``CANDIDATES`` for each readable candidate, the best first."""
    chosen = {selection.agent_id for selection in decision.selected}
    known = [candidate.score for candidate in decision.candidates if candidate.score is not None]
    span = (min(known), max(known)) if known else (0.0, 0.0)
    return [_candidate_row(candidate, chosen, span) for candidate in decision.candidates]


def _candidate_row(candidate: Candidate, chosen: set[AgentId], span: tuple[float, float]) -> tuple[Cell, ...]:
    is_chosen, (low, high) = candidate.agent_id in chosen, span
    tone = Tone.GOOD if is_chosen else Tone.DIM if candidate.gate is not None else Tone.PLAIN
    if candidate.score is None:
        shown = NONE
    else:
        shown = f"{bar((candidate.score - low) / (high - low) if high > low else 1.0, BAR)} {candidate.score:6.3f}"
    return (
        Cell("*" if is_chosen else "", tone),
        Cell(candidate.agent_id, tone),
        Cell(shown, Tone.ACCENT),
        Cell(f"{candidate.probability:.3f}"),
        Cell(_number(candidate.expected_quality)),
        Cell(NONE if candidate.expected_cost_usd is None else money(Decimal(candidate.expected_cost_usd))),
        Cell(_flip(candidate), Tone.DIM),
        Cell(_why(candidate), Tone.BAD if candidate.gate is not None else Tone.DIM),
    )


def _flip(candidate: Candidate) -> str:
    return "best" if candidate.flip == 0 else _number(candidate.needed_quality)


def _why(candidate: Candidate) -> str:
    if candidate.gate is not None:
        return f"gate {candidate.gate}"
    return ", ".join(f"{name} {value:.3g}" for name, value in candidate.factors.items())


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


TIMELINE: Final = (
    Column("no.", 4, right=True),
    Column("after s", 9, right=True),
    Column("what happened", 20, grows=True),
)
"""The columns of the events of one run."""


def timeline_row(event: Event, begun: float) -> tuple[Cell, ...]:
    """Return the cells of an event under ``TIMELINE``, of a run that began at ``begun``."""
    return Cell(str(event.seq), Tone.DIM), Cell(f"{event.at - begun:.3f}", Tone.DIM), Cell(told(event))


def age(then: float | None, now: float) -> str:
    """Return how long ago something was.

    >>> age(10.0, 12.5), age(None, 1.0)
    ('2.5 s ago', '-')
    """
    return NONE if then is None else f"{max(now - then, 0.0):.1f} s ago"


STORED: Final = (
    Column("", 1),
    Column("run", 23, rank=2),
    Column("started", 20, rank=1),
    Column("status", 11),
    Column("task", 20, grows=True),
    Column("agents", 16, grows=True, most=32),
    Column("USD", 8, right=True),
    Column("s", 7, right=True, rank=1),
)
"""The columns of stored runs; the first one shows which are pinned (^) or marked (>)."""


def stored_row(run: RunSummary | None, *, marked: bool, pinned: bool) -> tuple[Cell, ...]:
    """Return the cells of a stored run under ``STORED``; one that was not read yet is three dots."""
    if run is None:
        return (Cell(""), *(Cell("...", Tone.DIM) for _ in STORED[1:]))
    return (
        Cell(">" if marked else "^" if pinned else "", Tone.WARN),
        Cell(run.id, Tone.DIM),
        Cell(moment(run.started_at), Tone.DIM),
        Cell(f"{_MARKS[run.status]} {run.status.value.replace('_', ' ')}", _TONES[run.status]),
        Cell(run.text),
        Cell(", ".join(run.agents)),
        Cell(money(run.cost_usd)),
        Cell(NONE if run.elapsed_s is None else f"{run.elapsed_s:.3f}", Tone.DIM),
    )


WAITING: Final = (
    Column("run", ID_SHOWN, rank=1),
    Column("agent", 16),
    Column("up to USD", 9, right=True),
    Column("waits s", 8, right=True),
    Column("until", 20, rank=1),
    Column("why", 16, grows=True),
    Column("is asked", 20, grows=True),
)
"""The columns of calls that wait for a person."""


def waiting_rows(runs: Sequence[Run], now: float) -> list[tuple[Cell, ...]]:
    """Return a row under ``WAITING`` for each request of each run."""
    return [
        (
            Cell(short_id(run.id), Tone.DIM),
            Cell(request.agent_id, Tone.ACCENT),
            Cell(money(request.estimate_usd), Tone.WARN),
            Cell(f"{max(now - run.started_at, 0.0):.0f}"),
            Cell(NONE if request.expires_at is None else moment(request.expires_at), Tone.DIM),
            Cell(request.reason or NONE),
            Cell(request.text),
        )
        for run in runs
        for request in run.waiting_for
    ]


LONGEST_ASKED: Final = 20_000
"""Characters of what an agent would be asked that a screen shows."""


def request_text(run: Run, place: int, now: float) -> str:
    """Return all that a person should know before answering the request at ``place`` of a run."""
    request = run.waiting_for[place]
    left = "" if request.expires_at is None else f", {max(request.expires_at - now, 0.0):.0f} s are left"
    more = len(request.text) - LONGEST_ASKED
    rest = f"\n... and {more:,} more characters" if more > 0 else ""
    lines = [
        f"Run {run.id}: may {request.agent_id} be called for up to {usd(request.estimate_usd)}{left}?",
        f"Rule: {request.reason or 'none is named'}",
        f"It is asked: {request.text[:LONGEST_ASKED]}{rest}",
        *(["", run.decision.explain(most=3)] if run.decision is not None else []),
    ]
    return escape("\n".join(lines))
