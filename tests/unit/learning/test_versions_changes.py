"""What changed between two maps of trails, and the records in which a map is told."""

import numpy as np
import pytest

from agentmesh.learning.changes import changes, trails_of
from agentmesh.learning.inspection import TrailsRecord
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.trails import Edge, TrailMap


def trails(types: dict[str, dict[str, tuple[float, float]]]) -> TrailMap:
    """Return a map from type -> agent -> (trail, evidence)."""
    agents = list(dict.fromkeys(agent for row in types.values() for agent in row))
    cells = np.array([[row.get(agent, (0.5, 0.0)) for agent in agents] for row in types.values()])
    cells = cells.reshape(len(types), len(agents), 2)
    return TrailMap(
        types=tuple(types),
        edges=tuple(Edge(0, "", agent) for agent in agents),
        trail=cells[:, :, 0],
        evidence=cells[:, :, 1],
        share=np.full(len(types), 1 / max(len(types), 1)),
        low=0.05,
        high=0.95,
        at=7.0,
    )


OLD = trails({"sums": {"ada": (0.5, 3.0), "bob": (0.9, 4.0)}, "dates": {"ada": (0.4, 1.0), "bob": (0.5, 1.0)}})


def test_nothing_changed_between_a_map_and_itself() -> None:
    found = changes(OLD, OLD)
    assert found.trails == ()
    assert (found.new_types, found.retired_types, found.new_agents, found.gone_agents) == ((), (), (), ())


def test_the_trails_that_moved_most_come_first() -> None:
    new = trails({"sums": {"ada": (0.6, 4.0), "bob": (0.2, 9.0)}, "dates": {"ada": (0.4, 1.0), "bob": (0.45, 2.0)}})
    found = changes(OLD, new)
    moves = [(move.type, move.agent_id, round(move.size, 3)) for move in found.trails]
    assert moves == [("sums", "bob", -0.7), ("sums", "ada", 0.1), ("dates", "bob", -0.05)]
    assert (found.trails[0].trail_before, found.trails[0].trail_after) == (0.9, 0.2)
    assert (found.trails[0].evidence_before, found.trails[0].evidence_after) == (4.0, 9.0)
    assert len(changes(OLD, new, most=1).trails) == 1


def test_what_evaporation_does_to_all_trails_is_no_news() -> None:
    new = trails({"sums": {"ada": (0.5, 2.9), "bob": (0.8995, 3.9)}, "dates": {"ada": (0.4, 0.9), "bob": (0.5, 0.9)}})
    assert changes(OLD, new).trails == ()


def test_types_and_agents_that_came_and_went_are_named() -> None:
    new = trails({"sums": {"ada": (0.5, 3.0), "cy": (0.7, 2.0)}, "maps": {"ada": (0.5, 0.0), "cy": (0.6, 1.0)}})
    found = changes(OLD, new)
    assert (found.new_types, found.retired_types) == (("maps",), ("dates",))
    assert (found.new_agents, found.gone_agents) == (("cy",), ("bob",))
    came = next(change for change in found.trails if change.type == "maps")
    assert (came.agent_id, came.trail_before, came.trail_after, came.size) == ("cy", None, 0.6, 0.0)
    assert all(change.trail_after is None for change in found.trails if change.agent_id == "bob")


def test_an_agent_without_outcomes_is_not_new_yet() -> None:
    new = trails({"sums": {"ada": (0.5, 3.0), "bob": (0.9, 4.0), "cy": (0.5, 0.0)}, "dates": {"ada": (0.4, 1.0)}})
    assert changes(OLD, new).new_agents == ()


@pytest.mark.parametrize("found", [OLD, trails({})])
def test_a_map_comes_back_from_its_record(found: TrailMap) -> None:
    record = TrailsRecord.model_validate_json(TrailsRecord.of(found).model_dump_json())
    again = record.as_map()
    assert (again.types, again.edges, again.low, again.high, again.at) == (found.types, found.edges, 0.05, 0.95, 7.0)
    for name in ("trail", "evidence", "share"):
        assert np.array_equal(getattr(again, name), getattr(found, name))


def test_a_router_without_trails_has_none() -> None:
    assert trails_of(KernelRouter()) is None
    assert trails_of(None) is None
