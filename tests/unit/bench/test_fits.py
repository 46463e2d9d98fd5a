"""Fits in this process and in others: the same routers come back."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.fits import fit_job, fits, fitted_state, restored
from agentmesh.bench.material import Material, prepare
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, PluginError
from agentmesh.recorded import load_set
from agentmesh.routing.progress import unsaid


@pytest.fixture
def material(outcome_set: Path) -> Material:
    return prepare(load_set(outcome_set), HashingEmbedder(dimension=64))


def test_every_job_comes_back_with_its_place_and_time(material: Material) -> None:
    said: list[str] = []
    jobs = [fit_job("knn", {"k": k}, material) for k in (1, 5)]
    done = dict(fits(jobs, processes=1, say=said.append))
    assert {place: fit.router.parameters["k"] for place, fit in done.items()} == {0: 1, 1: 5}
    assert all(fit.seconds >= 0 for fit in done.values())
    assert said == ["1 of 2 fitted: knn, 0 s", "2 of 2 fitted: knn, 0 s"]


def test_a_router_fitted_in_another_process_scores_as_one_fitted_here(material: Material) -> None:
    jobs = [fit_job("kernel", {}, material)]
    ((_, here),) = fits(jobs, processes=1, say=unsaid)
    ((_, there),) = fits(jobs, processes=1, say=unsaid, apart=True)
    features = material.val.features[0]
    assert np.array_equal(here.router.score(features, material.pool), there.router.score(features, material.pool))
    assert here.router.version == there.router.version


def test_what_another_process_hands_back_is_a_state_and_the_seconds(material: Material) -> None:
    job = fit_job("kernel", {}, material)
    state, seconds = fitted_state(job)
    assert seconds >= 0
    assert restored(job, state).snapshot() == state


def test_val_is_handed_over_only_to_a_watched_fit(material: Material) -> None:
    assert fit_job("knn", {}, material).val is None
    watched = fit_job("knn", {}, material, watched=True).val
    assert watched is not None
    assert len(watched) == len(material.val)


def test_arguments_that_do_not_fit_are_refused(material: Material) -> None:
    with pytest.raises(ConfigError, match="router 'knn' cannot be built with"):
        list(fits([fit_job("knn", {"nonesuch": 1}, material)], processes=1, say=unsaid))


def test_an_unknown_router_is_named(material: Material) -> None:
    with pytest.raises(PluginError, match="'nonesuch'"):
        list(fits([fit_job("nonesuch", {}, material)], processes=1, say=unsaid))
