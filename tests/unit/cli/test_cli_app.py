"""The group, its table, and the boundary where every error ends as one line and an exit code."""

import importlib
import runpy

import click
import pytest

from agentmesh.cli.app import COMMANDS, LazyGroup, agentmesh, exit_code
from agentmesh.errors import AgentMeshError, BudgetError, ConfigError, MissingExtraError, StoreError


def test_help_lists_every_command_and_exits_0(command):
    outcome = command("--help")
    assert outcome.code == 0
    assert all(f"  {name} " in outcome.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_explains_itself(command, name):
    outcome = command(name, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: agentmesh {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json(name):
    entry = COMMANDS[name]
    found = getattr(importlib.import_module(entry.module), entry.function)
    leaves = found.commands.values() if isinstance(found, click.Group) else [found]
    assert all("--json" in [flag for option in leaf.params for flag in option.opts] for leaf in leaves)


def test_the_shell_completes_every_command():
    assert agentmesh.list_commands(click.Context(agentmesh)) == list(COMMANDS)


def test_the_version_is_that_of_the_distribution(command):
    outcome = command("--version")
    assert (outcome.code, outcome.out) == (0, "agentmesh, version 0.1.0\n")


def test_an_unknown_command_exits_2_and_is_named(command):
    outcome = command("rnu")
    assert outcome.code == 2
    assert "'rnu'" in outcome.err


def test_no_command_at_all_prints_the_help_and_exits_2(command):
    outcome = command()
    assert outcome.code == 2
    assert "Commands:" in outcome.err


def test_an_unexpected_error_is_one_line_that_names_debug(command, broken_command):
    outcome = command(broken_command, "ValueError('bad\\n\\x1b[31m')")
    assert outcome.code == 1
    [line] = outcome.err.splitlines()
    assert line == "Error: unexpected ValueError: bad\\n\\x1b[31m ('agentmesh --debug ...' prints the traceback)"


def test_an_expected_error_is_one_line_without_a_traceback(command, broken_command):
    outcome = command(broken_command, "StoreError('the database is gone')")
    assert (outcome.code, outcome.err) == (1, "Error: the database is gone\n")


def test_debug_prints_the_traceback_as_well(command, broken_command):
    outcome = command("--debug", broken_command, "StoreError('the database is gone')")
    assert outcome.code == 1
    assert "Traceback (most recent call last)" in outcome.err
    assert outcome.err.endswith("Error: the database is gone\n")


def test_an_interrupt_exits_130_without_a_traceback(command, broken_command):
    outcome = command(broken_command, "KeyboardInterrupt()")
    assert outcome.code == 130
    assert outcome.err.strip() == ""


def test_what_the_command_returns_is_the_exit_code(command, broken_command):
    assert command(broken_command, "3").code == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (MissingExtraError("onnxruntime", extra="onnx"), 1),
        (BudgetError("x"), 4),
        (StoreError("x"), 1),
        (AgentMeshError("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


def test_an_entry_that_is_no_command_is_a_clear_error(monkeypatch):
    entry = COMMANDS["doctor"]._replace(function="DISTRIBUTION")
    monkeypatch.setitem(COMMANDS, "doctor", entry)
    group = agentmesh
    assert isinstance(group, LazyGroup)
    with pytest.raises(TypeError, match="a click command was expected"):
        group.get_command(click.Context(group), "doctor")


def test_python_dash_m_agentmesh_is_the_same_program(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["agentmesh", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("agentmesh", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == "agentmesh, version 0.1.0\n"
