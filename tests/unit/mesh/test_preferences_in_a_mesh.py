"""Preferences and conversations through a mesh: who is asked, what the trace says, and that a replay decides alike."""

from pathlib import Path

import pytest

from agentmesh import Agent, Mesh, Preference, Run, RunStatus, Task, open_store, replay
from agentmesh.errors import ConfigError, NoCandidateError
from agentmesh.events import TaskPrepared
from agentmesh.records import Turn
from agentmesh.routing.similarity import CosineRouter

POETRY = "Write a poem on the sea, in verse, with rhymes."


def rule(action: str, *agents: str, **values: object) -> Preference:
    return Preference(action=action, agents=agents, **values)  # type: ignore[arg-type]


class Counter(Agent):
    """Counts."""

    description = "Adds and multiplies numbers in sums."
    skills = ("maths",)

    async def run(self, task: Task) -> str:
        return "84"


class Poet(Agent):
    """Writes."""

    description = "Writes poems in verse."

    async def run(self, task: Task) -> str:
        return "O sea"


class Translator(Agent):
    """Translates."""

    description = "Translates into Spanish and French."

    async def run(self, task: Task) -> str:
        return "El mar"


def team() -> list[Agent]:
    return [Counter(), Poet(), Translator()]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mesh.db'}"


async def run_once(url: str, task: Task, *rules: Preference) -> Run:
    """Run one task on a database, and see that its replay is the same."""
    async with Mesh(team(), preferences=rules, store=url, explore=0) as mesh:
        run = await mesh.run(task, run_id="r1")
    with open_store(url, read_only=True) as store:
        again = await replay(store, "r1")
    assert again.identical, again.differences
    return run


def prepared(url: str) -> TaskPrepared:
    """Return what the trace says of the rules."""
    with open_store(url, read_only=True) as store:
        return next(event for event in store.events("r1") if isinstance(event, TaskPrepared))


async def test_a_rule_of_the_task_decides_and_the_trace_names_it(url: str) -> None:
    task = Task(text=POETRY, preferences=(rule("pin", "counter"),))
    run = await run_once(url, task, rule("prefer", "poet"))
    assert run.answered_by == ("counter",)
    assert prepared(url).rules == ("prefer 'poet'", "pin 'counter' (the task's own)")
    assert run.task.preferences == task.preferences


async def test_a_rule_names_agents_by_what_their_cards_say(url: str) -> None:
    run = await run_once(url, Task(text=POETRY), Preference(action="pin", having_skill="Maths", pattern="poem"))
    assert run.answered_by == ("counter",)


async def test_a_task_that_is_like_the_examples_of_a_rule_follows_it(url: str) -> None:
    alike = rule("pin", "translator", like=("Write some rhyming verse on the ocean.",))
    assert (await run_once(url, Task(text=POETRY), alike)).answered_by == ("translator",)


async def test_a_task_that_is_not_like_them_does_not(url: str) -> None:
    alike = rule("pin", "translator", like=("How much is twelve times seven?",))
    assert (await run_once(url, Task(text=POETRY), alike)).answered_by == ("poet",)


async def test_a_rule_may_ask_who_answered_last(url: str) -> None:
    turns = (Turn(role="user", text="12 * 7?"), Turn(role="assistant", text="84", agent_id="counter"))
    run = await run_once(url, Task(text=POETRY, turns=turns), rule("pin", "translator", previous="counter"))
    assert run.answered_by == ("translator",)


async def test_a_pin_on_a_removed_agent_abstains_and_the_fault_is_in_the_trace(url: str) -> None:
    async with Mesh(team(), preferences=[rule("pin", "poet")], store=url) as mesh:
        mesh.remove("poet")
        run = await mesh.run(POETRY, run_id="r1")
        decision = await mesh.route(POETRY)
    assert (run.status, run.answer, run.cost_usd, run.calls) == (RunStatus.ABSTAINED, None, 0, ())
    assert run.error == "the preferences leave nobody: pin 'poet': 'poet' is not registered"
    assert prepared(url).faults == ("pin 'poet': 'poet' is not registered",)
    assert (decision.abstained, decision.router) == (True, "preferences")
    assert "Nobody was chosen by router preferences" in decision.explain()
    with open_store(url, read_only=True) as store:
        assert (await replay(store, "r1")).identical


async def test_contradictory_rules_abstain_and_the_reason_names_them(url: str) -> None:
    run = await run_once(url, Task(text=POETRY), rule("pin", "poet"), rule("forbid", "poet"))
    assert run.status is RunStatus.ABSTAINED
    assert "pin 'poet': 'poet' is forbidden by a rule; forbid 'poet'" in (run.error or "")


async def test_an_abstention_is_replayed_whatever_router_is_handed_in(url: str) -> None:
    await run_once(url, Task(text=POETRY), rule("pin", "ghost"))
    with open_store(url, read_only=True) as store:
        assert (await replay(store, "r1", router=CosineRouter())).identical


async def test_two_pins_on_different_agents_leave_both(url: str) -> None:
    run = await run_once(url, Task(text=POETRY), rule("pin", "poet"), rule("pin", "counter"))
    assert run.answered_by == ("poet",)


async def test_a_pinned_agent_that_lacks_a_skill_is_no_reason_to_ask_another(url: str) -> None:
    task = Task(text=POETRY, required_skills=frozenset({"maths"}))
    run = await run_once(url, task, rule("pin", "poet"))
    assert run.status is RunStatus.ABSTAINED
    assert "'poet' is refused by the gate 'skill:maths'" in (run.error or "")


async def test_gates_that_refuse_everybody_still_fail_the_run() -> None:
    async with Mesh(team(), preferences=[rule("pin", "poet")]) as mesh:
        with pytest.raises(NoCandidateError):
            await mesh.run(Task(text=POETRY, required_skills=frozenset({"cooking"})))


def follow_up(text: str, *, agent_id: str = "poet") -> Task:
    """Return a message after an agent wrote a poem."""
    turns = (Turn(role="user", text=POETRY), Turn(role="assistant", text="O sea", agent_id=agent_id))
    return Task(text=text, turns=turns)


async def test_a_follow_up_stays_with_the_agent_and_a_new_topic_leaves_it(url: str) -> None:
    async with Mesh(team(), store=url, explore=0) as mesh:
        alone = await mesh.run(Task(text="and now in Spanish"))
        stayed = await mesh.run(follow_up("and now in Spanish"), run_id="r1")
        left = await mesh.run(follow_up("How many numbers are there in these sums?"), run_id="r2")
    assert (alone.answered_by, stayed.answered_by, left.answered_by) == (("translator",), ("poet",), ("counter",))
    assert prepared(url).rules == ("stays with 'poet' unless another is better by 0.12",)
    with open_store(url, read_only=True) as store:
        assert all([(await replay(store, run_id)).identical for run_id in ("r1", "r2")])


async def test_a_pin_wins_over_the_conversation(url: str) -> None:
    run = await run_once(url, follow_up("and now in Spanish"), rule("pin", "translator"))
    assert run.answered_by == ("translator",)
    assert prepared(url).rules == ("pin 'translator'",)


async def test_without_stickiness_no_agent_has_a_lead(url: str) -> None:
    async with Mesh(team(), store=url, explore=0, stickiness=0) as mesh:
        await mesh.run(follow_up("Why?"), run_id="r1")
    assert (prepared(url).rules, prepared(url).bonus) == ((), {})


@pytest.mark.parametrize("stickiness", [-0.1, float("inf"), float("nan")])
def test_a_stickiness_that_is_none_is_refused(stickiness: float) -> None:
    with pytest.raises(ConfigError, match="stickiness"):
        Mesh(team(), stickiness=stickiness)


def test_a_mesh_lints_its_rules_against_its_agents_while_it_is_closed() -> None:
    mesh = Mesh(team(), preferences=[rule("pin", "poet", pattern="verse"), rule("forbid", "poet", pattern="sea")])
    assert mesh.lint() == ()
    [finding] = mesh.lint([POETRY])
    assert (finding.severity, finding.rules) == ("error", (0, 1))
