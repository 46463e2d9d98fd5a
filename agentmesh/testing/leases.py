"""The part of the contract of ``TraceStore`` that tells who is at work, and which runs nobody is at work on."""
# ruff: noqa: S101  # a contract is made of assertions

from abc import ABC, abstractmethod

from agentmesh.approvals import ApprovalReply, ApprovalRequest
from agentmesh.events import ApprovalAsked, ApprovalGiven, Event, RunResumed
from agentmesh.store.base import Lease, Orphaned, RunFilter, TraceStore
from agentmesh.testing.traces import end, start


def lease(owner: str, *, at: float = 100.0) -> Lease:
    """Return a lease of a process that this machine does not know."""
    return Lease(owner, host="moon", pid=7, place="", born="", taken_at=at, renewed_at=at)


def owned(run_id: str, owner: str, **also: str | None) -> Event:
    """Return the first event of a run that ``owner`` began."""
    return start(run_id, at=10.0).model_copy(update={"owner": owner, **also})


class LeaseContract(ABC):
    """What recovery may count on, as tests; every store's contract contains them."""

    @abstractmethod
    def make_store(self) -> TraceStore:
        """Return an empty store."""

    def test_a_lease_is_taken_renewed_and_ended(self) -> None:
        """Renewing says whether it is still there, and ending one that was renewed meanwhile is refused."""
        with self.make_store() as store:
            assert store.leases() == []
            store.put_lease(lease("b"))
            store.put_lease(lease("a"))
            assert store.renew_lease("b", 105.5)
            assert not store.renew_lease("nobody", 105.5)
            first, second = store.leases()
            assert (first, second.owner, second.renewed_at, second.beats) == (lease("a"), "b", 105.5, 1)
            store.put_lease(lease("a", at=200.0))
            assert store.leases()[0] == lease("a", at=200.0)
            assert not store.end_lease("b", beats=0)
            assert store.end_lease("b", beats=1)
            assert not store.end_lease("b")
            assert store.end_lease("a")
            assert store.leases() == []

    def test_the_runs_of_those_who_are_gone_are_found(self) -> None:
        """One that has ended or waits is in good hands, and so is one whose owner lives, also by its last resuming."""
        asked = ApprovalAsked(run_id="waits", seq=1, at=11, request=ApprovalRequest(agent_id="a", text="q"))
        with self.make_store() as store:
            store.append([owned("lost", "gone"), owned("kept", "here"), owned("done", "gone"), end("done", 1)])
            store.append([owned("waits", "gone"), asked])
            store.append([owned("taken", "gone"), RunResumed(run_id="taken", seq=1, at=12, owner="here")])
            store.append([owned("lost twice", "here"), RunResumed(run_id="lost twice", seq=1, at=12, owner="gone")])
            assert found(store, "here") == ["lost twice", "lost"]
            assert found(store, "here", "gone") == []
            assert found(store) == ["taken", "lost twice", "lost", "kept"]

    def test_a_run_of_no_known_owner_is_left_alone_once_its_log_is_quiet(self) -> None:
        """So is one that was answered, and that nobody went on with."""
        reply = ApprovalReply(agent_id="a", verdict="approve")
        asked = ApprovalAsked(run_id="answered", seq=1, at=11, request=ApprovalRequest(agent_id="a", text="q"))
        given = ApprovalGiven(run_id="answered", seq=2, at=50, reply=reply)
        with self.make_store() as store:
            store.append([start("old", at=10.0)])
            store.append([owned("answered", "here"), asked, given])
            assert found(store, "here", quiet_since=10.0) == []
            assert found(store, "here", quiet_since=50.0) == ["old"]
            assert found(store, quiet_since=50.5) == ["old", "answered"]

    def test_what_a_run_started_is_part_of_it_until_that_has_ended(self) -> None:
        """A stage goes on with its workflow, and a call that started a run is made anew."""
        with self.make_store() as store:
            store.append([owned("w", "gone"), owned("w/a", "gone", parent="w"), owned("x", "gone", parent="away")])
            assert found(store) == ["x", "w"]
            store.append([end("w", 1)])
            assert found(store) == ["x", "w/a"]


def found(store: TraceStore, *living: str, quiet_since: float = 0.0) -> list[str]:
    """Return the runs that nobody is at work on, newest first."""
    where = RunFilter(orphaned=Orphaned(frozenset(living), quiet_since))
    listed = [summary.id for summary in store.runs(where)]
    assert store.count_runs(where) == len(listed)
    return listed
