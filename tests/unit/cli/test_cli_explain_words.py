"""``explain`` and ``route`` say what would flip a decision, in lines that fit a terminal."""

MATH = "What is 12 * 7, an arithmetic word problem?"
FLIP = "would be chosen if its expected quality were"


def test_a_stored_decision_says_what_would_flip_it(command):
    run_id = command("run", MATH, "--app", "app:build", "--json").json["id"]
    lines = command("explain", run_id).out.splitlines()
    assert any(FLIP in line for line in lines)
    assert max(len(line) for line in lines) <= 76


def test_a_dry_decision_says_so_too_and_json_carries_the_number(command):
    assert FLIP in command("route", MATH, "--app", "app:build").out
    found = command("route", MATH, "--app", "app:build", "--json").json
    flips = {candidate["agent_id"]: candidate["flip"] for candidate in found["candidates"]}
    assert flips["mathematician"] == 0.0
    assert flips["historian"] > 0.0


HOSTILE = """
from agentmesh import Mesh, Task, agent
from agentmesh.llm.scripted import ScriptedChat

@agent(description="Solves sums.")
async def solver(task: Task) -> str:
    return "84"

@agent(description="Knows history.")
async def historian(task: Task) -> str:
    return "1789"

def build():
    reply = '{"reason": "\\u001b[2Jwiped \\u202eright to left\\u0007", "agents": ["solver\\u001b[31m", "historian"]}'
    return Mesh([solver, historian], store="sqlite:///agentmesh.db", explore=0, chat=ScriptedChat([reply]))
"""


def test_what_a_model_wrote_cannot_steer_the_terminal(command, folder):
    (folder / "hostile.py").write_text(HOSTILE, encoding="utf-8")
    run_id = command("run", MATH, "--app", "hostile:build", "--json").json["id"]
    for words in (("explain", run_id), ("explain", run_id, "--json"), ("runs", "show", run_id), ("runs", "list")):
        out = command(*words).out
        assert not {"\x1b", "\u202e", "\x07"} & set(out)
    assert "chose 'historian': [2Jwiped right to left" in " ".join(command("explain", run_id).out.split())
