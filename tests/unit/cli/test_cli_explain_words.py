"""``explain`` and ``route`` say what would flip a decision, in lines that fit a terminal."""

MATH = "What is 12 * 7, an arithmetic word problem?"
FLIP = "would be chosen if its expected quality were"


def test_a_stored_decision_says_what_would_flip_it(command):
    run_id = command("run", MATH, "--app", "app:build", "--json").json["id"]
    lines = command("explain", run_id).out.splitlines()
    assert any(FLIP in line for line in lines)
    assert max(len(line) for line in lines[1:]) <= 80


def test_a_dry_decision_says_so_too_and_json_carries_the_number(command):
    assert FLIP in command("route", MATH, "--app", "app:build").out
    found = command("route", MATH, "--app", "app:build", "--json").json
    flips = {candidate["agent_id"]: candidate["flip"] for candidate in found["candidates"]}
    assert flips["mathematician"] == 0.0
    assert flips["historian"] > 0.0
