"""Programs that are the same because they behave the same: an answer is run on cases, in a process of its own.

This is no sandbox against malice. A process of its own with limits keeps a program that is merely wrong from doing
harm: it may read and write whatever the user who runs it may, and reach the network. Run strangers' code only where
that is nothing to lose: in a container, or under a user of its own.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.judging.equivalence import text_key
from agentmesh.records import Task

Outcome: TypeAlias = tuple[Literal["printed", "failed", "timed out"], str]
"""How a program ended on one case, and what it printed if it ended well."""

_MEGABYTE: Final = 1 << 20
_MOST_PRINTED: Final = 64 << 10  # bytes of output that are kept, and that a file may have
_FENCED = re.compile(r"^```[ \t]*(?:python|py)?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL | re.IGNORECASE)

_LIMITED: Final = """\
import resource, runpy, sys
memory, seconds, size = (int(value) for value in sys.argv[1:4])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
path = sys.argv[4]
sys.argv[:] = [path]
runpy.run_path(path, run_name="__main__")
"""
"""What the process runs first: it takes its limits upon itself, then runs the answer."""


class ProgramCase(Record):
    """What a program is tried on: what it reads from standard input, and code that is run after it, such as a test."""

    stdin: str = ""
    code: str = ""


class ProgramRunner:
    """Runs the Python program in an answer on cases and says how it behaved; equal behaviour is an equal answer.

    Give it to ``Team(equivalence="behaviour", behaviour=ProgramRunner(...))``. For each case a process is started with
    ``sys.executable``, in an empty folder, without the environment, with limits on time, memory and output; at the end
    all processes that it started are killed with it. The module's first lines say what this does not protect from.

    Args:
        cases: What every program is tried on, or a function of the task that says so.
        timeout_s: What one case may take.
        memory_mb: What a process may take.

    Raises:
        ConfigError: there is no case, or a limit is not above 0.

    >>> double = ProgramRunner([ProgramCase(code="print(double(21))")])
    >>> double(Task(text="Double a number."), "def double(x): return 2 * x")
    ('behaves', (('printed', '42'),))
    """

    def __init__(
        self,
        cases: Sequence[ProgramCase] | Callable[[Task], Sequence[ProgramCase]],
        *,
        timeout_s: float = 2.0,
        memory_mb: int = 256,
    ) -> None:
        if not callable(cases) and not cases:
            raise ConfigError("cases is empty; give at least one ProgramCase that programs are tried on")
        if timeout_s <= 0 or memory_mb <= 0:
            raise ConfigError(f"timeout_s is {timeout_s!r} and memory_mb {memory_mb!r}; both must be above 0")
        self._cases = cases
        self._timeout_s, self._memory_mb = timeout_s, memory_mb

    def __call__(self, task: Task, text: str) -> Hashable:
        """Return how the program behaved on each case.

        One that printed nothing well on any case shows no behaviour and is equal only to the same text.
        """
        cases = self._cases(task) if callable(self._cases) else self._cases
        outcomes = tuple(self.outcome(program_in(text), case) for case in cases)
        ran = any(kind == "printed" for kind, _ in outcomes)
        return ("behaves", outcomes) if ran else ("does not run", text_key(text))

    def outcome(self, program: str, case: ProgramCase) -> Outcome:
        """Run a program on one case."""
        with (
            tempfile.TemporaryDirectory() as folder,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as given,
        ):
            Path(folder, "answer.py").write_text(f"{program}\n{case.code}\n", "utf-8", errors="replace")
            given.write(case.stdin.encode("utf-8", errors="replace"))
            given.seek(0)
            code = self._run(folder, given.fileno(), out.fileno())
            out.seek(0)
            printed = out.read(_MOST_PRINTED).decode("utf-8", errors="replace").rstrip()
        if code is None:
            return ("timed out", "")
        return ("printed", printed) if code == 0 else ("failed", "")

    def _run(self, folder: str, stdin: int, stdout: int) -> int | None:
        """Return the exit code, ``None`` when the time was over."""
        limits = (self._memory_mb * _MEGABYTE, int(self._timeout_s) + 1, _MOST_PRINTED)
        # a fixed hash seed, which -I would ignore: else a program that prints a set differs from itself
        command = [sys.executable, "-s", "-P", "-B", "-c", _LIMITED, *map(str, limits), "answer.py"]
        running = subprocess.Popen(  # noqa: S603 - to run the answer is what this is for; the module says with which limits
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        try:
            return running.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def program_in(text: str) -> str:
    r"""Return the program in an answer: what stands between the fences of Python, or the whole text.

    >>> program_in("So:\n```python\nprint(1)\n```\nDone.")
    'print(1)\n'
    """
    fenced = _FENCED.findall(text)
    return "\n".join(fenced) if fenced else text
