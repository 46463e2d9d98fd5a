"""What is understood of a reply: plain ones as they are, others repaired on record, the rest not at all."""

import json

import pytest

from agentmesh.routing.reasoning.parsing import LONGEST, Parsed, kept, parse

ASKED = ("solver", "coder", "math-pro", "travel planner", 'the "best" <x>')
K = 3
PIECES = (
    *(
        "{",
        "[",
        '"',
        "'",
        "\\",
        '{"agents":[',
        '{"a":"\\',
        '"reason":"',
        "<agents>",
        "<reason>",
        "a ",
        " ",
        "\n",
        "- ",
        "[]",
    ),
    *("solver ", "`solver`", "<", "&lt;", "</think>", "<think>", '"agents":[ ', '["solver"],', "out of scope "),
)


def understood(text: str, asked: tuple[str, ...] = ASKED, most: int = K) -> Parsed:
    return parse(text, asked=asked, most=most)


def reply(*agents: object, reason: object = "It is a sum.", scope: object = False) -> str:
    return json.dumps({"reason": reason, "agents": list(agents), "out_of_scope": scope})


@pytest.mark.parametrize(
    "text",
    [
        reply("solver", "coder"),
        f"\n {reply('solver', 'coder')}\n",
        '<reason>It is a sum.</reason>\n<agents>["solver", "coder"]</agents>',
    ],
)
def test_a_reply_in_the_form_asked_for_needs_no_repair(text):
    assert understood(text) == Parsed(named=("solver", "coder"), reason="It is a sum.")


@pytest.mark.parametrize(
    "text", [reply(reason="Nobody bakes.", scope=True), "<reason>Nobody bakes.</reason><agents>out of scope</agents>"]
)
def test_out_of_scope_in_the_form_asked_for_needs_no_repair(text):
    assert understood(text) == Parsed(reason="Nobody bakes.", out_of_scope=True)


@pytest.mark.parametrize(
    ("text", "named", "repair"),
    [
        (f"```json\n{reply('solver')}\n```", ("solver",), "the JSON stood among other text or had other fields"),
        (f"Sure! {reply('solver')} Anything else?", ("solver",), "the JSON stood among other text"),
        (f"I use {{braces}}. {reply('solver')}", ("solver",), "the JSON stood among other text"),
        (f'{reply("coder")} no, wait: {reply("solver")} {{"done": 1}}', ("solver",), "the JSON stood among"),
        (
            '{"reason": "r", "agents": ["solver"], "agents": ["coder"], "out_of_scope": false}',
            ("coder",),
            "the JSON stood among",
        ),
        ('{"answer": {"reason": "r", "agents": ["solver"]}}', ("solver",), "the JSON stood among other text"),
        ('{"reason": "a\nb", "agents": ["solver"], "out_of_scope": false}', ("solver",), "the JSON stood among"),
        ('{"reasoning": "r", "Agent": "solver"}', ("solver",), "another form than a list of texts"),
        (reply(["solver"], [["coder"]]), ("solver", "coder"), "another form than a list of texts"),
        (reply({"id": "solver", "why": "coder"}, {"solver": 1}), ("solver",), "another form than a list of texts"),
        (reply("solver", None, True, 7), ("solver",), "unknown ids were left out: '7'"),
        ('{"reason": "say \\"hi\\"", "agents": ["solver", "cod', ("solver",), "could not be read as a whole"),
        ("{'reason': 'r', 'agents': ['solver', 'coder']}", ("solver", "coder"), "could not be read as a whole"),
        ('"agents": [["solver"]', ("solver",), "could not be read as a whole"),
        ("<reason>r</reason><agents>solver, coder", ("solver", "coder"), "ids that stood in one text were taken apart"),
        ("<AGENTS>\n- solver\n2. coder\n</AGENTS>", ("solver", "coder"), "the tags stood among other text"),
        ('Well. <reason>r</reason> <agents>["solver"]</agents> Bye.', ("solver",), "the tags stood among other text"),
        ("<reason>a < b</reason><agents>solver</agents>", ("solver",), "the tags stood among other text"),
        ("<agents>coder</agents> or <agents>solver</agents>", ("solver",), "the tags stood among other text"),
        ('I choose ["solver"].', ("solver",), "only a list of ids could be read"),
        ("I choose [one] of [] and [1], [", (), "it has none of the forms asked for"),
        ("solver", ("solver",), "only ids could be read"),
        ("1. solver\n\n2) coder\n", ("solver", "coder"), "only ids could be read"),
        ("I think math-pro is right here.", ("math-pro",), "the one id in its text was taken"),
        ("Take `solver`, please.", ("solver",), "the one id in its text was taken"),
        (reply(reason="'coder' it is"), ("coder",), "the one id in its text was taken"),
        (reply("SOLVER"), ("solver",), "'SOLVER' was read as 'solver'"),
        (reply(" 'solver' "), ("solver",), "\" 'solver' \" was read as 'solver'"),
        (reply("Travel   Planner."), ("travel planner",), "was read as 'travel planner'"),
        (reply("the &quot;best&quot; &lt;x&gt;"), ('the "best" <x>',), "was read as 'the \"best\" <x>'"),
        (reply("A2", "[a1]"), ("coder", "solver"), "'A2' was read as 'coder'"),
        (reply("solver; coder"), ("solver", "coder"), "ids that stood in one text were taken apart"),
        (reply("ghost", "solver"), ("solver",), "unknown ids were left out: 'ghost'"),
        (reply("solver", "coder", "solver"), ("solver", "coder"), "ids named twice were left out"),
        (reply("solver", scope=True), ("solver",), "it says out of scope and names agents; the agents stand"),
        (reply("out of scope", "solver"), ("solver",), "'out of scope' stood among the ids"),
        (reply("solver", reason="`coder` fits."), ("solver",), "the reason speaks of other agents than are named"),
        (reply("solver", reason=""), ("solver",), "it gives no reason"),
        (f"<think>{reply('coder')}</think>{reply('solver')}", ("solver",), "what it thought aloud was passed over"),
        (f"{reply('solver')}<think>or {reply('coder')}", ("solver",), "what it thought aloud was passed over"),
        (reply("solver") + " " * LONGEST + reply("coder"), ("solver",), "all after 20000 characters was passed over"),
        (f"\ud800{reply('solver')}", ("solver",), "half characters were replaced"),
    ],
)
def test_what_is_plain_in_meaning_is_repaired_and_the_repair_recorded(text, named, repair):
    parsed = understood(text)
    assert (parsed.named, parsed.out_of_scope) == (named, False)
    assert any(repair in one for one in parsed.repairs), parsed.repairs


@pytest.mark.parametrize(
    "text",
    [
        "out of scope",
        "Out-of-scope.",
        "<agents>OUT_OF_SCOPE</agents>",
        reply("out of scope"),
        reply("ghost", scope=True),
        '{"out_of_scope": true}',
        '{"reason": "r", "out_of_scope": true, "agents": [',
    ],
)
def test_out_of_scope_is_understood_in_other_words(text):
    parsed = understood(text)
    assert parsed.out_of_scope
    assert parsed.named == ()
    assert parsed.repairs
    assert parsed.fault == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is empty"),
        (" \n\t ", "it is empty"),
        ("I am sorry, but I cannot help with that.", "it names no agent"),
        ("Je ne sais pas lequel choisir.", "it names no agent"),
        ("The travel planner may know, or a solver.", "it names no agent"),
        ("Either math-pro or `solver` would do.", "it names no agent"),
        ("math-pro-2, old-math-pro, math-pro.v2 and x/math-pro are none of them.", "it names no agent"),
        ("<agents></agents>", "it names no agent"),
        ("<think>`solver` could", "it names no agent"),
        (reply(), "it names no agent"),
        (reply(reason=["solver"]), "it names no agent"),
        (reply("ghost", "phantom"), "it names only agents that were not asked about"),
        ("{}", "it names no agent"),
        ("null", "it names no agent"),
        ("[[[[", "it names no agent"),
        ("9" * 6000, "it names no agent"),
        ("\x00", "it names no agent"),
        ("\ud800", "it names no agent"),
    ],
)
def test_a_reply_of_no_use_is_a_fault(text, fault):
    parsed = understood(text)
    assert (parsed.named, parsed.out_of_scope, parsed.fault) == ((), False, fault)


def test_of_a_hundred_ids_the_first_few_stay():
    asked = tuple(f"agent-{place}" for place in range(100))
    parsed = understood(reply(*reversed(asked)), asked)
    assert parsed.named == ("agent-99", "agent-98", "agent-97")
    assert parsed.repairs == ("of 100 agents the first 3 were kept",)


def test_a_hundred_unknown_ids_are_one_repair():
    parsed = understood(reply("solver", *(f"ghost {place}" for place in range(100))))
    assert parsed.repairs == ("unknown ids were left out: 'ghost 0', 'ghost 1', 'ghost 2', and 97 more",)


def test_ids_that_only_case_tells_apart_are_not_guessed():
    asked = ("Ada", "ADA")
    assert understood(reply("ADA"), asked).named == ("ADA",)
    assert understood(reply("ada"), asked).fault == "it names only agents that were not asked about"


def test_an_id_wins_over_a_handle_and_over_the_words_for_nobody():
    asked = ("solver", "A1", "out of scope")
    assert understood(reply("A1"), asked).named == ("A1",)
    assert understood(reply("AA1"), asked).named == ("solver",)
    assert understood(reply("out of scope"), asked).named == ("out of scope",)


def test_an_id_that_holds_commas_is_taken_whole():
    assert understood("<agents>a, b</agents>", ("a, b", "a", "b")).named == ("a, b",)


def test_nobody_was_asked_about():
    assert understood("`solver`", ()).fault == "it names no agent"


def test_the_reason_is_one_legible_line():
    assert understood(reply("solver", reason="a\n\tb\u202e\x1b[0m \ud800c")).reason == "a b[0m c"
    assert len(understood(reply("solver", reason="long " * 1000)).reason) == 1000


@pytest.mark.parametrize("text", ["x" * 50_000, "\ud800" * 50_000, f"{reply('solver')}\udfff", ""])
def test_what_is_kept_of_a_reply_gives_the_same_again(text):
    again = kept(text)
    assert len(again) <= LONGEST + 1
    assert kept(again) == again
    assert again.encode().decode() == again
    assert understood(again).named == understood(text).named


@pytest.mark.parametrize(
    "piece",
    PIECES,
)
@pytest.mark.timeout(30)
def test_a_megabyte_of_anything_is_read_in_no_time(piece):
    assert set(understood(piece * (1_000_000 // len(piece))).named) <= {"solver"}
