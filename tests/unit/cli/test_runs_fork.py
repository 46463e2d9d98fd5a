"""``agentmesh runs fork``: a stored run goes on otherwise, and is shown and compared as what it is."""

import pytest

APP = ("--app", "app:mesh")


def test_a_fork_is_run_shown_compared_and_replayed(command, run_id):
    forked = command("runs", "fork", run_id[:16], "--at", "1", "--set", "agents=historian", *APP)
    assert (forked.code, forked.out) == (0, "In 1789.\n"), forked.err
    assert "historian | 0.5 USD" in forked.err
    new_id = forked.err.split()[1]
    assert f"\nforked from run {run_id} at event 1, with agents=historian\n" in command("runs", "show", new_id).out
    assert "a person named the agents" in command("explain", new_id).out
    parted = command("runs", "diff", run_id, new_id)
    assert parted.code == 1
    parts = f"{new_id} was forked from {run_id} at event 1\nthey part at event 2: decision_made | decision_made\n"
    assert parts in parted.out
    assert "chosen: mathematician | historian" in parted.out
    assert command("replay", new_id).out == "identical\n"


def test_what_is_set_is_read_and_what_was_taken_over_is_told(command, run_id):
    settings = ("limits.retries=2", "limits.cost_usd=0.01", "limits.timeout_s=none", "answer:mathematician=12 * 7 = 84")
    given = [part for setting in settings for part in ("--set", setting)]
    forked = command("runs", "fork", run_id, "--at", "5", *given, *APP, "--json")
    assert forked.code == 0, forked.err
    run = forked.json
    assert (run["answer"], run["forked"], run["forked_at"], run["taken_over"]) == ("12 * 7 = 84", run_id, 5, 1)
    changed = ["limits.cost_usd=0.01", "limits.timeout_s=None", "limits.retries=2", "answer:mathematician"]
    assert run["changed"] == changed
    assert run["cost_usd"] == "0"
    shown = command("runs", "show", run["id"]).out
    assert f"at event 5, with {', '.join(changed)}" in shown
    assert "mathematician ok, 0.0002 USD, " in shown
    assert ", taken over\n  12 * 7 = 84\n" in shown
    diff = command("runs", "diff", run["id"], run_id, "--json").json
    assert (diff["forked"], diff["forked_at"]) == (run["id"], 5)
    assert diff["event"]["where"] == "event 4"
    assert "run limits" in [one["where"] for one in diff["differences"]]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("retries", "'retries' is no NAME=VALUE, such as limits.retries=2."),
        ("refiner=x", "'refiner' cannot be set; accepted are text, agents, router, limits.NAME, answer:AGENT."),
        ("answer:=x", "'answer:' cannot be set"),
        ("limits.money=1", "there is no limit 'money'; accepted are cost_usd, timeout_s"),
        ("limits.retries=many", "limits.retries='many': Input should be a valid integer"),
        ("agents=a,,b", "agents='a,,b' names nobody; give ids, such as agents=ada,bob."),
    ],
)
def test_what_cannot_be_set_is_a_line_and_exit_code_2(command, setting, why):
    outcome = command("runs", "fork", "r", "--at", "1", "--set", setting, *APP)
    assert (outcome.code, outcome.out) == (2, "")
    assert why in outcome.err


def test_a_place_or_a_run_that_is_not_there_is_told(command, run_id):
    outcome = command("runs", "fork", run_id, "--at", "40", *APP)
    assert (outcome.code, "accepted are 0 to 6" in outcome.err) == (2, True), outcome.err
    outcome = command("runs", "fork", run_id, "--at", "1", "--set", "agents=ghost", *APP)
    assert (outcome.code, "registered are 'historian', 'mathematician'" in outcome.err) == (2, True)
    assert command("runs", "fork", "ghost", "--at", "0", *APP).code == 1
    assert command("runs", "fork", run_id, "--at", "0", "--set", "router=nope", *APP).code == 1
    assert command("runs", "fork", run_id, *APP).code == 2
    assert command("runs", "fork", run_id, "--at", "0").code == 2
