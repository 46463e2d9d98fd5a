"""What a watcher asks beyond the events: loaded when it is first asked for, by the thread that asks.

It takes about a second to load, numpy and all that decides and learns; nobody is to wait for that before the first
screen. So it is used as ``late.diff(...)``, in workers, and never imported by name.
"""

from typing import TYPE_CHECKING

from agentmesh.lazy import lazily

if TYPE_CHECKING:
    from agentmesh.graphs.replies import Said as Said
    from agentmesh.graphs.replies import record_answer as record_answer
    from agentmesh.learning.feedback import record_feedback as record_feedback
    from agentmesh.learning.predictions import newest_predictions as newest_predictions
    from agentmesh.learning.reliability import reliability as reliability
    from agentmesh.learning.versions import routers_in as routers_in
    from agentmesh.playback.diff import diff as diff
    from agentmesh.playback.whatif import whatif as whatif
    from agentmesh.tui.learned import learned_router as learned_router
    from agentmesh.tui.learned import trails_at as trails_at
else:
    _HOMES = {
        "Said": "graphs.replies",
        "diff": "playback.diff",
        "learned_router": "tui.learned",
        "newest_predictions": "learning.predictions",
        "record_answer": "graphs.replies",
        "record_feedback": "learning.feedback",
        "reliability": "learning.reliability",
        "routers_in": "learning.versions",
        "trails_at": "tui.learned",
        "whatif": "playback.whatif",
    }

    __getattr__ = lazily(__name__, _HOMES)
