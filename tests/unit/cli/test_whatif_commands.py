"""What-if, rerun and diff as a person calls them, and runs named by the beginning of their ids."""

import asyncio

import pytest

from agentmesh import Learning, Mesh
from agentmesh.cli.whatif import point_in_time
from agentmesh.testing.agents import EchoAgent


@pytest.fixture
def ids(command, made_once) -> list[str]:
    """Run two tasks, score them, and return the ids of their runs."""

    def make() -> list[str]:
        texts = ("What is 12 * 7, an arithmetic word problem?", "Who was king, a question on world history?")
        made = [command("run", text, "--app", "app:mesh", "--json").json["id"] for text in texts]
        for run_id in made:
            assert command("feedback", run_id, "1.0").code == 0
        return made

    return made_once(make, name="two runs with scores")


def test_whatif_tells_agreement_flips_and_why_there_is_no_estimate(command, ids):
    outcome = command("whatif", "--router", "cheapest", "--flips", "0")
    assert (outcome.code, outcome.err) == (0, "")
    assert "cross-fitted in blocks of time, scenario recorded" in outcome.out
    assert "in_sample: false; 2 tasks judged" in outcome.out
    assert "mathematician\t1\t2.0" in outcome.out
    assert "no estimate of quality: 50.0% of its picks were never asked" in outcome.out
    assert max(map(len, command("whatif", "--router", "cheapest").out.splitlines()[:12])) <= 80


def test_whatif_shows_some_flips_and_json_all_with_reasons(command, ids):
    outcome = command("whatif", "--router", "random", "--json")
    assert outcome.json["agreement"] == 0.5
    shape = command("whatif", "--router", "cheapest", "--json", "--scenario", "cheap", "--since", "1h").json
    [flip] = shape["flips"]
    assert (flip["before"], flip["after"]) == ("historian", "mathematician")
    assert flip["reason"].startswith("score ")
    assert "historian -> mathematician; score" in command("whatif", "--router", "cheapest").out


def test_whatif_prints_estimates_where_the_log_supports_them(command, folder):
    async def work() -> None:
        team = [EchoAgent("cheap", price_per_call_usd=1), EchoAgent("dear", price_per_call_usd=2)]
        async with Mesh(team, router="random", store="sqlite:///agentmesh.db", learning=Learning(mode="off")) as mesh:
            for number in range(120):
                run = await mesh.run("a task", run_id=f"r{number}")
                await mesh.feedback(run.id, float(run.answered_by == ("cheap",)))

    asyncio.run(work())
    outcome = command("whatif", "--router", "cheapest", "--clip", "100", "--until", "2100-01-01", "--flips", "1")
    assert outcome.code == 0
    assert "quality\tdoubly robust\t1.000\t" in outcome.out
    assert "regret is against asking cheap alone, always" in outcome.out
    assert "weights were clipped at 100" in outcome.out
    assert "--flips shows more, --json all of them" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--router", "cheapest", "--since", "soon"), 2, "'soon' is no time; accepted are dates"),
        (("--router", "cheapest", "--since", "2100-01-01"), 2, "no run of that time"),
        (("--router", "nowhere"), 1, "nowhere"),
        ((), 2, "--router"),
    ],
)
def test_whatif_says_what_it_cannot_do(command, ids, arguments, code, said):
    outcome = command("whatif", *arguments)
    assert outcome.code == code
    assert said in outcome.err


def test_a_frozen_version_says_that_it_is_in_sample(command, ids):
    outcome = command("whatif", "--router", "cascade@2")
    assert outcome.code == 0, outcome.err
    assert "in_sample: true; 0 tasks judged" in outcome.out
    assert "no estimate: it would be judged on what it may have learned" in outcome.out


@pytest.mark.parametrize(
    ("text", "at"),
    [("1970-01-01T01:00", 3600.0), ("1970-01-01T01:00:00+01:00", 0.0), ("90m", 94_600.0), ("1d", 13_600.0), ("7", 7.0)],
)
def test_times_are_dates_seconds_or_how_long_ago(text, at):
    assert point_in_time(text, now=100_000.0) == at


def test_diff_says_where_two_runs_parted_and_exits_1(command, ids):
    outcome = command("runs", "diff", *ids)
    assert outcome.code == 1
    assert outcome.out.startswith(f"{ids[0]} | {ids[1]}\nthey part at event 0")
    assert "chosen: mathematician | historian" in outcome.out
    same = command("runs", "diff", ids[0], ids[0])
    assert (same.code, same.out) == (0, f"{ids[0]} and {ids[0]} went the same way\n")
    assert command("runs", "diff", *ids, "--json").json["identical"] is False


def test_rerun_calls_the_agents_again_and_compares(command, ids):
    outcome = command("rerun", ids[0], "--app", "app:mesh")
    assert outcome.code == 0
    assert "completed | mathematician" in outcome.err
    assert ids[0] in outcome.out
    shape = command("rerun", ids[0], "--app", "app:mesh", "--db", "sqlite:///agentmesh.db", "--json").json
    assert shape["run"]["answer"] == "84"
    assert shape["diff"]["first"] == ids[0]
    assert command("rerun", ids[0]).code == 2


def test_a_run_may_be_named_by_the_beginning_of_its_id(command, ids):
    common = next(end for end in range(len(ids[0]) + 1) if ids[0][:end] != ids[1][:end])
    for words in (("runs", "show"), ("explain",), ("replay",)):
        assert command(*words, ids[0][:common]).code == 0
        outcome = command(*words, ids[0][: common - 1])
        assert outcome.code == 1
        assert "give more of the id" in outcome.err
    assert command("feedback", ids[0][:common], "0.5", "--source", "other").out.startswith(f"run {ids[0]} is scored")
