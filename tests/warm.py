"""Runs programs in forks of a process that has loaded the package: what takes seconds to import is imported once.

It reads orders from stdin, a line of JSON each, and answers each with the exit code of the fork. A fork ends as any
interpreter does. What it shows is what a fresh process would, but for what an import itself does.
"""

import gc
import json
import os
import runpy
import sys
import tempfile
from pathlib import Path

import agentmesh.embed.remote
import agentmesh.graphs.workflow.graph
import agentmesh.mesh
import agentmesh.playback.player  # noqa: F401 - loaded for the forks
from agentmesh.graphs.builder import compile_workflow
from agentmesh.store import open_store


def main() -> None:
    """Load what is loaded at first use, then take orders until there are no more."""
    with tempfile.TemporaryDirectory() as folder:
        open_store(f"sqlite:///{folder}/mesh.db").close()
    compile_workflow()
    gc.freeze()  # so that the forks copy none of it
    for line in sys.stdin:
        order = json.loads(line)
        process = os.fork()
        if process == 0:
            run(order)
            return
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}\n")
        sys.stdout.flush()


def run(order: dict[str, object]) -> None:
    """Do what was ordered, in a fork."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for place, path in enumerate((order["stdout"], order["stderr"]), start=1):
        os.dup2(os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), place)
    # anew, as an interpreter makes them at its start: one that was made for a file takes a terminal for a file
    sys.stdout = os.fdopen(1, "w", encoding=sys.stdout.encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding=sys.stderr.encoding, errors="backslashreplace", closefd=False)
    os.chdir(str(order["folder"]))
    os.environ.update(order["environment"])
    program = Path(str(order["program"]))
    sys.argv[:] = [str(program), *order["arguments"]]
    sys.path[0] = str(program.parent)
    exec(str(order["before"]), {"__name__": "before"})  # noqa: S102 - our own lines
    runpy.run_path(str(program), run_name="__main__")


if __name__ == "__main__":
    main()
