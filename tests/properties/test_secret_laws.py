"""Laws of placeholders: nothing is lost, nothing is left, and pieces give what the whole gives."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agentmesh import Secrets, Task
from agentmesh.events import AnswerChunk, Event
from agentmesh.graphs.edge import Edge
from agentmesh.judging.placeholders import Placeholders, StreamRestorer
from agentmesh.patterns import everywhere
from agentmesh.testing.strategies import json_values

SECRETS = Secrets(patterns={"customer": r"\bC-\d{6}\b", "open": r"q\d+"})
HIDDEN = ("ann@example.com", "4111 1111 1111 1111", "+49 171 1234567", "C-123456", "DE89370400440532013000")
PIECES = st.sampled_from(
    [
        *HIDDEN,
        "password=hunter2",
        "hunter2",
        "[[email-1-",
        "[[email-1-000000]]",
        "[[",
        "]]",
        "[",
        " ",
        "\u200b",
        "q12",
        "@",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=8).map("".join)


@given(TEXTS, st.text("ab", max_size=2))
def test_redact_then_restore_gives_any_text_back(text: str, run_id: str) -> None:
    held = Placeholders.for_run(SECRETS, run_id, [text])
    for _ in range(2):
        assert held.restore(held.redact(text)) == text


@given(st.text(max_size=40))
def test_redact_then_restore_gives_any_characters_back(text: str) -> None:
    held = Placeholders.for_run(SECRETS, "", [text])
    assert held.restore(held.redact(text)) == text


@given(TEXTS, st.sampled_from(HIDDEN))
def test_a_secret_between_spaces_is_never_left(text: str, secret: str) -> None:
    held = Placeholders.for_run(SECRETS, "", [text])
    assert secret not in held.redact(f"{text} ; {secret} ; {text}")


@given(TEXTS, st.lists(st.integers(0, 200), max_size=6))
def test_a_text_in_pieces_is_restored_as_a_whole(text: str, cuts: list[int]) -> None:
    held = Placeholders.for_run(SECRETS, "", [text])
    hidden, stream = held.redact(text), StreamRestorer(held)
    places = [0, *sorted(min(cut, len(hidden)) for cut in cuts), len(hidden)]
    pieces = [stream.feed(hidden[start:end]) for start, end in pairwise(places)]
    assert "".join(pieces) + stream.flush() == text


@given(TEXTS.filter(str.strip), json_values)
def test_a_listener_gets_the_secrets_and_the_run_does_not(text: str, value: object) -> None:
    task = Task(text=text, inputs={"x": [value, HIDDEN[0]]})
    edge, heard = Edge(SECRETS, task, "run-1"), list[Event]()
    (sink,) = edge.listeners([heard.append])
    sink(AnswerChunk(run_id="run-1", seq=0, at=0.0, agent_id="a", text=edge.task.text + "."))
    assert HIDDEN[0] not in edge.task.model_dump_json()
    assert [event.text for event in heard if isinstance(event, AnswerChunk)] == [text + "."]
    assert edge.restored(edge.task.text) == text


@given(st.text("q1 a", max_size=1200))
def test_a_pattern_is_found_in_a_long_text_wherever_it_is_found_in_a_short_one(text: str) -> None:
    covered = set[int]()
    for start, end in everywhere(r"q1{1,9}", text):
        covered.update(range(start, end))
    assert covered == {place for start, end in spans(text) for place in range(start, end)}


def spans(text: str) -> list[tuple[int, int]]:
    """Find every q with at most nine ones behind it, by hand."""
    found = []
    for start in (place for place, character in enumerate(text) if character == "q"):
        rest = text[start + 1 : start + 10]
        ones = len(rest) - len(rest.lstrip("1"))
        if ones:
            found.append((start, start + 1 + ones))
    return found
