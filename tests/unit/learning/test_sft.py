"""Training rows for a reasoning model, from scored runs and from recorded sets."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from agentmesh import Mesh, Task
from agentmesh.decisions import Reasoning, RouteDecision
from agentmesh.errors import ConfigError
from agentmesh.learning.reasons import NOBODY, evidence_of, reason_for
from agentmesh.learning.sft import SftOptions, SftRow, rows_of_set, rows_of_store
from agentmesh.learning.sft_file import write_rows
from agentmesh.recorded import AgentLine, OutcomeLine, RecordedSet, SetInfo, TaskLine, load_set, write_set
from agentmesh.records import AgentCard, Experience, Limits, RegistrySnapshot, Turn
from agentmesh.routing.base import AgentPool, RouteContext, TaskFeatures
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.memory import MemoryStore
from agentmesh.testing import CannedAgent
from agentmesh.testing.traces import lesson, score, whole

NAMES = tuple(f"agent-{number:02}" for number in range(20))
ALL = Limits(max_agents=len(NAMES))


class Saying(CosineRouter):
    """Decides by cosine and says that a model gave a reason."""

    name = "saying"
    said: Reasoning | None = None

    def decide(self, features: TaskFeatures, pool: AgentPool, context: RouteContext) -> RouteDecision:
        decided = super().decide(features, pool, context)
        return decided.model_copy(update={"reasoning": self.said})


async def scored(
    scores: Mapping[str, float], *, said: Reasoning | None = None, task: Task | None = None
) -> MemoryStore:
    """Have one task answered by all agents, and score the answers of some."""
    store, router = MemoryStore(), Saying()
    router.said = said
    agents = [CannedAgent(["84"], name, skills=["math"] if name < "agent-10" else []) for name in NAMES]
    async with Mesh(agents, store=store, router=router, explore=0, embedder="hashing") as mesh:
        run = await mesh.run(task or Task(text="12 * 7?", type_hints=("math",)), limits=ALL)
        for agent_id, value in scores.items():
            await mesh.feedback(run.id, value, agent=agent_id)
    return store


async def test_a_row_names_the_agents_that_were_good_enough_the_best_first() -> None:
    (row,) = rows_of_store(await scored({"agent-03": 0.6, "agent-07": 1.0, "agent-01": 0.2}))
    assert row.task == "12 * 7?"
    assert row.ids == ("agent-07", "agent-03")
    assert len(row.cards) == 12
    assert {"agent-03", "agent-07"} <= {card.id for card in row.cards}


async def test_further_good_agents_are_left_out_so_that_none_is_shown_as_wrong() -> None:
    good = dict.fromkeys(NAMES[:10], 1.0)
    (row,) = rows_of_store(await scored(good), SftOptions(most_right=2))
    assert row.ids == ("agent-00", "agent-01")
    assert not {card.id for card in row.cards}.intersection(NAMES[2:10])


async def test_a_run_in_which_nothing_was_good_enough_makes_no_row() -> None:
    store = await scored({"agent-01": 0.4})
    assert list(rows_of_store(store)) == []
    assert len(list(rows_of_store(store, SftOptions(least_quality=0.4)))) == 1


async def test_the_earlier_turns_go_along() -> None:
    task = Task(text="and in Spanish?", turns=(Turn(role="user", text="hello"),))
    (row,) = rows_of_store(await scored({"agent-01": 1.0}, task=task))
    assert row.turns == task.turns


async def test_agents_that_a_gate_refused_are_not_shown() -> None:
    task = Task(text="12 * 7?", required_skills=frozenset({"math"}))
    (row,) = rows_of_store(await scored({"agent-01": 1.0}, task=task))
    assert {card.id for card in row.cards} == set(NAMES[:10])


async def test_draws_depend_on_seed_and_run_alone_and_the_right_agent_stands_anywhere() -> None:
    store = await scored({"agent-01": 1.0})
    shown = [next(rows_of_store(store, SftOptions(seed=seed))).cards for seed in (*range(20), 0)]
    assert shown[0] == shown[-1] != shown[1]
    places = {[card.id for card in cards].index("agent-01") for cards in shown}
    assert len(places) > 5


async def test_a_reason_is_the_models_where_it_named_a_right_agent() -> None:
    said = Reasoning(model="m", asked=NAMES, reason="It is about numbers.", named=("agent-01", "agent-02"))
    (row,) = rows_of_store(await scored({"agent-01": 1.0}, said=said))
    assert (row.reason, row.reasoned) == ("It is about numbers.", "model")


@pytest.mark.parametrize("changed", [{"named": ("agent-02",)}, {"fault": "too late"}])
async def test_a_reason_for_another_agent_or_from_a_faulty_reply_is_not_taught(changed: dict[str, object]) -> None:
    said = Reasoning(model="m", asked=NAMES, reason="Hm.", named=("agent-01",)).model_copy(update=changed)
    (row,) = rows_of_store(await scored({"agent-01": 1.0}, said=said))
    assert row.reasoned == "drafted"
    assert "Hm." not in row.reason
    assert "agent-01" in row.reason


def test_a_score_whose_run_is_gone_makes_no_row() -> None:
    class Pruned(MemoryStore):
        """Kept what was learned of a run, and not the run."""

        def experiences(
            self, after: int = 0, *, until: int | None = None, limit: int | None = None
        ) -> list[Experience]:
            return [lesson("gone")]

    assert list(rows_of_store(Pruned())) == []


def test_an_agent_whose_card_is_not_in_the_runs_registry_makes_no_row() -> None:
    store = MemoryStore()
    store.put_registry(RegistrySnapshot(version="r", cards=(AgentCard(id="bob", description="Adds."),)))
    store.append(whole("r1"))
    store.add_feedback(score("r1"), [lesson("r1")])
    assert list(rows_of_store(store)) == []


def test_a_drafted_reason_says_that_an_agent_does_well_only_by_other_outcomes_than_this_one() -> None:
    card = AgentCard(id="ada", description="Adds")
    lessons = [lesson(f"r{i}", 1.0) for i in range(3)]
    evidence = evidence_of(lessons)
    assert reason_for([card], evidence=evidence) == "ada: Adds. It mostly does such tasks well."
    assert reason_for([card], evidence=evidence.without(lessons[:1])) == "ada: Adds."
    poor = evidence_of([*lessons, lesson("r9", 0.0), lesson("r10", 0.0)])
    assert reason_for([card], evidence=poor) == "ada: Adds."


def test_a_drafted_reason_holds_no_figure() -> None:
    evidence = evidence_of([lesson(f"r{i}", 1.0) for i in range(5)])
    reason = reason_for([AgentCard(id="ada", description="Adds.", skills=("math", "sums"))], evidence=evidence)
    assert not any(character.isdigit() for character in reason)
    assert "the skills math, sums" in reason


def test_an_agent_without_a_description_still_fits_and_without_agents_nobody_does() -> None:
    assert reason_for([AgentCard(id="ada", description="")]) == "ada fits."
    assert reason_for([]) == NOBODY


def small_set(folder: Path, kind: str) -> RecordedSet:
    agents = [AgentLine(id=name, description=f"Does {name}.") for name in ("adder", "poet", "summer")]
    tasks = [
        TaskLine(id="t1", split="train", text="12 + 7?", group="math", labels=("adder",), acceptable=("summer",)),
        TaskLine(id="t2", split="val", text="the weather?", labels=()),
        TaskLine(id="t3", split="val", text="mine?", labels=(), acceptable=("poet",)),
        TaskLine(id="t4", split="test", text="secret", labels=("poet",)),
    ]
    outcomes = [
        OutcomeLine(task="t1", agent="adder", quality=1.0, cost_usd=0.5),
        OutcomeLine(task="t1", agent="summer", quality=1.0, cost_usd=0.1),
        OutcomeLine(task="t1", agent="poet", quality=0.0),
        OutcomeLine(task="t2", agent="poet", quality=0.0),
    ]
    info = SetInfo.model_validate({"name": "small", "kind": kind})
    write_set(folder / kind, info, agents=agents, tasks=tasks, outcomes=outcomes if kind == "outcomes" else ())
    return load_set(folder / kind)


def test_a_set_of_labels_gives_train_and_val_rows_and_nobody_out_of_scope(tmp_path: Path) -> None:
    rows = list(rows_of_set(small_set(tmp_path, "labels")))
    assert [(row.task, row.ids) for row in rows] == [("12 + 7?", ("adder",)), ("the weather?", ())]
    assert {card.id for card in rows[0].cards} == {"adder", "poet"}
    assert {card.id for card in rows[1].cards} == {"adder", "poet", "summer"}
    assert [row.reason for row in rows] == ["The task is of the kind math. adder: Does adder.", NOBODY]


def test_a_set_of_outcomes_gives_who_solved_it_the_cheapest_first_and_no_row_where_nobody_did(tmp_path: Path) -> None:
    (row,) = rows_of_set(small_set(tmp_path, "outcomes"))
    assert row.ids == ("summer", "adder")
    assert {card.id for card in row.cards} == {"adder", "poet", "summer"}


@pytest.mark.parametrize("options", [SftOptions(cards=2), SftOptions(most_right=0)])
def test_more_right_agents_than_cards_or_none_is_an_error(tmp_path: Path, options: SftOptions) -> None:
    with pytest.raises(ConfigError, match="accepted are at least 1 right agent and as many cards"):
        list(rows_of_set(small_set(tmp_path, "labels"), options))


def test_rows_are_written_as_json_lines_and_counted(tmp_path: Path) -> None:
    rows = list(rows_of_set(small_set(tmp_path, "labels")))
    rows.append(rows[0].model_copy(update={"reasoned": "model"}))
    written = write_rows(tmp_path / "rows.jsonl", rows)
    assert (written.rows, written.nobody, written.reasoned) == (3, 1, 1)
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [SftRow.model_validate_json(line) for line in lines] == rows
    assert list(json.loads(lines[0])) == ["task", "turns", "cards", "reason", "ids", "reasoned"]


def test_without_a_row_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to write"):
        write_rows(tmp_path / "rows.jsonl", [])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_rows(tmp_path / "missing" / "rows.jsonl", [])
