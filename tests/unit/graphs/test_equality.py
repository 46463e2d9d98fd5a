"""Which answers of a team are the same."""

from collections.abc import Sequence

import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, LlmError, ReplayMissError
from agentmesh.events import WaveStarted
from agentmesh.graphs.equality import BehaviourEquality, EmbeddingEquality, Grouped, KeyEquality, RecordedEquality
from agentmesh.graphs.team import Team
from agentmesh.records import Task
from agentmesh.types import VectorArray

TASK = Task(text="q")
WORDS = HashingEmbedder(dimension=64)


@pytest.mark.parametrize(
    ("name", "answers", "groups"),
    [
        ("text", {"b": "84", "a": "84.0", "c": "84."}, (("a",), ("b", "c"))),
        ("number", {"b": "84", "a": "84.0", "c": "85"}, (("a", "b"), ("c",))),
        ("auto", {"b": "84", "a": "84.0", "c": "85"}, (("a", "b"), ("c",))),
        ("embedding", {"b": "the red fox runs", "a": "The red fox runs!", "c": "a king of old"}, (("a", "b"), ("c",))),
        ("embedding", {"b": "the red fox runs"}, (("b",),)),
        ("text", {}, ()),
    ],
)
async def test_answers_are_grouped_by_what_the_team_goes_by(
    name: str, answers: dict[str, str], groups: tuple[tuple[str, ...], ...]
) -> None:
    equality = Team.model_validate({"equivalence": name}).equality(WORDS)
    assert await equality.grouped(TASK, answers) == Grouped(groups)
    assert await equality.grouped(TASK, dict(reversed(answers.items()))) == Grouped(groups)


async def test_answers_that_cannot_be_embedded_are_compared_as_texts_and_that_is_told() -> None:
    class Down(HashingEmbedder):
        def embed(self, texts: Sequence[str]) -> VectorArray:
            raise LlmError("the endpoint is down", retryable=True)

    found = await EmbeddingEquality(Down()).grouped(TASK, {"a": "Yes.", "b": "yes", "c": "no"})
    assert found.groups == (("a", "b"), ("c",))
    assert found.note == "compared as texts: LlmError: the endpoint is down"


async def test_an_answer_is_tried_once_and_one_that_cannot_be_is_told() -> None:
    tried: list[str] = []

    def length(task: Task, text: str) -> object:
        tried.append(text)
        return len(text) if text.isalpha() else 1 / 0 if text == "0" else []

    equality = BehaviourEquality(length)  # type: ignore[arg-type]  # a list is no key
    await equality.grouped(TASK, {"a": "one"})
    found = await equality.grouped(TASK, {"a": "one", "b": "two", "c": "0", "d": "[]", "e": "[]"})
    assert found.groups == (("a", "b"), ("c",), ("d", "e"))
    assert "c is compared as a text: ZeroDivisionError: division by zero; d is compared as a text: " in found.note
    assert sorted(tried) == ["0", "[]", "[]", "one", "two"]


async def test_behaviours_are_forgotten_beyond_a_bound() -> None:
    equality = BehaviourEquality(lambda task, text: text, remembered=1)
    await equality.grouped(TASK, {"a": "one", "b": "two"})
    assert len(equality) == 1


async def test_recorded_groups_are_repeated_and_others_are_missed() -> None:
    wave = WaveStarted(
        run_id="r", seq=0, at=0.0, wave=2, agents=(), reason="", groups=(("a", "b"), ("c",)), note="as told"
    )
    equality = RecordedEquality([wave])
    assert await equality.grouped(TASK, {"c": "?", "b": "?", "a": "?"}) == Grouped((("a", "b"), ("c",)), "as told")
    assert await equality.grouped(TASK, {}) == Grouped()
    with pytest.raises(ReplayMissError, match="no groups are recorded of the answers of a, b"):
        await equality.grouped(TASK, {"a": "?", "b": "?"})


async def test_answers_are_compared_as_texts_where_nothing_is_said() -> None:
    assert (await KeyEquality().grouped(TASK, {"a": "Yes.", "b": "yes"})).numbers == {"a": 0, "b": 0}


def test_a_team_that_goes_by_behaviour_needs_to_be_told_how() -> None:
    read = Team.model_validate_json(Team(equivalence="behaviour", behaviour=lambda task, text: 0).model_dump_json())
    with pytest.raises(ConfigError, match="the team's behaviour is None"):
        read.equality(WORDS)
