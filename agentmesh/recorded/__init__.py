"""The recorded-set format: reader and writer."""

from agentmesh.recorded.lines import AgentLine, OutcomeLine, ResponseLine, SetInfo, TaskLine
from agentmesh.recorded.reader import FitView, RecordedSet, RecordedTask, Rows, load_set
from agentmesh.recorded.writer import write_set

__all__ = [
    "AgentLine",
    "FitView",
    "OutcomeLine",
    "RecordedSet",
    "RecordedTask",
    "ResponseLine",
    "Rows",
    "SetInfo",
    "TaskLine",
    "load_set",
    "write_set",
]
