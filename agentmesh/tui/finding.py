"""Which of the runs in sight a search finds."""

from agentmesh.tui.board import LiveRun


def fits(run: LiveRun, wanted: str) -> bool:
    """Return whether a run is searched for: by its text, an agent or its id, whatever the case of the letters.

    ``agent:`` and ``id:`` before what is wanted look only there.

    >>> run = LiveRun("demo-0042", text="Which bird sings?", answered_by=("gpt-4o",))
    >>> [fits(run, wanted) for wanted in ("BIRD", "4o", "agent:bird", "id:0042", "")]
    [True, True, False, True, True]
    """
    field, colon, value = wanted.partition(":")
    places = {"agent": _agents(run), "id": [run.id]}
    if not colon or field not in places:
        field, value = "", wanted
    found = places.get(field, [run.text, run.stage, run.id, *_agents(run)])
    return any(value.strip().casefold() in text.casefold() for text in found)


def _agents(run: LiveRun) -> list[str]:
    chosen = () if run.choice is None else run.choice.agents
    return [*run.under_way, *run.answered_by, *chosen]
