"""From outcomes to router state, off the serving path: alone it joins store and routing."""

from agentmesh.learning.feedback import record_feedback as record_feedback
