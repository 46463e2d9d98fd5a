"""Training rows as chats: the router's own prompt, and a reply that its parser understands without a repair."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.learning.sft import CardLine, SftOptions, SftRow, rows_of_set
from agentmesh.learning.sft_chat import chat_row
from agentmesh.learning.sft_file import write_rows
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, load_set, write_set
from agentmesh.records import Turn
from agentmesh.routing.reasoning.parsing import Parsed, parse
from agentmesh.routing.reasoning.prompt import RULES

IDS = ("sums", "history-2", 'the "best"', "a\u202eb", "<b>", "Sums", "it's", "x/y:z")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


def row_of(*ids: str, reason: str = "It is a sum.", shown: tuple[str, ...] = IDS, **fields: object) -> SftRow:
    cards = tuple(CardLine(id=agent_id, description="Ask history-2 & co.", skills=("a",)) for agent_id in shown)
    return SftRow.model_validate({"task": "12 * 7?", "cards": cards, "reason": reason, "ids": ids, **fields})


def understood(row: SftRow, most: int = 3) -> Parsed:
    reply = chat_row(row, most=most).messages[-1]
    assert reply.role == "assistant"
    return parse(reply.content, asked=[card.id for card in row.cards], most=most)


def test_a_chat_is_the_rules_the_material_in_the_rows_order_and_the_reply():
    row = row_of(
        "history-2", turns=(Turn(role="user", text="Hello"), Turn(role="assistant", text="Hi", agent_id="<b>"))
    )
    rules, material, reply = chat_row(row, most=2).messages
    assert (rules.role, material.role, reply.role) == ("system", "user", "assistant")
    assert rules.content == RULES.format(most=2)
    places = [material.content.index(f'handle="A{place}"') for place in range(1, len(IDS) + 1)]
    assert places == sorted(places)
    assert material.content.index('<id>"sums"</id>') < material.content.index('<id>"history-2"</id>')
    assert '<turn role="assistant" agent="A5">Hi</turn>' in material.content
    assert material.content.endswith("<task>12 * 7?</task>")
    assert json.loads(reply.content) == {"reason": "It is a sum.", "agents": ["history-2"], "out_of_scope": False}


@pytest.mark.parametrize(
    "reason",
    [
        "history-2 knows dates.",  # another agent's id
        "",
        "\x1b[31m\u202e\ud800 ends in half a pair \ud83d",
        "word " * 5000,
        '<think>hm</think> {"agents": ["<b>"]} out of scope',
    ],
)
def test_whatever_a_reason_says_the_reply_is_understood_without_a_repair(reason):
    found = understood(row_of("sums", reason=reason))
    assert (found.named, found.repairs, found.fault) == (("sums",), (), "")


def test_a_task_for_nobody_is_out_of_scope():
    found = understood(row_of(reason="None of these agents is for such a task."))
    assert (found.named, found.out_of_scope, found.repairs) == ((), True, ())
    assert understood(row_of(reason="")).repairs == ()


@given(
    st.lists(st.sampled_from(IDS), unique=True, max_size=3),
    st.lists(ANY_TEXT.filter(bool), unique=True, min_size=1, max_size=6),
    ANY_TEXT,
    st.data(),
)
def test_every_row_gives_a_reply_of_just_its_ids(ids, others, reason, data):
    shown = tuple(dict.fromkeys([*ids, *others]))
    spoken = data.draw(st.sampled_from(["", *shown]))
    found = understood(row_of(*ids, shown=shown, reason=f"{reason} {spoken} '{spoken}'"))
    assert (found.named, found.out_of_scope, found.repairs) == (tuple(ids), not ids, ())


def test_a_set_becomes_a_file_of_chats(tmp_path: Path):
    agents = [AgentLine(id=f"agent-{place}", description=f"Does work {place}.") for place in range(20)]
    tasks = [
        TaskLine(id=f"t{n}", split="train", text=f"work {n}", labels=(f"agent-{n}",) if n else ()) for n in range(20)
    ]
    write_set(tmp_path / "set", SetInfo(name="tiny", kind="labels"), agents=agents, tasks=tasks)
    options = SftOptions()
    rows = list(rows_of_set(load_set(str(tmp_path / "set")), options))
    written = write_rows(tmp_path / "chats.jsonl", rows, shaped=lambda row: chat_row(row, most=options.most_right))
    assert (written.rows, written.nobody) == (20, 1)
    chats = [json.loads(line) for line in (tmp_path / "chats.jsonl").read_text(encoding="utf-8").splitlines()]
    for row, chat in zip(rows, chats, strict=True):
        assert list(chat) == ["messages"]
        assert [message["role"] for message in chat["messages"]] == ["system", "user", "assistant"]
        found = parse(chat["messages"][2]["content"], asked=[card.id for card in row.cards], most=3)
        assert (found.named, found.repairs) == (row.ids, ())
