"""How a router decides in another process: its state must say all, and its hashes nothing."""

import atexit
import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from functools import cache

from agentmesh.records import Objective, RouteDecision, RouterState
from agentmesh.routing.base import RouteContext, Router
from agentmesh.testing.samples import decided, sample_features, sample_pool


def decide_elsewhere(router: Router, seed: int) -> str:
    """Return, as JSON, how a twin of ``router`` in a fresh process decides on the sample task and pool of ``seed``.

    The process is a fork of one that has loaded this module and nothing else, with a hash seed of its own; that one is
    started once, since it takes a second. Where the twin fails, it says why on stderr, and "" is returned.
    """
    kind = type(router)
    order = {
        "module": kind.__module__,
        "kind": kind.__qualname__,
        "parameters": dict(router.parameters),
        "state": router.snapshot().model_dump(mode="json", exclude={"payload"}),
        "payload": b64encode(router.snapshot().payload).decode(),
        "seed": seed,
    }
    process = _elsewhere()
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process that decides elsewhere has no pipes")
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@cache
def _elsewhere() -> "subprocess.Popen[str]":
    """Start the process that is forked for each decision; it ends with this one."""
    code = "from agentmesh.testing.elsewhere import take_orders; take_orders()"
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own line
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)
    return process


def take_orders() -> None:
    """Do what :func:`decide_elsewhere` asks, each order in a fork."""
    for order in sys.stdin:
        process = os.fork()
        if process == 0:
            sys.stdout.write(decide_here(order) + "\n")
            return
        if os.waitpid(process, 0)[1]:
            sys.stdout.write("\n")
            sys.stdout.flush()


def decide_here(order: str) -> str:
    """Decide as ordered."""
    asked = json.loads(order)
    __import__(asked["module"])
    router: Router = getattr(sys.modules[asked["module"]], asked["kind"])(**asked["parameters"])
    router.restore(RouterState(**asked["state"], payload=b64decode(asked["payload"])))
    return sample_decision(router, asked["seed"]).model_dump_json()


def sample_decision(router: Router, seed: int) -> RouteDecision:
    """Decide on the sample task and pool of ``seed``."""
    context = RouteContext(seed=seed, max_agents=2, explore=0.3, objective=Objective(quality=0.5, cost=0.5))
    return decided(router, sample_features(seed), sample_pool(seed=seed), context)
