"""Stored runs, executed again."""

from agentmesh.playback.player import Replay as Replay
from agentmesh.playback.player import replay as replay
