"""The router that decides now, in a place where learning can put the next one."""

from dataclasses import dataclass

from agentmesh.routing.base import Router


@dataclass(slots=True)
class ServingRouter:
    """Holds the router that serves.

    A decision reads ``router`` once and keeps what it read; learning exchanges it in one assignment. So a decision sees
    the state before an outcome or after it, never half.

    ``root`` is the hash of the router's parameters as it was before it learned anything, "" where that is not known.
    """

    router: Router
    root: str = ""
