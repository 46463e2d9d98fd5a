"""Circuit breakers: who fails in a row is left alone, is tried by one call, and rests for longer if that fails."""

import pytest

from agentmesh.graphs.health import JITTER, Breakers, Health, Trial
from agentmesh.records import AgentCall, AgentCard, CallStatus

CARD = AgentCard(id="a", description="d")
SETTINGS = Health(failures=2, cooldown_s=10, longest_s=30)


class StandingClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def ended(status: CallStatus, latency_s: float = 0.1) -> AgentCall:
    return AgentCall(agent_id="a", status=status, latency_s=latency_s)


def call(breakers: Breakers, *statuses: CallStatus, card: AgentCard = CARD) -> Trial:
    """Make calls that end so, and return what is said of the next one; nothing is said of it to the breakers."""
    for status in statuses:
        trial = breakers.begin(card)
        assert trial.refusal is None
        breakers.note(trial, card, ended(status))
    return breakers.begin(card)


def broken(clock: StandingClock, settings: Health = SETTINGS) -> Breakers:
    breakers = Breakers(settings, clock)
    call(breakers, CallStatus.FAILED, CallStatus.TIMED_OUT)
    return breakers


def test_failures_in_a_row_open_the_breaker_and_an_answer_between_them_does_not() -> None:
    breakers = Breakers(SETTINGS, StandingClock())
    assert call(breakers, CallStatus.FAILED, CallStatus.OK, CallStatus.FAILED).refusal is None
    refusal = call(breakers, CallStatus.FAILED).refusal or ""
    assert refusal.startswith("agent 'a' is unhealthy: 2 calls in a row failed; it is tried again in 1")


def test_one_call_at_a_time_tries_the_agent_and_an_answer_closes_the_breaker() -> None:
    clock = StandingClock()
    breakers = broken(clock)
    clock.at = 10 * (1 + JITTER)
    trial = breakers.begin(CARD)
    assert trial.is_probe
    assert "another call is trying it" in (breakers.begin(CARD).refusal or "")
    breakers.note(trial, CARD, ended(CallStatus.OK))
    assert breakers.begin(CARD) == Trial()


@pytest.mark.parametrize("came_of_it", [None, ended(CallStatus.CANCELLED), ended(CallStatus.REFUSED)])
def test_a_probe_of_which_nothing_came_leaves_room_for_the_next(came_of_it: AgentCall | None) -> None:
    clock = StandingClock()
    breakers = broken(clock)
    clock.at = 20
    breakers.note(breakers.begin(CARD), CARD, came_of_it)
    assert breakers.begin(CARD).is_probe


def test_the_time_alone_doubles_up_to_a_bound() -> None:
    clock = StandingClock()
    breakers, waits = broken(clock), list[float]()
    for _ in range(4):
        begun = clock.at
        while not (trial := breakers.begin(CARD)).is_probe:
            clock.at += 0.5
        waits.append(clock.at - begun)
        breakers.note(trial, CARD, ended(CallStatus.FAILED))
    for wait, usual in zip(waits, [10, 20, 30, 30], strict=True):
        assert usual <= wait <= usual * (1 + JITTER) + 0.5


def test_calls_that_were_under_way_already_change_nothing() -> None:
    clock = StandingClock()
    breakers = Breakers(SETTINGS, clock)
    under_way = [breakers.begin(CARD) for _ in range(5)]
    for trial in under_way:
        breakers.note(trial, CARD, ended(CallStatus.FAILED))
    assert "2 calls in a row" in (breakers.begin(CARD).refusal or "")
    clock.at = 13
    assert breakers.begin(CARD).is_probe


def test_an_agent_is_not_blamed_for_a_run_that_was_in_a_hurry() -> None:
    breakers = Breakers(SETTINGS, StandingClock())
    for latency_s in (0.1, 0.1, 0.1, 60.0):
        breakers.note(Trial(), CARD, ended(CallStatus.TIMED_OUT, latency_s), hurried=True)
    assert breakers.begin(CARD) == Trial()
    breakers.note(Trial(), CARD, ended(CallStatus.TIMED_OUT, 60.0), hurried=True)
    assert breakers.begin(CARD).refusal is not None


def test_a_changed_agent_begins_anew() -> None:
    breakers = broken(StandingClock())
    assert breakers.begin(CARD.model_copy(update={"version": 2})) == Trial()


def test_without_a_number_of_failures_nobody_is_ever_left_alone() -> None:
    breakers = Breakers(Health(failures=None), StandingClock())
    assert call(breakers, *[CallStatus.FAILED] * 50) == Trial()
