"""A better description proposed, beside the old one, from tasks that were done well."""

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.learning.drafting import nearest_first, propose_description, tasks_done_well
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.records import AgentCard
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.traces import lesson, score, whole

EMBEDDER = HashingEmbedder()
ADDER = AgentCard(id="adder", description="Writes and more.")
POET = AgentCard(id="poet", description="Writes verse.")
SUMMER = AgentCard(id="summer", description="Sums up texts.")


async def test_old_and_new_stand_side_by_side_with_the_nearest_other_under_each() -> None:
    chat = ScriptedChat(["Sums up numbers."], name="small")
    found = await propose_description(chat, ADDER, ["12 + 7?"], others=[ADDER, POET, SUMMER], embedder=EMBEDDER)
    assert (found.old, found.new, found.model) == ("Writes and more.", "Sums up numbers.", "small")
    assert found.before is not None
    assert found.after is not None
    assert (found.before.nearest, found.after.nearest) == ("poet", "summer")


async def test_a_new_agent_has_no_old_description_and_no_nearest_before() -> None:
    blank = AgentCard(id="new", description="")
    found = await propose_description(ScriptedChat(["Adds."]), blank, ["12 + 7?"], others=[POET], embedder=EMBEDDER)
    assert (found.old, found.before) == ("", None)
    assert found.after is not None


async def test_an_agent_alone_is_described_too() -> None:
    found = await propose_description(ScriptedChat(["Adds."]), ADDER, ["12 + 7?"], embedder=EMBEDDER)
    assert (found.new, found.before, found.after) == ("Adds.", None, None)


async def test_the_model_is_shown_the_nearest_agents_first() -> None:
    chat = ScriptedChat(["Adds."])
    await propose_description(chat, ADDER, ["verse"], others=[SUMMER, POET], embedder=EMBEDDER)
    content = chat.requests[0].messages[1].content
    assert content.index("poet") < content.index("summer")
    assert [card.id for card in nearest_first(POET, [SUMMER, POET, ADDER], EMBEDDER)] == ["adder", "summer"]


def test_the_tasks_done_best_come_first_the_newest_of_equals_and_none_that_failed() -> None:
    store = MemoryStore()
    for run_id, text, quality in (
        ("r1", "old and good", 1.0),
        ("r2", "bad", 0.0),
        ("r3", "fair", 0.6),
        ("r4", "new and good", 1.0),
        ("r5", "new and good", 1.0),
    ):
        store.append(whole(run_id))
        store.add_feedback(score(run_id, quality), [lesson(run_id, quality).model_copy(update={"text": text})])
    store.add_feedback(score("r2", 1.0, agent_id="bob"), [lesson("r2", agent_id="bob")])
    assert tasks_done_well(store, "ada", most=10) == ("new and good", "old and good", "fair")
    assert tasks_done_well(store, "ada", most=1) == ("new and good",)
    assert tasks_done_well(store, "nobody", most=1) == ()
