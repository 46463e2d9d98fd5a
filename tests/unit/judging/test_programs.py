"""Programs that are run in a process of their own."""

import fcntl
import os
from pathlib import Path

import pytest

from agentmesh.errors import ConfigError
from agentmesh.judging import ProgramCase, ProgramRunner
from agentmesh.records import Task

TASK = Task(text="Double the number.")
RUNNER = ProgramRunner([ProgramCase(stdin="4\n"), ProgramCase(stdin="-1\n")])


def test_programs_that_print_the_same_are_the_same() -> None:
    first = RUNNER(TASK, "print(2 * int(input()))")
    second = RUNNER(TASK, "Here:\n```python\nn = int(input())\nprint(n + n)\n```\nIt adds.")
    other = RUNNER(TASK, "print(int(input()) ** 2)")
    assert first == second == ("behaves", (("printed", "8"), ("printed", "-2")))
    assert first != other


def test_a_function_is_tried_by_the_code_of_the_case() -> None:
    tests = ProgramRunner(lambda task: [ProgramCase(code=f"assert f(2) == 4  # {task.text}\nprint('passed')")])
    assert tests(TASK, "f = lambda x: 2 * x") == tests(TASK, "def f(x): return x + x")
    assert tests(TASK, "f = lambda x: 3") == ("does not run", "f = lambda x: 3")


@pytest.mark.parametrize("text", ["I would double it.", "def f(:", "import sys; sys.exit(3)", "\0", "\ud800", ""])
def test_what_does_not_run_is_equal_to_the_same_text_alone(text: str) -> None:
    runner = ProgramRunner([ProgramCase(stdin="4")])
    assert runner(TASK, text)[0] == "does not run" or text == ""
    assert runner(TASK, text) == runner(TASK, text)


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("while True: pass", "timed out"),
        ("x = bytearray(10**9)", "failed"),
        ("import sys\nfor _ in range(200): sys.stdout.write('x' * 1000)\nsys.stdout.flush()", "failed"),
        ("print(sorted(set(__import__('os').environ) & {'HOME', 'PATH', 'AGENTMESH_DB'}))", "printed"),
    ],
)
def test_a_program_is_held_to_its_limits(program: str, kind: str) -> None:
    timeout_s = 0.4 if kind == "timed out" else 30.0  # a program may take its time to start
    outcome = ProgramRunner([ProgramCase()], timeout_s=timeout_s, memory_mb=200).outcome(program, ProgramCase())
    assert outcome[0] == kind
    assert outcome[1] in ("", "[]")


HOLDER = """
import subprocess, sys
hold = "import fcntl, signal; f = open({path!r}, 'a'); fcntl.flock(f, 2); print('held', flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline())
"""


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    held = tmp_path / "held"
    outcome = ProgramRunner([ProgramCase()]).outcome(HOLDER.format(path=str(held)), ProgramCase())
    assert outcome == ("printed", "held")
    with held.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits until the child, which holds it, is gone


def test_a_program_that_prints_a_set_is_equal_to_itself() -> None:
    runner = ProgramRunner([ProgramCase()])
    program = "print({'ann', 'bob', 'chief', 'dan', 'eve'})"
    assert runner(TASK, program) == runner(TASK, program)


def test_it_is_run_in_an_empty_folder() -> None:
    outcome = ProgramRunner([ProgramCase()]).outcome("import os; print(os.listdir())", ProgramCase())
    assert outcome == ("printed", "['answer.py']")
    assert "answer.py" not in os.listdir()


@pytest.mark.parametrize("wrong", [{"cases": []}, {"timeout_s": 0}, {"memory_mb": 0}])
def test_what_cannot_be_run_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ProgramRunner(**{"cases": [ProgramCase()], **wrong})  # type: ignore[arg-type]
