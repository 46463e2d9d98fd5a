"""What ``agentmesh.testing`` offers can be imported."""

import pytest

import agentmesh.testing


@pytest.mark.parametrize("name", agentmesh.testing.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(agentmesh.testing, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = agentmesh.testing.nothing
