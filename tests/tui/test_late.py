"""What a watcher loads when it is first asked for."""

import pytest

from agentmesh.learning import feedback, versions
from agentmesh.tui import late


def test_a_name_is_what_its_own_module_has() -> None:
    assert late.record_feedback is feedback.record_feedback
    assert late.routers_in is versions.routers_in


def test_a_name_that_is_not_loaded_late_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match=r"'agentmesh.tui.late' has no attribute 'dif'"):
        late.dif  # noqa: B018 - the access is what is tested
