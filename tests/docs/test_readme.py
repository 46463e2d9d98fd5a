"""README keeps its word: its code runs, its first example type-checks, its files and commands exist."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agentmesh.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
BIN = Path(sys.executable).parent

UNREAD = """
[mypy]
[mypy-alembic.*,langchain_core.*,langgraph.*,langsmith.*,litellm.*,openai.*,sqlalchemy.*,torch.*,torch_geometric.*]
follow_imports = skip
"""
"""A user's settings of mypy, but for what no public name shows: without a cache to read it takes half a minute."""

WRONG = """

def wrong(mesh: Mesh) -> None:
    print(mesh.nobody)  # type: ignore[attr-defined]
    print(Limits(cost_usd=[]))  # type: ignore[arg-type]
"""
"""What must be found: mypy takes offence, as strict as here, at a comment that ignores nothing."""


def test_there_is_code_to_check():
    assert len(BLOCKS) >= 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_of_code_runs_as_printed(code, tmp_path, warm_python):
    (tmp_path / "block.py").write_text(code, encoding="utf-8")
    done = warm_python.run(tmp_path / "block.py", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "checker",
    [
        [BIN / "mypy", "--strict", "--cache-dir", ROOT / ".mypy_cache" / "of_a_user"],
        [BIN / "basedpyright", "--level", "error", "--pythonpath", sys.executable],
    ],
    ids=["mypy", "basedpyright"],
)
def test_the_first_example_type_checks(checker, tmp_path):
    (tmp_path / "first.py").write_text(BLOCKS[0] + WRONG, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(UNREAD, encoding="utf-8")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}', encoding="utf-8")
    done = subprocess.run([*checker, "first.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http|#)([^)#]+)", README))
def test_a_link_leads_to_a_file(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"^agentmesh ([a-z]+)", README, flags=re.MULTILINE))))
def test_a_command_that_is_shown_exists(name):
    assert name in COMMANDS


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z]+)", README))))
def test_a_make_target_that_is_shown_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize(
    "folder", sorted(path.name for path in (ROOT / "agentmesh").iterdir() if (path / "__init__.py").exists())
)
def test_a_folder_of_the_package_is_named_in_the_layout(folder):
    assert re.search(rf"^  {folder}/", README, flags=re.MULTILINE)


def test_the_changelog_names_the_version_that_is_built():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
