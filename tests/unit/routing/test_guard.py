import numpy as np
import pytest

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError
from agentmesh.routing.base import Outcomes, TaskFeatures
from agentmesh.routing.guard import Guard
from agentmesh.routing.state import pack_state, unpack_state

EMBEDDER = HashingEmbedder()
KITCHEN = (
    "bake a loaf of bread",
    "fry two eggs",
    "boil the pasta",
    "chop an onion",
    "knead the dough",
    "stir the soup",
)
GARDEN = ("water the roses", "mow the lawn", "prune the hedge", "plant a tulip", "rake the leaves", "weed the border")
STRANGE = ("refinance my mortgage", "who won the football cup", "translate this contract into Danish")


def label_rows(*, times: int, start: int = 0, strange: bool = False) -> Outcomes:
    """Return requests for a cook and a gardener, each in several wordings, and some that are nobody's."""
    wordings = ("please {}", "can you {}", "{} today", "I want to {}", "{} for me", "how do I {}", "{} now")
    texts, right = [], []
    for place in range(start, start + times):
        for column, requests in enumerate((KITCHEN, GARDEN)):
            texts += [wordings[place % len(wordings)].format(request) for request in requests]
            right += [np.eye(2)[column]] * len(requests)
    if strange:
        texts += list(STRANGE)
        right += [np.zeros(2)] * len(STRANGE)
    return table(texts, np.array(right))


def table(texts: list[str], quality: np.ndarray, groups: tuple[str, ...] | None = None) -> Outcomes:
    names = tuple(f"agent-{place}" for place in range(quality.shape[1]))
    vectors = EMBEDDER.embed(texts)
    return Outcomes(names, vectors, tuple(texts), groups or ("",) * len(texts), quality, np.full(quality.shape, np.nan))


def features(text: str) -> TaskFeatures:
    return TaskFeatures(EMBEDDER.embed([text])[0], text)


@pytest.fixture(scope="module")
def fitted() -> Guard:
    guard = Guard(coverage=0.9)
    guard.fit(label_rows(times=5), val=label_rows(times=2, start=5))
    return guard


def test_a_task_like_past_ones_passes_and_a_strange_one_does_not(fitted: Guard) -> None:
    assert fitted.passes(features("could you boil the pasta"))
    assert not any(fitted.passes(features(text)) for text in STRANGE)


def test_before_it_is_fitted_everything_passes_and_it_says_why() -> None:
    guard = Guard()
    assert not guard.is_fitted
    assert guard.passes(features(STRANGE[0]))
    assert "not fitted" in guard.reason


def test_tasks_that_nobody_fits_have_no_effect_on_what_is_learned() -> None:
    states = []
    for strange in (False, True):
        guard = Guard()
        guard.fit(label_rows(times=3, strange=strange), val=label_rows(times=2, start=5, strange=strange))
        states.append(pack_state(guard.arrays(), guard.meta()))
    assert states[0] == states[1]


def test_val_without_a_task_that_somebody_fits_is_refused() -> None:
    strange = table(list(STRANGE), np.zeros((len(STRANGE), 2)))
    with pytest.raises(ConfigError, match="somebody fits"):
        Guard().fit(label_rows(times=2), val=strange)


def test_a_restored_guard_is_the_same_bit_for_bit(fitted: Guard) -> None:
    arrays, meta = unpack_state(pack_state(fitted.arrays(), fitted.meta()))
    twin = Guard(**dict(fitted.parameters))  # type: ignore[arg-type]
    twin.load(arrays, meta)
    for text in (*KITCHEN, *STRANGE):
        assert twin.familiarity(features(text)) == fitted.familiarity(features(text))
    assert pack_state(twin.arrays(), twin.meta()) == pack_state(fitted.arrays(), fitted.meta())
