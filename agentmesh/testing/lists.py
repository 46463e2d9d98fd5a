"""The part of the contract of ``TraceStore`` that says which runs are listed, in what order, and how many there are."""
# ruff: noqa: S101  # a contract is made of assertions

from abc import ABC, abstractmethod
from decimal import Decimal
from itertools import pairwise

import pytest

from agentmesh.events import Event, RunResumed, StageWaiting
from agentmesh.records import Reasoning, RunStatus
from agentmesh.store.base import RunFilter, RunsPage, TraceStore
from agentmesh.testing.traces import call, decided, end, start, whole


class ListContract(ABC):
    """What lists of runs hold, as tests; every store's contract contains them."""

    @abstractmethod
    def make_store(self) -> TraceStore:
        """Return an empty store."""

    def test_runs_are_listed_newest_first_and_by_id_at_the_same_instant(self) -> None:
        """Limit and offset cut from that order."""
        with self.make_store() as store:
            for run_id, at in (("b", 1.0), ("a", 2.0), ("c", 1.0)):
                store.append(whole(run_id, at=at))
            assert [run.id for run in store.runs()] == ["a", "c", "b"]
            assert [run.id for run in store.runs(limit=1, offset=1)] == ["c"]
            assert store.runs(offset=3) == []
            assert store.count_runs() == 3

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (RunFilter(), {"math", "art", "open"}),
            (RunFilter(status=RunStatus.COMPLETED), {"math"}),
            (RunFilter(status=RunStatus.RUNNING), {"open"}),
            (RunFilter(text="ÄPFEL"), {"math"}),
            (RunFilter(text="100%"), {"art"}),
            (RunFilter(text="1_0"), set()),
            (RunFilter(text="after\0nul"), {"open"}),
            (RunFilter(text="x" * 60_000), {"open"}),
            (RunFilter(text="\ud800"), set()),
            (RunFilter(agent_id="bob"), {"art"}),
            (RunFilter(agent_id="bo"), set()),
            (RunFilter(since=2.0), {"art", "open"}),
            (RunFilter(prefix="o"), {"open"}),
            (RunFilter(prefix="open"), {"open"}),
            (RunFilter(prefix="M"), set()),
            (RunFilter(prefix="mat%"), set()),
            (RunFilter(prefix="m\0"), set()),
            (RunFilter(prefix="\ud800"), set()),
            (RunFilter(prefix="", since=2.0), {"art", "open"}),
            (RunFilter(status=RunStatus.FAILED, agent_id="bob", text="sold", since=2.0), {"art"}),
            (RunFilter(status=RunStatus.COMPLETED, agent_id="bob"), set()),
        ],
    )
    def test_filters_narrow_the_list_and_the_count(self, where: RunFilter, found: set[str]) -> None:
        """Text is looked for in the whole task, letter by letter, ignoring case beyond ASCII."""
        with self.make_store() as store:
            store.append(whole("math", text="Wie viele äpfel?", at=1))
            store.append([start("art", text="100% sold", at=2), call("art", 1, "bob"), end("art", 2, RunStatus.FAILED)])
            store.append([start("open", text="y" * 300 + "X" * 60_000 + "after\0NUL", at=3)])
            assert {run.id for run in store.runs(where)} == found
            assert store.count_runs(where) == len(found)
            assert store.runs_page(where) == RunsPage(store.runs(where), len(found))

    def test_a_page_tells_how_long_its_list_is_or_leaves_it_to_be_counted(self) -> None:
        """The last page always tells; a limit of nothing, or an offset behind the end, never does."""
        with self.make_store() as store:
            store.append([event for run_id in "abc" for event in whole(run_id)])
            for where in (None, RunFilter(text="12")):
                for limit, offset, told in (
                    (2, 0, {None, 3}),
                    (2, 2, {3}),
                    (4, 0, {3}),
                    (0, 0, {None}),
                    (2, 9, {None}),
                ):
                    page = store.runs_page(where, limit=limit, offset=offset)
                    assert page.runs == store.runs(where, limit=limit, offset=offset)
                    assert page.total in told

    def test_runs_that_another_one_started_may_be_left_out(self) -> None:
        """They name it in their first event."""
        with self.make_store() as store:
            store.append([*whole("w"), start("w/a").model_copy(update={"parent": "w"})])
            assert {run.id for run in store.runs()} == {"w", "w/a"}
            assert [run.id for run in store.runs(RunFilter(alone=True))] == ["w"]
            assert store.count_runs(RunFilter(alone=True)) == 1
            assert [run.id for run in store.runs(RunFilter(parent="w"))] == [
                run.id for run in store.runs() if run.id != "w"
            ]
            assert store.runs(RunFilter(parent="nobody")) == []

    def test_a_workflow_waits_with_its_stage_until_it_is_resumed(self) -> None:
        """Whatever comes in one append or in several."""
        waits = StageWaiting(run_id="w", seq=1, at=1, stage="a", child="w/a")
        for cuts in ([0, 4], [0, 2, 4], [0, 1, 2, 3, 4]):
            log: list[Event] = [start("w"), waits, RunResumed(run_id="w", seq=2, at=2), end("w", 3)]
            with self.make_store() as store:
                for first, last in pairwise(cuts):
                    store.append(log[first:last])
                    status = {1: "running", 2: "waiting", 3: "running", 4: "completed"}[last]
                    assert [run.status for run in store.runs()] == [store.run("w").status] == [RunStatus(status)]

    @pytest.mark.parametrize(
        ("reason", "found"),
        [
            ("BOUNDARY", {"asked"}),
            ("fürstlich", {"asked"}),
            ("threshold", {"old"}),
            ("nobody", {"old"}),
            ("100%", set()),
        ],
    )
    def test_runs_are_found_by_why_their_agents_were_chosen(self, reason: str, found: set[str]) -> None:
        """The router's reason and a model's are looked through, whole, ignoring case; the last decision counts."""
        with self.make_store() as store:
            store.append(whole("mute"))
            long = f"{'It is about dates. ' * 60}The boundary is FÜRSTLICH."
            asked = Reasoning(model="m", asked=("ada",), reason=long)
            store.append([start("asked"), decided("asked", 1, reason="the model chose 'ada'", reasoning=asked)])
            store.append([start("old"), decided("old", 1, reason="the boundary")])
            store.append([decided("old", 2, reason="nobody reached the threshold")])
            assert {run.id for run in store.runs(RunFilter(reason=reason))} == found
            assert store.count_runs(RunFilter(reason=reason)) == len(found)

    def test_a_running_run_shows_its_cost_so_far(self) -> None:
        """It becomes unknown with the first call of unknown cost, and final with the end."""
        with self.make_store() as store:
            costs = []
            for event in (start("r"), call("r", 1), call("r", 2, "bob", "0.25"), call("r", 3, "cy", None), end("r", 4)):
                store.append([event])
                costs.append(store.runs()[0].cost_usd)
            assert costs == [Decimal(0), Decimal("0.1"), Decimal("0.35"), None, Decimal("0.1")]
            assert store.runs()[0].agents == ("ada", "bob", "cy")
